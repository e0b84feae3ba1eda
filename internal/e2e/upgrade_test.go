package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// A revision that lacks a clause of the shipped policy is obeyed as it is, and the
// proposal that brings the clause is made ready with one command.
func TestOlderRevision(t *testing.T) {
	t.Parallel()
	first := start(t, setup{owners: threeOwners})
	text := first.exported(t)
	first.stop()
	const id = "vuln.provider-alerts" // no module obeys its parameters yet
	from := strings.Index(text, "      - id: "+id+"\n")
	if from < 0 {
		t.Fatalf("the policy has no %s", id)
	}
	rest := text[from+1:]
	end := strings.Index(rest, "\n      - id: ")
	if next := strings.Index(rest, "\n  - id: "); end < 0 || next >= 0 && next < end {
		end = next
	}
	if end < 0 {
		t.Fatalf("nothing stands behind %s", id)
	}
	older := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, older, text[:from]+rest[end+1:], 0o600)

	s := start(t, setup{owners: threeOwners, more: []string{"--policy", older}})
	must(t, 1, s.writ("check"), "144 clauses")
	must(t, 1, s.writ("policy", "show", id), "no clause")
	c := newCouncil(t, s)
	for _, o := range threeOwners {
		c.sign(t, o)
	}
	must(t, 0, c.as("ana@example.test", "policy", "propose", "--template", "--summary", "What the new version brings"), id, "Revision 1.1 is proposed")
	must(t, 1, s.writ("check"), "144 clauses") // nothing holds before it is signed
	for _, o := range []string{"ben@example.test", "chloe@example.test"} {
		c.sign(t, o, "1.1")
	}
	must(t, 1, s.writ("check"), "145 clauses")
	must(t, 0, s.writ("policy", "show", id))
	must(t, 1, c.as("ana@example.test", "policy", "propose", "--template", "--summary", "Once more"))
}
