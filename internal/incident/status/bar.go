package status

import (
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/ledger"
)

// days are how many the bars tell of.
const days = 90

// Day is one of a component's bar.
type Day struct {
	Date     time.Time
	State    string        // the worst that was seen; "" = nobody saw anything
	Observed time.Duration // of the day
	Bad      time.Duration // of what was seen: not operational, and no maintenance
	lost     time.Duration // of what was seen, weighed
}

// The weights by which time counts as down.
const (
	partialWeight = 3 // of ten
	wholeWeight   = 10
)

// span is a time in which something was so.
type span struct {
	state       string
	since, till time.Time
}

// bars cuts what a component was into days of UTC. Time in which nobody was there to see
// counts neither way.
func bars(spans, seen []span, now time.Time) []Day {
	out := make([]Day, days)
	today := now.UTC().Truncate(24 * time.Hour)
	for i := range out {
		d := &out[i]
		d.Date = today.AddDate(0, 0, i-days+1)
		end := d.Date.Add(24 * time.Hour)
		for _, s := range spans {
			for _, o := range seen {
				n := overlap(d.Date, end, s, o)
				if n <= 0 {
					continue
				}
				d.Observed += n
				if worse(s.state, d.State) {
					d.State = s.state
				}
				switch s.state {
				case MajorOutage:
					d.lost += n
				case PartialOutage:
					d.lost += n * partialWeight / wholeWeight
				}
				if s.state != Operational && s.state != UnderWork {
					d.Bad += n
				}
			}
		}
	}
	return out
}

func overlap(from, to time.Time, a, b span) time.Duration {
	for _, s := range []span{a, b} {
		if s.since.After(from) {
			from = s.since
		}
		if s.till.Before(to) {
			to = s.till
		}
	}
	return to.Sub(from)
}

func worse(a, b string) bool {
	return slices.Index(States(), a) > slices.Index(States(), b) // "" is at -1
}

// uptime is the share of what was seen in which it was up, in hundredths of a per cent; seen
// is the share of the days since its birth that was seen at all. -1 = nothing was seen.
func uptime(ds []Day) int64 {
	var observed, lost time.Duration
	for _, d := range ds {
		observed, lost = observed+d.Observed, lost+d.lost
	}
	if observed == 0 {
		return -1
	}
	up := int64(observed-lost) / int64(time.Millisecond) * 10000 / (int64(observed) / int64(time.Millisecond))
	if lost > 0 {
		up = min(up, 9999) // what was lost is never rounded away
	}
	return up
}

func (s *Service) spans(ctx context.Context, now time.Time) (of map[string][]span, seen []span, err error) {
	since := us(now.AddDate(0, 0, -days))
	of = map[string][]span{}
	if err := s.DB.Each(ctx, spansSince, func(scan ledger.Scan) error {
		var component, state string
		var from int64
		var till *int64
		err := scan(&component, &state, &from, &till)
		x := span{state, at(from), when(till)}
		if till == nil {
			x.till = now
		}
		of[component] = append(of[component], x)
		return err
	}, since); err != nil {
		return nil, nil, fmt.Errorf("read spans: %w", err)
	}
	err = s.DB.Each(ctx, seenSince, func(scan ledger.Scan) error {
		var from, till int64
		err := scan(&from, &till)
		seen = append(seen, span{since: at(from), till: at(till)})
		return err
	}, since)
	return of, seen, err
}

// pulse is how often it is written down that somebody is there, and how long a hole may be
// that is none.
const (
	pulse = time.Minute
	hole  = 3 * time.Minute
)

// see writes down that this moment was seen. A pause of more than three minutes stays a hole.
func (s *Service) see(ctx context.Context) error {
	now := us(s.Now())
	var last int64
	if err := ledger.One(ctx, s.DB, lastSeen, []any{&last}); err != nil {
		return fmt.Errorf("read what was seen: %w", err)
	}
	if last > now-pulse.Microseconds() && last <= now {
		return nil
	}
	return s.DB.Quiet(ctx, ledger.LastSeen, func(tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, prolong, now, now-hole.Microseconds())
		if err == nil && n == 0 {
			_, err = tx.Exec(ctx, beginSeen, now)
		}
		return err
	})
}

const (
	spansSince = `SELECT component, state, since, until FROM incident_status_span WHERE until IS NULL OR until > $1 ORDER BY since, id`
	seenSince  = `SELECT since, until FROM incident_status_seen WHERE until > $1 ORDER BY since`
	lastSeen   = `SELECT COALESCE(MAX(until), 0) FROM incident_status_seen`
	prolong    = `UPDATE incident_status_seen SET until = $1 WHERE until >= $2 AND until <= $1`
	beginSeen  = `INSERT INTO incident_status_seen (since, until) VALUES ($1, $1) ON CONFLICT (since) DO NOTHING`
)
