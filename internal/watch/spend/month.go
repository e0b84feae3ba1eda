package spend

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/watch/budget"
	"writ/internal/watch/series"
)

const (
	day       = 24 * time.Hour
	looksBack = 8 * 7 // days before the month, from which a forecast learns
	monthly   = "2006-01"
	seen      = 0.5 // of a day must have been observed, for the day to count as known
	fine      = 6   // digits of a share of a level
)

// Day is one day of a month.
type Day struct {
	Day    int
	Amount budget.Amount
	Known  bool
}

// Month is how a budget stands in a month.
type Month struct {
	Budget
	Month    string // 2026-11
	Actual   budget.Amount
	Credits  budget.Amount // given back; not above zero, and not taken from Actual
	Percent  int64         // of the plan
	Forecast budget.Forecast
	Mean     budget.Amount // of the forecast, at the end of the month; so are Low and High
	Low      budget.Amount
	High     budget.Amount
	Days     []Day     // up to the one that goes on
	Length   int       // days of the month
	Sample   time.Time // when the last cost or use was; zero = there is none
	Trouble  string    // why it cannot be compared; "" = it can
}

// reached lists the levels that were reached, lowest first; the forecast's is the last.
func (m *Month) reached(r *Rules) []string {
	out := r.levels().Crossed(m.Actual, m.Plan)
	if f := &m.Forecast; !f.Learning && m.Trouble == "" && !m.Actual.Reaches(r.Full, m.Plan) && f.Low*100_00 > m.Plan.Float()*float64(r.Full) {
		out = append(out, budget.Ahead)
	}
	return out
}

// track is what was used or spent by day, from a day on.
type track struct {
	from    time.Time
	totals  []budget.Amount
	known   []bool
	today   int     // the day that goes on, or the last that the source speaks of
	elapsed float64 // how much of it the source has seen
	sample  time.Time
	credits budget.Amount // of the month
}

func newTrack(first time.Time, length int) *track {
	n := looksBack + length
	return &track{from: first.Add(-looksBack * day), totals: make([]budget.Amount, n), known: make([]bool, n), today: looksBack}
}

// month looks how a budget stands.
func (s *Service) month(ctx context.Context, r ledger.Reader, b Budget, now time.Time) (*Month, error) { // clause: mon.budget
	now = now.UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	m := &Month{Budget: b, Month: first.Format(monthly), Length: budget.Days(first.Format(monthly))}
	t := newTrack(first, m.Length)
	var err error
	switch b.Meter {
	case Bill:
		err = s.billed(ctx, r, m, t)
	case Prices:
		err = s.priced(ctx, r, m, t, now)
	default:
		if s.Series.Meter(b.Meter) == nil {
			m.Trouble = "nothing counts " + b.Meter + " any more"
			return m, nil
		}
		err = s.used(ctx, b.Meter, m.Length, t, now, func(i int, a budget.Amount) { t.totals[i] = t.totals[i].Add(a) })
	}
	if err != nil {
		return nil, fmt.Errorf("how the budget %s stands: %w", b.Name, err)
	}
	m.fill(t)
	return m, nil
}

// fill takes a track together.
func (m *Month) fill(t *track) {
	h := budget.History{Elapsed: t.elapsed, Left: len(t.totals) - 1 - t.today, Today: t.totals[t.today].Float()}
	for i := range t.totals[:t.today+1] {
		if i >= looksBack {
			m.Days = append(m.Days, Day{i - looksBack + 1, t.totals[i], t.known[i]})
			m.Actual = m.Actual.Add(t.totals[i])
			if i < t.today {
				h.Before += t.totals[i].Float()
			}
		}
		if i == t.today || len(h.Days) == 0 && !t.known[i] { // before anybody counted
			continue
		}
		if len(h.Days) == 0 {
			h.First = t.from.Add(time.Duration(i) * day).Weekday()
		}
		y := math.NaN()
		if t.known[i] {
			y = t.totals[i].Float()
		}
		h.Days = append(h.Days, y)
	}
	m.Sample, m.Credits, m.Percent = t.sample, t.credits, m.Actual.Percent(m.Plan)
	m.Forecast = budget.Foresee(h)
	m.Mean, m.Low, m.High = budget.Near(m.Forecast.Mean, 2), budget.Near(m.Forecast.Low, 2), budget.Near(m.Forecast.High, 2)
}

// used reads what a meter counted. A level, such as bytes that are stored, counts with its mean
// of each day, as a share of the month: what its month comes to is the mean.
func (s *Service) used(ctx context.Context, meter string, length int, t *track, now time.Time, put func(i int, a budget.Amount)) error {
	x := s.Series.Meter(meter)
	points, err := s.Series.Range(ctx, series.Query{Meter: meter, From: t.from, Until: now, Step: day})
	if err != nil {
		return err //nolint:wrapcheck // says what failed
	}
	digits := 0
	if x.Scale > 1 {
		digits = 3
	}
	for i := range points {
		p := &points[i]
		if i >= len(t.totals) {
			break
		}
		a := budget.Near(p.Value, digits)
		if x.Kind == series.Gauge {
			a = budget.Near(p.Value/float64(length), fine)
		}
		put(i, a)
		if t.known[i] = t.known[i] || p.Observed >= seen; p.Observed > 0 || p.Count > 0 {
			t.sample = p.At.Add(day)
		}
	}
	t.today = min(len(points)-1, len(t.totals)-1)
	begun := t.from.Add(time.Duration(t.today) * day)
	t.elapsed = now.Sub(begun).Hours() / 24
	if t.sample.After(now) {
		t.sample = now
	}
	return nil
}

// priced multiplies what meters counted by the list of prices.
func (s *Service) priced(ctx context.Context, r ledger.Reader, m *Month, t *track, now time.Time) error {
	ps, err := s.prices(ctx, r)
	if err != nil {
		return err
	}
	if len(ps.List) == 0 || ps.Currency != m.Unit {
		m.Trouble = "there is no list of prices in " + m.Unit
		return nil
	}
	for _, p := range ps.List {
		if s.Series.Meter(p.Meter) == nil { // of another version
			continue
		}
		if err := s.used(ctx, p.Meter, m.Length, t, now, func(i int, a budget.Amount) { t.totals[i] = t.totals[i].Add(p.CostOf(a)) }); err != nil {
			return err
		}
	}
	return nil
}

// billed adds up what bills say. The last day that one of them speaks of is the one that goes on.
func (s *Service) billed(ctx context.Context, r ledger.Reader, m *Month, t *track) error {
	xs, err := statements(ctx, r, sinceMonth, t.from.Format(monthly), m.Month)
	if err != nil {
		return err
	}
	var brought time.Time
	last := -1
	for i := range xs {
		x := &xs[i]
		if x.Currency != m.Unit {
			if x.Month == m.Month {
				m.Trouble = "the bill is in " + x.Currency + ", the plan in " + m.Unit
			}
			continue
		}
		first, err := time.Parse(monthly, x.Month)
		if err != nil {
			return err //nolint:wrapcheck // it was written by us
		}
		begins := int(first.Sub(t.from).Hours() / 24)
		charged, credits := budget.Totals(x.Lines, m.Service)
		for d := 1; d <= x.Through(); d++ {
			if j := begins + d - 1; j >= 0 && j < len(t.totals) {
				t.totals[j], t.known[j] = t.totals[j].Add(charged[d]), true
				if last = max(last, j); x.Month == m.Month {
					t.credits = t.credits.Add(credits[d])
				}
			}
		}
		if x.brought.After(brought) {
			brought = x.brought
		}
	}
	t.today = max(last, looksBack)
	if last < 0 {
		return nil
	}
	ends := t.from.Add(time.Duration(last+1) * day)
	if t.sample = brought; t.sample.After(ends) {
		t.sample = ends
	}
	if last == t.today {
		t.elapsed = 1 - min(1, max(0, ends.Sub(brought).Hours()/24))
	}
	return nil
}

// Months are the budgets, as they stand now.
func (s *Service) Months(ctx context.Context, who actor.Actor) ([]*Month, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/budgets"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.months(ctx)
}

func (s *Service) months(ctx context.Context) ([]*Month, error) {
	bs, err := list(ctx, s.DB, allBudgets)
	if err != nil {
		return nil, err
	}
	var out []*Month
	for _, b := range bs {
		m, err := s.month(ctx, s.DB, b, s.Now())
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Detail is a budget with the levels that it reached.
type Detail struct {
	Month
	Crossings []Crossing // the newest first, at most fifty
}

// MonthOf is one budget, as it stands now.
func (s *Service) MonthOf(ctx context.Context, who actor.Actor, name string) (Detail, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, object(name)); err != nil {
		return Detail{}, err //nolint:wrapcheck // a fault for the reader
	}
	b, err := one(ctx, s.DB, name)
	if err != nil {
		return Detail{}, err
	}
	m, err := s.month(ctx, s.DB, b, s.Now())
	if err != nil {
		return Detail{}, err
	}
	out := Detail{Month: *m}
	if out.Crossings, err = s.crossings(ctx, s.DB, crossingsOf, name); err != nil {
		return Detail{}, err
	}
	for i := range out.Crossings {
		if err := s.explain(ctx, &out.Crossings[i]); err != nil {
			return Detail{}, err
		}
	}
	return out, nil
}

// Levels are where an alarm is raised, as hundredths of a percent of the plan.
func (s *Service) Levels() []int64 { return slices.Clone([]int64(s.Rules.Get().levels())) }
