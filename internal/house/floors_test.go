package house_test

import (
	"slices"
	"strings"
	"testing"
)

// floors is the plan of the house. Imports go down only. A new package is one word here.
var floors = [][]string{
	{"secret", "fault", "actor", "clause", "merkle", "envelope", "passhash", "canon", "sshsig", "shamir", "pan", "parcel", "fips", "kdbx", "outside"},
	{"ledger", "keyring", "seal", "jobs", "web", "mail", "notify", "listen", "trace", "canary", "leak", "pgtest", "nodetest"},
	{"journal", "policy", "access"},
	{"identity", "vault", "gateway", "bastion", "watch", "incident", "recovery", "supply", "change", "people"},
	{"console", "report", "cli"},
	{"app", "house", "demo", "e2e", "browser"},
}

const (
	ground = iota
	kits
	law
	capabilities
	faces
	roof
)

// beside are the imports within a floor. What is reached by several steps may be imported
// directly as well. Ground may import ground: the compiler refuses circles, and it is pure.
var beside = map[string][]string{
	"jobs": {"ledger"}, "ledger": {"keyring"}, "mail": {"jobs"}, "notify": {"mail"}, "canary": {"mail"},
	"policy": {"access", "journal"}, "journal": {"access"},
	"seal":    {"web"},
	"console": {"report"}, "cli": {"report"},
	"demo": {"app"}, "house": {"app"}, "e2e": {"app", "demo"}, "browser": {"app", "demo"},
}

func floorOf(name string) int {
	return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, name) })
}

func reaches(from, to string) bool {
	return slices.ContainsFunc(beside[from], func(n string) bool { return n == to || reaches(n, to) })
}

// wrong says why from may not import to, or "".
func wrong(from, to string) string {
	a, b := floorOf(from), floorOf(to)
	switch {
	case a < 0:
		return from + " is on no floor: add the word to floors"
	case b < 0:
		return to + " is on no floor: add the word to floors"
	case from == to || a == ground && b == ground:
		return ""
	case a == b && a == capabilities:
		return "capabilities do not import one another: declare the small interface you need, app wires it"
	case a == b && !reaches(from, to):
		return "not among the edges allowed on this floor"
	case a < b:
		return "that is upwards"
	case a == faces && b == capabilities && from != "console":
		return "only the console shows capabilities; commands and reports speak their wire (docs/adr/0007)"
	}
	return ""
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range theTree(t).pkgs {
		if strings.HasPrefix(p.path, "cmd/") {
			continue
		}
		if floorOf(p.top()) < 0 {
			t.Errorf("%s is on no floor: add the word to floors", p.path)
		}
		for _, s := range p.code() {
			for _, i := range s.imports() {
				dir, ours := strings.CutPrefix(i, module+"/")
				if !ours {
					continue
				}
				if slices.Contains(testPackages, dir) {
					t.Errorf("%s imports %s, which is for tests only", s.path, dir)
					continue
				}
				if why := wrong(p.top(), top(dir)); why != "" {
					t.Errorf("%s imports %s: %s", s.path, dir, why)
				}
			}
		}
	}
}

// The plan itself must be able to say no.
func TestPlanRefuses(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"identity", "ledger", true}, {"mail", "ledger", true}, {"passhash", "secret", true}, {"app", "gateway", true}, {"policy", "access", true},
		{"gateway", "identity", false}, {"ledger", "jobs", false}, {"access", "journal", false}, {"secret", "ledger", false},
		{"console", "identity", true}, {"cli", "identity", false}, {"cli", "app", false}, {"web", "listen", false}, {"identity", "unheard", false}, {"unheard", "secret", false},
	} {
		if got := wrong(c.from, c.to); (got == "") != c.ok {
			t.Errorf("%s → %s: %q", c.from, c.to, got)
		}
	}
}

// The sample stands for a stranger's application: it must need nothing of Writ's code.
func TestSampleKnowsNothingOfWrit(t *testing.T) {
	for _, p := range theTree(t).pkgs {
		if p.path != "internal/demo/sample" {
			continue
		}
		for _, s := range p.code() {
			for _, i := range s.imports() {
				if strings.HasPrefix(i, module+"/") {
					t.Errorf("%s imports %s", s.path, i)
				}
			}
		}
	}
}
