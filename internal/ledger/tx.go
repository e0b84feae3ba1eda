package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The states of a Tx. Only compare-and-set leaves txLive: whoever loses takes the
// winner's answer, so a change cannot both end and be cut off.
const (
	txLive = iota
	txEnded
	txCut
)

// session is the connection a Tx works on.
type session interface {
	exec(query string, args []any) (int64, error)
	query(query string, args []any) (*sql.Rows, error)
	insert(args []any) (xid string, err error) // an entry
}

// Tx is a writing transaction, valid while the closure it was given to runs. It is
// for one goroutine.
type Tx struct {
	now     time.Time
	db      *DB
	entry   string
	also    []Event
	done    bool     // the closure has returned; guarded by mu
	touched []string // tables that statements wrote

	state   atomic.Int32
	ended   chan struct{} // buffered 1: the closure's goroutine is through with the Tx
	outcome error         // set before ended is sent; read after it was received

	mu     sync.Mutex // held while a statement or a step of one runs
	on     session
	rows   *sql.Rows // open in Each
	failed error     // the first statement that failed: the change cannot succeed
	xid    string    // PostgreSQL: the transaction's number, once an entry was inserted
}

func (d *DB) newTx(on session) *Tx {
	now := d.now().UTC().Truncate(time.Microsecond)
	return &Tx{now: now, db: d, entry: d.ids.next(now), on: on, ended: make(chan struct{}, 1)}
}

// Now is the time of the change, the same throughout it, in whole microseconds UTC.
func (t *Tx) Now() time.Time { return t.now }

// ID makes a new time-ordered id, as DB.ID does.
func (t *Tx) ID() string { return t.db.ids.next(t.now) }

// Entry is the id that the change's first entry will have; Receipt.ID when it succeeds.
func (t *Tx) Entry() string { return t.entry }

// Also records a further event in the same change, after the one the closure
// returns and in the order of the calls. It panics once the closure has returned.
func (t *Tx) Also(ev Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		panic("ledger: Also after the change has ended")
	}
	t.also = append(t.also, ev)
}

// usable says why no statement may run now. The caller holds mu.
func (t *Tx) usable(fromClosure bool) error {
	switch {
	case t.state.Load() == txCut:
		return cutOff(t.db.limit)
	case t.state.Load() != txLive, fromClosure && t.done:
		return defect(errEnded)
	case t.failed != nil:
		return t.failed
	case t.rows != nil:
		t.failed = defect(errInRow)
		return t.failed
	}
	return nil
}

// fail notes the first failed statement. The caller holds mu.
func (t *Tx) fail(act, query string, err error) error {
	if t.state.Load() == txCut {
		return cutOff(t.db.limit)
	}
	err = fmt.Errorf("%s %s: %w", act, brief(query), mapError(err))
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// Exec runs one statement ($1, $2 …) and returns how many rows it changed. A unique
// violation is fault.Conflict. After any failed statement the change cannot succeed.
// The statement runs under the ledger's own time limit; cancelling ctx does not stop it.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(true); err != nil {
		return 0, err
	}
	if escapes(query) {
		return 0, t.fail("execute", query, errEscape)
	}
	if err := t.db.seam.statement(query); err != nil {
		return 0, t.fail("execute", query, err)
	}
	if table := target(query); !slices.Contains(t.touched, table) {
		t.touched = append(t.touched, table)
	}
	n, err := t.on.exec(query, args)
	if err != nil {
		return 0, t.fail("execute", query, err)
	}
	return n, nil
}

// Hold keeps the rows that a SELECT of one table finds as they are until the commit, and
// returns how many there are. PostgreSQL locks them against other changes, as an UPDATE
// of them would; SQLite has one writer, and nothing has to be written for it.
func (t *Tx) Hold(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = t.Holding().Each(ctx, query, func(Scan) error { n++; return nil }, args...)
	return n, err
}

// Holding reads rows as they are, and holds them.
func (t *Tx) Holding() Reader { return holding{t} }

type holding struct{ tx *Tx }

func (h holding) Each(ctx context.Context, query string, row func(Scan) error, args ...any) error {
	if h.tx.db.Engine() == "postgres" {
		query += " FOR NO KEY UPDATE"
	}
	return h.tx.Each(ctx, query, row, args...)
}

// insert adds an entry after the closure has returned.
func (t *Tx) insert(r row) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(false); err != nil {
		return err
	}
	if err := t.db.seam.statement(insertPending); err != nil {
		return t.fail("execute", insertPending, err)
	}
	xid, err := t.on.insert([]any{r.id, r.happened, r.name, r.body, r.payload, r.payloadKey})
	if err != nil {
		return t.fail("execute", insertPending, err)
	}
	t.xid = xid
	return nil
}

// Each reads rows inside the transaction. The callback must not run statements:
// PostgreSQL cannot, so neither engine does.
func (t *Tx) Each(ctx context.Context, query string, row func(Scan) error, args ...any) error {
	if err := t.begin(query, args); err != nil {
		return err
	}
	for {
		ok, err := t.step(query)
		if err != nil || !ok {
			return err
		}
		if err := row(t.scan); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			if cerr := t.closeRows(query); cerr != nil {
				return cerr
			}
			return err
		}
	}
}

func (t *Tx) begin(query string, args []any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(true); err != nil {
		return err
	}
	if escapes(query) {
		return t.fail("query", query, errEscape)
	}
	if err := t.db.seam.statement(query); err != nil {
		return t.fail("query", query, err)
	}
	rows, err := t.on.query(query, args)
	if err != nil {
		return t.fail("query", query, err)
	}
	t.rows = rows
	return nil
}

// step moves to the next row. At the end, or after an error, the rows are closed.
func (t *Tx) step(query string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil { // revoked between two rows
		return false, cutOff(t.db.limit)
	}
	if t.rows.Next() {
		return true, nil
	}
	return false, t.closeRows(query)
}

// closeRows ends an Each. The caller holds mu.
func (t *Tx) closeRows(query string) error {
	if t.rows == nil {
		return cutOff(t.db.limit)
	}
	err := t.rows.Err()
	if cerr := t.rows.Close(); err == nil {
		err = cerr
	}
	t.rows = nil
	if err != nil {
		return t.fail("read rows of", query, err)
	}
	return t.failed // a statement that the callback tried
}

func (t *Tx) scan(dest ...any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		return cutOff(t.db.limit)
	}
	if err := t.rows.Scan(dest...); err != nil {
		return fmt.Errorf("scan: %w", mapError(err))
	}
	return nil
}

// lend runs an attempt on the caller's goroutine and reports to whoever waits on
// ended, however the attempt leaves: by return, panic or runtime.Goexit.
func (t *Tx) lend(attempt func(*Tx) error) {
	t.outcome = errAbandoned
	defer func() {
		t.mu.Lock()
		t.done = true
		if t.rows != nil { // a panic inside a row callback
			t.rows.Close()
			t.rows = nil
		}
		t.mu.Unlock()
		t.state.CompareAndSwap(txLive, txEnded)
		t.ended <- struct{}{}
	}()
	err := attempt(t)
	if err == nil {
		t.mu.Lock()
		err = t.failed
		t.mu.Unlock()
	}
	t.outcome = err
}

// revoke takes the Tx away from a closure that still runs, after the state was set
// to txCut and the statement in flight interrupted.
func (t *Tx) revoke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows != nil {
		t.rows.Close()
		t.rows = nil
	}
}
