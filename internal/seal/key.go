package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/passhash"
	"writ/internal/secret"
)

func curve() ecdh.Curve { return ecdh.P256() }

// The kinds of a holder's key.
const (
	InFile    = "file"    // the private half is in a file that the holder keeps
	InPasskey = "passkey" // a passkey unwraps it in the browser
)

// Key is the public half of a holder's key. It names nobody.
type Key struct {
	ID      string   `json:"id"` // the first half of the SHA-256 of Public
	Kind    string   `json:"kind"`
	Public  []byte   `json:"public"` // a point of P-256, uncompressed
	Passkey *Passkey `json:"passkey,omitempty"`
}

// Passkey is what a browser needs to come to the private half.
type Passkey struct {
	Record  json.RawMessage `json:"record"`  // of the credential, as who judges passkeys writes it
	Salt    []byte          `json:"salt"`    // the input of its PRF
	Wrapped []byte          `json:"wrapped"` // the private half, under what the PRF gives: nonce (12), AES-256-GCM of PKCS #8
}

const (
	publicLen  = 65
	saltLen    = 32
	maxWrapped = 512
	maxRecord  = 8 << 10
)

// NewKey makes the key of a public half. pk is nil where it is kept in a file.
func NewKey(public []byte, pk *Passkey) (Key, error) {
	h := sha256.Sum256(public)
	k := Key{ID: hex.EncodeToString(h[:idLen/2]), Kind: InFile, Public: public, Passkey: pk}
	if pk != nil {
		k.Kind = InPasskey
	}
	return k, k.check()
}

func (k Key) check() error {
	h := sha256.Sum256(k.Public)
	if k.ID != hex.EncodeToString(h[:idLen/2]) {
		return errors.New("a key is not of its id")
	}
	if _, err := k.public(); err != nil {
		return err
	}
	p := k.Passkey
	switch {
	case k.Kind == InFile && p == nil:
		return nil
	case k.Kind == InPasskey && p != nil && len(p.Salt) == saltLen && len(p.Wrapped) > 28 && len(p.Wrapped) <= maxWrapped && len(p.Record) > 0 && len(p.Record) <= maxRecord:
		return nil
	}
	return fmt.Errorf("a key of the kind %q is not as such ones are", k.Kind)
}

func (k Key) public() (hpke.PublicKey, error) {
	if len(k.Public) != publicLen {
		return nil, fmt.Errorf("a public key has %d bytes, not %d", len(k.Public), publicLen)
	}
	p, err := kem().NewPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("read a public key: %w", err)
	}
	return p, nil
}

// linePrefix begins the line by which a holder hands in the public half.
const linePrefix = "writ-holder-1 "

// Line is the public half as one line of text.
func (k Key) Line() string { return linePrefix + base64.StdEncoding.EncodeToString(k.Public) }

// ReadLine reads what Line wrote: fault.Invalid for anything else.
func ReadLine(text string) (Key, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), linePrefix)
	b, err := base64.StdEncoding.Strict().DecodeString(rest)
	if ok && err == nil && len(b) == publicLen {
		if k, err := NewKey(b, nil); err == nil {
			return k, nil
		}
	}
	const problem = "This is not the line of a holder's key."
	return Key{}, fault.New(fault.Invalid, "holder_key", fault.Public{Problem: problem, Expected: "The one line that begins with writ-holder-1.",
		Next: "Make a key with: writ vault holder-key FILE", Fields: []fault.Field{{Name: "line", Code: "holder_key", Problem: problem + " It begins with writ-holder-1."}}})
}

// Private is a holder's key in the holder's hands.
type Private struct {
	Key
	half hpke.PrivateKey
}

// NewPrivate makes a key.
func NewPrivate() (Private, error) {
	half, err := kem().GenerateKey()
	if err != nil {
		return Private{}, fmt.Errorf("make a holder's key: %w", err)
	}
	return withHalf(half)
}

func withHalf(half hpke.PrivateKey) (Private, error) {
	k, err := NewKey(half.PublicKey().Bytes(), nil)
	return Private{Key: k, half: half}, err
}

// written is a key file. With Hash the private half is sealed under a passphrase.
type written struct {
	V      int       `json:"writ_holder_key"`
	Public []byte    `json:"public"`
	Half   []byte    `json:"private,omitempty"`
	Box    []byte    `json:"sealed,omitempty"`
	Lock   *passLock `json:"passphrase,omitempty"`
}

type passLock struct {
	Salt []byte `json:"salt"`
	Cost int    `json:"pbkdf2_sha256"`
}

// ErrPassphrase says that a key file wants a passphrase, or another one.
var ErrPassphrase = errors.New("the passphrase is missing or wrong")

var halfAt = envelope.AAD{Table: "seal_holder_key", Column: "private", Version: 1}

// Bytes is the key as a file, under a passphrase unless that is empty.
func (p Private) Bytes(passphrase secret.Text) ([]byte, error) {
	half, err := p.half.Bytes()
	if err != nil {
		return nil, fmt.Errorf("write a holder's key: %w", err)
	}
	defer clear(half)
	w := written{V: 1, Public: p.Public}
	if passphrase.Len() == 0 {
		w.Half = half
	} else {
		w.Lock = &passLock{Salt: secret.Random(saltLen).Reveal(), Cost: passhash.Default(passhash.PBKDF2, saltLen).Iterations}
		k, err := w.Lock.key(passphrase)
		if err != nil {
			return nil, err
		}
		w.Box = k.Seal(half, halfAt)
	}
	b, err := json.MarshalIndent(w, "", " ")
	return append(b, '\n'), err
}

func (l passLock) key(passphrase secret.Text) (envelope.Key, error) {
	b, err := passhash.Stretch(passhash.Params{Scheme: passhash.PBKDF2, Iterations: l.Cost, SaltBytes: len(l.Salt)}, passphrase, l.Salt)
	if err != nil {
		return envelope.Key{}, err
	}
	defer b.Wipe()
	return envelope.NewKey("passphrase", b)
}

const maxKeyFile = 4 << 10

// ReadPrivate reads a key file. ErrPassphrase where it wants another passphrase.
func ReadPrivate(b []byte, passphrase secret.Text) (Private, error) {
	var w written
	if len(b) > maxKeyFile || json.Unmarshal(b, &w) != nil || w.V != 1 || (w.Lock == nil) == (len(w.Half) == 0) {
		return Private{}, errors.New("this is no holder's key")
	}
	half := w.Half
	if w.Lock != nil {
		if passphrase.Len() == 0 {
			return Private{}, ErrPassphrase
		}
		k, err := w.Lock.key(passphrase)
		if err != nil {
			return Private{}, fmt.Errorf("read a holder's key: %w", err)
		}
		plain, err := k.Open(w.Box, halfAt)
		if err != nil {
			return Private{}, ErrPassphrase
		}
		defer plain.Wipe()
		half = plain.Reveal()
	}
	private, err := kem().NewPrivateKey(half)
	if err != nil {
		return Private{}, errors.New("this is no holder's key")
	}
	p, err := withHalf(private)
	if err == nil && string(p.Public) != string(w.Public) {
		err = errors.New("the two halves of this holder's key are not of each other")
	}
	return p, err
}

// Offer opens the holder's share and seals it for a gathering.
func (p Private) Offer(o Operation, box []byte) ([]byte, error) {
	share, err := openShare(p, o.Set, box)
	if err != nil {
		return nil, err
	}
	defer clear(share)
	to, err := kem().NewPublicKey(o.Key)
	if err != nil {
		return nil, fmt.Errorf("read the server's key: %w", err)
	}
	return hpke.Seal(to, kdf(), aead(), offerInfo(o.Sum(), p.ID), share)
}

func openShare(p Private, set string, box []byte) ([]byte, error) {
	share, err := hpke.Open(p.half, kdf(), aead(), shareInfo(set, p.ID), box)
	if err != nil {
		return nil, fmt.Errorf("open the share: %w", err)
	}
	return share, nil
}
