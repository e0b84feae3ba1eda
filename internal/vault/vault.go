package vault

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

//go:embed schema/*.sql
var schema embed.FS

// Schema is the module's tables.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schema, "schema")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	return ledger.Schema{Module: "vault", FS: sub}
}

// Home is the team whose vault the operator acts in.
const Home = "staff"

// Keys is what the vault needs of a keyring.Ring.
type Keys interface {
	// Ensure returns the subject's key, creating it if there is none; fault.Gone once erased.
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	// ByID returns the key that a box names.
	ByID(ctx context.Context, id string) (envelope.Key, error)
}

// Access decides and records refusals.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
	// May is the answer without recording it.
	May(who actor.Actor, action access.Action) bool
}

// Owners says who stands behind an access key now.
type Owners interface {
	// OwnerOf returns the person, program or operator with the rights they have at this
	// moment; fault.Denied when they are not there any more.
	OwnerOf(ctx context.Context, ref string) (actor.Actor, error)
}

// Deps are what a Service is made of. All are needed but those that say otherwise.
type Deps struct {
	DB     *ledger.DB
	Keys   Keys
	Access Access
	Owners Owners
	Rules  *clause.Live[Rules]
	Now    func() time.Time
	Log    *slog.Logger

	// Database is the address of the server's own database; empty = a file.
	Database secret.Text

	// Held refuses (fault.Conflict, held) where a legal hold keeps what a team has; nil =
	// there are no holds. It is asked inside the change that would delete.
	Held func(ctx context.Context, tx *ledger.Tx, team string) error

	// AutoAlias takes any key alias that a client names as an alias of the vault's own
	// key. Without it only alias/aws/ssm is known.
	AutoAlias bool

	// ChangeType lets a new version have another type than the last, which some clients
	// do where the service itself refuses it.
	ChangeType bool
}

// Service is the vault. It is safe for concurrent use.
type Service struct {
	Deps
	folds  *Folds
	things map[string]Now // by kind; set before the server serves
	counts *counts
	rows   *rows
	values *ledger.Memo[newest]
	noted  func(entry string)
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Keys == nil || d.Access == nil || d.Owners == nil || d.Rules == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("vault: a dependency is missing")
	}
	s := &Service{Deps: d, folds: &Folds{}, counts: &counts{}, rows: &rows{}, values: newestKept(), things: map[string]Now{}}
	s.Things("param", s.nowParam)
	return s, nil
}

// Noting is the same vault, which tells f the id of each entry that it makes.
func (s *Service) Noting(f func(entry string)) *Service {
	return &Service{Deps: s.Deps, folds: s.folds, counts: s.counts, rows: s.rows, values: s.values, things: s.things, noted: f}
}

func (s *Service) change(ctx context.Context, who actor.Actor, fn func(*ledger.Tx) (ledger.Event, error)) (ledger.Receipt, error) {
	r, err := s.DB.Change(ctx, who, fn)
	if err == nil && s.noted != nil {
		s.noted(r.ID)
	}
	return r, err
}

// teamOf is whose vault somebody acts in.
func teamOf(who actor.Actor) string {
	if who.Kind == actor.Operator || who.Kind == actor.Writ && who.Team == "" {
		return Home
	}
	return who.Team
}

// TeamOf is whose vault somebody acts in.
func TeamOf(who actor.Actor) string { return teamOf(who) }

// held asks for a legal hold. The parameter is locked before: whoever adds one waits for
// nobody who waits for them.
func (s *Service) held(ctx context.Context, tx *ledger.Tx, team string) error { // clause: data.crypto-erase
	if s.Held == nil {
		return nil
	}
	return s.Held(ctx, tx, team)
}

// IsHeld reports whether a legal hold is why something was refused.
func IsHeld(err error) bool {
	code, _ := fault.PublicOf(err)
	return err != nil && code == "held"
}

// may asks whether somebody may do this to a name: by their role or a grant, and by the
// path of the key they came with. A key tells nothing of what lies outside its path.
func (s *Service) may(ctx context.Context, who actor.Actor, action access.Action, name string) error {
	return s.MayReach(ctx, who, action, "param"+rooted(name), name)
}

// MayReach is the question of may about a thing that lies at a path: for what a child
// package keeps there.
func (s *Service) MayReach(ctx context.Context, who actor.Actor, action access.Action, object, name string) error { // clause: vault.access-logged
	if teamOf(who) == "" {
		return fault.New(fault.Denied, "no_team", fault.Public{Problem: "This account acts in no team.", Next: "Switch to a team first."})
	}
	granted, err := s.lent(ctx, who, action, name)
	if err != nil {
		return err
	}
	if !granted {
		if err := s.Access.Allow(ctx, who, action, object); err != nil {
			return err
		}
	}
	if k, ok := keyOf(who); ok && !k.reaches(name, action) {
		return s.DB.Refuse(ctx, who, ReadRefused{Name: name, Code: "outside_path"}, fault.New(fault.Denied, "outside_path", fault.Public{
			Problem: "The access key does not reach this name.", Expected: "It reaches " + k.path + k.only() + ".", Next: "Use another key, or ask for a wider one."}))
	}
	return nil
}

// lent reports whether a grant is what lets somebody do this.
func (s *Service) lent(ctx context.Context, who actor.Actor, action access.Action, name string) (bool, error) {
	if !borrows(who) || s.Access.May(who, action) { // the decision is the longer question
		return false, nil
	}
	return s.granted(ctx, who, action, name)
}

// Can reports what may would say of a person, without recording it: pages leave out what
// the reader cannot do.
func (s *Service) Can(ctx context.Context, who actor.Actor, action access.Action, name string) (bool, error) {
	if s.Access.May(who, action) {
		return true, nil
	}
	return s.granted(ctx, who, action, name)
}

// named reads a name that somebody typed, for an act. Whoever may not act is told that, and
// not what is wrong with the name.
func (s *Service) named(ctx context.Context, who actor.Actor, action access.Action, typed string) (string, error) {
	return s.parsed(ctx, who, action, typed, parseName)
}

// pathed is named for a path.
func (s *Service) pathed(ctx context.Context, who actor.Actor, action access.Action, typed string) (string, error) {
	return s.parsed(ctx, who, action, typed, parsePath)
}

func (s *Service) parsed(ctx context.Context, who actor.Actor, action access.Action, typed string, parse func(string) (string, error)) (string, error) {
	name, bad := parse(typed)
	if bad != nil {
		name = "/"
		if k, ok := keyOf(who); ok {
			name = k.path // a key is told what is wrong with its own names
		}
	}
	if err := s.may(ctx, who, action, name); err != nil {
		return "", err
	}
	return name, bad
}

// seal encrypts a value for its place.
func (s *Service) seal(ctx context.Context, sub keyring.Subject, at envelope.AAD, plain []byte) ([]byte, error) { // clause: crypto.at-rest
	k, err := s.Keys.Ensure(ctx, sub)
	if err != nil {
		return nil, fmt.Errorf("seal %s.%s: %w", at.Table, at.Column, err)
	}
	return k.Seal(plain, at), nil
}

// open decrypts what seal made.
func (s *Service) open(ctx context.Context, at envelope.AAD, box []byte) (secret.Bytes, error) {
	return keyring.OpenBox(ctx, s.Keys, at, box)
}

// keyFor is the subject that the values of a team's vault are sealed under.
func keyFor(team string) keyring.Subject { return keyring.Subject{Kind: "vault", ID: team} }

// valueAt is the one place where a version's value opens.
func valueAt(team, param string, version int64) envelope.AAD {
	return envelope.AAD{Table: "vault_version", Column: "value", Team: team, Row: param, Version: int(version)}
}

func us(t time.Time) int64 { return t.UnixMicro() }

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }
