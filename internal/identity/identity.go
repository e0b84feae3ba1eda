package identity

import (
	"context"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/identity/banned"
	"writ/internal/identity/passkey"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/passhash"
	"writ/internal/secret"
	"writ/internal/web"
)

//go:embed schema/*.sql
var schemaFS embed.FS

// Schema is the tables of this module.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemaFS, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return ledger.Schema{Module: "identity", FS: sub}
}

// Mail is what identity needs of mail.Mailer.
type Mail interface {
	Prepare(ctx context.Context, m mail.Message) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// Record is what identity needs of journal.Journal: the entries about a person, for their
// copy of everything.
type Record interface {
	List(ctx context.Context, q journal.Query) ([]journal.Entry, error)
	Open(ctx context.Context, who actor.Actor, entries ...*journal.Entry) error
}

// Evidence writes a bundle that anybody can verify without this server (journal.Journal.Export).
type Evidence func(ctx context.Context, who actor.Actor, ev journal.Evidence, w io.Writer) error

// Queue is what identity needs of jobs.Jobs.
type Queue interface {
	Prepare(ctx context.Context, kind string, payload []byte) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
	Handle(kind string, h jobs.Handler)
	Every(name string, every time.Duration, run func(ctx context.Context) error)
}

// RawSearch looks for bytes in everything this server has stored: the database file and
// its log, letters, the journal. It says where they were found.
type RawSearch func(ctx context.Context, needle []byte) (hits int, places []string, err error)

// Deps are what a Service is made of. Raw and Seam may be nil.
type Deps struct {
	DB      *ledger.DB
	Ring    *keyring.Ring
	Mail    Mail
	Jobs    Queue
	Rules   *clause.Live[Rules]
	Banned  *banned.List
	Access  *access.Access
	Company func() string // the name at the head of letters; may change with a revision
	Origin  string        // https://app.example.com, no slash at the end
	Now     func() time.Time
	Log     *slog.Logger
	Gate    *passhash.Gate
	Record  Record
	Proof   Evidence  // of looks, for who was looked at; without it there are no receipts
	Raw     RawSearch // for the control of auth.no-cleartext; without it that control is unknown
	Seam    *Seam
	Ways    func(to string) []web.Link // further ways to sign in; may be nil
	// Beside adds to a copy what child modules hold about a person, which identity does not
	// read: Applications, Elsewhere, Habits, Reports and Exposures. It may be nil where there are no such modules.
	Beside func(ctx context.Context, person string, d *OwnData) error

	Makers *passkey.Makers // of which passkeys are taken; nil = of any

	// Holds refuses, inside the change that would begin it, the end of a person whom a legal
	// hold keeps (fault.Conflict, held). It may be nil where there are no holds.
	Holds func(ctx context.Context, tx *ledger.Tx, person string) error

	TermsURL string // where customers read the terms; may be empty
}

// Seam is where tests reach in; production leaves it nil.
type Seam struct {
	Params func(passhash.Params) passhash.Params            // cheaper hashes
	Sleep  func(ctx context.Context, d time.Duration) error // instead of waiting
	Step   func(step string)                                // after each step of an erasure: begun, told, destroyed, recorded
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	pace   pace
	table  table // live sessions
	tokens tokenTable
	loans  loans // roles lent now
	usesMu sync.Mutex
	fold   folder
	quick  quickRefusals
	words  wordCache

	loaded    atomic.Bool
	emergency atomic.Pointer[Emergency] // sessions that shares opened
}

// New makes a Service and takes over the jobs that decide sign-ups and recoveries.
// Call Load once the rules are set, before anything else.
func New(d Deps) (*Service, error) {
	u, err := url.Parse(d.Origin)
	switch {
	case d.DB == nil || d.Ring == nil || d.Mail == nil || d.Jobs == nil || d.Rules == nil || d.Banned == nil ||
		d.Record == nil || d.Access == nil || d.Company == nil || d.Now == nil || d.Log == nil || d.Gate == nil:
		return nil, errors.New("identity: a dependency is missing")
	case err != nil || u.Scheme != "https" || u.Host == "" || strings.HasSuffix(d.Origin, "/"):
		return nil, fault.Newf(fault.Invalid, "origin", "The public address %q must be https://HOST without a path.", d.Origin)
	}
	s := &Service{Deps: d}
	s.table.init()
	s.tokens.init()
	d.Access.RequireFresh(s.fresh)
	d.Jobs.Handle(attemptJob, jobs.Handler{Run: s.decideAttempt, Tries: 8})
	d.Jobs.Handle(recoveryJob, jobs.Handler{Run: s.decideRecovery, Tries: 8})
	d.Jobs.Every("identity-rights", time.Hour, s.tendRights)
	d.Jobs.Handle(invitationJob, jobs.Handler{Run: s.sendInvitation, Tries: 8})
	return s, nil
}

// Slots are the rules this module obeys.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{slot{s.Rules, s}} }

// slot knows what this site cannot do whatever a policy says.
type slot struct {
	*clause.Live[Rules]
	site *Service
}

// Check implements clause.Slot.
func (s slot) Check(v clause.Values) error {
	rules, err := clause.Decode[Rules](v)
	if err != nil {
		return err
	}
	if rules.MinFactor == PhishingResistant && !s.site.Passkeys() { // clause: access.mfa-by-technology
		return fmt.Errorf("access.mfa-by-technology: min_factor %s asks for passkeys, and browsers bind them to a name: with the public address %s nobody could sign in", PhishingResistant, s.site.Origin)
	}
	return nil
}

// Load fills the table of live sessions, finishes erasures that a former process
// began, and begins to measure how long a hash takes here.
func (s *Service) Load(ctx context.Context) error {
	for _, c := range []string{passwordClass, indexClass, teamClass, totpClass, passkeyClass} {
		if _, err := s.Ring.Ensure(ctx, keyring.Class(c)); err != nil {
			return fmt.Errorf("get key of %s: %w", c, err)
		}
	}
	if err := s.checkPasskeyHost(ctx); err != nil {
		return err
	}
	if err := s.readSessions(ctx, -1, true); err != nil {
		return fmt.Errorf("load sessions: %w", err)
	}
	if err := s.readTokens(ctx, -1, true); err != nil {
		return fmt.Errorf("load tokens: %w", err)
	}
	if err := errors.Join(s.readLoans(ctx), s.beginUses(ctx)); err != nil {
		return err
	}
	if err := s.finishErasures(ctx); err != nil {
		return fmt.Errorf("finish erasures: %w", err)
	}
	s.loaded.Store(true)
	go s.measureAtStart(context.WithoutCancel(ctx))
	return nil
}

// Run does the housekeeping until ctx ends: it writes when sessions were last seen,
// ends sessions whose time is over, folds refusals, removes what is past its time, and
// on PostgreSQL follows the sessions of other nodes.
func (s *Service) Run(ctx context.Context) error {
	poll, minute, hour := time.NewTicker(500*time.Millisecond), time.NewTicker(20*time.Second), time.NewTicker(time.Hour)
	defer poll.Stop()
	defer minute.Stop()
	defer hour.Stop()
	var obeyed *Rules
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(s.writeSeen(last), s.writeTokenUse(last), s.writeFolded(last, true), s.writeUses(last))
		case <-poll.C:
			if s.DB.Engine() == "postgres" {
				err = errors.Join(s.follow(ctx), s.followTokens(ctx))
			}
			if now := s.Rules.Get(); now != obeyed { // a grace runs from when its policy takes hold
				obeyed, err = now, errors.Join(err, s.dateGraces(ctx))
			}
		case <-minute.C:
			err = errors.Join(s.writeSeen(ctx), s.endExpired(ctx), s.writeFolded(ctx, false), s.dateGraces(ctx), s.waitedResets(ctx), s.writeTokenUse(ctx), s.recheckTokens(ctx),
				s.endPast(ctx), s.tellLoans(ctx), s.tendServices(ctx), s.writeUses(ctx), s.endLooks(ctx),
				s.finishErasures(ctx)) // of a node that died
		case <-hour.C:
			err = errors.Join(s.expire(ctx), s.remeasure(ctx), s.sweepOld(ctx),
				s.eraseLeavers(ctx),
				s.expireTokens(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Error("identity housekeeping", "err", err)
		}
	}
}

// The class keys of this module.
const (
	passwordClass = "identity.password" // the pepper: seals hash strings
	indexClass    = "identity.index"    // makes blind indexes
	teamClass     = "identity.team"
	totpClass     = "identity.totp" // seals the seeds of code generators
)

// seal encrypts a value for its place, creating the subject's key if there is none.
// Never call it inside a change.
func (s *Service) seal(ctx context.Context, sub keyring.Subject, column, row string, plain []byte) ([]byte, error) {
	k, err := s.Ring.Ensure(ctx, sub)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return k.Seal(plain, place(column, row)), nil
}

// open decrypts what seal made.
func (s *Service) open(ctx context.Context, column, row string, box []byte) (secret.Bytes, error) {
	return keyring.OpenBox(ctx, s.Ring, place(column, row), box)
}

// place names the column as "table.column".
func place(column, row string) envelope.AAD {
	t, c, _ := strings.Cut(column, ".")
	return envelope.AAD{Table: t, Column: c, Row: row, Version: 1}
}

// mac is a blind index under the module's index key.
func (s *Service) mac(ctx context.Context, label string, parts ...string) (string, error) {
	k, err := s.Ring.Ensure(ctx, keyring.Class(indexClass))
	if err != nil {
		return "", fmt.Errorf("index %s: %w", label, err)
	}
	m := k.MAC(label, parts...)
	return hex.EncodeToString(m[:16]), nil
}

// index finds an address without showing it.
func (s *Service) index(ctx context.Context, a Address) (string, error) {
	return s.mac(ctx, "address", a.Key)
}

// sum is how a token is stored.
func sum(t secret.Text) string { h := t.Sum(); return hex.EncodeToString(h[:]) }

// randomID is an id that tells neither time nor order.
func randomID() string { return hex.EncodeToString(secret.Random(16).Reveal()) }

// person is the actor of somebody who proves who they are by the act itself.
func person(id string, via actor.Actor) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Via: via.Via}
}

// clockSlack is how far apart the clocks of two nodes, or of one before and after it was
// set, may be. What begins later than that was made while the clock was wrong: counted
// from there it would live longer than the policy says, so it is dead.
const clockSlack = 5 * time.Minute

func tooEarly(now, begins time.Time) bool { return now.Before(begins.Add(-clockSlack)) }

func us(t time.Time) int64      { return t.UnixMicro() }
func at(us int64) time.Time     { return time.UnixMicro(us).UTC() }
func rolesOf(s string) []string { return strings.Fields(s) }
func rolesText(r []string) string {
	r = slices.Clone(r)
	slices.Sort(r)
	return strings.Join(slices.Compact(r), " ")
}
