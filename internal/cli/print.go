package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"writ/internal/policy/document"
)

// printJSON writes what the server said, byte for byte.
func (a *app) printJSON(raw json.RawMessage) error {
	_, err := fmt.Fprintln(a.out, strings.TrimRight(string(raw), "\n"))
	return err
}

// encode writes a value of our own.
func (a *app) encode(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// decode reads an answer twice: as it is for --format json, and into out.
func decode(raw json.RawMessage, out any) error {
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// table is rows of columns that line up. Cells are made harmless.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, heads ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	if len(heads) > 0 {
		t.row(heads...)
	}
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' {
				return ' '
			}
			return r
		}, visible(c))
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t")) // a full disk shows at flush
}

func (t *table) flush() error { return t.w.Flush() }

// when tells a moment: its age when recent, its date in the reader's zone otherwise.
func (a *app) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := a.now().Sub(t)
	switch {
	case d >= 0 && d < time.Minute:
		return "just now"
	case d >= 0 && d < 24*time.Hour:
		return span(d) + " ago"
	case d < 0 && d > -24*time.Hour:
		return "in " + span(-d)
	}
	return a.date(t)
}

// date is a moment in the reader's zone.
func (a *app) date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	layout := "2 Jan 15:04"
	if t.Local().Year() != a.now().Local().Year() {
		layout = "2 Jan 2006 15:04"
	}
	return t.Local().Format(layout)
}

func span(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%d min", max(int(d.Minutes()), 1))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// wrap breaks a text into lines of at most width columns.
func wrap(s string, width int) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

// printDiff tells the difference between two policies clause by clause.
func (a *app) printDiff(d document.Diff) {
	detail := func(indent string, x document.Detail) {
		text := string(x.Level)
		switch {
		case x.Old != "" && x.New != "":
			text = fmt.Sprintf("%s → %s (%s)", x.Old, x.New, x.Level)
		case x.New != "":
			text = fmt.Sprintf("now %s (%s)", x.New, x.Level)
		case x.Old != "":
			text = fmt.Sprintf("was %s (%s)", x.Old, x.Level)
		}
		fmt.Fprintf(a.out, "%s%s: %s\n", indent, visible(x.What), visible(text))
	}
	for _, x := range d.Header {
		detail("", x)
	}
	for _, x := range d.Sections {
		detail("", x)
	}
	for _, c := range d.Clauses {
		fmt.Fprintf(a.out, "%-12s %s\n", c.Level, visible(c.Clause))
		for _, x := range c.Details {
			detail("             ", x)
		}
	}
	fmt.Fprintln(a.out, capital(d.Summary())+".")
}
