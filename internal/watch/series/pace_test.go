package series_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// A change that held the writer too long comes again in halves, down to the least; what goes well
// makes it grow again, and another fault changes nothing.
func TestPace(t *testing.T) {
	p, cut := series.NewPace(40, 5), fmt.Errorf("change: %w", ledger.ErrCutOff)
	var took []int
	for {
		took = append(took, p.Some())
		if !p.Heed(cut) {
			break
		}
	}
	if !slices.Equal(took, []int{40, 20, 10, 5}) {
		t.Errorf("%v", took)
	}
	if p.Heed(errors.New("the disk is full")) || p.Some() != 5 {
		t.Error(p.Some())
	}
	n := 0
	for p.Some() < 40 {
		if n++; p.Heed(nil) || n > 100 {
			t.Fatal("it does not come back")
		}
	}
	if n < 10 {
		t.Errorf("after %d good ones all is as before", n)
	}
}

// What a slow writer does not take at once it takes in parts, and nothing is counted twice.
func TestFlushCutSmaller(t *testing.T) {
	w := lite(t)
	for i := range 120 {
		w.s.Add(series.Event{At: w.Clock.Now(), Meter: "requests", Labels: []series.Label{{Dimension: "route", Value: fmt.Sprint(i)}}})
	}
	w.on(2 * time.Minute)
	cuts := w.s.Slow(8)
	w.flush()
	if *cuts == 0 {
		t.Error("the writer was never too slow")
	}
	var n, sum int64
	must(t, ledger.One(t.Context(), w.DB, `SELECT COUNT(*), SUM(n) FROM watch_series_1m`, []any{&n, &sum}))
	if n != 121 || sum != 240 {
		t.Errorf("%d rows of %d events, want 121 of 240", n, sum)
	}
}
