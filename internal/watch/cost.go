package watch

import (
	"context"
	"fmt"
	"time"

	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/watch/series"
)

const (
	spending = "mon.budget"
	signal   = "mon.budget-is-signal"
)

// costRules watch what is spent and used. The entries come from budgets, one for each level.
func costRules() []Rule { // clause: mon.budget, mon.budget-is-signal
	ahead := func(e *journal.Entry) bool { return text(e, "level") == "forecast" }
	crossed := []string{"watch.budget-crossed"}
	return []Rule{
		{ID: "budget-actual", Part: Cost, Severity: notify.Ticket, Clause: signal, Title: "A budget is used up faster than planned", Says: "Half of the month's plan, or a level of the policy, is used",
			Next: "See what grew and what it may be (Budgets). It may be an attack: say so in the incident that began with it.", Streams: crossed, Quiet: 24 * time.Hour, Shows: used,
			By: func(e *journal.Entry) string { return text(e, "budget") + " at " + text(e, "level") + " %" },
			If: only(func(e *journal.Entry) bool { return !ahead(e) }), fire: seen("watch.budget-crossed", "budget", "requests", "level", "80")},
		{ID: "budget-forecast", Part: Cost, Severity: notify.Ticket, Clause: signal, Title: "A budget will not do for the month", Says: "Nine of ten such months end above the plan",
			Next: "See what grew and what it may be (Budgets), and decide before it is spent.", Streams: crossed, Quiet: 24 * time.Hour, By: byField("budget"), Shows: used,
			If: only(ahead), fire: seen("watch.budget-crossed", "budget", "requests", "level", "forecast")},
		{ID: "cost-sample-old", Part: Cost, Severity: notify.Ticket, Clause: spending, Title: "Costs are not brought any more", Says: "The last cost of a bill is more than 36 hours old",
			Next: "Bring the bill (writ watch budget import), or find out why whatever brings it has stopped.", Reads: "cost.age", Above: 36, Clear: 36, fire: reads("cloud")},
	}
}

// MeterNames are the meters of which a month can be planned, in the order in which people read
// them: what adds up, and what is stored.
func MeterNames() (out []string) {
	for _, m := range Meters() {
		if m.Kind == series.Count || m.Name == "storage" || m.Unit == "bytes" && m.Kind == series.Spread || m.Unit == "s" && m.Kind == series.Spread {
			out = append(out, m.Name)
		}
	}
	return out
}

// used is how a budget stands, in an entry about it.
func used(e *journal.Entry) string {
	s := fmt.Sprintf("%s of %s %s", text(e, "actual"), text(e, "plan"), text(e, "unit"))
	if f := text(e, "forecast"); f != "" {
		s += ", " + f + " at the end of the month"
	}
	return s
}

// Around lists the titles of alarms of a part that fired in a span, each once.
func (s *Service) Around(ctx context.Context, part string, from, until time.Time) (out []string, err error) {
	err = s.DB.Each(ctx, rulesBetween, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		if r := index().byID[id]; r != nil {
			out = append(out, r.Title)
		}
		return err
	}, part, us(from), us(until))
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// Rehearse says which rules an entry would fire, through counts and the row of the alarm, in a
// change that the caller takes back.
func (s *Service) Rehearse(ctx context.Context, tx *ledger.Tx, e journal.Entry) (fired []string, err error) {
	e.Happened = tx.Now()
	for _, f := range s.factsOf(nil, &e) {
		evs, err := s.count(ctx, tx, f)
		if err != nil {
			return nil, err
		}
		for _, ev := range evs {
			if o, ok := ev.(AlarmOpened); ok {
				fired = append(fired, o.Rule)
			}
		}
	}
	return fired, nil
}

const rulesBetween = `SELECT DISTINCT rule FROM watch_alarm WHERE part = $1 AND NOT test AND fired >= $2 AND fired <= $3 ORDER BY rule`
