package waf

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// The screen is the same rules in a form that is cheap to ask and says only one thing:
// that none of them matches. It is the same engine, which reads requests and decodes
// values as ever; but
//
//   - all conditions on one value after the same decoding are asked at once (matcher.go):
//     one variable is decoded and looked at once, not once a rule;
//   - a condition is not asked of a value that it cannot take: because of the kinds of
//     bytes in it (a number, a word, a sentence), or because none of the texts that it
//     needs is there (literals.go). Both are computed from the rules when they are loaded;
//   - what a rule says in words and adds up is left out;
//   - of a chain that begins with a condition on what a client wrote, only that is asked.
//
// So whatever a rule takes, the screen takes; and then the whole set of rules is asked,
// whose word alone counts. Rules of other kinds (of methods, lengths, counts, states) are
// in the screen as they are.

// group is all conditions on the same variables after the same decoding.
type group struct {
	phase      int
	transforms string
	multi      bool
}

// groups are the matchers that are in use, by the name the engine knows them under.
var groups struct {
	sync.Mutex
	n   int
	all map[string]*matcher
}

type screenOperator struct{ m *matcher }

// Evaluate implements plugintypes.Operator.
func (o screenOperator) Evaluate(_ plugintypes.TransactionState, value string) bool {
	return o.m.takes(value)
}

func registerScreen() {
	plugins.RegisterOperator("screen", func(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		groups.Lock()
		defer groups.Unlock()
		m := groups.all[o.Arguments]
		if m == nil {
			return nil, fmt.Errorf("no group %q", o.Arguments)
		}
		return screenOperator{m}, nil
	})
}

// newScreen makes the screen of a level. scoring are the rules of the whole set that add to
// a score: one that is not understood here makes an error, and no screen.
func newScreen(level int, setup string, scoring map[int]bool) (coraza.WAF, error) {
	set, ok := coreruleset.FS.(fs.ReadFileFS)
	if !ok {
		return nil, fmt.Errorf("the rule set is no folder of files")
	}
	rules, err := readRules(set, requestFiles)
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	var kept []*secRule
	for _, r := range rules {
		seen[r.id] = true
		if r.level > 0 && r.level <= level && r.phase <= 2 || r.level == 0 && r.phase <= 2 && sets(r) {
			kept = append(kept, r)
		}
	}
	for id := range scoring {
		if !seen[id] {
			return nil, fmt.Errorf("rule %d was not found in the files", id)
		}
	}
	text, names, err := screenText(kept, set)
	if err != nil {
		return nil, err
	}
	defer func() { // each operator holds its matcher by now
		groups.Lock()
		defer groups.Unlock()
		for _, n := range names {
			delete(groups.all, n)
		}
	}()
	head := directives(nil, setup)
	return coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(head + text)) //nolint:wrapcheck // wrapped by the caller
}

// sets reports whether a rule without a level prepares the others: with default values, with
// what it counts or keeps, with how a body is read. Those that only take rules away, and those
// that add up, are left out.
func sets(r *secRule) bool {
	for at := r; at != nil; at = at.chain {
		for _, a := range at.actions {
			if a == "deny" || strings.HasPrefix(a, "skip") {
				return false
			}
		}
	}
	return r.id < 949000
}

// screenText writes the rules of the screen. names are the groups it made.
func screenText(rules []*secRule, set fs.ReadFileFS) (string, []string, error) {
	var b strings.Builder
	by := map[group]map[string][]*secRule{}
	var order []group
	var names []string
	next := 1000
	for _, r := range rules {
		if !merges(r) {
			made, err := writeWhole(&b, r, &next, set)
			names = append(names, made...)
			if err != nil {
				return "", names, err
			}
			continue
		}
		g := group{r.phase, strings.Join(r.transforms, ","), r.has("multiMatch")}
		if by[g] == nil {
			by[g] = map[string][]*secRule{}
			order = append(order, g)
		}
		for _, v := range r.variables() {
			by[g][v] = append(by[g][v], r)
		}
	}
	for _, g := range order {
		made, err := writeGroup(&b, g, by[g], set, &next)
		names = append(names, made...)
		if err != nil {
			return "", names, err
		}
	}
	return b.String(), names, nil
}

// merges reports whether a rule is no more than a condition on values a client wrote, or a
// chain that begins with one and goes on with such.
func merges(r *secRule) bool {
	if r.level == 0 || !canAsk(r) {
		return false
	}
	for _, v := range r.vars {
		if strings.HasPrefix(v, "&") || strings.HasPrefix(v, "TX") || strings.HasPrefix(v, "REQUEST_METHOD") || strings.HasPrefix(v, "REQUEST_PROTOCOL") {
			return false
		}
	}
	return r.chain == nil || slices.ContainsFunc(r.vars, func(v string) bool { return strings.HasPrefix(v, "ARGS") || strings.HasPrefix(v, "REQUEST_COOKIES") })
}

// variables are what the rule looks at, one by one; what is left out of one stands with it.
func (r *secRule) variables() (all []string) {
	for _, v := range r.vars {
		if strings.HasPrefix(v, "!") {
			continue
		}
		for _, out := range r.vars {
			if name, ok := strings.CutPrefix(out, "!"); ok && strings.HasPrefix(name, v+":") {
				v += "|" + out
			}
		}
		all = append(all, v)
	}
	return all
}

// writeGroup writes one rule for all variables that are asked the same.
func writeGroup(b *strings.Builder, g group, by map[string][]*secRule, set fs.ReadFileFS, next *int) (names []string, err error) {
	same := map[string][]string{}
	for v, rules := range by {
		var ids []string
		for _, r := range rules {
			ids = append(ids, strconv.Itoa(r.id))
		}
		key := strings.Join(ids, " ")
		same[key] = append(same[key], v)
	}
	keys := make([]string, 0, len(same))
	for k := range same {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		vars := same[k]
		slices.Sort(vars)
		name, err := newGroup(by[vars[0]], set)
		if err != nil {
			return names, err
		}
		names = append(names, name)
		*next++
		fmt.Fprintf(b, "SecRule %s \"@screen %s\" \"id:%d,phase:%d,deny,nolog,t:none", strings.Join(vars, "|"), name, *next, g.phase)
		for t := range strings.SplitSeq(g.transforms, ",") {
			if t != "" {
				b.WriteString(",t:" + t)
			}
		}
		if g.multi {
			b.WriteString(",multiMatch")
		}
		b.WriteString("\"\n")
	}
	return names, nil
}

// newGroup makes a matcher and gives it a name that the engine finds it under.
func newGroup(rules []*secRule, set fs.ReadFileFS) (string, error) {
	m, err := newMatcher(rules, func(name string) ([]string, error) { return listFile(set, name) })
	if err != nil {
		return "", err
	}
	groups.Lock()
	defer groups.Unlock()
	groups.n++
	name := strconv.Itoa(groups.n)
	groups.all[name] = m
	return name, nil
}

func listFile(set fs.ReadFileFS, name string) ([]string, error) {
	b, err := set.ReadFile("@owasp_crs/" + name)
	if err != nil {
		return nil, fmt.Errorf("read phrases: %w", err)
	}
	var all []string
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if l := strings.TrimSpace(lines.Text()); l != "" && l[0] != '#' {
			all = append(all, l)
		}
	}
	return all, nil
}

// writeWhole writes a rule as it is, without words and sums: it refuses where it matches,
// if it is one that scores. A condition on a value alone, of which nothing is kept, is asked
// through a matcher, which remembers its answers.
func writeWhole(b *strings.Builder, r *secRule, next *int, set fs.ReadFileFS) (names []string, err error) {
	end := "pass"
	if r.level > 0 {
		end = "deny"
	}
	for at, first := r, true; at != nil; at, first = at.chain, false {
		op, arg := "@"+at.operator, at.arg
		if at.operator == "pmFromFile" {
			arg = "@owasp_crs/" + arg // the folder that the set itself would be in
		}
		if arg != "" {
			op += " " + arg
		}
		plain := *at
		if plain.negated = false; canAsk(&plain) && !at.has("capture") {
			name, err := newGroup([]*secRule{&plain}, set)
			if err != nil {
				return names, err
			}
			names = append(names, name)
			op = "@screen " + name
		}
		if at.negated {
			op = "!" + op
		}
		var acts []string
		if first {
			*next++
			acts = append(acts, "id:"+strconv.Itoa(*next), "phase:"+strconv.Itoa(at.phase), end, "nolog")
		}
		for _, a := range at.actions {
			switch key, value, _ := strings.Cut(a, ":"); key {
			case "ctl":
				if !strings.HasPrefix(value, "ruleRemove") {
					acts = append(acts, a)
				}
			case "t", "chain", "capture", "setvar", "multiMatch":
				acts = append(acts, a)
			}
		}
		fmt.Fprintf(b, "SecRule %s \"%s\" \"%s\"\n", strings.Join(at.vars, "|"), strings.ReplaceAll(op, `"`, `\"`), strings.Join(acts, ","))
	}
	return names, nil
}
