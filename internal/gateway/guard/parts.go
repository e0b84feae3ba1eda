package guard

import (
	"bytes"
	"mime"
	"net/textproto"
	"strings"
)

// Stage is a stream that bytes pass through. What is written comes out of dst, then or later.
type Stage interface {
	Write(dst, src []byte) []byte
	Close(dst []byte) []byte
	Stopped() bool
}

// Parts looks at a multipart body part by part (RFC 2046 section 5.1), each in its own format.
type Parts struct {
	rules Rules
	find  func(Find)
	files Files
	file  *File // the part is one that is looked into

	scan  Scanner
	delim []byte // CRLF, two hyphens, boundary
	buf   []byte // not yet told apart
	state partState
	pass  bool // the part goes by unread
	fresh bool // nothing of the part's content has come
	start bool // a delimiter may come without a line before it
	kind  string
	name  string
}

type partState uint8

const (
	content  partState = iota // of a part, or before the first
	headers                   // of a part, from the end of the delimiter on
	epilogue                  // after the last
)

const mostHeaders = 16 << 10

// NewParts makes a Parts for a boundary.
func NewParts(boundary string, r Rules, find func(Find), files Files) *Parts {
	p := &Parts{rules: r, find: find, files: files, delim: []byte("\r\n--" + boundary), start: true}
	p.scan.Reset(r, Text, find)
	return p
}

// Stopped implements Stage.
func (p *Parts) Stopped() bool { return p.scan.Stopped() || p.file != nil && p.file.Stopped() }

// Write implements Stage.
func (p *Parts) Write(dst, src []byte) []byte {
	p.buf = append(p.buf, src...)
	return p.run(dst, false)
}

// Close implements Stage.
func (p *Parts) Close(dst []byte) []byte {
	dst = p.run(dst, true)
	if p.Stopped() {
		return dst
	}
	return p.end(p.feed(dst, p.buf))
}

// end is the end of a part.
func (p *Parts) end(dst []byte) []byte {
	if p.file != nil {
		return p.file.Close(dst)
	}
	return p.scan.Close(dst)
}

func (p *Parts) run(dst []byte, final bool) []byte {
	for !p.Stopped() {
		n := len(p.buf)
		switch p.state {
		case content:
			dst = p.content(dst, final)
		case headers:
			dst = p.headers(dst, final)
		case epilogue:
			dst = p.take(dst, n)
		}
		if len(p.buf) == n || n == 0 {
			return dst
		}
	}
	return dst
}

// take hands the first n bytes to the scanner.
func (p *Parts) take(dst []byte, n int) []byte {
	dst = p.feed(dst, p.buf[:n])
	p.buf = p.buf[:copy(p.buf, p.buf[n:])]
	return dst
}

func (p *Parts) feed(dst, b []byte) []byte {
	if p.fresh && len(b) > 0 {
		p.fresh = false
		if Opens(b) {
			p.file = NewFile(p.name, p.kind, p.rules, p.find, p.files)
		} else if p.pass = p.pass || Packed(b); p.pass {
			p.files.unread(p.kind)
		}
	}
	if p.file != nil {
		return p.file.Write(dst, b)
	}
	if p.pass {
		return append(dst, b...)
	}
	return p.scan.Write(dst, b)
}

// content passes on what comes before the next delimiter. At the very beginning, and right
// after headers, one may stand without a line before it.
func (p *Parts) content(dst []byte, final bool) []byte {
	at, delim := bytes.Index(p.buf, p.delim), p.delim
	if p.start {
		first := p.delim[2:]
		if len(p.buf) < len(first) && !final {
			return dst
		}
		if p.start = false; bytes.HasPrefix(p.buf, first) {
			at, delim = 0, first
		}
	}
	if at < 0 {
		n := max(0, len(p.buf)-len(p.delim)+1)
		if p.fresh && n < mostMagic {
			return dst
		}
		return p.take(dst, n)
	}
	dst = p.take(dst, at)
	if p.Stopped() {
		return dst
	}
	if dst = p.end(dst); p.Stopped() {
		return dst
	}
	dst, p.file = append(dst, delim...), nil
	p.buf = p.buf[:copy(p.buf, p.buf[len(delim):])]
	p.state, p.pass, p.fresh = headers, false, false
	p.scan.Reset(p.rules, Text, p.find)
	return dst
}

// headers reads what a part says of itself.
func (p *Parts) headers(dst []byte, final bool) []byte {
	if len(p.buf) < 2 && !final {
		return dst
	}
	if bytes.HasPrefix(p.buf, []byte("--")) {
		p.state = epilogue
		return p.take(dst, 2)
	}
	end := bytes.Index(p.buf, []byte("\r\n\r\n"))
	if end < 0 {
		if final || len(p.buf) > mostHeaders { // no part that a reader would take for one
			p.state = epilogue
		}
		return dst
	}
	name, kind := describe(p.buf[:end])
	dst = p.take(dst, end+2) // names of files are looked at, too
	if p.Stopped() {
		return dst
	}
	dst = append(p.scan.Close(dst), "\r\n"...)
	p.buf = p.buf[:copy(p.buf, p.buf[2:])]
	f := FormatOf(kind)
	p.state, p.pass, p.fresh, p.start, p.kind = content, f == Other, true, true, kind
	if p.kind == "" {
		p.kind = "text/plain"
	}
	if f == Other {
		f = Text
	}
	p.name = name
	p.scan.Reset(p.rules, f, p.find)
	p.scan.Named(name)
	return dst
}

// describe reads a part's name and type.
func describe(head []byte) (name, kind string) {
	for line := range strings.SplitSeq(string(head), "\r\n") {
		key, value, _ := strings.Cut(line, ":")
		switch textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(key)) {
		case "Content-Type":
			kind = strings.TrimSpace(value)
		case "Content-Disposition":
			if _, params, err := mime.ParseMediaType(value); err == nil {
				name = params["name"]
			}
		}
	}
	return name, kind
}
