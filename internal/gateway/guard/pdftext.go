package guard

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// glyphs say which letter a font's code stands for (ISO 32000-1 section 9.10.3).
type glyphs struct {
	width int // bytes of a code
	runes map[uint16]rune
	work  int
}

const mostGlyphs = 1 << 17 // that one map may say

// readGlyphs reads a ToUnicode map.
func readGlyphs(b []byte) *glyphs {
	g := &glyphs{width: 1, runes: map[uint16]rune{}}
	t := tokens{b: b}
	var hexes [][]byte
	ranges := [][][]byte{nil} // the lists of a range
	list := false
	for {
		k, v := t.next()
		switch {
		case k == pdfEnd:
			return g
		case k == pdfString && !list:
			hexes = append(hexes, v)
		case k == pdfString:
			ranges[len(ranges)-1] = append(ranges[len(ranges)-1], v)
		case k == pdfOpen:
			list = true
		case k == pdfClose:
			list = false
			hexes, ranges = append(hexes, nil), append(ranges, nil)
		case string(v) == "endbfchar":
			for i := 0; i+1 < len(hexes); i += 2 {
				g.put(hexes[i], 0, hexes[i+1])
			}
			hexes, ranges = nil, [][][]byte{nil}
		case string(v) == "endbfrange":
			g.ranges(hexes, ranges)
			hexes, ranges = nil, [][][]byte{nil}
		case k == pdfWord:
			hexes, ranges = nil, [][][]byte{nil}
		}
	}
}

func (g *glyphs) ranges(hexes [][]byte, lists [][][]byte) {
	for i := 0; i+2 < len(hexes); i += 3 {
		from, to, letters := number16(hexes[i]), number16(hexes[i+1]), hexes[i+2]
		var list [][]byte
		if letters == nil {
			list, lists = lists[0], lists[1:]
		}
		for n := 0; n <= to-from && g.work < mostGlyphs; n++ {
			if letters != nil {
				g.put(hexes[i], n, letters)
			} else if n < len(list) {
				g.set(hexes[i], n, number16(list[n]))
			}
		}
	}
}

func (g *glyphs) put(code []byte, plus int, letters []byte) {
	if len(letters) >= 2 {
		g.set(code, plus, number16(letters)+plus)
	}
}

func (g *glyphs) set(code []byte, plus, letter int) {
	if g.work++; g.work > mostGlyphs {
		return
	}
	g.width = max(g.width, min(len(code), 2))
	g.runes[uint16(number16(code)+plus)] = rune(letter) //nolint:gosec // two bytes
}

func number16(b []byte) int {
	n := 0
	for _, c := range b[:min(len(b), 2)] {
		n = n<<8 | int(c)
	}
	return n
}

// decode appends a string as it is read.
func (g *glyphs) decode(dst, s []byte) []byte {
	if g == nil {
		if bytes.HasPrefix(s, []byte("\xfe\xff")) { // UTF-16
			s = s[2:]
			for ; len(s) >= 2; s = s[2:] {
				dst = utf8.AppendRune(dst, rune(number16(s)))
			}
			return dst
		}
		return append(dst, s...)
	}
	for ; len(s) >= g.width; s = s[g.width:] {
		code := number16(s[:g.width])
		r, ok := g.runes[uint16(code)] //nolint:gosec // two bytes
		if !ok && g.width == 1 {
			r = rune(code)
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// shown puts together what a content stream shows. Programs place single letters, pieces of words
// and words; what is near on the same line is joined, what is further is parted by a space, and
// elsewhere, as in the next column, a line ends. How wide a piece is follows from its letters, as if they were digits.
type shown struct {
	fonts  map[string][]*glyphs
	nth    int  // which of the fonts that a name may stand for
	most   int  // how many one stands for at the most
	object bool // it is no stream: its strings stand by themselves

	font  *glyphs
	size  float64
	out   []byte
	args  []float64
	name  []byte
	scale float64 // of the line, to the right
	x, y  float64 // where it begins
	apart bool    // what comes is elsewhere in any case

	lastX, lastY float64 // where the piece before began
	letters      int     // of it
}

func (s *shown) read(b []byte) []byte {
	t := tokens{b: b}
	list := false
	s.scale = 1
	for {
		switch k, v := t.next(); k {
		case pdfEnd:
			return s.out
		case pdfOpen:
			list = true
		case pdfClose:
			list = false
		case pdfString:
			s.part()
			from := len(s.out)
			s.out = s.font.decode(s.out, v)
			s.letters += utf8.RuneCount(s.out[from:])
		case pdfName:
			s.name, s.apart = v, s.apart || s.object
		case pdfNumber:
			n, _ := strconv.ParseFloat(string(v), 64)
			if !list {
				s.args = append(s.args[max(0, len(s.args)-5):], n)
			} else if n < -180 && n > -5000 { // room between two pieces, in thousandths
				s.out = append(s.out, ' ')
			} else if n <= -5000 {
				s.out = append(s.out, '\n')
			}
		case pdfWord:
			s.operator(string(v))
			s.args = s.args[:0]
		}
	}
}

// part puts what belongs between the piece before and the next.
func (s *shown) part() {
	gap := s.x - s.lastX
	switch size := max(s.size*max(s.scale, -s.scale), 1); {
	case s.apart || max(s.y-s.lastY, s.lastY-s.y) > size/5:
		s.out = append(s.out, '\n')
	case gap == 0:
		return
	case gap < 0 || gap > (0.62*float64(s.letters)+1.2)*size:
		s.out = append(s.out, '\n') // another column
	case gap > (0.62*float64(s.letters)+0.2)*size:
		s.out = append(s.out, ' ')
	}
	s.lastX, s.lastY, s.letters, s.apart = s.x, s.y, 0, false
}

// arg is an argument, counted from the last; 0 = there is none.
func (s *shown) arg(fromEnd int) float64 {
	if len(s.args) < fromEnd {
		return 0
	}
	return s.args[len(s.args)-fromEnd]
}

func (s *shown) operator(op string) {
	switch op {
	case "Tf":
		s.size = s.arg(1)
		all := s.fonts[string(s.name)]
		if s.most = max(s.most, len(all)); len(all) == 0 {
			s.font = nil
		} else {
			s.font = all[min(s.nth, len(all)-1)]
		}
	case "BT":
		s.scale, s.x, s.y = 1, 0, 0
	case "Td", "TD":
		s.x, s.y = s.x+s.arg(2)*s.scale, s.y+s.arg(1)*s.scale
	case "Tm":
		if s.scale, s.x, s.y = s.arg(6), s.arg(2), s.arg(1); s.scale == 0 { // it is turned
			s.scale = 1
		}
	case "T*", "'", "\"", "Do", "cm":
		s.apart = true
	}
}

// token is a kind of what a PDF is written in.
type token uint8

const (
	pdfEnd token = iota
	pdfString
	pdfName
	pdfNumber
	pdfWord
	pdfOpen  // [
	pdfClose // ]
)

// tokens read a content stream or an object (ISO 32000-1 section 7.2).
type tokens struct {
	b  []byte
	at int
}

func (t *tokens) next() (token, []byte) {
	for t.at < len(t.b) {
		c := t.b[t.at]
		t.at++
		switch {
		case c == '%':
			t.until("\r\n")
		case c == '(':
			return pdfString, t.literal()
		case c == '<' && t.at < len(t.b) && t.b[t.at] == '<', c == '>', c == '{', c == '}':
			if c == '<' {
				t.at++
			}
		case c == '<':
			from := t.at
			t.until(">")
			return pdfString, hexed(t.b[from:t.at])
		case c == '[':
			return pdfOpen, nil
		case c == ']':
			return pdfClose, nil
		case c == '/':
			return pdfName, t.regular(t.at)
		case bytes.IndexByte([]byte(" \t\r\n\f\x00)"), c) >= 0:
		default:
			v := t.regular(t.at - 1)
			if bytes.IndexByte([]byte("+-.0123456789"), c) >= 0 {
				return pdfNumber, v
			}
			return pdfWord, v
		}
	}
	return pdfEnd, nil
}

func (t *tokens) until(any string) {
	for t.at < len(t.b) && bytes.IndexByte([]byte(any), t.b[t.at]) < 0 {
		t.at++
	}
}

func (t *tokens) regular(from int) []byte {
	t.until(" \t\r\n\f\x00()<>[]{}/%")
	return t.b[from:t.at]
}

// literal reads a string to its closing bracket.
func (t *tokens) literal() (out []byte) {
	for deep := 1; t.at < len(t.b); {
		c := t.b[t.at]
		t.at++
		switch c {
		case '(':
			deep++
		case ')':
			if deep--; deep == 0 {
				return out
			}
		case '\\':
			out = t.escape(out)
			continue
		}
		out = append(out, c)
	}
	return out
}

func (t *tokens) escape(out []byte) []byte {
	if t.at == len(t.b) {
		return out
	}
	c := t.b[t.at]
	t.at++
	switch {
	case c == 'n' || c == 'r' || c == 't':
		return append(out, '\n')
	case c == '\n' || c == '\r':
		return out
	case c >= '0' && c <= '7':
		n := int(c - '0')
		for i := 0; i < 2 && t.at < len(t.b) && t.b[t.at] >= '0' && t.b[t.at] <= '7'; i++ {
			n = n<<3 | int(t.b[t.at]-'0')
			t.at++
		}
		return append(out, byte(n))
	}
	return append(out, c)
}
