package incident_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/demo/sample"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
)

// mortalGate and mortalRecovery are points at which a process may end: what was done is done,
// and nobody has written it down yet.
type mortalGate struct {
	incident.Gate
	point func(string)
}

func (g mortalGate) Close(ctx context.Context, who actor.Actor, o incident.Order) (time.Time, error) {
	t, err := g.Gate.Close(ctx, who, o)
	g.point("closed")
	return t, err
}

func (g mortalGate) Open(ctx context.Context, who actor.Actor, share int, o incident.Order) error {
	err := g.Gate.Open(ctx, who, share, o)
	g.point("opened")
	return err
}

type mortalRecovery struct {
	incident.Recovery
	point func(string)
}

func (r mortalRecovery) Preserve(ctx context.Context, name string) (string, error) {
	hash, err := r.Recovery.Preserve(ctx, name)
	r.point("preserved")
	return hash, err
}

func (r mortalRecovery) Restore(ctx context.Context, p incident.Plan, epoch incident.Epoch) (string, error) {
	at, err := r.Recovery.Restore(ctx, p, epoch)
	r.point("restored")
	return at, err
}

func (r mortalRecovery) Reconcile(ctx context.Context, p incident.Plan, since []incident.Tombstone, epoch incident.Epoch) (int64, []incident.Check, error) {
	n, checks, err := r.Recovery.Reconcile(ctx, p, since, epoch)
	r.point("reconciled")
	return n, checks, err
}

func lossCourse() course {
	return course{folder: damagedFolder, most: 7, want: []string{"incident.loss-made-known", "[1 2 3 4 5]", "[-1 0 5 100]"}, open: func(t *testing.T, dir, url string, step func(string)) (func(), func() string) {
		kit, point := reached(t, dir, url, step)
		l := lostWorld(t, kit, dir, &incident.Seam{Step: point}, func(_ *lossy, w *incident.World) {
			w.Gate, w.Recovery = mortalGate{w.Gate, point}, mortalRecovery{w.Recovery, point}
		})
		l.led = true
		return l.on, l.recovered
	}}
}

// on leads it to its end, going on from wherever it stands.
func (l *lossy) on() {
	l.t.Helper()
	ctx := l.t.Context()
	for range 200 {
		all, err := l.svc.List(ctx, l.as("ana"), false)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(all) == 0 {
			_, _, err := l.svc.Declare(ctx, l.as("ana"), incident.Signal{Title: "Contacts are gone"})
			l.ok(incident.Case{}, err)
			continue
		}
		v := l.show("I-1")
		held := slices.ContainsFunc(v.Held, func(h incident.Held) bool { return h.Role == engine.Recovery })
		switch at := v.States[engine.L]; {
		case at == "L0":
			l.tend() // as the server does each second
			l.step("dev", "I-1", "acknowledge", "")
		case at == "L1" && !held:
			l.ok(l.svc.TakeRole(ctx, l.as("dev"), "I-1", engine.Recovery, ""))
		case at == "L1":
			l.ok(l.svc.Categorise(ctx, l.as("dev"), "I-1", incident.Sorting{Kinds: []string{"data-loss"}, Severity: 1}))
		case v.States[engine.R] == "R12" && v.Loss.Running == "":
			return
		default:
			l.lead(v)
		}
	}
	v := l.show("I-1")
	q, err := l.queue.Queue(ctx)
	l.t.Fatalf("%s: %v %+v %v %+v", noEnd, v.States, v.Loss, err, q)
}

// recovered is what stands at the end, without ids and times.
func (l *lossy) recovered() string {
	l.t.Helper()
	v := l.show("I-1")
	ids, err := sample.IDs(l.t.Context(), l.store.File())
	if err != nil {
		l.t.Fatal(err)
	}
	out := []string{fmt.Sprint(v.States, l.gate.read().Calls, ids, v.Loss.RPO, v.Loss.Share)} // who signed is among the entries
	for _, p := range v.Proofs {
		out = append(out, fmt.Sprint(p.Guard, p.Act, p.Good))
	}
	for _, c := range v.Loss.Checks {
		out = append(out, fmt.Sprint(c.Act, len(c.Checks)))
	}
	for _, x := range v.Loss.Lost {
		out = append(out, fmt.Sprint(x.Team, x.Writes))
	}
	slices.Sort(out)
	return strings.Join(out, "\n") + "\n" + l.named([]string{"deadline-lost", "act-superseded"}, "to", "act", "team", "letters", "share")
}

// damagedFolder has keys, and an application that has lost data.
func damagedFolder(t *testing.T) string {
	t.Helper()
	dir, clock := ringed(t), ledgertest.NewClock()
	store, err := sample.OpenStore(t.Context(), filepath.Join(dir, "sample.db"), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	harm(t, store, clock)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	keepClock(t, dir, clock)
	return dir
}

// Killed again and again, before and after each change and right after the gate or the restore
// has acted, data is brought back as if nothing had happened: each step and letter once, and no
// guard left out.
func TestLossSurvivesKills(t *testing.T) { survives(t, "loss") } // breaks: inc.loss-restore, inc.loss-reopen
