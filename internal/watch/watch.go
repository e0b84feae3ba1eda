package watch

import (
	"context"
	"embed"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/watch/place"
	"writ/internal/watch/series"
	"writ/internal/web"
)

//go:embed schema/*.sql templates/*.html
var files embed.FS

// Schema is the tables of watch.
func Schema() ledger.Schema {
	sub, err := fs.Sub(files, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return ledger.Schema{Module: "watch", FS: sub}
}

// Access decides who may see alarms and act on them.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Person is somebody who is told.
type Person struct{ ID, Handle, Email string }

// Keys is what watch needs of the keyring, to know the marks of canaries and to name people.
type Keys interface {
	Versions(ctx context.Context, s keyring.Subject) ([]envelope.Key, error)
	Key(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	ByID(ctx context.Context, id string) (envelope.Key, error)
	// Pseudonym is how access records name a person.
	Pseudonym(s keyring.Subject) string
}

// Notify is the kit that tells people; *notify.Service.
type Notify interface {
	Prepare(ctx context.Context, ms ...notify.Message) ([]notify.Prepared, error)
	Queue(ctx context.Context, tx *ledger.Tx, ps ...notify.Prepared) error
	Channels(ctx context.Context) ([]notify.Channel, error)
	Kinds() []string
	Rehearse(ctx context.Context, who actor.Actor) ([]clause.Step, error)
	AddChannel(ctx context.Context, who actor.Actor, name, kind string, address secret.Text) (notify.Channel, secret.Text, error)
	RemoveChannel(ctx context.Context, who actor.Actor, name string) error
	Deliveries(ctx context.Context, q notify.Query) ([]notify.Delivery, error)
	Delivery(ctx context.Context, id string) (notify.Delivery, error)
	Test(ctx context.Context, who actor.Actor, name, to string) (string, error)
	Bounce(ctx context.Context, who actor.Actor, raw io.Reader) (int, error)
	Unreachable(ctx context.Context) ([]notify.Unreachable, error)
	Reachable(ctx context.Context, who actor.Actor, mark string) error
}

// Journal is what watch needs of the journal, to hand out the evidence of an alarm; *journal.Journal.
type Journal interface {
	List(ctx context.Context, q journal.Query) ([]journal.Entry, error)
	Entry(ctx context.Context, n int64) (journal.Entry, error)
	Wait(ctx context.Context, id string) (journal.Entry, error)
	Export(ctx context.Context, who actor.Actor, ev journal.Evidence, w io.Writer) error
}

// Deps are what a Service is made of; all but Zone, Sources, Slack, Exists, Maintenance, Worked, Node, Outside and Places are needed.
type Deps struct {
	DB     *ledger.DB
	Keys   Keys
	Access Access
	Notify Notify
	Rules  *clause.Live[Rules]
	// Audience says who is told: those at work first, wider when nobody acknowledged.
	Audience func(ctx context.Context, level int64) ([]Person, error)
	// InRoles are those who have one of some roles of the staff, may read alarms and acknowledge them, and
	// can be told.
	InRoles func(ctx context.Context, roles []string) ([]Person, error)
	Origin  string // https://app.example.com
	Company func() string
	Folders map[string]string // name → folder whose disk is watched
	Zone    *time.Location    // of the organisation's weeks; nil = UTC
	Sources []Source          // of readings, beside this machine's
	History History           // for back-tests
	Journal Journal
	// Slack is how people acknowledge by a button of a message; nil = not at all.
	Slack *Slack
	// Exists says whether there is a clause, or an incident, that somebody names; nil = there is none.
	Exists func(ctx context.Context, who actor.Actor, kind, id string) error
	// Maintenance reports whether the application is closed on purpose.
	Maintenance func() bool
	// Worked names the maintenance under way of what an alarm is about, by its label instance; "" = none.
	Worked  func(instance string) string
	Node    string                          // of several, for its heartbeat
	Outside func(ctx context.Context) error // tells somebody outside that this server watches; nil = nobody listens
	Places  *place.Table                    // where networks are; nil = nobody knows
	Now     func() time.Time
	Log     *slog.Logger
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	meter    *Meter
	series   *series.Service
	pace     *series.Pace // of what comes of entries
	inlet    inlet
	tally    *Tally
	learner  *learner
	habits   *habits
	sources  []*source
	pages    *web.Pages
	own      own
	gauges   gauges
	pulse    pulse
	apart    apart
	packed   atomic.Pointer[packed]
	begun    time.Time
	forgot   time.Time // when rows were last removed; for Sample alone
	compared time.Time // the minute in which it was last compared with what is usual; for Sample alone

	mu    sync.Mutex
	marks marks
	at    int64         // entries of the journal that were read
	wake  chan struct{} // an alarm was opened: look now
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Keys == nil || d.Access == nil || d.Notify == nil || d.Rules == nil || d.Audience == nil || d.InRoles == nil || d.Origin == "" || d.Company == nil || d.History == nil || d.Journal == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("watch: a dependency is missing")
	}
	s := &Service{Deps: d, begun: d.Now(), meter: newMeter(d.Now), pace: series.NewPace(mostCounts, 10), tally: newTally(), wake: make(chan struct{}, 1), marks: marks{people: map[string]bool{}}}
	if d.Outside != nil {
		s.Sources = append(slices.Clone(d.Sources), s.outsideSource())
	}
	for _, src := range append([]Source{s.host(), s.meter.source(), {Name: "verdicts", Every: 5 * time.Minute, Read: s.imprecise}, {Name: pageTest, Every: time.Minute, Read: s.pageOwed}, s.ownSource()}, s.Sources...) {
		s.sources = append(s.sources, &source{Source: src, begun: d.Now()})
	}
	s.apart.rules = map[string]*crowd{}
	s.inlet.names, s.learner, s.habits = map[string]string{}, newLearner(d.Zone), newHabits()
	var err error
	if s.series, err = series.New(series.Deps{DB: d.DB, Meters: Meters(), Now: d.Now, Log: d.Log}); err != nil {
		return nil, err //nolint:wrapcheck // says which meter
	}
	if s.pages, err = web.NewPages(files, web.Funcs{Now: d.Now}); err != nil {
		return nil, err //nolint:wrapcheck // says which page
	}
	return s, nil
}

// Meter counts requests.
func (s *Service) Meter() *Meter { return s.meter }

// Tally counts them by route, for scrapers.
func (s *Service) Tally() *Tally { return s.tally }

// round is how often the machine is read and what is due is looked for.
const round = 10 * time.Second

// Run reads the machine and does what is due until ctx ends. The times stand in the tables;
// this only looks at them, at the latest after ten seconds.
func (s *Service) Run(ctx context.Context) error {
	defer s.finish(ctx)
	done := make(chan struct{})
	go func() { defer close(done); s.runInlet(ctx) }()
	defer func() { <-done }()
	kept := make(chan struct{})
	go func() { defer close(kept); s.runHabits(ctx) }()
	defer func() { <-kept }()
	defer s.stop(ctx)
	out := make(chan struct{})
	go func() { defer close(out); s.runOutside(ctx) }()
	defer func() { <-out }()
	tick := time.NewTicker(round)
	defer tick.Stop()
	soon := time.NewTicker(drains)
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-soon.C:
			if err := s.DrainRecords(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("records could not be looked at", "err", err)
			}
			continue
		case <-tick.C:
			if err := s.Sample(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("judge what was read of this machine", "err", err)
			}
			if err := s.Beat(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("send a heartbeat", "err", err)
			}
		}
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("do what is due about alarms", "err", err)
		}
	}
}

// finish counts what waits and writes what is in memory: a process that ends in order loses
// nothing.
func (s *Service) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishes)
	defer cancel()
	if err := errors.Join(s.drain(ctx), s.KeepHabits(ctx), s.series.Finish(ctx)); err != nil {
		s.Log.Warn("not all of what was counted last could be written", "err", err)
	}
}

// finishes is how long that may take.
const finishes = 5 * time.Second

func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// quietly runs a write that needs no entry; where events came of it, it is undone and done
// again as a change with them.
func (s *Service) quietly(ctx context.Context, who actor.Actor, fn func(tx *ledger.Tx) ([]ledger.Event, error)) error {
	err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		evs, err := fn(tx)
		if err == nil && len(evs) > 0 {
			err = errLoud
		}
		return err
	})
	if !errors.Is(err, errLoud) {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		evs, err := fn(tx)
		if err != nil {
			return nil, err
		}
		if len(evs) == 0 {
			return nil, errQuiet
		}
		for _, ev := range evs[1:] {
			tx.Also(ev)
		}
		return evs[0], nil
	})
	if errors.Is(err, errQuiet) { // it was done meanwhile
		return nil
	}
	if err == nil {
		s.nudge()
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

var (
	errLoud  = errors.New("watch: this needs an entry")
	errQuiet = errors.New("watch: nothing is left to do")
)

// system is watch at its work.
var system = actor.System("watch")

func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bad(field, problem, want string) error {
	return fault.New(fault.Invalid, "watch_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: field, Code: "watch_" + field, Problem: want}}})
}
