package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/policy"
)

// What people of a module let pass stands among the exceptions for as long as it does; one that lasts too
// long or that its asker agreed to fails the clause, and one that nobody else approved shows.
func TestWaivedIsAnException(t *testing.T) { // breaks: gov.exceptions
	w := newWorld(t)
	now := w.kit.Clock.Now()
	good := policy.Waived{Clause: "inc.process", What: "let pass in I-1: soaked", Object: "incident/I-1", Reason: "gone for good", Requester: "person/ana", Approver: "person/ben", Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour)}
	var all []policy.Waived
	var fails error
	w.deps.Waived = func(context.Context) ([]policy.Waived, error) { return all, fails }
	w.foreseen(nil)
	expect := func(want clause.Outcome, says string, x ...policy.Waived) {
		t.Helper()
		all = x
		for _, c := range w.s.Controls(nil) {
			if c.ID == "policy.waived-end" {
				if r, err := c.Run(t.Context()); err != nil || r.Outcome != want || !strings.Contains(r.Summary, says) {
					t.Errorf("%s (%s) %v, want %s with %q", r.Outcome, r.Summary, err, want, says)
				}
				return
			}
		}
		t.Fatal("no control")
	}
	expect(clause.Pass, "0 deviations")
	over := good
	over.Ends = now.Add(-time.Minute)
	expect(clause.Pass, "2 deviations that people decided in the middle of an incident, 1 of them live", good, over)
	long := good
	long.Starts = long.Ends.Add(-91 * 24 * time.Hour)
	expect(clause.Fail, "lasts longer", good, long)
	own := good
	own.Approver = own.Requester
	expect(clause.Fail, "asked for it and agreed to it", own)
	alone := good
	alone.Approver = ""
	expect(clause.Excepted, "nobody else has approved: let pass in I-1: soaked", good, alone)
	alone.Ends = now.Add(-time.Second)
	expect(clause.Pass, "", alone)

	all = []policy.Waived{good, over}
	got, err := w.s.Waived(t.Context())
	if err != nil || len(got) != 2 || !got[0].Live || got[1].Live {
		t.Errorf("%+v %v", got, err)
	}
	if b, err := json.Marshal(got[0]); err != nil || !strings.Contains(string(b), `"approver":"person/ben"`) {
		t.Errorf("%s %v", b, err)
	}
	fails = errors.New("the ledger is away")
	if _, err := w.s.Waived(t.Context()); !errors.Is(err, fails) {
		t.Errorf("what cannot be read is nothing: %v", err)
	}
}
