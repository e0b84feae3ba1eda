package canon

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"writ/internal/fault"
)

var (
	errDepth = fmt.Errorf("nested deeper than %d", MaxDepth)
	errUTF8  = errors.New("a string is not UTF-8")
	errNFC   = errors.New("a string is not in normalisation form NFC")
)

// Parse reads a canonical document of at most limit bytes into the value tree;
// integers become int64. More bytes are refused with fault.TooLarge; anything that
// Encode would not write back to the very same bytes with fault.Malformed, code
// not_canonical, naming the offset.
func Parse(b []byte, limit int) (any, error) {
	if len(b) > limit {
		return nil, fault.Newf(fault.TooLarge, "document_too_large", "The document has %d bytes; at most %d are read.", len(b), limit)
	}
	p := parser{b: b}
	v, err := p.value(0)
	if err == nil && p.i != len(b) {
		err = errors.New("more follows after the value")
	}
	if err != nil {
		return nil, refuse(p.i, err)
	}
	again, err := Encode(v)
	if err != nil {
		return nil, refuse(0, err)
	}
	if !bytes.Equal(again, b) {
		return nil, refuse(firstDifference(again, b), errors.New("the canonical form differs here"))
	}
	return v, nil
}

func refuse(at int, err error) error {
	e := fault.Newf(fault.Malformed, "not_canonical", "The document is not canonical JSON (RFC 8785): byte %d: %s.", at, err)
	e.Err = err
	return e
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// parser reads the narrow grammar; i is the offset of the next byte.
type parser struct {
	b []byte
	i int
}

// peek is the next byte, or 0 at the end: NUL begins no value.
func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) value(depth int) (any, error) {
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth + 1)
	case c == '[':
		return p.array(depth + 1)
	case c == '"':
		return p.str()
	case c == '-' || '0' <= c && c <= '9':
		return p.integer()
	}
	for _, w := range [...]struct {
		text  string
		value any
	}{{"null", nil}, {"true", true}, {"false", false}} {
		if bytes.HasPrefix(p.b[p.i:], []byte(w.text)) {
			p.i += len(w.text)
			return w.value, nil
		}
	}
	if p.i == len(p.b) {
		return nil, errors.New("the document ends where a value was expected")
	}
	return nil, errors.New("no value begins here")
}

func (p *parser) integer() (any, error) {
	from := p.i
	p.take('-')
	for '0' <= p.peek() && p.peek() <= '9' {
		p.i++
	}
	if c := p.peek(); c == '.' || c == 'e' || c == 'E' {
		return nil, errors.New("a number is not an integer")
	}
	text := string(p.b[from:p.i])
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > MaxInt || n < -MaxInt {
		return nil, errors.New("a number is not an integer within 2^53-1")
	}
	if strconv.FormatInt(n, 10) != text {
		return nil, errors.New("an integer has a leading zero or is minus zero")
	}
	return n, nil
}

func (p *parser) array(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	p.i++
	list := []any{}
	if p.take(']') {
		return list, nil
	}
	for {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if p.take(']') {
			return list, nil
		}
		if !p.take(',') {
			return nil, errors.New("a comma or ] was expected")
		}
	}
}

func (p *parser) object(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	p.i++
	m := map[string]any{}
	if p.take('}') {
		return m, nil
	}
	for last := ""; ; {
		if p.peek() != '"' {
			return nil, errors.New("a key was expected")
		}
		k, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, dup := m[k]; dup {
			return nil, errors.New("a key stands twice")
		}
		if len(m) > 0 && compareKeys(last, k) > 0 {
			return nil, errors.New("the keys are not in order")
		}
		last = k
		if !p.take(':') {
			return nil, errors.New("a colon was expected")
		}
		if m[k], err = p.value(depth); err != nil {
			return nil, err
		}
		if p.take('}') {
			return m, nil
		}
		if !p.take(',') {
			return nil, errors.New("a comma or } was expected")
		}
	}
}

// str reads a string whose only escapes are those that Encode writes.
func (p *parser) str() (string, error) {
	p.i++
	var out []byte
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch {
		case c == '"':
			p.i++
			s := string(out)
			return s, checkText(s)
		case c < ' ':
			return "", errors.New("a control character in a string is not escaped")
		case c == '\\':
			e, err := p.escape()
			if err != nil {
				return "", err
			}
			out = append(out, e)
		default:
			out = append(out, c)
			p.i++
		}
	}
	return "", errors.New("a string does not end")
}

func (p *parser) escape() (byte, error) {
	rest := p.b[p.i+1:]
	for c := range byte(0x80) {
		if e := shortEscape(c); e != 0 && len(rest) > 0 && rest[0] == e {
			p.i += 2
			return c, nil
		}
	}
	if len(rest) >= 5 && string(rest[:3]) == "u00" {
		if c, err := strconv.ParseUint(string(rest[3:5]), 16, 8); err == nil && c < ' ' {
			p.i += 6
			return byte(c), nil // upper-case digits and \u000a fall to the comparison in Parse
		}
	}
	return 0, errors.New("an escape is unknown or was not needed")
}
