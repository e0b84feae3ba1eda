package incident_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/demo/sample"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
)

// mortalGate and mortalRecovery are points at which a process may end: what was done is done,
// and nobody has written it down yet.
type mortalGate struct {
	incident.Gate
	point func(string)
}

func (g mortalGate) Close(ctx context.Context, who actor.Actor, why string) (time.Time, error) {
	t, err := g.Gate.Close(ctx, who, why)
	g.point("closed")
	return t, err
}

func (g mortalGate) Open(ctx context.Context, who actor.Actor, share int, why string) error {
	err := g.Gate.Open(ctx, who, share, why)
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

func (r mortalRecovery) Restore(ctx context.Context, p incident.Plan) (string, error) {
	at, err := r.Recovery.Restore(ctx, p)
	r.point("restored")
	return at, err
}

func (r mortalRecovery) Reconcile(ctx context.Context, p incident.Plan, since []incident.Tombstone) (int64, []incident.Check, error) {
	n, checks, err := r.Recovery.Reconcile(ctx, p, since)
	r.point("reconciled")
	return n, checks, err
}

// lossNode opens what lies in a folder and a database, at the time to which it had come.
func lossNode(t *testing.T, dir, url string, step func(string)) *lossy {
	t.Helper()
	clock := ledgertest.NewClock()
	if b, err := os.ReadFile(filepath.Join(dir, "clock")); err == nil {
		at, err := time.Parse(time.RFC3339Nano, string(b))
		if err != nil {
			t.Fatal(err)
		}
		clock.Set(at)
	}
	ring, err := keyring.Open(t.Context(), keyring.Options{Dir: dir, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ring, Now: clock.Now, Log: quiet(), Schemas: tables, Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}})
	if err != nil {
		t.Fatal(errors.Join(err, ring.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), ring.Close()); err != nil {
			t.Error(err)
		}
	})
	point := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, "clock"), []byte(clock.Now().Format(time.RFC3339Nano)), 0o600); err != nil {
			t.Error(err)
		}
		if step != nil {
			step(name)
		}
	}
	return lostWorld(t, &ledgertest.Kit{DB: db, Ring: ring, Clock: clock}, dir, &incident.Seam{Step: point}, func(_ *lossy, w *incident.World) {
		w.Gate, w.Recovery = mortalGate{w.Gate, point}, mortalRecovery{w.Recovery, point}
	})
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
	l.t.Fatal("it does not come to an end")
}

// recovered is what stands at the end, without ids and times.
func (l *lossy) recovered() string {
	l.t.Helper()
	v := l.show("I-1")
	ids, err := sample.IDs(l.t.Context(), l.store.File())
	if err != nil {
		l.t.Fatal(err)
	}
	out := []string{fmt.Sprint(v.States, l.gate.read().Calls, ids, v.Loss.RPO, v.Loss.Share, len(v.Loss.Signers))}
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
	return strings.Join(out, "\n") + "\n" + l.world.named()
}

// named are the entries of incidents, sorted, with what tells one from another.
func (w *world) named() string {
	w.t.Helper()
	var out []string
	if err := w.kit.DB.Each(w.t.Context(), `SELECT name, body FROM ledger_pending WHERE name LIKE 'incident.%' AND name <> 'incident.deadline-lost'`, func(scan ledger.Scan) error {
		var name string
		var body []byte
		err := scan(&name, &body)
		for _, word := range []string{`"to":"`, `"act":"`, `"team":"`, `"letters":`, `"share":`} {
			if _, rest, ok := strings.Cut(string(body), word); ok {
				value, _, _ := strings.Cut(rest, `"`)
				name += " " + strings.TrimRight(value, "},:")
			}
		}
		out = append(out, name)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// lossChild is a server that is killed while it brings data back: folder, database, after how
// many points.
func lossChild(t *testing.T, job []string) {
	t.Helper()
	left, err := strconv.Atoi(job[2])
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	lossNode(t, job[0], job[1], func(string) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}).on()
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
	if err := errors.Join(store.Close(), os.WriteFile(filepath.Join(dir, "clock"), []byte(clock.Now().Format(time.RFC3339Nano)), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Killed again and again, before and after each change and right after the gate or the restore
// has acted, data is brought back as if nothing had happened: each step and letter once, and no
// guard left out.
func TestLossSurvivesKills(t *testing.T) { // breaks: inc.loss-restore, inc.loss-reopen
	if ledgertest.Job(childEnv) != nil {
		return
	}
	calm := lossNode(t, damagedFolder(t), "sqlite:"+filepath.Join(t.TempDir(), "writ.db"), nil)
	calm.on()
	want := calm.recovered()
	if !strings.Contains(want, "incident.loss-made-known") || !strings.Contains(want, "[1 2 3 4 5]") || !strings.Contains(want, "[-1 0 5 100]") {
		t.Fatalf("undisturbed:\n%s", want)
	}
	for _, c := range []struct {
		engine string
		points int
	}{{"sqlite", 3}, {"sqlite", 8}, {"postgres", 5}} {
		t.Run(fmt.Sprint(c.engine, c.points), func(t *testing.T) {
			dir, url := damagedFolder(t), "sqlite:"+filepath.Join(t.TempDir(), "writ.db")
			if c.engine == "postgres" {
				url = pgtest.URL(t)
			}
			kills := 0
			for ledgertest.Killed(t, childEnv, dir, url, strconv.Itoa(c.points)) {
				if kills++; kills > 150 {
					t.Fatal("it does not come to an end")
				}
			}
			if kills < 6 {
				t.Errorf("killed only %d times", kills)
			}
			if got := lossNode(t, dir, url, nil).recovered(); got != want {
				t.Errorf("after %d kills:\n%s\nwant:\n%s", kills, got, want)
			}
		})
	}
}
