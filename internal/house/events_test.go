package house_test

import (
	"go/ast"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// event is a type with a method About() ledger.About.
type event struct {
	pkg    *pkg
	at     string
	name   string
	fields []*ast.Field
	about  *ast.FuncDecl
}

func events(t *testing.T) (all []event) {
	t.Helper()
	tr := theTree(t)
	for _, p := range tr.pkgs {
		types := map[string]*ast.StructType{}
		for _, s := range p.files {
			for _, d := range s.parsed.Decls {
				if g, ok := d.(*ast.GenDecl); ok {
					for _, spec := range g.Specs {
						if ts, ok := spec.(*ast.TypeSpec); ok {
							if st, ok := ts.Type.(*ast.StructType); ok {
								types[ts.Name.Name] = st
							}
						}
					}
				}
			}
		}
		for _, s := range p.code() {
			for _, d := range s.parsed.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Recv == nil || fn.Name.Name != "About" || !givesAbout(fn, p.path) {
					continue
				}
				st := types[receiver(fn)]
				if st == nil {
					t.Errorf("%s: an event is a struct", tr.at(fn))
					continue
				}
				all = append(all, event{p, tr.at(fn), receiver(fn), st.Fields.List, fn})
			}
		}
	}
	if len(all) < 10 {
		t.Fatalf("found only %d events", len(all))
	}
	return all
}

func givesAbout(fn *ast.FuncDecl, dir string) bool {
	r := fn.Type.Results
	if r == nil || len(r.List) != 1 {
		return false
	}
	switch x := r.List[0].Type.(type) {
	case *ast.SelectorExpr:
		id, ok := x.X.(*ast.Ident)
		return ok && id.Name == "ledger" && x.Sel.Name == "About"
	case *ast.Ident:
		return dir == "internal/ledger" && x.Name == "About"
	}
	return false
}

func TestEventFieldsHaveAClass(t *testing.T) {
	for _, e := range events(t) {
		for _, f := range e.fields {
			if len(f.Names) == 0 {
				t.Errorf("%s: %s embeds a type; its fields would be recorded without being seen here", e.at, e.name)
			}
			for _, n := range f.Names {
				if !n.IsExported() {
					continue
				}
				class := ""
				if f.Tag != nil {
					if raw, err := strconv.Unquote(f.Tag.Value); err == nil {
						class = reflect.StructTag(raw).Get("class")
					}
				}
				if class != "public" && class != "personal" && class != "secret" {
					t.Errorf("%s: field %s.%s has no class (public, personal or secret)", e.at, e.name, n.Name)
				}
			}
		}
	}
}

// streams are first words of event names beside the module's own.
var streams = map[string][]string{
	"policy": {"exception", "record", "check", "finding", "canary"},
}

var (
	eventName = regexp.MustCompile(`^[a-z]+\.[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	past      = regexp.MustCompile(`(^|-)([a-z]*ed|sent|begun|began|built|cut|done|given|gone|held|kept|left|lost|made|met|put|ran|read|seen|set|shown|shut|stood|taken|told|swept|woken|withdrawn|written|frozen|spent|found)(-|$)`)
)

// The name on the wire is <module>.<kebab-past>, and each has one type.
func TestEventNames(t *testing.T) {
	seen := map[string]string{}
	_, known := policyClauses(t)
	for _, e := range events(t) {
		names, clauses := e.says("Name"), e.says("Clause")
		if stem := e.stem(); stem != "" && len(names) == 0 {
			names = []string{stem + "computed"}
		}
		if len(names) == 0 {
			t.Errorf("%s: the name of %s cannot be read from the source; write it as a literal or a constant", e.at, e.name)
		}
		for _, name := range names {
			mod, act, _ := strings.Cut(name, ".")
			switch {
			case !eventName.MatchString(name):
				t.Errorf("%s: %s is called %q, not <module>.<kebab-past>", e.at, e.name, name)
			case mod != e.pkg.top() && !slices.Contains(streams[e.pkg.top()], mod):
				t.Errorf("%s: %s is called %q but belongs to %s", e.at, e.name, name, e.pkg.top())
			case !past.MatchString(act):
				t.Errorf("%s: %s is called %q, which is not in the past tense", e.at, e.name, name)
			case seen[name] != "" && !strings.HasSuffix(name, ".computed"):
				t.Errorf("%s: %q is the name of the event at %s already", e.at, name, seen[name])
			}
			seen[name] = e.at
		}
		for _, c := range clauses {
			if _, ok := known[c]; !ok && c != "" {
				t.Errorf("%s: %s falls under clause %q, which the policy does not have", e.at, e.name, c)
			}
		}
	}
}

// stem is the constant beginning of a name whose end is a state: "policy." + e.state.
func (e event) stem() (stem string) {
	ast.Inspect(e.about, func(n ast.Node) bool {
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			sum, isSum := kv.Value.(*ast.BinaryExpr)
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == "Name" && isSum {
				stem, _ = e.pkg.text(sum.X, nil)
			}
		}
		return true
	})
	return stem
}

// says lists the constant values that About gives a field.
func (e event) says(key string) (all []string) {
	ast.Inspect(e.about, func(n ast.Node) bool {
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == key {
				if v, ok := e.pkg.text(kv.Value, nil); ok {
					all = append(all, v)
				}
			}
		}
		return true
	})
	return all
}
