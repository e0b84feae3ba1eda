package ledger_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
)

// The database says how it is: how long commits take, and how much of its connections is used; what
// it does not have stays unsaid.
func TestHealth(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		look := func() ledger.Health {
			t.Helper()
			h, err := k.DB.Health(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		k.Seam.Commit = func() error { time.Sleep(20 * time.Millisecond); return nil }
		before := look().Commits
		if err := k.DB.Quiet(t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			return tx.Each(context.Background(), `SELECT 1`, func(ledger.Scan) error { return nil })
		}); err != nil {
			t.Fatal(err)
		}
		h := look()
		if h.Commits != before+1 || h.Commit < 20*time.Millisecond {
			t.Errorf("%d commits after %d, 99 of 100 within %v", h.Commits, before, h.Commit)
		}
		if h.Archive != nil || len(h.Replicas) != 0 {
			t.Errorf("what is not there is told: %+v", h)
		}
		if k.DB.Engine() == "sqlite" {
			if h.Log == nil || *h.Log == 0 || h.Server != nil || h.Waiting != nil {
				t.Errorf("%+v", h)
			}
			return
		}
		if h.Log != nil || h.Server == nil || *h.Server <= 0 || *h.Server > 100 || h.Waiting == nil || h.Dead == nil {
			t.Errorf("%+v", h)
		}
	})
}

// A change that waits for another's row is seen.
func TestHealthSeesWhoWaits(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		if k.DB.Engine() != "postgres" {
			t.Skip("SQLite has one writer and no locks of rows")
		}
		exec := func(tx *ledger.Tx) error {
			_, err := tx.Exec(context.Background(), `LOCK TABLE ledger_pending IN ACCESS EXCLUSIVE MODE`)
			return err
		}
		held, let, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
		go func() {
			done <- k.DB.Quiet(context.Background(), ledger.WatchState, func(tx *ledger.Tx) error {
				err := exec(tx)
				close(held)
				<-let
				return err
			})
		}()
		<-held
		go func() { done <- k.DB.Quiet(context.Background(), ledger.WatchState, exec) }()
		seen := false
		for end := time.Now().Add(4 * time.Second); !seen && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			h, err := k.DB.Health(t.Context())
			seen = err == nil && h.Waiting != nil && *h.Waiting > 0
		}
		close(let)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if !seen {
			t.Error("nobody seems to wait")
		}
	})
}

// A replica that follows is seen, and so is how far it is behind when it stops to replay; of a
// database on another machine it is known how far the clocks are apart.
func TestHealthWithAReplica(t *testing.T) {
	pair := pgtest.Following(t)
	clock := &atomic.Int64{} // how far ahead the process's clock is
	open := func(url string) *ledger.DB {
		db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ledgertest.Open(t).Ring, Now: func() time.Time { return time.Now().Add(time.Duration(clock.Load())) }, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	db := open(pair.Net())
	until := func(what string, ok func(h ledger.Health) bool) ledger.Health {
		t.Helper()
		var h ledger.Health
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			var err error
			if h, err = db.Health(t.Context()); err != nil {
				t.Fatal(err)
			}
			if ok(h) {
				return h
			}
		}
		t.Fatalf("%s: %+v", what, h)
		return h
	}
	write := func() {
		t.Helper()
		if err := db.Quiet(t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(context.Background(), `SELECT pg_logical_emit_message(true, 'test', repeat('x', 100000))`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	write()
	until("caught up", func(h ledger.Health) bool {
		return len(h.Replicas) == 1 && h.Replicas[0].Name == "standby" && h.Replicas[0].Bytes == 0 && h.Replicas[0].Lag < time.Second
	})
	pair.Hold(t)
	released := false
	defer func() {
		if !released {
			pair.Release(t)
		}
	}()
	write()
	until("behind", func(h ledger.Health) bool {
		return len(h.Replicas) == 1 && h.Replicas[0].Bytes >= 100_000 && h.Replicas[0].Lag > 2*time.Second
	})
	pair.Release(t)
	released = true
	until("caught up again", func(h ledger.Health) bool { return h.Replicas[0].Bytes == 0 && h.Replicas[0].Lag < time.Second })

	if h := until("a clock", func(h ledger.Health) bool { return h.Clock != nil }); *h.Clock > time.Second {
		t.Errorf("one clock is %v apart", *h.Clock)
	}
	for _, ahead := range []time.Duration{time.Minute, -time.Minute} {
		clock.Store(int64(ahead))
		if h := until("a clock", func(h ledger.Health) bool { return h.Clock != nil }); *h.Clock < 30*time.Second || *h.Clock > time.Minute {
			t.Errorf("%v ahead: %v", ahead, *h.Clock)
		}
	}
	near := open(pair.Primary())
	if h, err := near.Health(t.Context()); err != nil || h.Clock != nil {
		t.Errorf("through a socket: %+v %v", h, err)
	}
}
