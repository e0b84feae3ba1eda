package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"writ/internal/fault"
)

// Limits of the writer, measured with the benchmarks beside: a batch takes what waits
// already, and what is about to; it never waits for what may come.
const (
	closureLimit = 50 * time.Millisecond
	batchMax     = 64
	batchTime    = 5 * time.Millisecond
	batchYields  = 4
	queueLength  = 1024
	carefulFor   = 1024
)

// writer owns the one write connection. Its goroutine takes the first waiting change,
// begins a transaction, lets all that wait run one after the other, commits, and
// answers all. Closures run on their callers' goroutines: the writer lends them the Tx
// and waits, so a closure can panic, end its goroutine or hang without harm to it.
type writer struct {
	lite  *lite
	pool  *sql.DB
	conn  *sql.Conn
	stmts prepared // that answer with rows
	own   native
	hold  *hold
	queue chan *change
	stop  chan struct{}
	done  chan struct{} // the goroutine has ended

	// Owned by the goroutine; ctx is read by the closure that holds the Tx.
	ctx       context.Context // of the closures' statements; replaced after each cut
	interrupt context.CancelFunc
	timer     *time.Timer
	careful   int // so many of the next changes get a savepoint each
}

// The states of a waiting change.
const (
	chWaiting = iota
	chTaken
	chWithdrawn
)

// change is one call of run that waits for the writer.
type change struct {
	state  atomic.Int32
	turn   chan *Tx   // buffered 1: run your closure with this
	answer chan error // buffered 1: it is decided
}

func openWriter(ctx context.Context, l *lite, address string, held *hold) (*writer, error) {
	pool, err := driver.Open(address)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	w := &writer{lite: l, pool: pool, conn: conn, hold: held, queue: make(chan *change, queueLength),
		stop: make(chan struct{}), done: make(chan struct{}), timer: time.NewTimer(time.Hour)}
	w.stmts.new = conn.PrepareContext
	if err := conn.Raw(func(c any) error { // ours until it is closed: the pool has no other, and nobody else gets this one
		w.own = native{conn: c.(driver.Conn).Raw(), stmts: map[string]*sqlite3.Stmt{}}
		return nil
	}); err != nil {
		return nil, errors.Join(err, conn.Close(), pool.Close())
	}
	w.ctx, w.interrupt = context.WithCancel(context.Background())
	go w.loop()
	return w, nil
}

// run waits for the writer. A cancelled ctx counts only as long as the change waits.
func (w *writer) run(ctx context.Context, attempt func(*Tx) error) error {
	if err := ctx.Err(); err != nil { // below, a free queue could win over a caller who is gone
		return fault.Wrap(fault.Unavailable, "cancelled", err)
	}
	c := &change{turn: make(chan *Tx, 1), answer: make(chan error, 1)}
	select {
	case w.queue <- c:
	case <-w.done:
		return storeAway(errClosed)
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "cancelled", ctx.Err())
	}
	cancelled, closed := ctx.Done(), w.done
	for {
		select {
		case t := <-c.turn:
			t.lend(attempt)
		case err := <-c.answer:
			return err
		case <-cancelled:
			if c.state.CompareAndSwap(chWaiting, chWithdrawn) {
				return fault.Wrap(fault.Unavailable, "cancelled", ctx.Err())
			}
			cancelled = nil
		case <-closed:
			if c.state.CompareAndSwap(chWaiting, chWithdrawn) {
				return storeAway(errClosed)
			}
			closed = nil
		}
	}
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case c := <-w.queue:
			w.batch(c)
			continue
		default:
		}
		select {
		case c := <-w.queue:
			w.batch(c)
		case <-w.stop:
			return
		}
	}
}

// outcome is the answer a change will get once the batch is decided.
type outcome struct {
	c   *change
	err error
}

// batch runs first and what waits behind it in one transaction. Answers are given
// after the commit, also to those that failed: they may have failed because of what
// an earlier member wrote, which a failed commit takes back.
//
// A savepoint costs a copy of each page that a member writes, so members get one only
// after one of them has failed lately: the first that fails takes the batch with it.
func (w *writer) batch(first *change) {
	if !first.state.CompareAndSwap(chWaiting, chTaken) {
		return
	}
	if err := w.begin(); err != nil {
		first.answer <- fmt.Errorf("begin: %w", mapError(err))
		return
	}
	var decided []outcome
	good, start := 0, time.Now()
	for c := first; c != nil; c = w.next(len(decided), start) {
		savepoint := good > 0 && w.careful > 0
		w.careful = max(0, w.careful-1)
		err := w.member(c, savepoint)
		decided = append(decided, outcome{c, err})
		if err == nil {
			good++
			continue
		}
		w.careful = carefulFor
		if savepoint && w.inTransaction() {
			continue
		}
		if good == 0 { // it was alone: its rollback ended the transaction
			break
		}
		w.alone(decided) // the whole transaction is lost
		return
	}
	if good > 0 {
		w.commit(decided)
	}
	w.answer(decided)
}

// next takes a change that waits already, within the bounds of a batch. Where others wait
// together, those who could run now and are kept from it by the batch may bring theirs first.
func (w *writer) next(n int, start time.Time) *change {
	for yields := 0; n < batchMax && time.Since(start) < batchTime; {
		select {
		case c := <-w.queue:
			if c.state.CompareAndSwap(chWaiting, chTaken) {
				return c
			}
		default:
			if n < 2 || yields == batchYields {
				return nil
			}
			yields++
			runtime.Gosched()
		}
	}
	return nil
}

// member runs one closure. When it returns an error, what the closure wrote is
// undone; the transaction of the batch may be lost with it.
func (w *writer) member(c *change, savepoint bool) error {
	if savepoint {
		if err := w.fixed("SAVEPOINT c"); err != nil {
			return fmt.Errorf("savepoint: %w", mapError(err))
		}
	}
	err := w.lend(c)
	if err == nil && savepoint {
		if err = w.fixed("RELEASE c"); err != nil {
			err = fmt.Errorf("release: %w", mapError(err))
		}
	}
	if err == nil && !w.inTransaction() {
		err = storeAway(errors.New("the transaction ended under the change"))
	}
	if err == nil {
		return nil
	}
	switch {
	case !w.inTransaction():
	case !savepoint:
		w.rollback()
	default:
		if uerr := w.command("ROLLBACK TO c; RELEASE c"); uerr != nil {
			w.lite.db.log.Error("undo of one change; its batch runs again", "error", uerr)
			w.rollback()
		}
	}
	return err
}

// lend gives the Tx to the caller's goroutine and waits for it, or takes it back at
// the limit. One compare-and-set decides between "ended" and "cut off".
func (w *writer) lend(c *change) error {
	d := w.lite.db
	t := d.newTx(w)
	c.turn <- t
	// Two timers: a machine that stood still for a while (throttled, suspended) finds
	// the first one due although the closure had no time to run; it gets the second.
	for _, wait := range [...]time.Duration{d.limit * 4 / 5, d.limit / 5} {
		w.timer.Reset(wait)
		select {
		case <-t.ended:
			return t.outcome
		case <-w.timer.C:
		}
	}
	if !t.state.CompareAndSwap(txLive, txCut) {
		<-t.ended
		return t.outcome
	}
	w.interrupt()
	t.revoke()
	w.ctx, w.interrupt = context.WithCancel(context.Background())
	d.log.Warn("a change held the writer too long and was undone", "limit", d.limit)
	return cutOff(d.limit)
}

// alone runs the members of a lost batch that had succeeded again, each in a
// transaction of its own, and answers all.
func (w *writer) alone(decided []outcome) {
	for i, o := range decided {
		if o.err == nil {
			decided[i].err = w.single(o.c)
		}
	}
	w.answer(decided)
}

func (w *writer) single(c *change) error {
	if err := w.begin(); err != nil {
		return fmt.Errorf("begin: %w", mapError(err))
	}
	if err := w.member(c, false); err != nil {
		return err
	}
	one := []outcome{{c, nil}}
	w.commit(one)
	return one[0].err
}

// commit ends the transaction; if that fails, every member is refused.
func (w *writer) commit(decided []outcome) {
	began := w.lite.db.commits.begin()
	err := w.lite.db.seam.commit()
	if err == nil {
		err = w.lite.gone()
	}
	if err == nil {
		err = w.fixed("COMMIT")
	}
	w.lite.db.commits.timed(began)
	if err == nil {
		w.lite.dirty.Add(int64(len(decided)))
		return
	}
	if w.inTransaction() {
		w.rollback()
	}
	err = fmt.Errorf("commit: %w", w.undone(err))
	w.lite.db.log.Error("commit of the database", "changes", len(decided), "error", err)
	for i := range decided {
		decided[i].err = err
	}
}

// undone makes "nothing was changed" true after a failed COMMIT. When only the sync
// failed, the whole transaction lies in the write-ahead log behind the valid end, and
// the recovery after a kill would take it for committed. A commit that changes nothing
// is written over it; where that fails too, the outcome is not known and is called so.
func (w *writer) undone(cause error) error {
	code, ok := sqliteCode(cause)
	if !ok || code.Code() != sqlite3.IOERR {
		return mapError(cause)
	}
	err := w.begin()
	if err == nil {
		err = errors.Join(w.command(overwrite), w.fixed("COMMIT"))
	}
	if w.inTransaction() {
		w.rollback()
	}
	if code == sqlite3.IOERR_WRITE && w.lite.noRoom() {
		return diskFull(cause)
	}
	if err != nil && code == sqlite3.IOERR_FSYNC {
		w.lite.db.log.Error("the outcome of a commit is not known: it may be found again after a restart", "error", err)
		return outcomeUnknown(cause)
	}
	return mapError(cause)
}

// overwrite writes the first page as it is: user_version is not used.
const overwrite = "PRAGMA user_version = 0"

func (w *writer) answer(decided []outcome) {
	for _, o := range decided {
		o.c.answer <- o.err
	}
}

// command runs the writer's own statements. Nothing interrupts them.
func (w *writer) command(text string) error {
	_, err := w.conn.ExecContext(context.Background(), text)
	return err
}

// fixed is command for the few that each change needs: they are parsed once.
func (w *writer) fixed(text string) error {
	_, err := w.own.exec(context.Background(), text, nil)
	return err
}

// begin begins a transaction. Its pages are held back until it syncs them; see sectorFile.
func (w *writer) begin() error {
	w.hold.on = true
	return w.fixed("BEGIN IMMEDIATE")
}

func (w *writer) rollback() {
	if err := w.command("ROLLBACK"); err != nil && w.inTransaction() {
		w.lite.db.log.Error("roll back", "error", err)
	}
}

// inTransaction asks SQLite itself: an interrupt, a full disk or an I/O error may
// have ended the transaction.
func (w *writer) inTransaction() bool {
	return !w.own.conn.GetAutocommit()
}

func (w *writer) exec(query string, args []any) (int64, error) {
	return w.own.exec(w.ctx, w.lite.texts.sqlite(query), args)
}

func (w *writer) query(query string, args []any) (*sql.Rows, error) {
	return w.stmts.query(w.ctx, w.lite.texts.sqlite(query), args)
}

func (w *writer) insert(args []any) (string, error) {
	_, err := w.exec(insertPending, args)
	return "", err
}

// close lets waiting changes finish and ends the goroutine.
func (w *writer) close() error {
	close(w.stop)
	<-w.done
	w.interrupt()
	return nil
}

// closeConn closes the write connection; last, so that it moves the log into the file.
func (w *writer) closeConn() error {
	return errors.Join(w.stmts.close(), w.own.close(), w.conn.Close(), w.pool.Close())
}
