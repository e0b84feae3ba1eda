package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "writ"

// source is one Go file.
type source struct {
	path   string // from the module's root, with slashes
	test   bool   // _test.go, or in a package that only tests import
	parsed *ast.File
}

// pkg is the files of one folder. An external test package counts to its folder.
type pkg struct {
	path  string // import path without the module: internal/vault
	files []*source
}

// tree is the whole module.
type tree struct {
	fset *token.FileSet
	pkgs []*pkg // sorted by path
}

// testPackages are imported by tests only, so the rules for tests hold for them.
var testPackages = []string{
	"internal/pgtest",
	"internal/nodetest",
	"internal/ledger/ledgertest",
	"internal/keyring/keyringtest",
	"internal/clause/clausetest",
	"internal/policy/policytest",
	"internal/watch/watchtest",
}

// root is the folder of go.mod.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the test")
		}
		dir = up
	}
})

// skipped are folders that hold no source: what make builds and what tools leave.
func skipped(name string) bool {
	return name == "bin" || name == "node_modules" || strings.HasPrefix(name, ".") && name != ".ci" && name != ".github"
}

// eachFile calls fn with every regular file of the tree.
func eachFile(t *testing.T, fn func(rel string)) {
	t.Helper()
	top, err := root()
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		if d.IsDir() && rel != "." && (skipped(d.Name()) || rel == "demo") { // make demo keeps its data in ./demo
			return filepath.SkipDir
		}
		if d.Type().IsRegular() && rel != ".git" { // a file where the tree is one of several worktrees
			fn(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, rel string) []byte {
	t.Helper()
	top, err := root()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(rel)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var parsed struct {
	sync.Mutex
	tree *tree
}

// theTree parses the module once for all tests.
func theTree(t *testing.T) *tree {
	t.Helper()
	parsed.Lock()
	defer parsed.Unlock()
	if parsed.tree != nil {
		return parsed.tree
	}
	tr := &tree{fset: token.NewFileSet()}
	byPath := map[string]*pkg{}
	eachFile(t, func(rel string) {
		dir := path.Dir(rel)
		if path.Ext(rel) != ".go" || !strings.HasPrefix(dir, "cmd/") && !strings.HasPrefix(dir, "internal/") || strings.Contains(dir, "/testdata") {
			return
		}
		f, err := parser.ParseFile(tr.fset, rel, read(t, rel), parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		p := byPath[dir]
		if p == nil {
			p = &pkg{path: dir}
			byPath[dir] = p
			tr.pkgs = append(tr.pkgs, p)
		}
		p.files = append(p.files, &source{path: rel, test: strings.HasSuffix(rel, "_test.go") || slices.Contains(testPackages, dir), parsed: f})
	})
	slices.SortFunc(tr.pkgs, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	if len(tr.pkgs) < 20 {
		t.Fatalf("found only %d packages: the tests look at the wrong folder", len(tr.pkgs))
	}
	parsed.tree = tr
	return tr
}

// code are the files that become part of the program.
func (p *pkg) code() []*source {
	return slices.DeleteFunc(slices.Clone(p.files), func(s *source) bool { return s.test })
}

// top is the part of a path that names the module of the house: internal/policy/document → policy.
func (p *pkg) top() string { return top(p.path) }

func top(dir string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(dir, "internal/"), "/")
	return name
}

// at gives a position for messages: file:line.
func (tr *tree) at(n ast.Node) string {
	p := tr.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// imports lists the import paths of a file.
func (s *source) imports() []string {
	var all []string
	for _, i := range s.parsed.Imports {
		if v, err := strconv.Unquote(i.Path.Value); err == nil {
			all = append(all, v)
		}
	}
	return all
}

// named is the name a file uses for an import, or "" if it does not import it.
func (s *source) named(importPath string) string {
	for _, i := range s.parsed.Imports {
		if i.Path.Value != strconv.Quote(importPath) {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// isUse reports whether n is a use of importPath's name, such as time.Now.
func (s *source) isUse(n ast.Node, importPath string, names ...string) bool {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok || !slices.Contains(names, sel.Sel.Name) {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == s.named(importPath)
}

// within names the function or method that holds a position, or the first name declared there.
func (s *source) within(pos token.Pos) string {
	for _, d := range s.parsed.Decls {
		if doc := docOf(d); pos > d.End() && !(s.sameLine(pos, d.End())) || pos < d.Pos() && (doc == nil || pos < doc.Pos()) {
			continue
		}
		switch d := d.(type) {
		case *ast.FuncDecl:
			return d.Name.Name
		case *ast.GenDecl:
			if len(d.Specs) == 0 {
				continue
			}
			switch spec := d.Specs[0].(type) {
			case *ast.TypeSpec:
				return spec.Name.Name
			case *ast.ValueSpec:
				return spec.Names[0].Name
			}
		}
	}
	return ""
}

func (s *source) sameLine(a, b token.Pos) bool {
	f := parsed.tree.fset
	return f.Position(a).Line == f.Position(b).Line
}

func docOf(d ast.Decl) *ast.CommentGroup {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

// text is the constant value of a string expression, as far as it can be read without types:
// literals, constants of the package, names in given, and sums of them.
func (p *pkg) text(e ast.Expr, given map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		return v, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		if v := given[e.Name]; v != nil {
			return p.text(v, nil)
		}
		if v := p.constant(e.Name); v != nil {
			return p.text(v, nil)
		}
	case *ast.BinaryExpr:
		a, okA := p.text(e.X, given)
		b, okB := p.text(e.Y, given)
		return a + b, okA && okB && e.Op == token.ADD
	case *ast.ParenExpr:
		return p.text(e.X, given)
	}
	return "", false
}

// constant is the expression of a package's constant, or nil.
func (p *pkg) constant(name string) ast.Expr {
	for _, s := range p.files {
		for _, d := range s.parsed.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, n := range v.Names {
					if n.Name == name && i < len(v.Values) {
						return v.Values[i]
					}
				}
			}
		}
	}
	return nil
}
