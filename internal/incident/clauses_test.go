package incident_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// expect runs a control.
func (w *world) expect(id string, want clause.Outcome, says string) {
	w.t.Helper()
	for _, c := range w.svc.Controls(nil) {
		if c.ID != "incident."+id {
			continue
		}
		r, err := c.Run(w.t.Context())
		if err != nil || r.Outcome != want || !strings.Contains(r.Summary, says) {
			w.t.Errorf("%s: %s (%s) %v, want %s with %q", id, r.Outcome, r.Summary, err, want, says)
		}
		return
	}
	w.t.Fatalf("no control %s", id)
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if err := w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

// numbered lets the journal take in all that was recorded.
func (w *world) numbered() {
	w.t.Helper()
	rc, err := w.kit.DB.Change(w.t.Context(), operator, func(*ledger.Tx) (ledger.Event, error) { return incident.ActDone{Incident: "none"}, nil })
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.journal.Run(ctx) }()
	if _, err := w.journal.Wait(w.t.Context(), rc.ID); err != nil {
		w.t.Error(err)
	}
	stop()
	<-done
}

// write puts an entry into the ledger that nothing stands behind.
func (w *world) write(ev ledger.Event) {
	w.t.Helper()
	if _, err := w.kit.DB.Change(w.t.Context(), operator, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// All controls pass over an incident that was led well, on both engines, and its timeline
// tells it in words.
func TestControlsPass(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		for _, c := range w.svc.Controls(nil) {
			if c.ID == "incident.drills" || c.ID == "incident.continuity" { // TestDrills has them pass
				w.expect(strings.TrimPrefix(c.ID, "incident."), clause.Unknown, "practised yet")
				continue
			}
			w.expect(strings.TrimPrefix(c.ID, "incident."), clause.Pass, "")
		}
		w.customers.teams = []incident.Team{{ID: "t1", Reach: []string{"m@example.test"}}}
		c := w.resolved(w.active())
		w.ok(w.svc.Posted(t.Context(), w.as("dev"), c.Ref(), "social", "https://social.example.test/@harbour/1"))
		w.worked()
		w.tend()
		w.ok(w.svc.Write(t.Context(), w.as("dev"), c.Ref(), "rang the provider", ""))
		w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), w.review()))
		w.ok(w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "review", ""))
		w.step("dev", c.Ref(), "close", "")
		w.numbered()
		w.kit.Clock.Advance(2 * time.Minute)
		for _, c := range w.svc.Controls(nil) {
			if c.ID == "incident.drills" || c.ID == "incident.continuity" { // TestDrills has them pass
				w.expect(strings.TrimPrefix(c.ID, "incident."), clause.Unknown, "practised yet")
				continue
			}
			w.expect(strings.TrimPrefix(c.ID, "incident."), clause.Pass, "")
		}
		w.expect("process-order", clause.Pass, "11 steps of 1 incident")
		lines, err := w.svc.Timeline(t.Context(), w.as("ana"), c.Ref())
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, l := range lines {
			all = append(all, l.Who+": "+l.What+" "+l.Detail)
		}
		text := strings.Join(all, "\n")
		for _, want := range []string{"Name of dev: Lifecycle: triage", "Name of dev: noted rang the provider", "the server: Lifecycle: review", "Name of dev: decided: usability, severity 2", "Name of ana: approved"} {
			if !strings.Contains(text, want) {
				t.Errorf("the timeline lacks %q:\n%s", want, text)
			}
		}
	}, tables...)
}

// Steps that the tables do not have, or not from there, are seen; so is a region that began
// before the kind was decided, and a row that the record does not explain.
func TestReplaysSee(t *testing.T) { // breaks: inc.process, inc.categorise
	for name, c := range map[string]struct {
		spoil func(w *world, id string)
		order string
		kind  string
	}{
		"a step left out": {func(w *world, id string) {
			w.write(incident.Moved{Incident: id, Region: "L", From: "L2", To: "L5", Event: "review"})
		}, "has no step review", ""},
		"from elsewhere": {func(w *world, id string) {
			w.write(incident.Moved{Incident: id, Region: "L", From: "L4", To: "L5", Event: "review"})
		}, "and L stood at L2", ""},
		"a region too early": {func(w *world, _ string) {
			w.write(incident.Moved{Incident: "x", Region: "C", To: "C0", Event: "begin"})
		}, "", "before the kind was decided"},
		"a row without a trace": {func(w *world, id string) { w.exec(`UPDATE incident_case SET l = 'L6' WHERE id = $1`, id) }, "record ends at L2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			x := w.active()
			c.spoil(w, x.ID)
			w.numbered()
			w.kit.Clock.Advance(2 * time.Minute)
			for id, says := range map[string]string{"process-order": c.order, "kind-first": c.kind} {
				want := clause.Pass
				if says != "" {
					want = clause.Fail
				}
				w.expect(id, want, says)
			}
		})
	}
}

// breaks: inc.categorise, inc.public-notice, inc.updates
func TestLatenessIsSeen(t *testing.T) {
	w := open(t)
	c := w.declared()
	w.expect("taken-in-time", clause.Pass, "within 15 minutes")
	w.kit.Clock.Advance(15 * time.Minute)
	w.expect("taken-in-time", clause.Fail, "I-1 was")
	w.step("dev", c.Ref(), "acknowledge", "")
	w.expect("taken-in-time", clause.Pass, "")
	w.kit.Clock.Advance(31 * 24 * time.Hour)
	c = w.active()
	w.expect("notice-in-time", clause.Pass, "")
	w.kit.Clock.Advance(30 * time.Minute)
	w.expect("notice-in-time", clause.Fail, "I-2 was")
	w.kit.Clock.Advance(time.Second)
	w.says(c.Ref(), status.Investigating)
	w.expect("notice-in-time", clause.Fail, "I-2 was 1 second over its time in C0")
	w.kit.Clock.Advance(31 * 24 * time.Hour)
	c = w.active()
	w.says(c.Ref(), status.Investigating)
	w.expect("notice-in-time", clause.Pass, "")
	w.kit.Clock.Advance(30 * time.Minute)
	w.expect("notice-in-time", clause.Fail, "I-3 is not on social")
	if _, err := w.svc.Posted(t.Context(), w.as("dev"), c.Ref(), "social", "javascript:alert(1)"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("no address: %v", err)
	}
	w.ok(w.svc.Posted(t.Context(), w.as("dev"), c.Ref(), "social", "https://social.example.test/@harbour/1"))
	w.expect("notice-in-time", clause.Pass, "")
	w.expect("updates-in-time", clause.Pass, "")
	w.kit.Clock.Advance(30 * time.Minute)
	w.tend()
	w.expect("updates-in-time", clause.Fail, "I-3 was")
	w.says(c.Ref(), status.Identified)
	w.kit.Clock.Advance(31 * 24 * time.Hour)
	w.exec(`UPDATE incident_clock SET ended = due WHERE ended IS NULL`)
	w.expect("updates-in-time", clause.Pass, "")
}

// breaks: inc.eta, inc.learn, inc.patch, inc.tell-affected
func TestWhatIsOwedIsSeen(t *testing.T) {
	w := open(t)
	w.customers.teams = []incident.Team{{ID: "t1", Reach: []string{"m@example.test"}}}
	c := w.resolved(w.active())
	w.worked()
	w.tend()
	for _, id := range []string{"updates-estimated", "reviewed", "fixes-last", "affected-told"} {
		w.expect(id, clause.Pass, "")
	}
	w.exec(`UPDATE incident_status_update SET estimate = NULL, next = NULL WHERE state = 'investigating'`)
	w.expect("updates-estimated", clause.Fail, "1 of 3 updates")
	w.exec(`UPDATE incident_audience SET state = 'queued'`)
	w.expect("affected-told", clause.Fail, "I-1 went into its review with 1 teams untold")
	w.exec(`UPDATE incident_audience SET state = 'handed-over'`)
	w.exec(`UPDATE incident_case SET decided = FALSE`)
	w.expect("affected-told", clause.Fail, "without looking who")
	w.kit.Clock.Advance(10 * 24 * time.Hour)
	w.expect("reviewed", clause.Fail, "I-1 was")
	w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), w.review()))
	w.ok(w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "review", ""))
	w.step("dev", c.Ref(), "close", "")
	w.kit.Clock.Advance(72*time.Hour - time.Second)
	if s := fmt.Sprint(w.show(c.Ref()).Learned.Actions[0].Due.Sub(w.kit.Clock.Now())); s != "1s" {
		t.Fatal(s)
	}
	w.exec(`UPDATE incident_clock SET due = ended WHERE ended IS NOT NULL`)
	w.expect("reviewed", clause.Pass, "")
	w.kit.Clock.Advance(time.Second)
	w.expect("reviewed", clause.Fail, "an action of I-1 is overdue")
	w.ok(w.svc.Done(t.Context(), w.as("eve"), c.Ref(), w.show(c.Ref()).Learned.Actions[0].ID))
	w.expect("reviewed", clause.Pass, "")
	w.exec(`DELETE FROM incident_action`)
	w.expect("reviewed", clause.Fail, "closed without an action")
	w.exec(`UPDATE incident_fix SET deployed = 1, expires = 2`)
	w.expect("fixes-last", clause.Fail, "ended on 1 January 1970")
	w.exec(`UPDATE incident_fix SET gone = 3`)
	w.expect("fixes-last", clause.Pass, "")
}
