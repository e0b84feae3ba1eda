package spend

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// Access decides who may see spending and plan it.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Series are the measurements; *series.Service.
type Series interface {
	Meter(name string) *series.Meter
	Range(ctx context.Context, q series.Query) ([]series.Point, error)
	Top(ctx context.Context, q series.Query, n int) ([]series.Row, error)
}

// Alarms is what spending needs of whoever watches; *watch.Service.
type Alarms interface {
	// Around lists the titles of alarms of a part that fired in a span.
	Around(ctx context.Context, part string, from, until time.Time) ([]string, error)
	// Rehearse says which rules an entry would fire, in a change that the caller takes back.
	Rehearse(ctx context.Context, tx *ledger.Tx, e journal.Entry) ([]string, error)
}

// Item is what became of a level that was reached, in the triage of incidents.
type Item struct {
	Name    string // such as I-12; "" where there is none yet
	Opened  time.Time
	Decided time.Time // zero: nobody has decided yet what it is
}

// Triage is what spending needs of whoever leads incidents. Without it no signal has an item.
type Triage interface {
	// Item is the one that an entry of the journal began or joined.
	Item(ctx context.Context, entry string) (Item, error)
	// Begins reports whether an entry would be taken for a signal.
	Begins(ctx context.Context, e journal.Entry) (bool, error)
}

// Deps are what a Service is made of; all but Triage are needed.
type Deps struct {
	DB     *ledger.DB
	Access Access
	Series Series
	Meters func() []string // of the series, in the order in which people read them
	Alarms Alarms
	Triage Triage
	Rules  *clause.Live[Rules]
	Now    func() time.Time
	Log    *slog.Logger
}

// Service compares spending with plans. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Access == nil || d.Series == nil || d.Meters == nil || d.Alarms == nil || d.Rules == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("spend: a dependency is missing")
	}
	return &Service{d}, nil
}

// system is spending that is looked at by itself.
var system = actor.System("spend")

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bad(field, problem, want string) error {
	return fault.New(fault.Invalid, "budget_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: field, Code: "budget_" + field, Problem: want}}})
}
