package waf

import (
	"math"
	"regexp/syntax"
	"unicode"
)

// What a regular expression needs before it can match: one of some literals (needs), and
// letters, digits or signs that lead to a match (reaches). Both only ever say that it
// cannot match when it cannot.

const (
	mostLiterals = 400
	mostExact    = 32
)

// found is what a part of an expression can be: exactly one of some texts, or anything
// that holds one of some texts. Texts are in small letters.
type found struct {
	exact []string // nil = not known
	must  []string // nil = nothing is
}

// needs returns texts of which one must be in whatever the expression matches, in small
// letters; nil when there are none worth looking for.
func needs(re *syntax.Regexp) []string {
	return textsOf(re).best()
}

// best is the more telling of the two.
func (f found) best() []string {
	if worth(f.exact) > worth(f.must) {
		return f.exact
	}
	if worth(f.must) == 0 {
		return nil
	}
	return f.must
}

// worth is how telling texts are: the length of the shortest counts; one letter tells nothing.
func worth(texts []string) float64 {
	if len(texts) == 0 || len(texts) > mostLiterals {
		return 0
	}
	least := math.MaxInt
	for _, t := range texts {
		least = min(least, len(t))
	}
	if least < 2 {
		return 0
	}
	return float64(min(least, 6)) - math.Log10(float64(len(texts)))/2
}

func textsOf(re *syntax.Regexp) found {
	switch re.Op {
	case syntax.OpLiteral:
		return literalTexts(re.Rune)
	case syntax.OpCharClass:
		return found{exact: classTexts(re.Rune)}
	case syntax.OpCapture:
		return textsOf(re.Sub[0])
	case syntax.OpConcat:
		return concatTexts(re.Sub)
	case syntax.OpAlternate:
		return alternateTexts(re.Sub)
	case syntax.OpQuest:
		if f := textsOf(re.Sub[0]); f.exact != nil && len(f.exact) < mostExact {
			return found{exact: append([]string{""}, f.exact...)}
		}
	case syntax.OpPlus:
		return found{must: textsOf(re.Sub[0]).best()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return found{must: textsOf(re.Sub[0]).best()}
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return found{exact: []string{""}}
	}
	return found{}
}

func concatTexts(subs []*syntax.Regexp) found {
	run, all, must := []string{""}, true, []string(nil)
	flush := func() {
		if worth(run) > worth(must) {
			must = run
		}
		run, all = []string{""}, false
	}
	for _, s := range subs {
		f := textsOf(s)
		if f.exact == nil || len(run)*len(f.exact) > mostExact && len(run) > 1 {
			flush()
		}
		if f.exact == nil {
			if m := f.best(); worth(m) > worth(must) {
				must = m
			}
			continue
		}
		if len(run)*len(f.exact) > mostLiterals {
			flush()
			continue
		}
		next := make([]string, 0, len(run)*len(f.exact))
		for _, a := range run {
			for _, b := range f.exact {
				next = append(next, a+b)
			}
		}
		run = next
	}
	if all {
		return found{exact: run}
	}
	flush()
	return found{must: must}
}

func alternateTexts(subs []*syntax.Regexp) found {
	var exact, must []string
	known, needed := true, true
	for _, s := range subs {
		f := textsOf(s)
		known = known && f.exact != nil
		exact = append(exact, f.exact...)
		b := f.best()
		needed = needed && b != nil
		must = append(must, b...)
	}
	out := found{}
	if known && len(exact) <= mostLiterals {
		out.exact = exact
	}
	if needed && len(must) <= mostLiterals {
		out.must = must
	}
	return out
}

// literalTexts is a literal in small letters, the way a value is searched; of one with
// signs beyond ASCII only its longest part without.
func literalTexts(rs []rune) found {
	longest, part, whole := "", "", true
	for _, r := range rs {
		t, ok := foldRune(r)
		if !ok {
			whole, part = false, ""
			continue
		}
		if part += t; len(part) > len(longest) {
			longest = part
		}
	}
	if whole {
		return found{exact: []string{longest}}
	}
	return found{must: []string{longest}}
}

// foldRune also takes the two signs beyond ASCII that an expression without regard to case
// takes for a letter of ASCII.
func foldRune(r rune) (string, bool) {
	switch {
	case r == longS:
		return "s", true
	case r == kelvin:
		return "k", true
	case 'A' <= r && r <= 'Z':
		return string(r + 'a' - 'A'), true
	}
	return string(r), r <= unicode.MaxASCII
}

const longS, kelvin = '\u017f', '\u212a'

// classTexts are the texts of a small class; nil for a large one, or one beyond ASCII.
func classTexts(ranges []rune) []string {
	seen := map[string]bool{}
	var out []string
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			t, ok := foldRune(r)
			if !ok || len(out) > 8 {
				return nil
			}
			if !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	if len(out) == 0 || len(out) > 8 {
		return nil
	}
	return out
}

// kinds is a set of kinds of bytes: letters, digits, each sign, blanks, and all beyond ASCII.
type kinds uint64

const (
	letters kinds = 1 << iota
	digits
	beyond
	otherControl
	firstSign
)

// kindOf is each byte's kind.
var kindOf = func() (t [256]kinds) {
	next := firstSign
	for i := range t {
		c := byte(i)
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			t[i] = letters
		case c >= '0' && c <= '9':
			t[i] = digits
		case c >= 0x80:
			t[i] = beyond
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f:
			t[i] = otherControl
		default: // 32 signs, blank, tab, line feed, carriage return
			t[i] = next
			next <<= 1
		}
	}
	return t
}()

func kindsOf(s string) (k kinds) {
	for i := range len(s) {
		k |= kindOf[s[i]]
	}
	return k
}

// program is an expression as an automaton, with the kinds of bytes that lead on.
type program struct {
	prog *syntax.Prog
	on   []kinds // by instruction
}

func newProgram(re *syntax.Regexp) (*program, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err //nolint:wrapcheck // it was compiled before
	}
	p := &program{prog: prog, on: make([]kinds, len(prog.Inst))}
	for i := range prog.Inst {
		p.on[i] = leads(&prog.Inst[i])
	}
	return p, nil
}

// leads is the kinds of which some byte, or some rune, is taken by an instruction.
func leads(in *syntax.Inst) (k kinds) {
	switch in.Op {
	case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return ^kinds(0)
	case syntax.InstRune, syntax.InstRune1:
	default:
		return 0
	}
	rs := in.Rune
	if len(rs) == 1 { // also its other cases, if those count
		for r := rs[0]; ; {
			k |= kindOfRune(r)
			if syntax.Flags(in.Arg)&syntax.FoldCase == 0 {
				return k
			}
			if r = unicode.SimpleFold(r); r == rs[0] {
				return k
			}
		}
	}
	for i := 0; i+1 < len(rs); i += 2 {
		for r := rs[i]; r <= rs[i+1] && r <= unicode.MaxASCII; r++ {
			k |= kindOfRune(r)
		}
		if rs[i+1] > unicode.MaxASCII {
			k |= beyond
		}
	}
	return k
}

func kindOfRune(r rune) kinds {
	if r > unicode.MaxASCII {
		return beyond
	}
	return kindOf[byte(r)]
}

// reaches reports whether some text of these kinds of bytes may match: whether the
// automaton comes to its end on them, when places in the text (its begin, a word's) are
// wherever they are wanted.
func (p *program) reaches(k kinds) bool {
	seen := make([]bool, len(p.prog.Inst))
	todo := []uint32{uint32(p.prog.Start)}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		switch in := &p.prog.Inst[at]; in.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			todo = append(todo, in.Out)
		case syntax.InstFail:
		default:
			if p.on[at]&k != 0 {
				todo = append(todo, in.Out)
			}
		}
	}
	return false
}
