package guard

import "strings"

// Format is how the bytes are read.
type Format uint8

// The formats.
const (
	Text  Format = iota // plain text, HTML, XML, CSV
	JSON                // also lines of it, and events that carry it
	Form                // application/x-www-form-urlencoded, and queries
	Code                // JavaScript and style sheets: a mask must stay a number
	Other               // not text: nothing is looked for
)

// Class is what was found.
type Class uint8

// The classes.
const (
	Card Class = iota
	SSN
	classes
)

// String is the class's name in answers and entries.
func (c Class) String() string {
	if c == Card {
		return "card"
	}
	return "ssn"
}

// Action is what happens with what was found.
type Action uint8

// The actions, from the mildest.
const (
	Ignore Action = iota
	Count         // and let pass
	Mask
	Stop // give nothing more away, from its first digit on
)

// Rules say what to look for.
type Rules struct {
	Do   [classes]Action
	Keep int // digits at the end that a mask leaves
}

// Idle reports whether there is nothing to look for.
func (r Rules) Idle() bool { return r == Rules{Keep: r.Keep} }

// Find is something found. Its text is never kept.
type Find struct {
	Class Class
	Field string // the name nearest before it; "" = none, or no plain name
	File  bool   // it lies in a packed file, and cannot be masked
}

const (
	longest   = 19   // digits of a card
	most      = 5    // groups of one
	near      = 40   // bytes in which a keyword counts, and that may be held back
	behind    = 128  // bytes that stay to be looked back at
	piece     = 4096 // bytes looked at in one go
	mostField = 40
)

// Scanner looks at one stream of bytes. The zero Scanner finds nothing: see Reset.
type Scanner struct {
	rules  Rules
	format Format
	find   func(Find)

	buf    []byte // what was given away lately, what is held, what is new
	base   int    // the place of buf[0] in the stream; all places count from its beginning
	next   int    // first byte not looked at
	out    int    // first byte not given away
	escape int    // end of the last escape
	final  bool

	groups [most]group // that may belong to one number: each joined to the next by one separator
	n      int
	digits [longest]mark // of these groups
	d      int
	open   bool // the last group goes on
	long   bool // it is longer than any number
	sep    kind // the one separator after it; other = none
	doubts [4]doubt
	waits  int // doubts

	quoted   bool // within a string of JSON
	begun    int  // where its text began
	last     int  // where the last one ended
	name     int  // where the name of a form's field began
	field    [mostField]byte
	fieldLen int

	edge    byte         // what comes after the last group
	told    [classes]int // the end of what was found last
	stopped int          // where the number began that may not pass; -1 = none
}

type group struct {
	at, digits int
	before     kind // the separator that joins it to digits before
	hex        bool // hexadecimal text leads to it
}

type mark struct {
	at    int
	n     uint8
	value byte
}

// doubt is a number of nine digits that is one of social security if a keyword follows.
type doubt struct {
	at, end int
	digits  [9]mark
	nines   bool
}

// Reset prepares the scanner for a stream. find is called for each thing found; nil = nobody asks.
func (s *Scanner) Reset(r Rules, f Format, find func(Find)) {
	*s = Scanner{rules: r, format: f, find: find, buf: s.buf[:0], stopped: -1, told: [classes]int{-1, -1}}
}

// Named says what the bytes that follow are the value of.
func (s *Scanner) Named(field string) { s.fieldLen = copy(s.field[:], field) }

// Stopped reports whether something was found that may not pass. Nothing more is given away.
func (s *Scanner) Stopped() bool { return s.stopped >= 0 }

// Held is how many bytes wait to be decided on.
func (s *Scanner) Held() int { return s.base + len(s.buf) - s.out }

// Write looks at more bytes and appends to dst what may be given away.
func (s *Scanner) Write(dst, src []byte) []byte {
	for len(src) > 0 && !s.Stopped() {
		n := min(len(src), piece)
		s.buf = append(s.buf, src[:n]...)
		src = src[n:]
		s.run()
		dst = s.release(dst)
	}
	return dst
}

// Close says that nothing more comes, and appends the rest to dst.
func (s *Scanner) Close(dst []byte) []byte {
	s.final = true
	s.run()
	s.settle()
	s.clear()
	return s.release(dst)
}

// Flush decides on what is held as if the stream ended, and appends it to dst; what comes
// later is still read as going on from there.
func (s *Scanner) Flush(dst []byte) []byte {
	if s.Stopped() {
		return dst
	}
	s.settle()
	end := s.base + len(s.buf)
	if s.Stopped() {
		end = s.stopped
	}
	if end > s.out {
		dst = append(dst, s.buf[s.out-s.base:end-s.base]...)
		s.out = end
	}
	return dst
}

// settle judges what is still open.
func (s *Scanner) settle() {
	if s.open || s.sep != other {
		s.judge(other, false)
	}
	s.decide(s.base + len(s.buf) + near)
}

// release gives away what no number can need any more.
func (s *Scanner) release(dst []byte) []byte {
	end := s.next
	if s.n > 0 {
		end = min(end, s.groups[0].at)
	}
	if s.waits > 0 {
		end = min(end, s.doubts[0].at)
	}
	if s.Stopped() {
		end = min(end, s.stopped)
	}
	if end > s.out {
		dst = append(dst, s.buf[s.out-s.base:end-s.base]...)
		s.out = end
	}
	if drop := min(s.out, s.next) - behind - s.base; drop > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[drop:])]
		s.base += drop
	}
	return dst
}

// run looks at all bytes that can be understood by now.
func (s *Scanner) run() {
	end := s.base + len(s.buf)
	for s.next < end && !s.Stopped() {
		if s.n == 0 && !s.long {
			if s.skip(end); s.next == end {
				return
			}
		}
		b := s.buf[s.next-s.base:]
		k, v, n := symbol(b, !s.final, s.format)
		if n == 0 {
			return
		}
		at := s.next
		s.next += n
		if s.waits > 0 {
			s.decide(s.next)
		}
		if k == digit {
			s.digit(mark{at, uint8(n), v})
			continue
		}
		s.edge = b[0]
		s.mark(k, n > 1)
		s.follow(b[0], at, n)
	}
}

// plain tells the bytes that mean nothing while no digit has come.
var plain = func() (t [Other][256]bool) {
	for f := range t {
		for c := range 256 {
			t[f][c] = kinds[c] != digit
		}
		for _, c := range []byte{'\\', '%', '&', 0xef} {
			t[f][c] = false
		}
	}
	for _, c := range "\"\n:" {
		t[JSON][c] = false
	}
	t[Form]['='] = false
	return t
}()

// skip passes over bytes that mean nothing: a few digits among them, too, when what comes
// after them ends a number.
func (s *Scanner) skip(end int) {
	if s.waits > 0 {
		end = min(end, s.doubts[0].at+near-1)
	}
	t, b, i := &plain[s.format], s.buf[:max(end, s.next)-s.base], s.next-s.base
	for i < len(b) {
		if t[b[i]] {
			i++
			continue
		}
		if kinds[b[i]] == digit {
			j := i + 1
			for j < len(b) && kinds[b[j]] == digit {
				j++
			}
			if j == len(b) || j-i >= 9 || !t[b[j]] || kinds[b[j]].separates() || b[j] >= 0x80 || b[j] == '+' {
				break
			}
			i = j
			continue
		}
		if s.format != JSON || !strings.ContainsRune("\":\n", rune(b[i])) {
			break
		}
		s.next = s.base + i + 1
		s.follow(b[i], s.base+i, 1)
		i++
	}
	s.next = max(s.next, s.base+i)
}

// follow keeps an eye on where in a document we are.
func (s *Scanner) follow(c byte, at, n int) {
	if n > 1 { // an escape
		s.escape = s.next
		return
	}
	switch s.format {
	case JSON:
		switch c {
		case '"':
			if s.quoted = !s.quoted; s.quoted {
				s.begun = s.next
			} else {
				s.last = at
			}
		case '\n':
			s.quoted = false // no string of JSON goes over lines
		case ':':
			if !s.quoted {
				s.called(s.begun, s.last, at)
			}
		}
	case Form:
		switch c {
		case '&':
			s.name, s.fieldLen = s.next, 0
		case '=':
			s.called(s.name, at, at)
		}
	}
}

// called keeps the name of what follows at a place. One that lies far back is none: how
// much of it is still here depends on the chunks.
func (s *Scanner) called(from, to, at int) {
	s.fieldLen = 0
	if from >= at-behind/2 && to > from && to-from <= mostField {
		s.fieldLen = copy(s.field[:], s.buf[from-s.base:to-s.base])
	}
}

// PlainName gives a name that may stand in a record: letters, digits, hyphens, underscores
// and dots, at most 40 of them and at most four digits. "" = it is none.
func PlainName(name string) string {
	n := 0
	for _, r := range name {
		switch {
		case r >= '0' && r <= '9':
			n++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune("-_.", r):
		default:
			return ""
		}
	}
	if n > 4 || len(name) > mostField {
		return ""
	}
	return name
}
