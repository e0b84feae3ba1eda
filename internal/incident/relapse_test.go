package incident_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// watched is one that dev commands and that is watched since now.
func (w *world) watched(c incident.Case) incident.Case {
	w.t.Helper()
	w.step("dev", c.Ref(), "acknowledge", "")
	for _, r := range []engine.Role{engine.Communications, engine.Technical} {
		w.ok(w.svc.TakeRole(w.t.Context(), w.as("dev"), c.Ref(), r, ""))
	}
	w.ok(w.svc.Categorise(w.t.Context(), w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{"usability"}, Severity: 2}))
	w.says(c.Ref(), status.Investigating)
	w.fixed(c.Ref())
	return w.monitored(c.Ref())
}

func (w *world) monitored(ref string) incident.Case {
	w.t.Helper()
	w.says(ref, status.Monitoring)
	return w.step("dev", ref, "mitigate", "")
}

// red is where an incident stands, what its probes were, and that whoever commands was told as often.
func (w *world) red(ref, state string, probes ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.kit.Recorded("incident.probe-red") {
		got = append(got, fmt.Sprint(e.Fields["probes"]))
	}
	c := w.show(ref)
	if c.States[engine.L] != state || !slices.Equal(got, probes) || (state == "L2") != c.Green.IsZero() {
		w.t.Errorf("%s stands at %s, quiet since %v, after %v; want %s after %v", ref, c.States[engine.L], c.Green, got, state, probes)
	}
	if to := w.post.to("incident.relapsed"); len(to) != len(probes) || slices.ContainsFunc(to, func(n string) bool { return n != "dev" }) {
		w.t.Errorf("told of it: %v", to)
	}
}

// An incident that is being watched is active again by itself when an alarm of its own fires again,
// or another one of its kind opens: with the probe in the record, and the time of watching anew.
// What an alarm said before it was watched, and one of another kind, is nothing.
func TestAlarmTakesItBack(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w, a := alarmed(t, kit)
		w.hears(w.fires(a, "a1", "usability"))
		before := w.heard("watch.alarm-reopened", "alarm", "a1")
		late := w.fires(a, "a2", "usability")
		kit.Clock.Advance(time.Minute)
		w.watched(w.show("I-1").Case)
		w.hears(before, late, w.fires(a, "b1", "breach"), w.heard("watch.alarm-reopened", "alarm", "b1"), w.heard("watch.alarm-reopened", "alarm", "none"))
		w.red("I-1", "L3")
		kit.Clock.Advance(incident.Soak - time.Second)
		again := w.heard("watch.alarm-reopened", "alarm", "a1")
		w.hears(again)
		w.hears(again)
		w.red("I-1", "L2", "[alarm/a1]")
		w.monitored("I-1")
		kit.Clock.Advance(time.Second)
		if guards, _ := w.kept(func() error {
			_, err := w.svc.Take(t.Context(), w.as("dev"), "I-1", incident.Step{Event: "resolve"})
			return err
		}()); !slices.Contains(guards, "soaked") {
			t.Errorf("the time of watching went on: kept by %v", guards)
		}
		kit.Clock.Advance(3 * time.Hour)
		w.monitored(w.step("dev", "I-1", "relapse", "seen").Ref())
		kit.Clock.Advance(time.Minute)
		w.hears(w.fires(a, "a3", "usability")) // hours after the first
		w.red("I-1", "L2", "[alarm/a1]", "[alarm/a3]")
	}, tables...)
}

// What the gate sees takes back the incident that heard of it, and one of the part that it touches;
// not within the minutes in which the meter still sees what was before.
func TestImpactTakesItBack(t *testing.T) { // breaks: inc.process
	for _, declared := range []bool{false, true} {
		w := open(t)
		part := w.component("Sign-in", "")
		g := w.gauged()
		if declared {
			_, _, err := w.svc.Declare(t.Context(), w.as("ana"), incident.Signal{Title: "Nobody can sign in", Component: part.ID})
			if err != nil {
				t.Fatal(err)
			}
		} else {
			g.is.Failed = 500
			w.tend()
		}
		w.watched(w.show("I-1").Case)
		g.is.Failed = 500
		w.tend()
		w.kit.Clock.Advance(5*time.Minute - time.Second)
		w.tend()
		w.red("I-1", "L3")
		w.kit.Clock.Advance(time.Second)
		g.is.Failed = 0
		w.tend()
		w.red("I-1", "L3")
		g.is.Failed = 500
		w.tend()
		w.tend()
		var id string
		for _, e := range w.kit.Recorded("incident.impact-began") {
			id = fmt.Sprint(e.Fields["impact"])
		}
		w.red("I-1", "L2", "[impact/"+id+"]")
	}
}
