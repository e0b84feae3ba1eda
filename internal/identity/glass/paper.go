package glass

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// Paper is a share as its holder keeps it, on paper or in a password manager.
type Paper struct {
	Company string
	Holder  string
	Number  int // of the set
	Place   int // of the share in it
	Need    int
	Of      int
	Made    time.Time
	Text    secret.Text
}

// The text of a share, in the alphabet of Crockford, in groups of four:
//
//	version (1 byte) | number of the set (2, big endian) | share (33) | check (4)
//
// which are 64 characters. The check is the beginning of a SHA-256 over what stands before
// it: a typing error is named before anything is looked up.
const (
	paperVersion = 1
	checkLen     = 4
	paperLen     = 1 + 2 + shamir.ShareLen + checkLen
	textLen      = paperLen * 8 / 5
	group        = 4
	maxTyped     = 512
	maxNumber    = 1<<16 - 1
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var alphabet = base32.NewEncoding(crockford).WithPadding(base32.NoPadding)

// write makes the text of a share.
func write(number int, share secret.Bytes) secret.Text {
	b := append(binary.BigEndian.AppendUint16([]byte{paperVersion}, uint16(number)), share.Reveal()...)
	b = append(b, checkOf(b)...)
	defer clear(b)
	return secret.NewText(grouped(alphabet.EncodeToString(b)))
}

func checkOf(b []byte) []byte {
	h := sha256.Sum256(append([]byte("writ break-glass share\x00"), b...))
	return h[:checkLen]
}

// grouped puts a dash after every four characters.
func grouped(s string) string {
	var out strings.Builder
	for i, r := range s {
		if i > 0 && i%group == 0 {
			out.WriteByte('-')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// plain is what somebody typed without spaces and dashes, in capitals, with the letters
// that look like digits read as those.
func plain(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(" -\t\r\n\u00a0", r):
			return -1
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		switch r {
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, typed)
}

// read is the share that a holder typed, and the number of the set it says it is of. Every
// typing error is fault.Invalid, share_text.
func read(typed secret.Text) (number int, share secret.Bytes, err error) {
	if typed.Len() > maxTyped || !utf8.ValidString(typed.Reveal()) {
		return 0, share, mistyped("This is no share: it is too long, or no text.")
	}
	text := plain(typed.Reveal())
	for i, r := range []rune(text) {
		if !strings.ContainsRune(crockford, r) {
			return 0, share, mistyped(fmt.Sprintf("Character %d, in group %d, is none that a share has.", i+1, i/group+1))
		}
	}
	if len(text) != textLen {
		return 0, share, mistyped(fmt.Sprintf("A share has %d characters, and these are %d.", textLen, len(text)))
	}
	b, err := alphabet.DecodeString(text)
	if err != nil {
		return 0, share, mistyped("This is no share.")
	}
	defer clear(b)
	body, check := b[:paperLen-checkLen], b[paperLen-checkLen:]
	if !bytes.Equal(checkOf(body), check) {
		return 0, share, mistyped("A character is wrong: the check at the end of the share does not fit.")
	}
	share = secret.NewBytes(body[3:])
	if body[0] != paperVersion || shamir.Check(share) != nil {
		return 0, secret.Bytes{}, mistyped("This share is of another kind than this server reads.")
	}
	return int(binary.BigEndian.Uint16(body[1:3])), share, nil
}

func mistyped(problem string) error {
	return fault.New(fault.Invalid, "share_text", fault.Public{Problem: problem, Expected: "The 16 groups of four characters on your paper.", Next: "Look at your paper and type the share again.",
		Fields: []fault.Field{{Name: "share", Code: "share_text", Problem: problem + " Look at your paper and type it again."}}})
}
