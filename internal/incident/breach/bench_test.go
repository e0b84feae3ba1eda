package breach_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"writ/internal/incident/breach"
)

// BenchmarkSet computes a set over many records of 50,000 people, all of which match.
func BenchmarkSet(b *testing.B) {
	const records, people = 1_000_000, 50_000
	in := breach.Input{Version: 1, Selector: breach.Selector{From: noon.Add(-24 * time.Hour), Until: noon},
		People: func(_ context.Context, fn func(string) error) error {
			for i := range people {
				if err := fn(fmt.Sprintf("person/%032x", i)); err != nil {
					return err
				}
			}
			return nil
		},
		Records: func(_ context.Context, fn func(*breach.Record) error) (breach.Coverage, error) {
			r := rand.New(rand.NewPCG(1, 2))
			for i := range records {
				p := r.IntN(people)
				x := breach.Record{At: noon.Add(-time.Duration(records-i) * time.Millisecond), Who: fmt.Sprintf("%032x", p), Person: true, Team: fmt.Sprintf("team-%d", p/50), Session: "s", Network: "198.51.100.0/24",
					Route: "/contacts/", Method: "GET", Status: 200, Out: 100, Resource: []string{fmt.Sprintf("contact=%d", p*3+r.IntN(3))}}
				if err := fn(&x); err != nil {
					return breach.Coverage{}, err
				}
			}
			return breach.Coverage{}, nil
		}}
	var top uint64
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if _, err := breach.Compute(b.Context(), in, func(breach.Line) error {
			if n++; n == 1 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				top = max(top, m.HeapInuse)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(top)/(1<<20), "MB-heap")
}
