package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

const (
	maxRefusalKeys = 4096 // different refusals told apart within a minute
	maxCallers     = 200  // whose repeated refusals are counted apart
	queueLength    = 1024
	entriesAChange = 40 // a change's time is limited
)

// tally counts what happens between two flushes. Recording must not slow a request:
// counters are atomic, and a refusal is handed to a queue or, when that is full, counted.
type tally struct {
	mu       sync.Mutex // guards the four below
	counters map[string]*counter
	refusals map[refusalKey]*repeats
	cuts     map[cutKey]*cuts
	since    time.Time

	queue     chan first
	malformed atomic.Int64
	late      atomic.Int64 // changes that the application took while it was closed to them
	everLate  atomic.Int64 // since the start
	downAt    atomic.Int64 // when the log was last told that the application is away
}

// refusalKey is what makes a refusal the same as another.
type refusalKey struct {
	kind                              actor.Kind
	id                                string
	step, clause, code, route, method string
	status                            int
}

// repeats are the refusals of one key that have no entry yet.
type repeats struct {
	who actor.Actor
	n   int64
}

type first struct {
	key refusalKey
	who actor.Actor
}

func (t *tally) init() {
	t.counters, t.refusals, t.queue = map[string]*counter{}, map[refusalKey]*repeats{}, make(chan first, queueLength)
}

// counter returns the counter of a pattern; it outlives reloads.
func (t *tally) counter(pattern string) *counter {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counters[pattern]
	if c == nil {
		c = &counter{}
		t.counters[pattern] = c
	}
	return c
}

// record counts the request under its pattern.
func (v *visit) record() {
	n := v.need.node
	if n == nil {
		n = v.table.rest
	}
	n.count.requests.Add(1)
	v.habit.note(v)
	if v.late() {
		v.g.tally.late.Add(1)
		v.g.tally.everLate.Add(1)
	}
	switch {
	case v.status >= 500:
		n.count.failed.Add(1)
	case v.failed != nil && v.status == http.StatusFound:
		n.count.signIn.Add(1)
	case v.failed != nil:
		n.count.refused.Add(1)
	}
}

// refused notes a refusal for the record.
func (t *tally) refused(v *visit, step string, ref *refusal) {
	who := v.caller()
	k := refusalKey{kind: who.Kind, id: who.ID, step: step, clause: ref.clause, code: ref.err.Code, route: "*", method: knownMethod(v.r.Method), status: ref.status}
	if v.need.node != nil {
		k.route = v.need.node.pattern
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.refusals[k]; r != nil {
		r.n++
		return
	}
	if len(t.refusals) >= maxRefusalKeys { // somebody sprays: count without the caller
		k.kind, k.id = actor.Writ, "gateway"
		who = actor.System("gateway")
		if r := t.refusals[k]; r != nil {
			r.n++
			return
		}
		t.refusals[k] = &repeats{who: who, n: 1}
		return
	}
	r := &repeats{who: who}
	t.refusals[k] = r
	select {
	case t.queue <- first{k, who}:
	default:
		r.n = 1
	}
}

// knownMethod keeps a client's free text out of a public field.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	}
	return "other"
}

func (k refusalKey) event(n int64) RequestRefused {
	return RequestRefused{Step: k.step, Code: k.code, Route: k.route, Method: k.method, Status: k.status, Count: n, clause: k.clause}
}

// Malformed is told of each connection that net/http refused by itself; for listen.Door.
func (g *Gateway) Malformed(netip.Addr) { g.tally.malformed.Add(1) }

// logDown tells the log that the application is away, at most once a second.
func (t *tally) logDown(now time.Time, log *slog.Logger, err error) {
	last := t.downAt.Load()
	if now.UnixNano()-last >= int64(time.Second) && t.downAt.CompareAndSwap(last, now.UnixNano()) {
		log.Error("the application did not answer", "err", err)
	}
}

// Run records refusals and totals, follows the route file and the mode, until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	g.runWAF()
	var wg sync.WaitGroup
	wg.Go(func() { g.recordFirsts(ctx) })
	wg.Go(func() { g.runStreams(ctx) })
	wg.Go(func() { g.compareAnswers(ctx) })
	wg.Go(func() { g.recordSights(ctx) })
	wg.Go(func() { g.recordChanges(ctx) })
	wg.Go(func() { g.pool.Run(ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	minute, second := g.now().Truncate(time.Minute), false
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(g.Flush(end), g.share(end), g.leave(end), g.closeWAF(end))
		case <-tick.C:
			g.pollRoutes(ctx)
			g.pollDescription(ctx)
			if second = !second; second { // every other time
				g.shareAndSay(ctx)
			}
			if err := g.readMode(ctx); err != nil {
				g.log.Error("mode could not be read; the last one stays", "err", err)
			}
			if err := g.wafTick(ctx); err != nil {
				g.log.Error("what the rules found could not be recorded; it is kept", "err", err)
			}
			if err := g.egressTick(ctx); err != nil {
				g.log.Error("who went out could not be recorded, or the list not be read; both are tried again", "err", err)
			}
			if err := g.blockTick(ctx); err != nil {
				g.log.Error("blocked networks could not be read; the last list stays", "err", err)
			}
			if err := g.readPurges(ctx); err != nil {
				g.log.Error("purges of other nodes could not be read; files they name may be old here", "err", err)
			}
			if m := g.now().Truncate(time.Minute); m.After(minute) {
				minute = m
				g.bots.age()
				if err := errors.Join(g.turnTickets(ctx), g.dropTickets(ctx)); err != nil {
					g.log.Error("the keys of tickets could not be turned; that is tried again", "err", err)
				}
				if err := g.Flush(ctx); err != nil {
					g.log.Error("totals could not be recorded; they are kept for the next minute", "err", err)
				}
			}
		}
	}
}

// recordFirsts makes an entry of each refusal in the queue, outside the request.
func (g *Gateway) recordFirsts(ctx context.Context) {
	for {
		select {
		case f := <-g.tally.queue:
			g.recordFirst(ctx, f)
		case <-ctx.Done():
			return // Flush takes the rest
		}
	}
}

func (g *Gateway) recordFirst(ctx context.Context, f first) {
	_, err := g.db.Change(ctx, f.who, func(*ledger.Tx) (ledger.Event, error) { return f.key.event(1), nil })
	if err != nil {
		g.log.Error("a refusal could not be recorded; it is kept for the totals", "err", err)
		g.tally.restore(map[refusalKey]*repeats{f.key: {who: f.who, n: 1}})
	}
}

// restore puts back what could not be recorded.
func (t *tally) restore(rs map[refusalKey]*repeats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, r := range rs {
		if have := t.refusals[k]; have != nil {
			have.n += r.n
		} else {
			t.refusals[k] = r
		}
	}
}

// Flush records all counters now. What cannot be recorded is kept.
func (g *Gateway) Flush(ctx context.Context) error {
	for range len(g.tally.queue) {
		select {
		case f := <-g.tally.queue:
			g.recordFirst(ctx, f)
		default:
		}
	}
	until := g.now()
	g.tally.mu.Lock()
	rs, since := g.tally.refusals, g.tally.since
	g.tally.refusals, g.tally.since = map[refusalKey]*repeats{}, until
	g.tally.mu.Unlock()
	if since.IsZero() {
		since = until
	}
	return errors.Join(g.flushRefusals(ctx, rs), g.flushTotals(ctx, since, until), g.flushCookies(ctx, since, until), g.flushCuts(ctx), g.flushCompared(ctx), g.forgetDays(ctx), g.flushSights(ctx), g.flushFinds(ctx, true), g.flushMoves(ctx, true))
}

// flushRefusals records repeated refusals, one change a caller.
func (g *Gateway) flushRefusals(ctx context.Context, rs map[refusalKey]*repeats) error {
	type caller struct {
		who  actor.Actor
		keys []refusalKey
		n    int64
	}
	by := map[string]*caller{}
	for k, r := range rs {
		if r.n == 0 {
			delete(rs, k)
			continue
		}
		c := by[string(k.kind)+"/"+k.id]
		if c == nil {
			c = &caller{who: r.who}
			by[string(k.kind)+"/"+k.id] = c
		}
		c.keys, c.n = append(c.keys, k), c.n+r.n
	}
	callers := make([]*caller, 0, len(by))
	for _, c := range by {
		callers = append(callers, c)
	}
	slices.SortFunc(callers, func(a, b *caller) int { return cmp.Compare(b.n, a.n) })
	rest := map[refusalKey]int64{}
	var errs []error
	for i, c := range callers {
		if i >= maxCallers {
			for _, k := range c.keys {
				n := rs[k].n
				delete(rs, k)
				k.kind, k.id = actor.Writ, "gateway"
				rest[k] += n
			}
			continue
		}
		for part := range slices.Chunk(c.keys, entriesAChange) {
			if err := g.change(ctx, c.who, part, func(k refusalKey) ledger.Event { return k.event(rs[k].n) }); err != nil {
				errs = append(errs, err)
				continue
			}
			for _, k := range part {
				delete(rs, k)
			}
		}
	}
	for k, n := range rest {
		rs[k] = &repeats{who: actor.System("gateway"), n: n}
		if err := g.change(ctx, actor.System("gateway"), []refusalKey{k}, func(k refusalKey) ledger.Event { return k.event(n) }); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(rs, k)
	}
	g.tally.restore(rs)
	return errors.Join(errs...)
}

// change records one event for each key in one transaction.
func (g *Gateway) change(ctx context.Context, who actor.Actor, keys []refusalKey, event func(refusalKey) ledger.Event) error {
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		for _, k := range keys[1:] {
			tx.Also(event(k))
		}
		return event(keys[0]), nil
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// flushTotals records what each pattern saw, and malformed connections.
func (g *Gateway) flushTotals(ctx context.Context, since, until time.Time) error {
	type taken struct {
		c *counter
		e RequestTotals
	}
	var all []taken
	g.tally.mu.Lock()
	for p, c := range g.tally.counters {
		e := RequestTotals{Since: since, Until: until, Route: p, Requests: c.requests.Swap(0), Refused: c.refused.Swap(0), SentAway: c.signIn.Swap(0), Failed: c.failed.Swap(0)}
		if e.Requests > 0 {
			all = append(all, taken{c, e})
		}
	}
	g.tally.mu.Unlock()
	slices.SortFunc(all, func(a, b taken) int { return cmp.Compare(a.e.Route, b.e.Route) })
	var errs []error
	for part := range slices.Chunk(all, entriesAChange) {
		_, err := g.db.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
			for _, t := range part[1:] {
				tx.Also(t.e)
			}
			return part[0].e, nil
		})
		if err == nil {
			continue
		}
		errs = append(errs, err)
		for _, t := range part {
			t.c.requests.Add(t.e.Requests)
			t.c.refused.Add(t.e.Refused)
			t.c.signIn.Add(t.e.SentAway)
			t.c.failed.Add(t.e.Failed)
		}
	}
	if n := g.tally.late.Swap(0); n > 0 {
		_, err := g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) {
			return WroteWhileClosed{Since: since, Until: until, Count: n}, nil
		})
		if err != nil {
			g.tally.late.Add(n)
			errs = append(errs, err)
		}
	}
	if n := g.tally.malformed.Swap(0); n > 0 {
		_, err := g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) { return Malformed{Since: since, Until: until, Count: n}, nil })
		if err != nil {
			g.tally.malformed.Add(n)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
