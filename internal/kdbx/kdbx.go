package kdbx

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"writ/internal/fault"
	"writ/internal/secret"
)

// The limits of a file.
const (
	MaxFile     = 64 << 20
	MaxKeyFile  = 1 << 20
	maxUnpacked = 64 << 20
	maxThreads  = 64
)

// Limits are what a derivation may take.
type Limits struct {
	Memory uint64 // bytes
	Work   uint64 // bytes that Argon2 goes over in all its passes
	Rounds uint64 // of AES
}

// Alone are the limits on the machine of who opens a file, Shared those where others wait.
var (
	Alone  = Limits{Memory: 1 << 30, Work: 256 << 30, Rounds: 1 << 32}
	Shared = Limits{Memory: 256 << 20, Work: 16 << 30, Rounds: 1 << 28}
)

// Key is what opens a database.
type Key struct {
	Password secret.Text
	File     secret.Bytes // of a key; empty = there is none
}

var magic = []byte{0x03, 0xd9, 0xa2, 0x9a, 0x67, 0xfb, 0x4b, 0xb5}

// Is reports whether a file begins as databases of KeePass 2 do.
func Is(file []byte) bool { return bytes.HasPrefix(file, magic) }

// Open gives the XML that a database holds. What cannot be opened is fault.Invalid.
func Open(file []byte, key Key, l Limits) (secret.Bytes, error) { // clause: vault.company-creds
	if len(file) > MaxFile {
		return secret.Bytes{}, bad("kdbx_large", "The database is larger than 64 MiB.")
	}
	h, rest, err := readHeader(file)
	if err != nil {
		return secret.Bytes{}, err
	}
	if err := h.kdf.check(l); err != nil {
		return secret.Bytes{}, err
	}
	if h.major == 4 {
		if len(rest) < 64 {
			return secret.Bytes{}, errCut
		}
		if sum := sha256.Sum256(h.raw); !bytes.Equal(sum[:], rest[:32]) {
			return secret.Bytes{}, errCut // before any work that the header asks for
		}
	}
	composite, err := key.composite()
	if err != nil {
		return secret.Bytes{}, err
	}
	derived, err := h.kdf.derive(composite)
	if err != nil {
		return secret.Bytes{}, err
	}
	plain, err := h.body(derived, rest)
	if err != nil {
		return secret.Bytes{}, err
	}
	return h.content(plain)
}

func bad(code, problem string, fields ...fault.Field) error {
	return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: "A database of KeePass 2 (KDBX 3.1 or 4) that a password, a key file or both open.",
		Next: "Export it from KeePass as XML, and delete that file afterwards.", Fields: fields})
}

var errCut = bad("kdbx_broken", "The database is cut off, or is none of KeePass 2.")

func wrongKey() error {
	const problem = "The password or the key file is not the database's."
	return fault.New(fault.Invalid, "kdbx_password", fault.Public{Problem: problem, Expected: "Its password, and its key file where it has one.", Next: "Try it again.",
		Fields: []fault.Field{{Name: "password", Code: "kdbx_password", Problem: problem}}})
}

// number reads a whole number of 4 or 8 bytes.
func number(b []byte) (uint64, bool) {
	switch len(b) {
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	case 8:
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}
