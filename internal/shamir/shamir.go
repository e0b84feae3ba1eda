// Package shamir splits a secret of 32 bytes into shares of which any few give it back
// and fewer tell nothing (A. Shamir, "How to share a secret", CACM 22, 1979).
//
// Each byte of the secret is the value at 0 of a polynomial of its own over GF(2^8) (the
// field of AES, reduced by 0x11b) whose other coefficients are random. A share is the 32
// values at one place x, and x itself as its last byte: the layout that sops and
// HashiCorp's Vault write, so that either reads the other's.
//
// Promises: any need of the shares give the secret; fewer are uniformly random, whatever
// the secret is. Arithmetic takes the same time for all values: there is no table and no
// branch that depends on them. The places are public.
//
// Refuses: secrets and shares of another length, a share at place 0 (which would be the
// secret itself), the same place twice, a need below 2.
//
// Threats: a share has no integrity. Too few shares, one of another secret or one flipped
// bit give another secret without an error, so whoever combines must compare the result
// with something kept, such as its hash.
//
// For: package identity/glass (break-glass) and the vault's seal. Read shamir.go, field.go.
package shamir

import (
	"fmt"
	"slices"

	"writ/internal/secret"
)

// The sizes, in bytes, and how many shares there may be.
const (
	SecretLen = 32
	ShareLen  = SecretLen + 1
	MinNeed   = 2
	MaxShares = 16
)

// Split makes of shares, at the places 1 to of, of which any need give the secret back.
func Split(s secret.Bytes, need, of int) ([]secret.Bytes, error) {
	switch {
	case s.Len() != SecretLen:
		return nil, fmt.Errorf("split: a secret has %d bytes, not %d", SecretLen, s.Len())
	case need < MinNeed || need > of || of > MaxShares:
		return nil, fmt.Errorf("split: %d of %d is not within %d <= need <= of <= %d", need, of, MinNeed, MaxShares)
	}
	rest := secret.Random(SecretLen * (need - 1)) // the coefficients beside the secret's bytes
	defer rest.Wipe()
	shares := make([]secret.Bytes, of)
	for i := range shares {
		x := byte(i + 1)
		share := make([]byte, ShareLen)
		for j, b := range s.Reveal() {
			share[j] = at(x, b, rest.Reveal()[j*(need-1):(j+1)*(need-1)])
		}
		share[SecretLen] = x
		shares[i] = secret.NewBytes(share)
		clear(share)
	}
	return shares, nil
}

// Combine gives the secret that the shares are of, if they are enough of one secret;
// otherwise it gives some other 32 bytes.
func Combine(shares ...secret.Bytes) (secret.Bytes, error) {
	if len(shares) < MinNeed || len(shares) > MaxShares {
		return secret.Bytes{}, fmt.Errorf("combine: %d shares are not within %d and %d", len(shares), MinNeed, MaxShares)
	}
	xs := make([]byte, len(shares))
	for i, s := range shares {
		if err := Check(s); err != nil {
			return secret.Bytes{}, fmt.Errorf("combine: %w", err)
		}
		xs[i] = byte(Place(s))
		if slices.Contains(xs[:i], xs[i]) {
			return secret.Bytes{}, fmt.Errorf("combine: two shares are of the place %d", xs[i])
		}
	}
	out := make([]byte, SecretLen)
	defer clear(out)
	for i, s := range shares {
		weight := weightAtZero(xs, i)
		for j, y := range s.Reveal()[:SecretLen] {
			out[j] ^= mul(y, weight)
		}
	}
	return secret.NewBytes(out), nil
}

// Check refuses what is no share by its shape.
func Check(s secret.Bytes) error {
	switch {
	case s.Len() != ShareLen:
		return fmt.Errorf("a share has %d bytes, not %d", ShareLen, s.Len())
	case Place(s) == 0:
		return fmt.Errorf("a share at the place 0 would be the secret itself")
	}
	return nil
}

// Place is where the share lies: a public number from 1 on. The share has its length.
func Place(s secret.Bytes) int { return int(s.Reveal()[SecretLen]) }
