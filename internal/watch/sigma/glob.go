package sigma

import (
	"strings"
	"unicode/utf8"
)

// seg is a part of a pattern.
type seg struct {
	kind segKind
	text string // of a literal
}

type segKind uint8

const (
	literal segKind = iota
	star            // any text
	one             // any one letter
	dash            // a dash in any of its forms, or a slash: how programs of Windows take options
)

const dashes = "-/–—―"

// parse reads a value: * and ? are wildcards, a backslash before one of them or before
// another backslash takes its meaning away, and any other backslash is itself.
func parseGlob(s string) (out []seg) {
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, seg{literal, lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
			lit.WriteByte(s[i])
		case c == '*', c == '?':
			flush()
			k := star
			if c == '?' {
				k = one
			}
			out = append(out, seg{kind: k})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return out
}

// plainText is a pattern without wildcards, as text.
func plainText(g []seg) (string, bool) {
	var b strings.Builder
	for _, s := range g {
		if s.kind != literal {
			return "", false
		}
		b.WriteString(s.text)
	}
	return b.String(), true
}

// anyDash lets each dash or slash that begins a word be any of them.
func anyDash(g []seg) (out []seg) {
	word := func(s string, i int) bool {
		if i < 0 || i >= len(s) {
			return false
		}
		c := s[i]
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
	}
	for _, s := range g {
		from := 0
		for i := range len(s.text) {
			if (s.text[i] == '-' || s.text[i] == '/') && !word(s.text, i-1) && word(s.text, i+1) {
				if i > from {
					out = append(out, seg{literal, s.text[from:i]})
				}
				out, from = append(out, seg{kind: dash}), i+1
			}
		}
		if s.kind != literal || from < len(s.text) {
			out = append(out, seg{s.kind, s.text[from:]})
		}
	}
	return out
}

// pattern is a compiled value.
type pattern struct {
	shape  shape
	text   string  // of the simple shapes
	chunks [][]seg // of any other one: between its stars
	cased  bool
}

type shape uint8

const (
	equals shape = iota
	begins
	ends
	holds
	mixed
)

func compileGlob(g []seg, cased bool) (p pattern) {
	p.cased = cased
	var segs []seg
	for _, s := range g {
		if !cased {
			s.text = strings.ToLower(s.text)
		}
		switch last := len(segs) - 1; {
		case last >= 0 && s.kind == literal && segs[last].kind == literal:
			segs[last].text += s.text
		case last >= 0 && s.kind == star && segs[last].kind == star:
		default:
			segs = append(segs, s)
		}
	}
	kinds := make([]segKind, len(segs))
	for i, s := range segs {
		kinds[i] = s.kind
	}
	switch string(spell(kinds)) {
	case "":
		p.shape = equals
	case "l":
		p.shape, p.text = equals, segs[0].text
	case "*":
		p.shape = holds
	case "l*":
		p.shape, p.text = begins, segs[0].text
	case "*l":
		p.shape, p.text = ends, segs[1].text
	case "*l*":
		p.shape, p.text = holds, segs[1].text
	default:
		p.shape, p.chunks = mixed, [][]seg{nil}
		for _, s := range segs {
			if s.kind == star {
				p.chunks = append(p.chunks, nil)
				continue
			}
			p.chunks[len(p.chunks)-1] = append(p.chunks[len(p.chunks)-1], s)
		}
	}
	return p
}

func spell(ks []segKind) []byte {
	out := make([]byte, len(ks))
	for i, k := range ks {
		out[i] = "l*?-"[k]
	}
	return out
}

// need is the longest text that a match holds, in small letters.
func (p *pattern) need() string {
	best := strings.ToLower(p.text)
	for _, c := range p.chunks {
		for _, s := range c {
			if len(s.text) > len(best) {
				best = strings.ToLower(s.text)
			}
		}
	}
	return best
}

func (p *pattern) takes(v *val) bool {
	s := v.low
	if p.cased {
		s = v.text
	}
	switch p.shape {
	case equals:
		return s == p.text
	case begins:
		return strings.HasPrefix(s, p.text)
	case ends:
		return strings.HasSuffix(s, p.text)
	case holds:
		return strings.Contains(s, p.text)
	}
	return p.mixed(s)
}

// mixed compares chunk by chunk: the first stands at the beginning, the last at the end, each
// other as early as it can.
func (p *pattern) mixed(s string) bool {
	n := step(p.chunks[0], s)
	if n < 0 {
		return false
	}
	if len(p.chunks) == 1 {
		return n == len(s)
	}
	s = s[n:]
	last := len(p.chunks) - 1
	for _, c := range p.chunks[1:last] {
		at, n := find(c, s, false)
		if at < 0 {
			return false
		}
		s = s[at+n:]
	}
	at, _ := find(p.chunks[last], s, true)
	return at >= 0
}

// find looks for a chunk; toEnd wants it to reach the end.
func find(c []seg, s string, toEnd bool) (at, n int) {
	if len(c) == 0 {
		return 0, 0
	}
	for i := 0; i <= len(s); i++ {
		if i < len(s) && !utf8.RuneStart(s[i]) {
			continue
		}
		if c[0].kind == literal && !toEnd { // skip to where it may be
			j := strings.Index(s[i:], c[0].text)
			if j < 0 {
				return -1, 0
			}
			i += j
		}
		if n := step(c, s[i:]); n >= 0 && (!toEnd || i+n == len(s)) {
			return i, n
		}
	}
	return -1, 0
}

// step matches a chunk at the beginning; how many bytes it takes, or -1.
func step(c []seg, s string) int {
	n := 0
	for _, x := range c {
		if x.kind == literal {
			if !strings.HasPrefix(s[n:], x.text) {
				return -1
			}
			n += len(x.text)
			continue
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || x.kind == dash && !strings.ContainsRune(dashes, r) {
			return -1
		}
		n += size
	}
	return n
}
