package incident_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// From the first signal to the closed review, on both engines: each step is one entry, and
// the letters went to those affected.
func TestTheWholeWay(t *testing.T) { // breaks: inc.process, inc.tell-affected
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.customers.teams = []incident.Team{{ID: "t2", Name: "Orchard", Reach: []string{"o@example.test"}}, {ID: "t1", Name: "Mill", Reach: []string{"m@example.test", "n@example.test"}}}
		c := w.active()
		if got := c.States; got[engine.L] != "L2" || got[engine.C] != "C0" || got[engine.F] != "F0" || got[engine.R] != "" || got[engine.B] != "" {
			t.Fatalf("after the kind was decided: %v", got)
		}
		c = w.resolved(c)
		if c.State() != "resolved" || c.States[engine.C] != "C4" {
			t.Fatalf("%s %v", c.State(), c.States)
		}
		_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "review"})
		if guards, _ := w.kept(err); !slices.Contains(guards, "affected-told") {
			t.Errorf("the review began before anybody was told: %v", guards)
		}
		w.worked()
		if got := w.post.to("incident.affected"); !slices.Equal(got, []string{"m", "n", "o"}) {
			t.Errorf("told: %v", got)
		}
		w.tend()
		w.tend()
		v := w.show(c.Ref())
		if v.State() != "review" || len(v.Audience) != 2 || v.Audience[0].State != "handed-over" {
			t.Fatalf("%s %v", v.State(), v.Audience)
		}
		w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), w.review()))
		w.ok(w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "review", ""))
		if c = w.step("dev", c.Ref(), "close", ""); c.Open() || c.Closed.IsZero() {
			t.Errorf("not closed: %s", c.State())
		}
		steps := []string{}
		for _, e := range kit.Recorded("incident.step-done") {
			steps = append(steps, fmt.Sprint(e.Fields["region"], ":", e.Fields["from"], ">", e.Fields["to"]))
		}
		want := "L:L0>L1 L:L1>L2 C:>C0 C:C0>C2 F:F0>F4 C:C2>C3 L:L2>L3 C:C3>C4 L:L3>L4 L:L4>L5 L:L5>L6"
		if got := strings.Join(steps, " "); got != want {
			t.Errorf("entries\n%s, want\n%s", got, want)
		}
	}, tables...)
}

// The second of two clicks learns where it stands, and what was wanted; that it was refused
// is recorded. Many at once: one wins.
func TestTheSecondClick(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.declared()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won, lost := 0, 0
		for _, name := range []string{"ana", "ben", "dev", "eve"} {
			wg.Go(func() {
				_, err := w.svc.Take(context.WithoutCancel(t.Context()), w.as(name), c.Ref(), incident.Step{Event: "acknowledge"})
				mu.Lock()
				defer mu.Unlock()
				k, kept := errors.AsType[*incident.Kept](err)
				switch {
				case err == nil:
					won++
				case kept && k.State == "L1" && k.Wanted == "acknowledge" && errors.Is(err, fault.Conflict):
					lost++
				default:
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if won != 1 || lost != 3 || w.entries("step-refused") != 3 || w.entries("step-done") != 1 {
			t.Errorf("%d won, %d lost, %d refusals and %d steps are recorded", won, lost, w.entries("step-refused"), w.entries("step-done"))
		}
		_, err := w.svc.Grade(t.Context(), w.as("ana"), c.Ref(), 9, "")
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("severity 9: %v", err)
		}
		v := w.show(c.Ref()).Version
		w.ok(w.svc.Write(t.Context(), w.as("ana"), c.Ref(), "looked at the certificate", ""))
		if _, err := w.svc.Take(t.Context(), w.as("ana"), c.Ref(), incident.Step{Event: "cancel", Reason: "a mistake", Version: v}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("an old page takes a step: %v", err)
		}
	}, tables...)
}

// Nothing else starts before the kind is decided, and nobody decides it without severity.
func TestFirstTheKind(t *testing.T) { // breaks: inc.categorise
	w := open(t)
	c := w.declared()
	for name, try := range map[string]func() error{
		"public notice": func() error {
			_, err := w.svc.Update(t.Context(), w.as("ana"), c.Ref(), w.update(status.Investigating), 0)
			return err
		},
		"fix": func() error {
			_, err := w.svc.Mend(t.Context(), w.as("ana"), c.Ref(), incident.NewFix{Event: "propose", What: "turn it off and on"})
			return err
		},
		"the kind, before it is taken": func() error {
			_, err := w.svc.Categorise(t.Context(), w.as("ana"), c.Ref(), incident.Sorting{Kinds: []string{"usability"}, Severity: 1})
			return err
		},
		"closing": func() error {
			_, err := w.svc.Take(t.Context(), w.as("ana"), c.Ref(), incident.Step{Event: "close"})
			return err
		},
	} {
		if err := try(); err == nil || fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.step("ana", c.Ref(), "acknowledge", "")
	for want, in := range map[string]incident.Sorting{"has-severity": {Kinds: []string{"usability"}}, "has-category": {Severity: 2}} {
		_, err := w.svc.Categorise(t.Context(), w.as("ana"), c.Ref(), in)
		if guards, _ := w.kept(err); !slices.Equal(guards, []string{want}) {
			t.Errorf("%+v: %v", in, guards)
		}
	}
	if v := w.show(c.Ref()); v.State() != "triage" || len(v.Categories) != 0 || v.Severity != 0 {
		t.Errorf("a refused decision left something: %+v", v.Case)
	}
	if _, err := w.svc.Categorise(t.Context(), w.as("ana"), c.Ref(), incident.Sorting{Kinds: []string{"weather"}, Severity: 2}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a kind that the policy does not know: %v", err)
	}
	c = w.ok(w.svc.Categorise(t.Context(), w.as("ana"), c.Ref(), incident.Sorting{Kinds: []string{"data-loss", "breach"}, Severity: 1}))
	if c.States[engine.R] != "R0" || c.States[engine.B] != "B0" || c.States[engine.C] != "C0" {
		t.Errorf("what the kind asks for is not open: %v", c.States)
	}
}

// A signal that nobody takes is late after the policy's time: everybody who may act is told,
// once, and again ten minutes later; taking it ends that.
func TestNobodyTakesIt(t *testing.T) { // breaks: inc.categorise
	w := open(t)
	c := w.declared()
	all := []string{"ana", "ben", "dev", "eve"}
	if got := w.post.to("incident.declared"); !slices.Equal(got, all) {
		t.Errorf("told of the signal: %v", got)
	}
	w.kit.Clock.Advance(15*time.Minute - time.Second)
	w.tend()
	if n := len(w.post.to("incident.late")); n != 0 {
		t.Errorf("%d letters before it is late", n)
	}
	w.kit.Clock.Advance(time.Second)
	w.tend()
	w.tend()
	if got := w.post.to("incident.late"); !slices.Equal(got, all) || w.entries("deadline-lost") != 1 {
		t.Errorf("late: %v, %d entries", got, w.entries("deadline-lost"))
	}
	w.kit.Clock.Advance(10 * time.Minute)
	w.tend()
	w.tend()
	if n := len(w.post.to("incident.late")); n != 8 {
		t.Errorf("ten minutes later: %d letters", n)
	}
	w.step("eve", c.Ref(), "acknowledge", "")
	w.kit.Clock.Advance(20 * time.Minute) // within the time to sort it
	w.tend()
	if n := w.entries("deadline-lost"); n != 2 {
		t.Errorf("%d entries after it was taken", n)
	}
	w.setRules(map[string]any{"inc.categorise/ack": 2 * time.Minute})
	w.declared()
	w.kit.Clock.Advance(2 * time.Minute)
	w.tend()
	if n := w.entries("deadline-lost"); n != 3 {
		t.Errorf("a shorter time of the policy is not obeyed: %d", n)
	}
}

// Two people let a guard pass; one does not, however often, and nobody a firm one.
func TestTwoPeopleWaive(t *testing.T) { // breaks: inc.process
	w := open(t)
	c := w.active()
	w.says(c.Ref(), status.Monitoring)
	waive := func(name, guard string) error {
		_, err := w.svc.Waive(t.Context(), w.as(name), c.Ref(), engine.L, guard, "the fix is the restart itself")
		return err
	}
	if err := waive("dev", "fixed-or-up"); err != nil {
		t.Fatal(err)
	}
	if err := waive("dev", "fixed-or-up"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the same person agrees: %v", err)
	}
	_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "mitigate"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"fixed-or-up"}) {
		t.Errorf("after one person: %v", guards)
	}
	if err := waive("ana", "fixed-or-up"); err != nil {
		t.Fatal(err)
	}
	if c = w.step("dev", c.Ref(), "mitigate", ""); c.State() != "mitigated" {
		t.Error("two people do not suffice")
	}
	for _, guard := range []string{"has-category", "measures", "review-approved"} {
		if err := waive("ana", guard); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", guard, err)
		}
	}
	if _, err := w.svc.Waive(t.Context(), operator, c.Ref(), engine.L, "soaked", "no time"); fault.KindOf(err) != fault.Denied {
		t.Errorf("the operator agrees: %v", err)
	}
	e := w.kit.Recorded("incident.step-done")
	if got := e[len(e)-1].Fields["waived"]; fmt.Sprint(got) != "[fixed-or-up]" {
		t.Errorf("the step does not say what was let pass: %v", got)
	}
	w.step("dev", c.Ref(), "relapse", "")
	_, err = w.svc.Take(t.Context(), w.as("eve"), c.Ref(), incident.Step{Event: "mitigate"})
	if _, code := w.kept(err); code != "role_needed" {
		t.Errorf("somebody without the role: %v", err)
	}
}

// Whoever wrote the review does not approve it; another text voids the approval; a root
// cause without an action that prevents it keeps the incident open.
func TestWeLearn(t *testing.T) { // breaks: inc.learn
	w := open(t)
	c := w.resolved(w.active())
	w.worked()
	w.tend()
	closing := func() []string {
		_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "close"})
		guards, _ := w.kept(err)
		return guards
	}
	if got := closing(); !slices.Equal(got, []string{"review-approved", "measures"}) {
		t.Errorf("without a review: %v", got)
	}
	w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), learned))
	if _, err := w.svc.Approve(t.Context(), w.as("dev"), c.Ref(), "review", ""); err == nil {
		t.Error("the author approves")
	}
	if _, err := w.svc.Approve(t.Context(), operator, c.Ref(), "review", ""); fault.KindOf(err) != fault.Denied {
		t.Errorf("the operator approves: %v", err)
	}
	old := w.show(c.Ref()).Learned.Hash
	w.ok(w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "review", old))
	if got := closing(); !slices.Equal(got, []string{"measures"}) {
		t.Errorf("a cause without an action: %v", got)
	}
	only := w.review()
	only.Actions[0].Prevents = false
	w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), only))
	if got := closing(); !slices.Equal(got, []string{"review-approved", "measures"}) {
		t.Errorf("another text, and an action that prevents nothing: %v", got)
	}
	if _, err := w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "review", old); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the former text is approved: %v", err)
	}
	w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), w.review()))
	w.ok(w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "review", ""))
	if c = w.step("dev", c.Ref(), "close", ""); c.State() != "closed" {
		t.Error("not closed")
	}
	c = w.step("ana", c.Ref(), "reopen", "it came back")
	if c.Round != 2 || c.State() != "active" || c.States[engine.C] != "C0" || !c.Green.IsZero() {
		t.Errorf("reopened: %+v", c)
	}
	w.kit.Clock.Advance(11 * 24 * time.Hour)
	w.tend()
}

// A review that is not finished in the policy's time is late.
func TestReviewIsDue(t *testing.T) { // breaks: inc.learn
	w := open(t)
	c := w.resolved(w.active())
	w.worked()
	w.tend()
	before := w.entries("deadline-lost")
	w.kit.Clock.Advance(10*24*time.Hour - time.Minute)
	w.tend()
	if n := w.entries("deadline-lost"); n != before {
		t.Errorf("late too early: %d", n)
	}
	w.kit.Clock.Advance(time.Minute)
	w.tend()
	e := w.kit.Recorded("incident.deadline-lost")
	if len(e) != before+1 || e[len(e)-1].Fields["parameter"] != "inc.learn/postmortem" || w.show(c.Ref()).State() != "review" {
		t.Errorf("%d entries of lateness", len(e))
	}
}

// A temporary fix needs another pair of eyes and an end within the policy's time; when that
// is over it is told of, once; a lasting repair needs owner, date and a test.
func TestTheFixLasts(t *testing.T) { // breaks: inc.patch
	w := open(t)
	c := w.active()
	mend := func(name string, in incident.NewFix) error {
		_, err := w.svc.Mend(t.Context(), w.as(name), c.Ref(), in)
		return err
	}
	guards := func(err error) []string { g, _ := w.kept(err); return g }
	if err := mend("dev", incident.NewFix{Event: "propose", What: "Turn the check off"}); err != nil {
		t.Fatal(err)
	}
	if got := guards(mend("dev", incident.NewFix{Event: "approve-fix"})); !slices.Equal(got, []string{"other-person"}) {
		t.Errorf("own approval: %v", got)
	}
	if err := mend("eve", incident.NewFix{Event: "approve-fix"}); err != nil {
		t.Fatal(err)
	}
	now := w.kit.Clock.Now()
	for name, ends := range map[string]time.Time{"none": {}, "past": now.Add(-time.Minute), "too late": now.Add(30*24*time.Hour + time.Second)} {
		if got := guards(mend("dev", incident.NewFix{Event: "deploy", Ends: ends})); !slices.Equal(got, []string{"expiry-set"}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if err := mend("dev", incident.NewFix{Event: "deploy", Ends: now.Add(30 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	w.kit.Clock.Advance(30*24*time.Hour - time.Second)
	w.tend()
	if w.entries("fix-expired") != 0 {
		t.Error("told before its end")
	}
	w.kit.Clock.Advance(time.Second)
	w.tend()
	w.tend()
	if n := w.entries("fix-expired"); n != 1 || !slices.Equal(w.post.to("incident.fix-expired"), []string{"dev"}) {
		t.Errorf("told %d times, %v", n, w.post.to("incident.fix-expired"))
	}
	if got := guards(mend("dev", incident.NewFix{Event: "plan", What: "Repair the check", Ends: w.kit.Clock.Now().Add(time.Hour)})); !slices.Equal(got, []string{"lasting-owned"}) {
		t.Errorf("a plan without owner: %v", got)
	}
	if err := mend("dev", incident.NewFix{Event: "plan", What: "Repair the check", Owner: "eve", Ends: w.kit.Clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got := guards(mend("dev", incident.NewFix{Event: "replace"})); !slices.Equal(got, []string{"regression-test"}) {
		t.Errorf("without a test: %v", got)
	}
	if err := mend("dev", incident.NewFix{Event: "replace", Test: "TestCertificateEnds"}); err != nil {
		t.Fatal(err)
	}
	if v := w.show(c.Ref()); v.Fix.Gone.IsZero() || v.Fix.What != "Turn the check off" || v.Fix.Plan != "Repair the check" || v.States[engine.F] != "F5" {
		t.Errorf("%+v", v.Fix)
	}
}

// A team that no letter reaches keeps the incident from its review until it was told otherwise.
func TestEverybodyAffectedIsTold(t *testing.T) { // breaks: inc.tell-affected
	w := open(t)
	w.customers.teams = []incident.Team{{ID: "t1", Reach: []string{"m@example.test"}}, {ID: "t2"}}
	c := w.resolved(w.active())
	w.worked()
	w.tend()
	if v := w.show(c.Ref()); v.State() != "resolved" || v.Audience[1].State != "failed" {
		t.Fatalf("%s %v", v.State(), v.Audience)
	}
	if _, err := w.svc.ToldOtherwise(t.Context(), w.as("dev"), c.Ref(), "t1", "rang them up"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("who has a letter is told otherwise: %v", err)
	}
	w.ok(w.svc.ToldOtherwise(t.Context(), w.as("dev"), c.Ref(), "t2", "rang them up"))
	w.tend()
	if v := w.show(c.Ref()); v.State() != "review" {
		t.Errorf("%s", v.State())
	}
	if n := w.entries("affected-told"); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// What is open about the same component within two hours is shown, and joined without losing
// its number. A drill has numbers, no letters and no page of its own.
func TestJoinAndDrill(t *testing.T) {
	w := open(t)
	first := w.declared()
	c, near, err := w.svc.Declare(t.Context(), w.as("ben"), incident.Signal{Title: "Sign-in is slow"})
	w.ok(c, err)
	if len(near) != 1 || near[0].ID != first.ID {
		t.Errorf("near: %v", near)
	}
	c = w.ok(w.svc.Join(t.Context(), w.as("ben"), c.Ref(), first.Ref(), "the same"))
	if c.State() != "cancelled" || c.Joined != first.ID || c.Ref() != "I-2" {
		t.Errorf("joined: %+v", c)
	}
	if _, err := w.svc.Take(t.Context(), w.as("ben"), first.Ref(), incident.Step{Event: "cancel"}); err == nil {
		t.Error("cancelled without a reason")
	}
	w.kit.Clock.Advance(3 * time.Hour)
	if _, near, err = w.svc.Declare(t.Context(), w.as("ben"), incident.Signal{Title: "Another one"}); err != nil || len(near) != 0 {
		t.Errorf("after two hours: %v %v", near, err)
	}
	before := len(w.post.to("incident.declared"))
	d, _, err := w.svc.Declare(t.Context(), operator, incident.Signal{Title: "A practice", Drill: true})
	w.ok(d, err)
	if d.Ref() != "D-1" || len(w.post.to("incident.declared")) != before {
		t.Errorf("%s, letters %d", d.Ref(), len(w.post.to("incident.declared"))-before)
	}
	w.step("dev", "D-1", "acknowledge", "")
	d = w.ok(w.svc.Categorise(t.Context(), w.as("dev"), "D-1", incident.Sorting{Kinds: []string{"usability"}, Severity: 1, Public: true}))
	if d.States[engine.C] != "" {
		t.Error("a drill owes the public a notice")
	}
	if _, err := w.svc.Update(t.Context(), w.as("dev"), "D-1", w.update(status.Investigating), 0); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a drill posts: %v", err)
	}
}

// Words are sealed; whoever may not read gets nothing; a line is corrected by another one.
func TestNotesAndRights(t *testing.T) {
	w := open(t)
	c := w.declared()
	w.ok(w.svc.Write(t.Context(), w.as("dev"), c.Ref(), "rang the provider: plum carousel", ""))
	first := w.show(c.Ref()).Notes[0]
	w.ok(w.svc.Write(t.Context(), w.as("dev"), c.Ref(), "it was the other provider", first.ID))
	if v := w.show(c.Ref()); len(v.Notes) != 2 || v.Notes[1].Corrects != first.ID || v.Notes[0].Text != first.Text || v.Title != "Nobody can sign in" {
		t.Errorf("%+v", v.Notes)
	}
	for _, e := range w.kit.Recorded() {
		if strings.Contains(e.Body, "plum") || strings.Contains(e.Body, "Nobody can") {
			t.Errorf("words in the entry %s", e.Name)
		}
	}
	stranger := actor.Actor{Kind: actor.Person, ID: "carl", Team: "t1", TeamKind: "customer", Roles: []string{"admin"}, Session: "s"}
	if _, err := w.svc.Show(t.Context(), stranger, c.Ref()); fault.KindOf(err) != fault.Denied {
		t.Errorf("a customer reads it: %v", err)
	}
	if _, err := w.svc.Take(t.Context(), w.as("fay"), c.Ref(), incident.Step{Event: "acknowledge"}); fault.KindOf(err) != fault.Denied {
		t.Errorf("the auditor acts: %v", err)
	}
	if _, err := w.svc.Write(t.Context(), w.as("dev"), c.Ref(), strings.Repeat("x", 64<<10+1), ""); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("a large note: %v", err)
	}
	for name, in := range map[string]incident.Signal{"no title": {}, "the future": {Title: "abc", Onset: w.kit.Clock.Now().Add(time.Hour)}, "long ago": {Title: "abc", Onset: w.kit.Clock.Now().AddDate(-2, 0, 0)}, "no such part": {Title: "abc", Component: "nope"}} {
		want := fault.Invalid
		if !in.Onset.IsZero() {
			want = fault.Malformed
		}
		if _, _, err := w.svc.Declare(t.Context(), w.as("dev"), in); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.svc.Show(t.Context(), w.as("dev"), "I-99"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("I-99: %v", err)
	}
}
