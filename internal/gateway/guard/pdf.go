package guard

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	hexadecimal "encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
)

// Of a PDF (ISO 32000) what is shown as text is looked at, and the strings of its objects: forms,
// notes, titles. Objects are found where they stand, not by the table at the end, so that a
// broken or an extended file is read as well.

// object is one of a PDF.
type object struct {
	dict   []byte
	stream []byte // as it is stored; nil = it has none
}

type pdf struct {
	x       *inside
	objects map[int]*object
	order   []int
	fonts   map[string][]*glyphs // by the name that pages call them
	maps    map[int]*glyphs      // by the object
}

const (
	mostObjects = 100_000
	mostFonts   = 8 // that one name may stand for, on different pages
)

var (
	objectHead = regexp.MustCompile(`(\d{1,8})[ \t\r\n]+\d{1,5}[ \t\r\n]+obj\b`)
	named      = regexp.MustCompile(`/([^\s/<>\[\]()]{1,60})[ \t\r\n]+(\d{1,8})[ \t\r\n]+\d{1,5}[ \t\r\n]+R\b`)
	toUnicode  = regexp.MustCompile(`/ToUnicode[ \t\r\n]+(\d{1,8})[ \t\r\n]+\d{1,5}[ \t\r\n]+R\b`)
	lengthOf   = regexp.MustCompile(`/Length[ \t\r\n]+(\d{1,9})\b(?:[ \t\r\n]*(?:/|>>))`)
	filterOf   = regexp.MustCompile(`/Filter[ \t\r\n]*(\[[^\]]*\]|/\w+)`)
	filterName = regexp.MustCompile(`/(\w+)`)
	firstOf    = regexp.MustCompile(`/First[ \t\r\n]+(\d{1,9})`)
	kindOf     = regexp.MustCompile(`/(?:Type|Subtype)[ \t\r\n]*/(\w+)`)
	errFilter  = errors.New("guard: a stream packed in a way that is not opened")
)

// pdf looks into a PDF.
func (x *inside) pdf(b []byte, name string, depth int) {
	p := &pdf{x: x, objects: map[int]*object{}, fonts: map[string][]*glyphs{}, maps: map[int]*glyphs{}}
	if !p.find(b) {
		x.closed = true
		return
	}
	for _, n := range slices.Clone(p.order) {
		if o := p.objects[n]; is(o.dict, "ObjStm") && !x.enough() {
			p.unfold(o)
		}
	}
	if bytes.Contains(b, []byte("/Encrypt")) && p.encrypted(b) {
		x.closed = true
		return
	}
	p.findFonts()
	if name == "" {
		name = "pdf"
	}
	for _, n := range p.order {
		if x.enough() {
			return
		}
		p.show(n, p.objects[n], name, depth)
	}
}

// find lists the objects that stand in the open.
func (p *pdf) find(b []byte) bool {
	for at := 0; ; {
		m := objectHead.FindSubmatchIndex(b[at:])
		if m == nil {
			return len(p.order) > 0
		}
		n, _ := strconv.Atoi(string(b[at+m[2] : at+m[3]])) // digits
		body := b[at+m[1]:]
		o, end := readObject(body)
		at += m[1] + end
		if len(p.order) >= mostObjects {
			return false
		}
		if p.objects[n] != nil { // a later version: both are looked at
			n = -len(p.order) - 1
		}
		p.add(n, o)
	}
}

func (p *pdf) add(n int, o *object) {
	p.objects[n] = o
	p.order = append(p.order, n)
}

// readObject reads to the end of an object, and says where that is.
func readObject(b []byte) (*object, int) {
	end := bytes.Index(b, []byte("endobj"))
	if end < 0 {
		end = len(b)
	}
	start := bytes.Index(b[:end], []byte("stream"))
	if start < 0 {
		return &object{dict: b[:end]}, end
	}
	o := &object{dict: b[:start]}
	rest := b[start+len("stream"):]
	rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n"))
	from := len(b) - len(rest)
	if m := lengthOf.FindSubmatch(o.dict); m != nil {
		n, _ := strconv.Atoi(string(m[1])) // digits
		if n <= len(rest) && bytes.HasPrefix(bytes.TrimLeft(rest[n:min(len(rest), n+20)], "\r\n \t"), []byte("endstream")) {
			o.stream = rest[:n:n]
			return o, from + n
		}
	}
	n := bytes.Index(rest, []byte("endstream"))
	if n < 0 {
		n = len(rest)
	}
	o.stream = rest[:n:n]
	return o, from + n
}

func is(dict []byte, kinds ...string) bool {
	for _, m := range kindOf.FindAllSubmatch(dict, 8) {
		if slices.Contains(kinds, string(m[1])) {
			return true
		}
	}
	return false
}

// encrypted reports whether the trailer says so, and not some text.
func (p *pdf) encrypted(b []byte) bool {
	at := bytes.LastIndex(b, []byte("/Encrypt"))
	rest := bytes.TrimLeft(b[at+len("/Encrypt"):], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '<' || rest[0] >= '0' && rest[0] <= '9')
}

// unpacked is a stream as it is read.
func (p *pdf) unpacked(o *object) ([]byte, error) {
	b := o.stream
	var filters [][][]byte
	if m := filterOf.FindSubmatch(o.dict); m != nil {
		filters = filterName.FindAllSubmatch(m[1], 4)
	}
	for _, f := range filters {
		var err error
		switch string(f[1]) {
		case "FlateDecode", "Fl":
			b, err = p.inflate(b)
		case "ASCII85Decode", "A85":
			b = unascii85(b)
			p.x.left -= int64(len(b))
		case "ASCIIHexDecode", "AHx":
			b = hexed(b)
		default:
			return nil, errFilter
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// inflate unpacks what there is of a stream: a cut one is shown as far as it goes.
func (p *pdf) inflate(b []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, errFilter
	}
	most := min(mostInner, p.x.left)
	out, err := io.ReadAll(io.LimitReader(z, most+1))
	if p.x.left -= int64(len(out)); int64(len(out)) > most || err != nil && len(out) == 0 {
		return nil, errFilter
	}
	return out, nil
}

func unascii85(b []byte) []byte {
	b = bytes.TrimPrefix(bytes.TrimSpace(b), []byte("<~"))
	if at := bytes.Index(b, []byte("~")); at >= 0 {
		b = b[:at]
	}
	out := make([]byte, len(b)*4) // z stands for four bytes
	n, _, _ := ascii85.Decode(out, b, true)
	return out[:n]
}

// hexed reads hexadecimal digits and nothing else; an odd one at the end is followed by a zero.
func hexed(b []byte) []byte {
	digits := make([]byte, 0, len(b)+1)
	for _, c := range b {
		if c == '>' {
			break
		}
		if kinds[c] == digit || kinds[c] == hex {
			digits = append(digits, c)
		}
	}
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	out := make([]byte, len(digits)/2)
	_, _ = hexadecimal.Decode(out, digits) // nothing but such digits
	return out
}

// unfold lists the objects that are packed in a stream.
func (p *pdf) unfold(o *object) {
	m := firstOf.FindSubmatch(o.dict)
	b, err := p.unpacked(o)
	if err != nil || m == nil || bytes.Contains(o.dict, []byte("/Predictor")) {
		p.x.closed = true
		return
	}
	first, _ := strconv.Atoi(string(m[1])) // digits
	if first > len(b) {
		p.x.closed = true
		return
	}
	heads := bytes.Fields(b[:first])
	for i := 0; i+1 < len(heads); i += 2 {
		n, err1 := strconv.Atoi(string(heads[i]))
		from, err2 := strconv.Atoi(string(heads[i+1]))
		to := len(b)
		if i+3 < len(heads) {
			if next, err := strconv.Atoi(string(heads[i+3])); err == nil {
				to = first + next
			}
		}
		if from += first; err1 != nil || err2 != nil || from < 0 || from > to || to > len(b) || len(p.order) >= mostObjects {
			p.x.closed = true
			return
		}
		if p.objects[n] != nil {
			n = -len(p.order) - 1
		}
		p.add(n, &object{dict: b[from:to]})
	}
}

// findFonts learns which name stands for which font, on whatever page, and how its codes read.
func (p *pdf) findFonts() {
	for _, n := range p.order {
		for _, m := range named.FindAllSubmatch(p.objects[n].dict, -1) {
			font, _ := strconv.Atoi(string(m[2])) // digits
			o := p.objects[font]
			if o == nil || !is(o.dict, "Font") {
				continue
			}
			g := p.glyphs(o)
			if all := p.fonts[string(m[1])]; !slices.Contains(all, g) {
				if len(all) >= mostFonts {
					p.x.closed = true
					continue
				}
				p.fonts[string(m[1])] = append(all, g)
			}
		}
	}
}

// glyphs reads how a font's codes are read; nil = as they are.
func (p *pdf) glyphs(font *object) *glyphs {
	m := toUnicode.FindSubmatch(font.dict)
	if m == nil {
		if bytes.Contains(font.dict, []byte("/Identity-")) { // numbers of shapes, and nobody says of which
			p.x.closed = true
		}
		return nil
	}
	n, _ := strconv.Atoi(string(m[1])) // digits
	if g, ok := p.maps[n]; ok {
		return g
	}
	o := p.objects[n]
	if o == nil || o.stream == nil {
		return nil
	}
	b, err := p.unpacked(o)
	if err != nil {
		p.x.closed = true
		return nil
	}
	g := readGlyphs(b)
	p.maps[n] = g
	return g
}

// show looks at what one object holds.
func (p *pdf) show(n int, o *object, name string, depth int) {
	p.strings(o.dict, name, true)
	if _, font := p.maps[n]; font || o.stream == nil || is(o.dict, "XRef", "ObjStm", "Image", "Type1C", "CIDFontType0C", "OpenType") || bytes.Contains(o.dict, []byte("/Length1")) {
		return
	}
	b, err := p.unpacked(o)
	switch {
	case err != nil:
		p.x.closed = true
	case is(o.dict, "EmbeddedFile"):
		p.x.look(b, name, depth+1)
	case is(o.dict, "Metadata", "XML"):
		p.x.read(bytes.NewReader(b), name, true)
	default:
		p.strings(b, name, false)
	}
}

// strings reads what a content stream shows, or an object holds, once for each font that a
// name may stand for.
func (p *pdf) strings(b []byte, name string, object bool) {
	if bytes.IndexByte(b, '(') < 0 && bytes.IndexByte(b, '<') < 0 {
		return
	}
	for n, last := 0, 0; n <= last; n++ {
		s := shown{fonts: p.fonts, nth: n, object: object}
		text := s.read(b)
		last = max(last, s.most-1)
		left := p.x.left
		p.x.read(bytes.NewReader(text), name, false)
		p.x.left = left // it was counted when it was unpacked
	}
}
