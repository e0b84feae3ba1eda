package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// FieldMask says how a field of a JSON document is shown.
type FieldMask struct {
	Pointer string // RFC 6901; * is any item of a list
	How     string // last4, all or email
}

// ErrDocument says that a document cannot be masked, because it is none.
var ErrDocument = errors.New("guard: not a document of JSON")

// Fields masks fields of a document and says how many. Everything else stays as it was, to
// the byte; masked values keep their kind. A field that is an object or a list is masked in
// all its values.
func Fields(doc []byte, masks []FieldMask) ([]byte, int, error) {
	if !json.Valid(doc) {
		return nil, 0, ErrDocument
	}
	f := fields{doc: doc, out: make([]byte, 0, len(doc))}
	for _, m := range masks {
		f.all = append(f.all, pattern{strings.Split(m.Pointer, "/")[1:], m.How})
	}
	if err := f.value(f.all, ""); err != nil {
		return nil, 0, err
	}
	return append(f.out, f.doc[f.at:]...), f.n, nil
}

// pattern is what is left of a pointer below a place.
type pattern struct {
	rest []string
	how  string
}

type fields struct {
	doc []byte
	at  int // first byte not copied
	out []byte
	all []pattern
	n   int
}

// skip copies white space and the bytes that stand in words, and returns the next byte.
func (f *fields) skip(words string) byte {
	for f.at < len(f.doc) && strings.IndexByte(" \t\r\n"+words, f.doc[f.at]) >= 0 {
		f.out = append(f.out, f.doc[f.at])
		f.at++
	}
	if f.at == len(f.doc) {
		return 0
	}
	return f.doc[f.at]
}

// value copies one value; below are the pointers that lead into it, how masks all of it.
func (f *fields) value(below []pattern, how string) error {
	for _, p := range below {
		if len(p.rest) == 0 && how != "all" {
			how = p.how
		}
	}
	switch c := f.skip(""); c {
	case '{', '[':
		f.out = append(f.out, c)
		f.at++
		return f.inside(c == '{', below, how)
	case '"':
		return f.scalar(f.text(), how)
	default:
		end := f.at
		for end < len(f.doc) && strings.IndexByte(" \t\r\n,]}", f.doc[end]) < 0 {
			end++
		}
		return f.scalar(end, how)
	}
}

// inside copies the members of an object or the items of a list, to its end.
func (f *fields) inside(object bool, below []pattern, how string) error {
	for {
		c := f.skip(",")
		if c == '}' || c == ']' {
			f.out = append(f.out, c)
			f.at++
			return nil
		}
		name := "*"
		if object {
			end := f.text()
			if err := json.Unmarshal(f.doc[f.at:end], &name); err != nil {
				return fmt.Errorf("%w: %w", ErrDocument, err)
			}
			name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
			f.out = append(f.out, f.doc[f.at:end]...)
			f.at = end
			f.skip(":")
		}
		var next []pattern
		for _, p := range below {
			if len(p.rest) > 0 && (p.rest[0] == name || p.rest[0] == "*") {
				next = append(next, pattern{p.rest[1:], p.how})
			}
		}
		if err := f.value(next, how); err != nil {
			return err
		}
	}
}

// text is where the string at this place ends.
func (f *fields) text() int {
	for i := f.at + 1; i < len(f.doc); i++ {
		switch f.doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(f.doc)
}

// scalar copies a value without parts, masked if how says so.
func (f *fields) scalar(end int, how string) error {
	raw := f.doc[f.at:end]
	f.at = end
	if how == "" || string(raw) == "null" {
		f.out = append(f.out, raw...)
		return nil
	}
	f.n++
	switch raw[0] {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return fmt.Errorf("%w: %w", ErrDocument, err)
		}
		b, err := json.Marshal(hidden(text, how))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDocument, err)
		}
		f.out = append(f.out, b...)
	case 't', 'f':
		f.out = append(f.out, "false"...)
	default:
		f.out = append(f.out, number(raw, how)...)
	}
	return nil
}

// hidden is what is shown of a text. How long it was shows in no way but by last4.
func hidden(text, how string) string {
	n := utf8.RuneCountInString(text)
	local, domain, address := strings.Cut(text, "@")
	switch {
	case how == "last4" && n > 4:
		i := len(text)
		for range 4 {
			_, size := utf8.DecodeLastRuneInString(text[:i])
			i -= size
		}
		return strings.Repeat("*", n-4) + text[i:]
	case how == "email" && address && local != "":
		_, size := utf8.DecodeRuneInString(local)
		return local[:size] + "****@" + domain
	}
	return "****"
}

// number is what is shown of a number: a whole one keeps its last four digits by last4.
func number(raw []byte, how string) []byte {
	if how != "last4" || len(raw) <= 4 || bytes.ContainsAny(raw, ".eE-") {
		return []byte("0")
	}
	out := bytes.Repeat([]byte("9"), len(raw))
	copy(out[len(raw)-4:], raw[len(raw)-4:])
	return out
}
