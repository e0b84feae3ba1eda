package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"writ/internal/gateway/guard"
)

// coding is how a body is packed.
type coding uint8

const (
	bare coding = iota
	gzipped
	brotlied
	foreign // in a way that is not opened here, or in several
)

// packing reads all that is said of a body's packing. A reader takes the lines of the header
// together: one that says identity does not hide the next.
func packing(h http.Header) coding { // clause: data.no-card
	c := bare
	for _, line := range h["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.TrimSpace(name); {
			case name == "" || strings.EqualFold(name, "identity"):
			case c == bare && (strings.EqualFold(name, "gzip") || strings.EqualFold(name, "x-gzip")):
				c = gzipped
			case c == bare && strings.EqualFold(name, "br"):
				c = brotlied
			default:
				c = foreign
			}
		}
	}
	return c
}

// unbrotli opens a body, as long as there is room for what reading it takes.
func (g *Gateway) unbrotli(body io.ReadCloser, ratio int64) (*roomyBody, error) {
	if !g.room.take(guard.BrotliRoom) {
		return nil, errFull
	}
	return &roomyBody{plain: guard.Unbrotli(body, ratio), from: body, room: &g.room}, nil
}

// roomyBody gives its room back when it has come to its end, or is closed.
type roomyBody struct {
	plain io.Reader
	from  io.Closer
	room  *room
	once  sync.Once
}

// Read implements io.Reader.
func (b *roomyBody) Read(p []byte) (int, error) {
	n, err := b.plain.Read(p)
	if err != nil {
		b.free()
	}
	return n, err //nolint:wrapcheck // told apart by bodyFault
}

// Close implements io.Closer.
func (b *roomyBody) Close() error {
	b.free()
	return b.from.Close() //nolint:wrapcheck // the body's own
}

func (b *roomyBody) free() { b.once.Do(func() { b.room.used.Add(-guard.BrotliRoom) }) }

// plainly opens an answer that is packed though it was not asked to be, or not in this way: it
// goes on as what it holds.
func (v *visit) plainly(res *http.Response, how coding) error {
	switch how {
	case gzipped:
		res.Body = struct {
			io.Reader
			io.Closer
		}{guard.Unpack(res.Body, answerRatio), res.Body}
	case brotlied:
		b, err := v.g.unbrotli(res.Body, answerRatio)
		if err != nil {
			return fmt.Errorf("%w: %w", guard.ErrPacked, err)
		}
		res.Body = b
	default:
		return nil
	}
	changed(res.Header)
	delete(res.Header, "Content-Encoding")
	delete(res.Header, "Content-Length")
	res.ContentLength = -1
	return nil
}

// boundBody ends a body that is longer, once unpacked, than a body may be.
type boundBody struct {
	io.Reader
	io.Closer
	left int64
}

// Read implements io.Reader.
func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errLarge
	}
	return n, err //nolint:wrapcheck // told apart by bodyFault
}
