// Package report turns what policy/check found into what a person reads in a terminal
// and what a program reads in JSON. It decides nothing.
//
// One line a clause, the counts at the end; what does not hold is followed by the
// reason. Colour only where the caller says that it is seen; the marks are letters and
// signs that differ without it.
//
// For: owner, engineer, auditor.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"writ/internal/clause"
	"writ/internal/policy/check"
	"writ/internal/web"
)

// Look says how text is drawn.
type Look struct {
	Color bool // ANSI colours
}

// marks are the sign, colour and word of each outcome.
var marks = map[clause.Outcome]struct{ sign, color string }{
	clause.Pass:     {"●", "32"},
	clause.Fail:     {"✕", "31;1"},
	clause.Stale:    {"◐", "33"},
	clause.Excepted: {"◇", "36"},
	clause.Unknown:  {"○", "33"},
	clause.Unbound:  {"○", "31"},
}

func (l Look) paint(o clause.Outcome, s string) string {
	if !l.Color {
		return s
	}
	return "\x1b[" + marks[o].color + "m" + s + "\x1b[0m"
}

func (l Look) dim(s string) string {
	if !l.Color {
		return s
	}
	return "\x1b[2m" + s + "\x1b[0m"
}

// mark is sign and word, of one width.
func (l Look) mark(o clause.Outcome) string {
	m, ok := marks[o]
	if !ok {
		m.sign = "?"
	}
	return l.paint(o, fmt.Sprintf("%s %-8s", m.sign, o))
}

// Text writes a report: one line a clause, which is its sentence where it holds and the
// reason where it does not; the counts at the end. A report on one clause tells all.
func Text(w io.Writer, r check.Report, l Look) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s, revision %s, in force since %s\n", plain(r.Policy.ID), plain(r.Policy.Title), plain(r.Policy.Revision), r.Policy.InForceSince)
	b.WriteString(l.dim("sha256:"+plain(r.Policy.BodySHA256)) + "\n\n")
	section := ""
	wide := width(r)
	for _, c := range r.Clauses {
		if c.Section != section {
			if section != "" {
				b.WriteByte('\n')
			}
			section = c.Section
			b.WriteString(l.dim(plain(section)) + "\n")
		}
		says := plain(c.Says)
		if why := reason(c); why != "" && len(r.Clauses) > 1 {
			says = why
		}
		fmt.Fprintf(&b, "%s  %-*s  %s\n", l.mark(c.Outcome), wide, plain(c.ID), says)
		if len(r.Clauses) == 1 {
			reasons(&b, c, l)
		}
	}
	b.WriteString("\n" + counts(r, l) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func width(r check.Report) int {
	n := 0
	for _, c := range r.Clauses {
		n = max(n, len(c.ID))
	}
	return n
}

// reason is what made the outcome of a clause that does not hold.
func reason(c check.Clause) string {
	for _, f := range c.Findings {
		if c.Outcome != clause.Pass && f.Outcome == c.Outcome {
			return plain(f.Control) + ": " + plain(f.Summary)
		}
	}
	return ""
}

// reasons says under a clause what each of its controls found.
func reasons(b *strings.Builder, c check.Clause, l Look) {
	for _, f := range c.Findings {
		fmt.Fprintf(b, "  %s  %s\n", l.mark(f.Outcome), l.dim(plain(f.Control)+": "+plain(f.Summary)))
	}
}

func counts(r check.Report, l Look) string {
	parts := []string{web.Count(int64(len(r.Clauses)), "clause") + ":"}
	for _, x := range []struct {
		o clause.Outcome
		n int
	}{{clause.Pass, r.Counts.Pass}, {clause.Fail, r.Counts.Fail}, {clause.Stale, r.Counts.Stale}, {clause.Excepted, r.Counts.Excepted},
		{clause.Unknown, r.Counts.Unknown}, {clause.Unbound, r.Counts.Unbound}} {
		s := fmt.Sprintf("%d %s", x.n, x.o)
		if x.n > 0 {
			s = l.paint(x.o, s)
		}
		parts = append(parts, s)
	}
	return parts[0] + " " + strings.Join(parts[1:], ", ")
}

// Proof writes what happened when a clause was proved.
func Proof(w io.Writer, p check.Proof, l Look) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n%s\n", l.mark(p.Outcome), plain(p.Clause), plain(p.Says))
	for _, r := range p.Runs {
		fmt.Fprintf(&b, "\n%s  %s %s: %s\n", l.mark(r.Outcome), r.Kind, plain(r.Control), plain(r.Says))
		for _, s := range r.Steps {
			what := "attempt"
			if s.Control {
				what = "control"
			}
			o := clause.Pass
			if !s.OK {
				o = clause.Fail
			}
			fmt.Fprintf(&b, "  %s %s  %s\n             expected %s, got %s\n", l.paint(o, marks[o].sign), what, plain(s.Act), plain(s.Expected), plain(s.Got))
		}
		fmt.Fprintf(&b, "  %s\n", plain(r.Summary))
		if r.Population > 0 {
			fmt.Fprintf(&b, "  looked at %d\n", r.Population)
		}
		fmt.Fprintf(&b, "  %s\n", l.dim("at "+r.ObservedAt.String()+", "+plain(r.Took)+", entry "+plain(r.Entry)))
	}
	if p.Record != nil {
		fmt.Fprintf(&b, "\n%s  carried by record: %s\n", l.mark(p.Record.Outcome), plain(p.Record.Summary))
		if p.Record.Entry != "" {
			fmt.Fprintf(&b, "  %s\n", l.dim("observed "+p.Record.ObservedAt.String()+", valid until "+p.Record.ValidUntil.String()+", entry "+plain(p.Record.Entry)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON writes v (a check.Report or check.Proof) indented.
func JSON(w io.Writer, v any) error {
	if err := json.MarshalWrite(w, v, json.Deterministic(true), jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// plain keeps control characters of foreign text from the reader's terminal.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069 {
			return ' '
		}
		return c
	}, s)
}
