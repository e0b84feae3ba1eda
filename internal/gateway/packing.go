package gateway

import (
	"io"
	"net/http"
	"strings"
)

// coding is how a body is packed.
type coding uint8

const (
	bare coding = iota
	gzipped
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
			default:
				c = foreign
			}
		}
	}
	return c
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
