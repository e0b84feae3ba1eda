package gateway

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// What is under way is looked after until it ends: a WebSocket, an event stream or a long
// download was allowed once, and is cut when that would not be allowed any more.
const (
	streamLook    = 250 * time.Millisecond // between two looks; within a second of the cause with what memory of sessions costs
	streamUnknown = 30 * time.Second       // how long it may be unknown who somebody is
	drain         = 30 * time.Second       // how long requests under way may go on when the gate closes
)

// stream is one request under way.
type stream struct {
	who     actor.Actor // zero = nobody known
	from    netip.Addr
	pattern string
	began   time.Time
	changes bool // by its method, or because both sides may speak
	twoWay  bool // a change of protocol: it has no end of its own
	cancel  context.CancelFunc

	unknown    time.Time // since when it cannot be told who they are
	prev, next *stream   // guarded by streams.mu
}

// streams are all requests under way, the newest last.
type streams struct {
	mu   sync.Mutex
	ring stream // its next is the oldest
	n    int
}

func (s *streams) init() { s.ring.prev, s.ring.next = &s.ring, &s.ring }

func (s *streams) add(x *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.prev, x.next = s.ring.prev, &s.ring
	x.prev.next, s.ring.prev = x, x
	s.n++
}

func (s *streams) remove(x *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.next == nil {
		return
	}
	x.prev.next, x.next.prev = x.next, x.prev
	x.prev, x.next = nil, nil
	s.n--
}

// before lists those that began before t.
func (s *streams) before(t time.Time) (out []*stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.ring.next; x != &s.ring && x.began.Before(t); x = x.next {
		out = append(out, x)
	}
	return out
}

// watched has a request looked after until the returned func is called.
func (v *visit) watched() func() {
	ctx, cancel := context.WithCancel(v.r.Context())
	v.r, v.cancel = v.r.WithContext(ctx), cancel
	x := &stream{who: v.who, from: web.RemoteIP(v.r), pattern: v.need.node.pattern, began: v.g.now(), changes: v.changes(), twoWay: len(v.r.Header["Upgrade"]) > 0, cancel: cancel}
	v.g.streams.add(x)
	return func() {
		v.g.streams.remove(x)
		cancel()
	}
}

// cut ends a stream and counts it for the record.
func (g *Gateway) cut(x *stream, cause string, age time.Duration) {
	g.streams.remove(x)
	x.cancel()
	who := x.who
	if who.IsZero() {
		who = actor.System("gateway")
	}
	g.tally.cut(cutKey{who.String(), cause, x.pattern}, who, age)
}

// lookAfter cuts what may not go on, and says how many requests it looked at.
func (g *Gateway) lookAfter(ctx context.Context, now time.Time) int {
	type answer struct {
		who actor.Actor
		err error
	}
	known := map[string]answer{} // one question for each session, token or look
	m := g.mode.Load()
	all := g.streams.before(now.Add(-streamLook))
	for _, x := range all {
		age := now.Sub(x.began)
		if g.blocks.holds(x.from, now) { // it came in as its network was blocked
			g.cut(x, "blocked", age)
			continue
		}
		if cause := m.cuts(x, now); cause != "" { // clause: inc.loss-freeze
			g.cut(x, cause, age)
			continue
		}
		if x.who.IsZero() {
			continue
		}
		k := string(x.who.Kind) + " " + x.who.Session + " " + x.who.Token
		a, asked := known[k]
		if !asked {
			a.who, a.err = g.sessions.Standing(ctx, x.who)
			known[k] = a
		}
		if cause := x.over(a.who, a.err, now); cause != "" { // clause: auth.best-practice
			g.cut(x, cause, age)
		}
	}
	return len(all)
}

// over says why a stream must end, now that this is who they are; "" when it may go on.
// The application was told once who they are, so whoever is less now comes again.
func (x *stream) over(is actor.Actor, err error, now time.Time) (cause string) {
	lost := func(had, has []string) bool {
		return slices.ContainsFunc(had, func(s string) bool { return !slices.Contains(has, s) })
	}
	if err != nil {
		switch fault.KindOf(err) {
		case fault.Unauthenticated, fault.NotFound, fault.Gone, fault.Denied:
			return "ended"
		}
		if x.unknown.IsZero() {
			x.unknown = now
		}
		if now.Sub(x.unknown) >= streamUnknown {
			return "unknown"
		}
		return ""
	}
	x.unknown = time.Time{}
	switch {
	case is.Kind != x.who.Kind:
		return "factor" // or terms: they are nobody until they have done something
	case is.ID != x.who.ID || is.For != x.who.For || is.Team != x.who.Team:
		return "team"
	case lost(x.who.Roles, is.Roles) || lost(x.who.Scopes, is.Scopes) || x.who.Writes && !is.Writes:
		return "role"
	case is.ACR < x.who.ACR:
		return "factor"
	}
	return ""
}

// runStreams looks after what is under way until ctx ends.
func (g *Gateway) runStreams(ctx context.Context) {
	tick := time.NewTicker(streamLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.lookAfter(ctx, g.now())
		}
	}
}

// UnderWay is how many requests the application is at work on.
func (g *Gateway) UnderWay() int {
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	return g.streams.n
}

type cutKey struct{ who, cause, route string }

type cuts struct {
	who    actor.Actor
	n      int64
	oldest time.Duration
}

// cut counts a stream that was cut; see Flush.
func (t *tally) cut(k cutKey, who actor.Actor, age time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cuts == nil {
		t.cuts = map[cutKey]*cuts{}
	}
	if len(t.cuts) >= maxRefusalKeys { // without the person then, but counted
		k.who, who = "", actor.System("gateway")
	}
	c := t.cuts[k]
	if c == nil {
		c = &cuts{who: who}
		t.cuts[k] = c
	}
	c.n++
	c.oldest = max(c.oldest, age)
}

// flushCuts records what was cut. What cannot be recorded is kept.
func (g *Gateway) flushCuts(ctx context.Context) error {
	g.tally.mu.Lock()
	all := g.tally.cuts
	g.tally.cuts = nil
	g.tally.mu.Unlock()
	var first error
	for k, c := range all {
		_, err := g.db.Change(ctx, c.who, func(*ledger.Tx) (ledger.Event, error) {
			return StreamsCut{Cause: k.cause, Route: k.route, Count: c.n, Oldest: c.oldest}, nil
		})
		if err == nil {
			continue
		}
		first = err
		g.tally.mu.Lock()
		if g.tally.cuts == nil {
			g.tally.cuts = map[cutKey]*cuts{}
		}
		if have := g.tally.cuts[k]; have != nil {
			have.n, have.oldest = have.n+c.n, max(have.oldest, c.oldest)
		} else {
			g.tally.cuts[k] = c
		}
		g.tally.mu.Unlock()
	}
	return first
}
