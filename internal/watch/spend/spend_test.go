package spend_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/watch"
	"writ/internal/watch/budget"
	"writ/internal/watch/series"
	"writ/internal/watch/spend"
)

const day = 24 * time.Hour

// tell gives watch the entries of a name, as the journal does.
func (w *world) tell(name string) {
	w.t.Helper()
	var es []journal.Entry
	for _, r := range w.Recorded(name) {
		e := journal.Entry{N: w.n, ID: r.ID, Stream: r.Name, Act: r.Name, Kind: "writ", Actor: r.Actor, Object: r.Object, At: w.Clock.Now(), Happened: w.Clock.Now()}
		w.n++
		for k, v := range r.Fields {
			e.Fields = append(e.Fields, journal.Field{Name: k, State: journal.Public, Value: v})
		}
		es = append(es, e)
	}
	must(w.t, w.watch.Follow(w.t.Context(), es))
}

func (w *world) alarms(rule string) (abouts []string) {
	w.t.Helper()
	as, err := w.watch.Alarms(w.t.Context(), operator, watch.Query{Rule: rule})
	must(w.t, err)
	for i := len(as) - 1; i >= 0; i-- {
		abouts = append(abouts, as[i].Labels["instance"]+": "+as[i].Value)
	}
	return abouts
}

// Each level is an entry and an alarm once a month, and the next month begins anew.
func TestLevels(t *testing.T) { // breaks: mon.budget, mon.budget-is-signal
	both(t, func(w *world) {
		w.set("cloud", spend.Bill, "1000", "EUR")
		w.bring("EUR", "2026-11-01,compute,499.99")
		w.look()
		if got := w.levels("cloud"); got != "" {
			w.t.Errorf("below every level: %s", got)
		}
		w.bring("EUR", "2026-11-01,compute,500.00")
		w.look()
		w.look()
		if got := w.levels("cloud"); got != "50" {
			w.t.Errorf("half of the plan: %s", got)
		}
		w.bring("EUR", "2026-11-02,compute,700.01", "2026-11-02,compute,-300")
		w.look()
		w.look()
		if got := w.levels("cloud"); got != "50 80 100 120" {
			w.t.Errorf("over the plan: %s", got)
		}
		m := w.month("cloud")
		if m.Actual.String() != "1200.01" || m.Credits.String() != "-300" || m.Percent != 120 || m.Trouble != "" || !m.Forecast.Learning {
			w.t.Errorf("the month: %+v", m.Month)
		}
		rs := w.Recorded("watch.budget-crossed")
		if len(rs) != 4 || rs[3].Object != "budget/cloud" || fmt.Sprintf("%v %v %v %v %v %v %v", rs[3].Fields["level"], rs[3].Fields["actual"], rs[3].Fields["plan"], rs[3].Fields["unit"], rs[3].Fields["month"], rs[3].Fields["percent"], rs[3].Fields["route"]) != "120 1200.01 1000.00 EUR 2026-11 120 incident-triage" {
			w.t.Errorf("entries: %+v", rs)
		}
		if m.Crossings[0].Entry != rs[3].ID {
			w.t.Errorf("the row names the entry %s, it is %s", m.Crossings[0].Entry, rs[3].ID)
		}
		w.tell("watch.budget-crossed")
		if got := strings.Join(w.alarms("budget-actual"), "; "); got != "cloud at 50 %: 500.00 of 1000.00 EUR; cloud at 80 %: 1200.01 of 1000.00 EUR; cloud at 100 %: 1200.01 of 1000.00 EUR; cloud at 120 %: 1200.01 of 1000.00 EUR" {
			w.t.Errorf("alarms: %s", got)
		}
		w.Clock.Set(time.Date(2026, 12, 2, 9, 0, 0, 0, time.UTC))
		w.bring("EUR", "2026-12-01,compute,801")
		w.look()
		if m := w.month("cloud"); m.Percent != 80 || len(m.Crossings) != 6 || m.Crossings[0].Month != "2026-12" {
			w.t.Errorf("the next month: %+v", m)
		}
		w.Clock.Advance(time.Minute)
		w.set("cloud", spend.Bill, "900", "EUR") // another plan is looked at anew
		w.look()
		if rs := w.Recorded("watch.budget-set"); len(rs) != 2 || rs[1].Fields["was"] != "1000 EUR" {
			w.t.Errorf("the plan before: %+v", rs)
		}
		if got := w.levels("cloud"); got != "50 80 100 120 50 80 50 80" {
			w.t.Errorf("of the new plan: %s", got)
		}
		w.rule("mon.budget/at_warn", int64(60_00))
		w.set("later", spend.Bill, "1200", "EUR")
		w.look()
		if got := w.levels("later"); got != "50 60" {
			w.t.Errorf("the policy's level: %s", got)
		}
	})
}

// A bill that is brought twice counts once; two currencies are never added; only who manages
// may bring and plan, and what was brought by mistake is taken out with a reason.
func TestBills(t *testing.T) { // breaks: mon.budget
	both(t, func(w *world) {
		ctx := w.t.Context()
		w.set("cloud", spend.Bill, "1000", "EUR")
		b := w.set("disks", spend.Bill, "100", "EUR")
		b.Service = "disk"
		_, err := w.s.Set(ctx, engineer, b)
		must(w.t, err)
		focus := "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ServiceName\n"
		file := focus + "10.5,a,EUR,2026-11-01,2026-11-01,compute\n0.1,a,EUR,2026-11-01,2026-11-02,disk\n0.2,a,EUR,2026-11-01,2026-11-02,disk\n"
		for range 2 {
			in, err := w.s.Import(ctx, engineer, []byte(file))
			must(w.t, err)
			if in.Rows != 3 || in.Form != "FOCUS" || len(in.Stands) != 1 || in.Stands[0].Charged.String() != "10.8" || !in.Stands[0].Partial || in.Stands[0].Through != 2 {
				w.t.Errorf("brought: %+v", in)
			}
			w.bring("EUR", "2026-11-02,phone,30")
		}
		if m := w.month("cloud"); m.Actual.String() != "40.8" {
			w.t.Errorf("brought twice: %s", m.Actual)
		}
		if m := w.month("disks"); m.Actual.String() != "0.3" {
			w.t.Errorf("of one service: %s", m.Actual)
		}
		smaller := focus + "7,a,EUR,2026-11-01,2026-11-01,compute\n"
		_, err = w.s.Import(ctx, engineer, []byte(smaller))
		must(w.t, err)
		if m := w.month("cloud"); m.Actual.String() != "37" {
			w.t.Errorf("what the source took back stays: %s", m.Actual)
		}
		_, err = w.s.Import(ctx, engineer, []byte(focus+"7,b,USD,2026-11-01,2026-11-01,compute\n"))
		if code, p := fault.PublicOf(err); code != "bill_currency" || !strings.Contains(p.Problem, "USD") || !strings.Contains(p.Problem, "EUR already") {
			w.t.Errorf("two currencies: %v %+v", err, p)
		}
		_, err = w.s.Import(ctx, engineer, []byte("day,service,amount,currency\n2026-11-01,x,1,USD\n"))
		if code, _ := fault.PublicOf(err); code != "bill_currency" {
			w.t.Errorf("two currencies in the own table: %v", err)
		}
		if _, err := w.s.Import(ctx, engineer, []byte("nonsense")); !errors.Is(err, fault.Invalid) {
			w.t.Errorf("no bill: %v", err)
		}
		if _, err := w.s.Import(ctx, support, []byte(file)); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support brought a bill: %v", err)
		}
		if _, err := w.s.Set(ctx, support, b); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support planned: %v", err)
		}
		if err := w.s.Remove(ctx, support, "disks"); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support removed a plan: %v", err)
		}
		if _, err := w.s.SetPrices(ctx, support, nil); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support set prices: %v", err)
		}
		if err := w.s.Forget(ctx, support, "csv", "2026-11", "brought by mistake"); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support took costs out: %v", err)
		}
		if err := w.s.Forget(ctx, engineer, "csv", "2026-11", "why"); !errors.Is(err, fault.Invalid) {
			w.t.Errorf("without a reason: %v", err)
		}
		if err := w.s.Forget(ctx, engineer, "csv", "2025-11", "brought by mistake"); !errors.Is(err, fault.NotFound) {
			w.t.Errorf("nothing to take out: %v", err)
		}
		must(w.t, w.s.Forget(ctx, engineer, "csv", "2026-11", "brought by mistake"))
		must(w.t, w.s.Remove(ctx, engineer, "disks"))
		if m := w.month("cloud"); m.Actual.String() != "7" {
			w.t.Errorf("taken out: %s", m.Actual)
		}
		if _, err := w.s.MonthOf(ctx, engineer, "disks"); !errors.Is(err, fault.NotFound) {
			w.t.Errorf("it was removed: %v", err)
		}
		bills, err := w.s.Bills(ctx, engineer)
		must(w.t, err)
		if len(bills) != 1 || bills[0].Source != "focus/a" || len(w.Recorded("watch.cost-imported")) != 5 || len(w.Recorded("watch.cost-removed")) != 1 || len(w.Recorded("watch.budget-removed")) != 1 {
			w.t.Errorf("bills: %+v", bills)
		}
	})
}

// What a plan may be.
func TestPlans(t *testing.T) {
	w := lite(t)
	for code, b := range map[string]spend.Budget{
		"budget_name":    {Name: "Cloud", Meter: spend.Bill, Plan: budget.Int(1), Unit: "EUR"},
		"budget_meter":   {Name: "a", Meter: "host.cpu", Plan: budget.Int(1)},
		"budget_plan":    {Name: "a", Meter: "requests"},
		"budget_unit":    {Name: "a", Meter: spend.Bill, Plan: budget.Int(1), Unit: "euro"},
		"budget_service": {Name: "a", Meter: "requests", Service: "x", Plan: budget.Int(1)},
	} {
		_, err := w.s.Set(t.Context(), operator, b)
		if got, p := fault.PublicOf(err); got != code || p.Expected == "" {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := w.s.Set(t.Context(), operator, spend.Budget{Name: "canary-x", Meter: "requests", Plan: budget.Int(1)}); !errors.Is(err, fault.Invalid) {
		t.Error("a budget stands under the name of a control's")
	}
	if b := w.set("sent", "bytes.out", "5e9", ""); b.Unit != "bytes" {
		t.Errorf("the unit is the meter's: %+v", b)
	}
	for i := range 99 {
		w.set(fmt.Sprintf("b%d", i), "mails", "10", "")
	}
	if _, err := w.s.Set(t.Context(), operator, spend.Budget{Name: "more", Meter: "mails", Plan: budget.Int(1)}); !errors.Is(err, fault.Limited) {
		t.Errorf("101 budgets: %v", err)
	}
}

// Use counts from the series, a level with its mean, money by the list of prices; the forecast
// says before it happens that a plan will not do.
func TestUse(t *testing.T) { // breaks: mon.budget
	both(t, func(w *world) {
		now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		w.Clock.Set(now)
		w.observed(now.Add(-60*day), now)
		for d := 59; d >= 0; d-- {
			w.count("requests", now.Add(-time.Duration(d)*day), 1000)
		}
		w.count("storage", now.Add(-day), 1)
		w.set("calls", "requests", "25000", "")
		_, err := w.s.SetPrices(w.t.Context(), operator, []byte("meter,price,per,currency\nrequests,0.5,1000,EUR\nmails,1,1,EUR\n"))
		must(w.t, err)
		w.set("money", spend.Prices, "100", "EUR")
		w.set("dollars", spend.Prices, "100", "USD")
		m := w.month("calls")
		if m.Actual.String() != "20000" || m.Percent != 80 || m.Unit != "requests" || m.Forecast.Learning || m.Low.Cmp(budget.Int(29_000)) < 0 || m.High.Cmp(budget.Int(31_500)) > 0 || len(m.Days) != 20 || !m.Days[19].Known || len(m.Forecast.Path) != 11 {
			w.t.Errorf("requests: %+v", m.Month)
		}
		w.look()
		if got := w.levels("calls"); got != "50 80 forecast" {
			w.t.Errorf("levels: %s", got)
		}
		w.tell("watch.budget-crossed")
		if got := w.alarms("budget-forecast"); len(got) != 1 || !strings.HasPrefix(got[0], "calls: 20000 of 25000 requests, 30") {
			w.t.Errorf("alarms: %v", got)
		}
		if m := w.month("money"); m.Actual.String() != "10" || m.Trouble != "" || m.Percent != 10 {
			w.t.Errorf("by prices: %+v", m.Month)
		}
		if m := w.month("dollars"); !strings.Contains(m.Trouble, "no list of prices in USD") {
			w.t.Errorf("without prices: %+v", m.Month)
		}
		ps, err := w.s.PricesFor(w.t.Context(), operator)
		must(w.t, err)
		if len(ps.List) != 2 || ps.Currency != "EUR" || len(w.Recorded("watch.prices-set")) != 1 {
			w.t.Errorf("prices: %+v", ps)
		}
	})
}

// A level such as stored bytes counts with its mean of each day.
func TestStored(t *testing.T) { // breaks: mon.budget
	w := lite(t)
	w.set("disk", "storage", "1000", "")
	for d := 1; d <= 3; d++ {
		w.Clock.Set(time.Date(2026, 11, d, 12, 0, 0, 0, time.UTC))
		b := w.watch.Series()
		b.Add(series.Event{At: w.Clock.Now(), Meter: "storage", Value: float64(300 * d)})
		w.Clock.Advance(2 * time.Minute)
		must(t, b.Flush(t.Context()))
	}
	if m := w.month("disk"); m.Actual.Fixed(3) != "60.000" { // (300 + 600 + 900) / 30
		t.Errorf("stored: %s", m.Actual)
	}
}

// What grew in the last day is named, against the same hours of four weeks; an alarm about
// abuse close to it is a reason to think of an attack, and what became of it is told.
func TestAround(t *testing.T) { // breaks: mon.budget-is-signal
	both(t, func(w *world) {
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		w.Clock.Set(now)
		w.observed(now.Add(-30*day), now)
		team := func(v string) series.Label { return series.Label{Dimension: "team", Value: v} }
		route := func(v string) series.Label { return series.Label{Dimension: "route", Value: v} }
		for week := 4; week >= 1; week-- {
			w.count("requests", now.Add(-time.Duration(week)*7*day-time.Hour), 100, team("acme"), route("/orders"))
		}
		w.count("requests", now.Add(-time.Hour), 100, team("acme"), route("/orders"))
		w.count("requests", now.Add(-time.Hour), 900, team("birch"), route("/export"), series.Label{Dimension: "network", Value: "s:1"})
		w.set("calls", "requests", "1300", "")
		w.look()
		x := w.month("calls").Crossings[0]
		if x.Signs.Whole.Now != 1000 || x.Signs.Whole.Usual != 100 || x.Signs.Whole.Weeks != 4 || len(x.Signs.Top) != 3 || x.Signs.Top[0] != (budget.Growth{Dimension: "route", Label: "/export", Now: 900, Weeks: 4}) {
			w.t.Errorf("what grew: %+v", x.Signs)
		}
		if x.Hints[0].Word == "unknown" || len(x.Hints[0].Reasons) == 0 || x.Item.Name != "" {
			w.t.Errorf("hints: %+v", x)
		}
		w.abuse()
		w.items[x.Entry] = spend.Item{Name: "I-1", Opened: now}
		x = w.month("calls").Crossings[0]
		if x.Hints[0].Word != "attack" || len(x.Signs.Abuse) != 2 || x.Item.Name != "I-1" {
			w.t.Errorf("with an alarm: %+v", x)
		}
	})
}

// abuse fires an alarm of that part, by the entries that it takes.
func (w *world) abuse() {
	w.t.Helper()
	var es []journal.Entry
	for range 400 {
		es = append(es, journal.Entry{N: w.n, Stream: "identity.sign-in-refused", Act: "identity.sign-in-refused", Kind: "stranger", Actor: "s:9", Object: "thing/1", At: w.Clock.Now(), Happened: w.Clock.Now()})
		w.n++
	}
	must(w.t, w.watch.Follow(w.t.Context(), es))
}

// Costs that do not come any more are an alarm after 36 hours.
func TestOldCosts(t *testing.T) { // breaks: mon.budget
	w := lite(t)
	w.set("cloud", spend.Bill, "1000", "EUR")
	w.set("calls", "requests", "1000", "")
	w.bring("EUR", "2026-11-02,compute,1")
	age := func() float64 {
		rs := w.look()
		if len(rs) != 1 || rs[0].Meter != "cost.age" || rs[0].Label != "cloud" {
			t.Fatalf("readings: %+v", rs)
		}
		return rs[0].Value
	}
	if got := age(); got != 0 {
		t.Errorf("just brought: %v", got)
	}
	w.Clock.Advance(37 * time.Hour)
	if got := age(); got != 37 {
		t.Errorf("37 hours later: %v", got)
	}
	must(t, w.watch.Judge(t.Context(), w.look()))
	if got := w.alarms("cost-sample-old"); len(got) != 1 {
		t.Errorf("alarms: %v", got)
	}
	w.bring("EUR", "2026-11-01,compute,1") // nothing is known of the days since the 2nd, which ended 23 hours ago
	if got := age(); got != 23 {
		t.Errorf("an old day: %v", got)
	}
}

func TestBudgetsControl(t *testing.T) { // breaks: mon.budget
	both(t, func(w *world) {
		w.want("watch.budgets-stand", clause.Fail, "nothing is planned")
		w.set("calls", "requests", "1000", "")
		w.want("watch.budgets-stand", clause.Unknown, "calls is new")
		w.observed(w.Clock.Now().Add(-time.Hour), w.Clock.Now())
		w.want("watch.budgets-stand", clause.Fail, "nothing is planned for spending")
		w.set("cloud", spend.Bill, "1000", "EUR")
		w.want("watch.budgets-stand", clause.Unknown, "cloud is new")
		w.bring("EUR", "2026-11-02,compute,130")
		w.want("watch.budgets-stand", clause.Pass, "2 budgets are compared each minute with a monthly plan, alarms at 50, 80, 100, 120 % and by forecast: calls at 0 %, cloud at 13 %")
		w.set("dollars", spend.Bill, "1000", "USD")
		w.want("watch.budgets-stand", clause.Fail, "dollars (the bill is in EUR")
		must(w.t, w.s.Remove(w.t.Context(), operator, "dollars"))
		w.Clock.Advance(3 * day)
		w.want("watch.budgets-stand", clause.Fail, "older than 36 hours: calls, cloud")
	})
}

// The canary goes the whole way and leaves nothing; where the way is broken, it says so.
func TestBudgetsCanary(t *testing.T) { // breaks: mon.budget
	both(t, func(w *world) {
		w.bring("EUR", "2026-11-02,compute,130")
		w.want("watch.budgets-fire", clause.Pass, "every level once")
		w.want("watch.budgets-fire", clause.Pass, "every level once")
		bills, err := w.s.Bills(w.t.Context(), operator)
		must(w.t, err)
		if len(bills) != 1 || len(w.Recorded("watch.budget-crossed")) != 0 || len(w.alarms("budget-actual")) != 0 {
			w.t.Errorf("a control left %+v", bills)
		}
		w.rule("mon.budget/at_over", int64(140_00))
		w.want("watch.budgets-fire", clause.Fail, "levels 50, 80, 100, expected levels 50, 80, 100, 140")
	})
}

// Each level that was reached has an item and, in time, a decision.
func TestSignalControls(t *testing.T) { // breaks: mon.budget-is-signal
	both(t, func(w *world) {
		w.want("watch.spending-is-signal", clause.Pass, "taken for a signal")
		w.want("watch.spending-is-decided", clause.Pass, "no budget reached a level")
		w.deaf = true
		w.want("watch.spending-is-signal", clause.Fail, "begins none")
		w.deaf = false
		w.set("cloud", spend.Bill, "1000", "EUR")
		w.bring("EUR", "2026-11-02,compute,500")
		w.look()
		w.want("watch.spending-is-decided", clause.Pass, "1 wait")
		w.Clock.Advance(6 * time.Minute)
		w.want("watch.spending-is-decided", clause.Fail, "no incident began with this spending: cloud at 50")
		x := w.month("cloud").Crossings[0]
		w.items[x.Entry] = spend.Item{Name: "I-7", Opened: x.At}
		w.want("watch.spending-is-decided", clause.Pass, "1 wait for a decision that is due within 4 h")
		w.Clock.Advance(4 * time.Hour)
		w.want("watch.spending-is-decided", clause.Fail, "nobody decided within 4 h what this spending was: cloud at 50 (I-7)")
		w.items[x.Entry] = spend.Item{Name: "I-7", Opened: x.At, Decided: x.At.Add(5 * time.Hour)}
		w.want("watch.spending-is-decided", clause.Fail, "(I-7)")
		w.items[x.Entry] = spend.Item{Name: "I-7", Opened: x.At, Decided: x.At.Add(3 * time.Hour)}
		w.want("watch.spending-is-decided", clause.Pass, "each was decided within 4 h")
		w.rule("mon.budget-is-signal/decide_within", 2*time.Hour)
		w.want("watch.spending-is-decided", clause.Fail, "within 2 h")
		w.rule("mon.budget-is-signal/route", "notice-only")
		w.want("watch.spending-is-decided", clause.Pass, "noticed only")
		w.want("watch.spending-is-signal", clause.Pass, "taken for a signal")
	})
}
