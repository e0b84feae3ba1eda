package watch_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch"
)

// incident is one that is over, of which some alarms told; its key is there.
func (w *world) incident(id string, alarms ...string) watch.Incident {
	w.t.Helper()
	_, err := w.Ring.Ensure(w.t.Context(), keyring.Subject{Kind: "incident", ID: id})
	must(w.t, err)
	return watch.Incident{ID: id, Name: "I-" + id, Alarms: alarms}
}

// approved takes a text to where it may be enabled, and returns its back-test.
func (w *world) approved(text string) watch.BackTest {
	w.t.Helper()
	ctx, engineer, second := w.t.Context(), engineer, second
	engineer.FactorAt, second.FactorAt = w.Clock.Now(), w.Clock.Now()
	v, _, err := w.s.AddRule(ctx, engineer, text)
	must(w.t, err)
	res, _, err := w.s.TestRule(ctx, engineer, text, 0)
	must(w.t, err)
	_, err = w.s.ApproveRule(ctx, second, v.Rule)
	must(w.t, err)
	return res
}

// What incidents rested on is kept, sealed under their keys. A change after which nothing of one's
// own would see one of them is refused, and says which.
func TestChangesAreHeldAgainstIncidents(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.enable(tokens("nightly"))
		w.follow(entry("identity.token-issued", "p:ana", field("name", "deploy"), journal.Field{Name: "reason", State: journal.Hidden}), entry("identity.token-issued", "p:ana", field("name", "nightly")))
		in := w.incident("1", w.alarm(tokenID, watch.Firing).ID)
		n, hash, err := w.s.KeepLesson(ctx, in)
		must(t, err)
		again, same, err := w.s.KeepLesson(ctx, in)
		must(t, err)
		if n != 1 || again != 1 || hash != same || len(w.Recorded("watch.lesson-kept")) != 1 {
			t.Errorf("%d events %s, then %d %s, %d entries", n, hash, again, same, len(w.Recorded("watch.lesson-kept")))
		}
		var box []byte
		must(t, ledger.One(ctx, w.DB, `SELECT box FROM watch_kept`, []any{&box}))
		if bytes.Contains(box, []byte("deploy")) || bytes.Contains(box, []byte("p:ana")) {
			t.Error("what is kept can be read")
		}
		ls, err := w.s.Lessons(ctx, engineer)
		must(t, err)
		if len(ls) != 1 || ls[0].Name != "I-1" || fmt.Sprint(ls[0].Alarms) != "["+tokenID+"]" || len(ls[0].Seen) != 1 || ls[0].Seen[0].ID != tokenID || ls[0].Events != 1 {
			t.Errorf("%+v", ls)
		}

		if res := w.approved(tokens("deploy")); fmt.Sprint(res.Loses) != "[I-1]" || len(res.Sees) != 0 {
			t.Errorf("the back-test does not say what is lost: %+v", res)
		}
		_, err = w.s.EnableRule(ctx, engineer, tokenID)
		refusedAs(t, err, "rule_loses")
		if !strings.Contains(public(err), "I-1") {
			t.Errorf("the incident is not named: %s", public(err))
		}
		_, err = w.s.RetireRule(ctx, engineer, tokenID, "tokens end by themselves now")
		refusedAs(t, err, "rule_loses")
		if es := w.Recorded("watch.rule-refused"); len(es) != 2 || fmt.Sprint(es[0].Fields["loses"]) != "[I-1]" {
			t.Errorf("recorded: %+v", es)
		}
		w.lessons(clause.Pass)

		// Another rule that sees it sets the first one free.
		w.enable(strings.NewReplacer(tokenID, pathID, "A token at night", "Any token").Replace(tokens("nightly")))
		_, err = w.s.EnableRule(ctx, engineer, tokenID)
		must(t, err)
		_, err = w.s.RetireRule(ctx, engineer, pathID, "the other one is enough")
		refusedAs(t, err, "rule_loses")
		w.lessons(clause.Pass)
		w.quiet(`UPDATE watch_rule_version SET state = 'retired' WHERE rule = $1`, pathID)
		w.lessons(clause.Fail)

		// What is erased holds nothing back.
		_, err = w.s.RetireRule(ctx, engineer, tokenID, "the other one is enough")
		must(t, err)
		_, err = w.Ring.Erase(ctx, keyring.Subject{Kind: "incident", ID: "1"})
		must(t, err)
		w.lessons(clause.Pass)
		if ls, err = w.s.Lessons(ctx, engineer); err != nil || !ls[0].Erased || len(ls[0].Seen) != 0 {
			t.Errorf("%+v %v", ls, err)
		}
		if _, _, err := w.s.KeepLesson(ctx, in); fault.KindOf(err) != fault.Gone {
			t.Errorf("an erased incident is kept anew: %v", err)
		}
	})
}

// lessons wants an outcome of the control that asks about incidents.
func (w *world) lessons(want clause.Outcome) {
	w.t.Helper()
	for _, c := range w.s.Controls() {
		if c.ID == "watch.lessons-seen" {
			if r, err := c.Run(w.t.Context()); err != nil || r.Outcome != want || want == clause.Fail && !strings.Contains(r.Summary, "I-1") {
				w.t.Errorf("%s: %+v %v, want %s", c.ID, r, err, want)
			}
		}
	}
}

// What an incident was decided on stands while nothing else changes.
func TestChangeIsAskedAnew(t *testing.T) {
	w := lite(t)
	w.enable(tokens("nightly"))
	err := w.s.StillAfter(t.Context(), tokenID, func() {})
	must(t, err)
	err = w.s.StillAfter(t.Context(), tokenID, func() { w.enable(burst) })
	refusedAs(t, err, "rules_moved")
	w.follow(entry("identity.token-issued", "p:ana"))
	err = w.s.StillAfter(t.Context(), tokenID, func() {
		_, _, err := w.s.KeepLesson(t.Context(), w.incident("1", w.alarm(tokenID, watch.Firing).ID))
		must(t, err)
	})
	refusedAs(t, err, "rules_moved")
}

// The events of a correlation are kept with the alarm: those that made it true, not the last one
// alone; so are requests, with their networks under pseudonyms, and what a breach came of.
func TestLessonsHoldWhatAlarmsRestOn(t *testing.T) {
	both(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.enable(burst)
		for i := range 4 {
			w.follow(entry("identity.sign-in-refused", "s:1", field("door", fmt.Sprint(i))), entry("identity.signed-in", "p:ana"))
		}
		w.follow(many(30, entry("identity.sign-in-refused", "s:2", field("door", "x")))...)
		in := w.incident("1", w.alarm(burstID, watch.Firing).ID, w.alarm("signin-failures-network", watch.Firing).ID, "gone")
		n, _, err := w.s.KeepLesson(ctx, in)
		must(t, err)
		f, err := w.s.FiresOn(ctx, burstID, in)
		must(t, err)
		if n != 34 || f.Hits != 2 || fmt.Sprint(f.Entries) != "[14 16]" || f.Version != 1 || f.Says() != "Many failures and then none, version 1 (enabled), fires on entries 14, 16" {
			t.Errorf("%d events, %+v: %s", n, f, f.Says())
		}

		if _, err := w.Ring.Ensure(ctx, keyring.Strangers(w.Clock.Now())); err != nil {
			t.Fatal(err)
		}
		ask := watch.Handled{At: w.Clock.Now(), Kind: "person", Who: "7f", Network: "198.51.100.0/24", Route: "/export/", Method: "GET", Status: 200}
		w.past.Requests = []watch.Handled{ask}
		w.enable(paths)
		must(t, w.s.LoadOwn(ctx))
		w.s.Record(ask)
		must(t, w.s.DrainRecords(ctx))
		theft := ask
		theft.At = theft.At.Add(-time.Hour)
		in = w.incident("2", w.alarm(pathID, watch.Firing).ID)
		in.Reads = func(_ context.Context, fn func(*watch.Handled, int64) error) error {
			if err := fn(&watch.Handled{At: w.Clock.Now()}, 11); err != nil {
				return err
			}
			return fn(&theft, 0)
		}
		n, _, err = w.s.KeepLesson(ctx, in)
		must(t, err)
		f, err = w.s.FiresOn(ctx, pathID, in)
		must(t, err)
		if n != 3 || f.Requests != 2 || len(f.Entries) != 0 {
			t.Errorf("%d events, %+v", n, f)
		}
		f, err = w.s.FiresOn(ctx, tokenID, in)
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("%+v %v", f, err)
		}
		// A rule about the network itself fires on nothing: it is not kept.
		_, _, err = w.s.AddRule(ctx, engineer, strings.NewReplacer("cs-uri-stem|startswith: /export", "c-ip: 198.51.100.0/24").Replace(paths))
		must(t, err)
		if f, err = w.s.FiresOn(ctx, pathID, in); err != nil || f.Hits != 0 || f.Version != 2 {
			t.Errorf("%+v %v", f, err)
		}
		w.quiet(`UPDATE watch_kept SET kept = 0`)
		w.Clock.Advance(2 * time.Hour)
		must(t, w.s.Sample(ctx))
		if ls, err := w.s.Lessons(ctx, engineer); err != nil || len(ls) != 0 {
			t.Errorf("kept for longer than seven years: %+v %v", ls, err)
		}
	})
}

// A version that would cry wolf on clean days is not adopted; a narrower one than the one that
// watches is, and so is one whose alarms were meant.
func TestChangesKeepPrecision(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	ctx := t.Context()
	issue := func(name string, n int) {
		for range n {
			w.Clock.Advance(time.Hour)
			w.follow(entry("identity.token-issued", "p:ana", field("name", name)))
		}
	}
	issue("deploy", 5)
	if res := w.approved(tokens("nightly")); res.Clean() != 5 || res.Before != 1 {
		t.Errorf("%+v", res)
	}
	_, err := w.s.EnableRule(ctx, engineer, tokenID)
	refusedAs(t, err, "rule_imprecise")

	w.past.Known = []watch.Case{{Name: "I-7", From: w.Clock.Now().Add(-4 * time.Hour)}} // four of five
	_, _, err = w.s.TestRule(ctx, engineer, tokens("nightly"), 24*time.Hour)
	must(t, err)
	_, err = w.s.EnableRule(ctx, engineer, tokenID) // the test of a day says nothing
	refusedAs(t, err, "rule_imprecise")
	_, _, err = w.s.TestRule(ctx, engineer, tokens("nightly"), 0)
	must(t, err)
	w.Clock.Advance(8 * 24 * time.Hour)
	engineer := engineer
	engineer.FactorAt = w.Clock.Now()
	_, err = w.s.EnableRule(ctx, engineer, tokenID)
	refusedAs(t, err, "rule_untested")
	_, _, err = w.s.TestRule(ctx, engineer, tokens("nightly"), 0)
	must(t, err)
	_, err = w.s.EnableRule(ctx, engineer, tokenID)
	must(t, err)

	w.past.Known = nil
	issue("deploy", 2)
	if res := w.approved(tokens("other")); res.Before >= 0.8 {
		t.Errorf("%+v", res)
	}
	_, err = w.s.EnableRule(ctx, engineer, tokenID) // no better, and no worse
	must(t, err)
	must(t, w.s.Close(ctx, engineer, w.alarms(tokenID)[0].ID, watch.VerdictBenign, ""))
	if res := w.approved(tokens("none")); res.Judged == 0 {
		t.Errorf("what was meant counts as wrong: %+v", res)
	}
}
