// Package jobs does what must happen later: work queued in the same transaction as
// the change that causes it, runs by the clock, and roles that one node holds at a
// time.
//
//	Prepare (seals) ─► Enqueue in a Change ─► claimed by a node ─► handler ─► done | again later | failed, visible
//
// Promises: queued work survives a crash and is tried again until it succeeds or
// its tries are used up, and then it stays to be seen; a handler runs at least
// once, so it must bear a second run; work of a kind with lanes waits for no other lane, and
// takes no hand from other work; a scheduled run happens on one node, once
// after a downtime and not once for each missed time; a panic is that run's error.
//
// Threats: personal data at rest in the queue (payloads are sealed under the class
// key "jobs"), an address in an error text (masked), two nodes doing one thing
// (conditional updates decide, clocks only say who may try), a clock that ran ahead and
// was set back (what it dated in the future is due at once, and held by nobody).
//
// For: every module. Tables: job_work, job_lease, job_schedule; exported and erased
// by nobody: work is gone when done, and sealed until then.
package jobs

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

//go:embed schema/*.sql
var schemaFS embed.FS

// Schema is the tables of jobs.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemaFS, "schema")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return ledger.Schema{Module: "jobs", FS: sub}
}

const (
	workers  = 4
	hold     = 2 * time.Minute // a claimed job is tried by another node after this
	putOff   = time.Minute     // of work whose kind nobody here knows
	pollWork = 500 * time.Millisecond
	gather   = 100 * time.Millisecond // after a change
	mostDue  = 32                     // jobs in one look
	queueKey = "jobs"

	longestWait = time.Hour       // between two tries
	wrong       = 5 * time.Minute // what is dated further ahead than it can be and this, comes from a clock that was wrong
)

// Keys is what jobs needs of the keyring.
type Keys interface {
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
}

// Deps are what Jobs is made of; all are needed.
type Deps struct {
	DB   *ledger.DB
	Keys Keys
	Now  func() time.Time
	Log  *slog.Logger
}

// Jobs is the queue, the schedule and the leases.
type Jobs struct {
	d    Deps
	node string
	wake chan struct{}
	more atomic.Bool // work was left for want of hands

	mu       sync.Mutex
	handlers map[string]Handler
	busy     map[string]int // running, of kinds with a limit
	plans    []*plan
}

// Handler does work of one kind.
type Handler struct {
	Run   func(ctx context.Context, payload secret.Bytes) error
	Tries int           // 0 = 10
	Wait  time.Duration // before the second try, doubled each time up to an hour; 0 = 5 s
	Limit time.Duration // of one run; 0 = 60 s
	Hands int           // how many run at once on a node, so that one kind leaves room for others; 0 = as many as there are

	// Work whose kind goes on after a slash, KIND/LANE, has Hands of its own for each lane, beside
	// those that all share: what hangs in one lane delays neither another nor other kinds. How
	// many lanes there are is bounded by whoever makes them.
	Lanes bool
}

// Job is prepared work: its payload is sealed already.
type Job struct {
	id, kind string
	box      []byte
	after    time.Duration
}

// ID is the job's id.
func (j Job) ID() string { return j.id }

// In returns the job with a delay before its first try.
func (j Job) In(d time.Duration) Job { j.after = d; return j }

// New makes the queue. Handle and Every come before Run.
func New(d Deps) *Jobs {
	if d.DB == nil || d.Keys == nil || d.Now == nil || d.Log == nil {
		panic("jobs: a dependency is missing")
	}
	return &Jobs{d: d, node: secret.RandomText(9).Reveal(), wake: make(chan struct{}, 1), handlers: map[string]Handler{}, busy: map[string]int{}}
}

// Handle names the handler of a kind. A second one for the same kind is a
// programmer's error.
func (j *Jobs) Handle(kind string, h Handler) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.handlers[kind]; ok || h.Run == nil || h.Lanes && h.Hands == 0 || strings.Contains(kind, "/") {
		panic("jobs: handler of " + kind + " is there already, does nothing, or has no bound")
	}
	if h.Tries == 0 {
		h.Tries = 10
	}
	if h.Wait == 0 {
		h.Wait = 5 * time.Second
	}
	if h.Limit == 0 {
		h.Limit = time.Minute
	}
	j.handlers[kind] = h
}

// Prepare seals the payload, outside any transaction.
func (j *Jobs) Prepare(ctx context.Context, kind string, payload []byte) (Job, error) {
	k, err := j.d.Keys.Ensure(ctx, keyring.Class(queueKey))
	if err != nil {
		return Job{}, fmt.Errorf("key of the queue: %w", err)
	}
	id := j.d.DB.ID()
	return Job{id: id, kind: kind, box: k.Seal(payload, aad(id))}, nil
}

func aad(id string) envelope.AAD {
	return envelope.AAD{Table: "job_work", Column: "payload", Row: id, Version: 1}
}

// Enqueue puts prepared work into a change.
func (j *Jobs) Enqueue(ctx context.Context, tx *ledger.Tx, job Job) error {
	now := tx.Now()
	if _, err := tx.Exec(ctx, sqlEnqueue, job.id, job.kind, job.box, now.UnixMicro(), now.Add(job.after).UnixMicro()); err != nil {
		return fmt.Errorf("queue %s: %w", job.kind, err)
	}
	return nil
}

// Waiting is a job in the queue, as the console shows it.
type Waiting struct {
	ID, Kind, State string // state waiting or failed
	Made, Due       time.Time
	Tries           int
	Problem         string // of the last try
}

// Queue lists what waits or has failed, oldest first, at most 200.
func (j *Jobs) Queue(ctx context.Context) ([]Waiting, error) {
	var ws []Waiting
	err := j.d.DB.Each(ctx, sqlQueue, func(scan ledger.Scan) error {
		var w Waiting
		var made, due int64
		if err := scan(&w.ID, &w.Kind, &w.State, &made, &due, &w.Tries, &w.Problem); err != nil {
			return err
		}
		w.Made, w.Due = time.UnixMicro(made).UTC(), time.UnixMicro(due).UTC()
		ws = append(ws, w)
		return nil
	})
	return ws, err
}

// State is that of one job: waiting or failed, and "" once it is done.
func (j *Jobs) State(ctx context.Context, id string) (string, error) {
	var state string
	err := ledger.One(ctx, j.d.DB, sqlState, []any{&state}, id)
	if errors.Is(err, fault.NotFound) {
		return "", nil
	}
	return state, err
}

// Nudge makes the queue look for work now instead of at its next tick.
func (j *Jobs) Nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then waits for what is under way.
func (j *Jobs) Run(ctx context.Context) error {
	for err := j.recover(ctx); err != nil; err = j.recover(ctx) { // a busy or absent database ends no server
		if ctx.Err() != nil {
			return nil
		}
		j.d.Log.Warn("free the work of the process before", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollWork):
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	commits := j.d.DB.Wake()
	slots := make(chan struct{}, workers)
	tick := time.NewTicker(pollWork)
	defer tick.Stop()
	for {
		j.plan(ctx, &wg)
		if err := j.drain(ctx, &wg, slots); err != nil && ctx.Err() == nil {
			j.d.Log.Warn("look for work", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-commits: // the work of several changes is found and taken together
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(gather):
			case <-j.wake:
			}
		case <-j.wake:
		case <-tick.C:
		}
	}
}

// recover frees what a killed process held. With SQLite there is no other process;
// with PostgreSQL another node may be at work, and holds end by themselves.
func (j *Jobs) recover(ctx context.Context) error {
	if j.d.DB.Engine() != "sqlite" {
		return nil
	}
	return j.d.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		if _, err := tx.Exec(ctx, sqlFreeWork); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlFreePlans)
		return err
	})
}

// due is a job that may be tried now.
type due struct {
	id, kind string
	box      []byte
	tries    int
}

// claimed is one that this node is about to try.
type claimed struct {
	due
	h     Handler
	until int64
	mine  bool // nobody was quicker
}

// handler is that of a kind, or of the kind that a lane belongs to.
func (j *Jobs) handler(kind string) (h Handler, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.handlerOf(kind)
}

func (j *Jobs) handlerOf(kind string) (h Handler, ok bool) {
	family, _, lane := strings.Cut(kind, "/")
	h, ok = j.handlers[family]
	return h, ok && (h.Lanes || !lane)
}

// drain starts every job that is due, as far as there are free hands. Kinds that have all
// they may are looked past, so that others behind them get their turn; lanes have theirs when
// no other hand is free.
func (j *Jobs) drain(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}) error {
	j.more.Store(false)
	for {
		again, err := j.start(ctx, wg, slots)
		if err != nil || !again {
			return err
		}
	}
}

// start begins what one look finds; again = something in it stood before others.
func (j *Jobs) start(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}) (again bool, err error) {
	var found []due
	now := j.d.Now()
	err = j.d.DB.Each(ctx, sqlDue, func(scan ledger.Scan) error {
		var d due
		if err := scan(&d.id, &d.kind, &d.box, &d.tries); err != nil {
			return err
		}
		found = append(found, d)
		return nil
	}, now.UnixMicro(), now.Add(wrong).UnixMicro(), now.Add(longestWait+wrong).UnixMicro(), j.absurd(now), j.full(), mostDue, j.free(slots))
	if err != nil {
		return false, err
	}
	var taken []*claimed
	for _, d := range found {
		h, ok := j.handler(d.kind)
		if !ok { // another version of the program may know it; it must not stand before the rest
			j.settle(ctx, d.id, sqlPutOff, d.id, now.Add(putOff).UnixMicro(), now.UnixMicro())
			continue
		}
		if !j.begin(d.kind, h) {
			again = len(found) == mostDue
			continue
		}
		if !h.Lanes && !j.hand(slots) {
			j.end(d.kind, h)
			again = true // lanes alone are looked at next
			continue
		}
		taken = append(taken, &claimed{due: d, h: h, until: now.Add(max(hold, h.Limit+hold/2)).UnixMicro()})
	}
	err = j.claim(ctx, taken, now)
	back := func(c *claimed) {
		if !c.h.Lanes {
			<-slots
		}
		j.end(c.kind, c.h)
	}
	free := func(c *claimed) {
		back(c)
		if j.more.Load() {
			j.Nudge()
		}
	}
	for _, c := range taken {
		if err != nil {
			back(c)
			continue
		}
		if !c.mine {
			free(c)
			continue
		}
		wg.Go(func() {
			defer free(c)
			j.work(context.WithoutCancel(ctx), c.id, c.kind, c.box, c.tries+1, c.until, c.h)
		})
	}
	return again && err == nil, err
}

// begin takes a place of a kind. Where there is none, the next one that becomes free looks
// for work: that is said before the look, as in hand.
func (j *Jobs) begin(kind string, h Handler) bool {
	if h.Hands == 0 {
		return true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.busy[kind] >= h.Hands {
		j.more.Store(true)
		return false
	}
	j.busy[kind]++
	return true
}

func (j *Jobs) end(kind string, h Handler) {
	if h.Hands == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.busy[kind]--; j.busy[kind] <= 0 {
		delete(j.busy, kind)
	}
}

// full names the kinds that have all the hands they may, each between commas.
func (j *Jobs) full() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := ","
	for kind, n := range j.busy {
		if h, _ := j.handlerOf(kind); n >= h.Hands {
			j.more.Store(true)
			out += kind + ","
		}
	}
	return out
}

// free reports whether one of the hands that all share is free. Where none is, the next one that
// becomes free looks for work, as in hand.
func (j *Jobs) free(slots chan struct{}) bool {
	if len(slots) < cap(slots) {
		return true
	}
	j.more.Store(true)
	return len(slots) < cap(slots)
}

// hand takes a free hand. When there is none, the next one that becomes free looks for
// work: it is told before the last look, so that none becomes free unseen.
func (j *Jobs) hand(slots chan struct{}) bool {
	for range 2 {
		select {
		case slots <- struct{}{}:
			return true
		default:
			j.more.Store(true)
		}
	}
	return false
}

// claim takes the jobs, all in one commit, each until its time, which is also the fence:
// only who holds it under that time writes down how it ended.
func (j *Jobs) claim(ctx context.Context, taken []*claimed, now time.Time) error {
	if len(taken) == 0 {
		return nil
	}
	slices.SortFunc(taken, func(a, b *claimed) int { return strings.Compare(a.id, b.id) }) // nodes lock them in one order
	absurd := j.absurd(now)
	return j.d.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		for _, c := range taken {
			n, err := tx.Exec(ctx, sqlClaim, c.id, c.until, now.UnixMicro(), absurd)
			if err != nil {
				return err
			}
			c.mine = n == 1
		}
		return nil
	})
}

// absurd is further ahead than anybody holds a job by a clock that is right.
func (j *Jobs) absurd(now time.Time) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	longest := hold
	for _, h := range j.handlers {
		longest = max(longest, h.Limit+hold/2)
	}
	return now.Add(longest + wrong).UnixMicro()
}

// work runs one try and writes down how it ended.
func (j *Jobs) work(ctx context.Context, id, kind string, box []byte, try int, until int64, h Handler) {
	run, cancel := context.WithTimeout(ctx, h.Limit)
	defer cancel()
	err := guard(func() error {
		if try > h.Tries {
			return fault.Newf(fault.Invalid, "tries_used", "the process ended during each of %d tries", h.Tries)
		}
		k, err := j.d.Keys.Ensure(run, keyring.Class(queueKey))
		if err != nil {
			return err
		}
		payload, err := k.Open(box, aad(id))
		if err != nil {
			return err
		}
		return h.Run(run, payload)
	})
	if err == nil {
		j.settle(ctx, id, sqlDone, id, until)
		return
	}
	state, wait := "waiting", min(h.Wait<<min(try-1, 20), longestWait)
	if try >= h.Tries || errors.Is(err, fault.Invalid) {
		state = "failed"
	}
	j.d.Log.Warn("job", "kind", kind, "try", try, "state", state, "err", mask(err.Error()))
	j.settle(ctx, id, sqlAgain, id, state, j.d.Now().Add(wait).UnixMicro(), mask(err.Error()), until)
}

// settle writes down how a try ended, and tries that a few times: a job of which it is not
// known that it was done is done again, and a letter sent twice.
func (j *Jobs) settle(ctx context.Context, id, query string, args ...any) {
	var err error
	for wait := 50 * time.Millisecond; wait < 2*time.Second; wait *= 2 {
		if err = j.d.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		}); err == nil || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	if err != nil { // the hold ends by itself and the job is tried again
		j.d.Log.Warn("write down the end of a job", "id", id, "err", err)
	}
}

// guard turns a panic into an error that names its place.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

var address = regexp.MustCompile(`[^\s<>"'(]+@[^\s<>"')]+`)

// mask keeps addresses out of logs and of the queue's view, and the text short.
func mask(s string) string {
	s = address.ReplaceAllString(s, "(address)")
	if len(s) > 300 {
		s = s[:300]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "") // PostgreSQL refuses both
}

// jitter is d ± 10 %.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}

const (
	sqlEnqueue = `INSERT INTO job_work (id, kind, payload, state, made, due, held, tries, problem) VALUES ($1, $2, $3, 'waiting', $4, $5, 0, 0, '')`
	sqlDue     = `SELECT id, kind, payload, tries FROM job_work WHERE state = 'waiting'
		AND (due <= $1 OR made > $2 OR tries > 0 AND due > $3) AND (held <= $1 OR held > $4) AND $5 NOT LIKE '%,' || kind || ',%' AND ($7 OR kind LIKE '%/%') ORDER BY due LIMIT $6`
	sqlClaim     = `UPDATE job_work SET held = $2, tries = tries + 1 WHERE id = $1 AND state = 'waiting' AND (held <= $3 OR held > $4)`
	sqlDone      = `DELETE FROM job_work WHERE id = $1 AND held = $2`
	sqlPutOff    = `UPDATE job_work SET due = $2 WHERE id = $1 AND state = 'waiting' AND held <= $3`
	sqlAgain     = `UPDATE job_work SET state = $2, due = $3, held = 0, problem = $4 WHERE id = $1 AND held = $5`
	sqlFreeWork  = `UPDATE job_work SET held = 0 WHERE held > 0`
	sqlFreePlans = `UPDATE job_schedule SET busy = 0 WHERE busy > 0`
	sqlState     = `SELECT state FROM job_work WHERE id = $1`
	sqlQueue     = `SELECT id, kind, state, made, due, tries, problem FROM job_work ORDER BY id LIMIT 200`
)
