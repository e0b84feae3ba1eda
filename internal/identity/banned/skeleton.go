package banned

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxPoints = 256 // of a password
	maxFolded = 512 // after decomposition; one code point can become eighteen
)

// fold takes case, accents and width away. At most maxPoints code points count.
func fold(s string) []rune { return foldInto(nil, s) }

// foldInto is fold into the space of dst, for loading millions of entries.
func foldInto(dst []rune, s string) []rune {
	out := dst[:0]
	if isASCII(s) && len(s) <= maxPoints { // almost every entry and password
		for i := range len(s) {
			out = append(out, lower(rune(s[i])))
		}
		return out
	}
	in := []rune(s)
	in = in[:min(len(in), maxPoints)]
	wide := []rune(norm.NFKD.String(string(in)))
	if len(wide) > maxFolded {
		wide = in
	}
	for _, r := range wide {
		if !unicode.Is(unicode.Mn, r) {
			out = append(out, lower(unicode.ToUpper(r)))
		}
	}
	return out
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func lower(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(r)
}

// look maps a folded rune to the letter that stands for all it looks like. Where
// one sign is written for several letters (1 for i and l, 7 for l and t), those
// letters are one; so nothing is ever tried twice. What it returns it leaves alone.
func look(r rune) rune {
	switch r {
	case '4', '@':
		return 'a'
	case '8':
		return 'b'
	case '(', '{', '[', '<':
		return 'c'
	case '3', '€':
		return 'e'
	case '6', '9':
		return 'g'
	case '1', '!', '|', 'l', '7', '+', 't':
		return 'i'
	case '0':
		return 'o'
	case '5', '$':
		return 's'
	case '%':
		return 'x'
	case '2':
		return 'z'
	}
	return r
}

func skeleton(r []rune) []rune {
	out := make([]rune, len(r))
	for i, c := range r {
		out[i] = look(c)
	}
	return out
}

// collapse leaves one of several like runes in a row. Like is what looks alike,
// but for the wide class i-l-t: "title" must not become "ie".
func collapse(r []rune) []rune { return collapseInto(nil, r) }

func collapseInto(dst, r []rune) []rune {
	out := dst[:0]
	for i, c := range r {
		if i > 0 && (c == r[i-1] || look(c) == look(r[i-1]) && look(c) != 'i') {
			continue
		}
		out = append(out, c)
	}
	return out
}

// key is what is kept of an entry: the first eight bytes of the SHA-256 of its skeleton.
// The runes may be folded only or mapped already.
type key uint64

func keyOf(r []rune) key {
	var buf [64]byte
	b := buf[:0]
	for _, c := range r {
		b = utf8.AppendRune(b, look(c))
	}
	sum := sha256.Sum256(b)
	return key(binary.BigEndian.Uint64(sum[:8]))
}

// set is a sorted list of keys.
type set []key

func (s set) has(k key) bool {
	_, ok := slices.BinarySearch(s, k)
	return ok
}
