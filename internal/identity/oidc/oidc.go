package oidc

import (
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

// People is what the provider needs of identity.
type People interface {
	// LiveSession is a session by its id; fault.Unauthenticated when it is over.
	LiveSession(ctx context.Context, id string) (actor.Actor, identity.Session, error)
	// ActivePerson is fault.NotFound for everybody who may not sign in.
	ActivePerson(ctx context.Context, id string) (identity.Person, error)
	// SignOut ends the session the actor acts in.
	SignOut(ctx context.Context, who actor.Actor) error
}

// Queue is what the provider needs of jobs.Jobs.
type Queue interface {
	Prepare(ctx context.Context, kind string, payload []byte) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
	Handle(kind string, h jobs.Handler)
	Every(name string, every time.Duration, run func(ctx context.Context) error)
	Nudge()
}

// Deps are what a Service is made of. Raise and Plant may be nil.
type Deps struct {
	DB     *ledger.DB
	Ring   *keyring.Ring
	People People
	Jobs   Queue
	Access *access.Access
	Out    http.RoundTripper // to clients, for back-channel logout
	Origin string            // https://app.example.com: the issuer
	Now    func() time.Time
	Log    *slog.Logger
	// Raise says where a person raises the level of the session and comes back from;
	// false when they have nothing to raise it with. Without it no level is ever raised.
	Raise func(ctx context.Context, who actor.Actor, acr int, back string) (to string, ok bool)
	// Plant puts a person there for a control, and returns what removes them. Without it
	// there are no controls.
	Plant func(ctx context.Context, door *canary.Door, control string) (identity.Planted, func(), error)
}

// Service is the provider. It is safe for concurrent use.
type Service struct {
	Deps
	set    *web.Pages
	keys   keys
	fold   fold
	pushes quota
	send   *http.Client
	memo   struct { // of what an introspection asks for again and again
		clients ledger.Memo[Client]
		proofs  ledger.Memo[bool]
		grants  ledger.Memo[granted]
	}
}

// How long things live.
const (
	codeLife    = 60 * time.Second
	accessLife  = 10 * time.Minute
	idTokenLife = 10 * time.Minute
	familyLife  = 30 * 24 * time.Hour
	pushedLife  = 90 * time.Second
	flowLife    = 10 * time.Minute // from the request to the code
	tellTimeout = 5 * time.Second
	logoutLife  = 2 * time.Minute
)

// New makes the provider and takes over its jobs.
func New(d Deps) (*Service, error) {
	u, err := url.Parse(d.Origin)
	switch {
	case d.DB == nil || d.Ring == nil || d.People == nil || d.Jobs == nil || d.Access == nil || d.Out == nil || d.Now == nil || d.Log == nil:
		return nil, errors.New("oidc: a dependency is missing")
	case err != nil || u.Scheme != "https" || u.Host == "" || strings.HasSuffix(d.Origin, "/"):
		return nil, fault.Newf(fault.Invalid, "origin", "The public address %q must be https://HOST without a path.", d.Origin)
	}
	set, err := web.NewPages(pageFS, web.Funcs{Now: d.Now})
	if err != nil {
		return nil, err
	}
	s := &Service{Deps: d, set: set, send: &http.Client{Transport: d.Out, Timeout: tellTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	d.Jobs.Handle(tellJob, jobs.Handler{Run: s.tell, Tries: 3, Limit: time.Minute})
	d.Jobs.Every("identity-oidc-keys", time.Hour, s.RenewKeys)
	return s, nil
}

// Run tells clients of sessions that ended, writes folded refusals and removes what is
// past its time, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	poll, minute, hour := time.NewTicker(250*time.Millisecond), time.NewTicker(20*time.Second), time.NewTicker(time.Hour)
	defer poll.Stop()
	defer minute.Stop()
	defer hour.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return s.writeFolded(last, true)
		case <-poll.C:
			err = s.TellEnded(ctx)
		case <-minute.C:
			err = s.writeFolded(ctx, false)
		case <-hour.C:
			err = s.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Error("oidc housekeeping", "err", err)
		}
	}
}

// class is the key under which requests and signing keys are sealed.
const class = "identity.oidc"

// seal encrypts v as JSON for its place. Never call it inside a change.
func (s *Service) seal(ctx context.Context, column, row string, v any) ([]byte, error) {
	k, err := s.Ring.Ensure(ctx, keyring.Class(class))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return k.Seal(b, place(column, row)), nil
}

// unseal decrypts what seal made.
func (s *Service) unseal(ctx context.Context, column, row string, box []byte, v any) error {
	b, err := keyring.OpenBox(ctx, s.Ring, place(column, row), box)
	if err != nil {
		return err
	}
	return json.Unmarshal(b.Reveal(), v)
}

func place(column, row string) envelope.AAD {
	t, c, _ := strings.Cut(column, ".")
	return envelope.AAD{Table: t, Column: c, Row: row, Version: 1}
}

func sum(t secret.Text) string  { h := t.Sum(); return hex.EncodeToString(h[:]) }
func randomID() string          { return hex.EncodeToString(secret.Random(16).Reveal()) }
func us(t time.Time) int64      { return t.UnixMicro() }
func at(us int64) time.Time     { return time.UnixMicro(us).UTC() }
func words(s string) []string   { return strings.Fields(s) }
func lines(s string) []string   { return strings.Fields(s) } // addresses hold no space
func joined(ss []string) string { return strings.Join(ss, " ") }

// sweep removes what is past its time.
func (s *Service) sweep(ctx context.Context) error {
	now := s.Now()
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		for _, q := range []struct {
			text string
			arg  time.Time
		}{
			{dropRequests, now.Add(-time.Hour)}, {dropAccess, now.Add(-time.Hour)},
			{dropAccessOf, now.Add(-familyLife)}, {dropRefreshOf, now.Add(-familyLife)}, {dropCodesOf, now.Add(-familyLife)}, {dropFamilies, now.Add(-familyLife)},
			{dropLogins, now.Add(-3 * familyLife)},
		} {
			if _, err := tx.Exec(ctx, q.text, us(q.arg)); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	dropRequests  = `DELETE FROM identity_oidc_request WHERE expires < $1`
	dropAccess    = `DELETE FROM identity_oidc_access WHERE expires < $1`
	deadFamilies  = `(SELECT id FROM identity_oidc_family WHERE ends < $1 OR ended < $1)`
	dropAccessOf  = `DELETE FROM identity_oidc_access WHERE family IN ` + deadFamilies
	dropRefreshOf = `DELETE FROM identity_oidc_refresh WHERE family IN ` + deadFamilies
	dropCodesOf   = `DELETE FROM identity_oidc_code WHERE family IN ` + deadFamilies
	dropFamilies  = `DELETE FROM identity_oidc_family WHERE ends < $1 OR ended < $1`
	dropLogins    = `DELETE FROM identity_oidc_login WHERE told < $1`
)
