package spend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch"
	"writ/internal/watch/budget"
)

// Crossing is a level that a budget reached in a month.
type Crossing struct {
	ID       string
	Budget   string
	Month    string
	Level    string // 80 for 80 %, or forecast
	Plan     budget.Amount
	Unit     string
	Actual   budget.Amount
	Forecast string // "" while it was learning
	At       time.Time
	Entry    string // id in the journal
	Signs    budget.Signs
	Hints    []budget.Hint
	Item     Item
}

// The source of readings that looks at budgets.
const (
	Looked  = "budgets"
	Every   = time.Minute
	oldness = "cost.age" // hours since the last cost of a bill, where a budget is for bills
)

var errKnown = errors.New("spend: that level was reached before")

// Look compares every budget with its plan, writes down the levels that were reached, and
// reads how old costs are. Whoever watches does it each minute.
func (s *Service) Look(ctx context.Context) ([]watch.Reading, error) { // clause: mon.budget
	ms, err := s.months(ctx)
	if err != nil {
		return nil, err
	}
	var out []watch.Reading
	for _, m := range ms {
		if m.Meter == Bill {
			last := m.Sample
			if m.Made.After(last) { // nothing could come before somebody wanted it
				last = m.Made
			}
			out = append(out, watch.Reading{Meter: oldness, Label: m.Name, Value: s.Now().Sub(last).Hours()})
		}
		for _, level := range m.reached(s.Rules.Get()) {
			if err := s.cross(ctx, m, level); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// cross writes down that a level was reached, once a month for each plan.
func (s *Service) cross(ctx context.Context, m *Month, level string) error { // clause: mon.budget-is-signal
	known := false
	err := s.DB.Each(ctx, knownCrossing, func(ledger.Scan) error { known = true; return nil }, m.Name, m.Month, level, m.Plan.String())
	if err != nil || known {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	signs, err := s.around(ctx, &m.Budget)
	if err != nil { // the level counts all the same
		s.Log.Warn("what grew when a budget was used up is not known", "budget", m.Name, "err", err)
	}
	text, err := json.Marshal(signs)
	if err != nil {
		return fmt.Errorf("encode what grew: %w", err)
	}
	_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		ev, err := s.write(ctx, tx, m, level, string(text))
		return ev, err
	})
	if errors.Is(err, errKnown) { // another node was first
		return nil
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

// write makes the row and the event of a level that was reached.
func (s *Service) write(ctx context.Context, tx *ledger.Tx, m *Month, level, signs string) (BudgetCrossed, error) {
	ev := BudgetCrossed{Budget: m.Name, Month: m.Month, Level: level, Percent: m.Percent, Actual: m.Show(m.Actual), Plan: m.Show(m.Plan), Unit: m.Unit, Route: s.Rules.Get().Route}
	if !m.Forecast.Learning {
		ev.Forecast = m.Show(m.Mean)
	}
	n, err := tx.Exec(ctx, insertCrossing, tx.ID(), m.Name, m.Month, level, m.Plan.String(), m.Unit, m.Actual.String(), ev.Forecast, tx.Now().UnixMicro(), tx.Entry(), signs)
	if err == nil && n == 0 {
		err = errKnown
	}
	return ev, err
}

// Show writes an amount of the budget as people read it: money with two digits.
func (b *Budget) Show(a budget.Amount) string {
	if b.Money() {
		return a.Fixed(2)
	}
	return a.Fixed(0)
}

func (s *Service) crossings(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Crossing, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var x Crossing
		var plan, actual, signs string
		var when int64
		if err := scan(&x.ID, &x.Budget, &x.Month, &x.Level, &plan, &x.Unit, &actual, &x.Forecast, &when, &x.Entry, &signs); err != nil {
			return err
		}
		x.At = at(when)
		if x.Plan, err = budget.Parse(plan); err == nil {
			x.Actual, err = budget.Parse(actual)
		}
		if err == nil {
			err = json.Unmarshal([]byte(signs), &x.Signs)
		}
		if err != nil {
			return fmt.Errorf("what the budget %s reached is not readable: %w", x.Budget, err)
		}
		out = append(out, x)
		return nil
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// explain adds what stands around a level that was reached, and what became of it.
func (s *Service) explain(ctx context.Context, x *Crossing) (err error) {
	if x.Signs.Abuse, err = s.Alarms.Around(ctx, watch.Abuse, x.At.Add(-near), x.At.Add(near)); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	x.Hints = budget.Hints(x.Signs)
	if s.Triage == nil {
		return nil
	}
	x.Item, err = s.Triage.Item(ctx, x.Entry)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err //nolint:wrapcheck // whoever leads incidents says what failed
}

// since lists what was reached since a time, in the order of time.
func (s *Service) since(ctx context.Context, t time.Time) ([]Crossing, error) {
	xs, err := s.crossings(ctx, s.DB, crossingsSince, t.UnixMicro())
	return slices.Clip(xs), err
}

const (
	crossingColumns = `SELECT id, budget, month, level, plan, unit, actual, forecast, at, entry, signs FROM watch_crossing`
	crossingsOf     = crossingColumns + ` WHERE budget = $1 ORDER BY at DESC, LENGTH(level) DESC, level DESC LIMIT 50`
	crossingsSince  = crossingColumns + ` WHERE at >= $1 ORDER BY at, LENGTH(level), level LIMIT 1000`
	knownCrossing   = `SELECT id FROM watch_crossing WHERE budget = $1 AND month = $2 AND level = $3 AND plan = $4`
	insertCrossing  = `INSERT INTO watch_crossing (id, budget, month, level, plan, unit, actual, forecast, at, entry, signs) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`
)
