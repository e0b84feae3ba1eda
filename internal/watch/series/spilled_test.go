package series_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// crowd lets so many teams come once each, so that there is no room for others.
func (w *world) crowd(n int) {
	for i := range n {
		w.s.Add(w.event("team", fmt.Sprint("early", i)))
	}
}

func (w *world) event(dimension, label string) series.Event {
	return series.Event{At: w.Clock.Now(), Meter: "requests", Labels: []series.Label{{Dimension: dimension, Value: label}}}
}

func (w *world) top(span time.Duration, n int) []series.Row {
	w.t.Helper()
	rows, err := w.s.Top(w.t.Context(), series.Query{Meter: "requests", Dimension: "team", From: w.Clock.Now().Add(-span), Until: w.Clock.Now().Add(time.Second)}, n)
	must(w.t, err)
	return rows
}

// Who has most stands in the list though ten thousand came before, and a flood beside: each at least
// and at most what is said, and all together what there was. It goes on after a restart, over hours, and
// together with what another node counted.
func TestTopOfMany(t *testing.T) {
	both(t, func(w *world) {
		w.Clock.Advance(w.Clock.Now().Truncate(time.Hour).Add(time.Hour).Sub(w.Clock.Now()))
		w.crowd(10_000)
		truth := map[string]float64{}
		send := func() {
			for i := range 5 {
				for range (i + 1) * 300 {
					w.s.Add(w.event("team", fmt.Sprint("late", i)))
					truth[fmt.Sprint("late", i)]++
				}
				for j := range 1000 {
					w.s.Add(w.event("team", fmt.Sprint("flood", w.Clock.Now().UnixMicro(), i, j)))
				}
			}
		}
		check := func(when string) {
			w.t.Helper()
			rows := w.top(4*time.Hour, 6)
			if len(rows) != 6 || rows[0].Label != series.Other {
				w.t.Fatalf("%s: %+v", when, rows)
			}
			all := 0.0
			for _, r := range w.top(4*time.Hour, 1000) {
				all += r.Value
			}
			for i, r := range rows[1:] {
				if want := truth[r.Label]; r.Label != fmt.Sprint("late", 4-i) || r.Value > want || r.Value+r.Error < want || r.Error > want/4 || float64(r.Count) != r.Value {
					w.t.Errorf("%s: %+v, of which there were %v", when, r, want)
				}
			}
			if shown := rows[0].Value; shown < 5000 || shown > 25_000 || all > 10_000+4*(4500+5000) {
				w.t.Errorf("%s: %v of others, %v of all", when, shown, all)
			}
		}
		send()
		check("before it is written")
		must(w.t, w.s.Finish(w.t.Context()))
		must(w.t, w.s.Finish(w.t.Context())) // again: none counts twice
		check("when it is written")
		w.again()
		check("after a restart")
		w.crowd(1)
		must(w.t, w.s.Finish(w.t.Context()))
		send()
		check("in the same hour, by another process")
		w.Clock.Advance(time.Hour)
		send()
		must(w.t, w.s.Finish(w.t.Context()))
		check("over two hours")
		w.Clock.Advance(3 * time.Hour)
		must(w.t, w.s.Finish(w.t.Context())) // the hours in memory go
		if rows := w.top(6*time.Hour, 6); rows[1].Label != "late4" || rows[1].Value > truth["late4"] || rows[1].Value+rows[1].Error < truth["late4"] {
			w.t.Errorf("hours later: %+v", rows[:2])
		}
		if rows := w.top(time.Hour, 6); len(rows) != 0 {
			w.t.Errorf("of an hour in which nothing was: %+v", rows)
		}
		must(w.t, w.s.Forget(w.t.Context()))
		w.Clock.Advance(36 * 24 * time.Hour)
		must(w.t, w.s.Forget(w.t.Context()))
		var left int64
		must(w.t, ledger.One(w.t.Context(), w.DB, `SELECT COUNT(*) FROM watch_heavy`, []any{&left}))
		if left != 0 {
			w.t.Errorf("after 36 days %d rows are left", left)
		}
	})
}

// What a follower's batch has no room for is told apart once the batch is in, and not before: a batch
// that comes again counts once.
func TestTopOfManyByBatch(t *testing.T) {
	w := lite(t)
	w.crowd(10_000)
	b := w.s.NewBatch()
	for range 500 {
		b.Add(w.event("team", "late"))
	}
	undone := fmt.Errorf("undone")
	for range 2 {
		err := w.DB.Quiet(t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			if _, err := w.s.Write(t.Context(), tx, b); err != nil {
				return err
			}
			return undone
		})
		if err == nil {
			t.Fatal("it is in")
		}
	}
	if rows := w.top(4*time.Hour, 1); rows[0].Label == "late" {
		t.Fatalf("counted before it is in: %+v", rows)
	}
	var done func()
	must(t, w.DB.Quiet(t.Context(), ledger.WatchState, func(tx *ledger.Tx) (err error) {
		done, err = w.s.Write(t.Context(), tx, b)
		return err
	}))
	done()
	if rows := w.top(4*time.Hour, 2); rows[0].Label != "late" || rows[0].Value != 500 || rows[0].Error != 0 {
		t.Errorf("%+v", rows)
	}
}
