package legacy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
)

// Template says how salted SHA-256 was made: what was hashed, and how salt and digest
// are written. The zero Template is none.
type Template struct {
	text   string // {SALT}{PASSWORD} with separators
	salt   string // utf8, hex, base64: how the salt was written
	digest string // hex, base64
}

// The ways to write salt and digest.
var (
	saltWays   = []string{"utf8", "hex", "base64"}
	digestWays = []string{"hex", "base64"}
)

const (
	saltMark     = "{SALT}"
	passwordMark = "{PASSWORD}"
	maxTemplate  = 64
)

// ParseTemplate reads {SALT}{PASSWORD} or {PASSWORD}{SALT}, with separators in printable
// ASCII before, between and after; and how salt and digest are written.
func ParseTemplate(text, salt, digest string) (Template, error) {
	t := Template{text, salt, digest}
	rest := strings.Replace(strings.Replace(text, saltMark, "", 1), passwordMark, "", 1)
	switch {
	case strings.Count(text, saltMark) != 1 || strings.Count(text, passwordMark) != 1 || len(text) > maxTemplate || strings.ContainsAny(rest, "{}"):
		return Template{}, bad("template", "A template holds {SALT} once and {PASSWORD} once, with separators of up to %d characters in all.", maxTemplate)
	case strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r > '~' }):
		return Template{}, bad("template", "A separator is printable ASCII.")
	case !slices.Contains(saltWays, salt):
		return Template{}, bad("template", "A salt is written as %s.", strings.Join(saltWays, ", "))
	case !slices.Contains(digestWays, digest):
		return Template{}, bad("template", "A digest is written as %s.", strings.Join(digestWays, " or "))
	}
	return t, nil
}

// Spec is the template in one line that ReadSpec takes back.
func (t Template) Spec() string { return t.text + " salt=" + t.salt + " digest=" + t.digest }

// ReadSpec reads what Spec wrote.
func ReadSpec(spec string) (Template, error) {
	head, digest, ok := cutLast(spec, " digest=")
	text, salt, ok2 := cutLast(head, " salt=")
	if !ok || !ok2 {
		return Template{}, bad("template", "This is no template.")
	}
	return ParseTemplate(text, salt, digest)
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// IsZero reports that there is no template.
func (t Template) IsZero() bool { return t.text == "" }

// Pair is a password that somebody knows, and how it is kept.
type Pair struct {
	Password, Hash, Salt secret.Text
}

// Prove reports whether the template makes the pair's hash of the pair's password.
func (t Template) Prove(p Pair) error {
	r, err := Classify(p.Hash, p.Salt, t)
	if err != nil {
		return err
	}
	if r.Format == SaltedSHA256 {
		if sum := t.sum(p.Password.Reveal(), r.salt); subtle.ConstantTimeCompare(sum[:], r.digest.Reveal()) == 1 {
			return nil
		}
	}
	return bad("template_unproved", "The template does not make the test pair's hash of its password.")
}

// separators that are tried where no template is given.
var separators = []string{"", ":", "$", "-", "_", "|", ".", "/", "+", "@", "#", " "}

// Infer finds the one template that makes a pair's hash. More than one is a fault, as is
// none: then the template must be said.
func Infer(p Pair) (Template, error) {
	var found []Template
	for _, sep := range separators {
		for _, text := range []string{saltMark + sep + passwordMark, passwordMark + sep + saltMark} {
			for _, salt := range saltWays {
				for _, digest := range digestWays {
					t := Template{text, salt, digest}
					if t.Prove(p) == nil {
						found = append(found, t)
					}
				}
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Template{}, bad("template_unknown", "No template that is tried here makes the test pair's hash of its password. Say the template.")
	}
	return Template{}, fault.New(fault.Invalid, "template_ambiguous", fault.Public{
		Problem: fmt.Sprintf("%d templates make the test pair's hash, such as %q and %q.", len(found), found[0].Spec(), found[1].Spec()), Next: "Say which, or give a pair with a longer salt."})
}

// row reads a salted SHA-256.
func (t Template) row(hash, salt string) (Row, error) {
	if t.IsZero() {
		return Row{}, bad("template_needed", "A salted digest needs a template, proved by a test pair.")
	}
	sum, err := t.readDigest(hash)
	if err != nil {
		return Row{}, bad("digest_form", "The digest is not written as %s.", t.digest)
	}
	switch len(sum) {
	case sha256.Size:
	case 16, 20: // MD5, SHA-1
		return Row{Format: Reset}, nil
	default:
		return Row{}, bad("digest_length", "The digest has %d bytes; SHA-256 has 32.", len(sum))
	}
	raw, err := t.readSalt(salt)
	if err != nil || len(raw) == 0 {
		return Row{}, bad("salt_form", "The salt is not written as %s.", t.salt)
	}
	return Row{Format: SaltedSHA256, digest: secret.NewBytes(sum), salt: raw, tpl: t}, nil
}

func (t Template) readDigest(s string) ([]byte, error) {
	if t.digest == "hex" {
		return hex.DecodeString(strings.ToLower(s))
	}
	return readBase64(s)
}

func (t Template) readSalt(s string) ([]byte, error) {
	switch t.salt {
	case "hex":
		return hex.DecodeString(strings.ToLower(s))
	case "base64":
		return readBase64(s)
	}
	return []byte(s), nil
}

// readBase64 takes both alphabets, with padding or without.
func readBase64(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return base64.RawStdEncoding.Strict().DecodeString(s)
}

// sum makes the digest of a password.
func (t Template) sum(password string, salt []byte) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.NewReplacer(saltMark, string(salt), passwordMark, password).Replace(t.text)))
}
