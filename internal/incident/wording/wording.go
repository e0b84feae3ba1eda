package wording

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/web"
)

// Kind is what a place holds.
type Kind string

// The kinds of places.
const (
	Components Kind = "components" // names, with "and" before the last
	Time       Kind = "time"       // a date with its time, in UTC
	Duration   Kind = "duration"   // whole minutes
	Estimate   Kind = "estimate"   // when service returns, or that it is not known and when the next update comes
	Number     Kind = "number"     // with thousands apart
)

// Place is one that a text may have. It is written {name:kind}.
type Place struct {
	Name string
	Kind Kind
	Says string // what it is filled with
}

// String is a place as it is written in a text: {since:time}.
func (p Place) String() string { return "{" + p.Name + ":" + string(p.Kind) + "}" }

// Places are all there are.
func Places() []Place {
	return []Place{
		{"parts", Components, "the parts of the service that it touches"},
		{"since", Time, "when it began"},
		{"over", Time, "when its impact was over"},
		{"lasted", Duration, "from when it began until its impact was over"},
		{"back", Estimate, "when service returns, or when the next update comes"},
		{"next", Time, "when the next update comes at the latest"},
		{"teams", Number, "how many customers it touched"},
		{"lost", Number, "how many changes could not be brought back"},
		{"starts", Time, "when maintenance begins"},
	}
}

// Values are what is known. What is zero or nil is not.
type Values struct {
	Parts                           []string
	Since, Over, Back, Next, Starts time.Time
	Teams, Lost                     *int64
}

// Most is how many characters a text has at most, and MostPlaces how many places.
const (
	Most       = 4000
	MostPlaces = 50
)

// Text is one that was parsed: what stands in it, and its places. It is never changed.
type Text struct{ pieces []piece }

type piece struct {
	text  string
	place *Place // nil = it is text
}

var written = regexp.MustCompile(`\{([^{}]*)\}`)

// Parse reads a text. Errors: fault.Invalid, with the position of what is wrong, in characters from 1.
func Parse(text string) (Text, error) {
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text), strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }):
		return Text{}, bad("The text holds characters that no page shows.", "Plain text in lines.")
	case n > Most, len(strings.TrimSpace(text)) < 10:
		return Text{}, bad(fmt.Sprintf("The text has %d characters.", n), "10 to 4,000 characters.")
	}
	var out Text
	last := 0
	add := func(until int) error {
		between := text[last:until]
		if i := strings.IndexAny(between, "{}"); i >= 0 {
			return bad(fmt.Sprintf("There is a brace alone at character %d.", at(text, last+i)), "A place with both braces, such as {since:time}, or none.")
		}
		if between != "" {
			out.pieces = append(out.pieces, piece{text: between})
		}
		return nil
	}
	for n, m := range written.FindAllStringSubmatchIndex(text, -1) {
		if n == MostPlaces {
			return Text{}, bad(fmt.Sprintf("There are more than %d places.", MostPlaces), fmt.Sprintf("At most %d.", MostPlaces))
		}
		if err := add(m[0]); err != nil {
			return Text{}, err
		}
		p, err := placeOf(text[m[2]:m[3]], at(text, m[0]))
		if err != nil {
			return Text{}, err
		}
		out.pieces, last = append(out.pieces, piece{place: p}), m[1]
	}
	return out, add(len(text))
}

// placeOf is the place that is written so, at a character.
func placeOf(inside string, at int) (*Place, error) {
	name, kind, _ := strings.Cut(inside, ":")
	all := Places()
	i := slices.IndexFunc(all, func(p Place) bool { return p.Name == name })
	switch {
	case i < 0:
		return nil, bad(fmt.Sprintf("There is no place %q, at character %d.", cut(inside), at), "One of: "+list(all)+".")
	case string(all[i].Kind) != kind:
		return nil, bad(fmt.Sprintf("The place %q at character %d is of the kind %s.", name, at, all[i].Kind), all[i].String())
	}
	return &all[i], nil
}

// cut keeps what is repeated to a reader short.
func cut(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func list(all []Place) string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.String()
	}
	return strings.Join(names, " ")
}

func at(text string, i int) int { return utf8.RuneCountInString(text[:i]) + 1 }

func bad(problem, expected string) error {
	return fault.New(fault.Invalid, "notice_text", fault.Public{Problem: problem, Expected: expected, Next: "Correct the text and try again.",
		Fields: []fault.Field{{Name: "body", Code: "notice_text", Problem: problem + " Expected: " + expected}}})
}

// Fill puts what is known into its places. What is not known stays as it is written, and is listed.
func (t Text) Fill(v Values) (text string, open []Place) {
	var b strings.Builder
	for _, p := range t.pieces {
		if p.place == nil {
			b.WriteString(p.text)
			continue
		}
		s := v.of(p.place.Name)
		if s == "" {
			s = p.place.String()
			if !slices.Contains(open, *p.place) {
				open = append(open, *p.place)
			}
		}
		b.WriteString(s)
	}
	return b.String(), open
}

// of is what a place is filled with; "" = it is not known.
func (v Values) of(name string) string {
	switch name {
	case "parts":
		return web.And(v.Parts)
	case "since":
		return stamp(v.Since)
	case "over":
		return stamp(v.Over)
	case "lasted":
		if v.Since.IsZero() || v.Over.Before(v.Since) {
			return ""
		}
		return web.Duration(max(v.Over.Sub(v.Since).Round(time.Minute), time.Minute))
	case "back":
		if v.Back.IsZero() && !v.Next.IsZero() {
			return "not known yet, the next update comes by " + stamp(v.Next)
		}
		return by(v.Back)
	case "next":
		return stamp(v.Next)
	case "starts":
		return stamp(v.Starts)
	case "teams":
		return number(v.Teams)
	case "lost":
		return number(v.Lost)
	}
	return ""
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

func by(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return "by " + stamp(t)
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return web.Number(*n)
}

// opened is what is, or once was, a place: also one with a brace taken away, or with blanks in it.
var opened = func() *regexp.Regexp {
	var names, kinds []string
	for _, p := range Places() {
		names, kinds = append(names, p.Name), append(kinds, string(p.Kind))
	}
	inner := `(?:` + strings.Join(names, "|") + `)\s*:\s*(?:` + strings.Join(kinds, "|") + `)\b`
	return regexp.MustCompile(`(?i)\{\s*\pL+\s*:\s*\pL+\s*\}|\{\s*` + inner + `|\b` + inner + `\s*\}`)
}()

// Open are the characters, from 1, at which a text still has a place that nobody filled.
func Open(text string) (out []int) {
	for _, m := range opened.FindAllStringIndex(text, -1) {
		out = append(out, at(text, m[0]))
	}
	return out
}
