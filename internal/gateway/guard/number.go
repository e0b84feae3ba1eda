package guard

import (
	"strings"

	"writ/internal/pan"
)

// digit takes one more digit into the last group, or begins another.
func (s *Scanner) digit(m mark) {
	if m.n > 1 {
		s.escape = s.next
	}
	if !s.open {
		g := group{at: m.at, before: s.sep}
		if s.sep != other {
			s.judge(other, true)
			s.sep = other
		} else {
			g.hex = s.hexBefore(m.at)
		}
		if s.long {
			s.clear()
		}
		if s.n == most {
			s.drop()
		}
		s.groups[s.n] = g
		s.n++
		s.open = true
	}
	for s.d == longest && s.n > 1 {
		s.drop()
	}
	if s.d == longest || s.long { // no number is so long: what is held can go
		s.d, s.n, s.long = 0, 0, true
		return
	}
	s.digits[s.d] = m
	s.d++
	s.groups[s.n-1].digits++
}

// drop forgets the first group.
func (s *Scanner) drop() {
	n := s.groups[0].digits
	copy(s.digits[:], s.digits[n:s.d])
	s.d -= n
	copy(s.groups[:], s.groups[1:s.n])
	s.n--
}

// mark takes a character that is no digit.
func (s *Scanner) mark(k kind, escaped bool) {
	switch {
	case s.open && k.separates():
		s.open, s.sep = false, k
	case s.open:
		if escaped && (k == hex || k == letter) {
			k = other
		}
		s.judge(k, false)
		s.clear()
	case s.sep != other:
		s.judge(other, false)
		s.clear()
	}
}

func (s *Scanner) clear() { s.n, s.d, s.open, s.long, s.sep = 0, 0, false, false, other }

// hexBefore reports whether the digits at a place go on a word of hexadecimal text: one
// that has a letter, and none beyond f.
func (s *Scanner) hexBefore(at int) bool {
	letters := false
	for i := at - 1; i >= max(at-near, s.escape, s.base); i-- {
		switch kinds[s.buf[i-s.base]] {
		case digit:
		case hex:
			letters = true
		case letter:
			return false
		default:
			return letters
		}
	}
	return letters
}

// judge looks at all numbers that end with the last group. right is what comes directly
// after it; joined says that after one separator digits go on.
func (s *Scanner) judge(right kind, joined bool) {
	if s.long || s.n == 0 || right == hex {
		return
	}
	total := 0
	for first := s.n - 1; first >= 0; first-- {
		total += s.groups[first].digits
		if s.groups[first].hex {
			return
		}
		if s.card(first, total, joined) {
			s.take(Card, first, s.digits[s.d-total:s.d])
		}
	}
	s.social(joined)
}

// card reports whether the groups from first on are a card's number.
func (s *Scanner) card(first, total int, joined bool) bool { // clause: data.no-card
	if s.rules.Do[Card] == Ignore || total < 13 {
		return false
	}
	gs := s.groups[first:s.n]
	if !s.shaped(gs, joined) {
		return false
	}
	var text [longest]byte
	for i, m := range s.digits[s.d-total : s.d] {
		text[i] = '0' + m.value
	}
	return pan.Valid(string(text[:total]))
}

// shaped reports whether groups look as a card's number is written.
func (s *Scanner) shaped(gs []group, joined bool) bool {
	if gs[0].before == dot || s.sep == dot && joined {
		return false // a part of a decimal number
	}
	if len(gs) == 1 {
		return true
	}
	dots := 0
	for i, g := range gs {
		switch {
		case i == 0 && g.digits < 4, i > 0 && i < len(gs)-1 && g.digits < 3, g.digits < 2:
			return false
		case i > 0 && g.before == dot:
			dots++
		}
	}
	if dots > 0 && (dots < len(gs)-1 || len(gs) < 3) {
		return false
	}
	return !s.uuid(gs)
}

// uuid reports whether groups are the beginning or the end of 8-4-4-4-12.
func (s *Scanner) uuid(gs []group) bool {
	switch {
	case len(gs) == 3:
		return gs[0].digits == 8 && gs[1].digits == 4 && gs[2].digits == 4 && gs[1].before == hyphen && gs[2].before == hyphen && s.sep == hyphen
	case len(gs) == 2:
		at := gs[0].at - 1
		return gs[0].digits == 4 && gs[1].digits == 12 && gs[1].before == hyphen && at >= s.base && s.buf[at-s.base] == '-'
	}
	return false
}

// social looks for a social security number in the last groups: 3-2-4 by itself, nine
// digits in a row when a keyword is near.
func (s *Scanner) social(joined bool) { // clause: data.no-ssn
	if s.rules.Do[SSN] == Ignore || joined {
		return
	}
	last := s.groups[s.n-1]
	switch {
	case s.n == 1 && last.digits == 9 && last.before == other:
		ds := s.digits[s.d-9 : s.d]
		if !issued(ds) {
			return
		}
		if keyword(s.buf[max(s.base, last.at-near)-s.base:last.at-s.base]) || keyword(s.field[:s.fieldLen]) {
			s.take(SSN, 0, ds)
			return
		}
		s.doubt(last.at, ds)
	case s.n >= 3:
		gs := s.groups[s.n-3 : s.n]
		sep := gs[1].before
		if gs[0].digits != 3 || gs[1].digits != 2 || gs[2].digits != 4 || gs[0].before != other || sep == dot || gs[2].before != sep || s.n > 3 {
			return
		}
		if ds := s.digits[s.d-9 : s.d]; issued(ds) {
			s.take(SSN, s.n-3, ds)
		}
	}
}

// issued reports whether nine digits can be a social security number: area, group and
// serial as the Social Security Administration assigns them.
func issued(ds []mark) bool {
	number := func(ds []mark) (n int) {
		for _, m := range ds {
			n = 10*n + int(m.value)
		}
		return n
	}
	area := number(ds[:3])
	return area != 0 && area != 666 && area < 900 && number(ds[3:5]) != 0 && number(ds[5:]) != 0
}

// doubt waits whether a keyword follows.
func (s *Scanner) doubt(at int, ds []mark) {
	if s.waits == len(s.doubts) {
		return // 40 bytes hold no fifth
	}
	w := doubt{at: at, end: ds[8].at + int(ds[8].n), nines: s.nines(0)}
	copy(w.digits[:], ds)
	s.doubts[s.waits] = w
	s.waits++
}

// decide looks behind numbers in doubt of which all 40 bytes have come.
func (s *Scanner) decide(seen int) {
	for s.waits > 0 && seen >= s.doubts[0].at+near {
		w := s.doubts[0]
		copy(s.doubts[:], s.doubts[1:s.waits])
		s.waits--
		if end := min(w.at+near, s.base+len(s.buf)); end > w.end && keyword(s.buf[w.end-s.base:end-s.base]) {
			s.found(SSN, w.at, w.digits[:], w.nines)
		}
	}
}

// words that announce a social security number, without what stands between their letters.
var words = []string{"socialsecurity", "socsec"}

// keyword reports whether one of them is in text, or SSN as a word of its own, also within
// a name in camel case.
func keyword(text []byte) bool {
	var letters [near]byte
	n := 0
	for i, c := range text {
		k := kinds[c]
		if k != hex && k != letter {
			continue
		}
		if n < near {
			letters[n] = c | 0x20
			n++
		}
		if i+3 <= len(text) && c|0x20 == 's' && text[i+1]|0x20 == 's' && text[i+2]|0x20 == 'n' && wordAt(text, i) {
			return true
		}
	}
	all := string(letters[:n])
	for _, w := range words {
		if strings.Contains(all, w) {
			return true
		}
	}
	return false
}

// wordAt reports whether three letters at i stand by themselves.
func wordAt(text []byte, i int) bool {
	isLetter := func(c byte) bool { return kinds[c] == hex || kinds[c] == letter }
	lower := func(c byte) bool { return c >= 'a' && c <= 'z' }
	if i > 0 && isLetter(text[i-1]) && (!lower(text[i-1]) || lower(text[i])) {
		return false
	}
	return i+3 == len(text) || !lower(text[i+3])
}
