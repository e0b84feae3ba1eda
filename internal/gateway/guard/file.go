package guard

import (
	"bytes"
	"io"
	"strings"
)

// The bounds of looking into a file.
const (
	MostFile     = 16 << 20 // bytes of a file that is looked into; a longer one passes, and that is said
	mostUnpacked = 64 << 20 // bytes that come out of one, in all
	mostInner    = 8 << 20  // bytes of a file within it, or of a stream of a PDF
	mostInside   = 4096     // files within one
	mostDeep     = 3        // files within files
)

// Files says how files are looked into that are no text.
type Files struct {
	Room   func(n int) bool         // takes memory for what is held; nil = there is always some. Without it the file is stopped
	Unread func(contentType string) // something could not be looked into; nil = nobody asks
}

func (f Files) unread(kind string) {
	if f.Unread != nil {
		f.Unread(kind)
	}
}

func (f Files) room(n int) bool { return f.Room == nil || f.Room(n) }

// File is a stage for an office file, an archive or a PDF. It holds the file until it is whole,
// looks into it, and gives it away unless it must be stopped. A number in a packed file cannot be
// masked: where the rules say so, the file is stopped.
type File struct {
	rules   Rules
	find    func(Find)
	files   Files
	name    string // of the field it came in
	kind    string
	buf     []byte
	taken   int
	passes  bool // it is too long
	stopped bool
}

// NewFile makes a File. name is the field that it comes in, "" = none.
func NewFile(name, kind string, r Rules, find func(Find), files Files) *File {
	return &File{rules: r, find: find, files: files, name: name, kind: kind}
}

// Stopped implements Stage.
func (f *File) Stopped() bool { return f.stopped }

// Write implements Stage.
func (f *File) Write(dst, src []byte) []byte {
	if f.passes {
		return append(dst, src...)
	}
	need := len(f.buf) + len(src)
	if f.stopped || need > f.taken && need <= MostFile && !f.grow(need) {
		f.stopped, f.buf = true, nil
		return dst
	}
	if need > MostFile {
		f.passes = true
		f.files.unread(f.kind)
		dst = append(append(dst, f.buf...), src...)
		f.buf = nil
		return dst
	}
	f.buf = append(f.buf, src...)
	return dst
}

// grow takes room for twice what is there, so that it is asked for seldom.
func (f *File) grow(need int) bool {
	n := min(max(2*f.taken, need, 64<<10), MostFile)
	if !f.files.room(n - f.taken) {
		return false
	}
	f.taken = n
	f.buf = append(make([]byte, 0, n), f.buf...)
	return true
}

// Close implements Stage.
func (f *File) Close(dst []byte) []byte {
	b := f.buf
	if f.buf = nil; f.passes || f.stopped {
		return dst
	}
	x := inside{rules: f.rules, left: mostUnpacked}
	if x.look(b, "", 0); x.closed {
		f.files.unread(f.kind)
		x.left = MostFile
		x.read(bytes.NewReader(b), "", false) // at least what lies in the open
	}
	for c, in := range x.in {
		if in == "" {
			continue
		}
		f.stopped = f.stopped || f.rules.Do[c] >= Mask
		if f.name != "" {
			in = f.name
		}
		if f.find != nil {
			f.find(Find{Class: Class(c), Field: PlainName(in), File: true})
		}
	}
	if f.stopped {
		return dst
	}
	if len(dst) == 0 {
		return b
	}
	return append(dst, b...)
}

// Opens reports whether bytes begin as a file does that can be looked into.
func Opens(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("%PDF-"))
}

// inside looks into one file and the files within it.
type inside struct {
	rules  Rules
	left   int64 // bytes that may yet be unpacked
	files  int
	closed bool            // something could not be looked into
	in     [classes]string // where each class was found first; "" = nowhere
	raw    Scanner
	text   Scanner
}

// enough reports whether what was found decides, or nothing more may be looked at.
func (x *inside) enough() bool {
	for c, in := range x.in {
		if in != "" && x.rules.Do[c] >= Mask {
			return true
		}
	}
	if x.left <= 0 {
		x.closed = true
		return true
	}
	return false
}

func (x *inside) look(b []byte, name string, depth int) {
	switch {
	case depth > mostDeep:
		x.closed = true
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		x.zip(b, depth)
	case bytes.HasPrefix(b, []byte("%PDF-")):
		x.pdf(b, name, depth)
	case Packed(b) || bytes.IndexByte(b[:min(len(b), 512)], 0) >= 0:
		x.closed = x.closed || !pictured(b)
	default:
		x.read(bytes.NewReader(b), name, false)
	}
}

// pictured reports whether bytes begin as a picture does.
func pictured(b []byte) bool {
	for _, head := range []string{"\x89PNG", "\xff\xd8\xff", "GIF8", "BM", "RIFF", "II*\x00", "MM\x00*"} {
		if bytes.HasPrefix(b, []byte(head)) {
			return true
		}
	}
	return false
}

// finder notes what is found in a place.
func (x *inside) finder(name string) func(Find) {
	return func(f Find) {
		if x.in[f.Class] != "" {
			return
		}
		if x.in[f.Class] = PlainName(name[strings.LastIndexByte(name, '/')+1:]); x.in[f.Class] == "" {
			x.in[f.Class] = "file"
		}
	}
}

// read scans a text as it is and, where it is markup, as it is read: without its tags.
func (x *inside) read(r io.Reader, name string, markup bool) {
	find := x.finder(name)
	rules := x.rules
	for c := range rules.Do {
		rules.Do[c] = min(rules.Do[c], Count) // nothing is stopped in the middle, and nothing is masked
	}
	x.raw.Reset(rules, Text, find)
	x.text.Reset(rules, Text, find)
	var tags untagged
	in, out := make([]byte, 16<<10), []byte(nil)
	for {
		n, err := r.Read(in)
		if x.left -= int64(n); x.left < 0 {
			x.closed = true
			break
		}
		out = x.raw.Write(out[:0], in[:n])
		if markup {
			out = x.text.Write(out[:0], tags.take(nil, in[:n]))
		}
		if err == io.EOF { //nolint:errorlint // a wrapped end is not the end
			break
		}
		if err != nil {
			x.closed = true
			break
		}
	}
	x.raw.Close(out[:0])
	x.text.Close(out[:0])
}

// untagged takes the tags out of markup. Those between letters of one paragraph leave nothing
// behind, for programs cut texts into runs; those that end a paragraph, a line or a cell do.
type untagged struct {
	in    bool
	quote byte
	name  []byte
	named bool
}

var breaks = map[string]bool{"p": true, "br": true, "cr": true, "tab": true, "tr": true, "tc": true, "td": true, "c": true, "v": true, "f": true, "si": true, "row": true, "h": true,
	"line-break": true, "table-cell": true, "list-item": true, "div": true, "li": true}

func (u *untagged) take(dst, src []byte) []byte {
	for _, c := range src {
		switch {
		case !u.in && c != '<':
			dst = append(dst, c)
		case !u.in:
			u.in, u.name, u.named, u.quote = true, u.name[:0], false, 0
		case u.quote != 0:
			if c == u.quote {
				u.quote = 0
			}
		case c == '>':
			u.in = false
			switch name := string(u.name); {
			case breaks[name]:
				dst = append(dst, '\n')
			case name == "s": // a space of OpenDocument
				dst = append(dst, ' ')
			}
		case c == '"' || c == '\'':
			u.quote, u.named = c, true
		case c == ':' && !u.named:
			u.name = u.name[:0] // of a namespace
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '/' && len(u.name) > 0:
			u.named = true
		case !u.named && c != '/' && len(u.name) < 16:
			u.name = append(u.name, c)
		}
	}
	return dst
}

// untold is a stage for a body that is one text or one file.
type untold struct {
	kind   string
	format Format
	rules  Rules
	find   func(Find)
	files  Files
	head   []byte
	stage  Stage // nil until it is known
}

// NewWhole makes a stage for a body of a media type. A file is known by its first bytes,
// whatever the type says.
func NewWhole(kind string, r Rules, find func(Find), files Files) Stage {
	f := FormatOf(kind)
	if f != Text && f != Other {
		s := &Scanner{}
		s.Reset(r, f, find)
		return s
	}
	return &untold{kind: kind, format: f, rules: r, find: find, files: files}
}

// Stopped implements Stage.
func (w *untold) Stopped() bool { return w.stage != nil && w.stage.Stopped() }

// Write implements Stage.
func (w *untold) Write(dst, src []byte) []byte {
	if w.stage != nil {
		return w.stage.Write(dst, src)
	}
	if w.head = append(w.head, src...); len(w.head) < mostMagic {
		return dst
	}
	return w.begin(dst)
}

func (w *untold) begin(dst []byte) []byte {
	if Opens(w.head) {
		w.stage = NewFile("", w.kind, w.rules, w.find, w.files)
	} else {
		if w.format == Other || Packed(w.head) {
			w.files.unread(w.kind)
		}
		s := &Scanner{}
		s.Reset(w.rules, Text, w.find)
		w.stage = s
	}
	return w.stage.Write(dst, w.head)
}

// Close implements Stage.
func (w *untold) Close(dst []byte) []byte {
	if w.stage == nil {
		dst = w.begin(dst)
	}
	return w.stage.Close(dst)
}
