// Package secret holds values that must never be shown: passwords, tokens, key
// bytes. It answers one threat: a secret that reaches a log line, an error text,
// a JSON document or a debugger's %+v because somebody printed the struct around it.
//
// A value becomes a Text or Bytes at the moment it is parsed and stays one until
// the single place that must use it calls Reveal. Both types hide themselves from
// fmt, log/slog and every encoding; neither can be compared with ==, so nobody
// compares secrets in variable time by accident. The bytes lie inside a closure,
// because fmt prints unexported fields of structs without asking their methods, and
// under a verb it does not know it even follows pointers.
//
// For: every module. Read secret.go.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const shown = "[secret]"

// errMarshal is returned by every encoder: a secret in a document is a bug.
var errMarshal = errors.New("secret: a secret is never encoded")

// box keeps the value inside a closure, which no printer opens and == refuses.
type box struct{ open func() []byte }

func keep(b []byte) box { return box{open: func() []byte { return b }} }

func (b box) bytes() []byte {
	if b.open == nil {
		return nil
	}
	return b.open()
}

// Format hides the value under every verb and flag.
func (b box) Format(f fmt.State, _ rune) { io.WriteString(f, shown) }

// LogValue hides the value from log/slog.
func (b box) LogValue() slog.Value { return slog.StringValue(shown) }

// MarshalJSON refuses.
func (b box) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// MarshalText refuses.
func (b box) MarshalText() ([]byte, error) { return nil, errMarshal }

// MarshalBinary refuses.
func (b box) MarshalBinary() ([]byte, error) { return nil, errMarshal }

// IsZero reports whether the secret is empty.
func (b box) IsZero() bool { return len(b.bytes()) == 0 }

// Len returns the length in bytes.
func (b box) Len() int { return len(b.bytes()) }

// Text is a secret string: a password, a token, a link. The zero value is empty.
type Text struct{ box }

// NewText takes a secret from the outside.
func NewText(s string) Text { return Text{keep([]byte(s))} }

// Reveal returns the secret. It is the only way out; every call is a place to audit.
func (t Text) Reveal() string { return string(t.bytes()) }

// Equal compares in constant time for equal lengths.
func (t Text) Equal(o Text) bool { return subtle.ConstantTimeCompare(t.bytes(), o.bytes()) == 1 }

// UnmarshalText takes the secret from a decoded document, so that wire types can
// name a Text and the clear value never rests in a string field.
func (t *Text) UnmarshalText(b []byte) error { *t = NewText(string(b)); return nil }

// Sum is the SHA-256 of the text: what is stored of a random token.
func (t Text) Sum() [32]byte { return sha256.Sum256(t.bytes()) }

// Bytes is a secret byte string: a key, a salt that must not show. The zero value is empty.
type Bytes struct{ box }

// NewBytes takes a copy of b.
func NewBytes(b []byte) Bytes { return Bytes{keep(append([]byte(nil), b...))} }

// Reveal returns the bytes themselves, not a copy: do not change or keep them.
func (s Bytes) Reveal() []byte { return s.bytes() }

// Equal compares in constant time for equal lengths.
func (s Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(s.bytes(), o.bytes()) == 1 }

// Wipe overwrites the bytes. Copies made by the runtime are out of reach; this
// only shortens the time the value lies in memory.
func (s Bytes) Wipe() { clear(s.bytes()) }

// Random returns n random bytes from crypto/rand.
func Random(n int) Bytes {
	b := make([]byte, n)
	rand.Read(b) // never fails since Go 1.24: the runtime ends the process instead
	return Bytes{keep(b)}
}

// RandomText returns a token of n random bytes in unpadded base64url.
func RandomText(n int) Text {
	return NewText(base64.RawURLEncoding.EncodeToString(Random(n).Reveal()))
}
