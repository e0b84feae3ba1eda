package trail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

const (
	every       = time.Second // between two chunks
	told        = 250 * time.Millisecond
	maxWaiting  = 65_536           // records in memory
	maxChunk    = 8192             // records that are sealed together, so that the longest can be read again
	maxSegment  = 8 << 20          // bytes, then it is closed
	segmentLife = 10 * time.Minute // then it is closed too
	keep        = 90 * 24 * time.Hour
	keepAddress = 7 * 24 * time.Hour // after the week they are of
)

// Keys are what it needs of *keyring.Ring.
type Keys interface {
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	ByID(ctx context.Context, id string) (envelope.Key, error)
	Versions(ctx context.Context, s keyring.Subject) ([]envelope.Key, error)
	Erase(ctx context.Context, s keyring.Subject) (keyring.Destroyed, error)
	Pseudonym(s keyring.Subject) string
}

// Access decides who may search.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Deps are what a Trail is made of. Held, Revision and Seen may be nil.
type Deps struct {
	DB     *ledger.DB
	Keys   Keys
	Access Access
	Dir    string // DIR/segments
	Now    func() time.Time
	Log    *slog.Logger
	Held   func(ctx context.Context) (bool, error) // a legal hold stands: nothing is removed
	// Revision names the revision of the policy that held at a time.
	Revision func(at time.Time) string
	// Seen is shown each record once, in their order, soon after its request and not by it; for
	// who counts requests. It must be quick, and keep nothing of it.
	Seen func(*Record)
}

// Trail keeps access records. It is safe for concurrent use.
type Trail struct {
	Deps
	folder  string     // its name, which lies in it
	mu      sync.Mutex // guards the two below
	waiting []Record
	shown   int          // of waiting
	dropped atomic.Int64 // not yet an entry
	since   atomic.Int64 // when the first of them was, µs; 0 = none
	added   atomic.Int64 // since the start
	lost    atomic.Int64 // since the start

	write sync.Mutex // guards open
	open  *segment
	names sync.Map // person → pseudonym; emptied with each segment
}

// New makes a Trail.
func New(d Deps) (*Trail, error) {
	if d.DB == nil || d.Keys == nil || d.Access == nil || d.Dir == "" || d.Now == nil || d.Log == nil {
		return nil, errors.New("trail: a dependency is missing")
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of access records: %w", err)
	}
	t := &Trail{Deps: d}
	name := filepath.Join(d.Dir, "folder")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		b = []byte(d.DB.ID())
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("name the folder of access records: %w", err)
	}
	t.folder = string(b)
	return t, nil
}

// Add keeps a record. It costs the request a copy and waits for nothing.
func (t *Trail) Add(r Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= maxWaiting {
		t.dropped.Add(1)
		t.lost.Add(1)
		t.since.CompareAndSwap(0, r.At.UnixMicro())
		return
	}
	t.added.Add(1)
	t.waiting = append(t.waiting, r)
}

// revision is looked up as records are written, which keeps no request.
func (t *Trail) revision(at time.Time) string { // clause: inc.breach-scope
	if t.Revision == nil {
		return ""
	}
	return t.Revision(at)
}

func (t *Trail) pseudonym(person string) string {
	if p, ok := t.names.Load(person); ok {
		return p.(string)
	}
	p := t.Keys.Pseudonym(keyring.Person(person))
	t.names.Store(person, p)
	return p
}

// tell shows what was not shown yet.
func (t *Trail) tell() {
	t.mu.Lock()
	rs := t.waiting[t.shown:]
	t.shown = len(t.waiting)
	t.mu.Unlock()
	t.show(rs)
}

func (t *Trail) show(rs []Record) { // clause: mon.load
	if t.Seen == nil {
		return
	}
	for i := range rs {
		t.Seen(&rs[i])
	}
}

func (t *Trail) runTell(ctx context.Context) {
	tick := time.NewTicker(told)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.tell()
		}
	}
}

// Run writes chunks and closes segments until ctx ends, then closes the last.
func (t *Trail) Run(ctx context.Context) error {
	if err := t.Recover(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var wg sync.WaitGroup
	wg.Go(func() { t.runTell(ctx) })
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return t.Close(end)
		case <-tick.C:
			if err := t.Flush(ctx); err != nil {
				t.Log.Error("access records could not be written; they wait", "err", err)
			}
		}
	}
}

// Flush writes what waits as a chunk, and closes the segment when it is full or old.
func (t *Trail) Flush(ctx context.Context) error {
	t.write.Lock()
	defer t.write.Unlock()
	if err := t.flush(ctx); err != nil {
		return err
	}
	if s := t.open; s != nil && (s.size >= maxSegment || t.Now().Sub(s.from) >= segmentLife) {
		return t.shut(ctx, false)
	}
	return nil
}

// Close writes what waits and closes the segment.
func (t *Trail) Close(ctx context.Context) error {
	t.write.Lock()
	defer t.write.Unlock()
	return errors.Join(t.flush(ctx), t.shut(ctx, false))
}

func (t *Trail) flush(ctx context.Context) error {
	if n := t.dropped.Swap(0); n > 0 {
		since := t.since.Swap(0)
		if _, err := t.DB.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) {
			return Dropped{Count: n, Since: time.UnixMicro(since).UTC()}, nil
		}); err != nil {
			t.dropped.Add(n)
			t.since.Store(since)
			return fmt.Errorf("record that records were dropped: %w", err)
		}
	}
	t.mu.Lock()
	rs, fresh := t.waiting, t.waiting[t.shown:]
	t.waiting, t.shown = make([]Record, 0, min(len(rs), maxChunk)), 0 // as many may come again: it need not grow to that
	t.mu.Unlock()
	t.show(fresh)
	for len(rs) > 0 {
		n := min(len(rs), maxChunk)
		if err := t.chunk(ctx, rs[:n]); err != nil {
			t.mu.Lock()
			t.waiting, t.shown = append(rs, t.waiting...), t.shown+len(rs)
			t.mu.Unlock()
			return err
		}
		rs = rs[n:]
	}
	return nil
}

// Counts are how many records were taken since the start, and how many were dropped.
func (t *Trail) Counts() (added, lost int64) { return t.added.Load(), t.lost.Load() }
