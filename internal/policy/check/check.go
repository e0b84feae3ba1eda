package check

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/policy"
)

// Law is what a Runner asks the policy; *policy.Service.
type Law interface {
	Current() (policy.Moment, error)
	Newest(ctx context.Context, t time.Time) (map[string]policy.Record, error)
	Genuine(policy.Record) error
	Unbound() map[string]string
	Obeyed(param string) bool
}

// Scheduler runs a job at intervals on one node; *jobs.Jobs.
type Scheduler interface {
	Every(name string, every time.Duration, run func(context.Context) error)
}

// Access decides whether an actor may read or run checks.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Deps is what a Runner needs. All but Index are required.
type Deps struct {
	DB       *ledger.DB
	Law      Law
	Access   Access
	Controls []clause.Control // of all modules
	Now      func() time.Time
	Log      *slog.Logger
	// Index gives the number of an entry in the journal, if it has one yet. nil: entries
	// are named by their ids.
	Index func(ctx context.Context, entry string) (n int64, ok bool)
}

// Runner runs controls and reports. It is safe for concurrent use.
type Runner struct {
	db       *ledger.DB
	law      Law
	access   Access
	controls []clause.Control
	now      func() time.Time
	log      *slog.Logger
	index    func(ctx context.Context, entry string) (int64, bool)

	ticking sync.Mutex               // one tick at a time
	turns   map[string]chan struct{} // who runs a control; never changed after New
	results sync.RWMutex             // held while a result is committed and noted in made
	made    map[string]finding       // what this process stored last, by control; guarded by results
	mu      sync.Mutex               // guards what follows
	plans   map[string]*plan
	waiting map[string]finding       // passes that did not change, not yet recorded, by control
	took    map[string]time.Duration // how long a control ran last
}

// plan is when a control runs next, as far as this process knows.
type plan struct {
	first   time.Time // after start
	ran     bool      // since start
	retry   time.Time // zero: no error yet
	looked  time.Time // when it last ran
	running bool
}

const (
	pulse   = 5 * time.Second // how often due controls are looked for
	limit   = 60 * time.Second
	again   = 30 * time.Second // after an error
	early   = time.Minute      // after a look that could not tell yet: it mostly waits for what has just begun
	atOnce  = 2
	spread  = 18 * time.Second // in which canaries first run after start
	maxSays = 500              // characters of a summary
	keep    = 396 * 24 * time.Hour
	ahead   = time.Minute // how far a result may be dated ahead of the clock
)

// New makes a Runner. Call Schedule to have it work by itself.
func New(d Deps) (*Runner, error) {
	if d.DB == nil || d.Law == nil || d.Access == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("check: DB, Law, Access, Now and Log are required")
	}
	if d.Index == nil {
		d.Index = func(context.Context, string) (int64, bool) { return 0, false }
	}
	r := &Runner{db: d.DB, law: d.Law, access: d.Access, now: d.Now, log: d.Log, index: d.Index, controls: slices.Clone(d.Controls), plans: map[string]*plan{}, turns: map[string]chan struct{}{}, waiting: map[string]finding{}, made: map[string]finding{}, took: map[string]time.Duration{}}
	slices.SortFunc(r.controls, func(a, b clause.Control) int { return strings.Compare(a.ID, b.ID) })
	for i, c := range r.controls {
		switch {
		case c.ID == "" || c.Clause == "" || c.Run == nil || c.Every <= 0:
			return nil, fmt.Errorf("check: control %q lacks an id, a clause, a run or an interval", c.ID)
		case c.FreshFor < c.Every+c.Every/10:
			return nil, fmt.Errorf("check: control %s is fresh for %s and runs every %s: it would be stale between two runs", c.ID, c.FreshFor, c.Every)
		case i > 0 && r.controls[i-1].ID == c.ID:
			return nil, fmt.Errorf("check: two controls are named %s", c.ID)
		}
		r.plans[c.ID], r.turns[c.ID] = &plan{}, make(chan struct{}, 1)
	}
	return r, nil
}

// Schedule has the due controls run and old results go.
func (r *Runner) Schedule(s Scheduler) {
	s.Every("policy.checks", pulse, r.Tick)
	s.Every("policy.trim-results", 24*time.Hour, r.trim)
}

// Controls lists the controls, by id.
func (r *Runner) Controls() []clause.Control { return slices.Clone(r.controls) }

// Tick runs all controls that are due and records what they found. The first tick
// starts the clock of first runs: probes and replays at once, canaries spread over 18 s.
func (r *Runner) Tick(ctx context.Context) error {
	r.ticking.Lock()
	defer r.ticking.Unlock()
	m, err := r.law.Current()
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	latest, err := r.latest(ctx)
	if err != nil {
		return err
	}
	due := r.due(m, latest)
	var wg sync.WaitGroup
	queue := make(chan clause.Control)
	for range min(atOnce, len(due)) {
		wg.Go(func() {
			for c := range queue {
				r.once(ctx, c, m, latest[c.ID])
			}
		})
	}
	for _, c := range due {
		if ctx.Err() != nil {
			r.mu.Lock()
			r.plans[c.ID].running = false
			r.mu.Unlock()
			continue
		}
		queue <- c
	}
	close(queue)
	wg.Wait()
	return r.flush(context.WithoutCancel(ctx))
}

// Soon has the controls of all clauses with this prefix run at the next tick: something
// they look at has changed.
func (r *Runner) Soon(prefix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.controls {
		if p := r.plans[c.ID]; strings.HasPrefix(c.Clause, prefix) && p.ran && p.retry.IsZero() {
			p.ran, p.first = false, r.now()
		}
	}
}

// due lists what should run now.
func (r *Runner) due(m policy.Moment, latest map[string]finding) []clause.Control {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	canaries, n := 0, 0
	for _, c := range r.controls {
		if c.Kind == clause.Canary {
			canaries++
		}
	}
	var out []clause.Control
	for _, c := range r.controls {
		p := r.plans[c.ID]
		if p.first.IsZero() {
			p.first = now
			if c.Kind == clause.Canary {
				p.first = now.Add(time.Second + spread*time.Duration(n)/time.Duration(canaries))
				n++
			}
		}
		if !p.running && !now.Before(p.next(c, m, latest[c.ID], now)) {
			p.running = true
			out = append(out, c)
		}
	}
	return out
}

// next is when the control should run.
func (p *plan) next(c clause.Control, m policy.Moment, last finding, now time.Time) time.Time {
	switch {
	case !p.retry.IsZero():
		return p.retry
	case !p.ran || last.Control == "":
		return p.first
	case last.values != valuesHash(m, c.Clause):
		return time.Time{} // its parameters changed
	case last.Observed.After(now.Add(ahead)):
		return time.Time{} // the clock was set back: nothing new would be seen until it catches up
	}
	due := last.Observed.Add(jitter(c, last.Observed))
	if soon := p.looked.Add(early); last.Outcome == clause.Unknown && c.Kind == clause.Probe && soon.Before(due) {
		return soon
	}
	return due
}

// jitter is the interval ± 10 %, the same for the same run on every node.
func jitter(c clause.Control, since time.Time) time.Duration {
	h := fnv.New64a()
	fmt.Fprint(h, c.ID, since.UnixMicro())
	part := float64(h.Sum64()%2001)/1000 - 1 // -1 … 1
	return c.Every + time.Duration(part*float64(c.Every)/10)
}
