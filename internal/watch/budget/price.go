package budget

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Price is what some units of a meter cost.
type Price struct {
	Meter  string `json:"meter"`
	Amount Amount `json:"amount"`
	Per    int64  `json:"per"` // so many units
}

// Prices is a list of prices, in one currency.
type Prices struct {
	Currency string  `json:"currency"`
	List     []Price `json:"list"`
}

const (
	mostPrices     = 100
	mostPriceBytes = 64 << 10
	finest         = 12 // digits after the point of a price per unit
)

var priceNames = []string{"meter", "price", "per", "currency"}

// ReadPrices reads a CSV of the columns meter, price, per and currency: what so many units of a
// meter cost. meters are those that there are. Errors: fault.Invalid.
func ReadPrices(r io.Reader, meters []string) (*Prices, error) {
	in := csv.NewReader(io.LimitReader(r, mostPriceBytes))
	in.FieldsPerRecord = len(priceNames)
	out := &Prices{}
	for first := true; ; first = false {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if p, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, bad(fmt.Sprintf("Line %d, column %d: %s.", p.Line, p.Column, strings.TrimPrefix(p.Err.Error(), "csv: ")), "The four columns meter, price, per, currency.")
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // the reader says what failed
		}
		if first {
			if row[0] = strings.TrimPrefix(row[0], "\ufeff"); !slices.Equal(row, priceNames) {
				return nil, bad("Line 1: other columns are named.", "meter,price,per,currency")
			}
			continue
		}
		if err := out.add(in, row, meters); err != nil {
			return nil, err
		}
	}
	if len(out.List) == 0 {
		return nil, bad("The list has no prices.", "The columns meter,price,per,currency, and a line for each meter that costs something.")
	}
	return out, nil
}

func (p *Prices) add(in *csv.Reader, row, meters []string) error {
	wrong := func(i int, want string) error {
		line, _ := in.FieldPos(i)
		return bad(fmt.Sprintf("Line %d, column %d (%s): %q.", line, i+1, priceNames[i], cut(row[i])), want)
	}
	if !slices.Contains(meters, row[0]) {
		return wrong(0, "One of these meters: "+strings.Join(meters, ", ")+".")
	}
	if slices.ContainsFunc(p.List, func(x Price) bool { return x.Meter == row[0] }) {
		return wrong(0, "Each meter once.")
	}
	amount, err := Parse(row[1])
	if err != nil || amount.Sign() < 0 || amount.scale > finest {
		return wrong(1, "A price that is not below zero, with a point and at most 12 digits after it, such as 0.40.")
	}
	per, err := strconv.ParseInt(row[2], 10, 64)
	if err != nil || per < 1 || per > 1e15 || !tens(per) {
		return wrong(2, "For how many units: 1, 10, 100 and so on, such as 1000000.")
	}
	if !Currency(row[3]) || p.Currency != "" && row[3] != p.Currency {
		return wrong(3, "One currency of three capital letters for all of the list, such as EUR.")
	}
	if len(p.List) == mostPrices {
		return wrong(0, "At most 100 prices.")
	}
	p.Currency = row[3]
	p.List = append(p.List, Price{row[0], amount, per})
	return nil
}

// tens reports whether n is a power of ten, so that a price of one unit is exact too.
func tens(n int64) bool {
	for n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// CostOf is what units of the meter cost, exactly.
func (p Price) CostOf(units Amount) Amount {
	if p.Amount.n == nil || units.n == nil {
		return Amount{}
	}
	a := Amount{new(big.Int).Mul(p.Amount.n, units.n), p.Amount.scale + units.scale}
	for per := p.Per; per > 1; per /= 10 {
		a.scale++
	}
	return a.trim()
}
