package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Access decides and records refusals.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// People is what the end of a person's key needs of whoever keeps people.
type People interface {
	// Erasable finds a person by handle, address or id; fault.NotFound, or fault.Conflict
	// where the person must stay, such as one of the last owners.
	Erasable(ctx context.Context, who actor.Actor, ref string) (id string, err error)
	// Shred deletes the rows of a person and destroys their key. It may be asked again
	// after it was done, or half done.
	Shred(ctx context.Context, who actor.Actor, id string) error
	// Name is what people call a person.
	Name(ctx context.Context, id string) string
}

// Acting says whether a person may do something at this moment, were they to sign in:
// whoever has left, or lost the role, counts among two people no longer.
type Acting func(ctx context.Context, person string, do access.Action) (bool, error)

// Teams finds a team by its id.
type Teams interface {
	TeamRef(ctx context.Context, ref string) (id string, err error)
}

// Sealed is one value as it lies in a table.
type Sealed struct {
	Place envelope.AAD
	Box   []byte
}

// Held is what one kind of data has under a key: how much, and some of it.
type Held struct {
	Data   string // such as "parameters"
	Rows   int64
	Sample []Sealed
}

// Holder tells what of a module's data is sealed under the keys of a subject.
type Holder func(ctx context.Context, s keyring.Subject, most int) (Held, error)

// Proof shows an entry of the journal to somebody who trusts its key.
type Proof struct {
	N           int64
	Leaf, Proof []byte
	Key         string // the journal's verifier key
}

// Journal proves entries.
type Journal interface {
	// ProofOf gives fault.NotFound until the entry has its number.
	ProofOf(ctx context.Context, entry string) (Proof, error)
}

// Schedule runs things by the clock, on one node.
type Schedule interface {
	Every(name string, every time.Duration, run func(context.Context) error)
}

// Deps are what a Service is made of. All are needed but Classes.
type Deps struct {
	DB      *ledger.DB
	Ring    *keyring.Ring
	Access  Access
	People  People
	Acting  Acting
	Teams   Teams
	Holders []Holder // of other modules; the vault's own is built in
	Stores  []Store  // likewise
	Journal Journal
	Rules   *clause.Live[Rules]
	Quorum  func() int // people who want a destruction, as the policy says now
	Now     func() time.Time
	Log     *slog.Logger

	// Classes are those whose key may be destroyed: the server works without them.
	Classes []string
}

// Service replaces and ends keys. It is safe for concurrent use.
type Service struct {
	Deps
	rotating sync.Mutex // one round of rotation at a time in this process
	carrying sync.Mutex // one destruction at a time

	backing    sync.Mutex // one backup at a time
	backedTurn int64      // under backing; what the newest backup holds

	step  func(string) error
	batch int // values that are sealed anew in one change
	tried attacked
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Ring == nil || d.Access == nil || d.People == nil || d.Acting == nil || d.Teams == nil || d.Journal == nil || d.Rules == nil || d.Quorum == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("keys: a dependency is missing")
	}
	return &Service{Deps: d, batch: resealBatch, tried: sound()}, nil
}

// Schedule names the work that is done by the clock.
func (s *Service) Schedule(c Schedule) {
	c.Every("vault.keys-rotate", time.Hour, s.Tend)
	c.Every("vault.keys-destroyed", time.Minute, s.Remember)
	c.Every("vault.shred-resume", time.Minute, s.Resume)
	c.Every("vault.keys-backup", time.Hour, s.BackUp)
	c.Every("vault.reseal", time.Minute, s.Reseal)
}

// Start puts an old copy of the keys right. It comes before anything else opens a value.
func (s *Service) Start(ctx context.Context) error {
	if err := s.endBackups(ctx, actor.System("vault-keys")); err != nil { // a folder that is away keeps nobody from the keys; a control sees it
		s.Log.Error("end backups of the keys", "err", err)
	}
	return errors.Join(s.Replay(ctx), s.Remember(ctx))
}

// at lets a test stop the work after a step.
func (s *Service) at(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

// sealClass is the class that reasons are sealed under.
const sealClass = "vault.hold"

func (s *Service) seal(ctx context.Context, table, row, text string) ([]byte, error) {
	k, err := s.Ring.Ensure(ctx, keyring.Class(sealClass))
	if err != nil {
		return nil, fmt.Errorf("seal a reason: %w", err)
	}
	return k.Seal([]byte(text), reasonAt(table, row)), nil
}

func (s *Service) unseal(ctx context.Context, table, row string, box []byte) (string, error) {
	b, err := s.open(ctx, Sealed{reasonAt(table, row), box})
	if err != nil {
		return "", fmt.Errorf("open a reason: %w", err)
	}
	return string(b.Reveal()), nil
}

func reasonAt(table, row string) envelope.AAD {
	return envelope.AAD{Table: table, Column: "reason", Row: row, Version: 1}
}

// open opens a value in its place.
func (s *Service) open(ctx context.Context, v Sealed) (secret.Bytes, error) {
	return keyring.OpenBox(ctx, s.Ring, v.Place, v.Box)
}

// maxReason is the longest reason, in bytes.
const maxReason = 500

// checkReason wants a sentence.
func checkReason(reason string) error {
	if len(reason) >= 5 && len(reason) <= maxReason {
		return nil
	}
	return fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "A reason is missing, or it is too long.", Expected: "5 to 500 characters that say why; they stand in the record.",
		Next: "Give a reason and try again.", Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "Say why, in 5 to 500 characters."}}})
}

// human refuses who is no person at work: the operator and programs may ask, never agree.
func (s *Service) human(ctx context.Context, who actor.Actor, ev ledger.Event) error {
	if who.Kind == actor.Person && who.Session != "" && !who.ByToken() {
		return nil
	}
	return s.DB.Refuse(ctx, who, ev, fault.New(fault.Denied, "person_needed", fault.Public{
		Problem: "This takes a person who is signed in.", Expected: "Neither the server's own account nor a program agrees to it.", Next: "Sign in to the console."}))
}

func us(t time.Time) int64 { return t.UnixMicro() }

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

func when(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return at(*us)
}
