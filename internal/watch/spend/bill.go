package spend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/budget"
)

// MostFile is how large a file with a bill may be as it comes, packed or not.
const MostFile = 16 << 20

// Imported is what came of a bill.
type Imported struct {
	Form     string
	Currency string
	Rows     int
	Stands   []Standing
}

// Standing is a statement as it stands.
type Standing struct {
	Source   string
	Month    string
	Currency string
	Charged  budget.Amount
	Credits  budget.Amount
	Through  int  // the last day it speaks of
	Partial  bool // the month has more days
	Brought  time.Time
}

// Import takes a bill. A statement takes the place of the one of its source and month, so that
// a bill that comes twice counts once. Errors: fault.Invalid, fault.Conflict (currency).
func (s *Service) Import(ctx context.Context, who actor.Actor, file []byte) (Imported, error) { // clause: mon.budget
	if err := s.Access.Allow(ctx, who, access.WatchAct, "watch/costs"); err != nil {
		return Imported{}, err //nolint:wrapcheck // a fault for the reader
	}
	b, err := budget.Read(bytes.NewReader(file))
	if err != nil {
		return Imported{}, err //nolint:wrapcheck // a fault for the reader
	}
	sum := sha256.Sum256(file)
	ev := CostImported{Form: b.Form, Rows: int64(b.Rows), Currency: b.Currency, SHA256: hex.EncodeToString(sum[:])}
	for i := range b.Statements {
		x := &b.Statements[i]
		if !slices.Contains(ev.Sources, x.Source) {
			ev.Sources = append(ev.Sources, x.Source)
		}
		if !slices.Contains(ev.Months, x.Month) {
			ev.Months = append(ev.Months, x.Month)
		}
	}
	out := Imported{Form: b.Form, Currency: b.Currency, Rows: b.Rows}
	whole, err := packed(b) // a change has no time for that
	if err != nil {
		return Imported{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		out.Stands = nil
		for i := range b.Statements {
			st, err := put(ctx, tx, &b.Statements[i], whole[i])
			if err != nil {
				return nil, err
			}
			out.Stands = append(out.Stands, st)
		}
		return ev, nil
	})
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// packed are the statements that take the place of what was before, as they are kept.
func packed(b *budget.Bill) ([]string, error) {
	out := make([]string, len(b.Statements))
	for i := range b.Statements {
		if x := &b.Statements[i]; x.Whole() {
			text, err := json.Marshal(x.Lines)
			if err != nil {
				return nil, fmt.Errorf("encode a bill: %w", err)
			}
			out[i] = string(text)
		}
	}
	return out, nil
}

// put writes a statement.
func put(ctx context.Context, tx *ledger.Tx, x *budget.Statement, lines string) (Standing, error) {
	var other string
	err := tx.Each(ctx, otherCurrency, func(scan ledger.Scan) error { return scan(&other) }, x.Month, x.Currency, x.Source, x.Whole())
	if err != nil {
		return Standing{}, err
	}
	if other != "" {
		return Standing{}, fault.New(fault.Conflict, "bill_currency", fault.Public{Problem: fmt.Sprintf("The bill is in %s, and %s has costs in %s already.", x.Currency, x.Month, other),
			Expected: "One currency for all bills of a month.", Next: "Bring it in " + other + ", or take the other one out: writ watch budget forget SOURCE " + x.Month})
	}
	now := statement{Statement: *x, brought: tx.Now()}
	if lines == "" {
		before, err := statements(ctx, tx, ofStatement, x.Source, x.Month)
		if err != nil {
			return Standing{}, err
		}
		if len(before) > 0 {
			now.Lines = budget.Replace(before[0].Lines, x)
		}
		text, err := json.Marshal(now.Lines)
		if err != nil {
			return Standing{}, fmt.Errorf("encode a bill: %w", err)
		}
		lines = string(text)
	}
	_, err = tx.Exec(ctx, setStatement, x.Source, x.Month, x.Currency, lines, int64(now.Through()), tx.Now().UnixMicro())
	return now.standing(), err
}

// Forget takes a statement out that was brought by mistake.
func (s *Service) Forget(ctx context.Context, who actor.Actor, source, month, reason string) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, "watch/costs"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	if reason = strings.TrimSpace(reason); len(reason) < 10 || len(reason) > 500 {
		return bad("reason", "A reason is missing.", "10 to 500 bytes that say why the costs are taken out.")
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `DELETE FROM watch_bill WHERE source = $1 AND month = $2`, source, month)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "bill_unknown", fault.Public{Problem: "There is no such statement.", Next: "Look at: writ watch budget bills"})
		}
		return CostRemoved{Source: source, Month: month, reason: reason}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// SetPrices takes the place of the list of prices. Errors: fault.Invalid.
func (s *Service) SetPrices(ctx context.Context, who actor.Actor, file []byte) (*budget.Prices, error) { // clause: mon.budget
	if err := s.Access.Allow(ctx, who, access.WatchManage, "watch/prices"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	ps, err := budget.ReadPrices(bytes.NewReader(file), s.Meters())
	if err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	sum := sha256.Sum256(file)
	ev := PricesSet{Currency: ps.Currency, SHA256: hex.EncodeToString(sum[:])}
	for _, p := range ps.List {
		ev.Meters = append(ev.Meters, p.Meter)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, `DELETE FROM watch_price`); err != nil {
			return nil, err
		}
		for _, p := range ps.List {
			if _, err := tx.Exec(ctx, `INSERT INTO watch_price (meter, amount, per, currency) VALUES ($1, $2, $3, $4)`, p.Meter, p.Amount.String(), p.Per, ps.Currency); err != nil {
				return nil, err
			}
		}
		return ev, nil
	})
	return ps, err //nolint:wrapcheck // the ledger says what failed
}

// prices is the list that stands; without prices where there is none.
func (s *Service) prices(ctx context.Context, r ledger.Reader) (*budget.Prices, error) {
	out := &budget.Prices{}
	err := r.Each(ctx, `SELECT meter, amount, per, currency FROM watch_price ORDER BY meter`, func(scan ledger.Scan) error {
		var p budget.Price
		var amount string
		err := scan(&p.Meter, &amount, &p.Per, &out.Currency)
		if err == nil {
			p.Amount, err = budget.Parse(amount)
		}
		out.List = append(out.List, p)
		return err
	})
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// PricesFor is the list of prices.
func (s *Service) PricesFor(ctx context.Context, who actor.Actor) (*budget.Prices, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/prices"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.prices(ctx, s.DB)
}

// Bills lists the statements, the newest month first, at most two hundred.
func (s *Service) Bills(ctx context.Context, who actor.Actor) ([]Standing, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/costs"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	xs, err := statements(ctx, s.DB, allStatements)
	var out []Standing
	for i := range xs {
		out = append(out, xs[i].standing())
	}
	return out, err
}

// statement is one as it is kept.
type statement struct {
	budget.Statement
	brought time.Time
}

func (x *statement) standing() Standing {
	out := Standing{Source: x.Source, Month: x.Month, Currency: x.Currency, Through: x.Through(), Partial: x.Through() < budget.Days(x.Month), Brought: x.brought}
	for _, l := range x.Lines {
		out.Charged, out.Credits = out.Charged.Add(l.Amount), out.Credits.Add(l.Credit)
	}
	return out
}

func statements(ctx context.Context, r ledger.Reader, query string, args ...any) (out []statement, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var x statement
		var lines string
		var brought int64
		if err := scan(&x.Source, &x.Month, &x.Currency, &lines, &brought); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(lines), &x.Lines); err != nil || len(x.Lines) == 0 {
			return fmt.Errorf("the costs of %s in %s are not readable", x.Source, x.Month)
		}
		x.brought = at(brought)
		out = append(out, x)
		return nil
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

const (
	statementColumns = `SELECT source, month, currency, lines, brought FROM watch_bill`
	ofStatement      = statementColumns + ` WHERE source = $1 AND month = $2`
	sinceMonth       = statementColumns + ` WHERE month >= $1 AND month <= $2 ORDER BY month, source`
	allStatements    = statementColumns + ` ORDER BY month DESC, source LIMIT 200`
	otherCurrency    = `SELECT currency FROM watch_bill WHERE month = $1 AND currency <> $2 AND NOT (source = $3 AND $4)`
	setStatement     = `INSERT INTO watch_bill (source, month, currency, lines, through, brought) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (source, month) DO UPDATE SET currency = excluded.currency, lines = excluded.lines, through = excluded.through, brought = excluded.brought`
)
