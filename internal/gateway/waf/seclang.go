package waf

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// secRule is one rule of the set as its file spells it, read as far as the screen needs it.
type secRule struct {
	id, phase, level int
	vars             []string // such as ARGS, &ARGS, !REQUEST_HEADERS:Cookie
	negated          bool
	operator, arg    string
	transforms       []string
	actions          []string // as they are spelled
	chain            *secRule // what must match too
}

var (
	ruleLine  = regexp.MustCompile(`^SecRule\s+("(?:[^"\\]|\\.)*"|\S+)\s+"((?:[^"\\]|\\.)*)"(?:\s+"((?:[^"\\]|\\.)*)")?$`)
	comment   = regexp.MustCompile(`(?m)^\s*#.*$`)
	operation = regexp.MustCompile(`^(!)?\s*@([A-Za-z0-9]+)(?:\s+(?s:(.*)))?$`)
)

// readRules reads the rules of the files, in their order. What is no rule is left out.
func readRules(set fs.ReadFileFS, files []string) ([]*secRule, error) {
	var all []*secRule
	var open *secRule // a rule whose chain goes on
	for _, f := range files {
		b, err := set.ReadFile("@owasp_crs/" + f + ".conf")
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		text := strings.ReplaceAll(comment.ReplaceAllString(string(b), ""), "\\\n", "")
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "SecRule ") {
				continue
			}
			r, err := parseRule(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			if open != nil {
				open.chain = r
			} else {
				all = append(all, r)
			}
			if open = nil; r.has("chain") {
				open = r
			}
		}
	}
	return all, nil
}

func parseRule(line string) (*secRule, error) {
	m := ruleLine.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("no rule: %.120s", line)
	}
	op := operation.FindStringSubmatch(strings.ReplaceAll(m[2], `\"`, `"`))
	if op == nil {
		return nil, fmt.Errorf("no operator: %.120s", line)
	}
	r := &secRule{vars: strings.Split(strings.Trim(m[1], `"`), "|"), negated: op[1] != "", operator: op[2], arg: op[3]}
	for _, a := range splitActions(m[3]) {
		key, value, _ := strings.Cut(a, ":")
		switch value = strings.Trim(value, "'"); key {
		case "id":
			r.id, _ = strconv.Atoi(value)
		case "phase":
			r.phase, _ = strconv.Atoi(value)
		case "t":
			if value == "none" {
				r.transforms = nil
			} else {
				r.transforms = append(r.transforms, value)
			}
		case "tag":
			if n, ok := strings.CutPrefix(value, levelTag); ok {
				r.level, _ = strconv.Atoi(n)
			}
		}
		r.actions = append(r.actions, a)
	}
	return r, nil
}

// splitActions cuts at commas that stand outside of quotes.
func splitActions(s string) []string {
	var all []string
	quoted, from := false, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',' && !quoted:
			if a := strings.TrimSpace(s[from:i]); a != "" {
				all = append(all, a)
			}
			from = i + 1
		case s[i] == '\\':
			i++
		case s[i] == '\'':
			quoted = !quoted
		}
	}
	return all
}

func (r *secRule) has(action string) bool {
	for _, a := range r.actions {
		if a == action {
			return true
		}
	}
	return false
}
