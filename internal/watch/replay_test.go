package watch_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/watch"
)

// eventful is a random history in which most rules of the pack have something to say.
func eventful(w *world, rnd *rand.Rand) (past []journal.Entry) {
	pack, start := watch.Pack(), w.Clock.Now()
	for len(past) < 300 {
		es, _ := watch.FiredBy(&pack[rnd.IntN(len(pack))])
		past = append(past, es[:min(len(es), 1+rnd.IntN(12))]...)
	}
	for i := range past {
		e := &past[i]
		e.N, e.At, e.Happened = int64(1000+i+i/50), start, start.Add(time.Duration(i)*700*time.Millisecond) // some numbers are nobody's
	}
	return past
}

// all is what the rules of the pack keep of what they saw.
func (w *world) all() []string {
	w.t.Helper()
	var out []string
	for _, q := range []string{
		`SELECT 'alarm ' || rule || ' ' || labels || ' ' || state || ' ' || value || ' ' || CAST(count AS TEXT) FROM watch_alarm`,
		`SELECT 'evidence ' || a.rule || ' ' || a.labels || ' ' || CAST(e.n AS TEXT) FROM watch_alarm a JOIN watch_evidence e ON e.alarm = a.id`,
		`SELECT 'count ' || rule || ' ' || who || ' ' || CAST(minute AS TEXT) || ' ' || CAST(n AS TEXT) FROM watch_count`,
		`SELECT 'series ' || s.meter || ' ' || s.dimension || ' ' || s.label || ' ' || CAST(m.at AS TEXT) || ' ' || CAST(m.n AS TEXT) || ' ' || CAST(m.sum AS TEXT) FROM watch_series_1m m JOIN watch_series s ON s.id = m.series`,
	} {
		must(w.t, w.DB.Each(w.t.Context(), q, func(scan ledger.Scan) error {
			var line string
			err := scan(&line)
			out = append(out, line)
			return err
		}))
	}
	slices.Sort(out)
	return out
}

// unseen makes it as if nothing had been seen, to a new process.
func (w *world) unseen() {
	w.t.Helper()
	for _, table := range strings.Fields("watch_alarm watch_alarm_event watch_evidence watch_count watch_series_1m watch_series_1h watch_series_1d") {
		w.quiet("DELETE FROM " + table)
	}
	w.quiet(`UPDATE watch_cursor SET n = 0`)
	w.again()
}

// From whatever number the journal brings its entries, however it cuts them, and whatever it brings
// again, to new processes too and to two nodes at once: what the rules have seen in the end is the same.
func TestReplayIsTheSame(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		t := w.t
		must(t, w.s.Follow(t.Context(), nil)) // there is a cursor
		for seed := range uint64(3) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			past := eventful(w, rnd)
			w.unseen()
			must(t, w.s.Follow(t.Context(), past))
			want := w.all()
			if len(want) < 100 {
				t.Fatalf("the history is too quiet: %v", want)
			}
			check := func(how string) {
				t.Helper()
				if got := w.all(); !slices.Equal(got, want) {
					t.Errorf("seed %d, %s: too much\n%s\ntoo little\n%s", seed, how, without(got, want), without(want, got))
				}
			}

			w.unseen()
			for to := 0; to < len(past); {
				from := rnd.IntN(to + 1)
				to = min(len(past), to+1+rnd.IntN(40))
				if rnd.IntN(4) == 0 {
					w.again()
				}
				must(t, w.s.Follow(t.Context(), past[from:to]))
			}
			check("again from any number")

			w.unseen()
			one := w.s
			w.again()
			for to := 0; to < len(past); {
				from := to
				to = min(len(past), to+2+rnd.IntN(40))
				var nodes sync.WaitGroup
				for _, n := range []struct {
					s  *watch.Service
					to int
				}{{one, to}, {w.s, from + (to-from)/2}} {
					nodes.Go(func() {
						for { // as the journal does
							err := n.s.Follow(t.Context(), past[from:n.to])
							if err == nil {
								return
							}
							if fault.KindOf(err) != fault.Conflict {
								t.Error(err)
								return
							}
						}
					})
				}
				nodes.Wait()
			}
			check("by two nodes at once")
		}
	})
}

// without are the first lines that others have not.
func without(lines, others []string) string {
	var out []string
	for _, l := range lines {
		if !slices.Contains(others, l) && len(out) < 5 {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
