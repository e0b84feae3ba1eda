package trail

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"unicode/utf8"
)

// maxUnpacked bounds a chunk's records in bytes.
const maxUnpacked = 64 << 20

// decoder reads chunks, one after the other, in memory that it uses again; it is for one
// goroutine. It knows by sight the JSON that pack writes, which is most of what a scan costs
// otherwise. What it does not know at once is left to encoding/json from the beginning, so it
// takes and gives what that does.
type decoder struct {
	packed bytes.Reader
	flate  io.ReadCloser
	plain  bytes.Buffer
	b      []byte // of plain, from i on not yet read
	i      int
	lines  []line
	seed   maphash.Seed
	texts  [2048]string // those read last, for the same come again and again
}

// longText is the longest text in bytes that is kept for the next time.
const longText = 64

func newDecoder() *decoder {
	return &decoder{flate: flate.NewReader(nil), seed: maphash.MakeSeed()}
}

// unpack decompresses a chunk. What it gives is good until the next one.
func (d *decoder) unpack(packed []byte) ([]byte, error) {
	d.packed.Reset(packed)
	if err := d.flate.(flate.Resetter).Reset(&d.packed, nil); err != nil {
		return nil, fmt.Errorf("decompress records: %w", err)
	}
	d.plain.Reset()
	if _, err := d.plain.ReadFrom(io.LimitReader(d.flate, maxUnpacked)); err != nil {
		return nil, fmt.Errorf("decompress records: %w", err)
	}
	return d.plain.Bytes(), nil
}

// records reads the lines of a chunk. They are good until the next one, but for what they point to.
func (d *decoder) records(packed []byte) ([]line, error) {
	b, err := d.unpack(packed)
	if err != nil {
		return nil, err
	}
	if d.sightLines(b) {
		return d.lines, nil
	}
	var ls []line
	return ls, decode(b, &ls)
}

// addresses reads the addresses of a chunk.
func (d *decoder) addresses(packed []byte) ([]string, error) {
	b, err := d.unpack(packed)
	if err != nil {
		return nil, err
	}
	d.b, d.i = b, 0
	if addrs, ok := d.list(); ok && string(d.b[d.i:]) == "\n" {
		return addrs, nil
	}
	var addrs []string
	return addrs, decode(b, &addrs)
}

func decode(b []byte, v any) error {
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return fmt.Errorf("decode records: %w", err)
	}
	return nil
}

// sightLines reads lines as pack writes them, and reports whether it knew all that it saw.
func (d *decoder) sightLines(b []byte) bool {
	d.b, d.i, d.lines = b, 0, d.lines[:0]
	for first := byte('['); ; first = ',' {
		if !d.next(first) || !d.next('{') {
			return false
		}
		d.lines = append(d.lines, line{})
		if !d.line(&d.lines[len(d.lines)-1]) {
			return false
		}
		if d.next(']') {
			return string(d.b[d.i:]) == "\n"
		}
	}
}

// line reads the fields of a line, and the brace behind them.
func (d *decoder) line(l *line) bool {
	for {
		k := d.b[d.i:]
		if len(k) < 4 || k[0] != '"' || k[2] != '"' || k[3] != ':' {
			return false
		}
		d.i += 4
		if !d.field(l, k[1]) {
			return false
		}
		if d.next('}') {
			return true
		}
		if !d.next(',') {
			return false
		}
	}
}

// field reads one field: the names are those of line.
func (d *decoder) field(l *line, name byte) (ok bool) {
	switch name {
	case 't':
		l.At, ok = d.number()
	case 'k':
		l.Kind, ok = d.text()
	case 'w':
		l.Who, ok = d.text()
	case 'f':
		l.For, ok = d.text()
	case 'm':
		l.Team, ok = d.text()
	case 'y':
		l.Staff, ok = true, bytes.HasPrefix(d.b[d.i:], []byte("true"))
		d.i += len("true")
	case 's':
		l.Session, ok = d.text()
	case 'o':
		l.Token, ok = d.text()
	case 'n':
		l.Net, ok = d.text()
	case 'r':
		l.Route, ok = d.text()
	case 'd':
		l.Method, ok = d.text()
	case 'c':
		var n int64
		n, ok = d.number()
		l.Status = int(n)
	case 'e':
		l.Code, ok = d.text()
	case 'u':
		l.Took, ok = d.number()
	case 'i':
		l.In, ok = d.number()
	case 'b':
		l.Out, ok = d.number()
	case 'x':
		l.Resource, ok = d.list()
	case 'z':
		l.Teams, ok = d.list()
	case 'q':
		l.Rows, ok = d.number()
	case 'l':
		l.Clause, ok = d.text()
	case 'v':
		l.Revision, ok = d.text()
	}
	return ok
}

// next steps over a byte, if it comes next.
func (d *decoder) next(c byte) bool {
	if d.i >= len(d.b) || d.b[d.i] != c {
		return false
	}
	d.i++
	return true
}

// number reads a whole number of at most 18 digits, which an int64 holds whatever they are.
func (d *decoder) number() (n int64, ok bool) {
	minus := d.next('-')
	begin := d.i
	for ; d.i < len(d.b) && '0' <= d.b[d.i] && d.b[d.i] <= '9'; d.i++ {
		n = n*10 + int64(d.b[d.i]-'0') // may overflow, and is not used then
	}
	digits := d.i - begin
	if digits == 0 || digits > 18 || digits > 1 && d.b[begin] == '0' {
		return 0, false
	}
	if minus {
		n = -n
	}
	return n, true
}

// list reads a list of texts that is not empty.
func (d *decoder) list() (out []string, ok bool) {
	for first := byte('['); ; first = ',' {
		if !d.next(first) {
			return nil, false
		}
		s, ok := d.text()
		if !ok {
			return nil, false
		}
		if out = append(out, s); d.next(']') {
			return out, true
		}
	}
}

// text reads a text. One with escapes, or that is no UTF-8, is read by encoding/json.
func (d *decoder) text() (string, bool) {
	if !d.next('"') {
		return "", false
	}
	begin, plain, escaped := d.i, true, false
	for ; d.i < len(d.b); d.i++ {
		switch c := d.b[d.i]; {
		case escaped:
			escaped = false
		case c == '"':
			s := d.b[begin:d.i]
			d.i++
			if plain || !slices.Contains(s, '\\') && utf8.Valid(s) {
				return d.known(s), true
			}
			var out string
			err := json.Unmarshal(d.b[begin-1:d.i], &out)
			return out, err == nil
		case c < ' ':
			return "", false
		case c == '\\':
			plain, escaped = false, true
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return "", false
}

// known is the text of some bytes, the same as the last time where it came before.
func (d *decoder) known(b []byte) string {
	if len(b) > longText {
		return string(b)
	}
	s := &d.texts[maphash.Bytes(d.seed, b)%uint64(len(d.texts))]
	if *s != string(b) {
		*s = string(b)
	}
	return *s
}
