package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/watch"
	"writ/internal/watch/baseline"
	"writ/internal/watch/place"
	"writ/internal/watch/watchtest"
)

// pair is two servers over one database, each with a memory of its own.
type pair struct {
	*world
	two [2]*watch.Service
}

func newPair(w *world) *pair {
	p := &pair{world: w}
	for i := range p.two {
		p.fresh(i)
	}
	return p
}

// fresh is a new process of one of them.
func (p *pair) fresh(i int) {
	p.again()
	p.two[i] = p.s
}

func (p *pair) knows(ids ...string) {
	p.t.Helper()
	for _, id := range ids {
		_, err := p.Ring.Ensure(p.t.Context(), keyring.Person(id))
		must(p.t, err)
	}
}

func sees(ctx context.Context, s *watch.Service, now time.Time, who actor.Actor, network, agent string) error {
	s.Answered(answered(now, who, network, agent, 0, 1))
	return s.DrainRequests(ctx)
}

func (p *pair) at(i int, who actor.Actor, network, agent string) {
	p.t.Helper()
	must(p.t, sees(p.t.Context(), p.two[i], p.Clock.Now(), who, network, agent))
}

func (p *pair) keep(order ...int) {
	p.t.Helper()
	for _, i := range order {
		must(p.t, p.two[i].KeepHabits(p.t.Context()))
	}
}

// said are the entries of what was never seen, by what.
func (p *pair) said() map[string]int {
	out := map[string]int{}
	for _, e := range p.Recorded("watch.first-seen") {
		out[fmt.Sprint(e.Fields["what"])]++
	}
	return out
}

// row is what a new process knows of somebody.
func (p *pair) row(id string) baseline.Person {
	p.t.Helper()
	p.again()
	h, _, err := p.s.Habits(p.t.Context(), id)
	must(p.t, err)
	return h
}

func staff(id string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: "staff", TeamKind: "staff"}
}

// networks of a person, in order.
func networks(p baseline.Person) string {
	got := p.Networks.Known()
	slices.Sort(got)
	return strings.Join(got, " ")
}

// Two servers that see the same person lose nothing of what either has learned, and say once what was
// never seen, whatever the order in which they read and write.
func TestTwoServers(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		t := w.t
		p := newPair(w)
		eli, ben := staff("eli"), person("ben", "acme")
		p.knows("eli", "ben", "ana")
		want := func(id, known string, said map[string]int) {
			t.Helper()
			if got := p.said(); !maps.Equal(got, said) {
				t.Errorf("%s: said %v, want %v", id, got, said)
			}
			if got := networks(p.row(id)); got != known {
				t.Errorf("%s is known in %s, want %s", id, got, known)
			}
		}
		for _, who := range []actor.Actor{eli, ben} {
			p.at(0, who, "a", browsers[0])
			p.keep(0)
			p.at(1, who, "a", browsers[0])
			p.keep(1)
		}
		want("eli", "a", map[string]int{})

		// one after the other: what the one has said, the other does not, though it has read nothing since
		p.at(0, eli, "b", browsers[0])
		p.at(1, eli, "b", browsers[0])
		want("eli", "a b", map[string]int{"network": 1})
		p.at(1, eli, "c", browsers[0])
		p.at(0, eli, "c", browsers[0])
		p.keep(0, 1, 0, 1)
		want("eli", "a b c", map[string]int{"network": 2})

		// and what is not said, of a customer, is kept of both
		p.at(0, ben, "b", browsers[0])
		p.at(1, ben, "c", browsers[0])
		for i, s := range p.two { // before any of it is written
			if h, _, err := s.Habits(t.Context(), "ben"); err != nil || networks(h) != []string{"a b", "a c"}[i] {
				t.Errorf("the %dth knows of %s, %v", i, networks(h), err)
			}
		}
		p.keep(0)
		if h, _, err := p.two[1].Habits(t.Context(), "ben"); err != nil || networks(h) != "a b c" {
			t.Errorf("the copy of a person has %s, %v", networks(h), err)
		}
		p.keep(1)
		p.at(0, ben, "d", browsers[0])
		p.keep(0)
		want("ben", "a b c d", map[string]int{"network": 2})

		// somebody whom nobody has seen before, at both, before either has written
		p.at(0, staff("ana"), "x", browsers[0])
		p.at(1, staff("ana"), "y", browsers[0])
		p.keep(1, 0, 1)
		want("ana", "x y", map[string]int{"network": 3})
		p.at(1, staff("ana"), "x", browsers[0])
		p.at(0, staff("ana"), "y", browsers[0])
		want("ana", "x y", map[string]int{"network": 3})
	})
}

// What only both servers together can see of somebody is said once: places too far apart, and an
// account that several people use.
func TestTwoServersTogether(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		t := w.t
		var err error
		w.places, err = place.Load(strings.NewReader("198.51.100.0/24,NO,59.9,10.7\n203.0.113.0/24,NZ,-36.8,174.8\n"))
		must(t, err)
		p := newPair(w)
		p.knows("uma")
		uma := person("uma", "acme")
		for i := range p.two {
			p.at(i, uma, "198.51.100.0/24", browsers[0])
			p.keep(i)
		}
		p.Clock.Advance(8 * 24 * time.Hour)
		p.at(0, uma, "198.51.100.0/24", browsers[0])
		p.at(1, uma, "203.0.113.0/24", browsers[0]) // they were elsewhere, but eight days ago
		if got := p.said(); len(got) != 0 {
			t.Errorf("neither of them can know: %v", got)
		}
		p.keep(0, 1, 0, 1)
		p.at(0, uma, "203.0.113.0/24", browsers[0])
		p.at(1, uma, "198.51.100.0/24", browsers[0])
		p.keep(1, 0, 1)
		if got := p.said(); got["travel"] != 1 {
			t.Errorf("said %v, want once that they were too far apart", got)
		}

		p.Clock.Advance(time.Hour)
		p.at(0, uma, "n1", browsers[0])
		p.keep(0)
		p.at(1, uma, "n1", browsers[0])
		p.keep(1)
		p.at(0, uma, "n1", browsers[1])
		p.at(1, uma, "n2", browsers[0])
		p.keep(0)
		p.at(1, uma, "n3", browsers[0])
		p.at(0, uma, "n1", browsers[2])
		if got := p.said(); got["shared"] != 0 {
			t.Errorf("neither of them can know: %v", got)
		}
		p.keep(0, 1, 0, 1)
		if got := p.said(); got["shared"] != 1 {
			t.Errorf("said %v, want once that the account is shared", got)
		}
		p.at(0, uma, "n3", browsers[1])
		p.keep(0, 1)
		if got := p.row("uma"); len(got.Recent) != 6 {
			t.Errorf("the last half hour is kept as %+v", got.Recent)
		}
	})
}

// Whatever the order in which requests come to two servers, whichever keeps, ends or forgets when, what
// is known in the end and what was said is as with one that saw all.
func TestTwoServersAsOne(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		t := w.t
		p := newPair(w)
		for seed := range uint64(6) {
			r := rand.New(rand.NewPCG(seed, 9))
			truth, told := map[string]*baseline.Person{}, 0
			before := len(p.Recorded("watch.first-seen"))
			see := func(i int, id string, network, agent int) {
				x := baseline.Sight{Network: fmt.Sprintf("10.0.%d.0/24", network), Agent: watch.Family(browsers[agent]), Route: "/orders/{id}"}
				n := truth[id].See(p.Clock.Now(), x, true, time.UTC)
				if tells(n) {
					told++
				}
				p.at(i, staff(id), x.Network, browsers[agent])
			}
			for i := range p.two {
				p.fresh(i)
				p.two[i].Crowd(2)
			}
			for k := range 4 {
				id := fmt.Sprint("s", seed, "-", k)
				p.knows(id)
				truth[id] = &baseline.Person{}
				see(k%2, id, 0, 0)
			}
			p.keep(0, 1)
			for range 150 {
				i := r.IntN(2)
				switch r.IntN(12) {
				case 0:
					p.keep(i)
				case 1:
					p.keep(i)
					p.fresh(i)
					p.two[i].Crowd(2)
				case 2: // a minute is over, and more
					p.keep(i, 1-i)
					p.Clock.Advance(time.Duration(r.IntN(90)) * time.Minute)
				default:
					see(i, fmt.Sprint("s", seed, "-", r.IntN(4)), r.IntN(12), r.IntN(2))
				}
			}
			p.keep(0, 1)
			for id, x := range truth {
				if got, want := inOrder(t, p.row(id)), inOrder(t, *x); got != want {
					t.Errorf("seed %d: %s is known as\n%s, by one that saw all as\n%s", seed, id, got, want)
				}
			}
			if got := len(p.Recorded("watch.first-seen")) - before; got != told || told < 20 {
				t.Errorf("seed %d: %d entries, want %d", seed, got, told)
			}
		}
	})
}

// inOrder is all of a person that does not hang on who saw the last half hour.
func inOrder(t *testing.T, p baseline.Person) string {
	t.Helper()
	p.Recent = nil
	for _, s := range []*baseline.Set{&p.Networks, &p.Agents, &p.Routes} {
		slices.SortFunc(s.Values, func(a, b baseline.Value) int { return strings.Compare(a.V, b.V) })
	}
	b, err := json.Marshal(p)
	must(t, err)
	return string(b)
}

// Both see the same for the first time at the same moment, while they write what they know: one of
// them says it, and nothing is lost.
func TestTwoServersAtOnce(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		t := w.t
		p := newPair(w)
		const rounds, people = 12, 3
		for k := range people {
			p.knows(fmt.Sprint("q", k))
			for i := range p.two {
				p.at(i, staff(fmt.Sprint("q", k)), "10.9.9.0/24", browsers[0])
				p.keep(i)
			}
		}
		for n := range rounds {
			var all sync.WaitGroup
			errs := make(chan error, 64)
			for i, s := range p.two {
				all.Go(func() {
					for k := range people {
						id := fmt.Sprint("q", (k+i)%people)
						errs <- sees(t.Context(), s, p.Clock.Now(), staff(id), fmt.Sprintf("10.0.%d.0/24", n), browsers[0])
						errs <- sees(t.Context(), s, p.Clock.Now(), staff(id), fmt.Sprintf("10.%d.%d.0/24", i+1, n), browsers[0]) // and one that the other never sees
					}
				})
				all.Go(func() { errs <- s.KeepHabits(t.Context()) })
			}
			all.Wait()
			close(errs)
			for err := range errs {
				must(t, err)
			}
		}
		p.keep(0, 1)
		if got := p.said(); got["network"] != 3*rounds*people || len(got) != 1 {
			t.Errorf("said %v, want %d networks", got, 3*rounds*people)
		}
		for k := range people {
			if got := len(p.row(fmt.Sprint("q", k)).Networks.Values); got != 1+3*rounds {
				t.Errorf("%d networks are known of the %dth, want %d", got, k, 1+3*rounds)
			}
		}
	})
}

// newSeamed is two servers over PostgreSQL, and what is done before the next writing of habits: within an
// open change, which on SQLite keeps all others waiting.
func newSeamed(t *testing.T) (*pair, *func()) {
	var between func()
	k := ledgertest.With(t, "postgres", func(c *ledger.Config) {
		c.Seam.Statement = func(q string) error {
			if strings.Contains(q, "INTO watch_principal") && between != nil {
				do, done := between, make(chan struct{})
				between = nil
				go func() { defer close(done); do() }()
				<-done
			}
			return nil
		}
	}, watchtest.Tables()...)
	return newPair(open(t, k)), &between
}

// The worst moment: the one has made its row, and the other writes before it does.
func TestBetweenSealAndWrite(t *testing.T) { // breaks: mon.abnormal
	p, between := newSeamed(t)
	p.knows("eli", "ben")
	for i := range p.two {
		p.at(i, staff("eli"), "a", browsers[0])
		p.at(i, person("ben", "acme"), "a", browsers[0])
		p.keep(i)
	}
	var failed error
	other := func(who actor.Actor, networks ...string) func() {
		return func() {
			for _, n := range networks {
				failed = errors.Join(failed, sees(t.Context(), p.two[1], p.Clock.Now(), who, n, browsers[0]))
			}
			failed = errors.Join(failed, p.two[1].KeepHabits(t.Context()))
		}
	}
	*between = other(staff("eli"), "b") // the same: said by the other
	p.at(0, staff("eli"), "b", browsers[0])
	*between = other(staff("eli"), "c", "d")
	p.at(0, staff("eli"), "e", browsers[0])
	*between = other(person("ben", "acme"), "b")
	p.at(0, person("ben", "acme"), "c", browsers[0])
	p.keep(0)
	if must(t, failed); *between != nil {
		t.Fatal("nothing came between")
	}
	if got := p.said(); got["network"] != 4 || len(got) != 1 {
		t.Errorf("said %v, want four networks", got)
	}
	for id, want := range map[string]string{"eli": "a b c d e", "ben": "a b c"} {
		if got := networks(p.row(id)); got != want {
			t.Errorf("%s is known in %s, want %s", id, got, want)
		}
	}
}

// Something new is seen of somebody while their row is being written, and the other server has written it
// meanwhile: it is not written without its entry, and not said where the other has.
func TestSeenWhileWritten(t *testing.T) { // breaks: mon.abnormal
	for theirs, want := range map[string]string{"b": "1: a b", "c": "2: a b c"} {
		t.Run(theirs, func(t *testing.T) {
			p, between := newSeamed(t)
			p.knows("eli")
			for i := range p.two {
				p.at(i, staff("eli"), "a", browsers[0])
				p.keep(i)
			}
			p.at(0, staff("eli"), "a", browsers[0])
			mine, other := make(chan error, 1), make(chan error, 1)
			*between = func() {
				other <- sees(t.Context(), p.two[1], p.Clock.Now(), staff("eli"), theirs, browsers[0])
				go func() { mine <- sees(t.Context(), p.two[0], p.Clock.Now(), staff("eli"), "b", browsers[0]) }()
				for end := time.Now().Add(30 * time.Second); !p.two[0].Held("eli") && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
			}
			p.keep(0)
			must(t, <-other)
			must(t, <-mine)
			p.keep(0, 1)
			if got := fmt.Sprint(p.said()["network"], ": ", networks(p.row("eli"))); got != want {
				t.Errorf("entries, and networks: %s, want %s", got, want)
			}
		})
	}
}

// Whoever was forgotten and came again has a row that is later than any before, so that a server
// that remembers the one before does not take it for what it has read.
func TestBeginsAnew(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		t := w.t
		p := newPair(w)
		p.knows("ben")
		ben := person("ben", "acme")
		for _, n := range []string{"a", "b"} { // two writings
			p.at(0, ben, n, browsers[0])
			p.keep(0)
		}
		p.Clock.Advance(91 * 24 * time.Hour)
		must(t, p.two[1].Sample(t.Context()))
		if got := p.row("ben"); got.First != 0 {
			t.Fatalf("not forgotten: %+v", got)
		}
		for _, n := range []string{"c", "d"} {
			p.at(1, ben, n, browsers[0])
			p.keep(1)
		}
		p.at(0, ben, "e", browsers[0])
		p.keep(0)
		if got := networks(p.row("ben")); got != "c d e" {
			t.Errorf("known in %s", got)
		}
	})
}
