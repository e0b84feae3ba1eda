package house_test

import (
	"go/ast"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const templatePath = "internal/policy/template/policy.yaml"

// shipped is one clause of the shipped policy.
type shipped struct {
	ID     string         `yaml:"id"`
	Class  string         `yaml:"class"`
	By     string         `yaml:"by"`
	Params map[string]any `yaml:"params"`
}

// policyClauses reads the shipped policy, in its order.
func policyClauses(t *testing.T) (order []shipped, byID map[string]shipped) {
	t.Helper()
	var doc struct {
		Sections []struct {
			Clauses []shipped `yaml:"clauses"`
		} `yaml:"sections"`
	}
	if err := yaml.Unmarshal(read(t, templatePath), &doc); err != nil {
		t.Fatal(err)
	}
	byID = map[string]shipped{}
	for _, s := range doc.Sections {
		for _, c := range s.Clauses {
			order, byID[c.ID] = append(order, c), c
		}
	}
	if len(byID) < 100 {
		t.Fatalf("the shipped policy has only %d clauses", len(byID))
	}
	return order, byID
}

// Law 8: a clause with a control has an enforcing line and a test that breaks it.
func TestClausesHaveCodeAndBreakingTests(t *testing.T) {
	_, known := policyClauses(t)
	enforce, breaks := marks(t)
	has := func(list []mark, id string) bool {
		for _, m := range list {
			if m.clause == id {
				return true
			}
		}
		return false
	}
	for _, m := range append(enforce, breaks...) {
		if _, ok := known[m.clause]; !ok {
			t.Errorf("%s: the policy has no clause %s", m.at, m.clause)
		}
	}
	ids := map[string]string{}
	for _, c := range controls(t) {
		if other, twice := ids[c.id]; twice {
			t.Errorf("%s: control %s stands already at %s", c.at, c.id, other)
		}
		ids[c.id] = c.at
		if _, ok := known[c.clause]; !ok {
			t.Errorf("%s: control %s is for clause %q, which the policy does not have", c.at, c.id, c.clause)
			continue
		}
		if c.kind == "record" {
			continue // a signed statement is what upholds it; no line of code could
		}
		if !has(enforce, c.clause) {
			t.Errorf("%s: %s has the control %s and no line marked // clause: %s", c.at, c.clause, c.id, c.clause)
		}
		if !has(breaks, c.clause) {
			t.Errorf("%s: %s has the control %s and no test marked // breaks: %s", c.at, c.clause, c.id, c.clause)
		}
	}
}

var controlID = regexp.MustCompile(`^[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*$`)

// A control's id begins with the module that lists it.
func TestControlsAreNamedByTheirModule(t *testing.T) {
	for _, c := range controls(t) {
		mod, _, _ := strings.Cut(c.id, ".")
		if !controlID.MatchString(c.id) || !strings.HasPrefix(c.at, "internal/"+mod+"/") {
			t.Errorf("%s: control id %q is not <its module>.<kebab-name>", c.at, c.id)
		}
	}
}

// Each rule is driven by a parameter of the shipped policy, and no parameter by two rules.
func TestRulesHaveParameters(t *testing.T) {
	tr := theTree(t)
	_, known := policyClauses(t)
	owner := map[string]string{}
	for _, p := range tr.pkgs {
		for _, s := range p.code() {
			ast.Inspect(s.parsed, func(n ast.Node) bool {
				f, ok := n.(*ast.Field)
				if !ok || f.Tag == nil {
					return true
				}
				raw, err := strconv.Unquote(f.Tag.Value)
				if err != nil {
					return true
				}
				key, ok := reflect.StructTag(raw).Lookup("clause")
				if !ok {
					return true
				}
				id, param, _ := strings.Cut(key, "/")
				if _, ok := known[id].Params[param]; !ok {
					t.Errorf("%s: the policy has no parameter %s", tr.at(f), key)
				}
				if other, twice := owner[key]; twice {
					t.Errorf("%s: parameter %s drives a rule at %s already", tr.at(f), key, other)
				}
				owner[key] = tr.at(f)
				return true
			})
		}
	}
}

var promises = regexp.MustCompile(`(?s)\bPromises?\b[^:]{0,40}:(.*?)\n\s*\n`)

var citedID = regexp.MustCompile(`\b[a-z]+\.[a-z0-9]+(?:-[a-z0-9]+)*\b`)

// What a package doc promises are clauses that exist.
func TestPromisedClausesExist(t *testing.T) {
	_, known := policyClauses(t)
	prefixes := map[string]bool{}
	for id := range known {
		prefix, _, _ := strings.Cut(id, ".")
		prefixes[prefix] = true
	}
	for _, p := range theTree(t).pkgs {
		for _, m := range promises.FindAllStringSubmatch(p.doc()+"\n\n", -1) {
			for _, id := range citedID.FindAllString(m[1], -1) {
				prefix, rest, _ := strings.Cut(id, ".")
				if _, ok := known[id]; !ok && prefixes[prefix] && rest != "go" && rest != "db" {
					t.Errorf("%s: the package doc promises %s, which the policy does not have", p.path, id)
				}
			}
		}
	}
}
