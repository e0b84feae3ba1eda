package incident_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// keeper is a database of which only this much is asked.
type keeper struct {
	incident.Recovery
	held  bool
	away  bool
	marks []string
}

func (k *keeper) Hold(_ context.Context, on bool, _ incident.Epoch) error {
	k.held = on
	return nil
}

func (k *keeper) Mark(_ context.Context, name string) (string, error) {
	if k.away {
		return "", errors.New("the database is away")
	}
	k.marks = append(k.marks, name)
	return "0/16B3748", nil
}

// charts are what was measured, and for which times it was asked.
type charts struct{ asked []time.Time }

func (c *charts) Copy(_ context.Context, from, until time.Time) ([]byte, error) {
	c.asked = append(c.asked, from, until)
	return []byte(`{"series":[]}`), nil
}

// From the first signal on a point of the database has a name and no backup expires, until no
// incident needs them. A database that is away is asked again.
func TestFirstSignalKeepsBackups(t *testing.T) { // breaks: inc.loss-restore
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := &keeper{away: true}
		w := within(t, kit, nil, func(d *incident.Deps) { d.Real.Recovery = k })
		first := w.declared()
		if err := w.svc.Tend(t.Context()); err == nil || !k.held || w.entries("point-marked") != 0 {
			t.Errorf("while it is away: %v, held %v", err, k.held)
		}
		k.away = false
		w.tend()
		w.tend()
		e := w.kit.Recorded("incident.point-marked")
		if !slices.Equal(k.marks, []string{"I-1-1"}) || len(e) != 1 || e[0].Fields["position"] != "0/16B3748" {
			t.Fatalf("%v %v", k.marks, e)
		}
		second := w.declared()
		w.tend()
		w.step("ana", first.Ref(), "cancel", "it was a test")
		w.tend()
		if e := w.kit.Recorded("incident.point-released"); !k.held || len(e) != 1 || e[0].Fields["expire"] != false {
			t.Errorf("with another one open: held %v, %v", k.held, e)
		}
		w.step("ana", second.Ref(), "cancel", "it was a test")
		w.tend()
		w.tend()
		if e := w.kit.Recorded("incident.point-released"); k.held || len(e) != 2 || e[1].Fields["expire"] != true {
			t.Errorf("with none open: held %v, %v", k.held, e)
		}
		if !slices.Equal(k.marks, []string{"I-1-1", "I-2-1"}) {
			t.Errorf("%v", k.marks)
		}
		d, _, err := w.svc.Declare(t.Context(), operator, incident.Signal{Title: "A practice", Drill: true})
		w.ok(d, err)
		w.tend()
		if len(k.marks) != 2 || k.held {
			t.Error("a drill touches the real database")
		}
	}, tables...)
}

// lifting stops before it lets backups expire, the first time.
type lifting struct {
	incident.Recovery
	halt func()
}

func (l lifting) Hold(ctx context.Context, on bool, epoch incident.Epoch) error {
	if !on {
		l.halt()
	}
	return l.Recovery.Hold(ctx, on, epoch)
}

// A server that was stopped when no incident needed the backups any more, and wakes when another one
// does, lets none of them expire.
func TestOvertakenServerLetsNoBackupExpire(t *testing.T) { // breaks: inc.loss-restore
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		dir, there, wakes := t.TempDir(), make(chan struct{}), make(chan struct{})
		halt := sync.OnceFunc(func() { close(there); <-wakes })
		a := lostWorld(t, kit, dir, nil, func(_ *lossy, w *incident.World) { w.Recovery = lifting{w.Recovery, halt} })
		b := lostWorld(t, kit, dir, nil, nil)
		held := func(want bool, when string) {
			t.Helper()
			if got, err := b.store.Held(); err != nil || got != want {
				t.Errorf("%s: held is %v, %v", when, got, err)
			}
		}
		first := a.declared()
		a.tend()
		held(true, "the first")
		a.step("ana", first.Ref(), "cancel", "it was a test")
		ended := make(chan error, 1)
		go func() { ended <- a.svc.Tend(t.Context()) }()
		select {
		case <-there:
		case <-time.After(30 * time.Second):
			t.Fatal("it lets nothing expire")
		}
		second := b.declared()
		b.tend()
		close(wakes)
		if err := <-ended; !errors.Is(err, fault.Conflict) {
			t.Errorf("it wakes: %v", err)
		}
		held(true, "the second")
		if e := kit.Recorded("incident.act-superseded"); len(e) != 1 || e[0].Fields["act"] != "lift-hold" {
			t.Errorf("recorded: %v", e)
		}
		a.step("ana", second.Ref(), "cancel", "it was a test")
		a.tend()
		held(false, "none")
	}, tables...)
}

// The charts from half an hour before it began until half an hour after it was declared are a
// file of it, once: their series are rolled up, the file stays.
func TestChartsAreKept(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		seen := &charts{}
		w := within(t, kit, nil, func(d *incident.Deps) { d.Charts = seen })
		now := w.kit.Clock.Now()
		c, _, err := w.svc.Declare(t.Context(), w.as("ana"), incident.Signal{Title: "Nobody can sign in", Onset: now.Add(-20 * time.Minute)})
		w.ok(c, err)
		long, _, err := w.svc.Declare(t.Context(), w.as("ana"), incident.Signal{Title: "Invoices are wrong", Onset: now.AddDate(0, -1, 0)})
		w.ok(long, err)
		w.kit.Clock.Advance(30*time.Minute - time.Second)
		w.tend()
		if len(seen.asked) != 0 {
			t.Error("kept before they are whole")
		}
		w.kit.Clock.Advance(time.Second)
		w.tend()
		w.tend()
		want := []time.Time{now.Add(-50 * time.Minute), now.Add(30 * time.Minute), now.Add(-2 * time.Hour), now.Add(30 * time.Minute)}
		if !slices.EqualFunc(seen.asked, want, time.Time.Equal) {
			t.Errorf("asked for %v", seen.asked)
		}
		fs := w.show(c.Ref()).Files
		if len(fs) != 1 || fs[0].Name != "dashboards.json" || fs[0].By != "the server" || w.entries("file-attached") != 2 {
			t.Fatalf("%+v", fs)
		}
		_, body, err := w.svc.Fetch(t.Context(), w.as("ana"), c.Ref(), fs[0].ID)
		if err != nil || string(body.Reveal()) != `{"series":[]}` {
			t.Errorf("%s %v", body.Reveal(), err)
		}
	}, tables...)
}

// Nothing is deployed from the decision that it is bad until it is resolved, or is not so bad;
// both are recorded, and whoever may read incidents may ask.
func TestDeploysAreFrozen(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		frozen := func(want bool, when string) {
			t.Helper()
			d, err := w.svc.Deploys(t.Context(), w.as("fay"))
			if err != nil || d.Frozen != want || len(d.By) > 0 != want {
				t.Errorf("%s: %+v %v", when, d, err)
			}
		}
		frozen(false, "before")
		c := w.active()
		frozen(true, "severity 2")
		w.ok(w.svc.Grade(t.Context(), w.as("dev"), c.Ref(), 3, "few are concerned"))
		frozen(false, "severity 3")
		w.ok(w.svc.Grade(t.Context(), w.as("dev"), c.Ref(), 1, "everybody is concerned"))
		frozen(true, "severity 1")
		c = w.resolved(c)
		frozen(false, "resolved")
		var got []any
		for _, e := range w.kit.Recorded("incident.deploys-frozen") {
			got = append(got, e.Fields["frozen"])
		}
		if !slices.Equal(got, []any{true, false, true, false}) {
			t.Errorf("recorded: %v", got)
		}
		if _, err := w.svc.Deploys(t.Context(), actor.Actor{Kind: actor.Person, ID: "carl", Team: "t1", TeamKind: "customer", Roles: []string{"admin"}, Session: "s"}); fault.KindOf(err) != fault.Denied {
			t.Errorf("a customer asks: %v", err)
		}
	}, tables...)
}
