package check_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/policy/check"
)

// A report that is asked to be fresh looks again at cheap probes, and at nothing else.
func TestFreshReport(t *testing.T) {
	var broken atomic.Bool
	var probes, canaries atomic.Int64
	look := func(n *atomic.Int64) func(context.Context) (clause.Result, error) {
		return func(context.Context) (clause.Result, error) {
			n.Add(1)
			if broken.Load() {
				return clause.Failed("broken"), nil
			}
			return clause.Passed("whole"), nil
		}
	}
	b := newBench(t, nil,
		clause.Control{ID: "identity.a", Clause: reset, Kind: clause.Probe, Every: time.Hour, FreshFor: 24 * time.Hour, Run: look(&probes)},
		clause.Control{ID: "identity.b", Clause: reset, Kind: clause.Canary, Every: time.Hour, FreshFor: 24 * time.Hour, Run: look(&canaries)})
	b.tick()
	b.kit.Clock.Advance(20 * time.Second)
	b.tick()
	b.is(clause.Pass, "whole")
	broken.Store(true)
	b.kit.Clock.Advance(5 * time.Second)
	b.is(clause.Pass, "whole") // an ordinary report only reads
	rep, err := b.r.Report(ctx, check.Options{Clause: reset, Fresh: true})
	if err != nil || rep.Clauses[0].Outcome != clause.Fail {
		t.Fatalf("a fresh report says %s, %v", rep.Clauses[0].Outcome, err)
	}
	b.is(clause.Fail, "broken") // and what it saw is kept
	if probes.Load() != 2 || canaries.Load() != 1 {
		t.Errorf("%d probes and %d canaries ran, want 2 and 1", probes.Load(), canaries.Load())
	}
	if _, err := b.r.Report(ctx, check.Options{Fresh: true}); err != nil || probes.Load() != 2 {
		t.Errorf("looked again at what is a moment old: %d, %v", probes.Load(), err)
	}
}

// What a control looks at has changed: it runs at the next tick, not in an hour.
func TestSoon(t *testing.T) {
	var n atomic.Int64
	b := newBench(t, nil, clause.Control{ID: "identity.a", Clause: reset, Kind: clause.Probe, Every: time.Hour, FreshFor: 24 * time.Hour,
		Run: func(context.Context) (clause.Result, error) { n.Add(1); return clause.Passed("whole"), nil }})
	b.tick()
	b.tick()
	b.r.Soon("gov.")
	b.tick()
	if n.Load() != 1 {
		t.Fatalf("ran %d times, want once", n.Load())
	}
	b.r.Soon("auth.")
	b.tick()
	if n.Load() != 2 {
		t.Errorf("ran %d times, want twice", n.Load())
	}
}
