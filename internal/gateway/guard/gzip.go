package guard

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
)

// ErrPacked says that something packed cannot be unpacked, or grows beyond its ratio.
var ErrPacked = errors.New("guard: cannot be unpacked")

const slack = 64 << 10 // bytes that may come out whatever went in

// Unpacked reads gzip or Brotli. What comes out is no more than ratio times what went in.
type Unpacked struct {
	from  counted
	open  func(io.Reader) (io.Reader, error)
	plain io.Reader
	ratio int64
	out   int64
}

// Unpack makes an Unpacked. The head is read with the first bytes.
func Unpack(from io.Reader, ratio int64) *Unpacked {
	return &Unpacked{from: counted{from: from}, ratio: ratio, open: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }} //nolint:wrapcheck // by why
}

// BrotliRoom is what reading Brotli takes of memory at most, in bytes: the window that a stream
// may ask for, 4 MiB (RFC 7932 allows 16), and its tables.
const (
	BrotliRoom    = 5 << 20
	brotliWindows = 22 // bits, which is what compressors take by themselves
)

// Unbrotli is Unpack for Brotli.
func Unbrotli(from io.Reader, ratio int64) *Unpacked {
	return &Unpacked{from: counted{from: from}, ratio: ratio, open: openBrotli}
}

// openBrotli looks at the window first, which stands in the first byte (RFC 7932, 9.1).
func openBrotli(r io.Reader) (io.Reader, error) {
	var head [1]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err //nolint:wrapcheck // by why
	}
	if n := head[0] >> 1 & 7; head[0]&1 == 1 && 17+int(n) > brotliWindows {
		return nil, fmt.Errorf("a window of 2^%d bytes", 17+n)
	}
	return brotli.NewReader(io.MultiReader(bytes.NewReader(head[:]), r)), nil
}

// Read implements io.Reader. Errors of the source come as they are; others are ErrPacked.
func (u *Unpacked) Read(p []byte) (int, error) {
	if u.plain == nil {
		z, err := u.open(&u.from)
		if err != nil {
			return 0, u.why(err)
		}
		u.plain = z
	}
	n, err := u.plain.Read(p)
	if u.out += int64(n); u.out > slack+u.ratio*u.from.n {
		return 0, fmt.Errorf("%w: it grows more than %d-fold", ErrPacked, u.ratio)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // gzip returns it bare
		err = u.why(err)
	}
	return n, err
}

func (u *Unpacked) why(err error) error {
	if u.from.err != nil && u.from.err != io.EOF { //nolint:errorlint // a wrapped end is not the end
		return u.from.err
	}
	return fmt.Errorf("%w: %w", ErrPacked, err)
}

type counted struct {
	from io.Reader
	n    int64
	err  error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err //nolint:wrapcheck // told apart by why
}

// packers are kept: one takes 800 KB.
var packers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one of its own
	}
	return z
}}

// Packer writes gzip.
type Packer struct {
	z   *gzip.Writer
	out []byte
}

// NewPacker makes a Packer; End gives it back.
func NewPacker() *Packer {
	p := &Packer{z: packers.Get().(*gzip.Writer)}
	p.z.Reset(p)
	return p
}

// Write implements io.Writer for the packer's own use.
func (p *Packer) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// Pack appends src to dst, packed. All of it can be unpacked by then.
func (p *Packer) Pack(dst, src []byte) []byte {
	p.out = dst
	_, _ = p.z.Write(src) // Write above never fails
	_ = p.z.Flush()
	return p.out
}

// End appends what closes the stream.
func (p *Packer) End(dst []byte) []byte {
	p.out = dst
	_ = p.z.Close() // Write above never fails
	packers.Put(p.z)
	p.z = nil
	return p.out
}
