package console_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/watch/budget"
	"writ/internal/watch/spend"
	"writ/internal/web"
)

// spent is what the pages ask of budgets.
type spent struct {
	now time.Time
	did []string
}

func (s *spent) month(name string) *spend.Month {
	m := &spend.Month{Budget: spend.Budget{Name: name, Meter: spend.Bill, Plan: budget.Int(9000), Unit: "EUR", Changed: s.now, ChangedBy: "operator/0"}, Month: "2026-11", Length: 30, Sample: s.now, Credits: budget.Int(-25)}
	for d := 1; d <= 12; d++ {
		m.Days = append(m.Days, spend.Day{Day: d, Amount: budget.Int(400), Known: d != 4})
		m.Actual = m.Actual.Add(budget.Int(400))
	}
	m.Forecast = budget.Forecast{Known: 60, Mean: 12_000, Low: 11_000, High: 13_000, Path: []float64{450}}
	for range 18 {
		m.Forecast.Path = append(m.Forecast.Path, 400)
	}
	m.Percent, m.Mean, m.Low, m.High = m.Actual.Percent(m.Plan), budget.Int(12_000), budget.Int(11_000), budget.Int(13_000)
	return m
}

func (s *spent) Months(context.Context, actor.Actor) ([]*spend.Month, error) {
	used, learning, apart := s.month("disks"), s.month("young"), s.month("apart")
	used.Plan, used.Percent = budget.Int(4000), 120
	learning.Forecast = budget.Forecast{Learning: true}
	apart.Trouble = "the bill is in USD, the plan in EUR"
	return []*spend.Month{s.month("cloud"), used, learning, apart}, nil
}

func (s *spent) MonthOf(_ context.Context, _ actor.Actor, name string) (spend.Detail, error) {
	if name != "cloud" {
		return spend.Detail{}, fault.New(fault.NotFound, "budget_unknown", fault.Public{Problem: "There is no such budget."})
	}
	return spend.Detail{Month: *s.month(name), Crossings: []spend.Crossing{
		{Budget: name, Month: "2026-11", Level: "forecast", Plan: budget.Int(9000), Actual: budget.Int(4800), At: s.now, Item: spend.Item{Name: "I-4", Opened: s.now},
			Signs: budget.Signs{Top: []budget.Growth{{Dimension: "team", Label: "birch", Now: 12_345, Usual: 600, Weeks: 4}, {Dimension: "network", Label: "s:0760bbfa1fd7e5d144bbba58bc018164", Now: 900}}},
			Hints: []budget.Hint{{Word: "attack", Reasons: []string{"an alarm about abuse within two hours: One network tries passwords"}}}},
		{Budget: name, Month: "2026-11", Level: "50", Plan: budget.Int(9000), Actual: budget.Int(4500), At: s.now},
	}}, nil
}

func (s *spent) Set(_ context.Context, _ actor.Actor, b spend.Budget) (spend.Budget, error) {
	s.did = append(s.did, "set "+b.Name+" "+b.Plan.String()+" "+b.Unit)
	return b, nil
}

func (s *spent) Remove(_ context.Context, _ actor.Actor, name string) error {
	s.did = append(s.did, "remove "+name)
	return nil
}

func (s *spent) Import(_ context.Context, _ actor.Actor, file []byte) (spend.Imported, error) {
	if _, err := budget.Read(strings.NewReader(string(file))); err != nil {
		return spend.Imported{}, err
	}
	return spend.Imported{}, errors.New("a good file is not expected")
}

func (s *spent) Bills(context.Context, actor.Actor) ([]spend.Standing, error) {
	return []spend.Standing{{Source: "aws/4711", Month: "2026-11", Currency: "EUR", Charged: budget.Int(4800), Credits: budget.Int(-25), Through: 12, Partial: true, Brought: s.now}}, nil
}

func (s *spent) PricesFor(context.Context, actor.Actor) (*budget.Prices, error) {
	return budget.ReadPrices(strings.NewReader("meter,price,per,currency\nrequests,0.40,1000000,EUR\n"), []string{"requests"})
}

func (s *spent) MetersOf() []string { return []string{spend.Bill, spend.Prices, "requests"} }

func (s *spent) Levels() []int64 { return []int64{50_00, 80_00, 100_00, 120_00} }

// Plan, use and forecast stand on one page, with what grew and what it may be; only who manages
// may plan, and a bill that is not understood says where.
func TestBudgetsInTheConsole(t *testing.T) { // breaks: mon.budget, mon.budget-is-signal
	w, a := watched(t)
	s := &spent{now: w.kit.Clock.Now()}
	w.console.Spending = s
	a.alarms = append(a.alarms, watch.Alarm{ID: "a4", Rule: "budget-actual", Part: watch.Cost, Severity: "ticket", Clause: "mon.budget-is-signal", State: watch.Firing, Labels: map[string]string{"instance": "cloud at 80 %"}, Fired: s.now, Seen: s.now, Value: "7200.00 of 9000.00 EUR"})
	w.site = must[*web.Server](t)(web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour Ltd"} }, Log: slog.New(slog.DiscardHandler), Now: w.kit.Clock.Now}))
	w.site.SetChrome(w.console.Chrome)
	if err := w.site.Mount(w.console.Routes()...); err != nil {
		t.Fatal(err)
	}
	w.server = w.site.Handler(door{w: w})
	const at = "/-/console/watch/budgets"
	holds := func(path string, want ...string) {
		t.Helper()
		body := w.get("dev", path).want(200).Body.String()
		for _, x := range want {
			if !strings.Contains(body, x) {
				t.Errorf("%s does not have %s", path, x)
			}
		}
	}
	holds("/-/console/watch", `href="`+at+`"`)
	holds("/-/console/watch/a4", `href="`+at+`/cloud"`, "7200.00 of 9000.00 EUR")
	holds(at+"/cloud", "<desc>4800.00 of 9000.00 EUR are used after 12 of 30 days. At the end of the month 12000.00 are likely", `href="/-/console/incidents/I-4"`, `points="0,200 `)
	if body := w.get("dev", "/-/console/watch/views").want(200, "Budgets", "will not do").Body.String(); !strings.Contains(body, `href="/-/console/watch/budgets/cloud"`) {
		t.Error("no budget is among the views")
	}
	w.get("dev", at).want(200, "1 plan used up", "4,800.00", "9,000.00", "12,000.00", "four in five such months: 11,000.00 to 13,000.00", "will not do", "used up", "learning", "the bill is in USD", "aws/4711", "day 12, partial", "0.4 EUR", "Plan the month", "Bring the bill")
	body := w.get("emil", at).want(200, "This month").Body.String()
	if strings.Contains(body, "Plan the month") || strings.Contains(body, "Bring the bill") {
		t.Error("an auditor is offered to plan")
	}
	w.get("dev", at+"/cloud").want(200, "4,800.00 of 9,000.00 EUR are used, 53 %", "2026-11-04", "not observed", "2026-11-30", "likely", "over the plan by forecast", "I-4",
		"nobody has decided yet", "no incident yet", "attack", "One network tries passwords", "12,345", "no week is known", "not taken off", "50 %, 80 %, 100 %, 120 % of the plan", "Remove the budget")
	w.get("dev", at+"/nothing").want(404)
	w.get("customer", at).want(403)
	w.post("emil", at, url.Values{"name": {"x"}}).want(403)
	w.post("emil", at+"/cloud/remove", url.Values{}).want(403)
	w.post("dev", at, url.Values{"name": {"x"}, "meter": {"bill"}, "plan": {"5.000,00 EUR"}}).want(422, "nothing between thousands")
	w.post("dev", at, url.Values{"name": {"x"}, "meter": {"bill"}, "plan": {"5000 EUR"}}).want(303)
	w.post("dev", at+"/cloud/remove", url.Values{}).want(303)
	if got := strings.Join(s.did, "; "); got != "set x 5000 EUR; remove cloud" {
		t.Errorf("did %s", got)
	}
}
