package watch_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/watch"
)

// The first failure of a route is an entry, once; a route that failed lately is none, also after a
// restart, and one that did not for 35 days is again.
func TestFirstFailureOfARoute(t *testing.T) { // breaks: mon.load
	both(t, func(w *world) {
		fails := func(route string, status int) {
			w.t.Helper()
			w.s.Answered(watch.Request{At: w.Clock.Now(), Who: person("ben", "acme"), Route: route, Status: status, Took: time.Millisecond})
			must(w.t, w.s.DrainRequests(w.t.Context()))
		}
		told := func(want int) {
			w.t.Helper()
			if got := w.Recorded("watch.route-failed"); len(got) != want {
				w.t.Fatalf("%d entries, want %d: %v", len(got), want, got)
			}
		}
		fails("GET /orders", 499)
		told(0)
		fails("GET /orders", 500)
		fails("GET /orders", 503)
		told(1)
		if got := fmt.Sprint(w.Recorded("watch.route-failed")[0].Fields["route"]); got != "GET /orders" {
			w.t.Errorf("of %s", got)
		}
		w.Clock.Advance(2 * time.Minute)
		must(w.t, w.s.Series().Flush(w.t.Context()))
		w.again()
		fails("GET /orders", 500)
		told(1)
		fails("GET /people", 500)
		told(2)
		w.Clock.Advance(36 * 24 * time.Hour)
		fails("GET /orders", 500)
		told(3)
	})
}
