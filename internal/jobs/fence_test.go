package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// A node that comes back after its hold has ended writes nothing down: the job
// belongs to whoever took it over.
func TestWork_lateHolderIsFenced(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		first, second := open(k), open(k)
		started, release := make(chan struct{}), make(chan struct{})
		var late atomic.Bool
		first.Handle("t", jobs.Handler{Run: func(context.Context, secret.Bytes) error {
			close(started)
			<-release
			late.Store(true)
			return errors.New("too late")
		}})
		again := make(chan struct{})
		finish := make(chan struct{})
		second.Handle("t", jobs.Handler{Run: func(context.Context, secret.Bytes) error {
			close(again) // a second call would panic: somebody freed a job that is held
			<-finish
			return nil
		}})
		enqueue(t, k, first, "t", "x", nil)
		run(t, first)
		<-started
		k.Clock.Advance(time.Hour) // the hold is over
		run(t, second)
		<-again
		close(release)
		eventually(t, "the late one has ended", late.Load)
		time.Sleep(100 * time.Millisecond)
		q, err := second.Queue(t.Context())
		if err != nil || len(q) != 1 || q[0].Problem != "" {
			t.Errorf("the late holder wrote: %+v %v", q, err)
		}
		close(finish)
		eventually(t, "done", func() bool { q, _ := second.Queue(t.Context()); return len(q) == 0 })
	}, jobs.Schema())
}

// When the end of a job could not be written down at once, the job lay there and was done again
// when its hold was over: a letter went out twice.
func TestEndIsWrittenDownRegression(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		var done, refused atomic.Int64
		j.Handle("t", jobs.Handler{Run: func(context.Context, secret.Bytes) error { done.Add(1); return nil }})
		enqueue(t, k, j, "t", "x", nil)
		k.Seam.Statement = func(query string) error {
			if strings.HasPrefix(query, "DELETE FROM job_work") && refused.Add(1) <= 2 {
				return errors.New("the disk is busy")
			}
			return nil
		}
		run(t, j)
		eventually(t, "the end is written down", func() bool { q, err := j.Queue(t.Context()); return err == nil && len(q) == 0 })
		if done.Load() != 1 || refused.Load() != 3 {
			t.Errorf("done %d times, written down at try %d", done.Load(), refused.Load())
		}
	}, jobs.Schema())
}

// Work of a kind that nobody here knows does not stand before the rest.
func TestWork_unknownKindsDoNotBlock(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		var done atomic.Int64
		j.Handle("known", jobs.Handler{Run: func(context.Context, secret.Bytes) error { done.Add(1); return nil }})
		for range 40 {
			enqueue(t, k, j, "unknown", "x", nil)
		}
		k.Clock.Advance(time.Second)
		enqueue(t, k, j, "known", "x", nil)
		run(t, j)
		eventually(t, "the known one is done", func() bool { return done.Load() == 1 })
	}, jobs.Schema())
}

// An error text that is cut inside a letter, or is none, can be written down.
func TestWork_wildErrorText(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		j.Handle("t", jobs.Handler{Tries: 1, Run: func(context.Context, secret.Bytes) error {
			return errors.New("x" + strings.Repeat("é", 200) + "\x00\xff")
		}})
		enqueue(t, k, j, "t", "x", nil)
		run(t, j)
		eventually(t, "failed, with its text", func() bool {
			q, err := j.Queue(t.Context())
			return err == nil && len(q) == 1 && q[0].State == "failed" && strings.HasPrefix(q[0].Problem, "xéé")
		})
	}, jobs.Schema())
}

// A job that kills its process each time stops being tried.
func TestWork_triesCountAcrossKills(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		var runs atomic.Int64
		j.Handle("t", jobs.Handler{Tries: 3, Run: func(context.Context, secret.Bytes) error { runs.Add(1); return nil }})
		enqueue(t, k, j, "t", "x", nil)
		err := k.DB.Quiet(t.Context(), ledger.JobState, func(tx *ledger.Tx) error { // three claims whose process died
			_, err := tx.Exec(t.Context(), `UPDATE job_work SET tries = $1`, 3)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		run(t, j)
		eventually(t, "failed", func() bool {
			q, err := j.Queue(t.Context())
			return err == nil && len(q) == 1 && q[0].State == "failed" && strings.Contains(q[0].Problem, fmt.Sprint(3))
		})
		if runs.Load() != 0 {
			t.Errorf("%d runs", runs.Load())
		}
	}, jobs.Schema())
}

// A database that cannot be written to at the start ends no server: the queue waits for it.
func TestRunSurvivesABadStart(t *testing.T) {
	var bad atomic.Int64
	bad.Store(2)
	k := ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		c.Seam.Statement = func(q string) error {
			if strings.Contains(q, "SET held = 0 WHERE held > 0") && bad.Add(-1) >= 0 {
				return errors.New("the disk is away")
			}
			return nil
		}
	}, jobs.Schema())
	j := open(k)
	var ran atomic.Bool
	j.Handle("work", jobs.Handler{Run: func(context.Context, secret.Bytes) error { ran.Store(true); return nil }})
	enqueue(t, k, j, "work", "x", nil)
	run(t, j)
	eventually(t, "the work was done all the same", ran.Load)
}
