package incident_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/incident/breach"
)

// BenchmarkLetters makes and sends letters to 2,000 people, each with its rows and its entry,
// by a mail host that answers at once.
func BenchmarkLetters(b *testing.B) {
	const people = 2000
	for b.Loop() {
		b.StopTimer()
		w := open(b)
		now := w.kit.Clock.Now()
		for i := range people {
			w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: fmt.Sprint("p", i), Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
		}
		w.breached()
		w.scoped("I-1")
		b.StartTimer()
		w.notifying("I-1")
		w.svc.PerHost = 1 << 40 // unpaced
		for w.exposure("I-1").Letters["accepted"] < people {
			for range 20 {
				if err := w.svc.TendLetters(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.ReportMetric(people*float64(b.N)/b.Elapsed().Hours(), "letters/h")
}
