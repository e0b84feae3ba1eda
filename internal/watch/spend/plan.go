package spend

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/budget"
)

// The meters that are no series.
const (
	Bill   = "bill"   // what bills say
	Prices = "prices" // what the meters of the list of prices cost
)

// Budget is what may be used or spent in a month.
type Budget struct {
	Name      string
	Meter     string // of the series, Bill or Prices
	Service   string // of a bill; "" = all
	Plan      budget.Amount
	Unit      string // a currency, or that of the meter
	Made      time.Time
	Changed   time.Time
	ChangedBy string // kind/id
}

// Money reports whether it is in a currency.
func (b *Budget) Money() bool { return b.Meter == Bill || b.Meter == Prices }

// planted begins the names of budgets of controls.
const planted = "canary"

var goodName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

const mostBudgets = 100

// MetersOf are the meters that a budget may have.
func (s *Service) MetersOf() []string { return append([]string{Bill, Prices}, s.Meters()...) }

// check completes a budget, or says what is wrong with it.
func (s *Service) check(b *Budget) error {
	b.Name, b.Service = strings.TrimSpace(b.Name), strings.TrimSpace(b.Service)
	if !goodName.MatchString(b.Name) || strings.HasPrefix(b.Name, planted) {
		return bad("name", "The name of the budget is not good.", "1 to 32 small letters, digits and dashes, beginning with a letter, and not with canary.")
	}
	if !slices.Contains(s.MetersOf(), b.Meter) {
		return bad("meter", "There is no such meter.", "One of: "+strings.Join(s.MetersOf(), ", ")+".")
	}
	if b.Plan.Sign() <= 0 || len(b.Plan.String()) > 40 {
		return bad("plan", "The plan is not a good amount.", "An amount above zero for a month, such as 5000 EUR with money and 2000000 with requests.")
	}
	if len(b.Service) > 100 || b.Service != "" && b.Meter != Bill {
		return bad("service", "The service is not good.", "The name of a service as the bill writes it, with the meter bill alone.")
	}
	if b.Money() {
		if !budget.Currency(b.Unit) {
			return bad("unit", "Money needs a currency.", "Three capital letters, such as EUR.")
		}
		return nil
	}
	unit := s.Series.Meter(b.Meter).Unit
	if unit == "" {
		unit = b.Meter
	}
	if b.Unit != "" && b.Unit != unit {
		return bad("unit", "The meter is counted in something else.", unit+".")
	}
	b.Unit = unit
	return nil
}

// Set makes a budget, or changes it. Errors: fault.Invalid, fault.Limited.
func (s *Service) Set(ctx context.Context, who actor.Actor, b Budget) (Budget, error) { // clause: mon.budget
	if err := s.Access.Allow(ctx, who, access.WatchManage, object(b.Name)); err != nil {
		return Budget{}, err //nolint:wrapcheck // a fault for the reader
	}
	if err := s.check(&b); err != nil {
		return Budget{}, err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		was, err := one(ctx, tx, b.Name)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
		ev := BudgetSet{Budget: b.Name, Meter: b.Meter, Service: b.Service, Plan: b.Plan.String(), Unit: b.Unit}
		b.Made, b.Changed, b.ChangedBy = tx.Now(), tx.Now(), who.String()
		if err == nil {
			b.Made, ev.Was = was.Made, was.Plan.String()+" "+was.Unit
		} else {
			var n int64
			if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM watch_budget`, []any{&n}); err != nil {
				return nil, err
			}
			if n >= mostBudgets {
				return nil, fault.New(fault.Limited, "budgets_full", fault.Public{Problem: "There are 100 budgets already.", Next: "Remove one that nobody needs: writ watch budget remove NAME"})
			}
		}
		_, err = tx.Exec(ctx, setBudget, b.Name, b.Meter, b.Service, b.Plan.String(), b.Unit, b.Made.UnixMicro(), b.Changed.UnixMicro(), b.ChangedBy)
		return ev, err
	})
	return b, err //nolint:wrapcheck // the ledger says what failed
}

// Remove ends a budget. What was reached of it stays in the record.
func (s *Service) Remove(ctx context.Context, who actor.Actor, name string) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, object(name)); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		b, err := one(ctx, tx, name)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `DELETE FROM watch_budget WHERE name = $1`, name)
		return BudgetRemoved{Budget: name, Plan: b.Plan.String() + " " + b.Unit}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

func one(ctx context.Context, r ledger.Reader, name string) (Budget, error) {
	bs, err := list(ctx, r, ofBudget, name)
	if err == nil && len(bs) == 0 {
		err = fault.New(fault.NotFound, "budget_unknown", fault.Public{Problem: "There is no such budget.", Next: "Look at: writ watch budget list"})
	}
	if err != nil {
		return Budget{}, err
	}
	return bs[0], nil
}

func list(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Budget, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var b Budget
		var plan string
		var made, changed int64
		if err := scan(&b.Name, &b.Meter, &b.Service, &plan, &b.Unit, &made, &changed, &b.ChangedBy); err != nil {
			return err
		}
		b.Made, b.Changed = at(made), at(changed)
		b.Plan, err = budget.Parse(plan)
		if err != nil {
			return fmt.Errorf("plan of the budget %s: %w", b.Name, err)
		}
		out = append(out, b)
		return nil
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

const (
	budgetColumns = `SELECT name, meter, service, plan, unit, made, changed, changed_by FROM watch_budget`
	ofBudget      = budgetColumns + ` WHERE name = $1`
	allBudgets    = budgetColumns + ` ORDER BY name`
	setBudget     = `INSERT INTO watch_budget (name, meter, service, plan, unit, made, changed, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (name) DO UPDATE SET meter = excluded.meter, service = excluded.service, plan = excluded.plan, unit = excluded.unit, changed = excluded.changed, changed_by = excluded.changed_by`
)
