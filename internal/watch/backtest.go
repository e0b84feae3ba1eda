package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/watch/sigma"
)

// History is what happened before, the oldest first.
type History interface {
	Entries(ctx context.Context, since time.Time, fn func([]journal.Entry) error) error
	// Records records itself that somebody looks at them. A list is good until fn returns.
	Records(ctx context.Context, who actor.Actor, since time.Time, fn func([]Handled) error) error
	Cases(ctx context.Context) ([]Case, error)
}

// Case is an incident, and when it went on; a zero Until is one that still does.
type Case struct {
	Name        string
	From, Until time.Time
}

// BackTest is how a rule would have done on what is stored.
type BackTest struct {
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	Events      int64     `json:"events"`
	Hits        int64     `json:"hits"`  // events that it takes, or that make it true
	Fires       int64     `json:"fires"` // alarms that would have come of them
	InIncidents int64     `json:"in_incidents"`
	Incidents   []string  `json:"incidents"`
	Judged      int64     `json:"judged"`  // outside of them, while an alarm of the rule went on that was true or meant
	Before      float64   `json:"before"`  // how many alarms of the version that watches were right, on the same days; 1 = none watches
	Sees        []string  `json:"sees"`    // of the incidents that are kept
	Loses       []string  `json:"loses"`   // those that nothing of one's own would see any more
	Weighed     bool      `json:"weighed"` // the above is there
	Examples    []Example `json:"examples"`
	Warnings    []string  `json:"warnings"`
}

// Example is one alarm that would have come.
type Example struct {
	At    time.Time `json:"at"`
	About string    `json:"about"`
	Entry int64     `json:"entry"` // -1 = it rests on an access record
	Says  string    `json:"says"`
}

const (
	usualTest    = 30 * 24 * time.Hour
	longestTest  = 400 * 24 * time.Hour
	mostExamples = 10
)

// Says is the result in a sentence.
func (b *BackTest) Says() string {
	days := int(b.Until.Sub(b.From).Hours()/24 + 0.5)
	s := fmt.Sprintf("would have fired %d times in %d days", b.Fires, days)
	if b.Fires == 1 {
		s = fmt.Sprintf("would have fired once in %d days", days)
	}
	if b.InIncidents > 0 {
		s += fmt.Sprintf(", %d inside known incidents (%s)", b.InIncidents, few(b.Incidents))
	}
	return s
}

// SaysKept is how it does on incidents that are kept, in sentences.
func (b *BackTest) SaysKept() string {
	says := "It fires on none of them."
	if len(b.Sees) > 0 {
		says = "It fires on " + few(b.Sees) + "."
	}
	if len(b.Loses) > 0 {
		says += " With it nothing of your own would see " + few(b.Loses) + ": it cannot take the place of the version that watches."
	}
	return says
}

// TestRule asks a rule about what is stored since a time; zero = 30 days. A text that is the
// one of a version on its way makes that version tested, where it was asked about 30 days or
// more. kept is its number, 0 = none.
func (s *Service) TestRule(ctx context.Context, who actor.Actor, text string, since time.Duration) (res BackTest, kept int64, err error) { // clause: mon.alarms
	if err := s.mayRule(ctx, who, access.WatchManage, "new"); err != nil {
		return res, 0, err
	}
	if since == 0 {
		since = usualTest
	}
	if since < time.Hour || since > longestTest {
		return res, 0, bad("since", "The time of the back-test is not good.", "1h to 400d.")
	}
	u, err := readOwn(text)
	if err != nil {
		return res, 0, err
	}
	res = BackTest{From: s.Now().Add(-since), Until: s.Now(), Incidents: []string{}, Sees: []string{}, Loses: []string{}, Examples: []Example{}, Warnings: append([]string{}, warnings(u.rules)...)}
	if err := s.replayBoth(ctx, who, &u, &res); err != nil {
		return res, 0, err
	}
	b, err := json.Marshal(res)
	if err != nil {
		return res, 0, fmt.Errorf("encode a back-test: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		kept = 0
		v, err := s.nextVersion(ctx, tx, u.head.ID)
		if err == nil && v.SHA256 == textHash(text) && v.State != Enabled && since >= usualTest {
			kept = v.N
			state := v.State
			if state == Draft {
				state = Tested
			}
			_, err = tx.Exec(ctx, `UPDATE watch_rule_version SET state = $3, tested = $4, result = $5 WHERE rule = $1 AND n = $2`, v.Rule, v.N, state, us(tx.Now()), string(b))
		}
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
		return RuleBackTested{Rule: u.head.ID, Version: kept, SHA256: textHash(text), From: res.From, Until: res.Until, Events: res.Events, Fires: res.Fires, InIncidents: res.InIncidents}, nil
	})
	return res, kept, err //nolint:wrapcheck // the ledger says what failed
}

// replaying is a back-test of one version under way.
type replaying struct {
	*BackTest
	engine *sigma.Engine
	asks   []recordField // of records, that the engine looks at
	cases  []Case
	judged []Case               // alarms of the rule that were true, or meant
	last   map[string]time.Time // about whom it fired last
	quiet  time.Duration
}

// replayBoth feeds history to a rule, as it would have come; beside it to the version that watches.
func (s *Service) replayBoth(ctx context.Context, who actor.Actor, u *unit, res *BackTest) error {
	cases, err := s.History.Cases(ctx)
	if err != nil {
		return fmt.Errorf("known incidents: %w", err)
	}
	judged, err := s.judgedRight(ctx, u.head.ID, res.From)
	if err != nil {
		return err
	}
	units, results := []*unit{u}, []*BackTest{res}
	now, err := s.watching(ctx, s.DB)
	if err != nil {
		return err
	}
	if old, watches := now[u.head.ID]; watches {
		units, results = append(units, &old), append(results, &BackTest{From: res.From, Until: res.Until})
	}
	var rs []*replaying
	for i, x := range units {
		e, errs := sigma.New(sigma.Unit{Key: x.head.ID, Rules: x.rules})
		if len(errs) > 0 { // readOwn linked them already
			return errs[0]
		}
		rs = append(rs, &replaying{BackTest: results[i], engine: e, cases: cases, judged: judged, last: map[string]time.Time{}, quiet: x.rule().quietFor() + rejoins})
	}
	if err := s.replay(ctx, who, units, rs); err != nil {
		return err
	}
	return s.weighTest(ctx, units, results)
}

// weighTest adds to a result how it stands to the incidents that are kept, and to the version that
// watches.
func (s *Service) weighTest(ctx context.Context, units []*unit, results []*BackTest) error {
	res := results[0]
	res.Before, res.Weighed = 1, true
	for i, u := range units {
		h, err := s.hold(ctx, u.head.ID, u)
		if err != nil {
			return err
		}
		results[i].Sees = append([]string{}, h.sees...)
		if i == 0 {
			res.Loses = append([]string{}, h.loses...)
		} else {
			res.Before, _ = results[i].Precision()
		}
	}
	return nil
}

// judgedRight is when alarms of a rule went on of which somebody said that they were true or meant.
func (s *Service) judgedRight(ctx context.Context, rule string, since time.Time) (out []Case, err error) {
	err = s.DB.Each(ctx, `SELECT opened, seen FROM watch_alarm WHERE rule = $1 AND state = 'closed' AND verdict IN ('true', 'benign') AND NOT test AND closed >= $2 ORDER BY closed DESC LIMIT 1000`, func(scan ledger.Scan) error {
		var opened, seen int64
		err := scan(&opened, &seen)
		out = append(out, Case{From: at(opened).Add(-slack), Until: at(max(opened, seen)).Add(slack)})
		return err
	}, rule, us(since))
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// replay feeds history to some versions of a rule, as it would have come.
func (s *Service) replay(ctx context.Context, who actor.Actor, units []*unit, rs []*replaying) error {
	res := rs[0].BackTest
	var entries, ofRecords bool
	for _, u := range units {
		for _, x := range u.rules {
			a, b := kindOf(x.Source)
			entries, ofRecords = entries || x.Correlation == nil && a, ofRecords || x.Correlation == nil && b
		}
	}
	if entries {
		if err := s.History.Entries(ctx, res.From, func(es []journal.Entry) error { return s.replayEntries(ctx, rs, es) }); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
	}
	if ofRecords {
		ref, ev, hide := int64(0), &sigma.Event{}, s.hider(ctx)
		for _, r := range rs {
			r.asks = recordsAs(r.engine.Asks(records))
		}
		err := s.History.Records(ctx, who, res.From, func(as []Handled) error {
			for i := range as {
				a := &as[i]
				if a.ofCanary() || a.At.Before(res.From) {
					continue
				}
				ref++
				for _, r := range rs {
					r.feed(fillRecord(ev, r.asks, a, ref), -1, aboutRecord(a), func(v string) string { return hide(v, a.At) }, func() string { return a.Method + " " + a.Route + " answered " + strconv.Itoa(a.Status) })
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("read the access records: %w", err)
		}
	}
	return nil
}

// hider hides networks as hidden does, and remembers the last ones.
func (s *Service) hider(ctx context.Context) func(v string, when time.Time) string {
	type month struct {
		v string
		n int
	}
	known := map[month]string{}
	return func(v string, when time.Time) string {
		if !strings.Contains(v, "/") {
			return v
		}
		u := when.UTC()
		at := month{v, 12*u.Year() + int(u.Month())}
		out, ok := known[at]
		if !ok {
			if len(known) >= mostNames {
				clear(known)
			}
			out = s.hidden(ctx, v, when)
			known[at] = out
		}
		return out
	}
}

func (s *Service) replayEntries(ctx context.Context, rs []*replaying, es []journal.Entry) error {
	for i := range es {
		e := &es[i]
		if l := logOf(e.Stream); e.Happened.Before(rs[0].From) || !slices.ContainsFunc(rs, func(r *replaying) bool { return r.engine.Wants(l) }) {
			rs[0].Events++
			continue
		}
		canary, err := s.isCanary(ctx, e)
		if err != nil {
			return err
		}
		for _, r := range rs {
			if !canary {
				r.feed(eventOfEntry(e), e.N, byWhom(e), same, func() string { return e.Stream })
			}
		}
	}
	return ctx.Err()
}

// feed asks the rule about one event, and counts the alarms that would have come: what fires
// again while an alarm is open joins it.
func (r *replaying) feed(ev *sigma.Event, entry int64, about string, mask func(string) string, says func() string) {
	r.Events++
	for _, h := range r.engine.Feed(ev) {
		r.Hits++
		about := ofHit(&h, about, mask)
		last, was := r.last[about]
		if len(r.last) < mostApart || was {
			r.last[about] = ev.At
		}
		if was && ev.At.Sub(last) <= r.quiet {
			continue
		}
		r.Fires++
		if c := around(r.cases, ev.At); c != nil {
			r.InIncidents++
			if !slices.Contains(r.Incidents, c.Name) {
				r.Incidents = append(r.Incidents, c.Name)
			}
		} else if around(r.judged, ev.At) != nil {
			r.Judged++
		}
		if len(r.Examples) < mostExamples {
			x := Example{At: ev.At, About: mask(about), Entry: entry, Says: says()}
			if c := h.Rule.Correlation; c != nil {
				x.Says += "; " + strconv.FormatFloat(h.Value, 'f', -1, 64) + " in " + span(c.Within)
			}
			r.Examples = append(r.Examples, x)
		}
	}
}

// around is what went on at a time; nil = nothing.
func around(cases []Case, t time.Time) *Case {
	i := slices.IndexFunc(cases, func(c Case) bool { return !t.Before(c.From) && (c.Until.IsZero() || !t.After(c.Until)) })
	if i < 0 {
		return nil
	}
	return &cases[i]
}
