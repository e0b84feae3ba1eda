package incident_test

import (
	"testing"

	"writ/internal/clause"
	"writ/internal/ledger/ledgertest"
)

// run runs one control.
func (w *world) run(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.svc.Controls(nil) {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			if err != nil {
				w.t.Fatalf("%s: %v", id, err)
			}
			return r
		}
	}
	w.t.Fatalf("there is no control %s", id)
	return clause.Result{}
}

// The controls of lost data pass where it is led as it must be, leave nothing behind, and see
// what is not so.
func TestLossControls(t *testing.T) { // breaks: inc.loss-maintenance, inc.loss-freeze, inc.loss-restore, inc.loss-reopen
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, nil)
		all := []string{"incident.loss-down", "incident.loss-order", "incident.loss-plan", "incident.loss-reopen"}
		pass := func() {
			t.Helper()
			for _, id := range all {
				if r := l.run(id); r.Outcome != clause.Pass {
					t.Errorf("%s: %s %s", id, r.Outcome, r.Summary)
				}
			}
		}
		pass()
		cases, err := l.svc.List(t.Context(), l.as("ana"), false)
		if err != nil || len(cases) != 0 {
			t.Errorf("a canary left %d incidents: %v", len(cases), err)
		}
		l.harm()
		l.sorted()
		l.to("R6")
		pass()
		l.gate.leaks = "POST /"
		if r := l.run("incident.loss-down"); r.Outcome != clause.Fail {
			t.Errorf("a gate that leaks: %s", r.Summary)
		}
		l.gate.leaks, l.gate.late = "", 1
		if r := l.run("incident.loss-down"); r.Outcome != clause.Fail {
			t.Errorf("a write while it is down: %s", r.Summary)
		}
		l.gate.late = 0
		l.to("R12")
		pass()
		l.exec(`UPDATE incident_loss SET frozen = NULL`)
		if r := l.run("incident.loss-order"); r.Outcome != clause.Fail {
			t.Errorf("restored without a proof: %s", r.Summary)
		}
	}, tables...)
}
