package incident_test

import (
	"context"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// gauge is what the gate sees.
type gauge struct{ is incident.Seen }

func (g *gauge) Seen(context.Context) (incident.Seen, error) { return g.is, nil }

func (w *world) gauged() *gauge {
	g := &gauge{incident.Seen{Requests: 1000, Answers: true}}
	w.svc.Gauge = g
	return g
}

func (w *world) isState(id, want string) {
	w.t.Helper()
	cs, err := w.page.Components(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range cs {
		if c.ID == id && c.State != want {
			w.t.Errorf("%s is %s, want %s", c.Name, c.State, want)
		}
	}
}

// As many failures as the policy says turn the parts of the service that are well, begin one
// incident, and owe the public a notice once its kind is decided, however bad it is; what was
// turned turns back when it is over, and what somebody has set stays.
func TestFailuresTellThePublic(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		well, set := w.component("Sign-in", ""), w.component("Search", "")
		if err := w.page.Set(t.Context(), w.as("dev"), set.ID, status.Degraded); err != nil {
			t.Fatal(err)
		}
		g := w.gauged()
		for _, x := range []incident.Seen{{Requests: 1000, Failed: 49, Answers: true}, {Requests: 49, Failed: 49, Answers: true}, {Requests: 1000, Failed: 900, Answers: true, Closed: true}} {
			g.is = x
			w.tend()
		}
		if len(w.open()) != 0 {
			t.Fatal("something short of the threshold, or of a gate that was closed, begins an incident")
		}
		g.is = incident.Seen{Requests: 1000, Failed: 50, Answers: true}
		w.tend()
		w.tend()
		w.isState(well.ID, status.PartialOutage)
		w.isState(set.ID, status.Degraded)
		cs := w.open()
		if len(cs) != 1 || cs[0].Source != "impact" || cs[0].Title != "At least 5 % of requests fail" || cs[0].States[engine.C] != "" {
			t.Fatalf("incidents: %+v", cs)
		}
		w.expect("impact-noticed", clause.Pass, "")
		w.step("dev", "I-1", "acknowledge", "")
		c := w.ok(w.svc.Categorise(t.Context(), w.as("dev"), "I-1", incident.Sorting{Kinds: []string{"other"}, Severity: 4}))
		if c.States[engine.C] != "C0" {
			t.Errorf("no notice is owed: %v", c.States)
		}
		if v := w.show("I-1"); v.Notice == "" {
			t.Error("no notice is suggested")
		}
		g.is.Failed = 0
		w.tend()
		kit.Clock.Advance(4 * time.Minute)
		g.is.Failed = 500 // back before it was over
		w.tend()
		g.is.Failed = 0
		w.tend()
		kit.Clock.Advance(4 * time.Minute)
		w.tend()
		w.isState(well.ID, status.PartialOutage)
		kit.Clock.Advance(time.Minute)
		w.tend()
		w.isState(well.ID, status.Operational)
		w.isState(set.ID, status.Degraded)
		if n := len(w.open()); n != 1 || w.entries("impact-began") != 1 || w.entries("impact-ended") != 1 {
			t.Errorf("%d incidents, %d began, %d ended", n, w.entries("impact-began"), w.entries("impact-ended"))
		}
	}, tables...)
}

// An application that does not answer for as long as the policy says is an outage; a shorter
// break is none. One incident that is worked on already gets to owe the notice.
func TestDownTellsThePublic(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	part := w.component("Sign-in", "")
	g := w.gauged()
	g.is.Answers = false
	w.tend()
	w.kit.Clock.Advance(9 * time.Minute)
	w.tend()
	g.is.Answers = true
	w.tend()
	g.is.Answers = false
	w.tend()
	w.kit.Clock.Advance(9 * time.Minute)
	w.tend()
	w.isState(part.ID, status.Operational)
	w.declared()
	w.step("dev", "I-1", "acknowledge", "")
	w.ok(w.svc.Categorise(t.Context(), w.as("dev"), "I-1", incident.Sorting{Kinds: []string{"usability"}, Severity: 4}))
	w.kit.Clock.Advance(time.Minute)
	w.tend() // it turns, and the incident hears of it
	w.tend() // which owes a notice
	w.isState(part.ID, status.MajorOutage)
	c := w.show("I-1")
	if len(w.open()) != 1 || c.States[engine.C] != "C0" || len(c.Told) != 1 || w.entries("notice-opened") != 1 {
		t.Errorf("%d incidents, %v, told by %+v", len(w.open()), c.States, c.Told)
	}
	w.kit.Clock.Advance(31 * time.Minute)
	w.expect("notice-in-time", clause.Fail, "I-1")
}

// The canary sees a threshold that turns nothing, and the probe an impact that nobody knows of.
func TestThresholdIsTried(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	w.component("Sign-in", "")
	w.expect("threshold-turns", clause.Pass, "turns what is well (1 part)")
	w.setRules(map[string]any{"inc.public-notice/threshold_errors": 50})
	w.expect("threshold-turns", clause.Pass, "")
	if w.entries("impact-began") != 0 {
		t.Error("the trial left something")
	}
	w.exec(`INSERT INTO incident_impact (id, kind, since, began, calm, ended, touched) VALUES ('x', 'errors', $1, $1, NULL, NULL, '')`, w.kit.Clock.Now().Add(-2*time.Minute).UnixMicro())
	w.expect("impact-noticed", clause.Fail, "no incident knows")
	w.exec(`INSERT INTO incident_impact (id, kind, since, began, calm, ended, touched) VALUES ('y', 'trial', $1, $1, NULL, NULL, '')`, w.kit.Clock.Now().UnixMicro())
	for _, c := range w.svc.Controls(nil) {
		if c.ID == "incident.threshold-turns" {
			if r, err := c.Run(t.Context()); err == nil && r.Outcome == clause.Pass {
				t.Error("a trial that turns nothing passes")
			}
		}
	}
}
