package series_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/watch/series"
)

var meters = []series.Meter{
	{Name: "requests", Kind: series.Count, Source: "gate", Dimensions: []string{"route", "team"}},
	{Name: "latency", Kind: series.Spread, Source: "gate", Unit: "µs", Dimensions: []string{"route"}},
	{Name: "people", Kind: series.Union, Source: "gate"},
	{Name: "cpu", Kind: series.Gauge, Source: "host", Unit: "%", Scale: 1000, Dimensions: []string{"of"}},
}

type world struct {
	*ledgertest.Kit
	t *testing.T
	s *series.Service
}

func both(t *testing.T, fn func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) { fn(open(t, k)) }, schema())
}

func lite(t *testing.T) *world { return open(t, ledgertest.Open(t, schema())) }

func schema() ledger.Schema { return ledger.Schema{Module: "watch", FS: os.DirFS("../schema")} }

func open(t *testing.T, k *ledgertest.Kit) *world {
	w := &world{Kit: k, t: t}
	w.again()
	return w
}

// again is a new process.
func (w *world) again() {
	var err error
	w.s, err = series.New(series.Deps{DB: w.DB, Meters: meters, Now: w.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	must(w.t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// on lets time pass as it does where something runs: it is seen every ten seconds.
func (w *world) on(d time.Duration) {
	for ; d > 0; d -= 10 * time.Second {
		w.s.Seen("gate")
		w.Clock.Advance(min(d, 10*time.Second))
	}
	w.s.Seen("gate")
}

func (w *world) flush() {
	w.t.Helper()
	must(w.t, w.s.Flush(w.t.Context()))
}

func (w *world) ranged(q series.Query) []series.Point {
	w.t.Helper()
	ps, err := w.s.Range(w.t.Context(), q)
	must(w.t, err)
	return ps
}

func request(at time.Time, route, team string) series.Event {
	return series.Event{At: at, Meter: "requests", Labels: []series.Label{{Dimension: "route", Value: route}, {Dimension: "team", Value: team}}}
}

// minute is the beginning of the next whole hour, so that steps are easy to count.
func (w *world) atHour() time.Time {
	now := w.Clock.Now()
	w.Clock.Advance(now.Truncate(time.Hour).Add(time.Hour).Sub(now))
	return w.Clock.Now().UTC()
}

// What is read is the same from the rows of each resolution, from memory, and from both.
func TestRollUpsAreTheirParts(t *testing.T) {
	both(t, func(w *world) {
		r := rand.New(rand.NewPCG(3, 5))
		begin := w.atHour()
		var took []float64
		teams := map[string]float64{}
		for range 150 {
			for range r.IntN(6) {
				at := w.Clock.Now().Add(-time.Duration(r.IntN(240)) * time.Second)
				if at.Before(begin) {
					at = begin
				}
				team := fmt.Sprintf("t%d", r.IntN(3))
				w.s.Add(request(at, "/a", team))
				teams[team]++
				v := math.Exp(r.Float64() * 12)
				took = append(took, math.Round(v))
				w.s.Add(series.Event{At: at, Meter: "latency", Value: v, Labels: []series.Label{{Dimension: "route", Value: "/a"}}})
			}
			w.on(time.Duration(r.IntN(90)) * time.Second)
			if r.IntN(3) > 0 { // else it is read from memory
				w.flush()
			}
		}
		slices.Sort(took)
		until := begin.Add(6 * time.Hour)
		for _, step := range []time.Duration{time.Minute, 7 * time.Minute, time.Hour, 24 * time.Hour} {
			var n, sum, high float64
			for _, p := range w.ranged(series.Query{Meter: "latency", Dimension: "route", Label: "/a", From: begin, Until: until, Step: step}) {
				n, sum, high = n+float64(p.Count), sum+p.Value, max(high, p.High)
				if step == 24*time.Hour && math.Abs(p.P95-took[int(0.95*float64(len(took)-1))]) > 0.01*p.P95+1 {
					w.t.Errorf("the 95th percentile is %v", p.P95)
				}
			}
			if n != float64(len(took)) || sum != total(took) || high != took[len(took)-1] {
				w.t.Errorf("step %s: %v values, sum %v, highest %v", step, n, sum, high)
			}
		}
		rows, err := w.s.Top(w.t.Context(), series.Query{Meter: "requests", Dimension: "team", From: begin, Until: until}, 2)
		must(w.t, err)
		if len(rows) != 2 || rows[0].Value < rows[1].Value || rows[0].Value != teams[rows[0].Label] || rows[1].Value != teams[rows[1].Label] {
			w.t.Errorf("%+v of %v", rows, teams)
		}
		w.Clock.Advance(time.Minute)
		w.flush()
		w.again() // nothing of it was in memory alone
		ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: until, Step: 24 * time.Hour})
		if ps[0].Value != float64(len(took)) {
			w.t.Errorf("after a restart %v requests of %d", ps[0].Value, len(took))
		}
	})
}

func total(vs []float64) (sum float64) {
	for _, v := range vs {
		sum += v
	}
	return sum
}

// A follower that is given entries again, from whatever place, counts each of them once.
func TestReplayCountsOnce(t *testing.T) {
	both(t, func(w *world) {
		r := rand.New(rand.NewPCG(1, 2))
		begin := w.Clock.Now()
		cursor := 0
		follow := func(from, to int) error { // as watch does: the cursor moves in the same change
			b := w.s.NewBatch()
			for i := max(from, cursor); i < to; i++ {
				b.Add(request(begin.Add(time.Duration(i)*time.Second), "/a", "t"))
			}
			var done func()
			err := w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) (err error) {
				if done, err = w.s.Write(w.t.Context(), tx, b); err == nil && r.IntN(3) == 0 {
					err = errors.New("the process is killed here")
				}
				return err
			})
			if err == nil {
				done()
				cursor = max(cursor, to)
			}
			return err
		}
		for to := 0; to < 300; {
			from := r.IntN(to + 1)
			next := min(to+r.IntN(40), 300)
			w.Clock.Advance(begin.Add(time.Duration(next) * time.Second).Sub(w.Clock.Now()))
			if follow(from, next) == nil {
				to = next
			} else if r.IntN(2) == 0 {
				w.again()
			}
		}
		ps := w.ranged(series.Query{Meter: "requests", From: begin.Truncate(time.Hour), Until: begin.Add(10 * time.Minute), Step: time.Hour})
		var n int64
		for _, p := range ps {
			n += p.Count
		}
		if n != 300 {
			w.t.Errorf("300 entries counted as %d", n)
		}
	})
}

// What comes up to five minutes late counts in its own minute; later it is counted apart.
func TestLate(t *testing.T) {
	w := lite(t)
	begin := w.atHour()
	w.Clock.Advance(10 * time.Minute)
	w.s.Add(request(w.Clock.Now(), "/a", "t"))
	w.flush()
	w.s.Add(request(begin.Add(6*time.Minute), "/a", "t"))
	w.s.Add(request(begin.Add(4*time.Minute), "/a", "t"))
	w.s.Add(request(begin.Add(20*time.Minute), "/a", "t")) // nobody sees the future
	ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(30 * time.Minute), Step: time.Minute})
	if ps[10].Count != 1 || ps[6].Count != 1 || ps[4].Count != 0 || ps[20].Count != 0 || w.s.Late() != 2 {
		t.Errorf("%d late: %+v", w.s.Late(), ps)
	}
	// A source that is behind as a whole is not late.
	b := w.s.NewBatch()
	b.Add(series.Event{At: begin.Add(-2 * time.Hour), Meter: "cpu", Value: 4})
	b.Add(series.Event{At: begin.Add(-2 * time.Hour).Add(time.Minute), Meter: "cpu", Value: 4})
	if b.Len() != 2 {
		t.Errorf("of a source that is behind %d minutes count", b.Len())
	}
	// Nor is the present, after a clock that ran ahead.
	w.Clock.Advance(48 * time.Hour)
	w.s.Add(request(w.Clock.Now(), "/a", "t"))
	w.Clock.Advance(-48 * time.Hour)
	w.s.Add(request(w.Clock.Now(), "/b", "t"))
	if ps := w.ranged(series.Query{Meter: "requests", Dimension: "route", Label: "/b", From: begin, Until: begin.Add(time.Hour), Step: time.Hour}); ps[0].Count != 1 {
		t.Errorf("after the clock ran ahead nothing counts: %+v", ps)
	}
}

// A minute in which nobody was there is a gap, also where it is rolled up, and not zero; so is one
// with a hole, and one in which the clock was set.
func TestGaps(t *testing.T) {
	both(t, func(w *world) {
		begin := w.atHour()
		w.on(10 * time.Minute)
		w.flush()
		w.Clock.Advance(20 * time.Minute) // away
		w.on(10 * time.Minute)
		w.s.Lost("gate") // within minute 40
		w.on(5 * time.Minute)
		w.Clock.Advance(30 * time.Second)
		w.s.Jumped() // within minute 45
		w.on(15 * time.Minute)
		look := func() {
			w.t.Helper()
			got := ""
			for _, p := range w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(time.Hour), Step: time.Minute}) {
				if p.Gap() {
					got += "_"
				} else {
					got += "x"
				}
			}
			if want := strings.Repeat("x", 10) + strings.Repeat("_", 20) + strings.Repeat("x", 10) + "_xxxx_" + strings.Repeat("x", 14); got != want {
				w.t.Errorf("observed %s\nwant     %s", got, want)
			}
			ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(time.Hour), Step: time.Hour})
			if math.Abs(ps[0].Observed-38.0/60) > 1e-9 {
				w.t.Errorf("of the hour %v was observed", ps[0].Observed)
			}
		}
		look()
		w.flush()
		look()
		w.again()
		look()
		if ps := w.ranged(series.Query{Meter: "cpu", From: begin, Until: begin.Add(time.Hour), Step: time.Hour}); !ps[0].Gap() {
			w.t.Errorf("a source that was never there: %+v", ps)
		}
	})
}

// The 10,001st label of a meter, a long one, and what no meter takes.
func TestLabelsAreBounded(t *testing.T) {
	w := lite(t)
	for i := range 10_050 {
		w.s.Add(request(w.Clock.Now(), fmt.Sprintf("/r/%d", i), ""))
	}
	w.s.Add(request(w.Clock.Now(), "/r/3", "")) // one that is there already
	w.s.Add(series.Event{At: w.Clock.Now(), Meter: "unheard"})
	w.s.Add(series.Event{At: w.Clock.Now(), Meter: "cpu", Value: math.NaN()})
	w.s.Add(series.Event{At: w.Clock.Now(), Meter: "latency", Value: 5, Labels: []series.Label{{Dimension: "route", Value: strings.Repeat("ä", 40) + "\x00"}, {Dimension: "unheard", Value: "x"}}})
	w.Clock.Advance(time.Minute)
	w.flush()
	rows, err := w.s.Top(w.t.Context(), series.Query{Meter: "requests", Dimension: "route", From: w.Clock.Now().Add(-time.Hour), Until: w.Clock.Now()}, 2)
	must(w.t, err)
	if rows[0].Label != series.Other || rows[0].Count != 51 || rows[1].Label != "/r/3" || rows[1].Count != 2 {
		w.t.Errorf("%+v", rows)
	}
	if w.s.Overflow() != 51 || w.s.Unknown() != 2 {
		w.t.Errorf("%d had no room, %d no meter", w.s.Overflow(), w.s.Unknown())
	}
	rows, err = w.s.Top(w.t.Context(), series.Query{Meter: "latency", Dimension: "route", From: w.Clock.Now().Add(-time.Hour), Until: w.Clock.Now()}, 2)
	must(w.t, err)
	if len(rows) != 1 || rows[0].Label != strings.Repeat("ä", 32) || math.Abs(rows[0].P50-5) > 0.05 {
		w.t.Errorf("%+v", rows)
	}
	w.again() // a new process knows which labels are live
	w.flush()
	w.s.Add(request(w.Clock.Now(), "/r/new", ""))
	if w.s.Overflow() != 1 {
		w.t.Error("after a restart there is room for more")
	}
	w.Clock.Advance(25 * time.Hour) // and a day later they are not
	must(w.t, w.s.Forget(w.t.Context()))
	w.s.Add(request(w.Clock.Now(), "/r/new", ""))
	if w.s.Overflow() != 1 {
		w.t.Error("labels that nobody used for a day take room")
	}
}

// Seconds come from memory, and end after ten minutes.
func TestSeconds(t *testing.T) {
	w := lite(t)
	begin := w.atHour()
	for i := range 1000 {
		w.s.Add(request(w.Clock.Now(), fmt.Sprintf("/r/%d", i%400), "t"))
		if i%10 == 9 {
			w.s.Seen("gate")
			w.Clock.Advance(time.Second)
		}
	}
	ps := w.ranged(series.Query{Meter: "requests", From: begin.Add(20 * time.Second), Until: begin.Add(40 * time.Second), Step: 10 * time.Second})
	if len(ps) != 2 || ps[0].Count != 100 || ps[0].Observed != 1 {
		t.Errorf("%+v", ps)
	}
	w.Clock.Advance(11 * time.Minute)
	w.s.Add(request(w.Clock.Now(), "/a", "t"))
	if ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(10 * time.Second), Step: time.Second}); ps[0].Observed != 0 {
		t.Errorf("long after: %+v", ps[0])
	}
}

// A gauge has its mean and its highest value.
func TestGauge(t *testing.T) {
	w := lite(t)
	begin := w.atHour()
	for _, v := range []float64{10, 20.5, 90} {
		w.s.Add(series.Event{At: w.Clock.Now(), Meter: "cpu", Value: v, Labels: []series.Label{{Dimension: "of", Value: "x"}}})
	}
	w.s.Add(series.Event{At: w.Clock.Now(), Meter: "cpu", Value: -100, Labels: []series.Label{{Dimension: "of", Value: "y"}}})
	w.Clock.Advance(time.Minute)
	w.flush()
	p := w.ranged(series.Query{Meter: "cpu", Dimension: "of", Label: "x", From: begin, Until: begin.Add(time.Minute), Step: time.Minute})[0]
	if math.Abs(p.Value-40.1667) > 0.001 || p.High != 90 || p.Count != 3 {
		t.Errorf("%+v", p)
	}
	if p := w.ranged(series.Query{Meter: "cpu", Dimension: "of", Label: "y", From: begin, Until: begin.Add(time.Minute), Step: time.Minute})[0]; p.High != -100 {
		t.Errorf("%+v", p)
	}
}

// Rows go when their time is over, each resolution by its own.
func TestForget(t *testing.T) {
	both(t, func(w *world) {
		begin := w.atHour()
		w.on(2 * time.Minute)
		w.s.Add(request(begin, "/a", "t"))
		w.flush()
		for _, c := range []struct {
			after                time.Duration
			minutes, hours, days int64
		}{{34 * 24 * time.Hour, 1, 1, 1}, {36 * 24 * time.Hour, 0, 1, 1}, {402 * 24 * time.Hour, 0, 0, 1}, {6 * 366 * 24 * time.Hour, 0, 0, 0}} {
			w.Clock.Advance(begin.Add(c.after).Sub(w.Clock.Now()))
			must(w.t, w.s.Forget(w.t.Context()))
			for step, want := range map[time.Duration]int64{time.Minute: c.minutes, time.Hour: c.hours, 24 * time.Hour: c.days} {
				if ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(time.Minute), Step: step}); ps[0].Count != want {
					w.t.Errorf("after %s, step %s: %+v", c.after, step, ps[0])
				}
			}
		}
		var left int64
		must(w.t, ledger.One(w.t.Context(), w.DB, `SELECT (SELECT COUNT(*) FROM watch_series) + (SELECT COUNT(*) FROM watch_observed)`, []any{&left}))
		if left != 0 {
			w.t.Errorf("%d rows are left", left)
		}
	})
}

// What could not be written stays, and is written the next time.
func TestFlushFails(t *testing.T) {
	w := lite(t)
	begin := w.atHour()
	w.s.Add(request(begin, "/a", "t"))
	w.Clock.Advance(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.s.Flush(ctx); err == nil {
		t.Fatal("an ended context wrote rows")
	}
	w.s.Add(request(begin.Add(time.Second), "/a", "t"))
	w.flush()
	w.flush()
	if ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(time.Minute), Step: time.Minute}); ps[0].Count != 2 {
		t.Errorf("%+v", ps[0])
	}
}

// A history is planted and observed where it says so.
func TestHistory(t *testing.T) {
	both(t, func(w *world) {
		begin := w.atHour().Add(-30 * 24 * time.Hour)
		b := w.s.NewHistory()
		b.Add(request(begin, "/a", "t"))
		b.Add(request(begin.Add(40*time.Minute), "/a", "t"))
		b.Add(request(begin.Add(5*time.Minute), "/a", "t"))
		must(w.t, w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			if _, err := w.s.Write(w.t.Context(), tx, b); err != nil {
				return err
			}
			return w.s.Observe(w.t.Context(), tx, "gate", begin, begin.Add(45*time.Minute))
		}))
		ps := w.ranged(series.Query{Meter: "requests", From: begin, Until: begin.Add(time.Hour), Step: time.Hour})
		if ps[0].Count != 3 || ps[0].Observed != 0.75 {
			w.t.Errorf("%+v", ps[0])
		}
		var rows int
		must(w.t, w.s.Minute(w.t.Context(), begin.Add(5*time.Minute), func(r series.Row) error {
			rows++
			if r.Count != 1 || r.Meter != "requests" {
				w.t.Errorf("%+v", r)
			}
			return nil
		}))
		if rows != 3 {
			w.t.Errorf("%d series in that minute", rows)
		}
	})
}

func TestQueriesAreChecked(t *testing.T) {
	w := lite(t)
	now := w.Clock.Now()
	for name, c := range map[string]struct {
		q    series.Query
		code string
	}{
		"meter":     {series.Query{Meter: "x", From: now.Add(-1), Until: now}, "series_meter"},
		"dimension": {series.Query{Meter: "cpu", Dimension: "team", From: now.Add(-1), Until: now}, "series_dimension"},
		"span":      {series.Query{Meter: "cpu", From: now, Until: now}, "series_span"},
		"step":      {series.Query{Meter: "cpu", From: now.Add(-time.Hour), Until: now, Step: 90 * time.Second}, "series_step"},
		"points":    {series.Query{Meter: "cpu", From: now.Add(-time.Hour * 24 * 365), Until: now, Step: time.Minute}, "series_step"},
	} {
		_, err := w.s.Range(t.Context(), c.q)
		if code, _ := fault.PublicOf(err); code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	for span, most := range map[time.Duration]int{10 * time.Minute: 61, 24 * time.Hour: 150, 28 * 24 * time.Hour: 120, 5 * 365 * 24 * time.Hour: 1900} {
		if n := len(w.ranged(series.Query{Meter: "cpu", From: now.Add(-span), Until: now})); n < 50 || n > most {
			t.Errorf("%s has %d points", span, n)
		}
	}
}
