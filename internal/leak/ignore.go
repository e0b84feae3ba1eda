package leak

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"writ/internal/fault"
)

// Ignore is a list of hits that somebody took out, each with an end and a reason:
//
//	# id              until       reason
//	9f2b6c1d4e5a7b80  2027-03-31  a made-up key in the manual
type Ignore struct {
	today string
	lines map[string]ignored
}

type ignored struct{ until, reason string }

// IgnoreFile is the name that is looked for in a place.
const IgnoreFile = ".writ-scan"

// The limits of an ignore file.
const (
	maxIgnore   = 1 << 20
	shortReason = 8
	longestOut  = 366 * 24 * time.Hour
)

var ignoreLine = regexp.MustCompile(`^([0-9a-f]{16})\s+(\d{4}-\d{2}-\d{2})\s+(\S.*)$`)

// ParseIgnore reads such a list. Lines whose end has passed take nothing out any more.
func ParseIgnore(text string, now time.Time) (*Ignore, error) {
	g := &Ignore{today: now.UTC().Format(time.DateOnly), lines: map[string]ignored{}}
	bad := func(n int, problem string) error {
		return fault.New(fault.Invalid, "ignore_file", fault.Public{Problem: fmt.Sprintf("Line %d of the ignore file: %s.", n, problem),
			Expected: "An id of a hit, a date within a year such as 2027-03-31, and a reason of eight characters or more."})
	}
	if len(text) > maxIgnore {
		return nil, bad(0, "it is too large")
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := ignoreLine.FindStringSubmatch(line)
		if m == nil || len(m[3]) < shortReason {
			return nil, bad(n, "this is no exception")
		}
		until, err := time.Parse(time.DateOnly, m[2])
		if err != nil || until.Sub(now) > longestOut {
			return nil, bad(n, m[2]+" is no date within a year")
		}
		g.lines[m[1]] = ignored{m[2], m[3]}
	}
	return g, nil
}

// apply takes a hit out while its line holds.
func (g *Ignore) apply(h *Hit) {
	if g == nil {
		return
	}
	if l, ok := g.lines[h.ID]; ok && l.until >= g.today {
		h.Until, h.Reason = l.until, l.reason
	}
}

// IgnoreLines are lines for hits, to be put into an ignore file.
func IgnoreLines(hits []Hit, until time.Time, reason string) string {
	var b strings.Builder
	for _, h := range hits {
		fmt.Fprintf(&b, "%s  %s  %s (%s in %s)\n", h.ID, until.Format(time.DateOnly), reason, h.Rule, h.File)
	}
	return b.String()
}
