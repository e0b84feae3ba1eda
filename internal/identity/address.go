package identity

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"writ/internal/fault"
)

// Address is an e-mail address that passed ParseAddress.
type Address struct {
	Text string // as mail is sent to it: the local part as typed, the domain as lower-case A-labels
	Key  string // what makes it unique: NFC, case-folded local part
}

// Domain is the part after the @, in lower-case A-labels.
func (a Address) Domain() string { return a.Text[strings.LastIndexByte(a.Text, '@')+1:] }

const (
	maxAddress = 254 // RFC 5321 §4.5.3.1.3
	maxLocal   = 64
)

// ParseAddress reads one bare address, stricter than RFC 5322: no display name, no
// quoted local part, no control character, a domain with a dot. It fails with
// fault.Invalid, code email_invalid. Dots and +tags are kept: whether they matter is
// the mail server's business, and dropping them takes accounts over.
func ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if len(s) > 4*maxAddress || !utf8.ValidString(s) {
		return Address{}, emailInvalid("It is too long or not text.")
	}
	s = norm.NFC.String(s)
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return Address{}, emailInvalid("An address has a name, an @ and a domain.")
	}
	local, domain := s[:at], s[at+1:]
	if strings.ContainsFunc(local, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || !unicode.IsGraphic(r) || strings.ContainsRune(`"\<>()[]:;,@`, r)
	}) {
		return Address{}, emailInvalid("The part before the @ holds a character that is not taken here.")
	}
	domain, err := domainOf(domain)
	if err != nil {
		return Address{}, err
	}
	text := local + "@" + domain
	if len(local) > maxLocal || len(text) > maxAddress {
		return Address{}, emailInvalid("It is too long.")
	}
	if p, err := mail.ParseAddress(text); err != nil || p.Name != "" || p.Address != text {
		return Address{}, emailInvalid("")
	}
	return Address{Text: text, Key: fold(local) + "@" + domain}, nil // clause: auth.unique-login
}

// fold makes spellings equal that differ in case. Folding can undo NFC, and composing
// can open new folds, so it is repeated until nothing changes.
func fold(s string) string {
	for range 4 {
		t := norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
		if t == s {
			break
		}
		s = t
	}
	return s
}

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// domainOf returns the domain as lower-case A-labels. An address literal is refused.
func domainOf(s string) (string, error) {
	d, err := idna.Lookup.ToASCII(s)
	if err != nil || len(d) > 253 {
		return "", emailInvalid("The domain is not one.")
	}
	d = strings.ToLower(d)
	labels := strings.Split(d, ".")
	if len(labels) < 2 {
		return "", emailInvalid("The domain has no dot.")
	}
	for _, l := range labels {
		if !label.MatchString(l) {
			return "", emailInvalid("The domain is not one.")
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", emailInvalid("The domain is not one.")
	}
	return d, nil
}

func emailInvalid(why string) error {
	problem := "This is not an e-mail address we can use."
	return fault.New(fault.Invalid, "email_invalid", fault.Public{
		Problem:  problem,
		Expected: "One address such as ana@example.com.",
		Next:     "Correct the address and try again.",
		Fields:   []fault.Field{{Name: "email", Code: "email_invalid", Problem: strings.TrimSpace(problem + " " + why)}},
	})
}
