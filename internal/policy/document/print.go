package document

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// keyOrder is the order in which keys are printed; others come after, by name.
var keyOrder = []string{
	"writ", "policy", "sections", "id", "number", "title", "about", "contact", "author", "owners", "says", "params", "class", "by", "via",
	"probe", "canary", "replay", "snapshot", "every", "fresh_for", "expect", "population", "check",
	"form", "signed_by", "not", "valid_for", "gate", "record", "derived", "maps", "visibility", "exception",
	"type", "of", "columns", "value", "range", "stricter", "decide", "silent", "why", "source", "vague", "clauses",
}

// Print writes the policy as a YAML file for editing and export. Load gives the
// same body back; comments of an earlier file are not in it.
func Print(p *Policy) []byte {
	w := &printer{}
	w.block(p.tree(), 0, "")
	return w.b
}

type printer struct{ b []byte }

func (w *printer) line(indent int, s string) {
	w.b = append(w.b, strings.Repeat(" ", indent)...)
	w.b = append(append(w.b, s...), '\n')
}

// block writes a mapping with one key a line. lead stands before its first key.
func (w *printer) block(m map[string]any, indent int, lead string) {
	for i, k := range ordered(m) {
		pad, at := "", indent
		if lead != "" {
			if i == 0 {
				pad = lead
			} else {
				at += len(lead)
			}
		}
		deeper := indent + len(lead) + 2
		switch v := m[k].(type) {
		case map[string]any:
			if k == "policy" || k == "params" {
				w.line(at, pad+k+":")
				if k == "params" {
					w.params(v, deeper)
				} else {
					w.block(v, deeper, "")
				}
				continue
			}
		case []any:
			if (k == "sections" || k == "clauses" || k == "check") && len(v) > 0 {
				w.line(at, pad+k+":")
				w.items(v, deeper, k == "check")
				continue
			}
		}
		w.line(at, pad+k+": "+scalarOrFlow(m[k], false))
	}
}

func (w *printer) params(m map[string]any, indent int) {
	for _, name := range ordered(m) {
		w.line(indent, scalarText(name, true)+": "+scalarOrFlow(m[name], true))
	}
}

func (w *printer) items(list []any, indent int, flow bool) {
	for _, item := range list {
		if m, ok := item.(map[string]any); ok && !flow {
			w.block(m, indent, "- ")
			continue
		}
		w.line(indent, "- "+scalarOrFlow(item, true))
	}
}

func ordered(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	place := func(k string) int {
		if i := slices.Index(keyOrder, k); i >= 0 {
			return i
		}
		return len(keyOrder)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return keys
}

func scalarOrFlow(v any, inFlow bool) string {
	switch v := v.(type) {
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, k := range ordered(v) {
			parts = append(parts, scalarText(k, true)+": "+scalarOrFlow(v[k], true))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = scalarOrFlow(item, true)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return scalarText(v, inFlow)
	}
	return fmt.Sprint(v)
}

var (
	plainFlow  = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_/@.+-]*( [A-Za-z0-9_/@.;()'+-]+)*$`)
	plainBlock = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_/@.,;()'+{}-]*( [A-Za-z0-9_/@.,;()'+{}-]+)*$`)
	plainValue = regexp.MustCompile(`^[0-9]+([smhdw]|B|[KMG]i?B|(\.[0-9]+)?%)$`)
	reserved   = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|inf|nan)$`)
)

// scalarText leaves quotes away only where every reader of YAML agrees that the
// text is text.
func scalarText(s string, inFlow bool) string {
	plain := plainBlock
	if inFlow {
		plain = plainFlow
	}
	if (plain.MatchString(s) || plainValue.MatchString(s)) && !reserved.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
