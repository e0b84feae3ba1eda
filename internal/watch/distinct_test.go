package watch_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/watch"
)

// People, teams and networks of requests are counted once each, in any span; the views of each show it.
func TestDifferentPeople(t *testing.T) { // breaks: mon.drill-down
	both(t, func(w *world) {
		begin := w.Clock.Now()
		for minute := range 3 {
			for i := range 6 {
				w.s.Answered(watch.Request{At: w.Clock.Now(), Who: person(fmt.Sprint("p", i+minute), fmt.Sprint("team", i%2)), Route: "/orders", Status: 200, Took: time.Millisecond})
			}
			must(w.t, w.s.DrainRequests(w.t.Context()))
			w.Clock.Advance(time.Minute)
			must(w.t, w.s.Series().Flush(w.t.Context()))
		}
		for meter, want := range map[string]float64{"people.different": 8, "teams.different": 2, "networks.different": 0} {
			a, err := w.s.Look(w.t.Context(), engineer, watch.Question{Meter: meter, From: begin.Add(-24 * time.Hour), Until: w.Clock.Now().Add(time.Minute), Step: 24 * time.Hour})
			must(w.t, err)
			most := 0.0
			for _, p := range a.Points {
				most = max(most, p.Value)
			}
			if most != want {
				w.t.Errorf("%s: %v, want %v", meter, most, want)
			}
		}
		for id, meter := range map[string]string{"people": "people.different", "teams": "teams.different", "networks": "networks.different"} {
			if v, _ := watch.ViewOf(id); v.Meters[len(v.Meters)-1] != meter {
				w.t.Errorf("the view of %s shows %v", id, v.Meters)
			}
		}
	})
}
