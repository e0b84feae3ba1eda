package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"writ/internal/fault"
	"writ/internal/secret"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// The purposes a subkey can have. They end in NUL, labels follow them.
const (
	forSeal = domain + "/seal\x00"
	forSub  = domain + "/derive\x00"
	forMAC  = domain + "/mac\x00"
)

// Key seals and opens boxes and makes pseudonyms. It shows its id, never its
// bytes: everything lies behind a pointer, because fmt prints the unexported
// fields of a struct around it without asking. It is safe for concurrent use; it
// cannot be compared with ==. The zero Key opens nothing.
type Key struct {
	_ [0]func()
	p *key
}

type key struct {
	id     string
	header []byte
	secret secret.Bytes
	aead   cipher.AEAD
	seals  atomic.Int64 // boxes made by this copy of the key
}

// NewKey makes a Key of 32 secret bytes under an id of 1 to 64 bytes. The id is
// written into every box in clear. Anything else is refused with fault.Invalid.
func NewKey(id string, k secret.Bytes) (Key, error) {
	if len(id) < 1 || len(id) > MaxKeyID {
		return Key{}, fault.Newf(fault.Invalid, "key_id", "A key id has 1 to %d bytes; this one has %d.", MaxKeyID, len(id))
	}
	if k.Len() != KeySize {
		return Key{}, fault.Newf(fault.Invalid, "key_size", "A key has %d bytes; this one has %d.", KeySize, k.Len())
	}
	own := secret.NewBytes(k.Reveal())
	block, err := aes.NewCipher(expand(own, forSeal).Reveal())
	if err != nil {
		return Key{}, fmt.Errorf("make cipher of key %q: %w", id, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, fmt.Errorf("make cipher of key %q: %w", id, err)
	}
	header := append([]byte{version, byte(len(id))}, id...)
	return Key{p: &key{id: id, header: header, secret: own, aead: aead}}, nil
}

// ID is the id that the boxes of this key carry; empty for the zero Key.
func (k Key) ID() string {
	if k.p == nil {
		return ""
	}
	return k.p.id
}

// Seals is how many boxes this copy of the key has made: random nonces serve a
// bounded number, and whoever keeps the key counts.
func (k Key) Seals() int64 {
	if k.p == nil {
		return 0
	}
	return k.p.seals.Load()
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.p == nil }

// Derive returns the 32-byte subkey with this label (HKDF-SHA256, RFC 5869). The
// same key and label always give the same subkey. It panics on a zero Key.
func (k Key) Derive(label string) secret.Bytes {
	if k.p == nil {
		panic("envelope: derive from a zero key")
	}
	return expand(k.p.secret, forSub+label)
}

// MAC returns HMAC-SHA256 over the parts, each with its length, under the subkey
// for this label: a pseudonym, or a blind index to look a sealed value up by. MAC
// and Derive of one label use different subkeys. It panics on a zero Key.
func (k Key) MAC(label string, parts ...string) [32]byte {
	if k.p == nil {
		panic("envelope: mac with a zero key")
	}
	h := hmac.New(sha256.New, expand(k.p.secret, forMAC+label).Reveal())
	var b []byte
	b = binary.BigEndian.AppendUint32(b, uint32(len(parts)))
	for _, s := range parts {
		b = appendPart(b, s)
	}
	h.Write(b)
	return [32]byte(h.Sum(nil))
}

// Wipe overwrites the key's own bytes, after which Derive and MAC give nothing of
// worth. The cipher's schedule and copies by the runtime are out of reach; this
// only shortens the time that a destroyed key lies in memory.
func (k Key) Wipe() {
	if k.p != nil {
		k.p.secret.Wipe()
	}
}

// expand is HKDF-SHA256 without salt: the input is a uniform key already.
func expand(k secret.Bytes, info string) secret.Bytes {
	b, err := hkdf.Key(sha256.New, k.Reveal(), nil, info, KeySize)
	if err != nil {
		panic("envelope: " + err.Error()) // 32 bytes of SHA-256 are always within HKDF's limit
	}
	out := secret.NewBytes(b)
	clear(b)
	return out
}

// Format shows the id under every verb and flag, and nothing else.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[key %q]", k.ID()) }

// LogValue shows the id.
func (k Key) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

var errMarshal = errors.New("envelope: a key is never encoded")

// MarshalJSON refuses.
func (k Key) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// MarshalText refuses.
func (k Key) MarshalText() ([]byte, error) { return nil, errMarshal }

// MarshalBinary refuses.
func (k Key) MarshalBinary() ([]byte, error) { return nil, errMarshal }
