package incident_test

import (
	"slices"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
)

// What two people let pass, or one alone, is an exception from the policy: it is listed with who, why and
// until when, the check shows it for as long as it holds, and it ends with the round, or by itself.
func TestWaiversAreExceptions(t *testing.T) { // breaks: inc.process, gov.exceptions
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		ctx := t.Context()
		c := w.active()
		waive := func(name string) {
			t.Helper()
			w.ok(w.svc.Waive(ctx, w.as(name), c.Ref(), engine.L, "soaked", "the cause is gone for good"))
		}
		all := func() []incident.Deviation {
			t.Helper()
			ds, err := w.svc.Deviations(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return ds
		}
		waive("dev")
		if ds := all(); len(ds) != 0 {
			t.Errorf("one of two is an exception: %+v", ds)
		}
		w.expect("let-pass", clause.Pass, "")
		waive("ben")
		ds := all()
		if len(ds) != 1 || ds[0].Ref != "I-1" || ds[0].Guard != "soaked" || ds[0].Requester != "dev" || ds[0].Approver != "ben" || ds[0].Reason != "the cause is gone for good" || ds[0].Ends.Sub(ds[0].Starts) != 90*24*time.Hour {
			t.Fatalf("%+v", ds)
		}
		w.expect("let-pass", clause.Excepted, "let pass in I-1: soaked, by dev and ben")
		if _, err := w.svc.Waive(ctx, w.as("ana"), c.Ref(), engine.L, "soaked", "once more"); err == nil {
			t.Error("what passes is let pass again")
		}
		w.says(c.Ref(), "investigating")
		w.fixed(c.Ref())
		w.says(c.Ref(), "monitoring")
		w.step("dev", c.Ref(), "mitigate", "")
		w.says(c.Ref(), "resolved")
		kit.Clock.Advance(90 * 24 * time.Hour)
		w.expect("let-pass", clause.Pass, "")
		waive("ana") // anew, by two
		w.expect("let-pass", clause.Pass, "")
		waive("dev")
		w.expect("let-pass", clause.Excepted, "by ana and dev")
		w.step("dev", c.Ref(), "resolve", "")
		w.worked()
		w.tend()
		w.ok(w.svc.Learn(ctx, w.as("dev"), c.Ref(), w.review()))
		w.ok(w.svc.Approve(ctx, w.as("ana"), c.Ref(), "review", ""))
		w.step("dev", c.Ref(), "close", "")
		if ds := all(); len(ds) != 1 || !ds[0].Ends.Equal(w.show(c.Ref()).Closed) {
			t.Errorf("it does not end with its round: %+v", ds)
		}
		w.expect("let-pass", clause.Pass, "")
	}, tables...)
}

// A waiver that has ended lets nothing pass.
func TestWaiversEnd(t *testing.T) { // breaks: gov.exceptions
	w := within(t, ledgertest.Open(t, tables...), nil, func(d *incident.Deps) { d.Longest = func() time.Duration { return 24 * time.Hour } })
	c := w.active()
	for _, name := range []string{"dev", "ben"} {
		w.ok(w.svc.Waive(t.Context(), w.as(name), c.Ref(), engine.L, "fixed-or-up", "the cause went away by itself"))
	}
	w.says(c.Ref(), "investigating")
	w.says(c.Ref(), "monitoring")
	w.kit.Clock.Advance(25 * time.Hour)
	_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "mitigate"})
	if guards, _ := w.kept(err); !slices.Contains(guards, "fixed-or-up") {
		t.Errorf("an exception that does not end: %v", guards)
	}
}
