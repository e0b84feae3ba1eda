// Package totp makes and checks time-based one-time codes (RFC 6238): six digits, 30
// seconds, a seed of 160 bits. It is pure: the caller gives the time, keeps the seed
// sealed, and stores the step of an accepted code, so that a code works once.
//
// HMAC-SHA-1 is what every app knows. A process that runs under a FIPS 140-3 module
// makes seeds for HMAC-SHA-256 instead; some apps pass over that part of the address
// and show wrong codes, so the page says to try a code first (enrolment needs one).
//
// For: identity. Read totp.go, picture.go.
package totp

import (
	"crypto/fips140"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"writ/internal/secret"
)

// Alg is the hash of the HMAC.
type Alg byte

// The algorithms, as they are stored.
const (
	SHA1   Alg = 1
	SHA256 Alg = 2
)

// String is the name in an otpauth address.
func (a Alg) String() string {
	if a == SHA256 {
		return "SHA256"
	}
	return "SHA1"
}

func (a Alg) otp() otp.Algorithm {
	if a == SHA256 {
		return otp.AlgorithmSHA256
	}
	return otp.AlgorithmSHA1
}

// Period is how long a code stands; Digits how many there are.
const (
	Period = 30 * time.Second
	Digits = 6
)

// Seed is the secret that server and app share.
type Seed struct {
	Alg Alg
	Key secret.Bytes
}

// New draws a seed for the algorithm that this process may use.
func New() Seed {
	if fips140.Enabled() {
		return Seed{SHA256, secret.Random(32)}
	}
	return Seed{SHA1, secret.Random(20)}
}

// Step is the number of the period that t lies in.
func Step(t time.Time) int64 { return t.Unix() / int64(Period/time.Second) }

var errUnusable = errors.New("totp: the seed cannot be used")

// Code is the code of a step.
func (s Seed) Code(step int64) (string, error) {
	if s.Key.Len() < 16 || step < 0 || s.Alg != SHA1 && s.Alg != SHA256 {
		return "", errUnusable
	}
	if s.Alg == SHA1 && fips140.Enforced() {
		return "", fmt.Errorf("%w: HMAC-SHA-1 is not allowed in this process", errUnusable)
	}
	return hotp.GenerateCodeCustom(s.Text().Reveal(), uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: s.Alg.otp()})
}

// Match finds the step whose code was typed, among the one before now, now and the one
// after; the latest when there are two. It takes the same time for each answer.
func (s Seed) Match(typed secret.Text, now time.Time) (step int64, ok bool, err error) {
	code := []byte(Clean(typed.Reveal()))
	at := Step(now)
	for n := at - 1; n <= at+1; n++ {
		want, err := s.Code(n)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare(code, []byte(want)) == 1 {
			step, ok = n, true
		}
	}
	return step, ok, nil
}

// Clean takes the spaces out of a typed code: apps show "123 456".
func Clean(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, code)
}

var noPadding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Text is the seed as people type it into an app.
func (s Seed) Text() secret.Text { return secret.NewText(noPadding.EncodeToString(s.Key.Reveal())) }

// Spaced is Text in groups of four.
func (s Seed) Spaced() secret.Text {
	var b strings.Builder
	for i, r := range s.Text().Reveal() {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return secret.NewText(b.String())
}

// URI is the address that apps read from a picture. It holds the seed.
func (s Seed) URI(issuer, account string) secret.Text {
	v := url.Values{"secret": {s.Text().Reveal()}, "issuer": {issuer}, "algorithm": {s.Alg.String()}, "digits": {"6"}, "period": {"30"}}
	label := url.PathEscape(issuer) + ":" + url.PathEscape(account)
	return secret.NewText("otpauth://totp/" + label + "?" + strings.ReplaceAll(v.Encode(), "+", "%20"))
}

// Bytes is the seed as it is sealed: the algorithm, then the key.
func (s Seed) Bytes() secret.Bytes {
	return secret.NewBytes(append([]byte{byte(s.Alg)}, s.Key.Reveal()...))
}

// FromBytes reads what Bytes made.
func FromBytes(b secret.Bytes) (Seed, error) {
	raw := b.Reveal()
	if len(raw) < 17 || raw[0] != byte(SHA1) && raw[0] != byte(SHA256) {
		return Seed{}, errUnusable
	}
	return Seed{Alg(raw[0]), secret.NewBytes(raw[1:])}, nil
}

// maxText bounds what Parse reads.
const maxText = 2048

// Parse reads an otpauth address or a seed in text, as a person pastes it. It takes what
// New makes: codes of six digits every 30 seconds.
func Parse(text string) (Seed, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxText {
		return Seed{}, errUnusable
	}
	s := Seed{Alg: SHA1}
	if strings.HasPrefix(strings.ToLower(text), "otpauth:") {
		u, err := url.Parse(text)
		if err != nil || !strings.EqualFold(u.Host, "totp") {
			return Seed{}, errUnusable
		}
		q := u.Query()
		for name, want := range map[string]string{"digits": "6", "period": "30"} {
			if got := q.Get(name); got != "" && got != want {
				return Seed{}, errUnusable
			}
		}
		switch strings.ToUpper(q.Get("algorithm")) {
		case "", "SHA1":
		case "SHA256":
			s.Alg = SHA256
		default:
			return Seed{}, errUnusable
		}
		text = q.Get("secret")
	}
	key, err := noPadding.DecodeString(strings.TrimRight(strings.ToUpper(Clean(text)), "="))
	if err != nil || len(key) < 16 || len(key) > 128 {
		return Seed{}, errUnusable
	}
	s.Key = secret.NewBytes(key)
	return s, nil
}
