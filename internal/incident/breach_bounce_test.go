package incident_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/notify"
)

// A letter that its host took and sent back reached nobody: its person is told in another way.
// One that lies in the box says so. A notice about another receiver, about somebody told by
// then, and the same one again change nothing.
func TestLettersThatComeBack(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	now := w.kit.Clock.Now()
	w.breach.burst(now)
	w.breached()
	w.scoped("I-1")
	ctx := t.Context()
	w.notifying("I-1")
	w.sendAll()
	before := w.exposure("I-1").Letters["accepted"]
	rows, err := w.svc.LetterRows(ctx, w.as("eve"), "I-1", "", "accepted")
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d letters: %v", len(rows), err)
	}
	lmtp := actor.Actor{Kind: actor.Machine, ID: "mail", Via: "lmtp"}
	back := func(r notify.Report) bool {
		t.Helper()
		known, err := w.svc.Returned(ctx, lmtp, r)
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	gone, there := rows[0], rows[1]
	if back(notify.Report{Letter: gone.ID, Address: there.Email, Action: "failed", Status: "5.1.1"}) || back(notify.Report{Letter: "nobody", Address: gone.Email, Action: "failed", Status: "5.1.1"}) {
		t.Error("a notice about another receiver, or about no letter, was taken")
	}
	n := w.entries("letter-followed")
	for range 2 {
		if !back(notify.Report{Letter: gone.ID, Address: gone.Email, Action: "failed", Status: "5.1.1", Text: "no such box"}) {
			t.Error("a notice about a letter of ours is not known")
		}
	}
	back(notify.Report{Letter: there.ID, Address: there.Email, Action: "delivered", Status: "2.0.0"})
	back(notify.Report{Letter: there.ID, Address: there.Email, Action: "delayed", Status: "4.4.1"})
	if got := w.entries("letter-followed") - n; got != 2 {
		t.Errorf("%d entries, want 2", got)
	}
	if got := w.exposure("I-1").Letters; !maps.Equal(got, map[string]int64{"accepted": before - 1, "refused": 1}) {
		t.Errorf("%v", got)
	}
	if owed, err := w.svc.Owed(ctx, gone.Person); err != nil || !owed {
		t.Errorf("whose letter came back is not told at sign-in: %v", err)
	}
	now2, err := w.svc.LetterRows(ctx, w.as("eve"), "I-1", "", "accepted", "refused")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range now2 {
		if r.ID == gone.ID && (r.Code != "5.1.1" || r.Answer != "no such box") || r.ID == there.ID && r.Code != "delivered 2.0.0" {
			t.Errorf("%+v", r)
		}
	}
	w.ok(w.svc.LetterTold(ctx, w.as("eve"), "I-1", gone.ID, "by post on Monday"))
	back(notify.Report{Letter: gone.ID, Address: gone.Email, Action: "delivered", Status: "2.0.0"})
	if got := w.exposure("I-1").Letters["told"]; got != 1 {
		t.Error("who was told in another way has a letter again")
	}
}

// Whoever subscribed under an address that five letters did not reach is told nothing more, which
// is recorded and shown, until they confirm again; a letter counts once, and what came back long
// ago does not. Confirming shows that letters arrive.
func TestSubscribersWhoseLettersComeBack(t *testing.T) {
	w := open(t)
	w.subscribed("uma@example.test")
	w.subscribed("vic@example.test")
	c := w.active()
	w.says(c.Ref(), status.Investigating)
	w.settled()
	id := ""
	w.post.mu.Lock()
	for _, m := range w.post.sent {
		if m.Kind == "incident.update" && m.To == "uma@example.test" {
			id = strings.TrimSuffix(m.ID, "@writ")
		}
	}
	w.post.mu.Unlock()
	back := func(n int, r notify.Report, want bool) {
		t.Helper()
		r.Letter, r.Action, r.Status = fmt.Sprint(id, n), "failed", "5.1.1"
		if known, err := w.page.Returned(t.Context(), actor.System("test"), r); err != nil || known != want {
			t.Errorf("%+v: %v, %v", r, known, err)
		}
	}
	back(0, notify.Report{Address: "vic@example.test", Gone: true}, false)
	back(0, notify.Report{Address: "uma@example.test"}, true) // it may reach her tomorrow
	for n := range 4 {
		back(n, notify.Report{Address: "uma@example.test", Gone: true}, true)
		back(n, notify.Report{Address: "uma@example.test", Gone: true}, true) // the same notice again
	}
	w.kit.Clock.Advance(31 * 24 * time.Hour)
	for n := range 4 {
		back(10+n, notify.Report{Address: "uma@example.test", Gone: true}, true)
	}
	if a, err := w.page.Subscribers(t.Context()); err != nil || a.Suspended != 0 {
		t.Errorf("%+v %v", a, err)
	}
	back(20, notify.Report{Address: "Uma@example.test", Gone: true}, true)
	back(21, notify.Report{Address: "uma@example.test", Gone: true}, true)
	if a, err := w.page.Subscribers(t.Context()); err != nil || a.Suspended != 1 || w.entries("subscription-suspended") != 1 {
		t.Errorf("%+v %v", a, err)
	}
	w.says(c.Ref(), status.Identified)
	w.settled()
	if got := w.post.to("incident.update"); !slices.Equal(got, []string{"uma", "vic", "vic"}) {
		t.Errorf("told were %v", got)
	}
	xs, err := w.page.List(t.Context(), w.as("fay"), "")
	if err != nil || len(xs) != 2 || xs[0].Where != "u…@example.test" || xs[0].Suspended.IsZero() || xs[0].Refused != 5 || !xs[1].Suspended.IsZero() || xs[1].Refused != 0 {
		t.Errorf("shown %+v %v", xs, err)
	}
	if _, err := w.page.List(t.Context(), stranger, ""); fault.KindOf(err) == "" {
		t.Error("a stranger sees who subscribed")
	}
	reach := &arriving{}
	w.page.Reach = reach
	w.subscribed("uma@example.test")
	if a, err := w.page.Subscribers(t.Context()); err != nil || a.Suspended != 0 || !slices.Equal(reach.at, []string{"uma@example.test"}) {
		t.Errorf("confirmed again: %+v %v, arrived at %v", a, err, reach.at)
	}
	if known, err := w.page.Returned(t.Context(), actor.System("test"), notify.Report{Letter: "a1", Address: "uma@example.test", Gone: true}); known || err != nil {
		t.Errorf("a letter of somebody else: %v %v", known, err)
	}
}

// arriving notes where letters were shown to arrive, once the change stands.
type arriving struct{ at []string }

func (x *arriving) Arrived(_ context.Context, address string) (func(context.Context, *ledger.Tx) error, error) {
	return func(context.Context, *ledger.Tx) error { x.at = append(x.at, address); return nil }, nil
}
