package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// prefixes of tables that are not simply the package's name.
var prefixes = map[string]string{"jobs": "job_", "demo": "sample_"}

// system tables belong to the engines; who opens databases may ask them.
var system = regexp.MustCompile(`^(sqlite_\w+|pragma_\w+|pg_\w+|information_schema|goose_\w+)$`)

var systemReaders = map[string]string{
	"ledger":   "opens and checks the database",
	"keyring":  "opens and checks its own",
	"identity": "a probe looks at what the columns of its tables can hold",
	"vault":    "asks other servers about their roles, where it replaces them",
}

// A word in capitals and the table after it. A name followed by a bracket at once is a function.
var tableAfter = regexp.MustCompile(`\b(?:FROM|INTO|UPDATE|JOIN|TABLE(?: IF (?:NOT )?EXISTS)?|REFERENCES)\s+(?:ONLY\s+)?"?([a-z_][a-z0-9_]*)(\(?)`)

var (
	withName  = regexp.MustCompile(`(?i)(?:\bWITH(?: RECURSIVE)?\s+|,\s*)([a-z_][a-z0-9_]*)\s*(?:\([^)]*\))?\s*AS\s*(?:MATERIALIZED\s*)?\(`)
	isSQL     = regexp.MustCompile(`\b(SELECT|INSERT|DELETE|SET|CREATE|ALTER|WHERE|VALUES)\b`)
	madeTable = regexp.MustCompile(`(?i)CREATE TABLE\s+(?:IF NOT EXISTS\s+)?([a-z_][a-z0-9_]*)`)
	wordInSQL = regexp.MustCompile(`[a-z_][a-z0-9_]*`)
)

func prefixOf(pkgTop string) string {
	if p := prefixes[pkgTop]; p != "" {
		return p
	}
	return pkgTop + "_"
}

// statement is SQL, or a piece of it, as it stands in a package.
type statement struct{ owner, at, text string }

// statements are all string literals of the code and all migrations.
func statements(t *testing.T) (all []statement) {
	t.Helper()
	tr := theTree(t)
	for _, p := range tr.pkgs {
		for _, s := range p.code() {
			ast.Inspect(s.parsed, func(n ast.Node) bool {
				if _, ok := n.(*ast.ImportSpec); ok {
					return false
				}
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if v, err := strconv.Unquote(lit.Value); err == nil {
						all = append(all, statement{p.top(), tr.at(lit), v})
					}
				}
				return true
			})
		}
	}
	eachFile(t, func(rel string) {
		if path.Ext(rel) == ".sql" && strings.Contains(rel, "/schema/") {
			all = append(all, statement{top(path.Dir(rel)), rel, sqlComment.ReplaceAllString(string(read(t, rel)), "")})
		}
	})
	return all
}

var sqlComment = regexp.MustCompile(`--[^\n]*`)

func TestStatementsNameTheirOwnTables(t *testing.T) {
	for _, s := range statements(t) {
		var local []string
		for _, m := range withName.FindAllStringSubmatch(s.text, -1) {
			local = append(local, m[1])
		}
		for _, m := range tableAfter.FindAllStringSubmatch(s.text, -1) {
			name := m[1]
			switch {
			case !strings.Contains(name, "_") && !isSQL.MatchString(s.text): // words of a sentence
			case m[2] == "(" && !strings.Contains(name, "_"), slices.Contains(local, name), strings.HasPrefix(name, prefixOf(s.owner)):
			case system.MatchString(name) && systemReaders[s.owner] != "":
			default:
				t.Errorf("%s: a statement of %s names the table %s; its own begin with %s", s.at, s.owner, name, prefixOf(s.owner))
			}
		}
	}
}

// shared are names of tables that another module's code may hold, "module table".
var shared = map[string]string{
	"ledger journal_payload": "a payload is sealed, before it is pending, for the place where it will lie",
}

// Statements built from pieces escape the test above, so a table's name may stand in no
// other module's code at all.
func TestTablesAreNobodyElses(t *testing.T) {
	all := statements(t)
	owner := map[string]string{}
	for _, s := range all {
		for _, m := range madeTable.FindAllStringSubmatch(s.text, -1) {
			owner[m[1]] = s.owner
		}
	}
	if len(owner) < 10 {
		t.Fatalf("found only %d tables", len(owner))
	}
	for _, s := range all {
		for _, w := range wordInSQL.FindAllString(s.text, -1) {
			if o := owner[w]; o != "" && o != s.owner && shared[s.owner+" "+w] == "" {
				t.Errorf("%s: %s names %s, a table of %s", s.at, s.owner, w, o)
			}
		}
	}
}

// Every file of migrations says who may export and erase what it makes.
func TestSchemasSayWhoMayEraseWhat(t *testing.T) {
	eachFile(t, func(rel string) {
		if path.Ext(rel) != ".sql" || !strings.Contains(rel, "/schema/") {
			return
		}
		text := string(read(t, rel))
		if !madeTable.MatchString(text) {
			return
		}
		parts := sqlComment.FindAllString(text, -1)
		for _, p := range theTree(t).pkgs {
			if p.path+"/schema" == path.Dir(rel) {
				parts = append(parts, p.doc())
			}
		}
		said := strings.ToLower(strings.Join(parts, " "))
		for _, word := range []string{"export", "eras"} {
			if !strings.Contains(said, word) && !strings.Contains(said, "public") {
				t.Errorf("%s: neither it nor its package doc says who may %se its tables", rel, word)
			}
		}
	})
}
