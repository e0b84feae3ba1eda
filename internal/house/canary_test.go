package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// enforcers are the modules whose code decides about people and requests.
var enforcers = []string{"internal/identity", "internal/identity/oidc", "internal/identity/glass", "internal/identity/upstream", "internal/gateway", "internal/access", "internal/web"}

// markReaders are functions that may look at the marker: they list, plant or sweep and
// decide nothing about a request.
var markReaders = map[string]string{
	"internal/identity/person.go List":           "the list of people leaves canaries out",
	"internal/identity/team.go Teams":            "the list of teams leaves canaries out",
	"internal/identity/plant.go canaryTeam":      "a control's own rows are shifted and swept, nobody else's",
	"internal/identity/forecast.go factsOf":      "a forecast leaves canaries out",
	"internal/identity/support_session.go Looks": "the list of looks leaves those of controls out",
}

var (
	markWord = regexp.MustCompile(`(?i)^(team|kind)?_?canary(team|kind)?$`)
	markSQL  = regexp.MustCompile(`'canary'`)
)

// A canary proves something only if the code that refuses it cannot know it. So enforcing
// code compares nothing with the kind of canary teams; clauses.go may, it plants them.
func TestEnforcingCodeCannotTellACanary(t *testing.T) {
	tr := theTree(t)
	used := map[string]bool{}
	for _, p := range tr.pkgs {
		if !slices.Contains(enforcers, p.path) {
			continue
		}
		for _, s := range p.code() {
			if path.Base(s.path) == "clauses.go" {
				continue
			}
			ast.Inspect(s.parsed, func(n ast.Node) bool {
				if !readsMark(n) {
					return true
				}
				key := s.path + " " + s.within(n.Pos())
				used[key] = true
				if markReaders[key] == "" {
					t.Errorf("%s (%s) reads the canary marker: enforcing code must treat a canary as anybody else", tr.at(n), key)
				}
				return true
			})
		}
	}
	for key := range markReaders {
		if !used[key] {
			t.Errorf("markReaders has %q, which nothing needs any more", key)
		}
	}
}

func readsMark(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return (n.Op == token.EQL || n.Op == token.NEQ) && (isMark(n.X) || isMark(n.Y))
	case *ast.CaseClause:
		if slices.ContainsFunc(n.List, isMark) {
			return true
		}
	case *ast.BasicLit:
		v, err := strconv.Unquote(n.Value)
		return err == nil && n.Kind == token.STRING && markSQL.MatchString(v)
	}
	return false
}

func isMark(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		return err == nil && v == "canary"
	case *ast.Ident:
		return markWord.MatchString(e.Name)
	case *ast.SelectorExpr:
		return markWord.MatchString(e.Sel.Name)
	}
	return false
}

func TestReadsMarkCanSayYes(t *testing.T) {
	for src, want := range map[string]bool{
		`team.Kind == "canary"`: true, `Canary != k`: true, `identity.TeamCanary == k`: true,
		`a.Domain() == canary.Domain`: false, `k == "customer"`: false,
	} {
		if got := readsMark(expr(t, src)); got != want {
			t.Errorf("%s: %v, want %v", src, got, want)
		}
	}
}

func expr(t *testing.T, src string) ast.Expr {
	t.Helper()
	e, err := parser.ParseExpr(src)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
