package house_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// A mark is a comment that begins with "clause:" (this line enforces it) or "breaks:"
// (this test breaks it), followed by clause ids with commas between and, in brackets, why.
type mark struct {
	clause string
	where  string // path and function, which stay when lines move
	at     string // path:line, for messages
}

var (
	goMark   = regexp.MustCompile(`^// ?(clause|breaks): ?(.*)$`)
	textMark = regexp.MustCompile(`(?m)^[^\n]*?(?:--|#) ?(clause|breaks): ?(.*)$`)
	aside    = regexp.MustCompile(`\([^)]*\)`) // a mark may add a word in brackets
	clauseID = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+$`)
)

// marks finds the enforcing and the breaking marks of the tree: in Go comments, in SQL
// and in end-to-end stories.
func marks(t *testing.T) (enforce, breaks []mark) {
	t.Helper()
	tr := theTree(t)
	add := func(kind, ids, where, at string, test bool) {
		for id := range strings.SplitSeq(aside.ReplaceAllString(ids, ""), ",") {
			id = strings.TrimSpace(id)
			m := mark{clause: id, where: where, at: at}
			switch {
			case !clauseID.MatchString(id):
				t.Errorf("%s: %q in a mark is no clause id; a mark holds ids, commas and brackets", at, id)
			case kind == "clause" && test:
				t.Errorf("%s: a test enforces nothing; its mark is breaks: %s", at, id)
			case kind == "breaks" && !test:
				t.Errorf("%s: %s is broken by a test, not by code", at, id)
			case kind == "clause":
				enforce = append(enforce, m)
			default:
				breaks = append(breaks, m)
			}
		}
	}
	for _, p := range tr.pkgs {
		for _, s := range p.files {
			for _, g := range s.parsed.Comments {
				for _, c := range g.List {
					if m := goMark.FindStringSubmatch(c.Text); m != nil {
						add(m[1], m[2], strings.TrimSpace(s.path+" "+s.within(c.Pos())), tr.at(c), s.test)
					}
				}
			}
		}
	}
	eachFile(t, func(rel string) {
		ext := path.Ext(rel)
		if ext != ".sql" && ext != ".txtar" {
			return
		}
		for _, m := range textMark.FindAllStringSubmatch(string(read(t, rel)), -1) {
			add(m[1], m[2], rel, rel, ext == ".txtar")
		}
	})
	return enforce, breaks
}
