package item

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

// Rules are the parameters of the policy that this package obeys.
type Rules struct {
	Store string `clause:"vault.company-creds/store"`
}

// Validate implements clause.Validator.
func (r *Rules) Validate() error {
	if r.Store != "company-vault" {
		return fmt.Errorf("vault.company-creds: store %q is not company-vault", r.Store)
	}
	return nil
}

// Member is one of the people of a team.
type Member struct {
	ID, Name, Handle string
	Roles            []string
}

// People are who items may be shared with.
type People interface {
	// Roster is everybody of a team who may sign in now.
	Roster(ctx context.Context, team string) ([]Member, error)
	// Find is one of them by address, handle or id; fault.NotFound.
	Find(ctx context.Context, team, ref string) (Member, error)
	// Name is what to call a person, also one who left.
	Name(ctx context.Context, id string) string
	// Email is a person's address; empty when there is none to tell.
	Email(ctx context.Context, id string) string
}

// Keys is what this package needs of a keyring.Ring.
type Keys interface {
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	ByID(ctx context.Context, id string) (envelope.Key, error)
	Versions(ctx context.Context, s keyring.Subject) ([]envelope.Key, error)
}

// Deps are what a Service is made of. All are needed but Held.
type Deps struct {
	DB     *ledger.DB
	Keys   Keys
	Access *access.Access
	People People
	Rules  *clause.Live[Rules]
	Sight  Sight
	Mail   Mail
	// Held refuses (fault.Conflict, held) where a legal hold keeps what a team has; nil =
	// there are no holds. It is asked inside the change that would delete.
	Held func(ctx context.Context, tx *ledger.Tx, team string) error
	// MinHolders is how many people hold a critical item at least.
	MinHolders func() int
	// Banned reports whether a password is on the list of those nobody may have.
	Banned  func(password secret.Text, about ...string) bool
	Company func() string
	Origin  string // https://app.example.com
	Now     func() time.Time
	Log     *slog.Logger
}

// Service is the company's vault. It is safe for concurrent use.
type Service struct {
	Deps
	set    *web.Pages
	folds  vault.Folds
	brings sync.Mutex // one import at a time: a file takes up much room
	trials sync.Mutex // one control at a time: they share a reserved team, and sweep it
	tried  acts       // what controls attack: this service, or something broken in a test
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Keys == nil || d.Access == nil || d.People == nil || d.Rules == nil || d.Sight == nil || d.Mail == nil || d.MinHolders == nil || d.Banned == nil ||
		d.Company == nil || !strings.HasPrefix(d.Origin, "https://") || d.Now == nil || d.Log == nil {
		return nil, errors.New("item: a dependency is missing")
	}
	d.People = reserved{d.People}
	set, err := web.NewPages(pageFS, web.Funcs{Now: d.Now, More: map[string]any{"code": func(text string) web.Code { return web.Code{Text: text} }}})
	if err != nil {
		return nil, err
	}
	s := &Service{Deps: d, set: set}
	s.tried = s
	return s, nil
}

// Slots are the rules this package obeys.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }

// change makes one. One that was cut off because the writer is busy changed nothing: it is
// made again, a few times.
func (s *Service) change(ctx context.Context, who actor.Actor, fn func(*ledger.Tx) (ledger.Event, error)) (r ledger.Receipt, err error) {
	for range 4 {
		if r, err = s.DB.Change(ctx, who, fn); err == nil || ctx.Err() != nil {
			return r, err
		}
		if code, _ := fault.PublicOf(err); code != "cut_off" {
			return r, err
		}
	}
	return r, err
}

// stays asks for a legal hold, after the item was locked.
func (s *Service) stays(ctx context.Context, tx *ledger.Tx, team string) error { // clause: data.crypto-erase
	if s.Held == nil {
		return nil
	}
	return s.Held(ctx, tx, team)
}

// The keys of a team's items: one for heads, fields and files, one for the seeds of codes,
// one for blind indexes. All die with the team.
func contentKey(team string) keyring.Subject { return keyring.Subject{Kind: "vault-item", ID: team} }
func seedKey(team string) keyring.Subject    { return keyring.Subject{Kind: "vault-seed", ID: team} }
func indexKey(team string) keyring.Subject   { return keyring.Subject{Kind: "vault-index", ID: team} }

// place is where a box of an item opens, and nowhere else.
func place(column, team, row string, version int64) envelope.AAD {
	t, c, _ := strings.Cut(column, ".")
	return envelope.AAD{Table: t, Column: c, Team: team, Row: row, Version: int(version)}
}

func (s *Service) open(ctx context.Context, at envelope.AAD, box []byte) (secret.Bytes, error) {
	b, err := keyring.OpenBox(ctx, s.Keys, at, box)
	if err != nil {
		return secret.Bytes{}, err
	}
	return unpad(b)
}

// blind is the index of a value: equal for equal values of one team and column, and nothing
// else. It is made under the first version of the key, so that a rotation does not change it.
func (s *Service) blind(ctx context.Context, team string) (func(column, value string) string, error) {
	if _, err := s.Keys.Ensure(ctx, indexKey(team)); err != nil {
		return nil, fmt.Errorf("key of indexes: %w", err)
	}
	ks, err := s.Keys.Versions(ctx, indexKey(team))
	if err != nil {
		return nil, fmt.Errorf("key of indexes: %w", err)
	}
	k := ks[len(ks)-1]
	return func(column, value string) string {
		if value == "" {
			return ""
		}
		m := k.MAC("writ/vault/item-index/1", column, value)
		return hexed(m[:16])
	}, nil
}

// reasonOf reads why somebody does something; needed says that it must be there.
func reasonOf(typed string, needed bool) (string, error) {
	reason := strings.TrimSpace(typed)
	n := utf8.RuneCountInString(reason)
	if n == 0 && !needed {
		return "", nil
	}
	if n < 5 || n > 300 || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return "", invalid("reason", "reason_missing", "Say why, in 5 to 300 characters on one line. It stands in the record.")
	}
	return reason, nil
}

// invalid is a refusal of one field of a form.
func invalid(field, code, problem string) error {
	return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Fields: []fault.Field{{Name: field, Code: code, Problem: problem}}})
}

func us(t time.Time) int64     { return t.UnixMicro() }
func at(us int64) time.Time    { return time.UnixMicro(us).UTC() }
func thing(id string) string   { return "item/" + id }
func words(s string) []string  { return strings.Fields(s) }
func joined(l []string) string { return strings.Join(l, " ") }
func when(n *int64) (t time.Time) {
	if n != nil {
		t = at(*n)
	}
	return t
}

func person(who actor.Actor) string { return "person/" + who.ID }
