package bring

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// The limits of one thing in a file of JSON.
const (
	maxItem  = 1 << 20 // bytes
	maxInner = 500     // fields, addresses and the like
)

const tooMuch = "it has more than 500 fields and addresses"

// stream reads JSON one value at a time, so that what is too much is refused before there is
// an object for each of it.
type stream struct {
	d    *json.Decoder
	text *bytes.Reader
	left int // bytes that may still be read for this value
}

var (
	errLarge = errors.New("a value is too large")
	errMany  = errors.New("too many values")
	errShape = errors.New("another shape than expected")
)

func newStream(text []byte) *stream {
	s := &stream{text: bytes.NewReader(text), left: maxItem}
	s.d = json.NewDecoder(s)
	return s
}

// Read implements io.Reader for the decoder, which keeps what it reads until a value ends.
func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 && s.text.Len() > 0 {
		return 0, errLarge
	}
	n, err := s.text.Read(p[:min(len(p), max(s.left, 1))])
	s.left -= n
	return n, err
}

func (s *stream) token() (json.Token, error) {
	s.left = maxItem
	return s.d.Token()
}

// one decodes a value of at most maxItem bytes.
func (s *stream) one(into any) error {
	s.left = maxItem
	var raw json.RawMessage
	if err := s.d.Decode(&raw); err != nil {
		return err
	}
	if len(raw) > maxItem {
		return errLarge
	}
	return json.Unmarshal(raw, into)
}

// each calls fn at every value of an object, by its key, or of a list; null is an empty one.
func (s *stream) each(kind json.Delim, fn func(key string) error) error {
	t, err := s.token()
	if err != nil || t == nil {
		return err
	}
	if t != kind {
		return errShape
	}
	for s.d.More() {
		key := ""
		if kind == '{' {
			if t, err = s.token(); err != nil {
				return err
			}
			key, _ = t.(string)
		}
		if err := fn(key); err != nil {
			return err
		}
	}
	_, err = s.token()
	return err
}

// whole is each of an object that is all of the text.
func (s *stream) whole(fn func(key string) error) error {
	if err := s.each('{', fn); err != nil {
		return err
	}
	if _, err := s.token(); !errors.Is(err, io.EOF) {
		return errShape
	}
	return nil
}

// skip passes over a value.
func (s *stream) skip() error {
	var v json.RawMessage
	return s.one(&v)
}

// told is what is said of a file that could not be read; other says it of another shape.
func told(err error, other string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLarge):
		return bad("One of the things in the file is larger than 1 MiB.")
	case errors.Is(err, errMany):
		return tooMany()
	}
	return bad(other)
}
