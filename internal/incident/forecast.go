package incident

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/web"
)

// leastPast is how many that are closed an estimate rests on; mostPast how many of the last.
const (
	leastPast = 5
	mostPast  = 200
)

// Forecast is how long incidents of a kind took, from declared to resolved: half of them at most
// Median, and of those to come eight of ten between From and To. All three are zero where fewer
// than five are closed.
type Forecast struct {
	Kinds  []string
	Past   int // incidents and drills of the kind that are closed, of the last 200
	Median time.Duration
	From   time.Duration
	To     time.Duration
	Back   time.Time     // what can be said now of this one: its median, after that To; zero = nothing
	Left   time.Duration // until then, in whole minutes
	Stands bool          // a promise that was given is still to come
}

// Enough reports whether there is history to estimate from.
func (f Forecast) Enough() bool { return f.Past >= leastPast }

// Says is it in words; "" where the kind is not decided.
func (f Forecast) Says() string {
	if len(f.Kinds) == 0 {
		return ""
	}
	past := web.Count(int64(f.Past), "incident") + " and drills of this kind closed"
	if !f.Enough() {
		return fmt.Sprintf("Too little history for an estimate: %s, at least %d are needed.", past, leastPast)
	}
	says := fmt.Sprintf("Of %s, half were resolved within %s of being declared; eight of ten take %s to %s.", past, web.Duration(f.Median.Round(time.Minute)), web.Duration(f.From.Round(time.Minute)), web.Duration(f.To.Round(time.Minute)))
	if f.Back.IsZero() {
		says += " This one takes longer than that."
	}
	return says
}

// Foresee is a Forecast from how long incidents took, in any order. Of ten or more it takes the
// ranks as they are; of fewer, whose ranks do not reach that far, it takes their logarithms as
// normal, with the spread of Student for so few.
func Foresee(past []time.Duration) Forecast { // clause: inc.eta
	f := Forecast{Past: len(past)}
	if !f.Enough() {
		return f
	}
	logs := make([]float64, len(past))
	for i, d := range past {
		logs[i] = math.Log(max(d, time.Second).Seconds())
	}
	slices.Sort(logs)
	n := float64(len(logs))
	rank := func(p float64) float64 { // between the two nearest, counted from 1
		at := min(max(p*(n+1), 1), n)
		i := min(int(at), len(logs)-1)
		return logs[i-1] + (at-float64(i))*(logs[i]-logs[i-1])
	}
	low, high := rank(.1), rank(.9)
	if i := len(logs) - leastPast; i < len(student) {
		var mean, square float64
		for _, x := range logs {
			mean += x / n
		}
		for _, x := range logs {
			square += (x - mean) * (x - mean)
		}
		off := student[i] * math.Sqrt(square/(n-1)*(1+1/n))
		low, high = mean-off, mean+off
	}
	took := func(x float64) time.Duration { // no more than fits
		return time.Duration(min(math.Exp(x), maxTook.Seconds()) * float64(time.Second)).Round(time.Second)
	}
	f.Median, f.From, f.To = took(rank(.5)), took(low), took(high)
	return f
}

// maxTook bounds what is said of a spread that has no end.
const maxTook = 365 * 24 * time.Hour

// student are the 90 % points of Student's distribution with 4 to 8 degrees of freedom.
var student = [...]float64{1.533, 1.476, 1.440, 1.415, 1.397}

// forecast is when one may be over, by those of its kind that are. Drills that a script played
// say nothing about people and are left out, as is what was a false alarm or part of another.
func (s *Service) forecast(ctx context.Context, v View) (Forecast, error) {
	c := v.Case
	var past []time.Duration
	err := s.DB.Each(ctx, pastCases, func(scan ledger.Scan) error {
		var kinds string
		var declared, resolved int64
		if err := scan(&kinds, &declared, &resolved); err != nil {
			return err //nolint:wrapcheck // below
		}
		if len(past) < mostPast && slices.ContainsFunc(strings.Fields(kinds), func(k string) bool { return slices.Contains(c.Categories, k) }) {
			past = append(past, at(resolved).Sub(at(declared)))
		}
		return nil
	}, c.ID)
	if err != nil {
		return Forecast{}, fmt.Errorf("read how long incidents took: %w", err)
	}
	f := Foresee(past)
	now := s.Now()
	f.Kinds = c.Categories
	f.Stands = slices.ContainsFunc(v.Posts, func(p status.Shown) bool { return p.Estimate.After(now) })
	for _, d := range []time.Duration{f.To, f.Median} { // the median where it is still to come
		if back := c.Declared.Add(d); f.Enough() && back.After(now) {
			f.Back, f.Left = back, (back.Sub(now) + time.Minute - 1).Truncate(time.Minute)
		}
	}
	return f, nil
}

// resolves reports whether it is still to be resolved, so that an estimate is of use.
func (c Case) resolves() bool {
	return c.Open() && c.Resolved.IsZero() && c.States[engine.L] != "L0"
}

const pastCases = `SELECT categories, declared, resolved FROM incident_case
	WHERE l = 'L6' AND resolved IS NOT NULL AND joined = '' AND id <> $1 AND id NOT IN (SELECT case_id FROM incident_drill WHERE plays)
	ORDER BY resolved DESC, id LIMIT 1000`
