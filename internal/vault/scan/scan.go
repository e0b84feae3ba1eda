package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/journal"
	"writ/internal/leak"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Rules are the parameters of the policy that this package obeys.
type Rules struct {
	Stores []string `clause:"vault.secret-home/stores"`
}

// homes are the stores that this build has: the parameter store, and the database whose
// pages are encrypted.
var homes = []string{"encrypted-database", "parameter-store"}

// Validate implements clause.Validator.
func (r *Rules) Validate() error {
	for _, s := range r.Stores {
		if !slices.Contains(homes, s) {
			return fmt.Errorf("vault.secret-home: stores has %q, which is not one of %s", s, strings.Join(homes, " and "))
		}
	}
	if !slices.Contains(r.Stores, "parameter-store") {
		return errors.New("vault.secret-home: stores is without parameter-store, which programs are started from")
	}
	return nil
}

// Values is what this package needs of vault.Service.
type Values interface {
	EachSecret(ctx context.Context, team string, fn func(name string, kind vault.Type, v secret.Bytes) error) error
	PlantKey(ctx context.Context, control, path string, reads bool) (vault.IssuedKey, func(), error)
	Caller(ctx context.Context, id string, session secret.Text) (actor.Actor, secret.Text, error)
	Put(ctx context.Context, who actor.Actor, in vault.Put) (vault.Done, error)
}

// Items is what it needs of item.Service: the secret fields of those items that somebody may
// read without saying why; of all, for the server itself.
type Items interface {
	EachSecret(ctx context.Context, who actor.Actor, team string, fn func(name string, v secret.Text) error) error
}

// Access decides and records refusals.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
	May(who actor.Actor, action access.Action) bool
}

// Record is what it needs of journal.Journal.
type Record interface {
	List(ctx context.Context, q journal.Query) ([]journal.Entry, error)
}

// Deps are what a Service is made of. Places, Look and Temp may be left out.
type Deps struct {
	DB     *ledger.DB
	Values Values
	Items  Items
	Access Access
	Record Record
	Rules  *clause.Live[Rules]
	Places []string // declared in writ.yaml, absolute
	Now    func() time.Time
	Log    *slog.Logger

	Look func(ctx context.Context, path string, o leak.Options) (leak.Report, error) // nil = leak.Scan
	Temp string                                                                      // folder for the canary's; "" = the system's
}

// Service is the module. It is safe for concurrent use.
type Service struct {
	Deps
	rules *leak.Rules
	marks *marks
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Values == nil || d.Items == nil || d.Access == nil || d.Record == nil || d.Rules == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("scan: a dependency is missing")
	}
	for _, p := range d.Places {
		if !filepath.IsAbs(p) {
			return nil, fmt.Errorf("scan: the place %q is not absolute", p)
		}
	}
	if d.Look == nil {
		d.Look = leak.Scan
	}
	return &Service{Deps: d, rules: leak.Shipped(), marks: newMarks()}, nil
}

// Slots are the rules this package obeys.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }

// Jobs is what runs again and again.
type Jobs interface {
	Every(name string, every time.Duration, run func(ctx context.Context) error)
}

// every is how often declared places are searched: twice in the time that a scan counts.
const every = fresh / 2

// fresh is how long a scan of a declared place counts.
const fresh = 24 * time.Hour

// Schedule has declared places searched by themselves, and comparisons ended.
func (s *Service) Schedule(j Jobs) {
	j.Every("vault-scan", every, s.Sweep)
	j.Every("vault-comparisons", markLife/6, s.expire)
}

// Sweep searches every declared place. One that cannot be searched is noted, and does not
// keep the others from it.
func (s *Service) Sweep(ctx context.Context) error {
	var errs []error
	for _, p := range s.Places {
		errs = append(errs, s.sweepOne(ctx, p))
	}
	return errors.Join(errs...)
}

func (s *Service) sweepOne(ctx context.Context, path string) error {
	who := actor.System("vault")
	mine, err := s.compare(ctx, who, vault.Home)
	if err != nil {
		return err
	}
	ignore, err := s.ignoreOf(path)
	if err == nil {
		var rep leak.Report
		if rep, err = s.Look(ctx, path, leak.Options{Rules: s.rules, Known: mine, Ignore: ignore}); err == nil {
			_, err = s.file(ctx, who, Report{Path: path, Report: rep, Asked: mine.asked, closes: true})
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.fail(ctx, who, path, err)
}

// us and at are times as they are kept.
func us(t time.Time) int64 { return t.UnixMicro() }

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
