package trail_test

import (
	"fmt"
	"os"
	"testing"

	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
)

// Each record is shown once and in its order, whether it was written meanwhile, is written at
// that moment, or cannot be written for a while.
func TestEachRecordIsSeenOnce(t *testing.T) { // breaks: mon.load
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	var seen []string
	w.Trail.Seen = func(r *trail.Record) { seen = append(seen, r.Route) }
	n := 0
	ask := func(some int) {
		for range some {
			n++
			w.ask(person("ana"), "GET", fmt.Sprint("/", n), 200)
		}
	}
	is := func(when string) {
		t.Helper()
		for i := range max(n, len(seen)) {
			if i >= n || i >= len(seen) || seen[i] != fmt.Sprint("/", i+1) {
				t.Fatalf("%s: of %d were seen %v", when, n, seen)
			}
		}
	}
	ask(3)
	w.Tell()
	is("before they are written")
	ask(2)
	w.must(w.Flush(t.Context()))
	is("as they are written")
	w.must(w.Close(t.Context()))
	aside := w.dir + ".aside"
	w.must(os.Rename(w.dir, aside))
	ask(2)
	w.Tell()
	ask(1)
	if err := w.Flush(t.Context()); err == nil {
		t.Fatal("records were written to a folder that is away")
	}
	is("while they cannot be written")
	ask(2)
	w.Tell()
	is("with others that wait")
	w.must(os.Rename(aside, w.dir))
	w.must(w.Flush(t.Context()))
	w.Tell()
	is("after all were written")
	if got := len(w.find(trail.Query{})); got != n {
		t.Errorf("%d of %d records", got, n)
	}
}
