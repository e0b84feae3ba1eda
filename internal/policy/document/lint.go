package document

import (
	"regexp"
	"slices"
	"strings"
)

var (
	noNumber = regexp.MustCompile(`(?i)\b(minim(al|um)|periodic(al(ly)?)?|regular(ly)?|at intervals|from time to time)\b`)
	vagueAmt = regexp.MustCompile(`(?i)\b(many|several|numerous|various|some|a few|much more|sufficient(ly)?|adequate(ly)?|reasonabl[ey]|timely|promptly|as needed)\b`)
)

// Lint looks for what is allowed and weak: a promise that nothing checks, evidence
// that is stale before the next look, a record that never expires, words where a
// number should be. It never reads the clock. v.Upheld names the clauses that the
// controls of the build check; nil means that they are not known here. All problems
// are Warnings, with the line of the clause when the policy came from a file.
func Lint(p *Policy, v Vocabulary) []Problem {
	var out []Problem
	for _, c := range p.Each() {
		warn := func(found, expected string) {
			at := p.lines[c.ID]
			out = append(out, Problem{Line: at.line, Column: at.column, At: c.ID, Found: found, Expected: expected, Severity: Warning})
		}
		lintChecks(c, v, warn)
		lintWords(c, warn)
	}
	return out
}

func lintChecks(c *Clause, v Vocabulary, warn func(found, expected string)) {
	checked := len(c.Checks) > 0 || c.Record != nil
	switch {
	case checked:
	case c.Class == Attested:
		warn("an attested clause without a record", "record: {form, valid_for}")
	case v.Upheld != nil && !slices.Contains(v.Upheld, c.ID):
		warn("a promise without a check", "a check, a record, or a control of the build")
	}
	for _, k := range c.Checks {
		every, _ := ParseDuration(k.Every.Text)
		fresh, _ := ParseDuration(k.FreshFor.Text)
		if fresh < every {
			warn(string(k.Kind)+" "+k.Control+" fresh for "+k.FreshFor.Text+" and run every "+k.Every.Text, "fresh_for at least as long as every")
		}
	}
	if c.Record != nil && c.Record.ValidFor.IsZero() {
		warn("a record that never expires", "valid_for, such as 365d")
	}
}

func lintWords(c *Clause, warn func(found, expected string)) {
	if c.Vague != "" {
		warn("a note to the owner: "+quote(c.Vague), "a decision")
	}
	if strings.Contains(c.Says, "{{") {
		return
	}
	if w := noNumber.FindString(c.Says); w != "" {
		warn(quote(w)+" without a number", "a parameter that says how much or how often")
	}
	if w := vagueAmt.FindString(c.Says); w != "" {
		warn(quote(w)+" where an amount should be", "a parameter, or a plain word")
	}
}
