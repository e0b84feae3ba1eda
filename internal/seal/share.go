package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"writ/internal/secret"
	"writ/internal/shamir"
)

// What is sealed to a key says what it is for: a share cannot be taken for an offer, nor
// one holder's or one set's for another's.
func shareInfo(set, holder string) []byte {
	return []byte("writ/seal/share/1\x00" + set + "\x00" + holder)
}

func offerInfo(op string, holder string) []byte {
	return []byte("writ/seal/offer/1\x00" + op + "\x00" + holder)
}

func print256(b secret.Bytes) string {
	h := sha256.Sum256(b.Reveal())
	return hex.EncodeToString(h[:])
}

// Split makes a set of a root: one share for each key, sealed to it. fingerprint is the
// root's.
func Split(root secret.Bytes, fingerprint string, need int, keys []Key) (Set, error) { // clause: people.no-sole-holder
	parts, err := shamir.Split(root, need, len(keys))
	if err != nil {
		return Set{}, err
	}
	out := Set{ID: newID(), Root: fingerprint, Need: need}
	for i, k := range keys {
		defer parts[i].Wipe()
		pub, err := k.public()
		if err != nil {
			return Set{}, err
		}
		box, err := hpke.Seal(pub, kdf(), aead(), shareInfo(out.ID, k.ID), parts[i].Reveal())
		if err != nil {
			return Set{}, fmt.Errorf("seal a share: %w", err)
		}
		out.Shares = append(out.Shares, Share{Key: k, Box: box, Print: print256(parts[i])})
	}
	return out, out.check()
}

func newID() string { return hex.EncodeToString(secret.Random(idLen / 2).Reveal()) }

// The suite: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
func kem() hpke.KEM   { return hpke.DHKEM(curve()) }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }
