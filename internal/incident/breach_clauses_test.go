package incident_test

import (
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/ledger"
)

// recorded makes an entry of something as it is, past the code that would refuse it.
func (w *world) recorded(ev ledger.Event) {
	w.t.Helper()
	if _, err := w.kit.DB.Change(w.t.Context(), operator, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// Each proof of a breach's clauses passes over a breach that went its way, and fails once
// something of it is not so.
func TestBreachControls(t *testing.T) { // breaks: inc.breach-scope, inc.breach-third-party, inc.breach-notify, inc.breach-research, inc.breach-prevent
	w := open(t)
	all := []string{"hole-clears-nobody", "scope-frozen", "third-party", "one-letter", "breach-told", "evidence-held", "not-again"}
	pass := func(what string) {
		t.Helper()
		w.numbered()
		for _, id := range all {
			w.expect(id, clause.Pass, "")
		}
		if t.Failed() {
			t.Fatal(what)
		}
	}
	pass("before anything")
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	w.scoped("I-1")
	w.ok(w.svc.AddTask(t.Context(), w.as("eve"), "I-1", incident.Task{What: "Fill in their form 12", Owner: "dev", Due: w.kit.Clock.Now().Add(time.Hour)}))
	pass("in the middle")
	w.kit.Clock.Advance(2 * time.Hour)
	w.expect("third-party", clause.Fail, "a task of I-1 was due")
	w.ok(w.svc.EndTask(t.Context(), w.as("dev"), "I-1", w.exposure("I-1").Tasks[0].ID))
	w.exec(`UPDATE incident_breach SET lifted = held`)
	w.expect("evidence-held", clause.Fail, "I-1 is not held")
	w.exec(`UPDATE incident_breach SET lifted = NULL`)
	w.notifying("I-1")
	w.sendAll()
	w.exec(`UPDATE incident_letter SET state = 'unknown' WHERE person = 'ann'`)
	w.expect("breach-told", clause.Pass, "")
	w.kit.Clock.Advance(25 * time.Hour)
	w.expect("breach-told", clause.Fail, "1 letter of I-1 is unknown for a day")
	w.exec(`UPDATE incident_letter SET state = 'accepted'`)
	w.finished("I-1")
	pass("at the end")

	w.exec(`UPDATE incident_wall SET ended = ended + within`)
	w.expect("breach-told", clause.Fail, "the time of authority of I-1 ended")
	w.exec(`UPDATE incident_wall SET ended = ended - within`)
	w.exec(`UPDATE incident_paper SET kind = 'gone' WHERE kind = 'measure'`)
	w.expect("not-again", clause.Fail, "I-1 is over without a measure")
	w.exec(`UPDATE incident_paper SET kind = 'measure' WHERE kind = 'gone'`)
	w.exec(`UPDATE incident_paper SET kind = 'gone' WHERE kind = 'research'`)
	w.expect("evidence-held", clause.Fail, "nothing says how it happened")
	w.exec(`UPDATE incident_paper SET kind = 'research' WHERE kind = 'gone'`)
	w.exec(`UPDATE incident_scope SET hash = 'another'`)
	w.expect("scope-frozen", clause.Fail, "without a set that two people signed")
	pass2 := w.exposure("I-1").Scope.Result.Hash
	w.exec(`UPDATE incident_scope SET hash = $1`, pass2)

	w.svc.Sandbox.Post = w.breach // which takes whatever it is given
	w.expect("one-letter", clause.Fail, "a drill wrote to an address outside")
	w.svc.Sandbox.Post = nil
	w.recorded(incident.AwareSet{Incident: "x", Aware: time.Unix(2, 0), Was: time.Unix(1, 0), Signers: 1})
	w.numbered()
	w.expect("breach-told", clause.Fail, "moves a time of the law by one person")
	w.recorded(incident.ScopeFrozen{Incident: "x", Version: 1, Cleared: 3})
	w.numbered()
	w.expect("scope-frozen", clause.Fail, "clears 3 over a hole")
}

// A letter of a breach goes to whoever wants no letters of the status page: nothing of it
// looks at who does.
func TestUnsubscribedAreTold(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	if err := w.page.Subscribe(t.Context(), operator, "ann@example.test", nil, "198.51.100.0/24"); err != nil {
		t.Fatal(err)
	}
	w.exec(`DELETE FROM incident_status_subscriber`) // they are gone from that list
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	if w.breach.sent["ann@example.test"] != 1 || w.exposure("I-1").Scope.Counts[breach.Obtained] != 2 {
		t.Errorf("%v", w.breach.sent)
	}
}
