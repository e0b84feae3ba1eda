package incident_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident/status"
)

// What was promised is held against what came of it, each promise for itself, also one that was
// changed since; an incident that goes on has kept and broken nothing yet.
func TestPromisesAreCounted(t *testing.T) { // breaks: inc.eta
	w := open(t)
	c := w.active()
	says := func(state string, in time.Duration) {
		t.Helper()
		p := w.update(state)
		if p.Next = (time.Time{}); in > 0 {
			p.Estimate = w.kit.Clock.Now().Add(in)
		}
		w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	}
	says(status.Investigating, 30*time.Minute)
	id := w.show(c.Ref()).Posts[0].Public
	if body := w.get("/-/status/incidents/" + id).Body.String(); strings.Contains(body, "What we promised") {
		t.Error("an open incident has kept or broken its promise")
	}
	w.kit.Clock.Advance(20 * time.Minute)
	says(status.Identified, 10*time.Minute) // the same time said again
	says(status.Identified, 40*time.Minute)
	w.fixed(c.Ref())
	w.kit.Clock.Advance(20 * time.Minute)
	says(status.Monitoring, 20*time.Minute) // the second time again
	w.step("dev", c.Ref(), "mitigate", "")
	w.kit.Clock.Advance(15 * time.Minute)
	says(status.Resolved, 0)
	k, err := w.page.Kept(t.Context())
	if err != nil || k != (status.Kept{Given: 2, Kept: 1, Median: 25 * time.Minute}) {
		t.Errorf("%+v %v", k, err)
	}
	body := w.get("/-/status/incidents/" + id).Body.String()
	for _, want := range []string{"What we promised", "back by 2 November 2026, 10:30 UTC. It took 25 minutes longer.", "back by 2 November 2026, 11:00 UTC. Kept."} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	const sum = "Of 2 promises when service returns, 1 kept; half of them were off by at most 25 minutes"
	if body := w.get("/-/status").Body.String(); !strings.Contains(body, sum+".") {
		t.Error("the page does not say how well it keeps its word")
	}
	w.expect("updates-estimated", clause.Pass, sum)
}
