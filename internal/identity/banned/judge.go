package banned

import (
	"slices"
	"strings"
	"unicode"
)

// The bounds that keep a judgement at a few thousand look-ups, whatever was typed.
const (
	maxCut  = 16 // how deep a cut may reach into the signs beside the letters
	minCore = 3  // how many letters must be left between the cuts,
	minNums = 6  // or how many letters and signs
	minRun  = 6  // a run must have as many
	maxHalf = 20 // the longest half of a pair
	maxGap  = 4  // digits and symbols between the halves of a pair
	maxPair = 96 // beyond, nothing is looked at as a pair
)

// judge decides about one password.
type judge struct {
	base         *base
	words, about terms
}

// view is one way to read the password.
type view struct {
	raw, skel    []rune
	letter       []bool
	letters      []int // how many before each position
	path, path2  []way
	first, last  int // letters lie in [first,last); first == last: none
	back, pulled bool
}

func newView(m steps, raw []rune, back, pulled bool) view {
	v := view{raw: raw, skel: skeleton(raw), back: back, pulled: pulled, letter: make([]bool, len(raw)), letters: make([]int, len(raw)+1)}
	for i, r := range raw {
		v.letters[i+1] = v.letters[i]
		if v.letter[i] = unicode.IsLetter(r); v.letter[i] {
			v.letters[i+1]++
			if v.last == 0 {
				v.first = i
			}
			v.last = i + 1
		}
	}
	v.path, v.path2 = m.path(raw, 1), m.path(raw, 2)
	return v
}

// hit is what was found, in the words of Reason.Kind.
type hit struct {
	what     string
	repeated bool
	from, to int // where
}

// password tries the four views, the plainest first.
func (j *judge) password(s string) (kind string, bad bool) {
	m := j.base.steps
	plain := fold(s)
	for _, back := range []bool{false, true} {
		if back {
			plain = slices.Clone(plain)
			slices.Reverse(plain)
		}
		v := newView(m, plain, back, false)
		if h, ok := j.view(v); ok {
			return v.kind(h), true
		}
		if c := collapse(plain); len(c) != len(plain) {
			v := newView(m, c, back, true)
			if h, ok := j.view(v); ok {
				return v.kind(h), true
			}
		}
	}
	return "", false
}

// view looks at the whole, then at what is left after each cut, then for pairs.
func (j *judge) view(v view) (hit, bool) {
	if h, ok := j.core(v, 0, len(v.raw)); ok {
		return h, true
	}
	if v.enough(v.first, v.last) {
		if h, ok := j.core(v, v.first, v.last); ok {
			return h, true
		}
	}
	starts, ends := v.cuts()
	for _, a := range starts {
		for _, b := range ends {
			if !v.enough(a, b) {
				continue
			}
			if h, ok := j.core(v, a, b); ok {
				return h, true
			}
		}
	}
	return j.pair(v, starts, ends)
}

// enough reports whether a..b says something once the rest is cut off. Signs read
// as letters need company, and so do letters read backwards or closed up: any
// short string spells some word that way.
func (v view) enough(a, b int) bool {
	n, letters := b-a, v.lettersIn(a, b)
	least := minCore
	if v.back || v.pulled {
		least++
	}
	return letters >= least || n >= minNums
}

func (v view) lettersIn(a, b int) int { return v.letters[max(a, b)] - v.letters[a] }

// cuts returns where the password may begin and end once digits and symbols are
// stripped: everywhere in the signs beside the outermost letters, because the
// outermost letters may themselves be written as signs.
func (v view) cuts() (starts, ends []int) {
	n := len(v.raw)
	lead, tail := v.first, v.last
	if v.first == v.last {
		lead, tail = min(n, maxCut), max(0, n-maxCut)
	}
	starts, ends = []int{0}, []int{n}
	for i := max(1, lead-maxCut); i <= lead; i++ {
		starts = append(starts, i)
	}
	for i := min(n-1, tail+maxCut); i >= tail && i > 0; i-- {
		ends = append(ends, i)
	}
	return starts, ends
}

// core judges positions a..b as one thing.
func (j *judge) core(v view, a, b int) (hit, bool) {
	if what := j.find(keyOf(v.skel[a:b])); what != "" {
		return hit{what: what, from: a, to: b}, true
	}
	n := b - a
	if p := period(v.skel[a:b]); p < n && n%p == 0 && n >= minRun {
		if p == 1 || p <= 3 && n >= 8 {
			return hit{what: "a few characters repeated", from: a, to: b}, true
		}
		if what, ok := j.unit(v, a, p, n); ok {
			return hit{what: what, repeated: true, from: a, to: b}, true
		}
	}
	if few := distinct(v.skel[a:b], 3); n >= 8 && few <= 2 || n >= 10 && few <= 3 {
		return hit{what: "a few characters repeated", from: a, to: b}, true
	}
	if n >= minRun && (isRun(v.path, a, b) || isWoven(v.path2, a, b)) {
		return hit{what: "a run along the keyboard or the alphabet", from: a, to: b}, true
	}
	return hit{}, false
}

// unit judges what is repeated in the n runes from a, whose shortest period is p.
// The unit is shorter by half or more, so the depth is bounded by the length.
func (j *judge) unit(v view, a, p, n int) (what string, ok bool) {
	for k := 2 * p; k < n; k += p { // "froufrou" twice has the period of "frou"
		if n%k == 0 {
			if what := j.find(keyOf(v.skel[a : a+k])); what != "" {
				return what, true
			}
		}
	}
	if h, ok := j.view(newView(j.base.steps, v.raw[a:a+p], v.back, v.pulled)); ok {
		return h.what, true
	}
	if p == 4 && v.lettersIn(a, a+p) == 0 {
		return "four digits", true
	}
	return "", false
}

// find names the source that holds the key, "" for none.
func (j *judge) find(k key) string {
	switch {
	case j.about.keys.has(k):
		return "your own name or address"
	case j.words.keys.has(k):
		return "a word of this company or product"
	case j.base.passwords.has(k):
		return "a common password"
	case j.base.listed.has(k):
		return "a password on this company's list"
	case j.base.words.has(k):
		return "a common word"
	case j.base.names.has(k):
		return "a common name"
	}
	return ""
}

// pair looks for two of the commonest words joined, with a few signs between them or none.
func (j *judge) pair(v view, starts, ends []int) (hit, bool) {
	if v.last-v.first > maxPair {
		return hit{}, false
	}
	known := map[[2]int]bool{}
	half := func(a, b int) bool {
		if b-a > maxHalf || v.lettersIn(a, b) < minWord {
			return false
		}
		ok, seen := known[[2]int{a, b}]
		if !seen {
			k := keyOf(v.skel[a:b])
			ok = j.base.common.has(k) || j.words.keys.has(k) || j.about.keys.has(k) || b-a > minWord && isRun(v.path, a, b)
			known[[2]int{a, b}] = ok
		}
		return ok
	}
	for _, a := range starts {
		for k := a + minWord; k <= min(a+maxHalf, len(v.raw)-minWord); k++ {
			if !half(a, k) {
				continue
			}
			for gap := k; gap <= min(k+maxGap, len(v.raw)-minWord); gap++ {
				for _, b := range ends {
					if half(gap, b) {
						return hit{what: "two common words joined", from: a, to: b}, true
					}
				}
				if v.letter[gap] {
					break
				}
			}
		}
	}
	return hit{}, false
}

// kind says what was found and how it was dressed up.
func (v view) kind(h hit) string {
	var how []string
	if v.back {
		how = append(how, "written backwards")
	}
	if h.repeated {
		how = append(how, "repeated")
	}
	if v.pulled {
		how = append(how, "with letters doubled")
	}
	if v.mixed(h.from, h.to) {
		how = append(how, "with digits or symbols for letters")
	}
	digits, symbols := false, false
	for i, r := range v.raw {
		if i < h.from || i >= h.to {
			digits = digits || unicode.IsDigit(r)
			symbols = symbols || !unicode.IsDigit(r)
		}
	}
	switch {
	case digits && symbols:
		how = append(how, "with digits and symbols added")
	case digits:
		how = append(how, "with digits added")
	case symbols:
		how = append(how, "with symbols added")
	}
	return strings.TrimSpace(h.what + " " + strings.Join(how, " and "))
}

// mixed reports whether signs stand between letters.
func (v view) mixed(a, b int) bool {
	for a < b && !v.letter[a] {
		a++
	}
	for a < b && !v.letter[b-1] {
		b--
	}
	return v.lettersIn(a, b) < b-a
}

// period returns the length of the shortest p such that r is a prefix of ppp…
// (the failure function of Knuth, Morris and Pratt).
func period(r []rune) int {
	fail := make([]int, len(r)+1)
	for i, k := 1, 0; i < len(r); i++ {
		for k > 0 && r[i] != r[k] {
			k = fail[k]
		}
		if r[i] == r[k] {
			k++
		}
		fail[i+1] = k
	}
	return len(r) - fail[len(r)]
}

// distinct counts different runes, but stops above limit.
func distinct(r []rune, limit int) int {
	seen := make([]rune, 0, limit+1)
	for _, c := range r {
		if !slices.Contains(seen, c) {
			if seen = append(seen, c); len(seen) > limit {
				break
			}
		}
	}
	return len(seen)
}
