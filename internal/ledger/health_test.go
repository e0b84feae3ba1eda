package ledger_test

import (
	"context"
	"testing"
	"time"

	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
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
