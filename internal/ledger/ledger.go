package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/secret"
)

// Keys is what the ledger needs of a keyring.Ring.
type Keys interface {
	// Ensure returns the subject's key, creating it if there is none; fault.Gone once erased.
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	// Key returns a key that exists, from memory once it was used.
	Key(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	// Versions returns all keys of a subject, the newest first.
	Versions(ctx context.Context, s keyring.Subject) ([]envelope.Key, error)
	// Page is the 64-byte AES-256-XTS key of the SQLite pages; empty while sealed.
	Page() secret.Bytes
}

// Config is what Open needs. URL, Keys, Now and Log must be set.
type Config struct {
	URL      string           // sqlite:/path/writ.db or postgres://…
	Keys     Keys             // *keyring.Ring
	Now      func() time.Time // the clock
	Revision func() string    // the policy revision in force, "" before there is one; may be nil
	Log      *slog.Logger
	Schemas  []Schema            // the modules' schemas, applied in this order after the ledger's own
	Screen   func(string) error  // looks at each public and personal value in JSON, and may refuse the act; may be nil
	Mask     func(string) string // masks in each text of an entry what no record may hold (card numbers); may be nil
	Seam     *Seam               // tests only
}

// Schema is the tables of one module: goose files NNNNN_name.sql, forward only.
// {{rowid}} is an integer primary key given by the program, {{autoid}} one given by
// the database in rising order, {{queueid}} one that rises only among the rows present
// (SQLite gives a removed number again, and writes one page less). Types are TEXT BIGINT BOOLEAN BYTEA; times are
// BIGINT microseconds UTC.
type Schema struct {
	Module string
	FS     fs.FS
}

// Receipt says under which id and when a change was recorded.
type Receipt struct {
	ID string
	At time.Time
}

// Housekeeping is why a write needs no entry.
type Housekeeping string

// The closed list of writes without an entry.
const (
	LastSeen   Housekeeping = "last-seen"   // when a session or token was last used
	Lease      Housekeeping = "lease"       // who holds a role among the nodes
	Throttle   Housekeeping = "throttle"    // counters of attempts
	Cursor     Housekeeping = "cursor"      // how far a follower has read
	Sequencing Housekeeping = "sequencing"  // entries moving from pending into the journal
	JobState   Housekeeping = "job-state"   // tries and results of queued work
	UseCounts  Housekeeping = "use-counts"  // how often a right was used on a day; who did what is in its own entry
	WatchState Housekeeping = "watch-state" // counts towards an alarm, and what an open one saw last; that it opened is an entry
	Expiry     Housekeeping = "expiry"      // removing rows whose time, recorded when they were made, is over
)

// housekeeping is the closed list as a set; Reasons shows it.
var housekeeping = []Housekeeping{LastSeen, Lease, Throttle, Cursor, Sequencing, JobState, UseCounts, WatchState, Expiry}

// Reasons lists what Quiet accepts.
func Reasons() []Housekeeping { return slices.Clone(housekeeping) }

// engine is one kind of database.
type engine interface {
	// run lends a Tx to attempt on the calling goroutine, maybe more than once, and
	// returns nil only when what the last attempt wrote is committed.
	run(ctx context.Context, attempt func(*Tx) error) error
	// query reads committed rows, under the caller's ctx.
	query(ctx context.Context, query string, args []any) (*sql.Rows, error)
	name() string
	health(ctx context.Context, h *Health) error
	names(ctx context.Context) ([]string, error)
	close() error
}

// DB is the open ledger. It is safe for concurrent use.
type DB struct {
	engine   engine
	keys     Keys
	now      func() time.Time
	revision func() string
	screen   func(string) error
	mask     func(string) string
	log      *slog.Logger
	seam     *Seam
	limit    time.Duration // for a closure on SQLite

	ids     ids
	warm    warm
	gate    gate
	inner   sync.Map // goroutine ids inside a closure
	wakes   hints
	clock   atomic.Int64 // greatest time seen, µs
	closed  atomic.Bool
	written written
	commits commits
}

// Open opens the ledger, applies the schemas and records those that are new. It
// gives fault.Sealed when the key is missing or is not the file's, fault.Conflict
// when a newer program has changed the schema or an applied file has changed.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Keys == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("open ledger: Keys, Now and Log must be set")
	}
	d := &DB{keys: c.Keys, now: c.Now, revision: c.Revision, screen: c.Screen, mask: c.Mask, log: c.Log, seam: c.Seam, limit: closureLimit}
	if d.revision == nil {
		d.revision = func() string { return "" }
	}
	if c.Seam != nil && c.Seam.Limit > 0 {
		d.limit = c.Seam.Limit
	}
	d.gate.configure(c.Seam)
	schemas := append([]Schema{{Module: "ledger", FS: ownSchema()}}, c.Schemas...)
	var err error
	switch scheme, rest, _ := strings.Cut(c.URL, ":"); scheme {
	case "sqlite":
		d.engine, err = openSQLite(ctx, d, rest, schemas)
	case "postgres", "postgresql":
		d.engine, err = openPostgres(ctx, d, c.URL, schemas)
	default:
		return nil, fault.Newf(fault.Invalid, "database_url", "The database address must begin with sqlite: or postgres:.")
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", mapError(err))
	}
	if err := d.recordMigrations(ctx, schemas); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger: %w", err), d.engine.close())
	}
	return d, nil
}

// Close ends the ledger: changes that wait are still done, later ones refused.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	return d.engine.close()
}

// Engine is "sqlite" or "postgres".
func (d *DB) Engine() string { return d.engine.name() }

// ID makes a time-ordered id of 26 characters: use it for entries and for rows of
// large tables; not where guessing or time must not show.
func (d *DB) ID() string { return d.ids.next(d.now()) }

// Change runs fn in a transaction and records the event it returns, or does neither.
// See the package doc for what fn may do. Errors of fn come back as they are; those
// of the ledger are fault.Conflict, Unavailable, Limited, Sealed or Invalid (event).
func (d *DB) Change(ctx context.Context, who actor.Actor, fn func(*Tx) (Event, error)) (Receipt, error) {
	if who.IsZero() {
		return Receipt{}, defect(errNoActor)
	}
	leave, err := d.enter()
	if err != nil {
		return Receipt{}, err
	}
	defer leave()
	if err := d.gate.check(ctx, d); err != nil {
		return Receipt{}, err
	}
	s := &scribe{db: d, who: who, keys: map[keyring.Subject]envelope.Key{}}
	if sub, ok := own(who, d.now()); ok && !d.warm.has(sub) {
		if err := s.fetch(ctx, sub); err != nil {
			return Receipt{}, err
		}
	}
	var receipt Receipt
	cuts := 0
	for range maxSubjects {
		err = d.run(ctx, func(t *Tx) error {
			receipt = Receipt{ID: t.entry, At: t.now}
			ev, err := fn(t)
			if err != nil {
				return err
			}
			return s.record(ctx, t, ev)
		})
		if errors.Is(err, ErrCutOff) && cuts < maxCuts && ctx.Err() == nil {
			cuts++ // the machine stood still more often than the closure was slow
			continue
		}
		need, ok := errors.AsType[*needKey](err)
		if !ok {
			break
		}
		if err := s.fetch(ctx, need.subject); err != nil {
			return Receipt{}, err
		}
	}
	if err != nil {
		return Receipt{}, err
	}
	d.committed(receipt.At)
	return receipt, nil
}

// maxCuts bounds how often a change that was cut off is tried again.
const maxCuts = 2

// maxSubjects bounds how often one change runs again because its event named
// another subject.
const maxSubjects = 12

// record inserts the change's entries; last, so that locks are held shortly.
func (s *scribe) record(ctx context.Context, t *Tx, ev Event) error {
	if isNil(ev) {
		return defect(errNoEvent)
	}
	t.mu.Lock()
	t.done = true
	events := append([]Event{ev}, t.also...)
	t.mu.Unlock()
	for i, e := range events {
		id := t.entry
		if i > 0 {
			id = t.ID()
		}
		r, err := s.write(ctx, e, id, t.now)
		if err != nil {
			return err
		}
		if err := t.insert(r); err != nil {
			return fmt.Errorf("record %s: %w", r.name, err)
		}
	}
	return nil
}

// Refuse records ev, the refusal of an act, in a change of its own, and returns
// reason. If it cannot be recorded the answer is fault.Unavailable with the code
// unrecorded instead. It does not stop when the caller goes away: who breaks off a
// request cannot keep its refusal out of the record.
func (d *DB) Refuse(ctx context.Context, who actor.Actor, ev Event, reason error) error {
	if reason == nil {
		return defect(errors.New("ledger: a refusal without a reason"))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refuseWithin)
	defer cancel()
	if _, err := d.Change(ctx, who, func(*Tx) (Event, error) { return ev, nil }); err != nil {
		return unavailable("unrecorded", "The request was refused, and that could not be recorded.",
			"Try again in a minute.", fmt.Errorf("record a refusal: %w", errors.Join(err, reason)))
	}
	return reason
}

const refuseWithin = 10 * time.Second

// Quiet writes without an entry, for a reason on the closed list.
func (d *DB) Quiet(ctx context.Context, why Housekeeping, fn func(*Tx) error) error {
	if !slices.Contains(housekeeping, why) {
		return defect(fmt.Errorf("ledger: %q is not housekeeping", string(why)))
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	for cuts := 0; ; cuts++ {
		err := d.run(ctx, func(t *Tx) error {
			if err := fn(t); err != nil {
				return err
			}
			if len(t.also) > 0 {
				return defect(errQuietAlso)
			}
			return nil
		})
		// The sequencer makes its batch smaller instead.
		if !errors.Is(err, ErrCutOff) || why == Sequencing || cuts == maxCuts || ctx.Err() != nil {
			return err
		}
	}
}

// run hands the attempt to the engine; where a test asks for it, after a rehearsal
// that is undone.
func (d *DB) run(ctx context.Context, attempt func(*Tx) error) error {
	var touched []string
	defer func() { d.written.add(touched) }() // before the caller knows that it is done (Memo)
	inner := attempt
	attempt = func(t *Tx) error {
		defer func() { touched = append(touched, t.touched...) }()
		return inner(t)
	}
	if d.seam != nil && d.seam.Twice {
		rehearsal := errors.New("rehearsal")
		err := d.engine.run(ctx, func(t *Tx) error {
			if err := attempt(t); err != nil {
				return err
			}
			return rehearsal
		})
		if !errors.Is(err, rehearsal) {
			return err
		}
	}
	return d.engine.run(ctx, attempt)
}

// enter refuses a change inside a change, which on SQLite would wait for itself.
func (d *DB) enter() (leave func(), err error) {
	if d.closed.Load() {
		return nil, storeAway(errClosed)
	}
	id := goroutine()
	if _, inside := d.inner.LoadOrStore(id, true); inside {
		return nil, defect(errNested)
	}
	return func() { d.inner.Delete(id) }, nil
}

// committed tells who waits for entries, and watches the clock.
func (d *DB) committed(at time.Time) {
	d.wakes.give()
	us := at.UnixMicro()
	for {
		last := d.clock.Load()
		if us > last {
			if !d.clock.CompareAndSwap(last, us) {
				continue
			}
		} else if back := time.Duration(last-us) * time.Microsecond; back > 2*time.Second {
			d.log.Warn("the clock went backwards", "by", back)
		}
		return
	}
}

// Pseudonyms are how a subject that is no class appears in entries, the present one
// first: each version of its key gave another. See Pseudonym. For an actor who is a
// stranger use its kind and id with the key of keyring.Strangers.
func (d *DB) Pseudonyms(ctx context.Context, s keyring.Subject) ([]string, error) {
	keys, err := d.keys.Versions(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("get keys of %s: %w", s, err)
	}
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = Pseudonym(k, s.Kind, s.ID)
	}
	return out, nil
}

// warm knows the subjects whose keys were used by this process and so lie in the
// key ring's memory. It holds no keys: an erased key must die with the ring's copy.
type warm struct {
	mu sync.RWMutex
	m  map[keyring.Subject]bool
}

const maxWarm = 20_000

func (w *warm) has(s keyring.Subject) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.m[s]
}

func (w *warm) add(s keyring.Subject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m == nil || len(w.m) >= maxWarm {
		w.m = map[keyring.Subject]bool{}
	}
	w.m[s] = true
}

func (w *warm) drop(s keyring.Subject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.m, s)
}
