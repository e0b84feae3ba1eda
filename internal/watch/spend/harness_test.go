package spend_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/policy/policytest"
	"writ/internal/watch"
	"writ/internal/watch/budget"
	"writ/internal/watch/series"
	"writ/internal/watch/spend"
	"writ/internal/watch/watchtest"
)

var engineer, support, operator = watchtest.Engineer, watchtest.Support, watchtest.Operator

// world is spending over a ledger, beside the watch that reads it.
type world struct {
	*ledgertest.Kit
	t     *testing.T
	watch *watch.Service
	s     *spend.Service
	rules *clause.Live[spend.Rules]
	items map[string]spend.Item // by entry
	deaf  bool                  // incidents take nothing for a signal
	n     int64
}

// Item implements spend.Triage.
func (w *world) Item(_ context.Context, entry string) (spend.Item, error) { return w.items[entry], nil }

// Begins implements spend.Triage.
func (w *world) Begins(_ context.Context, e journal.Entry) (bool, error) {
	v, _ := e.Field("route")
	return !w.deaf && e.Stream == "watch.budget-crossed" && v == "incident-triage", nil
}

// Deliver implements notify.Mail.
func (w *world) Deliver(context.Context, mail.Message) (mail.Answer, error) {
	return mail.Answer{Code: 250}, nil
}

func both(t *testing.T, fn func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) { fn(open(t, k)) }, watchtest.Tables()...)
}

func lite(t *testing.T) *world { return open(t, ledgertest.Open(t, watchtest.Tables()...)) }

func open(t *testing.T, k *ledgertest.Kit) *world {
	t.Helper()
	w := &world{Kit: k, t: t, items: map[string]spend.Item{}, n: 10}
	told, _ := watchtest.Told(t, k, w, t.TempDir())
	d := watchtest.Deps(t, k, told, &watchtest.Past{})
	var err error
	w.watch, err = watch.New(d)
	must(t, err)
	w.rules = watchtest.Rules[spend.Rules](t, k)
	w.s, err = spend.New(spend.Deps{DB: k.DB, Access: d.Access, Series: w.watch.Series(), Meters: watch.MeterNames, Alarms: w.watch, Triage: w, Rules: w.rules, Now: k.Clock.Now, Log: d.Log})
	must(t, err)
	return w
}

func must(t testing.TB, err error) { t.Helper(); watchtest.Must(t, err) }

func amount(t testing.TB, s string) budget.Amount {
	t.Helper()
	a, err := budget.Parse(s)
	must(t, err)
	return a
}

// set plans something, as the engineer does.
func (w *world) set(name, meter, plan, unit string) spend.Budget {
	w.t.Helper()
	b, err := w.s.Set(w.t.Context(), operator, spend.Budget{Name: name, Meter: meter, Plan: amount(w.t, plan), Unit: unit})
	must(w.t, err)
	return b
}

// bring imports lines of the own CSV: day, service, amount.
func (w *world) bring(currency string, lines ...string) {
	w.t.Helper()
	text := "day,service,amount,currency\n"
	for _, l := range lines {
		text += l + "," + currency + "\n"
	}
	_, err := w.s.Import(w.t.Context(), operator, []byte(text))
	must(w.t, err)
}

// look compares everything once more.
func (w *world) look() []watch.Reading {
	w.t.Helper()
	rs, err := w.s.Look(w.t.Context())
	must(w.t, err)
	return rs
}

func (w *world) month(name string) spend.Detail {
	w.t.Helper()
	d, err := w.s.MonthOf(w.t.Context(), operator, name)
	must(w.t, err)
	return d
}

// levels that a budget reached this month, the oldest first.
func (w *world) levels(name string) string {
	w.t.Helper()
	var out []string
	for _, x := range w.month(name).Crossings {
		out = append([]string{x.Level}, out...)
	}
	return strings.Join(out, " ")
}

// count has a meter count so many at a time, and writes it.
func (w *world) count(meter string, at time.Time, n int64, labels ...series.Label) {
	w.t.Helper()
	b := w.watch.Series().NewBatch()
	b.Add(series.Event{At: at, Meter: meter, N: n, Labels: labels})
	var done func()
	must(w.t, w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) (err error) {
		done, err = w.watch.Series().Write(w.t.Context(), tx, b)
		return err
	}))
	if done != nil {
		done()
	}
}

// observed says that what counts requests was there.
func (w *world) observed(from, until time.Time) {
	w.t.Helper()
	for ; from.Before(until); from = from.Add(30 * 24 * time.Hour) {
		end := from.Add(30 * 24 * time.Hour)
		if end.After(until) {
			end = until
		}
		must(w.t, w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			return w.watch.Series().Observe(w.t.Context(), tx, "requests", from, end)
		}))
	}
}

func (w *world) run(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.s.Controls() {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			must(w.t, err)
			return r
		}
	}
	w.t.Fatalf("there is no control %s", id)
	return clause.Result{}
}

func (w *world) want(id string, outcome clause.Outcome, says string) {
	w.t.Helper()
	if r := w.run(id); r.Outcome != outcome || !strings.Contains(r.Summary, says) {
		w.t.Errorf("%s: %s, %s %+v", id, r.Outcome, r.Summary, r.Steps)
	}
}

func (w *world) rule(key string, v any) {
	w.t.Helper()
	vals := policytest.Values()
	vals[key] = v
	must(w.t, w.rules.Set([]clause.Period{{Values: vals}}))
}
