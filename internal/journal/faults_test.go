package journal_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// Whatever statement or commit of a batch fails, and whether or not the answer of the
// commit arrives, the batch is numbered once, later; nothing is shown before.
func TestFailuresInABatch(t *testing.T) {
	for _, at := range []string{"UPDATE journal_head SET beat", "DELETE FROM ledger_pending", "INSERT INTO journal_entry", "INSERT INTO journal_hash",
		"INSERT INTO journal_index", "INSERT INTO journal_payload", "INSERT INTO journal_stream", "UPDATE journal_head SET size", "commit", "answer of the commit", "twice"} {
		for _, engine := range []string{"sqlite", "postgres"} {
			t.Run(at+"/"+engine, func(t *testing.T) {
				var left, armed atomic.Int64
				refused := errors.New("refused by the test")
				kit := ledgertest.With(t, engine, func(c *ledger.Config) {
					c.Seam.Statement = func(q string) error {
						if strings.HasPrefix(strings.TrimSpace(q), at) && left.Add(-1) >= 0 {
							return refused
						}
						if strings.HasPrefix(q, "UPDATE journal_head SET size") && left.Load() > 0 {
							armed.Store(1)
						}
						return nil
					}
					c.Seam.Commit = func() error {
						if at == "commit" && armed.CompareAndSwap(1, 0) && left.Add(-1) >= 0 {
							return refused
						}
						return nil
					}
					c.Seam.Committed = func() error {
						if at == "answer of the commit" && armed.CompareAndSwap(1, 0) && left.Add(-1) >= 0 {
							return refused
						}
						return nil
					}
					c.Seam.Twice = at == "twice"
				}, journal.Schema())
				j := build(t, kit)
				run(t, j)
				fill(t, kit, j, 3)
				var notes [][]byte
				done := make(chan struct{})
				var watch sync.WaitGroup
				watch.Go(func() {
					for {
						select {
						case <-done:
							return
						case <-time.After(500 * time.Microsecond):
						}
						if h, err := j.Head(t.Context()); err == nil && (len(notes) == 0 || string(notes[len(notes)-1]) != string(h.Note)) {
							notes = append(notes, h.Note)
						}
					}
				})
				left.Store(3)
				var receipts []string
				for i := range 40 {
					for {
						r, err := kit.DB.Change(t.Context(), ana, func(*ledger.Tx) (ledger.Event, error) {
							return noted{Title: fmt.Sprint(i), Email: "x@example.test"}, nil
						})
						if err == nil {
							receipts = append(receipts, r.ID)
							break
						}
						if !strings.Contains(err.Error(), refused.Error()) { // it shared the failed commit
							t.Fatal(err)
						}
					}
					time.Sleep(time.Millisecond)
				}
				for _, id := range receipts {
					wait(t, j, id)
				}
				close(done)
				watch.Wait()
				if at != "twice" && left.Load() == 3 && engine+at != "sqliteanswer of the commit" {
					t.Error("the failure was never met")
				}
				key, err := j.Key(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := consistent(collect(t, kit), receipts, notes, verifier(t, key)); err != nil {
					t.Error(err)
				}
				if r, err := j.Verify(t.Context(), nil); err != nil || !r.OK() {
					t.Errorf("verify: %v %+v", err, r)
				}
			})
		}
	}
}
