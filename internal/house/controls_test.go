package house_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// control is a clause.Control as it stands in the code.
type control struct {
	id, clause, kind string
	at               string
}

// controls reads the literals of clause.Control. Where ID or Clause are parameters of the
// function around the literal, the calls of that function are read instead.
func controls(t *testing.T) []control {
	t.Helper()
	tr := theTree(t)
	var all []control
	for _, p := range tr.pkgs {
		for _, s := range p.code() {
			if s.named(module+"/internal/clause") == "" {
				continue
			}
			for _, d := range s.parsed.Decls {
				var around []helper
				if fn, ok := d.(*ast.FuncDecl); ok {
					around = append(around, helper{fn.Name.Name, fn.Type, fn, nil})
				}
				around = append(around, localHelpers(d)...)
				ast.Inspect(d, func(n ast.Node) bool {
					lit, ok := n.(*ast.CompositeLit)
					if !ok {
						return true
					}
					keys := keysOf(lit)
					if keys["ID"] != nil && keys["Clause"] != nil && (keys["Says"] != nil || keys["Run"] != nil) {
						all = append(all, p.controlsOf(t, tr, innermost(around, lit), lit, keys)...)
					}
					return true
				})
			}
		}
	}
	slices.SortFunc(all, func(a, b control) int { return strings.Compare(a.id, b.id) })
	return all
}

// helper is a function that makes controls of what it is given.
type helper struct {
	name string
	typ  *ast.FuncType
	node ast.Node
	home ast.Decl // where a local name is known; nil for a function of the package
}

// localHelpers are the function literals that a declaration gives a name: look := func(…) ….
func localHelpers(d ast.Decl) (all []helper) {
	ast.Inspect(d, func(n ast.Node) bool {
		as, ok := n.(*ast.AssignStmt)
		if !ok || len(as.Lhs) != 1 || len(as.Rhs) != 1 {
			return true
		}
		name, isName := as.Lhs[0].(*ast.Ident)
		if fn, ok := as.Rhs[0].(*ast.FuncLit); ok && isName {
			all = append(all, helper{name.Name, fn.Type, fn, d})
		}
		return true
	})
	return all
}

// innermost is the last helper that holds n.
func innermost(all []helper, n ast.Node) (h helper) {
	for _, c := range all {
		if c.node.Pos() <= n.Pos() && n.End() <= c.node.End() {
			h = c
		}
	}
	return h
}

func keysOf(lit *ast.CompositeLit) map[string]ast.Expr {
	keys := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if k, ok := kv.Key.(*ast.Ident); ok {
				keys[k.Name] = kv.Value
			}
		}
	}
	return keys
}

func (p *pkg) controlsOf(t *testing.T, tr *tree, h helper, lit *ast.CompositeLit, keys map[string]ast.Expr) []control {
	id, okID := p.text(keys["ID"], nil)
	cl, okClause := p.text(keys["Clause"], nil)
	if okID && okClause {
		return []control{{id: id, clause: cl, kind: kind(keys["Kind"], nil), at: tr.at(lit)}}
	}
	var all []control
	for _, c := range p.callsOf(h) {
		given := h.given(c)
		id, okID := p.text(keys["ID"], given)
		cl, okClause := p.text(keys["Clause"], given)
		if !okID || !okClause {
			t.Errorf("%s: a control whose id or clause cannot be read from the source", tr.at(c))
			continue
		}
		all = append(all, control{id: id, clause: cl, kind: kind(keys["Kind"], given), at: tr.at(c)})
	}
	if len(all) == 0 {
		t.Errorf("%s: a control whose id or clause cannot be read from the source", tr.at(lit))
	}
	return all
}

// given is what a call hands to a helper, by the names of its parameters.
func (h helper) given(c *ast.CallExpr) map[string]ast.Expr {
	given := map[string]ast.Expr{}
	i := 0
	for _, f := range h.typ.Params.List {
		for _, n := range f.Names {
			if i < len(c.Args) {
				given[n.Name] = c.Args[i]
			}
			i++
		}
	}
	return given
}

// callsOf finds the calls of a helper by its name.
func (p *pkg) callsOf(h helper) (all []*ast.CallExpr) {
	look := func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := c.Fun.(type) {
		case *ast.Ident:
			if f.Name == h.name {
				all = append(all, c)
			}
		case *ast.SelectorExpr:
			if f.Sel.Name == h.name && h.home == nil {
				all = append(all, c)
			}
		}
		return true
	}
	if h.home != nil {
		ast.Inspect(h.home, look)
		return all
	}
	for _, s := range p.code() {
		ast.Inspect(s.parsed, look)
	}
	return all
}

// kind is the word of clause.Probe and its kin, in lower case.
func kind(e ast.Expr, given map[string]ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok && given[id.Name] != nil {
		e = given[id.Name]
	}
	if sel, ok := e.(*ast.SelectorExpr); ok {
		return strings.ToLower(sel.Sel.Name)
	}
	return "?"
}
