package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

type queued struct{}

func (queued) About() ledger.About { return ledger.About{Name: "jobs.test-queued"} }

func open(k *ledgertest.Kit) *jobs.Jobs {
	return jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
}

func enqueue(t *testing.T, k *ledgertest.Kit, j *jobs.Jobs, kind, payload string, fail error) {
	t.Helper()
	job, err := j.Prepare(t.Context(), kind, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.DB.Change(t.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := j.Enqueue(t.Context(), tx, job); err != nil {
			return nil, err
		}
		return queued{}, fail
	})
	if !errors.Is(err, fail) {
		t.Fatalf("enqueue: %v", err)
	}
}

func run(t *testing.T, j *jobs.Jobs) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := j.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

func TestQueue(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		var got atomic.Value
		var tries atomic.Int64
		j.Handle("good", jobs.Handler{Run: func(_ context.Context, p secret.Bytes) error {
			got.Store(string(p.Reveal()))
			return nil
		}})
		j.Handle("bad", jobs.Handler{Tries: 2, Run: func(context.Context, secret.Bytes) error {
			tries.Add(1)
			return errors.New("no route to ana@example.test today")
		}})
		j.Handle("wild", jobs.Handler{Tries: 1, Run: func(context.Context, secret.Bytes) error { panic("wild") }})
		enqueue(t, k, j, "good", "undone", errors.New("the change failed"))
		enqueue(t, k, j, "good", "hello", nil)
		enqueue(t, k, j, "bad", "x", nil)
		enqueue(t, k, j, "wild", "x", nil)
		run(t, j)
		eventually(t, "the good job ran", func() bool { return got.Load() == "hello" })
		eventually(t, "the bad job was tried", func() bool { return tries.Load() == 1 })
		time.Sleep(50 * time.Millisecond)
		if tries.Load() != 1 {
			t.Fatal("tried again before its time")
		}
		eventually(t, "the wait is written down", func() bool {
			ws, err := j.Queue(t.Context())
			return err == nil && len(ws) == 2 && ws[0].Problem != "" && ws[1].State == "failed"
		})
		k.Clock.Advance(time.Minute)
		j.Nudge()
		eventually(t, "the second try failed for good", func() bool {
			ws, err := j.Queue(t.Context())
			return err == nil && len(ws) == 2 && ws[0].State == "failed" && ws[0].Tries == 2
		})
		ws, err := j.Queue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(ws[0].Problem, "ana@") || !strings.Contains(ws[0].Problem, "(address)") {
			t.Errorf("the problem shows an address: %q", ws[0].Problem)
		}
		if !strings.Contains(ws[1].Problem, "panic: wild") {
			t.Errorf("the panic is not told: %q", ws[1].Problem)
		}
	}, jobs.Schema())
}

// A killed process leaves its job held; the next one takes it up.
func TestHeldJobIsTakenUp(t *testing.T) {
	k := ledgertest.Open(t, jobs.Schema())
	j := open(k)
	enqueue(t, k, j, "work", "x", nil)
	err := k.DB.Quiet(t.Context(), ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE job_work SET held = $1`, k.Clock.Now().Add(time.Hour).UnixMicro())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var ran atomic.Bool
	j.Handle("work", jobs.Handler{Run: func(context.Context, secret.Bytes) error { ran.Store(true); return nil }})
	run(t, j)
	eventually(t, "the held job ran", ran.Load)
}

func TestEveryRunsOnOneNode(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		var n atomic.Int64
		for range 2 {
			j := open(k)
			j.Every("tidy", time.Hour, func(context.Context) error { n.Add(1); return nil })
			run(t, j)
		}
		eventually(t, "it ran once", func() bool { return n.Load() == 1 })
		time.Sleep(700 * time.Millisecond)
		if n.Load() != 1 {
			t.Fatalf("ran %d times within its hour", n.Load())
		}
		k.Clock.Advance(5 * time.Hour) // a downtime: once, not five times
		eventually(t, "it ran again", func() bool { return n.Load() == 2 })
		time.Sleep(700 * time.Millisecond)
		if n.Load() != 2 {
			t.Fatalf("ran %d times after a downtime", n.Load())
		}
	}, jobs.Schema())
}

func TestLease(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		a, b := open(k), open(k)
		first, err := a.Acquire(t.Context(), "role", 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Acquire(t.Context(), "role", 10*time.Second); !errors.Is(err, fault.Conflict) {
			t.Fatalf("two holders: %v", err)
		}
		kept, err := a.Acquire(t.Context(), "role", 10*time.Second)
		if err != nil || kept.Epoch != first.Epoch {
			t.Fatalf("renewed with epoch %d after %d: %v", kept.Epoch, first.Epoch, err)
		}
		k.Clock.Advance(11 * time.Second)
		taken, err := b.Acquire(t.Context(), "role", 10*time.Second)
		if err != nil || taken.Epoch <= first.Epoch {
			t.Fatalf("taken over with epoch %d after %d: %v", taken.Epoch, first.Epoch, err)
		}
		if err := b.Release(t.Context(), taken); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Acquire(t.Context(), "role", time.Second); err != nil {
			t.Fatalf("a released role is not free: %v", err)
		}
	}, jobs.Schema())
}

// What is due at one moment is taken in one commit, and every piece of it is done, also
// what there was no free hand for.
func TestDueTogetherIsTakenTogether(t *testing.T) {
	var commits, claims atomic.Int64
	counts := func(c *ledger.Config) {
		c.Seam.Commit = func() error { commits.Add(1); return nil }
		c.Seam.Statement = func(q string) error {
			if strings.HasPrefix(q, `UPDATE job_work SET held = $2`) {
				claims.Add(1)
			}
			return nil
		}
	}
	k := ledgertest.With(t, "sqlite", counts, jobs.Schema())
	j := open(k)
	var ran atomic.Int64
	let := make(chan struct{})
	j.Handle("work", jobs.Handler{Run: func(context.Context, secret.Bytes) error { <-let; ran.Add(1); return nil }})
	for range 10 {
		enqueue(t, k, j, "work", "x", nil)
	}
	before := commits.Load()
	run(t, j)
	eventually(t, "the hands are full", func() bool { return claims.Load() == 4 })
	if n := commits.Load() - before; n > 2 { // one frees what a killed process held
		t.Errorf("%d commits to take four, expected two at most", n)
	}
	close(let)
	eventually(t, "all ran", func() bool { return ran.Load() == 10 })
}
