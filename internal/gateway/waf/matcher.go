package waf

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/corazawaf/libinjection-go"
	"rsc.io/binaryregexp"
)

// matcher asks all rules of one group at once whether one of them takes a value. It
// answers as they would, each asked by itself, and asks few of them.
type matcher struct {
	asks  []ask
	texts map[[2]byte][]text // by how they begin
	begin [1 << 10]uint64    // a bit for each such beginning

	mu    sync.RWMutex
	able  map[kinds][]int32 // which of asks may take a value of these kinds of bytes
	known map[string]bool   // answers to values that had to be asked about: clients repeat themselves
}

// ask is one rule's condition on a value.
type ask struct {
	takes func(string) bool
	can   *program // nil = any value may be taken
	needs bool     // only a value with one of its texts is taken
}

type text struct {
	tail string // after its first two bytes
	ask  int32
}

const (
	mostKinds  = 2048
	mostKnown  = 256
	knownBytes = 256 // of a value that is remembered
)

// newMatcher makes the matcher of rules whose operators canAsk knows. lists gives the
// lines of a file of phrases.
func newMatcher(rules []*secRule, lists func(string) ([]string, error)) (*matcher, error) {
	m := &matcher{texts: map[[2]byte][]text{}, able: map[kinds][]int32{}, known: map[string]bool{}}
	for _, r := range rules {
		a, needs, err := newAsk(r, lists)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", r.id, err)
		}
		for _, n := range needs {
			b := [2]byte{n[0], n[1]}
			t := text{n[2:], int32(len(m.asks))} //nolint:gosec // there are some hundred rules
			if !slices.Contains(m.texts[b], t) {
				m.texts[b] = append(m.texts[b], t)
			}
			m.begin[int(b[0])<<2|int(b[1])>>6] |= 1 << (b[1] & 63)
		}
		a.needs = len(needs) > 0
		m.asks = append(m.asks, a)
	}
	return m, nil
}

// canAsk reports whether an operator is one that depends on nothing but the value.
func canAsk(r *secRule) bool {
	switch r.operator {
	case "rx", "pm", "pmFromFile", "detectSQLi", "detectXSS", "contains", "streq", "validateByteRange":
		return !r.negated && !strings.Contains(r.arg, "%{")
	}
	return false
}

func newAsk(r *secRule, lists func(string) ([]string, error)) (a ask, needs []string, err error) {
	switch r.operator {
	case "rx":
		return expression(r.arg)
	case "pm":
		return phrases(strings.Fields(r.arg))
	case "pmFromFile":
		all, err := lists(r.arg)
		if err != nil {
			return a, nil, err
		}
		return phrases(all)
	case "contains":
		return ask{takes: func(s string) bool { return strings.Contains(s, r.arg) }}, nil, nil
	case "streq":
		return ask{takes: func(s string) bool { return s == r.arg }}, nil, nil
	case "detectSQLi":
		return ask{takes: func(s string) bool { yes, _ := libinjection.IsSQLi(s); return yes }}, nil, nil
	case "detectXSS":
		return ask{takes: libinjection.IsXSS}, nil, nil
	case "validateByteRange":
		return byteRange(r.arg)
	}
	return a, nil, fmt.Errorf("operator %s", r.operator)
}

// expression compiles a pattern as the engine does: over lines, the dot taking line ends;
// one with bytes that are no UTF-8 over bytes.
func expression(pattern string) (a ask, needsTexts []string, err error) {
	full := "(?sm)" + pattern
	if rawBytes(full) {
		re, err := binaryregexp.Compile(pattern)
		if err != nil {
			return a, nil, err //nolint:wrapcheck // wrapped by the caller
		}
		a.takes = re.MatchString
		tree, err := syntax.Parse(pattern, syntax.Perl)
		if err == nil {
			a.can, err = newProgram(tree)
		}
		return a, nil, err
	}
	re, err := regexp.Compile(full)
	if err != nil {
		return a, nil, err //nolint:wrapcheck // wrapped by the caller
	}
	tree, err := syntax.Parse(full, syntax.Perl)
	if err != nil {
		return a, nil, err //nolint:wrapcheck // wrapped by the caller
	}
	a.takes = re.MatchString
	a.can, err = newProgram(tree)
	return a, needs(tree), err
}

var hexEscape = regexp.MustCompile(`\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))`)

// rawBytes reports whether a pattern spells bytes that are no UTF-8 text.
func rawBytes(pattern string) bool {
	decoded := hexEscape.ReplaceAllStringFunc(pattern, func(e string) string {
		n, err := strconv.ParseUint(strings.Trim(e[2:], "{}"), 16, 8)
		if err != nil {
			return e
		}
		return string([]byte{byte(n)})
	})
	return !utf8.ValidString(decoded)
}

// phrases takes a value in which one of the phrases stands, whatever its case.
func phrases(all []string) (a ask, needs []string, err error) {
	for _, p := range all {
		if p = strings.ToLower(strings.TrimSpace(p)); p != "" {
			needs = append(needs, p)
		}
	}
	short := slices.ContainsFunc(needs, func(p string) bool { return len(p) < 2 })
	of := needs
	a.takes = func(s string) bool {
		s = lower(s)
		return slices.ContainsFunc(of, func(p string) bool { return strings.Contains(s, p) })
	}
	if short {
		return a, nil, nil
	}
	return a, needs, nil
}

func byteRange(arg string) (a ask, needs []string, err error) {
	var good [256]bool
	for part := range strings.SplitSeq(arg, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			to = from
		}
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || lo < 0 || hi > 255 {
			return a, nil, fmt.Errorf("range %q", part)
		}
		for c := lo; c <= hi; c++ {
			good[c] = true
		}
	}
	a.takes = func(s string) bool {
		for i := range len(s) {
			if !good[s[i]] {
				return true
			}
		}
		return false
	}
	return a, nil, nil
}

// takes reports whether one of the rules takes the value.
func (m *matcher) takes(s string) bool {
	all := m.candidates(s)
	if len(all) == 0 {
		return false
	}
	if len(s) > knownBytes {
		return m.ask(all, s)
	}
	m.mu.RLock()
	yes, ok := m.known[s]
	m.mu.RUnlock()
	if ok {
		return yes
	}
	yes = m.ask(all, s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= mostKnown {
		clear(m.known)
	}
	m.known[strings.Clone(s)] = yes
	return yes
}

// ask asks the candidates whose texts stand in the value.
func (m *matcher) ask(all []int32, s string) bool {
	var marked []uint64 // made when the first is wanted
	for _, i := range all {
		a := &m.asks[i]
		if a.needs {
			if marked == nil {
				marked = m.marks(s)
			}
			if marked[i>>6]&(1<<(i&63)) == 0 {
				continue
			}
		}
		if a.takes(s) {
			return true
		}
	}
	return false
}

// candidates are the rules that some value of these kinds of bytes is taken by.
func (m *matcher) candidates(s string) []int32 {
	k := kindsOf(s)
	m.mu.RLock()
	all, ok := m.able[k]
	m.mu.RUnlock()
	if ok {
		return all
	}
	for i := range m.asks {
		if p := m.asks[i].can; p == nil || p.reaches(k) {
			all = append(all, int32(i)) //nolint:gosec // there are some hundred rules
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.able) >= mostKinds { // somebody sends every mixture there is
		clear(m.able)
	}
	m.able[k] = all
	return all
}

// marks finds in one pass all texts that stand in the value.
func (m *matcher) marks(s string) []uint64 {
	out := make([]uint64, (len(m.asks)+63)/64)
	s = folded(s)
	for i := 0; i+1 < len(s); i++ {
		if m.begin[int(s[i])<<2|int(s[i+1])>>6]&(1<<(s[i+1]&63)) == 0 {
			continue
		}
		for _, t := range m.texts[[2]byte{s[i], s[i+1]}] {
			if strings.HasPrefix(s[i+2:], t.tail) {
				out[t.ask>>6] |= 1 << (t.ask & 63)
			}
		}
	}
	return out
}

// lower makes small letters of the capitals of ASCII, and leaves all else.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

var twoSigns = strings.NewReplacer(string(rune(longS)), "s", string(rune(kelvin)), "k")

// folded is a value in the letters that texts are written in.
func folded(s string) string {
	if kindsOf(s)&beyond != 0 {
		s = twoSigns.Replace(s)
	}
	return lower(s)
}
