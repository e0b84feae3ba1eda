package spend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/watch/budget"
)

const (
	sampleLives  = 36 * time.Hour
	judgedOver   = 90 * 24 * time.Hour
	begunWithin  = 5 * time.Minute // an entry waits for its number, and its reader for the entry
	signalRoute  = "incident-triage"
	noticeOnly   = "notice-only"
	shadow       = planted + "-budget"
	plannedUnits = 1000
)

// Controls are the proofs of spending.
func (s *Service) Controls() []clause.Control {
	return []clause.Control{
		{ID: "watch.budgets-stand", Clause: spending, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Looks whether there is a plan for money, whether each budget can be compared with it, and how old the last cost or use is", Run: s.probeBudgets},
		{ID: "watch.budgets-fire", Clause: spending, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Plants a bill at 130 % of a plan, wants the levels, their entries and their alarms, and takes all of it back", Run: s.plantCost},
		{ID: "watch.spending-is-decided", Clause: signal, Kind: clause.Replay, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Goes through every level that a budget reached in 90 days, and wants an incident that began with it, and in time somebody's decision what it is", Run: s.replayCrossings},
		{ID: "watch.spending-is-signal", Clause: signal, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Shows incidents the entry of a planted budget, and wants it taken for a signal", Run: s.trySignal},
	}
}

// probeBudgets wants a plan for money, and every budget comparable and fresh.
func (s *Service) probeBudgets(ctx context.Context) (clause.Result, error) { // clause: mon.budget
	ms, err := s.months(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	rules := s.Rules.Get()
	var trouble, old, said []string
	money := false
	for _, m := range ms {
		money = money || m.Money()
		switch age := s.Now().Sub(m.Sample); {
		case m.Trouble != "":
			trouble = append(trouble, m.Name+" ("+m.Trouble+")")
		case age > sampleLives && s.Now().Sub(m.Made) > sampleLives:
			old = append(old, m.Name)
		case age > sampleLives:
			return clause.Result{Outcome: clause.Unknown, Summary: "the budget " + m.Name + " is new, and nothing was counted or brought for it yet"}, nil
		default:
			said = append(said, fmt.Sprintf("%s at %d %%", m.Name, m.Percent))
		}
	}
	switch {
	case len(ms) == 0:
		return clause.Failed("nothing is planned: set a budget with writ watch budget set"), nil
	case !money:
		return clause.Failed("nothing is planned for spending: set a budget of money (writ watch budget set NAME --meter bill, or prices)"), nil
	case len(trouble) > 0:
		return clause.Failed("these budgets cannot be compared: " + few(trouble)), nil
	case len(old) > 0:
		return clause.Failed("the last cost or use is older than 36 hours: " + few(old)), nil
	}
	var levels []string
	for _, l := range rules.levels() {
		levels = append(levels, budget.Name(l))
	}
	r := clause.Passed(fmt.Sprintf("%d budgets are compared each minute with a %s plan, alarms at %s %% and by forecast: %s", len(ms), rules.Plan, strings.Join(levels, ", "), few(said)))
	r.Population = int64(len(ms))
	return r, nil
}

func few(names []string) string {
	if len(names) > 4 {
		names = append(slices.Clone(names[:4]), "…")
	}
	return strings.Join(names, ", ")
}

// errTakenBack undoes what a control planted.
var errTakenBack = errors.New("spend: what a control planted is taken back")

// plantCost wants all levels of a bill at 130 %, each once, and an alarm of each.
func (s *Service) plantCost(ctx context.Context) (clause.Result, error) { // clause: mon.budget
	rules := s.Rules.Get()
	within := clause.Step{Act: "plant a bill at 49 % of a plan", Expected: "no level", Control: true}
	over := clause.Step{Act: "bring it again, at 130 %", Expected: "levels " + names(rules.levels())}
	told := clause.Step{Act: "have watch read their entries", Expected: fmt.Sprintf("%d alarms", len(rules.levels()))}
	again := clause.Step{Act: "look again", Expected: "no level twice"}
	_, err := s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		evs, err := s.planted(ctx, tx, plannedUnits*49/100)
		if err != nil {
			return nil, err
		}
		within.Got, within.OK = "levels "+levelsOf(evs), len(evs) == 0
		if within.OK {
			within.Got = within.Expected
		}
		if evs, err = s.planted(ctx, tx, plannedUnits*130/100); err != nil {
			return nil, err
		}
		over.Got = "levels " + levelsOf(evs)
		over.OK = over.Got == over.Expected
		n := 0
		for i := range evs {
			fired, err := s.Alarms.Rehearse(ctx, tx, entryOf(&evs[i]))
			if err != nil {
				return nil, err
			}
			n += len(fired)
		}
		told.Got = fmt.Sprintf("%d alarms", n)
		told.OK = told.Got == told.Expected
		if evs, err = s.planted(ctx, tx, plannedUnits*130/100); err != nil {
			return nil, err
		}
		if again.Got, again.OK = "levels "+levelsOf(evs), len(evs) == 0; again.OK {
			again.Got = again.Expected
		}
		return nil, errTakenBack
	})
	if !errors.Is(err, errTakenBack) {
		return clause.Result{}, fmt.Errorf("plant a bill: %w", err)
	}
	return clause.Judge("a bill at 130 % of its plan reached every level once, and each raised its alarm", within, over, told, again), nil
}

func names(ls budget.Levels) string {
	var out []string
	for _, l := range ls {
		out = append(out, budget.Name(l))
	}
	return strings.Join(out, ", ")
}

func levelsOf(evs []BudgetCrossed) string {
	var out []string
	for _, ev := range evs {
		out = append(out, ev.Level)
	}
	return strings.Join(out, ", ")
}

// planted brings a bill of a service that nobody else has, compares it with a budget of its
// own, and gives the levels that this reached.
func (s *Service) planted(ctx context.Context, tx *ledger.Tx, cost int64) (evs []BudgetCrossed, err error) {
	now := tx.Now().UTC()
	currency := "XTS" // for tests (ISO 4217)
	if err := tx.Each(ctx, `SELECT currency FROM watch_bill WHERE month = $1`, func(scan ledger.Scan) error { return scan(&currency) }, now.Format(monthly)); err != nil {
		return nil, err
	}
	x := budget.Statement{Source: shadow, Month: now.Format(monthly), Currency: currency, Lines: []budget.Line{{Day: now.Day(), Service: shadow, Amount: budget.Int(cost)}}}
	if _, err := put(ctx, tx, &x, ""); err != nil {
		return nil, err
	}
	m, err := s.month(ctx, tx, Budget{Name: shadow, Meter: Bill, Service: shadow, Plan: budget.Int(plannedUnits), Unit: x.Currency, Made: now}, now)
	if err != nil {
		return nil, err
	}
	for _, level := range m.reached(s.Rules.Get()) {
		ev, err := s.write(ctx, tx, m, level, "{}")
		if errors.Is(err, errKnown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		evs = append(evs, ev)
	}
	return evs, nil
}

// entryOf is how an event stands in the journal.
func entryOf(ev *BudgetCrossed) journal.Entry {
	e := journal.Entry{Stream: ev.About().Name, Act: ev.About().Name, Kind: "writ", Actor: "writ/spend", Object: ev.About().Object}
	for _, f := range []struct{ name, value string }{{"budget", ev.Budget}, {"month", ev.Month}, {"level", ev.Level}, {"actual", ev.Actual}, {"forecast", ev.Forecast}, {"plan", ev.Plan}, {"unit", ev.Unit}, {"route", ev.Route}} {
		e.Fields = append(e.Fields, journal.Field{Name: f.name, State: journal.Public, Value: f.value})
	}
	e.Fields = append(e.Fields, journal.Field{Name: "percent", State: journal.Public, Value: ev.Percent})
	return e
}

// trySignal wants the entry of a planted budget taken for a signal.
func (s *Service) trySignal(ctx context.Context) (clause.Result, error) { // clause: mon.budget-is-signal
	if s.Triage == nil {
		return clause.Result{Outcome: clause.Unknown, Summary: "nobody leads incidents on this server, so no spending begins one"}, nil
	}
	ev := BudgetCrossed{Budget: shadow, Month: s.Now().UTC().Format(monthly), Level: "120", Percent: 130, Actual: "1300.00", Plan: "1000.00", Unit: "XTS", Route: s.Rules.Get().Route}
	e := entryOf(&ev)
	e.ID, e.At, e.Happened = shadow, s.Now(), s.Now()
	begins, err := s.Triage.Begins(ctx, e)
	if err != nil {
		return clause.Result{}, err //nolint:wrapcheck // whoever leads incidents says what failed
	}
	st := clause.Step{Act: "show incidents a budget at 130 %", Expected: "it begins a triage", Got: "it begins a triage", OK: begins == (ev.Route == signalRoute)}
	if ev.Route != signalRoute {
		st.Expected = "it begins none, as the policy says"
	}
	if !begins {
		st.Got = "it begins none"
	}
	return clause.Judge("a budget at 130 % is taken for a signal", st), nil
}

// replayCrossings wants an item of each level that was reached, and a decision in time.
func (s *Service) replayCrossings(ctx context.Context) (clause.Result, error) { // clause: mon.budget-is-signal
	rules, now := s.Rules.Get(), s.Now()
	xs, err := s.since(ctx, now.Add(-judgedOver))
	if err != nil {
		return clause.Result{}, err
	}
	switch {
	case rules.Route == noticeOnly:
		return clause.Passed(fmt.Sprintf("the policy has spending noticed only; %d levels were reached in 90 days, each with its alarm", len(xs))), nil
	case s.Triage == nil:
		return clause.Result{Outcome: clause.Unknown, Summary: "nobody leads incidents on this server, so no spending begins one"}, nil
	}
	var without, late, waiting []string
	for i := range xs {
		x := &xs[i]
		if err := s.explain(ctx, x); err != nil {
			return clause.Result{}, err
		}
		name := x.Budget + " at " + x.Level
		switch due := x.At.Add(rules.Decide); {
		case x.Item.Name == "" && now.Sub(x.At) > begunWithin:
			without = append(without, name)
		case x.Item.Name == "":
			waiting = append(waiting, name)
		case x.Item.Decided.IsZero() && now.After(due), x.Item.Decided.After(due):
			late = append(late, name+" ("+x.Item.Name+")")
		case x.Item.Decided.IsZero():
			waiting = append(waiting, name)
		}
	}
	switch {
	case len(without) > 0:
		return clause.Failed("no incident began with this spending: " + few(without)), nil
	case len(late) > 0:
		return clause.Failed(fmt.Sprintf("nobody decided within %s what this spending was: %s", span(rules.Decide), few(late))), nil
	}
	r := clause.Passed(fmt.Sprintf("budgets reached %d levels in 90 days; each began a triage, and each was decided within %s", len(xs), span(rules.Decide)))
	if len(waiting) > 0 {
		r.Summary = fmt.Sprintf("budgets reached %d levels in 90 days; each is in a triage, and %d wait for a decision that is due within %s", len(xs), len(waiting), span(rules.Decide))
	}
	if len(xs) == 0 {
		r.Summary = "no budget reached a level in 90 days"
	}
	r.Population = int64(len(xs))
	return r, nil
}

// span writes a time as people say it.
func span(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d min", int(d.Minutes()))
}
