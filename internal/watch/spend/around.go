package spend

import (
	"cmp"
	"context"
	"slices"
	"time"

	"writ/internal/watch/budget"
	"writ/internal/watch/series"
)

const (
	near      = 2 * time.Hour // an alarm about abuse this close may have the same cause
	window    = 24 * time.Hour
	weeks     = 4
	grew      = 10   // of a dimension that are named
	mostKnown = 1000 // labels of a week that are compared
	requests  = "requests"
	networks  = "network"
)

// dimensions along which somebody may stand out.
var dimensions = []string{"route", "team", networks}

// around says what grew most in the last day against the same hours of the four weeks before.
// Where the budget's own meter does not tell routes, teams and networks apart, requests do.
func (s *Service) around(ctx context.Context, b *Budget) (budget.Signs, error) {
	meter := b.Meter
	if m := s.Series.Meter(meter); m == nil || !slices.ContainsFunc(dimensions, func(d string) bool { return slices.Contains(m.Dimensions, d) }) {
		meter = requests
	}
	m, now := s.Series.Meter(meter), s.Now()
	if m == nil {
		return budget.Signs{}, nil
	}
	whole, err := s.growth(ctx, meter, series.Whole, now, 1)
	if err != nil {
		return budget.Signs{}, err
	}
	var out budget.Signs
	if len(whole) > 0 {
		out.Whole = whole[0]
	}
	for _, d := range dimensions {
		if !slices.Contains(m.Dimensions, d) {
			continue
		}
		gs, err := s.growth(ctx, meter, d, now, grew)
		if err != nil {
			return out, err
		}
		out.Top = append(out.Top, gs...)
	}
	return out, nil
}

// growth gives the labels of a dimension that grew most.
func (s *Service) growth(ctx context.Context, meter, dimension string, now time.Time, most int) ([]budget.Growth, error) {
	rows, err := s.Series.Top(ctx, series.Query{Meter: meter, Dimension: dimension, From: now.Add(-window), Until: now}, mostKnown)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what failed
	}
	usual, n := map[string]float64{}, 0
	for w := range weeks {
		until := now.Add(-time.Duration(w+1) * 7 * day)
		// Networks have other names in each month, so that nobody can follow them for long.
		if dimension == networks && (until.Add(-window).UTC().Format(monthly) != now.Add(-window).UTC().Format(monthly) || until.UTC().Format(monthly) != now.UTC().Format(monthly)) {
			continue
		}
		q := series.Query{Meter: meter, From: until.Add(-window), Until: until, Step: time.Hour}
		known, err := s.watched(ctx, q)
		if err != nil {
			return nil, err
		}
		if !known {
			continue
		}
		q.Dimension = dimension
		before, err := s.Series.Top(ctx, q, mostKnown)
		if err != nil {
			return nil, err //nolint:wrapcheck // says what failed
		}
		n++
		for i := range before {
			usual[before[i].Label] += before[i].Value
		}
	}
	var out []budget.Growth
	for i := range rows {
		g := budget.Growth{Dimension: dimension, Label: rows[i].Label, Now: rows[i].Value, Weeks: n}
		if n > 0 {
			g.Usual = usual[g.Label] / float64(n)
		}
		if g.By() > 0 || dimension == series.Whole {
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b budget.Growth) int { return cmp.Compare(b.By(), a.By()) })
	return out[:min(most, len(out))], nil
}

// watched reports whether most of a span was observed.
func (s *Service) watched(ctx context.Context, q series.Query) (bool, error) {
	ps, err := s.Series.Range(ctx, q)
	if err != nil {
		return false, err //nolint:wrapcheck // says what failed
	}
	share := 0.0
	for i := range ps {
		share += ps[i].Observed / float64(len(ps))
	}
	return share >= seen, nil
}
