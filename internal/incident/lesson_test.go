package incident_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// What a closed incident rests on is handed over once in each round: after a fault again, of a
// drill never, and of what is erased nothing.
func TestClosedIncidentsAreKept(t *testing.T) { // breaks: mon.alarms
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.declared()
		for _, id := range []string{"alarm/a1", "entry/e1", "alarm/a2"} {
			w.exec(`INSERT INTO incident_signal (id, case_id, kind, says, at, judged) VALUES ($1, $2, 'breach', 'x', 1, NULL)`, id, c.ID)
		}
		keep := func(entries, lessons int) {
			t.Helper()
			if err := w.svc.KeepLessons(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.entries("lesson-handed"); got != entries || len(w.breach.lessons) != lessons {
				t.Fatalf("%d entries, %d lessons, want %d and %d", got, len(w.breach.lessons), entries, lessons)
			}
		}
		keep(0, 0)
		w.exec(`UPDATE incident_case SET l = 'L6' WHERE id = $1`, c.ID)
		w.breach.lost = errors.New("the journal is away")
		if err := w.svc.KeepLessons(t.Context()); err == nil {
			t.Error("what could not be kept is no fault")
		}
		w.breach.lost = nil
		keep(1, 1)
		keep(1, 1)
		if l := w.breach.lessons[0]; l.ID != c.ID || l.Ref != "I-1" || fmt.Sprint(l.Alarms) != "[a1 a2]" || l.Reads != nil {
			t.Errorf("%+v", l)
		}
		w.exec(`UPDATE incident_case SET round = 2 WHERE id = $1`, c.ID)
		keep(2, 2)
		w.exec(`UPDATE incident_case SET round = 3, drill = TRUE WHERE id = $1`, c.ID)
		keep(2, 2)
		w.exec(`UPDATE incident_case SET drill = FALSE WHERE id = $1`, c.ID)
		w.breach.lost = fault.Newf(fault.Gone, "erased", "It is erased.")
		keep(3, 2)
	}, tables...)
}

// It is not known how it happened before a rule is written that fires on it; which one, and on
// what, stands beside the guard.
func TestResearchWantsARule(t *testing.T) { // breaks: inc.breach-research
	w := open(t)
	ctx, now := t.Context(), w.kit.Clock.Now()
	w.breach.burst(now)
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	w.step("eve", "I-1", "told", "")
	w.breach.alive = map[string]bool{"s1": true}
	w.ok(w.svc.Contain(ctx, w.as("dev"), "I-1", incident.Cut{Kind: "session", ID: "s1"}))
	found := incident.Research{Way: "A session of support was taken over.", First: now.Add(-3 * time.Hour), Last: now.Add(-time.Hour), Cause: "The laptop was not locked.", Unseen: "No alarm looks at nights."}
	for _, id := range []string{"", "no-such-rule", blind} {
		found.Rule = id
		if _, err := w.svc.FindOut(ctx, w.as("dev"), "I-1", found); fault.KindOf(err) != fault.Invalid {
			t.Errorf("the rule %q: %v", id, err)
		}
	}
	found.Rule = rule
	if _, err := w.svc.FindOut(ctx, w.as("ben"), "I-1", found); fault.KindOf(err) != fault.Denied {
		t.Errorf("somebody without a role asks rules: %v", err)
	}
	w.ok(w.svc.FindOut(ctx, w.as("dev"), "I-1", found))
	w.signs("I-1", "research")
	i := slices.IndexFunc(w.show("I-1").Proofs, func(p incident.Proof) bool { return p.Guard == "rule-fires" })
	if i < 0 || w.show("I-1").Proofs[i].Says != "A rule fires on 6 requests" {
		t.Errorf("%+v", w.show("I-1").Proofs)
	}
	w.exec(`UPDATE incident_proof SET guard = 'gone' WHERE guard = 'rule-fires'`)
	_, err := w.svc.Take(ctx, w.as("dev"), "I-1", incident.Step{Event: "research"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"rule-fires"}) {
		t.Errorf("kept by %v", guards)
	}
	w.exec(`UPDATE incident_proof SET guard = 'rule-fires' WHERE guard = 'gone'`)
	w.step("dev", "I-1", "research", "")
	w.exec(`UPDATE incident_case SET l = 'L6'`)
	if err := w.svc.KeepLessons(ctx); err != nil || len(w.breach.lessons) != 1 || w.breach.lessons[0].Reads == nil {
		t.Errorf("the accesses of a breach are not kept: %+v %v", w.breach.lessons, err)
	}
}
