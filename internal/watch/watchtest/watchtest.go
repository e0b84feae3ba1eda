// Package watchtest lends watch to the tests of what stands beside it: the real service and the
// real kit over a ledger, with a history that a test may write.
package watchtest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/watch"
)

// Those who act.
var (
	Engineer = actor.Actor{Kind: actor.Person, ID: "eli", Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}, Session: "s", ACR: 2, FactorAt: ledgertest.Start, Via: "https"}
	Support  = actor.Actor{Kind: actor.Person, ID: "sue", Team: "staff", TeamKind: "staff", Roles: []string{"support"}, Session: "s", Via: "https"}
	Operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
)

// Tables are those that watch needs.
func Tables() []ledger.Schema {
	return []ledger.Schema{jobs.Schema(), journal.Schema(), notify.Schema(), watch.Schema()}
}

// Past is a history; the zero Past is one in which nothing happened.
type Past struct {
	Numbered []journal.Entry
	Requests []watch.Handled
	Known    []watch.Case
}

// Entries implements watch.History.
func (p *Past) Entries(_ context.Context, since time.Time, fn func([]journal.Entry) error) error {
	for _, e := range p.Numbered {
		if !e.At.Before(since) {
			if err := fn([]journal.Entry{e}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Records implements watch.History.
func (p *Past) Records(_ context.Context, _ actor.Actor, _ time.Time, fn func([]watch.Handled) error) error {
	return fn(p.Requests)
}

// Cases implements watch.History.
func (p *Past) Cases(context.Context) ([]watch.Case, error) { return p.Known, nil }

// Rules are those of the shipped policy.
func Rules[R any](t testing.TB, k *ledgertest.Kit) *clause.Live[R] {
	t.Helper()
	l := clause.NewLive[R](k.Clock.Now)
	Must(t, l.Set([]clause.Period{{Values: policytest.Values()}}))
	return l
}

// Told is the kit that tells people, its letters by m and its files in a folder.
func Told(t testing.TB, k *ledgertest.Kit, m notify.Mailer, folder string) (*notify.Service, *jobs.Jobs) {
	t.Helper()
	queue := jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	s, err := notify.New(notify.Deps{DB: k.DB, Keys: k.Ring, Mail: m, Jobs: queue, Company: company, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler), Folder: folder})
	Must(t, err)
	return s, queue
}

func company() string { return "Example" }

// Deps are what a Service is made of; nobody is told.
func Deps(t testing.TB, k *ledgertest.Kit, told *notify.Service, past *Past) watch.Deps {
	t.Helper()
	record, err := journal.New(journal.Deps{DB: k.DB, Ring: k.Ring, Origin: "https://app.example.test", Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler), Revision: func() string { return "" }})
	Must(t, err)
	return watch.Deps{Journal: record, DB: k.DB, Keys: k.Ring, Access: policytest.Access(k.DB, k.Clock.Now), Notify: told, Rules: Rules[watch.Rules](t, k), Origin: "https://app.example.test", Company: company, History: past,
		Audience: func(context.Context, int64) ([]watch.Person, error) { return nil, nil }, InRoles: func(context.Context, []string) ([]watch.Person, error) { return nil, nil }, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)}
}

// Must ends the test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
