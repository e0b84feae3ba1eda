package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/app"
	"writ/internal/watch/budget"
	"writ/internal/watch/spend"
)

// What a small company pays for its servers by day, and how far back its bills go.
var services = []struct {
	name           string
	workday, other float64
}{{"compute", 84.20, 61.75}, {"database", 31.10, 31.10}, {"storage", 6.48, 6.48}, {"mail", 3.95, 0.60}}

const billed = 75 // days

// spending plans a month of money and of requests, with a list of prices and the bills of two
// months and a half, so that the pages of budgets have something true to show.
func spending(ctx context.Context, srv *app.App) error {
	who := actor.Actor{Kind: actor.Operator, ID: "demo", Via: "demo"}
	if _, err := srv.Spend().SetPrices(ctx, who, []byte("meter,price,per,currency\nrequests,0.60,1000000,EUR\nbytes.out,0.08,1000000000,EUR\nmails,0.10,1000,EUR\n")); err != nil {
		return err
	}
	if _, err := srv.Spend().Import(ctx, who, []byte(bill(time.Now().UTC()))); err != nil {
		return err
	}
	for _, b := range []spend.Budget{
		{Name: "cloud", Meter: spend.Bill, Plan: budget.Int(9000), Unit: "EUR"},
		{Name: "edge", Meter: spend.Prices, Plan: budget.Int(40), Unit: "EUR"},
		{Name: "requests", Meter: "requests", Plan: budget.Int(20_000_000)},
	} {
		if _, err := srv.Spend().Set(ctx, who, b); err != nil {
			return err
		}
	}
	return nil
}

// bill is a table of costs by day and service, until now; it grows a little each day, and a
// credit came with the first day of each month.
func bill(now time.Time) string {
	var b strings.Builder
	b.WriteString("day,service,amount,currency\n")
	for d := billed; d >= 0; d-- {
		day := now.AddDate(0, 0, -d)
		part := 1.0
		if d == 0 { // so much of today is over
			part = now.Sub(now.Truncate(24*time.Hour)).Hours() / 24
		}
		for _, s := range services {
			cost := s.workday
			if w := day.Weekday(); w == time.Saturday || w == time.Sunday {
				cost = s.other
			}
			fmt.Fprintf(&b, "%s,%s,%.2f,EUR\n", day.Format(time.DateOnly), s.name, cost*part*(1+0.002*float64(billed-d)))
		}
		if day.Day() == 1 {
			fmt.Fprintf(&b, "%s,compute,-25.00,EUR\n", day.Format(time.DateOnly))
		}
	}
	return b.String()
}
