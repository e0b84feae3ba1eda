package watch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/watch"
	"writ/internal/watch/baseline"
	"writ/internal/watch/series"
	"writ/internal/watch/watchtest"
)

// mortal is a world whose process dies at the nth statement from when left was set; all after it
// fail too, until there is a new one.
type mortal struct {
	*world
	left atomic.Int64 // 0 = it lives on
	dead atomic.Bool
}

var errDied = errors.New("the process died")

func newMortal(t *testing.T) *mortal {
	m := &mortal{}
	k := ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		ask := func() error {
			if m.left.Load() > 0 && m.left.Add(-1) == 0 {
				m.dead.Store(true)
			}
			if m.dead.Load() {
				return errDied
			}
			return nil
		}
		c.Seam.Statement, c.Seam.Commit = func(string) error { return ask() }, ask
	}, watchtest.Tables()...)
	m.world = open(t, k)
	return m
}

// revive is a new process, which has nothing of what the one before had in memory.
func (m *mortal) revive() {
	m.left.Store(0)
	m.dead.Store(false)
	m.again()
}

// sightings is what is true of one person: how they are known after each sight.
type sightings struct {
	states [][]byte
	person *baseline.Person
	least  int // the newest state that must be there after a crash
}

func (x *sightings) note(t *testing.T) {
	b, err := x.person.MarshalBinary()
	must(t, err)
	x.states = append(x.states, b)
}

// Whenever the process dies, what is known of each person is what was known of them at some moment
// since the last checkpoint, whole, and not older than the last entry about them; from there on it
// is as if the sights that were lost had never been. Memory holds two of five people meanwhile.
func TestHabitsSurvive(t *testing.T) { // breaks: mon.abnormal
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newMortal(t)
			w.s.Crowd(2)
			truth := map[string]*sightings{}
			for i := range 5 {
				id := fmt.Sprint("p", i)
				_, err := w.Ring.Ensure(t.Context(), keyring.Person(id))
				must(t, err)
				truth[id] = &sightings{person: &baseline.Person{}}
				truth[id].note(t)
			}
			told, deaths := 0, 0
			news := func() int { return len(w.Recorded("watch.first-seen")) }
			// back compares with the truth after a crash, and forgets there what was lost.
			back := func() {
				deaths++
				w.revive()
				w.s.Crowd(2)
				if got := news(); got < told {
					t.Fatalf("%d entries are left of %d", got, told)
				}
				for id, x := range truth {
					p, _, err := w.s.Habits(t.Context(), id)
					must(t, err)
					b, err := p.MarshalBinary()
					must(t, err)
					i := len(x.states) - 1
					for i >= x.least && !bytes.Equal(x.states[i], b) {
						i--
					}
					if i < x.least {
						t.Fatalf("%s is known as %s; the oldest that may be is\n%s\nof %d, the newest\n%s", id, b, x.states[x.least], len(x.states), x.states[len(x.states)-1])
					}
					x.states, x.least = x.states[:i+1], i
					*x.person = baseline.Person{}
					must(t, x.person.UnmarshalBinary(b))
				}
			}
			for range 400 {
				if w.left.Load() == 0 && r.IntN(8) == 0 {
					w.left.Store(1 + r.Int64N(12))
				}
				if r.IntN(6) == 0 {
					w.Clock.Advance(time.Duration(r.IntN(30*60)) * time.Minute)
					if w.s.KeepHabits(t.Context()) != nil {
						back()
						continue
					}
					for _, x := range truth {
						x.least = len(x.states) - 1
					}
					continue
				}
				id := fmt.Sprint("p", r.IntN(5))
				x := truth[id]
				who := actor.Actor{Kind: actor.Person, ID: id, Team: "staff", TeamKind: "staff"}
				network, agent := fmt.Sprintf("10.0.%d.0/24", r.IntN(9)), browsers[r.IntN(len(browsers))]
				before := *x.person
				was, err := before.MarshalBinary()
				must(t, err)
				req := answered(w.Clock.Now(), who, network, agent, 0, 1)
				n := x.person.See(req.At, baseline.Sight{Network: network, Agent: watch.Family(agent), Route: req.Route}, true, time.UTC)
				x.note(t)
				had := news()
				w.s.Answered(req)
				err = w.s.DrainRequests(t.Context())
				got := news() - had
				switch {
				case err != nil && !w.dead.Load():
					t.Fatal(err)
				case err == nil && (got == 1) != tells(n):
					t.Fatalf("%+v of %s gave %d entries", n, was, got)
				case got == 1: // whatever came after it: it is told, and never again
					x.least = len(x.states) - 1
				}
				told += got
				if err != nil {
					back()
				}
			}
			if deaths < 10 || told < 20 {
				t.Fatalf("%d deaths, %d entries: too few to tell", deaths, told)
			}
		})
	}
}

// tells reports whether an entry comes of what is new about one of staff.
func tells(n baseline.News) bool { return n.Shared || n.Network || n.Agent || n.Hour }

// A process that ends in order keeps what came a moment before: the requests of the minute that is
// running, and the habits of whoever sent them. The next one adds to it.
func TestEndsInOrder(t *testing.T) { // breaks: mon.abnormal
	w := lite(t)
	_, err := w.Ring.Ensure(t.Context(), keyring.Person("ben"))
	must(t, err)
	for n := range 2 {
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.s.Run(ctx) }()
		w.s.Answered(answered(w.Clock.Now(), person("ben", "acme"), fmt.Sprintf("10.0.%d.0/24", n), browsers[0], 3, 1000))
		end()
		must(t, <-done)
		w.again()
		if got := w.total("requests", "", ""); got.Count != int64(n+1) {
			t.Errorf("after %d ends %d requests are counted", n+1, got.Count)
		}
		p, found, err := w.s.Habits(t.Context(), "ben")
		if err != nil || !found || len(p.Networks.Values) != n+1 {
			t.Errorf("after %d ends the habits are %+v, %v", n+1, p, err)
		}
	}
}

// table is what a query reads, as text.
func (w *world) table(query string, columns int) (out []string) {
	w.t.Helper()
	must(w.t, w.DB.Each(w.t.Context(), query, func(scan ledger.Scan) error {
		row, at := make([]any, columns), make([]any, columns)
		for i := range row {
			at[i] = &row[i]
		}
		err := scan(at...)
		out = append(out, fmt.Sprintf("%x", row))
		return err
	}))
	return out
}

// Whenever the process dies, and however often, what is learned from the minutes of the series is
// the same in the end as without: no minute is missing, and none counts twice.
func TestUsualSurvives(t *testing.T) { // breaks: mon.abnormal
	const hours = 7
	var want []string
	for seed := range uint64(5) { // the first one lives on
		w, r := newMortal(t), rand.New(rand.NewPCG(seed, 2))
		from := w.Clock.Now().Truncate(time.Hour).Add(time.Hour)
		w.Clock.Set(from)
		w.again()
		b, of := w.s.Series().NewHistory(), rand.New(rand.NewPCG(7, 7))
		for m := from; m.Before(from.Add(hours * time.Hour)); m = m.Add(time.Minute) {
			b.Add(series.Event{At: m, Meter: "requests", N: 50 + of.Int64N(50), Labels: []series.Label{{Dimension: "route", Value: fmt.Sprintf("/r%d", of.IntN(3))}}})
			if of.IntN(9) == 0 {
				b.Add(series.Event{At: m, Meter: "records", N: 1 + of.Int64N(200), Labels: []series.Label{{Dimension: "person", Value: fmt.Sprintf("p:%d", of.IntN(4))}}})
			}
		}
		w.plant(b, from, from.Add(hours*time.Hour))
		deaths := 0
		for end := from.Add(hours*time.Hour + 6*time.Minute); w.Clock.Now().Before(end); {
			w.Clock.Advance(min(time.Duration(1+r.IntN(20))*time.Minute, end.Sub(w.Clock.Now())))
			if seed > 0 && r.IntN(2) == 0 {
				w.left.Store(1 + r.Int64N(12))
			}
			for w.s.Compare(t.Context()) != nil {
				if !w.dead.Load() {
					t.Fatal("not learned, though nothing died")
				}
				deaths++
				w.revive()
			}
			if w.left.Store(0); seed > 0 && r.IntN(2) == 0 { // between two of them
				deaths++
				w.revive()
			}
		}
		got := append(w.table(`SELECT meter, dimension, label, box FROM watch_baseline ORDER BY meter, dimension, label`, 4), w.table(`SELECT minute FROM watch_learned`, 1)...)
		if seed == 0 {
			if want = got; len(want) < 8 {
				t.Fatalf("learned only %s", want)
			}
			continue
		}
		if deaths < 5 {
			t.Fatalf("%d deaths: too few to tell", deaths)
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %d deaths other things are known: %d rows, want %d", deaths, len(got), len(want))
		}
	}
}

// A restart does not halve what somebody takes in an hour: what they had before counts on, of this
// hour and of the one before.
func TestHourGoesOn(t *testing.T) { // breaks: mon.abnormal
	for name, before := range map[string]time.Duration{"this hour": 10 * time.Minute, "the hour before": -2 * time.Minute} {
		w := lite(t)
		w.learn(15)
		reads := func(n int64) series.Event {
			return series.Event{Meter: "secret-reads", N: n, Labels: []series.Label{{Dimension: "person", Value: "machine/deploy"}}}
		}
		for range 14 {
			w.minute(rate(w.Clock.Now()), reads(25))
			w.Clock.Advance(time.Hour)
		}
		w.Clock.Set(w.Clock.Now().Truncate(time.Hour).Add(time.Hour + before))
		w.minute(rate(w.Clock.Now()), reads(60))
		if as := w.alarms("secret-read-anomaly"); len(as) != 0 {
			t.Fatalf("%s: too early: %+v", name, as)
		}
		w.again()
		w.minute(rate(w.Clock.Now()))
		w.minute(rate(w.Clock.Now()), reads(60))
		if as := w.alarms("secret-read-anomaly"); len(as) != 1 {
			t.Errorf("%s: 120 in an hour with a restart between them: %+v", name, as)
		}
	}
}

// What is new about somebody while nothing can be recorded is new still when it can.
func TestNewsWaits(t *testing.T) { // breaks: mon.abnormal
	w := newMortal(t)
	_, err := w.Ring.Ensure(t.Context(), keyring.Person("eli"))
	must(t, err)
	eli := actor.Actor{Kind: actor.Person, ID: "eli", Team: "staff", TeamKind: "staff"}
	see := func(network string) error {
		w.s.Answered(answered(w.Clock.Now(), eli, network, browsers[0], 0, 1))
		return w.s.DrainRequests(t.Context())
	}
	must(t, see("10.0.1.0/24"))
	must(t, w.s.KeepHabits(t.Context()))
	w.left.Store(1)
	if see("10.0.2.0/24") == nil {
		t.Fatal("recorded, though nothing could be")
	}
	must(t, w.s.KeepHabits(t.Context()))
	w.dead.Store(false)
	for range 2 {
		must(t, see("10.0.2.0/24"))
	}
	if es := w.Recorded("watch.first-seen"); len(es) != 1 {
		t.Errorf("%d entries of one new network", len(es))
	}
}
