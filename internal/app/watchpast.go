package app

import (
	"context"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway/trail"
	"writ/internal/journal"
	"writ/internal/watch"
)

// watchPast gives watch what happened before, for back-tests of rules.
type watchPast struct{ *App }

// Entries implements watch.History.
func (p watchPast) Entries(ctx context.Context, since time.Time, fn func([]journal.Entry) error) error {
	return p.journal.Past(ctx, since, fn)
}

// Records implements watch.History.
func (p watchPast) Records(ctx context.Context, who actor.Actor, since time.Time, fn func([]watch.Handled) error) error {
	var as []watch.Handled
	return p.trail.Since(ctx, who, "a back-test of a rule", since, func(fs []trail.Found) error {
		as = as[:0]
		for i := range fs {
			as = append(as, answered(&fs[i]))
		}
		return fn(as)
	})
}

// Cases implements watch.History: drills are none.
func (p watchPast) Cases(ctx context.Context) ([]watch.Case, error) {
	cs, err := p.incident.List(ctx, actor.Actor{Kind: actor.Operator, ID: "watch", Via: "job"}, false)
	var out []watch.Case
	for _, c := range cs {
		if c.Drill {
			continue
		}
		w := watch.Case{Name: c.Ref(), From: c.Declared, Until: c.Resolved}
		if !c.OnsetFrom.IsZero() {
			w.From = c.OnsetFrom
		}
		if w.Until.IsZero() {
			w.Until = c.Closed
		}
		out = append(out, w)
	}
	return out, err
}

func answered(f *trail.Found) watch.Handled {
	return watch.Handled{At: f.At, Kind: f.Kind, Who: f.Who, For: f.For, Team: f.Team, Staff: f.Staff, Session: f.Session, Token: f.Token, Network: f.Network, Route: f.Route, Method: f.Method,
		Status: f.Status, Code: f.Code, Took: time.Duration(f.TookUS) * time.Microsecond, In: f.BytesIn, Out: f.BytesOut, Resource: f.Resource}
}
