package budget_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/watch/budget"
)

func amount(t testing.TB, s string) budget.Amount {
	t.Helper()
	a, err := budget.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

// Amounts are exact to the last digit, where floats are not.
func TestAmounts(t *testing.T) {
	for in, want := range map[string]string{"0": "0", "-0.00": "0", "12.50": "12.5", "-12.50": "-12.5", "+3": "3", ".5": "0.5", "1e3": "1000", "1.25E-7": "0.000000125", "0.0000004000": "0.0000004",
		"123456789012345678901234567890.1234567890": "123456789012345678901234567890.123456789", "1e40": "1" + strings.Repeat("0", 40)} {
		if got := amount(t, in).String(); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"", "-", ".", "1.", "1,5", "1 000", "0x1f", "1e", "1e99", "1e-99", "NaN", "Inf", "--1", "1.2.3", "1e4e4", "٣", strings.Repeat("1", 65)} {
		if a, err := budget.Parse(in); err == nil {
			t.Errorf("%q was read as %s", in, a)
		}
	}
	var sum budget.Amount
	for range 1_000_000 {
		sum = sum.Add(amount(t, "0.1"))
	}
	if sum.String() != "100000" {
		t.Errorf("a million tenths are %s", sum)
	}
	a := amount(t, "1299.995")
	if a.Fixed(2) != "1300.00" || a.Times(-1).Fixed(2) != "-1300.00" || a.Fixed(4) != "1299.9950" || amount(t, "-0.004").Fixed(2) != "0.00" || a.Fixed(0) != "1300" {
		t.Errorf("rounded: %s %s %s", a.Fixed(2), a.Times(-1).Fixed(2), a.Fixed(4))
	}
	plan := budget.Int(1000)
	if !amount(t, "800").Reaches(80_00, plan) || amount(t, "799.999999999").Reaches(80_00, plan) || amount(t, "1299.99").Percent(plan) != 129 || plan.Percent(budget.Amount{}) != 0 {
		t.Error("shares of a plan are not exact")
	}
	if got := (budget.Levels{50_00, 80_00, 100_00, 120_00, 99_50}).Crossed(amount(t, "1000"), plan); strings.Join(got, " ") != "50 80 100 99.5" {
		t.Errorf("crossed: %v", got)
	}
	if got := (budget.Levels{50_00}).Crossed(amount(t, "1"), budget.Amount{}); got != nil {
		t.Errorf("nothing is planned, and %v is crossed", got)
	}
	if budget.Near(math.NaN(), 2).Sign() != 0 || budget.Near(12.345, 2).String() != "12.35" && budget.Near(12.345, 2).String() != "12.34" {
		t.Error("what was estimated is another number")
	}
	b, err := a.MarshalText()
	var back budget.Amount
	if err != nil || back.UnmarshalText(b) != nil || back.Cmp(a) != 0 || back.UnmarshalText([]byte("x")) == nil {
		t.Errorf("%s came back as %s", a, back)
	}
}

const cur = "bill_payer_account_id,bill_billing_period_start_date,line_item_usage_start_date,line_item_line_item_type,line_item_product_code,line_item_unblended_cost,line_item_currency_code,product\n"

const focus = "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ServiceName\n"

func bill(t testing.TB, text string) *budget.Bill {
	t.Helper()
	b, err := budget.Read(strings.NewReader(text))
	if err != nil {
		_, p := fault.PublicOf(err)
		t.Fatal(err, p)
	}
	return b
}

// said writes the lines of a statement.
func said(s *budget.Statement) string {
	var out []string
	for _, l := range s.Lines {
		text := fmt.Sprintf("%d %s %s", l.Day, l.Service, l.Amount)
		if l.Credit.Sign() != 0 {
			text += " credit " + l.Credit.String()
		}
		out = append(out, text)
	}
	return s.Source + " " + s.Month + " " + s.Currency + ": " + strings.Join(out, ", ")
}

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Bills of each kind become lines by day and service; credits stand apart, and what offsets a
// line of the same bill does not.
func TestBills(t *testing.T) { // breaks: mon.budget
	row := func(day, kind, service, cost string) string {
		return "4711,2026-11-01 00:00:00.000," + day + "," + kind + "," + service + "," + cost + ",USD,\"{\"\"a\"\":\n1}\"\n"
	}
	aws := cur + row("2026-11-01T00:00:00.000Z", "Usage", "AmazonEC2", "0.1") + row("2026-11-01 01:00:00.000", "Usage", "AmazonEC2", "0.2000000001") +
		row("2026-11-02", "SavingsPlanCoveredUsage", "AmazonEC2", "5") + row("2026-11-02", "SavingsPlanNegation", "AmazonEC2", "-5") +
		row("2026-11-02", "Credit", "AmazonEC2", "-7.5") + row("2026-10-31", "Usage", "AmazonS3", "1") + row("2026-12-01", "Usage", "AmazonS3", "2")
	want := "aws/4711 2026-11 USD: 1 AmazonEC2 0.3000000001, 1 AmazonS3 1, 2 AmazonEC2 0 credit -7.5, 30 AmazonS3 2"
	parts := cur + row("2026-11-03", "Usage", "AmazonEC2", "1")
	for name, c := range map[string]struct{ text, want string }{
		"AWS CUR 2.0":              {aws, want},
		"packed":                   {packed(t, aws), want},
		"packed in two":            {packed(t, aws) + packed(t, parts), strings.Replace(want, ", 30", ", 3 AmazonEC2 1, 30", 1)},
		"columns in another order": {"line_item_currency_code,line_item_unblended_cost,line_item_product_code,line_item_usage_start_date\nEUR,1,a,2026-11-05\n", "aws/ 2026-11 EUR: 5 a 1"},
		"FOCUS":                    {focus + "1.5,acc,EUR,2026-11-01T00:00:00Z,Usage,2026-11-30T23:00:00Z,Compute\n-2e-3,acc,EUR,2026-11-01T00:00:00Z,Credit,2026-11-30T00:00:00Z,Compute\n", "focus/acc 2026-11 EUR: 30 Compute 1.5 credit -0.002"},
		"own":                      {"\ufeffday,service,amount,currency\n2026-11-02,mail,3,EUR\n2026-11-01,mail,2,EUR\n2026-11-01,mail,-1,EUR\n", "csv 2026-11 EUR: 1 mail 2 credit -1, 2 mail 3"},
	} {
		b := bill(t, c.text)
		if len(b.Statements) != 1 || said(&b.Statements[0]) != c.want {
			t.Errorf("%s: %+v, want %s", name, b.Statements, c.want)
		}
	}
	b := bill(t, focus+"1,one,EUR,2026-11-01,Usage,2026-11-01,c\n2,two,EUR,2026-11-01,Usage,2026-11-01,c\n3,one,EUR,2026-10-01,Usage,2026-10-01,c\n")
	if len(b.Statements) != 3 || b.Statements[0].Month != "2026-10" || b.Statements[2].Source != "focus/two" || b.Rows != 3 || b.Form != "FOCUS" || b.Currency != "EUR" {
		t.Errorf("accounts and months: %+v", b)
	}
}

// What is not understood is refused with its place and what belongs there.
func TestBadBills(t *testing.T) { // breaks: mon.budget
	mine := "day,service,amount,currency\n"
	long := strings.Repeat("x", 2<<20)
	var services, months strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&services, "2026-11-01,s%d,1,EUR\n", i)
	}
	for i := range 25 {
		fmt.Fprintf(&months, "%s,s,1,EUR\n", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, i, 0).Format(time.DateOnly))
	}
	for name, c := range map[string]struct{ text, problem, want string }{
		"empty":            {"", "The file is empty", "names of the columns"},
		"no rows":          {mine, "no costs", "each cost"},
		"no bill":          {"a,b\n1,2\n", "Line 1: no column", "line_item_unblended_cost"},
		"older report":     {"lineItem/UnblendedCost\n1\n", "older kind", "CUR 2.0"},
		"missing column":   {"day,amount,currency\n", "Line 1: the column service", "day, service, amount, currency"},
		"column twice":     {"day,day,service,amount,currency\n", `column 2: "day" stands twice`, "once"},
		"day":              {mine + "2026-11-01,s,1,EUR\n2026-13-01,s,1,EUR\n", `Line 3, column 1 (day): "2026-13-01"`, "such as 2026-11-30"},
		"amount":           {mine + "2026-11-01,s,\"1,5\",EUR\n", `Line 2, column 3 (amount): "1,5"`, "with a point"},
		"no amount":        {mine + "2026-11-01,s,,EUR\n", `column 3 (amount): ""`, "with a point"},
		"no service":       {mine + "2026-11-01,,1,EUR\n", "column 2 (service)", "at most 100 bytes"},
		"currency":         {mine + "2026-11-01,s,1,€\n", "column 4 (currency)", "three capital"},
		"two currencies":   {mine + "2026-11-01,s,1,EUR\n2026-11-01,t,1,USD\n", `Line 3, column 4 (currency): "USD"`, "are in EUR"},
		"twice":            {mine + "2026-11-01,s,1,EUR\n2026-11-01,s,1,EUR\n", `Line 3, column 2 (service): "s"`, "line 2 has this one"},
		"fields":           {mine + "2026-11-01,s,1\n", "Line 2, column 1: wrong number of fields", "(4)"},
		"quote":            {mine + "2026-11-01,\"s,1,EUR\n", "Line 2, column", "comma"},
		"billed month":     {focus + "1,a,EUR,soon,Usage,2026-11-01,c\n", "column 4 (BillingPeriodStart)", "billed month"},
		"account":          {focus + "1," + strings.Repeat("9", 101) + ",EUR,2026-11-01,Usage,2026-11-01,c\n", "column 2 (BillingAccountId)", "account"},
		"endless line":     {mine + "2026-11-01," + long, "no end", "1 MiB"},
		"endless quote":    {mine + "2026-11-01,\"" + strings.Repeat("x\n", 2<<20), "no end", "1 MiB"},
		"too many":         {mine + services.String(), "Line 1002, column 2", "1,000 services"},
		"too many months":  {mine + months.String(), "Line 26, column 1", "24 months"},
		"cut off":          {packed(t, mine+"2026-11-01,s,1,EUR\n")[:40], "cannot be unpacked", "whole"},
		"no gzip":          {"\x1f\x8bx", "is none", "gzip"},
		"too many columns": {strings.Repeat("a,", 1001) + "amount\n", "too many columns", "1,000"},
	} {
		_, err := budget.Read(strings.NewReader(c.text))
		_, p := fault.PublicOf(err)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(p.Problem, c.problem) || !strings.Contains(p.Expected, c.want) {
			t.Errorf("%s: %v\n%s\n%s", name, err, p.Problem, p.Expected)
		}
	}
}

// A small file that unpacks without end is refused before all of it is there.
func TestBombs(t *testing.T) {
	text := "day,service,amount,currency\n2026-11-01,s,1,EUR\n"
	if _, err := budget.ReadUpTo(strings.NewReader(packed(t, text)), int64(len(text))); err != nil {
		t.Error(err)
	}
	_, err := budget.ReadUpTo(strings.NewReader(packed(t, text)), int64(len(text)-1))
	if _, p := fault.PublicOf(err); !errors.Is(err, fault.Invalid) || !strings.Contains(p.Problem, "too large") {
		t.Errorf("a byte too many: %v %s", err, p.Problem)
	}
}

// A statement takes the place of the one before it, and lines of the own CSV that of their like.
func TestReplace(t *testing.T) { // breaks: mon.budget
	mine := "day,service,amount,currency\n"
	first := bill(t, mine+"2026-11-01,mail,2,EUR\n2026-11-01,disk,5,EUR\n2026-11-02,mail,3,EUR\n").Statements[0]
	again := budget.Replace(budget.Replace(nil, &first), &first)
	second := bill(t, mine+"2026-11-02,mail,4,EUR\n2026-11-02,mail,-1,EUR\n").Statements[0]
	after := budget.Replace(again, &second)
	charged, credits := budget.Totals(after, "")
	mail, _ := budget.Totals(after, "mail")
	if len(again) != 3 || len(after) != 3 || charged[1].String() != "7" || charged[2].String() != "4" || credits[2].String() != "-1" || mail[1].String() != "2" {
		t.Errorf("%v, then %v", again, after)
	}
	whole := bill(t, focus+"9,a,EUR,2026-11-01,Usage,2026-11-03,c\n").Statements[0]
	if got := budget.Replace(after, &whole); len(got) != 1 || got[0].Amount.String() != "9" || whole.Through() != 3 || !whole.Whole() || first.Whole() {
		t.Errorf("a whole month: %v", got)
	}
	if budget.Days("2028-02") != 29 || budget.Days("2026-11") != 30 || budget.Days("x") != 0 {
		t.Error("days of a month")
	}
}

func TestPrices(t *testing.T) { // breaks: mon.budget
	meters := []string{"requests", "mails"}
	read := func(text string) (*budget.Prices, error) { return budget.ReadPrices(strings.NewReader(text), meters) }
	ps, err := read("meter,price,per,currency\nrequests,0.40,1000000,EUR\nmails,0.0001,1,EUR\n")
	if err != nil || ps.Currency != "EUR" || len(ps.List) != 2 {
		t.Fatal(ps, err)
	}
	if got := ps.List[0].CostOf(budget.Int(12_345_678)).String(); got != "4.9382712" {
		t.Errorf("requests cost %s", got)
	}
	if got := ps.List[1].CostOf(budget.Int(0)).String(); got != "0" {
		t.Errorf("nothing costs %s", got)
	}
	for text, want := range map[string]string{
		"":                                      "no prices",
		"meter,price,per\n":                     "Line 1",
		"a,b,c,d\n":                             "other columns",
		"meter,price,per,currency\nx,1,1,EUR\n": `Line 2, column 1 (meter): "x"`,
		"meter,price,per,currency\nmails,1,1,EUR\nmails,1,1,EUR\n":    "Line 3, column 1",
		"meter,price,per,currency\nmails,-1,1,EUR\n":                  "column 2 (price)",
		"meter,price,per,currency\nmails,1,3,EUR\n":                   "column 3 (per)",
		"meter,price,per,currency\nmails,1,0,EUR\n":                   "column 3 (per)",
		"meter,price,per,currency\nmails,1,1,EUR\nrequests,1,1,USD\n": "Line 3, column 4",
		"meter,price,per,currency\nmails,0.0000000000001,1,EUR\n":     "column 2 (price)",
		"meter,price,per,currency\nmails,\"1,1,EUR\n":                 "Line 2",
	} {
		_, err := read(text)
		if _, p := fault.PublicOf(err); !errors.Is(err, fault.Invalid) || !strings.Contains(p.Problem, want) {
			t.Errorf("%q: %v %s", text, err, p.Problem)
		}
	}
}

// days makes a series from 1 January 2026, a Thursday.
func days(n int, fn func(i int, d time.Weekday) float64) (out []float64) {
	for i := range n {
		out = append(out, fn(i, (time.Thursday+time.Weekday(i%7))%7))
	}
	return out
}

func near(a, b, share float64) bool { return math.Abs(a-b) <= share*math.Abs(b) }

// The forecast says that it learns, follows a trend, and knows the days of the week.
func TestForecast(t *testing.T) { // breaks: mon.budget
	if f := budget.Foresee(budget.History{Days: []float64{1, 2, math.NaN()}, Left: 5}); !f.Learning || f.Known != 2 || f.Mean != 0 {
		t.Errorf("two days: %+v", f)
	}
	flat := budget.Foresee(budget.History{Days: days(3, func(int, time.Weekday) float64 { return 10 }), Before: 30, Today: 5, Elapsed: 0.5, Left: 26})
	if flat.Learning || !near(flat.Mean, 300, 1e-6) || !near(flat.Low, 300, 1e-6) || len(flat.Path) != 27 || !near(flat.Path[0], 10, 1e-6) {
		t.Errorf("ten a day: %+v", flat)
	}
	up := budget.Foresee(budget.History{Days: days(20, func(i int, _ time.Weekday) float64 { return float64(i + 1) }), Before: 210, Left: 9})
	if !near(up.Mean, 465, 0.01) { // 1 + 2 + … + 30
		t.Errorf("one more each day: %+v", up)
	}
	work := func(_ int, d time.Weekday) float64 {
		if d == time.Saturday || d == time.Sunday {
			return 10
		}
		return 100
	}
	all := days(59, work)
	f := budget.Foresee(budget.History{First: time.Thursday, Days: all[:41], Before: sum(all[31:41]), Today: 0, Left: 17})
	if want := sum(all[31:]); !near(f.Mean, want, 0.02) {
		t.Errorf("working days: %+v, want %v", f, want)
	}
	gap := days(20, func(int, time.Weekday) float64 { return 10 })
	gap[7], gap[8] = math.NaN(), math.NaN()
	if f := budget.Foresee(budget.History{Days: gap, Before: 180, Left: 9}); f.Known != 18 || !near(f.Mean, 280, 1e-6) {
		t.Errorf("a gap is no zero: %+v", f)
	}
	down := budget.Foresee(budget.History{Days: days(20, func(i int, _ time.Weekday) float64 { return float64(40 - 2*i) }), Before: 500, Left: 9})
	if down.Mean < 500 || down.Low < 500 {
		t.Errorf("what is spent does not come back: %+v", down)
	}
}

func sum(ys []float64) (s float64) {
	for _, y := range ys {
		s += y
	}
	return s
}

// Of many months about four in five end inside the interval, which is what it says.
func TestInterval(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // a seeded simulation
	const months = 400
	inside := 0
	for range months {
		drift := rnd.Float64()
		all := days(60, func(i int, d time.Weekday) float64 {
			y := 100 + drift*float64(i) + 12*rnd.NormFloat64()
			if d == time.Sunday {
				y *= 0.6
			}
			return max(0, y)
		})
		f := budget.Foresee(budget.History{First: time.Thursday, Days: all[:45], Before: sum(all[30:45]), Left: 14})
		if end := sum(all[30:]); end >= f.Low && end <= f.High {
			inside++
		}
	}
	if share := float64(inside) / months; share < 0.7 || share > 0.93 {
		t.Errorf("%.0f %% of the months ended inside the interval of 80 %%", 100*share)
	}
}

// Hints are ranked by what speaks for them, and none is a verdict.
func TestHints(t *testing.T) { // breaks: mon.budget-is-signal
	many := func(dimension string) (gs []budget.Growth) {
		for i := range 6 {
			gs = append(gs, budget.Growth{Dimension: dimension, Label: fmt.Sprint(i), Now: 30, Usual: 14, Weeks: 4})
		}
		return gs
	}
	whole := budget.Growth{Now: 200, Usual: 100, Weeks: 4}
	for name, c := range map[string]struct {
		signs budget.Signs
		want  string
	}{
		"an alarm and one new network":          {budget.Signs{Whole: whole, Abuse: []string{"Sign-ins fail"}, Top: append([]budget.Growth{{"network", "s:1", 95, 0, 4}}, many("team")...)}, "attack growth"},
		"one new network":                       {budget.Signs{Whole: whole, Top: []budget.Growth{{"network", "s:1", 95, 0, 4}}}, "attack"},
		"many teams and networks":               {budget.Signs{Whole: whole, Top: append(many("team"), many("network")...)}, "growth"},
		"one team by one route":                 {budget.Signs{Whole: whole, Top: []budget.Growth{{"team", "t", 120, 30, 4}, {"route", "/export", 100, 10, 4}}}, "batch"},
		"a network of which no week is known":   {budget.Signs{Whole: whole, Top: []budget.Growth{{"network", "s:1", 95, 0, 0}}}, "unknown"},
		"nothing stands out":                    {budget.Signs{Whole: whole}, "unknown"},
		"nothing grew":                          {budget.Signs{Whole: budget.Growth{Now: 1, Usual: 9, Weeks: 4}}, "unknown"},
		"nothing to compare with, and an alarm": {budget.Signs{Whole: budget.Growth{Now: 9}, Abuse: []string{"Sign-ins fail"}}, "attack unknown"},
	} {
		var words []string
		for _, h := range budget.Hints(c.signs) {
			words = append(words, h.Word)
			if len(h.Reasons) == 0 {
				t.Errorf("%s: %s gives no reason", name, h.Word)
			}
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(cur + "4711,2026-11-01,2026-11-01,Usage,EC2,0.1,USD,x\n"))
	f.Add([]byte(focus + "1.5,acc,EUR,2026-11-01T00:00:00Z,Usage,2026-11-30T23:00:00Z,Compute\n"))
	f.Add([]byte("day,service,amount,currency\n2026-11-01,mail,-2e-3,EUR\n2026-11-01,mail,2,EUR\n"))
	f.Add([]byte(packed(f, "day,service,amount,currency\n2026-11-01,mail,2,EUR\n")))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := budget.Read(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		for i := range b.Statements {
			s := &b.Statements[i]
			for _, l := range s.Lines {
				if l.Day < 1 || l.Day > budget.Days(s.Month) || l.Service == "" || l.Credit.Sign() > 0 {
					t.Errorf("a line that cannot be: %+v of %s", l, s.Month)
				}
			}
			once := budget.Replace(nil, s)
			if twice := budget.Replace(once, s); fmt.Sprint(twice) != fmt.Sprint(once) {
				t.Errorf("read twice: %v, once: %v", twice, once)
			}
		}
	})
}

func FuzzReadPrices(f *testing.F) {
	f.Add("meter,price,per,currency\nrequests,0.40,1000000,EUR\n")
	f.Fuzz(func(t *testing.T, text string) {
		ps, err := budget.ReadPrices(strings.NewReader(text), []string{"requests", "mails"})
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		for _, p := range ps.List {
			if p.CostOf(budget.Int(p.Per)).Cmp(p.Amount) != 0 || p.Amount.Sign() < 0 || !budget.Currency(ps.Currency) {
				t.Errorf("a price that cannot be: %+v", p)
			}
		}
	})
}

func FuzzAmount(f *testing.F) {
	f.Add("-12.50")
	f.Add("1.25e-7")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := budget.Parse(s)
		if err != nil {
			return
		}
		if b, err := budget.Parse(a.String()); len(a.String()) <= 64 && (err != nil || a.Cmp(b) != 0) || a.Sub(a).Sign() != 0 {
			t.Errorf("%q is %s, and that is %s (%v)", s, a, b, err)
		}
	})
}
