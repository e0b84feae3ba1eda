package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// Request is one that the gate answered, without what it asked for.
type Request struct {
	At      time.Time
	Who     actor.Actor
	Network string // as strangers are told apart: 203.0.113.0/24
	Agent   string // the header; only its family is kept
	Route   string // the pattern
	Status  int
	Refused bool // by the gate itself
	Took    time.Duration
	In, Out int64 // bytes; -1 = not known
	Records int   // of the application, named by the path
}

const (
	mostWaiting = 65_536
	drainEvery  = 250 * time.Millisecond
)

// inlet takes requests from whoever answers them, and lets nobody wait.
type inlet struct {
	mu      sync.Mutex
	waiting []Request
	spare   []Request
	lost    atomic.Int64

	failed  map[string]time.Time // route → when it last answered 500 or above; of the drainer alone; nil = not read yet
	names   map[string]string    // person, or month and network → pseudonym; of the drainer alone
	keyless time.Time            // until when nobody asks again for a month's key that is not there yet
}

const mostNames = 65_536 // that are remembered

// Answered notes a request. It costs a copy; what finds no room is lost to watch alone, and that is
// an entry.
func (s *Service) Answered(r Request) { // clause: mon.abnormal
	s.meter.Note(r.Status, r.Took)
	in := &s.inlet
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) >= mostWaiting {
		in.lost.Add(1)
		return
	}
	in.waiting = append(in.waiting, r)
}

// Count notes something else that a meter counts.
func (s *Service) Count(e series.Event) { s.series.Add(e) }

// Series are the measurements.
func (s *Service) Series() *series.Service { return s.series }

// drain counts the requests that wait. It is for one goroutine.
func (s *Service) drain(ctx context.Context) error {
	in := &s.inlet
	in.mu.Lock()
	rs := in.waiting
	in.waiting, in.spare = in.spare[:0], nil
	in.mu.Unlock()
	var errs []error
	for i := range rs {
		s.countRequest(ctx, &rs[i])
		if err := errors.Join(s.see(ctx, &rs[i]), s.seeFailure(ctx, &rs[i])); err != nil && len(errs) < 3 {
			errs = append(errs, err)
		}
	}
	clear(rs)
	if cap(rs) > 4096 { // after a burst
		rs = nil
	}
	in.spare = rs[:0]
	return errors.Join(append(errs, s.tellLost(ctx))...)
}

// The memory of routes that fail.
const (
	failsFor   = 35 * 24 * time.Hour
	mostFailed = 10_000 // more are not told apart
)

// seeFailure makes an entry of a route that fails for the first time in 35 days.
func (s *Service) seeFailure(ctx context.Context, r *Request) error { // clause: mon.load
	if r.Status < 500 || r.Route == "" {
		return nil
	}
	in, route := &s.inlet, series.Kept(r.Route)
	if in.failed == nil {
		known := map[string]time.Time{}
		if err := s.DB.Each(ctx, failedRoutes, func(scan ledger.Scan) error {
			var label string
			var last int64
			err := scan(&label, &last)
			known[label] = at(last)
			return err
		}, "requests.failed", byRoute); err != nil {
			return fmt.Errorf("read which routes failed: %w", err)
		}
		in.failed = known
	}
	last, ok := in.failed[route]
	if !ok && len(in.failed) >= mostFailed {
		return nil
	}
	if ok && r.At.Sub(last) < failsFor {
		in.failed[route] = r.At
		return nil
	}
	if _, err := s.DB.Change(ctx, system, func(*ledger.Tx) (ledger.Event, error) { return RouteFailed{Route: route, Status: int64(r.Status)}, nil }); err != nil {
		return fmt.Errorf("record that a route fails: %w", err)
	}
	in.failed[route] = r.At
	return nil
}

const failedRoutes = `SELECT label, seen FROM watch_series WHERE meter = $1 AND dimension = $2`

// tellLost makes an entry of what found no room.
func (s *Service) tellLost(ctx context.Context) error {
	n := s.inlet.lost.Swap(0)
	if n == 0 {
		return nil
	}
	s.series.Lost(gate)
	_, err := s.DB.Change(ctx, system, func(*ledger.Tx) (ledger.Event, error) { return EventsDropped{Source: gate, Count: n}, nil })
	if err != nil {
		s.inlet.lost.Add(n)
		return fmt.Errorf("record that %d requests were not counted: %w", n, err)
	}
	return nil
}

// differentOf are the meters that count each of a dimension once.
var differentOf = map[string]string{byPerson: "people.different", byNetwork: "networks.different", byTeam: "teams.different"}

func (s *Service) countRequest(ctx context.Context, r *Request) {
	labels := make([]series.Label, 0, 6)
	put := func(dimension, v string) {
		if v != "" {
			labels = append(labels, series.Label{Dimension: dimension, Value: v})
		}
	}
	put(byRoute, r.Route)
	put(byTeam, r.Who.Team)
	put(byPerson, s.nameOf(&r.Who))
	put(byNetwork, s.networkOf(ctx, r))
	put(byAgent, family(r.Agent))
	put(byKind, class(r.Status))
	add := func(meter string, n int64, v float64) {
		s.series.Add(series.Event{At: r.At, Meter: meter, N: n, Value: v, Labels: labels})
	}
	add("requests", 1, 0)
	for _, l := range labels {
		if meter := differentOf[l.Dimension]; meter != "" {
			s.series.Add(series.Event{At: r.At, Meter: meter, Thing: l.Value})
		}
	}
	if r.Refused {
		add("requests.refused", 1, 0)
	}
	if r.Status >= 500 {
		add("requests.failed", 1, 0)
	}
	if r.Took > 0 {
		add("latency", 1, float64(r.Took.Microseconds()))
	}
	if r.Out >= 0 {
		add("bytes.out", 1, float64(r.Out))
	}
	if r.In >= 0 {
		add("bytes.in", 1, float64(r.In))
	}
	if r.Records > 0 && r.Status < 400 {
		add("records", int64(r.Records), 0)
	}
}

// nameOf is how access records name whoever asked.
func (s *Service) nameOf(who *actor.Actor) string {
	switch who.Kind {
	case actor.Machine:
		return who.ID
	case actor.Person, actor.Support, actor.Enrolling, actor.Agreeing, actor.BreakGlass:
		return s.remembered("person/"+who.ID, func() string { return s.Keys.Pseudonym(keyring.Person(who.ID)) })
	}
	return ""
}

func (s *Service) remembered(name string, find func() string) string {
	names := s.inlet.names
	p, ok := names[name]
	if !ok {
		if p = find(); p == "" {
			return ""
		}
		if len(names) >= mostNames {
			clear(names)
		}
		names[name] = p
	}
	return p
}

// networkOf is how the journal names a network this month; "" before anybody had an entry in it.
func (s *Service) networkOf(ctx context.Context, r *Request) string {
	if r.Network == "" {
		return ""
	}
	sub := keyring.Strangers(r.At)
	if s.Now().Before(s.inlet.keyless) {
		return ""
	}
	return s.remembered(sub.ID+"/"+r.Network, func() string {
		keys, err := s.Keys.Versions(ctx, sub)
		if err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Gone) {
			s.Log.Warn("networks of requests are not told apart", "err", err)
		}
		if err != nil || len(keys) == 0 {
			s.inlet.keyless = s.Now().Add(time.Minute)
			return ""
		}
		return ledger.Pseudonym(keys[0], string(actor.Stranger), r.Network)
	})
}

// runInlet counts requests until ctx ends.
func (s *Service) runInlet(ctx context.Context) {
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.drain(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("count requests", "err", err)
			}
		}
	}
}
