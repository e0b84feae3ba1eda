package house_test

import (
	"go/ast"
	"testing"
)

const (
	longFunction = 100 // lines
	longFile     = 600
	longMain     = 40
)

// oversize is what may be longer, "path function" or "path", each with its reason.
var oversize = map[string]string{}

func TestFunctionsAndFilesStaySmall(t *testing.T) {
	tr := theTree(t)
	used := map[string]bool{}
	tooLong := func(key, at string, lines, limit int) {
		if lines <= limit {
			return
		}
		used[key] = true
		if oversize[key] == "" {
			t.Errorf("%s has %d lines, over %d: split it by step", at, lines, limit)
		}
	}
	for _, p := range tr.pkgs {
		for _, s := range p.files {
			file := tr.fset.File(s.parsed.Pos())
			if !s.test {
				tooLong(s.path, s.path, file.LineCount(), longFile)
			}
			if s.path == "cmd/writ/main.go" {
				tooLong(s.path, s.path, file.LineCount(), longMain)
			}
			for _, d := range s.parsed.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && !s.test { // a table of cases may be long
					lines := file.Line(fn.End()) - file.Line(fn.Pos()) + 1
					tooLong(s.path+" "+fn.Name.Name, tr.at(fn)+" "+fn.Name.Name, lines, longFunction)
				}
			}
		}
	}
	for key := range oversize {
		if !used[key] {
			t.Errorf("oversize has %q, which is short enough now", key)
		}
	}
}
