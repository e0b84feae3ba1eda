package incident

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

//go:embed schema/*.sql
var schemaFS embed.FS

// Schema is the tables of incidents and of the status page.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemaFS, "schema")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return ledger.Schema{Module: "incident", FS: sub}
}

// Rules are the parameters of the policy that this package obeys.
type Rules struct {
	Drill       time.Duration `clause:"inc.prepared/drill"`
	DrillKinds  []string      `clause:"inc.prepared/kinds"`
	Steps       int           `clause:"inc.process/steps"`
	SoloAfter   string        `clause:"inc.process/solo_after"` // a duration, or never
	Postmortem  time.Duration `clause:"inc.learn/postmortem"`
	Kinds       []string      `clause:"inc.categorise/kinds"`
	Acknowledge time.Duration `clause:"inc.categorise/ack"`
	Triage      time.Duration `clause:"inc.categorise/triage"`
	Alarms      []string      `clause:"inc.categorise/alarms"` // severities, parts and rules
	Channels    []string      `clause:"inc.public-notice/channel"`
	Errors      int           `clause:"inc.public-notice/threshold_errors"` // basis points
	Down        time.Duration `clause:"inc.public-notice/threshold_time"`
	Notice      time.Duration `clause:"inc.public-notice/within"`
	Every       time.Duration `clause:"inc.updates/every"`
	Estimate    string        `clause:"inc.eta/eta"`
	Notify      time.Duration `clause:"inc.breach-notify/within"`
	ByChannel   []string      `clause:"inc.breach-notify/channel"`
	Clocks      [][]string    `clause:"inc.breach-notify/clocks"` // name, from (aware, declared), within, to
	Temporary   time.Duration `clause:"inc.patch/temp_expires"`
	Pick        string        `clause:"inc.loss-restore/pick"`
	PlanDrill   time.Duration `clause:"host.bcp/drill"`
	RTO         time.Duration `clause:"host.bcp/rto"`
	RPO         time.Duration `clause:"host.bcp/rpo"`
}

// Soak is how long the impact must be over before an incident is resolved.
const Soak = 15 * time.Minute

// Person is a member of staff.
type Person struct {
	ID, Name, Handle, Email string
	Roles                   []string
}

// Team is a customer's team and whom of it a message reaches.
type Team struct {
	ID, Name string
	Reach    []string // addresses of its admins
}

// People is what this package needs of identity.
type People interface {
	Staff(ctx context.Context) ([]Person, error)
	Name(ctx context.Context, id string) string
	FreshNow(ctx context.Context, who actor.Actor) error
}

// Customers tells who may be affected.
type Customers interface {
	// Touched are the teams that used the application within a time, and whether the record
	// of that time is whole. Where it is not, it is everybody.
	Touched(ctx context.Context, from, until time.Time) (teams []Team, whole bool, err error)
}

// Letters is what it needs of whoever sends letters.
type Letters interface {
	Prepare(ctx context.Context, m mail.Message) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// Queue is what it needs of jobs.Jobs.
type Queue interface {
	Prepare(ctx context.Context, kind string, payload []byte) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
	Handle(kind string, h jobs.Handler)
	State(ctx context.Context, id string) (string, error)
}

// Record is what it needs of journal.Journal.
type Record interface {
	List(ctx context.Context, q journal.Query) ([]journal.Entry, error)
	Wait(ctx context.Context, id string) (journal.Entry, error)
	Export(ctx context.Context, who actor.Actor, ev journal.Evidence, w io.Writer) error
}

// World is what an incident can reach beyond this package. What is nil is reached by nobody.
type World struct {
	Customers Customers
	Gate      Gate
	Recovery  Recovery
	Past      Past // nil = nothing is known of the time before
	Writes    Writes
	Reads     Reads
	Concerned Concerned
	Post      Post
	Reach     Reach // nil = nothing is known of addresses
	Cuts      Cuts
	Detectors Detectors
	Resolver  Resolver // nil = nobody says whose a record is
}

// Deps are what a Service is made of. Alarms, Gauge, Charts, Jumped, Outlets and Seam may be nil.
type Deps struct {
	DB      *ledger.DB
	Ring    *keyring.Ring
	Access  *access.Access
	People  People
	Real    World // what incidents reach
	Sandbox World // what drills reach
	Letters Letters
	Queue   Queue
	Record  Record
	Alarms  Alarms
	Gauge   Gauge
	Charts  Charts
	Jumped  func(ctx context.Context, back time.Duration) error // has an alarm raised: the clock went back
	Outlets []Outlet                                            // accounts on other networks; a channel without one is posted to by a person
	Page    *status.Service
	Rules   *clause.Live[Rules]
	Company func() string
	Origin  string // https://app.example.com
	Now     func() time.Time
	Log     *slog.Logger
	Longest func() time.Duration // that what people let pass may count; nil = a quarter
	Seam    *Seam
	PerHost int64                        // letters about a breach to one receiving host in a minute; 0 = 300
	Tabs    func(here string) []web.Link // of the account of whoever is signed in, with the one at an address marked; nil = none
}

// Seam is for tests only.
type Seam struct {
	Step  func(point string)    // before and after each change, and between letters
	Pause func(d time.Duration) // instead of waiting
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	acts  map[string]act
	pace  pacing
	set   *web.Pages
	stage Stage // nil = lost data is practised at the table
}

// New makes a Service and takes over the jobs that are its own.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Ring == nil || d.Access == nil || d.People == nil || d.Letters == nil || d.Queue == nil || d.Record == nil || d.Page == nil || d.Rules == nil ||
		d.Company == nil || !strings.HasPrefix(d.Origin, "https://") || d.Now == nil || d.Log == nil {
		return nil, errors.New("incident: a dependency is missing")
	}
	set, err := web.NewPages(pageFS, web.Funcs{Now: d.Now})
	if err != nil {
		return nil, err
	}
	s := &Service{Deps: d, set: set}
	s.acts = s.allActs()
	d.Queue.Handle(postKind, jobs.Handler{Run: s.publish, Tries: 2 * mostPosts, Wait: 15 * time.Second, Limit: time.Minute, Hands: 1, Lanes: true})
	d.Queue.Handle(workKind, jobs.Handler{Run: s.work, Tries: 12, Limit: 5 * time.Minute})
	return s, nil
}

// Slots are the rules this package obeys.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }

// Run looks at deadlines each second, and keeps the status page, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if err := s.Page.Refresh(ctx); err != nil {
		s.Log.Error("make the status page", "err", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = jobs.Tend(ctx, time.Second, s.Log, "letters of incidents", s.TendLetters) })      // a slow mail host holds up no deadline
	wg.Go(func() { _ = jobs.Tend(ctx, time.Second, s.Log, "what may have damaged data", s.TendOnsets) }) // it reads days of access records
	wg.Go(func() { _ = jobs.Tend(ctx, lessonsEach, s.Log, "what incidents rest on", s.KeepLessons) })    // it reads weeks of the journal
	for _, p := range s.Page.Publishers() {
		wg.Go(func() { _ = jobs.Tend(ctx, time.Second, s.Log, "copies of the status page", p) })
	}
	return jobs.Tend(ctx, time.Second, s.Log, "incidents", func(ctx context.Context) error {
		return errors.Join(s.Tend(ctx), s.Page.Tend(ctx))
	})
}

// world is what an incident reaches: a drill can touch nothing real, because it has nothing real.
func (s *Service) world(c Case) World {
	if c.Drill {
		return s.Sandbox
	}
	return s.Real
}

func (s *Service) point(name string) {
	if s.Seam != nil && s.Seam.Step != nil {
		s.Seam.Step(name)
	}
}

// subject owns the key under which the words of an incident lie.
func subject(id string) keyring.Subject { return keyring.Subject{Kind: "incident", ID: id} }

func (s *Service) seal(ctx context.Context, id, column, row string, text string) ([]byte, error) {
	k, err := s.Ring.Ensure(ctx, subject(id))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return k.Seal([]byte(text), boxed(column, row)), nil
}

// open is the text of a box; "(erased)" once the incident's key is gone.
func (s *Service) open(ctx context.Context, column, row string, box []byte) (string, error) {
	if len(box) == 0 {
		return "", nil
	}
	b, err := keyring.OpenBox(ctx, s.Ring, boxed(column, row), box)
	if errors.Is(err, fault.Gone) {
		return "(erased)", nil
	}
	if err != nil {
		return "", fmt.Errorf("open %s: %w", column, err)
	}
	return string(b.Reveal()), nil
}

func boxed(column, row string) envelope.AAD {
	t, c, _ := strings.Cut(column, ".")
	return envelope.AAD{Table: t, Column: c, Row: row, Version: 1}
}

// digest is the hash that an approval is bound to, or that evidence is known by.
func digest(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:])
}

// by is how whoever acts is kept in a row.
func by(who actor.Actor) string {
	if who.Kind == actor.Person {
		return who.ID
	}
	return who.String()
}

// name is who is meant by a row, in words.
func (s *Service) name(ctx context.Context, id string) string {
	kind, rest, other := strings.Cut(id, "/")
	switch {
	case id == "":
		return ""
	case !other:
		return s.People.Name(ctx, id)
	case kind == string(actor.Operator):
		return "the operator at the machine"
	case id == playedFirst, id == playedSecond:
		return "the sandbox (played)"
	case kind == string(actor.Writ):
		return "the server"
	}
	return kind + " " + rest
}

func us(t time.Time) int64  { return t.UnixMicro() }
func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

func when(n *int64) (t time.Time) {
	if n != nil {
		t = at(*n)
	}
	return t
}

func some(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := us(t)
	return &n
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }
