package guard

import (
	"strings"

	"writ/internal/pan"
)

// take notes a find that ends with the last group, and deals with it.
func (s *Scanner) take(c Class, first int, ds []mark) {
	s.found(c, s.groups[first].at, ds, s.nines(first))
}

func (s *Scanner) found(c Class, at int, ds []mark, nines bool) {
	if end := ds[len(ds)-1].at; end != s.told[c] { // one number, however many groups before it could be its own
		s.told[c] = end
		if s.find != nil {
			s.find(Find{Class: c, Field: PlainName(string(s.field[:s.fieldLen]))})
		}
	}
	switch s.rules.Do[c] {
	case Stop:
		if s.stopped < 0 || at < s.stopped {
			s.stopped = max(at, s.out)
		}
	case Mask:
		s.cover(ds, nines)
	}
}

// nines reports whether a mask of the groups from first on must be a number: it is one in
// a program, or in JSON, also within a page.
func (s *Scanner) nines(first int) bool {
	if s.format == Code || first < s.n-1 {
		return s.format == Code
	}
	at := s.groups[first].at - 1
	return s.format == JSON && !s.quoted ||
		s.format == Text && at >= s.base && strings.IndexByte(":[,", s.buf[at-s.base]) >= 0 && strings.IndexByte(",]}", s.edge) >= 0
}

// cover masks all digits but the last.
func (s *Scanner) cover(ds []mark, nines bool) { // clause: data.card-summary
	with := byte('*')
	if nines {
		with = '9'
	}
	keep := min(max(s.rules.Keep, 0), 4)
	for _, m := range ds[:len(ds)-keep] {
		s.put(m, with)
	}
	if !nines {
		return
	}
	text := make([]byte, len(ds))
	for i, m := range ds {
		text[i] = '9'
		if i >= len(ds)-keep {
			text[i] = '0' + m.value
		}
	}
	if pan.Luhn(string(text)) {
		s.put(ds[0], '8') // one digit less by one: the check digit fails
	}
}

func (s *Scanner) put(m mark, with byte) {
	if m.at >= s.out { // what was flushed is gone
		cover(s.buf[m.at-s.base:m.at-s.base+int(m.n)], with)
	}
}

// Bytes masks a whole text.
func Bytes(text []byte, r Rules, f Format) []byte {
	var s Scanner
	s.Reset(r, f, nil)
	return s.Close(s.Write(make([]byte, 0, len(text)), text))
}

// Cards masks the numbers of cards in a text of our own, but for the last digits.
func Cards(text string, keep int) string {
	if Harmless([]byte(text)) {
		return text
	}
	r := Rules{Keep: keep}
	r.Do[Card] = Mask
	return string(Bytes([]byte(text), r, Text))
}
