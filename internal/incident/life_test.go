package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

// words are what keeps a step, by the guard.
func words(t *testing.T, err error) map[string]string {
	t.Helper()
	k, ok := errors.AsType[*incident.Kept](err)
	if !ok {
		t.Fatalf("not kept: %v", err)
	}
	out := map[string]string{}
	for _, l := range k.Unmet {
		out[l.Guard] = l.Words
	}
	return out
}

// The review does not begin while a subscriber waits for what was posted, or nobody has looked
// yet who subscribes; how many wait is said. Whoever is told, given up or suspended waits no more.
func TestSubscribersAreTold(t *testing.T) { // breaks: inc.tell-affected
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.hooks.answer = echo
		for _, name := range []string{"good", "away", "later"} {
			if err := w.page.SubscribeHook(t.Context(), stranger, "https://hooks.example.net/"+name, nil, stranger.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.turn()
		w.hooks.mu.Lock()
		w.hooks.answer = func(c notify.Call) notify.Reply {
			if strings.HasSuffix(c.URL.Reveal(), "/good") {
				return notify.Reply{State: notify.Accepted, Code: "200"}
			}
			return notify.Reply{State: notify.Deferred, Code: "no_answer"}
		}
		w.hooks.mu.Unlock()
		c := w.resolved(w.active())
		review := func() map[string]string {
			_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "review"})
			return words(t, err)
		}
		if got := review(); got["subscribers-told"] != "Those who subscribe to the status page are being looked for." {
			t.Errorf("before anybody has looked: %v", got)
		}
		w.turn()
		w.tend()
		if got := review(); len(got) != 1 || got["subscribers-told"] != "2 subscribers of the status page wait for the newest update." {
			t.Errorf("while two wait: %v", got)
		}
		w.exec(`UPDATE incident_status_subscriber SET suspended = 1 WHERE id IN (SELECT subscriber FROM incident_status_notice WHERE state = 'queued' ORDER BY subscriber LIMIT 1)`)
		if got := review(); len(got) != 1 || got["subscribers-told"] != "1 subscriber of the status page waits for the newest update." {
			t.Errorf("with one of them suspended: %v", got)
		}
		w.exec(`UPDATE incident_case SET l = 'L5', review = $1`, w.kit.Clock.Now().UnixMicro()+1)
		w.expect("affected-told", clause.Fail, "I-1 went into its review while 1 subscriber still waited")
		w.exec(`UPDATE incident_case SET l = 'L4', review = NULL`)
		w.settled()
		w.tend()
		if v := w.show(c.Ref()); v.State() != "review" {
			t.Errorf("after it was given up: %s", v.State())
		}
		w.expect("affected-told", clause.Pass, "")
	}, tables...)
}

// Two people let the review begin although a subscriber waits.
func TestWaitingSubscribersAreLetPass(t *testing.T) {
	w := open(t)
	c := w.resolved(w.active()) // nobody has looked who subscribes
	for _, name := range []string{"ana", "ben"} {
		w.ok(w.svc.Waive(t.Context(), w.as(name), c.Ref(), engine.L, "subscribers-told", "the mail server is gone for days"))
	}
	_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "review"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"affected-told"}) {
		t.Errorf("%v", guards)
	}
}

// What was posted is taken back before its incident is cancelled: to say that it is resolved is
// not enough, and only whoever speaks for it takes it back. The public reads that it was.
func TestFalseAlarmIsTakenBack(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.active()
		cancel := func() error {
			_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "cancel", Reason: "it came from a test"})
			return err
		}
		retract := func(who string) error {
			_, err := w.svc.Update(t.Context(), w.as(who), c.Ref(), status.Post{Title: "Sign-in fails", State: status.Retracted, Body: "It was a false alarm: everybody can sign in."}, 0)
			return err
		}
		if guards, _ := w.kept(retract("dev")); !slices.Equal(guards, []string{"was-public"}) {
			t.Errorf("what was never posted is taken back: %v", guards)
		}
		w.says(c.Ref(), status.Investigating)
		err := cancel()
		if guards, _ := w.kept(err); !slices.Equal(guards, []string{"not-public"}) {
			t.Errorf("after a post: %v", guards)
		}
		if _, p := fault.PublicOf(err); !strings.Contains(p.Next, "writ incident update I-1") || !strings.Contains(p.Next, "--state retracted") {
			t.Errorf("the way out is not said: %q", p.Next)
		}
		w.step("dev", c.Ref(), "impact-over", "")
		w.says(c.Ref(), status.Resolved)
		if guards, _ := w.kept(cancel()); !slices.Equal(guards, []string{"not-public"}) {
			t.Errorf("after it was called resolved: %v", guards)
		}
		if _, code := w.kept(retract("eve")); code != "role_needed" {
			t.Errorf("somebody else takes it back: %s", code)
		}
		if err := retract("dev"); err != nil {
			t.Fatal(err)
		}
		if err := cancel(); err != nil {
			t.Fatal(err)
		}
		v := w.show(c.Ref())
		if v.State() != "cancelled" || v.States[engine.C] != "C4" || v.Posts[0].State != status.Retracted || len(v.Posts) != 3 {
			t.Errorf("%s %v %v", v.State(), v.States, v.Posts)
		}
		if body := w.get("/-/status/incidents/" + v.Posts[0].Public).Body.String(); !strings.Contains(body, "Retracted") || !strings.Contains(body, "Some people cannot sign in") {
			t.Errorf("the page: %s", body)
		}
		if body := w.get("/-/status/api/v2/incidents.json").Body.String(); strings.Contains(body, "retracted") || !strings.Contains(body, `"status":"resolved"`) {
			t.Errorf("a word that readers do not know: %s", body)
		}
		w.expect("updates-estimated", clause.Pass, "")
	}, tables...)
}

// What comes back after the page called it resolved is told to the public again, in time.
func TestRelapseIsPublicAgain(t *testing.T) { // breaks: inc.public-notice, inc.updates
	w := open(t)
	c := w.active()
	w.says(c.Ref(), status.Investigating)
	w.fixed(c.Ref())
	w.says(c.Ref(), status.Monitoring)
	w.step("dev", c.Ref(), "mitigate", "")
	w.says(c.Ref(), status.Resolved)
	c = w.step("dev", c.Ref(), "relapse", "it fails again")
	if c.States[engine.C] != "C0" {
		t.Fatalf("after it came back: %v", c.States)
	}
	w.kit.Clock.Advance(w.rules.Get().Notice)
	w.tend()
	if w.entries("deadline-lost") != 1 {
		t.Error("that nobody tells the public is not late")
	}
	if c = w.says(c.Ref(), status.Identified); c.States[engine.C] != "C2" {
		t.Errorf("%v", c.States)
	}
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), status.Post{State: status.Retracted, Body: "It was a false alarm."}, 0))
	if c = w.says(c.Ref(), status.Identified); c.States[engine.C] != "C2" {
		t.Errorf("what was taken back and is true after all: %v", c.States)
	}
}

// A temporary fix that one person let in is reviewed by another one within a day, who is neither
// that person nor its author. Both are recorded; late is told of, once, and breaks the clause.
func TestFixIsReviewedTwice(t *testing.T) { // breaks: inc.patch
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.active()
		mend := func(name string, in incident.NewFix) {
			t.Helper()
			w.ok(w.svc.Mend(t.Context(), w.as(name), c.Ref(), in))
		}
		second := func(who actor.Actor) error {
			_, err := w.svc.Approve(t.Context(), who, c.Ref(), "fix", "")
			return err
		}
		refused := func(who actor.Actor, guard string) {
			t.Helper()
			if guards, _ := w.kept(second(who)); !slices.Equal(guards, []string{guard}) {
				t.Errorf("%s: %v", who.ID, guards)
			}
		}
		mend("dev", incident.NewFix{Event: "propose", What: "Turn the check off"})
		refused(w.as("ana"), "fix-approved")
		mend("eve", incident.NewFix{Event: "approve-fix"})
		if got := w.post.to("incident.fix-review"); !slices.Equal(got, []string{"ana", "ben"}) {
			t.Errorf("asked for the second review: %v", got)
		}
		refused(w.as("dev"), "other-person")
		refused(w.as("eve"), "other-person")
		stale := w.as("ana")
		stale.FactorAt = time.Time{}
		for name, who := range map[string]actor.Actor{"the operator": operator, "without a factor": stale} {
			if err := second(who); fault.KindOf(err) != fault.Denied {
				t.Errorf("%s: %v", name, err)
			}
		}
		mend("dev", incident.NewFix{Event: "deploy", Ends: w.kit.Clock.Now().Add(72 * time.Hour)})
		w.kit.Clock.Advance(24*time.Hour - time.Second)
		w.tend()
		w.expect("fixes-last", clause.Pass, "")
		if w.entries("fix-unreviewed") != 0 {
			t.Error("late before its time")
		}
		w.kit.Clock.Advance(time.Second)
		w.tend()
		w.tend()
		w.expect("fixes-last", clause.Fail, "the temporary fix of I-1 waits for its second review since 3 November 2026")
		if n := w.entries("fix-unreviewed"); n != 1 || len(w.post.to("incident.fix-review")) != 6 {
			t.Errorf("%d entries, letters %v", n, w.post.to("incident.fix-review"))
		}
		if err := second(w.as("ana")); err != nil {
			t.Fatal(err)
		}
		w.expect("fixes-last", clause.Pass, "none beyond its end or without its second review")
		if err := second(w.as("ben")); fault.KindOf(err) != fault.Conflict {
			t.Errorf("a third one: %v", err)
		}
		v := w.show(c.Ref())
		if e := w.kit.Recorded("incident.approved"); v.Fix.Approver != "eve" || v.Fix.Second != "ana" || len(e) != 1 || e[0].Fields["object"] != "fix" {
			t.Errorf("%+v", v.Fix)
		}
	}, tables...)
}

// A fix that was withdrawn owes nobody a review, and the next one has its own.
func TestWithdrawnFixOwesNothing(t *testing.T) {
	w := open(t)
	c := w.active()
	for _, e := range []struct{ who, event string }{{"dev", "propose"}, {"eve", "approve-fix"}} {
		w.ok(w.svc.Mend(t.Context(), w.as(e.who), c.Ref(), incident.NewFix{Event: e.event, What: "Turn the check off"}))
	}
	w.step("dev", c.Ref(), "withdraw-fix", "it makes it worse")
	w.kit.Clock.Advance(25 * time.Hour)
	w.tend()
	w.expect("fixes-last", clause.Pass, "")
	if w.entries("fix-unreviewed") != 0 || !w.show(c.Ref()).Fix.SecondDue().IsZero() {
		t.Error("a fix that is gone is late")
	}
	w.ok(w.svc.Mend(t.Context(), w.as("dev"), c.Ref(), incident.NewFix{Event: "propose", What: "Turn the check off"}))
	if due := w.show(c.Ref()).Fix.SecondDue(); !due.IsZero() {
		t.Errorf("due %s before it is let in", due)
	}
	w.ok(w.svc.Mend(t.Context(), w.as("ana"), c.Ref(), incident.NewFix{Event: "approve-fix"}))
	if due := w.show(c.Ref()).Fix.SecondDue(); !due.Equal(w.kit.Clock.Now().Add(24 * time.Hour)) {
		t.Errorf("due %s", due)
	}
}

// What was repaired for good and is back takes another temporary fix, with an end and a review of
// its own; what was done before stays in the timeline. Before it is back there is nothing to mend.
func TestAnotherFix(t *testing.T) { // breaks: inc.patch
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.active()
		mend := func(name string, in incident.NewFix) incident.Case {
			t.Helper()
			return w.ok(w.svc.Mend(t.Context(), w.as(name), c.Ref(), in))
		}
		round := func(what string) {
			t.Helper()
			mend("dev", incident.NewFix{Event: "propose", What: what})
			mend("eve", incident.NewFix{Event: "approve-fix"})
			mend("dev", incident.NewFix{Event: "deploy", Ends: kit.Clock.Now().Add(72 * time.Hour)})
		}
		round("Turn the check off")
		mend("dev", incident.NewFix{Event: "plan", What: "Renew certificates by itself", Owner: "eve", Ends: kit.Clock.Now().Add(48 * time.Hour)})
		mend("dev", incident.NewFix{Event: "replace", Test: "TestRenews"})
		w.says(c.Ref(), status.Investigating)
		w.says(c.Ref(), status.Monitoring)
		w.step("dev", c.Ref(), "mitigate", "")
		another := incident.NewFix{Event: "propose", What: "Turn it off again"}
		_, err := w.svc.Mend(t.Context(), w.as("dev"), c.Ref(), another)
		if guards, _ := w.kept(err); !slices.Equal(guards, []string{"impact-back"}) {
			t.Errorf("kept by %v", guards)
		}
		kit.Clock.Advance(96 * time.Hour) // the end of the first one is long over
		w.step("dev", c.Ref(), "relapse", "it fails again")
		round("Turn it off again")
		w.tend()
		v := w.show(c.Ref())
		if v.States[engine.F] != "F3" || v.Fix.What != "Turn it off again" || v.Fix.Test != "" || v.Fix.Plan != "" || !v.Fix.Gone.IsZero() || v.Fix.Second != "" || v.Fix.Expires.Before(kit.Clock.Now()) || w.entries("fix-expired") != 0 {
			t.Errorf("%v %+v, %d ended", v.States, v.Fix, w.entries("fix-expired"))
		}
		if n := len(v.Notes); n != 1 || !strings.Contains(v.Notes[0].Text, "Renew certificates by itself\nIts test: TestRenews\nUntil then: Turn the check off") {
			t.Errorf("of the one before: %+v", v.Notes)
		}
		kit.Clock.Advance(72 * time.Hour)
		w.tend()
		if w.entries("fix-expired") != 1 {
			t.Error("its end is not alarmed")
		}
		mend("dev", incident.NewFix{Event: "plan", What: "Take another authority", Owner: "eve", Ends: kit.Clock.Now().Add(48 * time.Hour)})
		mend("dev", incident.NewFix{Event: "replace", Test: "TestAuthority"})
		before := w.entries("deadline-lost")
		mend("dev", incident.NewFix{Event: "plan", What: "Take a third one", Owner: "eve", Ends: kit.Clock.Now().Add(48 * time.Hour)})
		w.tend()
		if v := w.show(c.Ref()); v.States[engine.F] != "F4" || v.Fix.Test != "" || len(v.Notes) != 2 || w.entries("deadline-lost") != before {
			t.Errorf("planned at once: %v %+v", v.States, v.Fix)
		}
	}, tables...)
}
