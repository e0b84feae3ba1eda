package export

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"writ/internal/journal"
)

// The severities, as syslog numbers them (RFC 5424, 6.2.1).
const (
	alert   = 1
	warning = 4
	notice  = 5
	info    = 6
)

// severity is how urgent an entry is for whoever reads logs: an alarm by its own word,
// what was refused and what broke above the rest.
func severity(e *journal.Entry) int {
	if e.Stream == "watch.alarm-opened" {
		switch text(field(e, "severity")) {
		case "page":
			return alert
		case "ticket":
			return warning
		}
		return notice
	}
	for _, end := range []string{"-refused", "-failed", "-damaged", "-dropped", "-lost", "-opened"} {
		if strings.HasSuffix(e.Stream, end) {
			return warning
		}
	}
	return info
}

// facts are what an entry tells in public, in a fixed order. The first are its own, the
// others fields of the event.
func facts(e *journal.Entry) (own, fields []Pair) {
	own = []Pair{{"n", strconv.FormatInt(e.N, 10)}, {"id", e.ID}, {"actor", e.Actor}, {"kind", e.Kind}}
	for _, p := range []Pair{{"object", e.Object}, {"subject", e.Subject}, {"clause", e.Clause}, {"revision", e.Revision}, {"team", e.Team}, {"session", e.Session}, {"via", e.Via}} {
		if p.Value != "" {
			own = append(own, p)
		}
	}
	for _, f := range e.Fields {
		if f.State == journal.Public {
			fields = append(fields, Pair{f.Name, text(f.Value)})
		}
	}
	return own, fields
}

// field is a public field's value; nil where there is none.
func field(e *journal.Entry, name string) any {
	for _, f := range e.Fields {
		if f.Name == name && f.State == journal.Public {
			return f.Value
		}
	}
	return nil
}

// text is a field's value as a person reads it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		all := make([]string, len(v))
		for i := range v {
			all[i] = text(v[i])
		}
		return strings.Join(all, ",")
	}
	return fmt.Sprint(v)
}

// tame replaces what is no text, and what would end a line or move a terminal.
func tame(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '�'
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
