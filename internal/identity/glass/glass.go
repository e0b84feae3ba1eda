package glass

import (
	"context"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

// Rules are the parameters of the policy that this package obeys.
type Rules struct {
	Shares    int           `clause:"access.least-privilege/shares"`    // fewest that open a session
	Emergency time.Duration `clause:"access.least-privilege/emergency"` // the session's life
	Drill     time.Duration `clause:"access.least-privilege/drill"`     // how often it is practised
}

// Validate implements clause.Validator.
func (r *Rules) Validate() error {
	switch {
	case r.Shares < 2 || r.Shares > maxNeed:
		return fmt.Errorf("access.least-privilege: shares %d is not within 2 and %d", r.Shares, maxNeed)
	case r.Emergency <= 0 || r.Emergency > mostSession:
		return fmt.Errorf("access.least-privilege: emergency %s is not within 0 and %s", r.Emergency, mostSession)
	case r.Drill <= 0:
		return fmt.Errorf("access.least-privilege: drill %s is not above 0", r.Drill)
	}
	return nil
}

// How long things live, whatever the policy says.
const (
	mostSession = 30 * time.Minute
	gathering   = 15 * time.Minute // from the first share to the last
	handOver    = 5 * time.Minute  // from the last share to the session
	clockSlack  = 5 * time.Minute  // as identity's
)

// People is what this package needs of identity.
type People interface {
	Show(ctx context.Context, who actor.Actor, ref string) (identity.Person, error)
	Name(ctx context.Context, id string) string
	Email(ctx context.Context, id string) string
	FreshNow(ctx context.Context, who actor.Actor) error
	Attempt(ctx context.Context, tries ...identity.Tries) error
	Refuse(ctx context.Context, who actor.Actor, ev ledger.Event, reason error) error
}

// Mail is what it needs of mail.Mailer.
type Mail interface {
	Prepare(ctx context.Context, m mail.Message) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// Record is what it needs of journal.Journal.
type Record interface {
	List(ctx context.Context, q journal.Query) ([]journal.Entry, error)
}

// Deps are what a Service is made of. Plant may be nil.
type Deps struct {
	DB      *ledger.DB
	Ring    *keyring.Ring
	People  People
	Mail    Mail
	Access  *access.Access
	Rules   *clause.Live[Rules]
	Record  Record
	Company func() string
	Origin  string // https://app.example.com
	Now     func() time.Time
	Log     *slog.Logger
	// Plant puts a member of staff there for a control, and returns what removes them.
	// Without it there is no canary.
	Plant func(ctx context.Context, door *canary.Door, control, role string) (identity.Planted, func(), error)
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	set *web.Pages
}

// New makes a Service. Give it to identity.SetEmergency, or its sessions are nobody's.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Ring == nil || d.People == nil || d.Mail == nil || d.Access == nil || d.Rules == nil || d.Record == nil || d.Company == nil ||
		!strings.HasPrefix(d.Origin, "https://") || d.Now == nil || d.Log == nil {
		return nil, errors.New("glass: a dependency is missing")
	}
	set, err := web.NewPages(pageFS, web.Funcs{Now: d.Now, More: map[string]any{"code": func(text string) web.Code { return web.Code{Text: text} }}})
	if err != nil {
		return nil, err
	}
	return &Service{Deps: d, set: set}, nil
}

// Slots are the rules this package obeys.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }

// Run ends what is over and looks for holders who left, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return jobs.Tend(ctx, 20*time.Second, s.Log, "break-glass housekeeping", s.Tend)
}

// class is the key under which shares lie while they are gathered.
const class = "identity.glass"

func (s *Service) seal(ctx context.Context, sub keyring.Subject, column, row string, b []byte) ([]byte, error) {
	k, err := s.Ring.Ensure(ctx, sub)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return k.Seal(b, boxed(column, row)), nil
}

func (s *Service) unseal(ctx context.Context, column, row string, box []byte) (secret.Bytes, error) {
	return keyring.OpenBox(ctx, s.Ring, boxed(column, row), box)
}

func boxed(column, row string) envelope.AAD {
	t, c, _ := strings.Cut(column, ".")
	return envelope.AAD{Table: t, Column: c, Row: row, Version: 1}
}

// placed names a share, or one that was given, within its table.
func placed(id string, place int64) string { return id + "/" + strconv.FormatInt(place, 10) }

// digest is what is kept of a secret of 256 random bits, or of a share.
func digest(b secret.Bytes) string {
	h := secret.NewText(string(b.Reveal())).Sum()
	return hex.EncodeToString(h[:])
}

func sum(t secret.Text) string    { h := t.Sum(); return hex.EncodeToString(h[:]) }
func us(t time.Time) int64        { return t.UnixMicro() }
func at(us int64) time.Time       { return time.UnixMicro(us).UTC() }
func thing(id string) string      { return "break-glass/" + id }
func stamp(t time.Time) string    { return t.UTC().Format("2 January 2006 at 15:04 UTC") }
func isOwner(roles string) bool   { return slices.Contains(strings.Fields(roles), "owner") }
func isStaffed(roles string) bool { return slices.ContainsFunc(strings.Fields(roles), staffRole) }
func staffRole(role string) bool  { return slices.Contains(access.StaffRoles(), role) }
func when(n *int64) (t time.Time) {
	if n != nil {
		t = at(*n)
	}
	return t
}
