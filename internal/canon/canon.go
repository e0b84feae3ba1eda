// Package canon owns the one way Writ writes JSON that is hashed or signed: the
// JSON Canonicalization Scheme of RFC 8785, narrowed until every value has exactly
// one spelling. Policy bodies, journal leaves and approvals go through it.
//
// The value tree is nil, bool, int and int64, string, []any and map[string]any.
//
// Refuses, when writing and when reading: floats and exponents, integers beyond
// ±(2^53-1) (a reader in JavaScript would round them), strings that are not UTF-8
// in normalisation form NFC (two spellings of one visible word), duplicate keys,
// nesting deeper than 32. Parse refuses white space, keys out of order and escapes
// that were not needed too: what it accepts, Encode writes back byte for byte.
//
// Threat: two documents that look the same to people or to two parsers and have
// different hashes, or the reverse. Hash the stored bytes, never a re-encoding; the
// round trip is a check here, not a way of working.
//
// For: policy, journal and the offline verifier. Read canon.go, then parse.go.
package canon

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/fault"
)

const (
	// MaxDepth is how deep arrays and objects may nest.
	MaxDepth = 32
	// MaxInt is the greatest integer; -MaxInt is the least (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
	MaxInt = 1<<53 - 1
)

// Encode writes v in canonical form. A value outside the tree is refused with
// fault.Invalid, code value_not_canonical; the text names where, never the value.
func Encode(v any) ([]byte, error) {
	b, err := appendValue(room(v), v, 0)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "value_not_canonical", fmt.Errorf("encode canonical JSON: %w", err))
	}
	return b, nil
}

// room is where the text of a value goes: that of an object is seldom as short as the
// first bytes that it would grow from.
func room(v any) []byte {
	if m, ok := v.(map[string]any); ok {
		return make([]byte, 0, 64*len(m))
	}
	return nil
}

// MustEncode is Encode for trees whose shape and content the program itself made;
// it panics where Encode refuses.
func MustEncode(v any) []byte {
	b, err := Encode(v)
	if err != nil {
		panic(err.Error())
	}
	return b
}

func appendValue(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return appendInt(b, int64(v))
	case int64:
		return appendInt(b, v)
	case string:
		return appendString(b, v)
	case []any:
		return appendArray(b, v, depth+1)
	case map[string]any:
		return appendObject(b, v, depth+1)
	}
	return nil, fmt.Errorf("a %T is not a canonical value", v)
}

func appendInt(b []byte, n int64) ([]byte, error) {
	if n > MaxInt || n < -MaxInt {
		return nil, fmt.Errorf("an integer is beyond 2^53-1")
	}
	return strconv.AppendInt(b, n, 10), nil
}

func appendArray(b []byte, list []any, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, v, depth); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, m map[string]any, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendString(b, k); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		b = append(b, ':')
		if b, err = appendValue(b, m[k], depth); err != nil {
			return nil, fmt.Errorf("%q: %w", k, err)
		}
	}
	return append(b, '}'), nil
}

// compareKeys orders by UTF-16 code units (RFC 8785 §3.2.3). That is the order of
// the runes, but for those above U+FFFF, which begin with a surrogate and so come
// before U+E000.
func compareKeys(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			if ua, ub := firstUnit(ra), firstUnit(rb); ua != ub {
				return int(ua - ub)
			}
			return int(ra - rb)
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

func firstUnit(r rune) rune {
	if r > 0xFFFF {
		r, _ = utf16.EncodeRune(r)
	}
	return r
}

// Plain reports whether s is ASCII, which has one spelling. Most texts are.
func Plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// checkText refuses what has more than one spelling.
func checkText(s string) error {
	if Plain(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return errUTF8
	}
	if !norm.NFC.IsNormalString(s) {
		return errNFC
	}
	return nil
}

// appendString escapes what RFC 8785 §3.2.2.2 names and nothing else.
func appendString(b []byte, s string) ([]byte, error) {
	if err := checkText(s); err != nil {
		return nil, err
	}
	const hex = "0123456789abcdef"
	b = append(slices.Grow(b, len(s)+2), '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if e := shortEscape(c); e != 0 {
			b = append(b, '\\', e)
		} else {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"'), nil
}

// shortEscape is the letter after the backslash for c, or 0 where c has none.
func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\b':
		return 'b'
	case '\t':
		return 't'
	case '\n':
		return 'n'
	case '\f':
		return 'f'
	case '\r':
		return 'r'
	}
	return 0
}
