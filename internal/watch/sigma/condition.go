package sigma

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	mostCondition = 4 << 10
	mostParens    = 50
	mostTerms     = 1000
)

// expr is what a rule asks of an event.
type expr struct {
	op   op
	kids []*expr
	item *item
	n    int // atLeast
}

type op uint8

const (
	and op = iota
	or
	not
	ask // an item
	atLeast
)

// conditionParser reads "a and not 1 of b*", whose names are selections.
type conditionParser struct {
	words []word
	names map[string]*expr
	deep  int
}

type word struct {
	text string
	at   int // byte
}

// conditionError is what is wrong with a condition, and where in it.
type conditionError struct {
	at      int
	problem string
}

func (e *conditionError) Error() string { return e.problem }

// parseCondition reads a condition over selections.
func parseCondition(s string, names map[string]*expr) (*expr, *conditionError) {
	if len(s) > mostCondition {
		return nil, &conditionError{0, "the condition is longer than 4 KiB"}
	}
	if i := strings.IndexByte(s, '|'); i >= 0 {
		return nil, &conditionError{i, "counts behind a pipe are of long ago; use a correlation rule"}
	}
	p := &conditionParser{names: names}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '(' || c == ')':
			p.words = append(p.words, word{s[i : i+1], i})
			i++
		default:
			j := i
			for j < len(s) && strings.IndexByte(" \t\r\n()", s[j]) < 0 {
				j++
			}
			p.words = append(p.words, word{s[i:j], i})
			i = j
		}
	}
	if len(p.words) > mostTerms {
		return nil, &conditionError{0, fmt.Sprintf("the condition has more than %d words", mostTerms)}
	}
	e, err := p.either()
	if err == nil && len(p.words) > 0 {
		err = p.wrong(`expected "and", "or" or the end`)
	}
	if err != nil {
		if err.at < 0 {
			err.at = len(s)
		}
		return nil, err
	}
	return e, nil
}

func (p *conditionParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return strings.ToLower(p.words[0].text)
}

func (p *conditionParser) next() word {
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *conditionParser) wrong(want string) *conditionError {
	if len(p.words) == 0 {
		return &conditionError{-1, "the condition ends too early: " + want}
	}
	return &conditionError{p.words[0].at, fmt.Sprintf("%q stands in the condition: %s", firstLine(p.words[0].text), want)}
}

func (p *conditionParser) either() (*expr, *conditionError) { return p.chain("or", or, p.both) }
func (p *conditionParser) both() (*expr, *conditionError)   { return p.chain("and", and, p.not) }

func (p *conditionParser) chain(by string, o op, part func() (*expr, *conditionError)) (*expr, *conditionError) {
	first, err := part()
	if err != nil || p.peek() != by {
		return first, err
	}
	e := &expr{op: o, kids: []*expr{first}}
	for p.peek() == by {
		p.next()
		more, err := part()
		if err != nil {
			return nil, err
		}
		e.kids = append(e.kids, more)
	}
	return e, nil
}

func (p *conditionParser) not() (*expr, *conditionError) {
	odd := false
	for p.peek() == "not" {
		p.next()
		odd = !odd
	}
	e, err := p.term()
	if err != nil || !odd {
		return e, err
	}
	return &expr{op: not, kids: []*expr{e}}, nil
}

func (p *conditionParser) term() (*expr, *conditionError) {
	switch p.peek() {
	case "", ")", "and", "or", "of":
		return nil, p.wrong("expected the name of a selection")
	case "(":
		if p.deep++; p.deep > mostParens {
			return nil, p.wrong(fmt.Sprintf("at most %d brackets are open at once", mostParens))
		}
		p.next()
		e, err := p.either()
		if err != nil {
			return nil, err
		}
		if p.peek() != ")" {
			return nil, p.wrong("expected a closing bracket")
		}
		p.deep--
		p.next()
		return e, nil
	}
	if len(p.words) > 1 && strings.EqualFold(p.words[1].text, "of") {
		return p.some()
	}
	w := p.next()
	if e := p.names[w.text]; e != nil {
		return e, nil
	}
	p.words = append([]word{w}, p.words...)
	return nil, p.wrong("there is no selection of this name; there are " + strings.Join(slices.Sorted(maps.Keys(p.names)), ", "))
}

// some reads "1 of name*", "all of them".
func (p *conditionParser) some() (*expr, *conditionError) {
	n := 0
	switch q := p.peek(); q {
	case "all":
	case "any":
		n = 1
	default:
		var err error
		if n, err = strconv.Atoi(q); err != nil || n < 1 {
			return nil, p.wrong("expected a number, any or all before of")
		}
	}
	p.next()
	p.next()
	if p.peek() == "" || p.peek() == "(" || p.peek() == ")" {
		return nil, p.wrong("expected them, or the beginning of names such as selection_*")
	}
	var kids []*expr
	of := parseGlob(p.words[0].text)
	pat := compileGlob(of, true)
	for _, name := range slices.Sorted(maps.Keys(p.names)) {
		if p.peek() == "them" && !strings.HasPrefix(name, "_") || p.peek() != "them" && pat.takes(&val{text: name}) {
			kids = append(kids, p.names[name])
		}
	}
	if len(kids) == 0 || n > len(kids) {
		return nil, p.wrong("fewer selections are named so than it asks for")
	}
	p.next()
	switch {
	case n == 0:
		return &expr{op: and, kids: kids}, nil
	case n == 1:
		return &expr{op: or, kids: kids}, nil
	}
	return &expr{op: atLeast, kids: kids, n: n}, nil
}
