package ledger

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"writ/internal/fault"
)

// PendingRow is an entry that waits to be numbered.
type PendingRow struct {
	K          int64  // the database's insertion number: the order of numbering
	ID         string // the entry's id
	Happened   int64  // µs UTC, by the clock of the node that made it
	Name       string // of the event: the stream
	Body       []byte // canonical JSON
	Payload    []byte // sealed values and salts, nil for none; see PayloadAAD
	PayloadKey string // id of the key that sealed it, "" for none
}

// Claim removes up to limit pending rows, the oldest by K, and returns them in that
// order. Call it after the head's row is locked: all visible rows, no cursor, no clock.
type Claim func(limit int) ([]PendingRow, error)

// Sequence runs one step of the journal's sequencer as housekeeping: what fn claims
// and what it writes are committed together, or the rows stay pending. On SQLite it
// shares the writer and its limit (errors.Is(err, ErrCutOff)); on PostgreSQL a
// session that idles in it for a second is ended, so that a paused node does not
// keep the head locked.
func (d *DB) Sequence(ctx context.Context, fn func(tx *Tx, claim Claim) error) error {
	return d.Quiet(ctx, Sequencing, func(t *Tx) error {
		if d.Engine() == "postgres" {
			if _, err := t.Exec(ctx, idleLimit); err != nil {
				return err
			}
		}
		return fn(t, func(limit int) ([]PendingRow, error) { return claim(ctx, t, limit) })
	})
}

func claim(ctx context.Context, t *Tx, limit int) ([]PendingRow, error) {
	var out []PendingRow
	err := t.Each(ctx, claimPending, func(scan Scan) error {
		var r PendingRow
		if err := scan(&r.K, &r.ID, &r.Happened, &r.Name, &r.Body, &r.Payload, &r.PayloadKey); err != nil {
			return err
		}
		out = append(out, r)
		return nil
	}, limit)
	slices.SortFunc(out, func(a, b PendingRow) int { return cmp.Compare(a.K, b.K) }) // RETURNING has no order
	return out, err
}

// Wake returns a channel that gets a hint after commits of entries, at most one each
// 20 ms and never later than 20 ms after the commit; a hint is dropped while the one
// before is unread. Each call makes another channel: call it once at start. Commits
// of other nodes give none, so poll as well.
func (d *DB) Wake() <-chan struct{} {
	c := make(chan struct{}, 1)
	d.wakes.mu.Lock()
	defer d.wakes.mu.Unlock()
	d.wakes.list = append(d.wakes.list, c)
	return c
}

// hintGap bounds what the hints cost: without it each commit would cost its readers a query.
const hintGap = 20 * time.Millisecond

// hints tells who waits for entries.
type hints struct {
	mu    sync.Mutex
	list  []chan struct{}
	last  time.Time
	armed bool // a late hint is on its way
}

func (h *hints) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.armed || len(h.list) == 0 {
		return
	}
	if wait := hintGap - time.Since(h.last); wait > 0 {
		h.armed = true
		time.AfterFunc(wait, h.late)
		return
	}
	h.send()
}

func (h *hints) late() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.armed = false
	h.send()
}

// send is called with mu held.
func (h *hints) send() {
	h.last = time.Now()
	for _, c := range h.list {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// HasPending reports whether entries wait, and when the first of them happened.
func (d *DB) HasPending(ctx context.Context) (bool, time.Time, error) {
	var us int64
	err := One(ctx, d, oldestPending, []any{&us})
	if errors.Is(err, fault.NotFound) {
		return false, time.Time{}, nil
	}
	if err != nil {
		return false, time.Time{}, err
	}
	return true, time.UnixMicro(us).UTC(), nil
}

// gate refuses changes while the journal is far behind: otherwise acts would pile up
// that nobody outside can verify.
type gate struct {
	max   int64
	age   time.Duration // negative: no limit
	every time.Duration

	look    sync.Mutex // held by the one who looks
	mu      sync.Mutex
	looked  time.Time
	verdict error
}

const (
	pendingMax = 100_000
	pendingAge = 15 * time.Minute
	gateEvery  = time.Second
)

func (g *gate) configure(s *Seam) {
	g.max, g.age, g.every = pendingMax, pendingAge, gateEvery
	if s == nil {
		return
	}
	if s.PendingMax > 0 {
		g.max, g.every = int64(s.PendingMax), 0
	}
	if s.PendingAge != 0 {
		g.age = s.PendingAge
	}
	if s.PendingAge > 0 {
		g.every = 0
	}
}

// check returns the last verdict; once a second one caller renews it on a reader.
// The cadence runs on the machine's monotonic clock, so that a clock that was set
// back cannot freeze a verdict.
func (g *gate) check(ctx context.Context, d *DB) error {
	g.mu.Lock()
	fresh, verdict := g.every > 0 && !g.looked.IsZero() && time.Since(g.looked) < g.every, g.verdict
	g.mu.Unlock()
	if fresh || !g.look.TryLock() {
		return verdict
	}
	defer g.look.Unlock()
	verdict, err := g.measure(ctx, d)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.looked, g.verdict = time.Now(), verdict
	g.mu.Unlock()
	return verdict
}

func (g *gate) measure(ctx context.Context, d *DB) (verdict, err error) {
	var first, last, us int64
	err = One(ctx, d, pendingSpan, []any{&first, &last, &us})
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := last - first + 1 // never less than the count; gaps make it more
	if n > g.max {
		if err := One(ctx, d, countPending, []any{&n}, g.max+1); err != nil {
			return nil, err
		}
	}
	switch age := d.now().Sub(time.UnixMicro(us)); {
	case n > g.max:
		return behind("pending_many", n, age), nil
	case g.age >= 0 && age > g.age:
		return behind("pending_old", n, age), nil
	}
	return nil, nil
}

func behind(code string, n int64, age time.Duration) error {
	f := fault.Newf(fault.Limited, code, "The journal is behind: at least %d entries wait, the oldest for %v. Changes are refused until it catches up.",
		n, age.Round(time.Second))
	f.Public.Next = "Try again in a minute; the operator should look at the journal's sequencer."
	f.RetryAfter = time.Minute
	return f
}

const (
	insertPending = `INSERT INTO ledger_pending (id, happened, name, body, payload, payload_key) VALUES ($1, $2, $3, $4, $5, $6)`
	claimPending  = `DELETE FROM ledger_pending WHERE k IN (SELECT k FROM ledger_pending ORDER BY k LIMIT $1)
		RETURNING k, id, happened, name, body, payload, payload_key`
	oldestPending = `SELECT happened FROM ledger_pending ORDER BY k LIMIT 1`
	pendingSpan   = `SELECT k, (SELECT MAX(k) FROM ledger_pending), happened FROM ledger_pending ORDER BY k LIMIT 1`
	countPending  = `SELECT COUNT(*) FROM (SELECT 1 FROM ledger_pending LIMIT $1) AS waiting`
	idleLimit     = `SET LOCAL idle_in_transaction_session_timeout = '1s'`
)
