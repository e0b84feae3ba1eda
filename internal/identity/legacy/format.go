package legacy

import (
	"regexp"
	"strconv"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
)

// Format is how a row's password is kept.
type Format string

// The formats. The names but Reset are values of the policy's auth.hash/import.
const (
	Argon2       Format = "argon2"
	Bcrypt       Format = "bcrypt"
	PBKDF2       Format = "pbkdf2"
	Scrypt       Format = "scrypt"
	SHACrypt     Format = "sha-crypt"
	SaltedSHA256 Format = "sha256-salted"
	Reset        Format = "reset" // too weak, or none: its owner sets a new password
)

// Formats lists what can be brought over.
func Formats() []Format { return []Format{Argon2, Bcrypt, PBKDF2, Scrypt, SHACrypt, SaltedSHA256} }

// maxHash and maxSalt bound what is read of a row.
const (
	maxHash = 512
	maxSalt = 256
)

// shape is a form of crypt(3) and its kin, with the caps on its cost.
type shape struct {
	format Format
	form   *regexp.Regexp
	cost   func(n []int) bool // of the numbers that the form takes out
}

// between reports lo <= n <= hi.
func between(n, lo, hi int) bool { return lo <= n && n <= hi }

// The caps keep a row from costing more than this server's own hash does many times over
// (256 MiB, some seconds), and from being worth nothing.
var shapes = []shape{
	{Bcrypt, regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`), func(n []int) bool { return between(n[0], 4, 14) }},
	{Argon2, regexp.MustCompile(`^\$argon2id?\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$`),
		func(n []int) bool {
			return between(n[2], 1, 16) && between(n[0], 8*n[2], 256<<10) && between(n[1], 1, 10)
		}},
	{Scrypt, regexp.MustCompile(`^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$`),
		func(n []int) bool {
			return between(n[0], 10, 18) && between(n[1], 1, 32) && between(n[2], 1, 8) && 128*n[1]<<n[0] <= 256<<20
		}},
	{PBKDF2, regexp.MustCompile(`^\$pbkdf2-sha(?:256|512)\$(\d{4,8})\$[A-Za-z0-9./+]{11,86}\$[A-Za-z0-9./+]{22,90}$`), func(n []int) bool { return between(n[0], 1000, 5_000_000) }},
	{SHACrypt, regexp.MustCompile(`^\$(?:5\$(?:rounds=(\d{4,6})\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43}|6\$(?:rounds=(\d{4,6})\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86})$`),
		func(n []int) bool { return between(max(n[0], n[1]), 0, 500_000) }},
}

// Row is what Classify found.
type Row struct {
	Format Format
	hash   secret.Text  // of crypt's kin, as it came
	digest secret.Bytes // of salted SHA-256, raw
	salt   []byte
	tpl    Template
}

// weak are forms that nobody should be let in by: unsalted, MD5, SHA-1, or plain.
var weak = regexp.MustCompile(`^(?:\$1\$|\$apr1\$|\$md5|\$sha1\$|\{(?:SHA|SSHA|MD5|SMD5|CRYPT)\}|[0-9a-fA-F]{32}$|[0-9a-fA-F]{40}$|\*[0-9A-F]{40}$)`)

// Classify says how a row's password is kept. tpl is for salted SHA-256 and may be zero.
// The fault says what is wrong and shows nothing of the row.
func Classify(hash, salt secret.Text, tpl Template) (Row, error) {
	if hash.Len() > maxHash || salt.Len() > maxSalt {
		return Row{}, bad("hash_long", "The hash has more than %d characters, or the salt more than %d.", maxHash, maxSalt)
	}
	s := strings.TrimSpace(hash.Reveal())
	if s == "" {
		return Row{Format: Reset}, nil
	}
	for _, sh := range shapes {
		m := sh.form.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		if !sh.cost(numbers(m[1:])) {
			return Row{}, bad("hash_cost", "The cost of this %s hash is beyond what is accepted.", sh.format)
		}
		if _, err := decode(sh.format, s); err != nil {
			return Row{}, bad("hash_form", "This %s hash cannot be read.", sh.format)
		}
		return Row{Format: sh.format, hash: secret.NewText(s)}, nil
	}
	if strings.HasPrefix(s, "$") && !weak.MatchString(s) {
		return Row{}, bad("hash_unknown", "The hash has a form that is not known here, or a cost that is not accepted.")
	}
	if weak.MatchString(s) || salt.IsZero() {
		return Row{Format: Reset}, nil
	}
	return tpl.row(s, salt.Reveal())
}

// numbers reads the digits that a form took out; the missing ones are 0.
func numbers(texts []string) []int {
	out := make([]int, len(texts))
	for i, t := range texts {
		out[i], _ = strconv.Atoi(t) // digits alone, and few
	}
	return out
}

func bad(code, format string, a ...any) error {
	return fault.Newf(fault.Invalid, code, format, a...)
}
