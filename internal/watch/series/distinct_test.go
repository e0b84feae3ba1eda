package series_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"writ/internal/watch/series"
)

// What is different in merged parts is what is different in all of them together, within the bound.
func TestDistinctMerges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 12 {
		var whole, merged series.Distinct
		all := map[string]bool{}
		for range 1 + r.IntN(5) {
			var part series.Distinct
			for range r.IntN(30_000) {
				thing := fmt.Sprint("p:", r.IntN(40_000))
				part.Add(thing)
				whole.Add(thing)
				all[thing] = true
			}
			b, err := part.MarshalBinary()
			must(t, err)
			var back series.Distinct
			must(t, back.UnmarshalBinary(b))
			must(t, merged.Merge(&back))
		}
		if got := float64(merged.Count()); math.Abs(got-float64(len(all))) > 0.03*float64(len(all)) {
			t.Errorf("%v different things of %d", got, len(all))
		}
		if a, b := float64(merged.Count()), float64(whole.Count()); math.Abs(a-b) > 0.01*b {
			t.Errorf("%v in merged parts, %v in the whole", a, b)
		}
	}
}

// Bytes that are no such count are refused, and nothing else happens.
func FuzzDistinct(f *testing.F) {
	var d series.Distinct
	for i := range 100 {
		d.Add(fmt.Sprint(i))
	}
	b, err := d.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{2, 14, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d series.Distinct
		if d.UnmarshalBinary(b) == nil {
			if n := d.Count(); n < 0 {
				t.Fatalf("%d", n)
			}
		}
	})
}

// Who came in two minutes counts once in the hour of both; a flush that comes again to the same minute adds
// only whom it had not.
func TestUnionRollsUp(t *testing.T) {
	both(t, func(w *world) {
		for minute := range 3 {
			for i := range 10 {
				w.s.Add(series.Event{At: w.Clock.Now(), Meter: "people", Thing: fmt.Sprint("p:", i+5*minute)})
			}
			w.on(time.Minute)
			w.flush()
		}
		w.s.Add(series.Event{At: w.Clock.Now().Add(-time.Minute), Meter: "people", Thing: "p:10"})
		w.s.Add(series.Event{At: w.Clock.Now(), Meter: "people"}) // nobody: counts nothing
		w.flush()
		w.again()
		now := w.Clock.Now()
		for step, want := range map[time.Duration]float64{time.Minute: 10, time.Hour: 20, 24 * time.Hour: 20} {
			most := 0.0
			for _, p := range w.ranged(series.Query{Meter: "people", From: now.Add(-24 * time.Hour), Until: now.Add(24 * time.Hour), Step: step}) {
				most = max(most, p.Value)
			}
			if most != want {
				w.t.Errorf("%v different people in a step of %v, want %v", most, step, want)
			}
		}
	})
}
