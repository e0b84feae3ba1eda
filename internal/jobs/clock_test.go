package jobs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// A clock that ran ahead and was set back delays nothing until it has caught up: neither
// work that was queued or tried or held meanwhile, nor what runs by the clock, nor a role.
func TestClockSetBackRegression(t *testing.T) {
	const ahead = 30 * 24 * time.Hour
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		before := open(k)
		var tried atomic.Int64
		before.Handle("tried", jobs.Handler{Wait: time.Hour, Run: func(context.Context, secret.Bytes) error { tried.Add(1); return errors.New("away") }})
		held, release := make(chan struct{}), make(chan struct{})
		before.Handle("held", jobs.Handler{Run: func(context.Context, secret.Bytes) error {
			close(held)
			<-release
			return errors.New("too late")
		}})
		before.Every("nightly", time.Hour, func(context.Context) error { return nil })
		k.Clock.Advance(ahead)
		enqueue(t, k, before, "tried", "x", nil)
		enqueue(t, k, before, "held", "x", nil)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- before.Run(ctx) }()
		<-held
		eventually(t, "one is tried", func() bool { return tried.Load() == 1 })
		if _, err := before.Acquire(t.Context(), "role", time.Minute); err != nil {
			t.Fatal(err)
		}
		k.Clock.Advance(-ahead)

		after := open(k)
		var done, nightly atomic.Int64
		for _, kind := range []string{"tried", "held"} {
			after.Handle(kind, jobs.Handler{Run: func(context.Context, secret.Bytes) error { done.Add(1); return nil }})
		}
		after.Every("nightly", time.Hour, func(context.Context) error { nightly.Add(1); return nil })
		stop() // but its job is still held, as after a kill
		run(t, after)
		eventually(t, "the queued work is done", func() bool { return done.Load() == 2 })
		eventually(t, "what runs by the clock runs", func() bool { return nightly.Load() == 1 })
		if _, err := after.Acquire(t.Context(), "role", time.Minute); err != nil {
			t.Errorf("the role is held by a clock that was wrong: %v", err)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}, jobs.Schema())
}

// The same for a node that went on meanwhile.
func TestClockSetBackWhileRunningRegression(t *testing.T) {
	k := ledgertest.Open(t, jobs.Schema())
	j := open(k)
	var nightly atomic.Int64
	j.Every("nightly", time.Hour, func(context.Context) error { nightly.Add(1); return nil })
	k.Clock.Advance(30 * 24 * time.Hour)
	run(t, j)
	eventually(t, "it ran", func() bool { return nightly.Load() == 1 })
	k.Clock.Advance(-30 * 24 * time.Hour)
	eventually(t, "it runs again", func() bool { return nightly.Load() == 2 })
}
