package house_test

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const shortDoc = 200 // characters; less says what the name says already

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for _, p := range theTree(t).pkgs {
		if len(p.files) == 0 || onlyTests(p) {
			continue
		}
		doc := p.doc()
		switch {
		case doc == "":
			t.Errorf("%s has no package doc: say what it owns, promises and refuses, against which threat, for whom", p.path)
		case len([]rune(doc)) <= shortDoc && !strings.HasPrefix(p.path, "cmd/") && !slices.Contains(testPackages, p.path):
			t.Errorf("%s: the package doc has %d characters; a useful one has more than %d", p.path, len([]rune(doc)), shortDoc)
		case !strings.HasPrefix(doc, "Package ") && !strings.HasPrefix(doc, "Command "):
			t.Errorf("%s: the package doc does not begin with its name", p.path)
		}
	}
}

func onlyTests(p *pkg) bool {
	for _, s := range p.files {
		if !strings.HasSuffix(s.path, "_test.go") {
			return false
		}
	}
	return true
}

// doc is the package's comment.
func (p *pkg) doc() string {
	var all []string
	for _, s := range p.files {
		if s.parsed.Doc != nil && !strings.HasSuffix(s.path, "_test.go") {
			all = append(all, s.parsed.Doc.Text())
		}
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}

// Exported names at the top of a package are its surface; each has a sentence.
func TestExportedNamesHaveADoc(t *testing.T) {
	tr := theTree(t)
	for _, p := range tr.pkgs {
		for _, s := range p.code() {
			for _, d := range s.parsed.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
						t.Errorf("%s: %s has no doc", tr.at(d), d.Name.Name)
					}
				case *ast.GenDecl:
					if len(d.Specs) == 0 || d.Doc != nil {
						continue
					}
					for _, spec := range d.Specs {
						if name := undocumented(spec); name != "" {
							t.Errorf("%s: %s has no doc", tr.at(spec), name)
						}
					}
				}
			}
		}
	}
}

func undocumented(spec ast.Spec) string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && spec.Doc == nil && spec.Comment == nil {
			return spec.Name.Name
		}
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			if n.IsExported() && spec.Doc == nil && spec.Comment == nil {
				return n.Name
			}
		}
	}
	return ""
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// A decision is a page: where it says what was decided, and what it costs.
func TestDecisionsAreDated(t *testing.T) {
	numbered := regexp.MustCompile(`^docs/adr/\d{4}-[a-z0-9-]+\.md$`)
	n := 0
	eachFile(t, func(rel string) {
		if !numbered.MatchString(rel) {
			return
		}
		n++
		text := string(read(t, rel))
		for _, h := range []string{"# ", "## Decision", "## What it costs"} {
			if !strings.HasPrefix(text, h) && !strings.Contains(text, "\n"+h) {
				t.Errorf("%s lacks the heading %q", rel, strings.TrimSpace(h))
			}
		}
	})
	if n == 0 {
		t.Error("no decisions under docs/adr")
	}
}
