package passhash

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"golang.org/x/crypto/argon2"

	"writ/internal/secret"
)

// outputBytes is the digest length of every new hash.
const outputBytes = 32

// Hash hashes a normalised password with a fresh salt and returns the PHC string.
// Call it inside the gate. It fails on parameters outside the caps.
func Hash(p Params, password secret.Text) (secret.Text, error) {
	if err := p.Check(); err != nil {
		return secret.Text{}, fmt.Errorf("hash a password: %w", err)
	}
	h := phc{Params: p, salt: secret.Random(p.SaltBytes).Reveal()}
	var err error
	if h.sum, err = derive(p, password, h.salt, outputBytes); err != nil {
		return secret.Text{}, fmt.Errorf("hash a password: %w", err)
	}
	return secret.NewText(h.encode()), nil
}

// Verify reports whether the password has this hash. It hashes with the string's
// own parameters and compares in constant time, so right and wrong cost the same.
// Call it inside the gate. An unreadable string is an error, never a mere false.
func Verify(phc secret.Text, password secret.Text) (bool, error) {
	h, err := parse(phc)
	if err != nil {
		return false, fmt.Errorf("verify a password: %w", err)
	}
	sum, err := derive(h.Params, password, h.salt, len(h.sum))
	if err != nil {
		return false, fmt.Errorf("verify a password: %w", err)
	}
	return subtle.ConstantTimeCompare(sum, h.sum) == 1, nil
}

// Inspect returns scheme, cost and sizes of a PHC string, without hashing.
func Inspect(phc secret.Text) (Info, error) {
	h, err := parse(phc)
	if err != nil {
		return Info{}, fmt.Errorf("inspect a password hash: %w", err)
	}
	return Info{Params: h.Params, OutputBytes: len(h.sum)}, nil
}

// NeedsRehash reports whether the string is behind want: another scheme, less
// memory, fewer passes or iterations, a shorter salt or digest, or unreadable. A
// string that is ahead stays; rehashing never lowers a cost. Lanes are not compared:
// with the same memory they change speed, not strength.
func NeedsRehash(phc secret.Text, want Params) bool {
	h, err := parse(phc)
	return err != nil ||
		h.Scheme != want.Scheme ||
		h.SaltBytes < want.SaltBytes || len(h.sum) < outputBytes ||
		h.Memory < want.Memory || h.Time < want.Time || h.Iterations < want.Iterations
}

// Dummy returns a PHC string that no password is known to match: random salt,
// random digest, the cost of p. Verifying against it is the work done for people
// who do not exist, made once at start and kept. It costs no hash itself. It
// panics on parameters that Params.Check refuses.
func Dummy(p Params) secret.Text {
	if err := p.Check(); err != nil {
		panic("passhash: dummy: " + err.Error())
	}
	h := phc{Params: p, salt: secret.Random(p.SaltBytes).Reveal(), sum: secret.Random(outputBytes).Reveal()}
	return secret.NewText(h.encode())
}

// Stretch makes 32 bytes of a passphrase, for a key that seals one file. It fails on
// parameters outside the caps.
func Stretch(p Params, passphrase secret.Text, salt []byte) (secret.Bytes, error) {
	p.SaltBytes = len(salt)
	if err := p.Check(); err != nil {
		return secret.Bytes{}, fmt.Errorf("stretch a passphrase: %w", err)
	}
	b, err := derive(p, passphrase, salt, outputBytes)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("stretch a passphrase: %w", err)
	}
	defer clear(b)
	return secret.NewBytes(b), nil
}

// derive is the hash function itself. The caller has checked the caps.
func derive(p Params, password secret.Text, salt []byte, n int) ([]byte, error) {
	if p.Scheme == PBKDF2 {
		return pbkdf2.Key(sha256.New, password.Reveal(), salt, p.Iterations, n)
	}
	return argon2.IDKey([]byte(password.Reveal()), salt, p.Time, p.Memory, p.Parallel, uint32(n)), nil
}
