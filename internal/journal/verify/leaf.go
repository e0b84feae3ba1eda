package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"writ/internal/canon"
	"writ/internal/merkle"
)

// Leaf is one entry as it stands in the tree: the number and time that the sequencer
// gave, around the body that the change wrote.
type Leaf struct {
	N      int64          // place in the journal, from 0
	Stream string         // the name of the event
	SN     int64          // number within the stream, from 1
	At     int64          // when it was numbered, µs UTC; never decreasing
	Body   map[string]any // canonical tree: id, happened, actor, kind, act, object, clause, rev, reason, f …
}

// ParseLeaf reads a leaf in its only spelling.
func ParseLeaf(b []byte) (Leaf, error) {
	v, err := canon.Parse(b, merkle.MaxLeaf)
	if err != nil {
		return Leaf{}, fmt.Errorf("read leaf: %w", err)
	}
	m, _ := v.(map[string]any)
	l := Leaf{N: -1}
	version, ok0 := m["v"].(int64)
	n, ok1 := m["n"].(int64)
	stream, ok2 := m["stream"].(string)
	sn, ok3 := m["sn"].(int64)
	at, ok4 := m["at"].(int64)
	body, ok5 := m["body"].(map[string]any)
	if len(m) != 6 || !(ok0 && ok1 && ok2 && ok3 && ok4 && ok5) || version != 1 || n < 0 || sn < 1 || stream == "" {
		return l, errors.New("read leaf: it is not an envelope of version 1 around a body")
	}
	return Leaf{N: n, Stream: stream, SN: sn, At: at, Body: body}, nil
}

// Text is a text member of the body, "" where there is none.
func (l Leaf) Text(name string) string { s, _ := l.Body[name].(string); return s }

// Field is a field of the event: a plain value, or {"c": commitment}.
func (l Leaf) Field(name string) any { f, _ := l.Body["f"].(map[string]any); return f[name] }

// Commitment returns the commitment v holds, and whether v is one.
func Commitment(v any) (string, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	c, ok := m["c"].(string)
	return c, ok
}

// Opens checks that salt and value open the commitment: SHA-256 of "writ/commit/1",
// the length of the name in two bytes, the name, the salt of 32 bytes, and the value in
// canonical JSON.
func Opens(commitment, name, salt string, value any) error {
	s, err := base64.RawURLEncoding.Strict().DecodeString(salt)
	if err != nil || len(s) != 32 || len(name) > 0xFFFF {
		return errors.New("the salt is not 32 bytes")
	}
	b, err := canon.Encode(value)
	if err != nil {
		return err
	}
	h := sha256.New()
	h.Write([]byte("writ/commit/1"))
	h.Write([]byte{byte(len(name) >> 8), byte(len(name))})
	h.Write([]byte(name))
	h.Write(s)
	h.Write(b)
	if base64.RawURLEncoding.EncodeToString(h.Sum(nil)) != commitment {
		return errors.New("the value does not match its commitment")
	}
	return nil
}

// Opening is one opened field.
type Opening struct {
	Name, Salt string
	Value      any
}

// ParseOpened reads the opened fields of one leaf: {"f": {name: {"s","v"}}, "reason": {"s","v"}},
// either part optional. It is also the form of a payload before it is sealed.
func ParseOpened(b []byte) ([]Opening, error) {
	v, err := canon.Parse(b, 2<<20)
	if err != nil {
		return nil, fmt.Errorf("read opened fields: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("read opened fields: not an object")
	}
	fields := map[string]any{}
	for k, part := range m {
		f, isObject := part.(map[string]any)
		switch {
		case k == "f" && isObject:
			for name, o := range f {
				fields["f."+name] = o
			}
		case k == "reason":
			fields["reason"] = part
		default:
			return nil, fmt.Errorf("read opened fields: unknown part %q", k)
		}
	}
	var out []Opening
	for name, o := range fields {
		pair, _ := o.(map[string]any)
		salt, ok := pair["s"].(string)
		value, has := pair["v"]
		if !ok || !has || len(pair) != 2 {
			return nil, fmt.Errorf("read opened fields: %s is not a salt and a value", name)
		}
		out = append(out, Opening{name, salt, value})
	}
	return out, nil
}

// Check compares the opened fields with the commitments of the leaf.
func (l Leaf) Check(opened []Opening) error {
	for _, o := range opened {
		name, held := o.Name, l.Body["reason"]
		if len(name) > 2 && name[:2] == "f." {
			name, held = name[2:], l.Field(name[2:])
		}
		c, ok := Commitment(held)
		if !ok {
			return fmt.Errorf("the entry holds no commitment for %s", name)
		}
		if err := Opens(c, name, o.Salt, o.Value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
