package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/gateway/egress"
	"writ/internal/ledger"
)

// move is what makes a connection at the way out the same as another.
type move struct {
	caller, name string
	port         uint16
	cause        string // "" = let through
}

// moved is what has no entry yet.
type moved struct {
	who           actor.Actor
	n, sent, back int64
	told          bool // the first of this minute has its entry
}

// moves are connections at the way out since the last flush. Who sprays names is counted
// without them.
type moves struct {
	mu   sync.Mutex
	all  map[move]*moved
	open atomic.Int64
}

const maxMoves = 512

func (m *moves) init() { m.all = map[move]*moved{} }

// began counts a connection when it is let through, so that a long one shows at once.
func (m *moves) began(t egress.Try) {
	m.open.Add(1)
	m.add(t, "", moved{n: 1})
}

// told counts a refusal, or what a connection moved.
func (m *moves) told(t egress.Try) {
	if !t.Passed {
		m.add(t, t.Cause, moved{n: 1})
		return
	}
	m.open.Add(-1)
	m.add(t, "", moved{sent: t.Sent, back: t.Back})
	if t.Cause != "" {
		m.add(t, t.Cause, moved{n: 1})
	}
}

func (m *moves) add(t egress.Try, cause string, more moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := move{t.Who.Name, t.Target.Name, t.Target.Port, cause}
	if strings.HasSuffix(k.name, canaryNames) {
		k.name, k.port = canary.Domain, 0
	}
	have := m.all[k]
	if have == nil && len(m.all) >= maxMoves {
		k = move{caller: k.caller, cause: cause}
		have = m.all[k]
	}
	if have == nil && len(m.all) >= 2*maxMoves { // so many callers are none of ours
		k.caller, t.As = "", actor.Actor{}
		have = m.all[k]
	}
	if have == nil {
		have = &moved{who: t.As}
		m.all[k] = have
	}
	have.n, have.sent, have.back = have.n+more.n, have.sent+more.sent, have.back+more.back
}

// take hands over what has no entry yet: the first of each kind, or at a minute's end all.
func (m *moves) take(end bool) map[move]moved {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[move]moved{}
	for k, c := range m.all {
		if c.n+c.sent+c.back > 0 && (end || !c.told) {
			out[k] = *c
			c.n, c.sent, c.back, c.told = 0, 0, 0, true
		}
	}
	if end {
		m.all = map[move]*moved{}
	}
	return out
}

// restore puts back what could not be recorded.
func (m *moves) restore(k move, c moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if have := m.all[k]; have != nil {
		have.n, have.sent, have.back = have.n+c.n, have.sent+c.sent, have.back+c.back
	} else {
		m.all[k] = &c
	}
}

// flushMoves makes entries of them, and adds them to what the console shows.
func (g *Gateway) flushMoves(ctx context.Context, end bool) error {
	taken := g.out.moves.take(end)
	by := map[string][]move{}
	for k := range taken {
		by[k.caller] = append(by[k.caller], k)
	}
	var errs []error
	for _, keys := range by {
		slices.SortFunc(keys, func(a, b move) int {
			return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.port, b.port), cmp.Compare(a.cause, b.cause))
		})
		for part := range slices.Chunk(keys, entriesAChange) {
			if err := g.recordMoves(ctx, part, taken); err != nil {
				errs = append(errs, err)
				for _, k := range part {
					g.out.moves.restore(k, taken[k])
				}
			}
		}
	}
	return errors.Join(errs...)
}

func (g *Gateway) recordMoves(ctx context.Context, keys []move, taken map[move]moved) error {
	who := taken[keys[0]].who
	if who.IsZero() {
		who = actor.System("gateway")
	}
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var first ledger.Event
		for i, k := range keys {
			c := taken[k]
			if k.name != canary.Domain { // that is an entry, and nothing for the list
				if _, err := tx.Exec(ctx, addMove, k.caller, k.name, int64(k.port), k.cause, c.n, c.sent, c.back, tx.Now().UnixMicro()); err != nil {
					return nil, err //nolint:wrapcheck // the ledger says what failed
				}
			}
			e := k.event(c)
			if i == 0 {
				first = e
			} else {
				tx.Also(e)
			}
		}
		return first, nil
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

func (k move) event(c moved) ledger.Event {
	if k.cause == "" {
		return EgressPassed{Caller: k.caller, Name: k.name, Port: int(k.port), Count: c.n, Sent: c.sent, Received: c.back}
	}
	return EgressRefused{Caller: k.caller, Name: k.name, Port: int(k.port), Cause: k.cause, Count: c.n}
}

// movesKept is how long who went where is shown after it was last seen.
const (
	movesKept = 90 * 24 * time.Hour
	mostMoves = 5000
)

// Move is one group of connections at the way out.
type Move struct {
	Caller   string    `json:"caller"` // kind/id; "" = nobody known
	Name     string    `json:"name"`   // "" = no plain name
	Port     int       `json:"port"`
	Cause    string    `json:"cause,omitempty"` // why they were refused or ended; "" = let through
	Count    int64     `json:"count"`
	Sent     int64     `json:"sent"`
	Received int64     `json:"received"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Moves lists who went out or was refused in the last 90 days, the newest first.
func (g *Gateway) Moves(ctx context.Context) ([]Move, error) { return g.movesOf(ctx, 200) }

func (g *Gateway) movesOf(ctx context.Context, most int) (all []Move, err error) {
	err = g.db.Each(ctx, listMoves, func(scan ledger.Scan) error {
		var m Move
		var first, last int64
		err := scan(&m.Caller, &m.Name, &m.Port, &m.Cause, &m.Count, &m.Sent, &m.Received, &first, &last)
		m.First, m.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		all = append(all, m)
		return err
	}, g.now().Add(-movesKept).UnixMicro(), most)
	if err != nil {
		return nil, fmt.Errorf("list who went out: %w", err)
	}
	return all, nil
}

// egressTick records new connections and follows the list, that of other nodes too.
func (g *Gateway) egressTick(ctx context.Context) error {
	err := errors.Join(g.flushMoves(ctx, false), g.endDestinations(ctx), g.readDestinations(ctx))
	if now := g.now(); now.Sub(g.out.forgot) >= time.Hour {
		g.out.forgot = now
		err = errors.Join(err, g.db.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
			if _, err := tx.Exec(ctx, dropMoves, tx.Now().Add(-movesKept).UnixMicro()); err != nil {
				return err //nolint:wrapcheck // the ledger says what failed
			}
			_, err := tx.Exec(ctx, trimMoves, mostMoves)
			return err //nolint:wrapcheck // the ledger says what failed
		}))
	}
	return err
}

const (
	addMove = `INSERT INTO gateway_egress_seen (caller, name, port, cause, n, sent, back, first_seen, last_seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
		ON CONFLICT (caller, name, port, cause) DO UPDATE SET n = gateway_egress_seen.n + excluded.n, sent = gateway_egress_seen.sent + excluded.sent, back = gateway_egress_seen.back + excluded.back, last_seen = excluded.last_seen`
	listMoves = `SELECT caller, name, port, cause, n, sent, back, first_seen, last_seen FROM gateway_egress_seen WHERE last_seen > $1 ORDER BY last_seen DESC, caller, name LIMIT $2`
	dropMoves = `DELETE FROM gateway_egress_seen WHERE last_seen <= $1`
	trimMoves = `DELETE FROM gateway_egress_seen WHERE last_seen < (SELECT MIN(last_seen) FROM (SELECT last_seen FROM gateway_egress_seen ORDER BY last_seen DESC LIMIT $1) AS newest)`
)
