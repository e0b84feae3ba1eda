package rotate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Keys is what this package needs of a keyring.Ring.
type Keys interface {
	ByID(ctx context.Context, id string) (envelope.Key, error)
}

// Knock calls the server's own public door with an access key, as a program does; the code
// of a refusal, "" where it was let in. An error = there was no answer.
type Knock func(ctx context.Context, id string, key secret.Text) (code string, err error)

// Schedule runs things by the clock, on one node.
type Schedule interface {
	Every(name string, every time.Duration, run func(context.Context) error)
}

// Deps are what a Service is made of.
type Deps struct {
	DB     *ledger.DB
	Vault  *vault.Service
	Keys   Keys
	Every  func() time.Duration // the longest that the policy lets a secret live
	Knock  Knock
	Tokens Tokens // nil = tokens of services are not replaced
	Now    func() time.Time
	Log    *slog.Logger
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	step func(string) error
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Vault == nil || d.Keys == nil || d.Every == nil || d.Knock == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("rotate: a dependency is missing")
	}
	return &Service{Deps: d}, nil
}

// Schedule names the work that is done by the clock.
func (s *Service) Schedule(c Schedule) { c.Every("vault.rotate", time.Minute, s.Tend) }

// at lets a test stop the work at a step.
func (s *Service) at(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

// The kinds of rotation.
const (
	Postgres     = "postgres"
	AccessKey    = "access-key"
	ServiceToken = "token"
)

// The steps; idle is before the first and after the last.
const (
	idle     = "idle"
	planned  = "planned"
	created  = "created"
	tested   = "tested"
	stored   = "stored"
	promoted = "promoted"
	revoked  = "revoked"
	verified = "verified"
)

// Why a value is replaced.
const (
	due     = "due"
	asked   = "asked"
	exposed = "exposed"
	left    = "left"
	back    = "put-back" // somebody went back to the former value: the new one goes
)

// The bounds of a rotation.
const (
	usualGrace = 24 * time.Hour
	mostGrace  = 30 * 24 * time.Hour
	mostDays   = 3650
	mostTeam   = 500 // rotations of a team
	keyMargin  = 7 * 24 * time.Hour
	keyMost    = 365 * 24 * time.Hour
)

// Spec is where the value comes from. Nothing in it is secret.
type Spec struct {
	// Of a PostgreSQL role.
	Admin string    `json:"admin,omitzero"` // parameter with the administrator's address
	Owner string    `json:"owner,omitzero"` // role whose rights both slots have, as its members
	Roles [2]string `json:"roles,omitzero"` // the slots

	// Of an access key.
	Path     string `json:"path,omitzero"`
	Reads    bool   `json:"reads,omitzero"`
	KeyOwner string `json:"key_owner,omitzero"` // kind/id

	// Of a token of a service. Its value is the token alone.
	Service string   `json:"service,omitzero"`
	Scopes  []string `json:"scopes,omitzero"` // none = those of the token that is there

	// Template makes the value: with {user} and {password}, or {id} and {secret}.
	Template string `json:"template,omitzero"`
}

// Rotation is a parameter that is replaced by itself, and how far that is.
type Rotation struct {
	ID     string
	Name   string
	Kind   string
	Spec   Spec
	Days   int64 // 0 = as said about the name, or by the policy
	Grace  time.Duration
	Made   time.Time
	MadeBy string // kind/id

	State   string // the step that was done last
	Cause   string // due, asked, exposed, left, put-back; "" = nothing is wanted
	Slot    string // a or b, which was made last
	Fresh   string // role or key that the value is of, or is about to be
	Old     string // role or key that goes
	Version int64
	Begun   time.Time
	Until   time.Time // of the grace
	Done    time.Time
	Due     time.Time // when the next one begins

	Problem string       // code of what it stands still for
	Says    fault.Public // what that is, and what to do
	Again   time.Time    // when it is tried again by itself
}

// row is a rotation as it is stored.
type row struct {
	Rotation
	team   string
	box    []byte
	former int64
	tries  int64
	held   int64
	turn   int64
}

// system is the server at this work, in the row's team.
func (r *row) system() actor.Actor {
	who := actor.System("vault-rotate")
	who.Team = r.team
	return who
}

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
