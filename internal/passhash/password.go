package passhash

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/fault"
	"writ/internal/secret"
)

// The size of a password: at most MaxPoints code points and MaxBytes bytes, both
// counted after normalisation. Nothing is ever cut off.
const (
	MaxPoints = 256
	MaxBytes  = 1024

	// maxRaw bounds the work of normalising. Decomposed Hangul takes three times
	// the bytes of its normal form, so the raw bound is wider than MaxBytes.
	maxRaw = 4 * MaxBytes
)

// Normalize checks the text of a password as it was typed and returns its NFC
// form, which is what is measured, looked up and hashed. It fails with
// fault.Invalid and the code password_text (empty, not UTF-8, a NUL) or
// password_too_long.
func Normalize(raw string) (secret.Text, error) {
	switch {
	case raw == "":
		return secret.Text{}, textFault("The password is empty.")
	case len(raw) > maxRaw:
		return secret.Text{}, tooLong()
	case !utf8.ValidString(raw):
		return secret.Text{}, textFault("The password is not valid text (UTF-8).")
	case strings.ContainsRune(raw, 0):
		return secret.Text{}, textFault("The password holds a NUL character.")
	}
	s := norm.NFC.String(raw)
	if len(s) > MaxBytes || utf8.RuneCountInString(s) > MaxPoints {
		return secret.Text{}, tooLong()
	}
	return secret.NewText(s), nil
}

// Length returns the number of Unicode code points: the length that
// auth.min-length speaks about, when t comes from Normalize.
func Length(t secret.Text) int { return utf8.RuneCountInString(t.Reveal()) }

func textFault(problem string) error {
	return fault.New(fault.Invalid, "password_text", fault.Public{
		Problem:  problem,
		Expected: "Any characters you can type, spaces and all scripts included.",
		Next:     "Type the password again or choose another one.",
	})
}

func tooLong() error {
	return fault.New(fault.Invalid, "password_too_long", fault.Public{
		Problem:  "The password is too long.",
		Expected: "At most 256 characters and 1,024 bytes.",
		Next:     "Choose a shorter one.",
	})
}
