package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"writ/internal/fault"
)

// MaxProblems is how many problems one run reports.
const MaxProblems = 50

// Severity says whether a problem stops the file.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the file is refused
	Warning Severity = "warning" // the file is accepted and an owner should look
)

// Problem is one thing wrong with a policy file.
type Problem struct {
	File     string   `json:"file,omitempty"` // set by InFile
	Line     int      `json:"line,omitempty"` // from 1; 0 where there is no file
	Column   int      `json:"column,omitempty"`
	At       string   `json:"at,omitempty"`   // "auth.reset-link-lifetime/ttl", "policy.owners"
	Found    string   `json:"found"`          // what is there, quoted so that nothing invisible stays so
	Expected string   `json:"expected"`       // what may be there
	Near     string   `json:"near,omitempty"` // the nearest known word
	Severity Severity `json:"severity"`
}

// String is the problem in one line: file:line:column: found …, expected ….
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	if p.At != "" {
		b.WriteString(p.At + ": ")
	}
	b.WriteString("found " + p.Found + ", expected " + p.Expected)
	if p.Near != "" {
		b.WriteString("; did you mean " + p.Near + "?")
	}
	return b.String()
}

// InFile sets the file name of all problems and returns them.
func InFile(name string, ps []Problem) []Problem {
	for i := range ps {
		ps[i].File = name
	}
	return ps
}

// Refusal makes one error of the problems: nil when none is an Error, else
// fault.Invalid, code policy_refused, with one public field a problem.
func Refusal(ps []Problem) error {
	var fields []fault.Field
	for _, p := range ps {
		if p.Severity == Error {
			fields = append(fields, fault.Field{Name: p.At, Code: "refused", Problem: p.String()})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	pub := fault.Public{
		Problem: fmt.Sprintf("The policy has %d problems; the first: %s.", len(fields), fields[0].Problem),
		Next:    "Correct each of them and send the policy again.", Fields: fields,
	}
	if len(fields) == 1 {
		pub.Problem = "The policy has a problem: " + fields[0].Problem + "."
	}
	return fault.New(fault.Invalid, "policy_refused", pub)
}

func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// nearest is the known word with the least edit distance to s, or "" when none is near.
func nearest(s string, known []string) string {
	const long = 64
	if s == "" || len(s) > long {
		return ""
	}
	best, limit := "", 1+len(s)/3
	for _, k := range known {
		if len(k) > long || len(k)-len(s) > limit || len(s)-len(k) > limit {
			continue
		}
		if d := distance(s, k); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

// distance is Levenshtein's, over bytes: the words are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
