package keyring

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/fault"
)

// Subject is whoever a data key belongs to. It is comparable.
type Subject struct{ Kind, ID string }

// The kinds that have a constructor. Other modules may add their own, such as
// "candidate" or "incident".
const (
	kindPerson   = "person"
	kindClass    = "class"
	kindStranger = "stranger"
)

// Person is the subject of all that is known about one human.
func Person(id string) Subject { return Subject{kindPerson, id} }

// Class is the subject of data that has one key by its nature, not by its person,
// such as "identity.password".
func Class(name string) Subject { return Subject{kindClass, name} }

// Strangers is the subject of what is known about people without an account in the
// month of t (UTC). Such a key is erased month by month.
func Strangers(t time.Time) Subject { return Subject{kindStranger, t.UTC().Format("2006-01")} }

// String is "kind/id".
func (s Subject) String() string { return s.Kind + "/" + s.ID }

// IsZero reports whether there is no subject.
func (s Subject) IsZero() bool { return s == Subject{} }

// maxSubjectID bounds the id of a subject in bytes.
const maxSubjectID = 200

// check refuses a subject that could be confused with another one or cannot be shown.
func (s Subject) check() error {
	if !isWord(s.Kind) || len(s.Kind) > 40 {
		return fault.Newf(fault.Invalid, "subject_kind", "%q is no kind of subject: lower-case letters, digits and hyphens are.", s.Kind)
	}
	if s.ID == "" || len(s.ID) > maxSubjectID || !utf8.ValidString(s.ID) || strings.ContainsFunc(s.ID, unicode.IsControl) {
		return fault.Newf(fault.Invalid, "subject_id", "A subject's id has 1 to %d bytes of printable text.", maxSubjectID)
	}
	return nil
}

// mark is the subject as keys.db knows it: 128 bits of an HMAC under the index
// secret, so that neither a live row nor a tombstone says whose it is.
func (r *Ring) mark(s Subject) string {
	m := r.index.MAC("writ/keyring/subject/1", s.Kind, s.ID)
	return hex.EncodeToString(m[:16])
}

// isWord accepts kebab-case words.
func isWord(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '-'):
		default:
			return false
		}
	}
	return s != ""
}
