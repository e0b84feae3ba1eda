package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"writ/internal/fault"
)

// functions are what every template may call.
func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"now": now,
		"age": func(t time.Time) template.HTML { return timeTag(t, Age(now(), t), "age") },
		"time": func(t time.Time) template.HTML {
			return timeTag(t, t.UTC().Format("2 January 2006, 15:04 UTC"), "time")
		},
		"date":     func(t time.Time) template.HTML { return timeTag(t, t.UTC().Format("2 January 2006"), "date") },
		"duration": Duration,
		"count":    Count,
		"number":   Number,
		"join":     func(sep string, s []string) string { return strings.Join(s, sep) },
		"sentence": And,
		"problem":  func(err error) fault.Public { _, p := publicOf(err); return p },
		"fielded":  fielded,
		"witherr":  func(err error, f Field) Field { return fielded(Form{Fields: []Field{f}, Fault: err})[0] },
		"beside":   beside,
		"columns":  sevenColumns,
		"mark":     func(s State) Mark { return Mark{State: s} },
		"states":   func() []State { return States },
		"link":     func(text, href string) Link { return Link{Text: text, Href: href} },
		"percent":  percent,
		"orint": func(n, other int) int {
			if n == 0 {
				return other
			}
			return n
		},
	}
}

// timeTag is a time element: the script rewrites it into the reader's zone and keeps
// the UTC of the title.
func timeTag(t time.Time, text, kind string) template.HTML {
	if t.IsZero() {
		return "never"
	}
	u := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-show="%s">%s</time>`, //nolint:gosec // every part is made here, from a time
		u.Format("2006-01-02T15:04:05Z"), u.Format("2 January 2006, 15:04:05 UTC"), kind, template.HTMLEscapeString(text)))
}

// Age is how long ago t was, in words: "just now", "4 min ago", "3 h ago", "in 2 days";
// beyond two weeks the date.
func Age(now, t time.Time) string {
	d := now.Sub(t)
	past := d >= 0
	d = d.Abs()
	var s string
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		s = strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		s = strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 24*time.Hour:
		s = strconv.Itoa(int(d/time.Hour)) + " h"
	case d < 15*24*time.Hour:
		s = Count(int64(d/(24*time.Hour)), "day")
	default:
		return t.UTC().Format("2 January 2006")
	}
	if past {
		return s + " ago"
	}
	return "in " + s
}

// Duration is d in its largest whole units: "24 hours", "15 minutes", "90 days", "1 min 30 s".
func Duration(d time.Duration) string {
	units := []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	if d == 24*time.Hour {
		return "24 hours"
	}
	for _, u := range units {
		if d >= u.d && d%u.d == 0 && (u.name == "day" || d/u.d < 100) {
			return Count(int64(d/u.d), u.name)
		}
	}
	if d < time.Second {
		return d.String()
	}
	var parts []string
	for _, u := range units {
		if n := d / u.d; n > 0 {
			parts = append(parts, Count(int64(n), u.name))
			d -= n * u.d
		}
	}
	return strings.Join(parts[:min(2, len(parts))], " ")
}

// Count is n with its noun: "1 link", "1,204 links"; a noun ending in y becomes ies.
func Count(n int64, noun string) string {
	if n == 1 || n == -1 {
		return Number(n) + " " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && !strings.ContainsAny(stem[max(0, len(stem)-1):], "aeiou") {
		return Number(n) + " " + stem + "ies"
	}
	return Number(n) + " " + noun + "s"
}

// Number is n with its thousands apart: 1,204.
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// And joins words for a sentence: "a", "a and b", "a, b and c".
func And(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// beside drops the age of e where the mark above it says the same.
func beside(m Mark, e Evidence) Evidence {
	if e.At.Equal(m.At) {
		e.At = time.Time{}
	}
	return e
}

func percent(done, total int64) int {
	if total <= 0 {
		return 0
	}
	return int(math.Min(100, math.Floor(100*float64(done)/float64(total))))
}

const maxColumns = 7

// sevenColumns refuses a table nobody can read, and a row that does not fit its head.
func sevenColumns(t Table) (string, error) {
	if len(t.Columns) > maxColumns {
		return "", fmt.Errorf("table %q has %d columns; at most %d", t.Caption, len(t.Columns), maxColumns)
	}
	for i, r := range t.Rows {
		if len(r.Cells) != len(t.Columns) {
			return "", fmt.Errorf("table %q: row %d has %d cells for %d columns", t.Caption, i, len(r.Cells), len(t.Columns))
		}
	}
	return "", nil
}
