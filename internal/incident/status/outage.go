package status

import (
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/ledger"
)

// Period is a time from a moment until another.
type Period struct{ From, Until time.Time }

// Outage is how long some parts of the service were out within a time. Each moment counts once,
// by the worst that was seen of any of the parts.
type Outage struct {
	Down    time.Duration // a major outage, or nobody was let in
	Partial time.Duration // a partial outage, and none that is worse
	Unseen  time.Duration // nobody was there to see
}

// Outage is how long the parts were out within a time. In the periods shut nobody was let in, whatever
// else was seen.
func (s *Service) Outage(ctx context.Context, parts []string, in Period, shut []Period) (Outage, error) {
	var out Outage
	var all, seen []span
	if err := s.DB.Each(ctx, spansWithin, func(scan ledger.Scan) error {
		var component, state string
		var from int64
		var till *int64
		err := scan(&component, &state, &from, &till)
		x := span{state, at(from), when(till)}
		if till == nil {
			x.till = in.Until
		}
		if slices.Contains(parts, component) && (state == MajorOutage || state == PartialOutage) {
			all = append(all, x)
		}
		return err
	}, us(in.From), us(in.Until)); err != nil {
		return out, fmt.Errorf("read spans: %w", err)
	}
	if err := s.DB.Each(ctx, seenWithin, func(scan ledger.Scan) error {
		var from, till int64
		err := scan(&from, &till)
		seen = append(seen, span{since: at(from), till: at(till)})
		return err
	}, us(in.From), us(in.Until)); err != nil {
		return out, fmt.Errorf("read what was seen: %w", err)
	}
	var closed []span
	for _, p := range shut {
		closed = append(closed, span{since: p.From, till: p.Until})
	}
	cuts := []time.Time{in.From, in.Until}
	for _, x := range slices.Concat(all, seen, closed) {
		cuts = append(cuts, x.since, x.till)
	}
	cuts = slices.DeleteFunc(cuts, func(t time.Time) bool { return t.Before(in.From) || t.After(in.Until) })
	slices.SortFunc(cuts, time.Time.Compare)
	for i := 1; i < len(cuts); i++ {
		out.add(cuts[i-1], cuts[i].Sub(cuts[i-1]), all, seen, closed)
	}
	return out, nil
}

// add counts a time in which nothing changed, from a moment on.
func (o *Outage) add(from time.Time, long time.Duration, all, seen, closed []span) {
	holds := func(state string, in []span) bool {
		return slices.ContainsFunc(in, func(x span) bool {
			return (state == "" || x.state == state) && !x.since.After(from) && x.till.After(from)
		})
	}
	switch {
	case holds("", closed):
		o.Down += long
	case !holds("", seen):
		o.Unseen += long
	case holds(MajorOutage, all):
		o.Down += long
	case holds(PartialOutage, all):
		o.Partial += long
	}
}

// PublicOf is an incident as the page tells of it; fault.NotFound where it does not.
func (s *Service) PublicOf(ctx context.Context, caseID string) (Public, error) {
	p := Public{Case: caseID}
	if err := ledger.One(ctx, s.DB, publicOf, []any{&p.ID, &p.Title, &p.Impact}, caseID); err != nil {
		return Public{}, err
	}
	var err error
	p.Posts, err = s.Posts(ctx, caseID)
	return p, err
}

const (
	spansWithin = `SELECT component, state, since, until FROM incident_status_span WHERE (until IS NULL OR until > $1) AND since < $2 ORDER BY since, id`
	seenWithin  = `SELECT since, until FROM incident_status_seen WHERE until > $1 AND since < $2 ORDER BY since`
)
