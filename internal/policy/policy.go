package policy

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/policy/document"
)

//go:embed schema/*.sql
var schemas embed.FS

// Schema is the policy's tables.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemas, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return ledger.Schema{Module: "policy", FS: sub}
}

// People says who a handle such as person/ana is. identity implements it.
type People interface {
	// PersonByHandle gives the person behind a handle; fault.NotFound for nobody.
	PersonByHandle(ctx context.Context, handle string) (id string, active bool, err error)
	// Handle is the handle of a person.
	Handle(ctx context.Context, id string) (string, error)
}

// Access decides whether an actor may act on the policy.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Deps is what a Service needs. All but Controls, Forecasts, Shown, Vocabulary, Waived and Able are required.
type Deps struct {
	DB       *ledger.DB
	People   People
	Access   Access
	Slots    []clause.Slot // the rules of every other module
	Template []byte        // the shipped policy file
	Now      func() time.Time
	Log      *slog.Logger

	Controls   []clause.Control             // of every other module: their clauses must bind all their parameters
	Forecasts  map[string]clause.Forecaster // by module: what a revision would do to what is there
	Shown      []string                     // parameters (clause/param) that are shown and drive nothing, by declaration
	Vocabulary document.Vocabulary          // what a file may name; zero = document.Shipped()

	// Waived lists what people of a module have let pass, the newest first. Without it nobody can.
	Waived func(ctx context.Context) ([]Waived, error)

	// Able counts who of the owners could sign in under a policy's values. Without it nobody asks.
	Able func(ctx context.Context, v clause.Values, owners []string) (int, error)
}

// Service is the policy. It is safe for concurrent use.
type Service struct {
	db       *ledger.DB
	people   People
	access   Access
	rules    *clause.Live[Rules]
	slots    []clause.Slot
	upheld   map[string]bool // clauses with a control in this build
	shown    map[string]bool
	able     func(ctx context.Context, v clause.Values, owners []string) (int, error)
	waived   func(ctx context.Context) ([]Waived, error)
	template *document.Policy
	vocab    document.Vocabulary
	now      func() time.Time
	log      *slog.Logger

	forecasters map[string]clause.Forecaster

	mu    sync.Mutex // one change of the law at a time
	book  atomic.Pointer[book]
	dirty atomic.Bool // the database has moved on and reading it again did not work

	challenges challenges
	excepted   sync.Map // applied → *document.Policy, nil where it has no room
	parsed     sync.Map // body sha256 → *document.Policy
}

// New makes a Service. Nothing is read yet: call Start, after Bootstrap on a new ledger.
func New(d Deps) (*Service, error) {
	switch {
	case d.DB == nil, d.People == nil, d.Access == nil, d.Now == nil, d.Log == nil:
		return nil, errors.New("policy: DB, People, Access, Now and Log are required")
	}
	if d.Vocabulary.Modules == nil {
		d.Vocabulary = document.Shipped()
	}
	p, ps := document.Load(d.Template, d.Vocabulary)
	if p == nil {
		return nil, fmt.Errorf("policy: the shipped template: %w", document.Refusal(ps))
	}
	s := &Service{db: d.DB, people: d.People, access: d.Access, rules: clause.NewLive[Rules](d.Now), template: p, vocab: d.Vocabulary,
		now: d.Now, log: d.Log, able: d.Able, waived: d.Waived, upheld: map[string]bool{}, shown: map[string]bool{}, forecasters: d.Forecasts}
	s.slots = append(slices.Clone(d.Slots), s.rules)
	for _, c := range d.Controls {
		s.upheld[c.Clause] = true
	}
	for _, c := range s.Controls(nil) {
		s.upheld[c.Clause] = true
	}
	for _, k := range d.Shown {
		s.shown[k] = true
	}
	s.vocab.Upheld = nil
	for c := range s.upheld {
		s.vocab.Upheld = append(s.vocab.Upheld, c)
	}
	slices.Sort(s.vocab.Upheld)
	return s, nil
}

// Schema is the policy's tables.
func (s *Service) Schema() ledger.Schema { return Schema() }

// Slots are the policy's own rules.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.rules} }

// Start reads the revisions, verifies their chain, binds the one in force to the
// modules' rules and sets them. fault.NotFound, code no_policy, when Bootstrap has not
// been called; fault.Conflict, code chain_broken, when the history was tampered with.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.read(ctx)
	if err != nil {
		return err
	}
	if len(b.revisions) == 0 {
		return fault.New(fault.NotFound, "no_policy", fault.Public{Problem: "No policy was adopted here.", Next: "Run writ init first."})
	}
	if err := b.broken(); err != nil {
		return fmt.Errorf("start policy: %w", err)
	}
	return s.install(b)
}

// broken is the fault of a history that was tampered with, nil for a sound one.
func (b *book) broken() error {
	problems := b.verify()
	if len(problems) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "chain_broken", fault.Public{
		Problem:  "The history of the policy was changed outside of Writ: " + problems[0] + ".",
		Expected: "An unbroken chain of revisions whose hashes and signatures agree.", Next: "Restore the database from a backup."})
}

// Run follows changes that another node made, and repeats a reading that did not work,
// until ctx ends. Effective dates and the ends of exceptions need no help of it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s.db.Engine() != "postgres" && !s.dirty.Load() {
			continue
		}
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the policy could not be read again; the values before stay", "error", err)
		}
	}
}

// Refresh reads the policy again if the database has moved on.
func (s *Service) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark, err := s.mark(ctx)
	if err != nil {
		return err
	}
	if b := s.book.Load(); b != nil && b.mark == mark && !s.dirty.Load() {
		return nil
	}
	return s.reload(ctx)
}

// reload reads and installs; the caller holds mu. When it does not work the values
// before stay and Run tries again.
func (s *Service) reload(ctx context.Context) error {
	s.dirty.Store(true)
	b, err := s.read(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if err := b.broken(); err != nil { // what was written past Change is not obeyed, whenever it was written
		return fmt.Errorf("read the policy again: %w", err)
	}
	if err := s.install(b); err != nil {
		return err
	}
	s.dirty.Store(false)
	return nil
}

// install checks a whole timeline against all rules, then sets them all.
func (s *Service) install(b *book) error {
	periods, unbound, err := s.timeline(b, s.now())
	if err != nil {
		return err
	}
	for i, p := range periods {
		missing := unbound
		if i > 0 {
			missing = map[string]string{}
		}
		s.mend(p.Values, missing)
	}
	if err := s.check(periods); err != nil {
		return err
	}
	for _, slot := range s.slots {
		if err := slot.Set(periods); err != nil {
			return fmt.Errorf("set rules that were checked before: %w", err)
		}
	}
	s.book.Store(b)
	for id, why := range unbound {
		s.log.Error("a clause is unbound: propose a revision, see writ policy propose --template", "clause", id, "why", why)
	}
	return nil
}

// state is the law as read last; it panics before Start, as reading rules would.
func (s *Service) state() *book {
	b := s.book.Load()
	if b == nil {
		panic("policy: read before Start")
	}
	return b
}

// Version is the version in force, "" before Start. Give it to the ledger.
func (s *Service) Version() string {
	b := s.book.Load()
	if b == nil {
		return ""
	}
	return b.at(s.now()).Version.String()
}

// VersionAt is the version that held at a time, "" before Start.
func (s *Service) VersionAt(t time.Time) string {
	b := s.book.Load()
	if b == nil {
		return ""
	}
	return b.at(t).Version.String()
}

// Unbound names the clauses whose parameters the revision in force lacks, or has with
// values that this build refuses, with why.
func (s *Service) Unbound() map[string]string {
	p, _, err := s.effective(s.state(), s.now())
	if err != nil {
		return nil
	}
	vals, unbound, _ := s.bind(p, running)
	s.mend(vals, unbound)
	return unbound
}

// Upheld reports whether a control of this build checks the clause.
func (s *Service) Upheld(id string) bool { return s.upheld[id] }

// Visibility is how much of the revision in force the trust page shows: public,
// summary or hidden. The page shows its version and its hash in any case.
func (s *Service) Visibility() string {
	return s.rules.Get().Visibility // clause: gov.published
}

// refuse records a refused act and returns f.
func (s *Service) refuse(ctx context.Context, who actor.Actor, act, on, clauseID string, f *fault.Error) error {
	return s.db.Refuse(ctx, who, Refused{Act: act, Code: f.Code, On: on, clause: clauseID}, f)
}

// handleOf is the handle of the person who acts; "" for others.
func (s *Service) handleOf(ctx context.Context, who actor.Actor) (string, error) {
	if who.Kind != actor.Person {
		return "", nil
	}
	h, err := s.people.Handle(ctx, who.ID)
	if err == nil && h == "" {
		return "", notAPerson()
	}
	return h, err
}

// notAPerson refuses to speak for somebody else.
func notAPerson() *fault.Error {
	return fault.New(fault.Denied, "not_a_person", fault.Public{Problem: "It is not known who you are.", Next: "Sign in as yourself."})
}

// active reports whether a handle belongs to somebody active; nobody is not an error.
func (s *Service) active(ctx context.Context, handle string) (id string, ok bool, err error) {
	id, ok, err = s.people.PersonByHandle(ctx, handle)
	if errors.Is(err, fault.NotFound) {
		return "", false, nil
	}
	return id, ok, err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
