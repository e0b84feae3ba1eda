package series

import (
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/heavy"
)

// Query says what to read. Times are widened to whole steps.
type Query struct {
	Meter     string
	Dimension string // Whole, or one of the meter's
	Label     string // of Range; "" with Whole
	From      time.Time
	Until     time.Time
	Step      time.Duration // of Range; 0 = one that suits the span
}

// Point is one step of a series.
type Point struct {
	At            time.Time
	Value         float64 // the sum (Count, Spread), the mean (Gauge), or how many there were (Union)
	Count         int64   // how often
	High          float64 // the highest value (Spread, Gauge)
	P50, P95, P99 float64 // of Spread
	Observed      float64 // which share of its minutes was observed, 0 to 1
}

// Gap reports whether nobody knows what went on.
func (p *Point) Gap() bool { return p.Observed == 0 && p.Count == 0 }

// Row is one label with what it came to.
type Row struct {
	Meter, Dimension, Label string
	Point                   // At: of Minute; Observed: not set
	// Error is by how much Value may be more, of a label that had no room of its own for some of the
	// time: it is at least Value, and at most both together. 0 = it is exact. Of Top.
	Error float64
}

const mostPoints = 10_000

// StepFor is the step that suits a span: at most some hundred points.
func StepFor(span time.Duration) time.Duration {
	for _, s := range []struct{ span, step time.Duration }{
		{10 * time.Minute, 10 * time.Second}, {6 * time.Hour, time.Minute}, {36 * time.Hour, 10 * time.Minute}, {14 * 24 * time.Hour, time.Hour}, {60 * 24 * time.Hour, 6 * time.Hour},
	} {
		if span <= s.span {
			return s.step
		}
	}
	return 24 * time.Hour
}

// Range gives the points of one series, one a step, without leaving any out.
func (s *Service) Range(ctx context.Context, q Query) ([]Point, error) {
	m, err := s.check(&q)
	if err != nil {
		return nil, err
	}
	if q.Step == 0 {
		q.Step = StepFor(q.Until.Sub(q.From))
	}
	a, b := floor(q.From.UnixMicro(), q.Step), floor(q.Until.UnixMicro()+q.Step.Microseconds()-1, q.Step)
	n := (b - a) / q.Step.Microseconds()
	if q.Step < time.Second || q.Step%time.Second != 0 || q.Step > time.Minute && q.Step%time.Minute != 0 || n > mostPoints {
		return nil, bad("step", "The step does not fit.", "Whole seconds up to a minute, whole minutes from there on, and at most 10,000 steps.")
	}
	k := key{q.Meter, q.Dimension, q.Label}
	cells, w, err := s.collect(ctx, m, k, a, b, q.Step)
	if err != nil {
		return nil, err
	}
	out := make([]Point, 0, n)
	for at := a; at < b; at += q.Step.Microseconds() {
		p := Point{At: time.UnixMicro(at).UTC()}
		if c := cells[at]; c != nil {
			p = m.point(c)
			p.At = time.UnixMicro(at).UTC()
		}
		p.Observed = w.share(at, at+q.Step.Microseconds())
		out = append(out, p)
	}
	return out, nil
}

// collect reads what is in each step of one series, and what was observed.
func (s *Service) collect(ctx context.Context, m *Meter, k key, a, b int64, step time.Duration) (map[int64]*cell, *watched, error) {
	cells := map[int64]*cell{}
	put := func(at int64, c *cell) {
		at = floor(at, step)
		if cells[at] == nil {
			cells[at] = &cell{}
		}
		cells[at].merge(c)
	}
	s.commit.RLock()
	defer s.commit.RUnlock()
	if step < time.Minute {
		s.mu.Lock()
		oldest := s.Now().UnixMicro() - seconds*1e6
		for i := range s.ring {
			if at := s.ring[i].at * 1e6; at > oldest && at >= a && at < b && s.ring[i].cells[k] != nil {
				put(at, s.ring[i].cells[k])
			}
		}
		s.mu.Unlock()
	} else {
		if err := s.rows(ctx, rowsFor(step), k, a, b, put); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		for x, c := range s.pending.cells {
			if x.key == k && x.minute >= a && x.minute < b {
				put(x.minute, c)
			}
		}
		s.mu.Unlock()
	}
	w, err := s.watched(ctx, m.Source, a, b)
	return cells, w, err
}

func rowsFor(step time.Duration) (query string) {
	switch {
	case step%(24*time.Hour) == 0:
		return listDays
	case step%time.Hour == 0:
		return listHours
	default:
		return listMinutes
	}
}

func (s *Service) rows(ctx context.Context, query string, k key, a, b int64, put func(at int64, c *cell)) error {
	err := s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var at int64
		var sketch []byte
		c := &cell{}
		if err := scan(&at, &c.n, &c.sum, &c.high, &sketch); err != nil {
			return err
		}
		if err := c.spread(s.Meter(k.meter), sketch); err != nil {
			return err
		}
		put(at, c)
		return nil
	}, k.meter, k.dimension, k.label, a, b)
	if err != nil {
		return fmt.Errorf("read series of %s: %w", k.meter, err)
	}
	return nil
}

func (c *cell) spread(m *Meter, sketch []byte) error {
	if len(sketch) == 0 {
		return nil
	}
	if m.Kind == Union {
		c.union = &Distinct{}
		return c.union.UnmarshalBinary(sketch)
	}
	c.sketch = &Sketch{}
	return c.sketch.UnmarshalBinary(sketch)
}

func (m *Meter) point(c *cell) Point {
	p := Point{Count: c.n, Value: float64(c.sum) / m.scale()}
	if m.Kind == Union {
		if p.Value = 0; c.union != nil {
			p.Value = float64(c.union.Count())
		}
		return p
	}
	if m.Kind == Count {
		return p
	}
	p.High = float64(c.high) / m.scale()
	if m.Kind == Gauge && c.n > 0 {
		p.Value /= float64(c.n)
	}
	if c.sketch != nil {
		p.P50, p.P95, p.P99 = c.sketch.Quantile(0.50)/m.scale(), c.sketch.Quantile(0.95)/m.scale(), c.sketch.Quantile(0.99)/m.scale()
	}
	return p
}

// Top gives the labels of a dimension with the highest Value, at most n (1 to 1,000). A span of
// more than two hours is widened to whole hours, one of more than a week to whole days. In these, of
// the last 35 days, what counted under Other is told apart as far as it can be.
func (s *Service) Top(ctx context.Context, q Query, n int) ([]Row, error) {
	m, err := s.check(&q)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > 1000 {
		return nil, bad("n", "So many labels are not listed.", "1 to 1,000.")
	}
	step, sums, list := time.Minute, topMinutes, listMinutes
	if span := q.Until.Sub(q.From); span > 7*24*time.Hour {
		step, sums, list = 24*time.Hour, topDays, listDays
	} else if span > 2*time.Hour {
		step, sums, list = time.Hour, topHours, listHours
	}
	a, b := floor(q.From.UnixMicro(), step), floor(q.Until.UnixMicro()+step.Microseconds()-1, step)
	s.commit.RLock()
	defer s.commit.RUnlock()
	cells := map[string]*cell{}
	put := func(label string, c *cell) {
		if cells[label] == nil {
			cells[label] = &cell{}
		}
		cells[label].merge(c)
	}
	if err := s.DB.Each(ctx, sums, func(scan ledger.Scan) error {
		var label string
		c := &cell{}
		err := scan(&label, &c.n, &c.sum, &c.high)
		put(label, c)
		return err
	}, q.Meter, q.Dimension, a, b); err != nil {
		return nil, fmt.Errorf("read series of %s: %w", q.Meter, err)
	}
	s.mu.Lock()
	for x, c := range s.pending.cells {
		if x.meter == q.Meter && x.dimension == q.Dimension && x.minute >= a && x.minute < b {
			put(x.label, c)
		}
	}
	s.mu.Unlock()
	out := make([]Row, 0, len(cells))
	for label, c := range cells {
		c.sketch = nil
		out = append(out, Row{Meter: q.Meter, Dimension: q.Dimension, Label: label, Point: m.point(c)})
	}
	var sum heavy.Summary
	if step > time.Minute && cells[Other] != nil {
		if sum, err = s.heaviest(ctx, q.Meter, q.Dimension, a, b); err != nil {
			return nil, err
		}
	}
	out = m.best(out, sum, n)
	if m.Kind == Spread || m.Kind == Union {
		return out, s.quantiles(ctx, m, out, list, a, b)
	}
	return out, nil
}

// quantiles adds those of the rows that were chosen. The caller holds commit.
func (s *Service) quantiles(ctx context.Context, m *Meter, rows []Row, list string, a, b int64) error {
	for i := range rows {
		k, sum := key{m.Name, rows[i].Dimension, rows[i].Label}, &cell{}
		if err := s.rows(ctx, list, k, a, b, func(_ int64, c *cell) { sum.merge(c) }); err != nil {
			return err
		}
		s.mu.Lock()
		for x, c := range s.pending.cells {
			if x.key == k && x.minute >= a && x.minute < b {
				sum.merge(c)
			}
		}
		s.mu.Unlock()
		p := m.point(sum)
		if m.Kind == Union {
			rows[i].Value = p.Value
		}
		rows[i].P50, rows[i].P95, rows[i].P99 = p.P50, p.P95, p.P99
	}
	return nil
}

// Minute gives all that was written of one minute, in no order.
func (s *Service) Minute(ctx context.Context, at time.Time, fn func(Row) error) error {
	return s.each(ctx, wholeMinute, at.Truncate(time.Minute), fn)
}

// Hour gives all that was written of one hour, in no order.
func (s *Service) Hour(ctx context.Context, at time.Time, fn func(Row) error) error {
	return s.each(ctx, wholeHour, at.Truncate(time.Hour), fn)
}

func (s *Service) each(ctx context.Context, query string, at time.Time, fn func(Row) error) error {
	err := s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var r Row
		var sketch []byte
		c := &cell{}
		if err := scan(&r.Meter, &r.Dimension, &r.Label, &c.n, &c.sum, &c.high, &sketch); err != nil {
			return err
		}
		m := s.Meter(r.Meter)
		if m == nil { // of another version
			return nil
		}
		if err := c.spread(m, sketch); err != nil {
			return err
		}
		r.Point = m.point(c)
		r.At = at
		return fn(r)
	}, at.UnixMicro())
	if err != nil {
		return fmt.Errorf("read all series of a time: %w", err)
	}
	return nil
}

// Observed is the share of a span in which a source was there without a hole.
func (s *Service) Observed(ctx context.Context, source string, from, until time.Time) (float64, error) {
	a, b := floor(from.UnixMicro(), time.Minute), floor(until.UnixMicro(), time.Minute)
	w, err := s.watched(ctx, source, a, b)
	if err != nil {
		return 0, err
	}
	return w.share(a, max(b, a+time.Minute.Microseconds())), nil
}

func (s *Service) check(q *Query) (*Meter, error) {
	m := s.Meter(q.Meter)
	switch {
	case m == nil:
		return nil, bad("meter", "There is no such meter.", "One of the list of meters.")
	case q.Dimension != Whole && !slices.Contains(m.Dimensions, q.Dimension):
		return nil, bad("dimension", "The meter is not counted along that.", "Nothing, or one of its dimensions.")
	case !q.Until.After(q.From) || q.Until.Sub(q.From) > 6*365*24*time.Hour:
		return nil, bad("span", "The span is not good.", "An end after its beginning, at most six years.")
	}
	return m, nil
}

func bad(field, problem, want string) error {
	return fault.New(fault.Invalid, "series_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: field, Code: "series_" + field, Problem: want}}})
}

const (
	ofSeries    = ` r JOIN watch_series s ON s.id = r.series WHERE s.meter = $1 AND s.dimension = $2 AND s.label = $3 AND r.at >= $4 AND r.at < $5`
	listMinutes = `SELECT r.at, r.n, r.sum, r.high, r.sketch FROM watch_series_1m` + ofSeries
	listHours   = `SELECT r.at, r.n, r.sum, r.high, r.sketch FROM watch_series_1h` + ofSeries
	listDays    = `SELECT r.at, r.n, r.sum, r.high, r.sketch FROM watch_series_1d` + ofSeries

	ofLabels   = ` r JOIN watch_series s ON s.id = r.series WHERE s.meter = $1 AND s.dimension = $2 AND r.at >= $3 AND r.at < $4 GROUP BY s.label`
	topMinutes = `SELECT s.label, CAST(SUM(r.n) AS BIGINT), CAST(SUM(r.sum) AS BIGINT), MAX(r.high) FROM watch_series_1m` + ofLabels
	topHours   = `SELECT s.label, CAST(SUM(r.n) AS BIGINT), CAST(SUM(r.sum) AS BIGINT), MAX(r.high) FROM watch_series_1h` + ofLabels
	topDays    = `SELECT s.label, CAST(SUM(r.n) AS BIGINT), CAST(SUM(r.sum) AS BIGINT), MAX(r.high) FROM watch_series_1d` + ofLabels

	wholeMinute = `SELECT s.meter, s.dimension, s.label, r.n, r.sum, r.high, r.sketch FROM watch_series_1m r JOIN watch_series s ON s.id = r.series WHERE r.at = $1`
	wholeHour   = `SELECT s.meter, s.dimension, s.label, r.n, r.sum, r.high, r.sketch FROM watch_series_1h r JOIN watch_series s ON s.id = r.series WHERE r.at = $1`
)
