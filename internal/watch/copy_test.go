package watch_test

import (
	"encoding/json"
	"testing"
	"time"

	"writ/internal/watch"
	"writ/internal/watch/series"
)

// What is kept of a time is what was counted in it, whole and by label, without people and
// networks, and it stays when the series are gone.
func TestCopyOfATime(t *testing.T) { // breaks: mon.drill-down
	w := lite(t)
	from := w.Clock.Now().Truncate(time.Minute)
	w.s.Count(series.Event{At: from, Meter: "requests", N: 7, Labels: []series.Label{{Dimension: "route", Value: "/orders"}, {Dimension: "person", Value: "p:1"}, {Dimension: "kind", Value: "2xx"}}})
	w.Clock.Advance(10 * time.Minute)
	must(t, w.s.Series().Flush(t.Context()))
	b, err := w.s.Copy(t.Context(), from.Add(-time.Minute), from.Add(5*time.Minute))
	must(t, err)
	var out struct {
		Series []struct {
			View, Meter, By, Label string
			Points                 []struct {
				At    time.Time
				Count int64
			}
		}
	}
	must(t, json.Unmarshal(b, &out))
	whole, labels := int64(-1), 0
	for _, x := range out.Series {
		if x.By == "person" || x.By == "network" {
			t.Errorf("people are kept: %+v", x)
		}
		if x.Meter != "requests" || len(x.Points) != 6 {
			continue
		}
		switch {
		case x.By == "":
			whole = x.Points[1].Count
		case x.Label != "" && x.Points[1].Count == 7:
			labels++
		}
	}
	if whole != 7 || labels != 1 || len(out.Series) < len(watch.Views()) {
		t.Errorf("%d counted, %d labels, %d series", whole, labels, len(out.Series))
	}
}
