package house_test

import (
	"go/ast"
	"slices"
	"testing"
)

// call is a thing that is confined, and the files outside the faces and the roof that
// may do it all the same, each with its reason.
type call struct {
	what  string
	find  func(s *source, n ast.Node) bool
	free  []string          // packages
	but   map[string]string // file → reason
	avoid string            // what to do instead
}

var confined = []call{
	{
		what: "reads the clock",
		find: func(s *source, n ast.Node) bool { return s.isUse(n, "time", "Now", "Since", "Until") },
		free: []string{"app", "demo", "cli", "house"},
		but: map[string]string{
			"internal/gateway/direct.go":        "deadline of a socket",
			"internal/gateway/body.go":          "deadline of a socket",
			"internal/gateway/egress/egress.go": "deadline of a socket",
			"internal/gateway/egress/relay.go":  "deadline of a socket",
			"internal/gateway/ports.go":         "deadline of a socket",
			"internal/listen/serve.go":          "deadline of a socket",
			"internal/web/answer.go":            "deadline of a socket",
			"internal/journal/sequencer.go":     "pace of rounds; no entry shows it",
			"internal/journal/http.go":          "pace of the progress lines",
			"internal/journal/check.go":         "how long a check took, for the report",
			"internal/identity/canaries.go":     "measures answers as an attacker would",
			"internal/identity/clauses.go":      "measures how long right and wrong take",
			"internal/policy/check/prove.go":    "how long a control took, for the reader",
			"internal/ledger/health.go":         "how long commits take, which a clock that tests move cannot say",
			"internal/ledger/pending.go":        "how often the backlog is looked at; decides nothing an entry shows",
			"internal/ledger/writer.go":         "length of a batch, and the limit on a slow closure",
		},
		avoid: "take now func() time.Time",
	},
	{
		what: "starts a context of its own",
		find: func(s *source, n ast.Node) bool { return s.isUse(n, "context", "Background", "TO"+"DO") },
		free: []string{"app", "demo", "cli", "house"},
		but: map[string]string{
			"internal/gateway/assertion.go": "the keys of assertions and forms are read once, when the gate is built",
			"internal/journal/sequencer.go": "the lease is given back after the server's context ended",
			"internal/ledger/sqlite.go":     "the writer outlives its callers: a change is not half done because a caller left",
			"internal/ledger/prepared.go":   "a prepared statement outlives the caller who needed it first",
			"internal/ledger/writer.go":     "the writer outlives its callers",
		},
		avoid: "take ctx from the caller",
	},
	{
		what: "prints to standard output",
		find: func(s *source, n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if f, ok := c.Fun.(*ast.Ident); ok && (f.Name == "println" || f.Name == "print") {
					return true
				}
			}
			return s.isUse(n, "fmt", "Print", "Printf", "Println") || s.isUse(n, "os", "Stdout")
		},
		free:  []string{"cli", "report", "demo"},
		but:   map[string]string{},
		avoid: "return the text, or log it with slog",
	},
	{
		what: "ends the process",
		find: func(s *source, n ast.Node) bool {
			return s.isUse(n, "os", "Exit") || s.isUse(n, "log", "Fatal", "Fatalf", "Fatalln")
		},
		free:  []string{"cli"},
		but:   map[string]string{},
		avoid: "return an error",
	},
	{
		what: "registers itself",
		find: func(_ *source, n ast.Node) bool {
			f, ok := n.(*ast.FuncDecl)
			return ok && f.Recv == nil && f.Name.Name == "init"
		},
		but:   map[string]string{},
		avoid: "let app wire it",
	},
	{
		what: "uses net/http's shared state",
		find: func(s *source, n ast.Node) bool {
			return s.isUse(n, "net/http", "DefaultClient", "DefaultServeMux", "DefaultTransport", "Get", "Post", "PostForm", "Head", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS")
		},
		but:   map[string]string{},
		avoid: "make a client, mux or server with limits of its own",
	},
}

func TestConfinedCalls(t *testing.T) {
	tr := theTree(t)
	for _, c := range confined {
		used := map[string]bool{}
		for _, p := range tr.pkgs {
			if slices.Contains(c.free, p.top()) || p.path == "cmd/writ" {
				continue
			}
			for _, s := range p.code() {
				ast.Inspect(s.parsed, func(n ast.Node) bool {
					if n == nil || !c.find(s, n) {
						return true
					}
					used[s.path] = true
					if c.but[s.path] == "" {
						t.Errorf("%s %s: %s", tr.at(n), c.what, c.avoid)
					}
					return true
				})
			}
		}
		for file := range c.but {
			if !used[file] {
				t.Errorf("%s may stand in the table of %q no longer: it does not do it", file, c.what)
			}
		}
	}
}
