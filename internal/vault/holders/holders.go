package holders

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/shamir"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

// Rules are the parameters of the policy that this package obeys.
type Rules struct {
	MinHolders int `clause:"people.no-sole-holder/min_holders"`
	QuorumNeed int `clause:"people.no-sole-holder/quorum_need"`
	QuorumOf   int `clause:"people.no-sole-holder/quorum_of"`
}

// Validate implements clause.Validator.
func (r *Rules) Validate() error {
	switch {
	case r.MinHolders < 2:
		return fmt.Errorf("people.no-sole-holder: min_holders %d is below 2", r.MinHolders)
	case r.QuorumNeed < shamir.MinNeed || r.QuorumOf > shamir.MaxShares:
		return fmt.Errorf("people.no-sole-holder: %d of %d is not within %d and %d", r.QuorumNeed, r.QuorumOf, shamir.MinNeed, shamir.MaxShares)
	case r.QuorumOf < r.QuorumNeed+1:
		return fmt.Errorf("people.no-sole-holder: quorum_of %d leaves nobody to be away: %d are needed", r.QuorumOf, r.QuorumNeed)
	}
	return nil
}

// drillEvery is how often shares are to be tried, whatever the policy says.
const drillEvery = 90 * 24 * time.Hour

// Person is who may hold a share.
type Person struct{ ID, Name, Email string }

// People is what this package needs of identity.
type People interface {
	// Find is one person by id, handle or address.
	Find(ctx context.Context, who actor.Actor, ref string) (Person, error)
	Name(ctx context.Context, id string) string
	Email(ctx context.Context, id string) string
	// Staffed reports whether somebody is an active member of staff.
	Staffed(ctx context.Context, id string) (bool, error)
	Owners(ctx context.Context) ([]string, error)
	FreshNow(ctx context.Context, who actor.Actor) error
}

// Enroller asks a browser for a passkey that keeps a key.
type Enroller interface {
	Ask(name string, salt []byte) (flow []byte, options json.RawMessage, err error)
	Judge(flow, answer []byte) (record json.RawMessage, err error)
}

// Roots is what it needs of a keyring.Ring.
type Roots interface {
	AddRoot(ctx context.Context, next secret.Bytes) error
	KeepRoot(ctx context.Context, only secret.Bytes) error
	Opens(ctx context.Context, root secret.Bytes) error
}

// Mail is what it needs of mail.Mailer.
type Mail interface {
	Prepare(ctx context.Context, m mail.Message) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// Access decides and records refusals.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
	May(who actor.Actor, action access.Action) bool
}

// Deps are what a Service is made of. Enroller and Passkeys may be nil: then holders use
// key files only.
type Deps struct {
	DB          *ledger.DB
	Ring        Roots
	File        *seal.File
	People      People
	Enroller    Enroller
	Passkeys    seal.Passkeys
	Mail        Mail
	Access      Access
	Rules       *clause.Live[Rules]
	Fingerprint func(secret.Bytes) string
	Company     func() string
	Origin      string // https://app.example.com
	Now         func() time.Time
	Log         *slog.Logger

	// Alone says that the vault opens by shares alone: each set is of a new root.
	Alone bool
	// Root is the root key where the server opens by itself; the caller wipes it.
	Root func(ctx context.Context) (secret.Bytes, error)
	// RootFile is DIR/root.key.
	RootFile string
	// Weakness says in words what the way of opening lacks; "" = nothing.
	Weakness string
	// Seal puts the keys away and ends what is served.
	Seal func() error
	// Shared says that other servers may use the same keys: what one folder says does not
	// bind them, so nothing is sealed by command.
	Shared bool
	// Demo says that the keys of the holders lie on one disk.
	Demo bool
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	set  *web.Pages
	door *seal.Door

	resharing sync.Mutex // one set is made at a time

	mu        sync.Mutex
	drill     *seal.Gate      // under mu; nil = none is on
	drillEnds time.Time       // under mu
	asked     map[string]flow // under mu; by person

	step func(string) error // tests stop a new set here; nil otherwise

	// What the control attacks; tests put something broken there.
	gather func(seal.Deps) (gathering, error)
	remove func(ctx context.Context, who actor.Actor, team, person, cause string) error
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Ring == nil || d.File == nil || d.People == nil || d.Mail == nil || d.Access == nil || d.Rules == nil || d.Fingerprint == nil || d.Company == nil ||
		!strings.HasPrefix(d.Origin, "https://") || d.Now == nil || d.Log == nil || d.Root == nil || d.RootFile == "" || d.Seal == nil {
		return nil, errors.New("vault/holders: a dependency is missing")
	}
	set, err := web.NewPages(pageFS, web.Funcs{Now: d.Now})
	if err != nil {
		return nil, err
	}
	s := &Service{Deps: d, set: set, asked: map[string]flow{}}
	s.gather = func(d seal.Deps) (gathering, error) { return seal.NewGate(d) }
	s.remove = s.end
	s.door, err = seal.NewDoor(d.Now, s.drilling)
	return s, err
}

// Slots are the rules this package obeys.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }

// Run looks for holders who left and for drills that are over, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return jobs.Tend(ctx, 20*time.Second, s.Log, "housekeeping of holders", s.Tend)
}

func (s *Service) at(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

func us(t time.Time) int64     { return t.UnixMicro() }
func at(us int64) time.Time    { return time.UnixMicro(us).UTC() }
func stamp(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }
func when(n *int64) (t time.Time) {
	if n != nil {
		t = at(*n)
	}
	return t
}
