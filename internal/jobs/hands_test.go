package jobs_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// A kind that has all the hands it may takes no more, writes nothing while it waits, and does
// not keep others from theirs.
func TestHandsOfAKind(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		var most, running, slow, quick atomic.Int64
		let := make(chan struct{})
		j.Handle("slow", jobs.Handler{Hands: 2, Run: func(context.Context, secret.Bytes) error {
			most.Store(max(most.Load(), running.Add(1)))
			<-let
			running.Add(-1)
			slow.Add(1)
			return nil
		}})
		j.Handle("quick", jobs.Handler{Run: func(context.Context, secret.Bytes) error { quick.Add(1); return nil }})
		for range 40 {
			enqueue(t, k, j, "slow", "x", nil)
		}
		k.Clock.Advance(time.Second)
		for range 3 {
			enqueue(t, k, j, "quick", "x", nil)
		}
		run(t, j)
		// The end of a job is written after its run: the queue shows it a moment later.
		waiting, tried := 0, 0
		eventually(t, "the quick ones are done", func() bool {
			ws, err := j.Queue(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			waiting, tried = len(ws), 0
			for _, w := range ws {
				tried += w.Tries
			}
			return quick.Load() == 3 && running.Load() == 2 && waiting == 40
		})
		if tried != 2 {
			t.Errorf("of %d that wait %d were tried, want 2", waiting, tried)
		}
		close(let)
		eventually(t, "all are done", func() bool { return slow.Load() == 40 })
		if most.Load() > 2 {
			t.Errorf("%d ran at once", most.Load())
		}
	}, jobs.Schema())
}

// What hangs in a lane holds up neither another lane, nor the rest of the queue; and lanes go on
// when every hand that all share is taken.
func TestLanes(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		j := open(k)
		var hanging, most, good, shared atomic.Int64
		let := make(chan struct{})
		hang := func(n *atomic.Int64) func(context.Context, secret.Bytes) error {
			return func(_ context.Context, payload secret.Bytes) error {
				if string(payload.Reveal()) == "good" {
					good.Add(1)
					return nil
				}
				if at := n.Add(1); n == &hanging {
					most.Store(max(most.Load(), at))
				}
				<-let
				n.Add(-1)
				return nil
			}
		}
		j.Handle("told", jobs.Handler{Hands: 1, Lanes: true, Run: hang(&hanging)})
		j.Handle("work", jobs.Handler{Run: hang(&shared)})
		for _, lane := range []string{"a", "b", "c", "d", "e", "f"} {
			for range 8 {
				enqueue(t, k, j, "told/"+lane, "hangs", nil)
			}
		}
		for range 40 { // before the good one in the queue, more than one look finds
			enqueue(t, k, j, "work", "hangs", nil)
		}
		k.Clock.Advance(time.Second)
		enqueue(t, k, j, "told/good", "good", nil)
		enqueue(t, k, j, "told", "good", nil) // queued before there were lanes
		run(t, j)
		eventually(t, "all lanes and all hands hang, and a good lane does not wait", func() bool {
			return hanging.Load() == 6 && shared.Load() == 4 && good.Load() == 1
		})
		close(let)
		eventually(t, "all are done", func() bool { ws, err := j.Queue(t.Context()); return err == nil && len(ws) == 0 })
		if most.Load() != 6 {
			t.Errorf("%d of six lanes ran at once", most.Load())
		}
		if good.Load() != 2 {
			t.Error("what was queued without a lane is lost")
		}
	}, jobs.Schema())
}
