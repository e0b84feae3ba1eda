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
	// Records records itself that somebody looks at them.
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

// TestRule asks a rule about what is stored since a time; zero = 30 days. A text that is the
// one of a version on its way makes that version tested. kept is its number, 0 = none.
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
	res = BackTest{From: s.Now().Add(-since), Until: s.Now(), Incidents: []string{}, Examples: []Example{}, Warnings: append([]string{}, warnings(u.rules)...)}
	if err := s.replay(ctx, who, &u, &res); err != nil {
		return res, 0, err
	}
	b, err := json.Marshal(res)
	if err != nil {
		return res, 0, fmt.Errorf("encode a back-test: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		kept = 0
		v, err := s.nextVersion(ctx, tx, u.head.ID)
		if err == nil && v.SHA256 == textHash(text) && v.State != Enabled {
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

// replaying is a back-test under way.
type replaying struct {
	*BackTest
	engine *sigma.Engine
	cases  []Case
	last   map[string]time.Time // about whom it fired last
	quiet  time.Duration
}

// replay feeds history to a rule, as it would have come.
func (s *Service) replay(ctx context.Context, who actor.Actor, u *unit, res *BackTest) error {
	e, errs := sigma.New(sigma.Unit{Key: u.head.ID, Rules: u.rules})
	if len(errs) > 0 { // readOwn linked them already
		return errs[0]
	}
	cases, err := s.History.Cases(ctx)
	if err != nil {
		return fmt.Errorf("known incidents: %w", err)
	}
	r := &replaying{BackTest: res, engine: e, cases: cases, last: map[string]time.Time{}, quiet: u.rule().quietFor() + rejoins}
	var entries, ofRecords bool
	for _, x := range u.rules {
		a, b := kindOf(x.Source)
		entries, ofRecords = entries || x.Correlation == nil && a, ofRecords || x.Correlation == nil && b
	}
	if entries {
		if err := s.History.Entries(ctx, res.From, func(es []journal.Entry) error { return s.replayEntries(ctx, r, es) }); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
	}
	if ofRecords {
		ref := int64(0)
		err := s.History.Records(ctx, who, res.From, func(as []Handled) error {
			for i := range as {
				a := &as[i]
				if a.ofCanary() || a.At.Before(res.From) {
					continue
				}
				ref++
				r.feed(eventOfRecord(a, ref), -1, aboutRecord(a), func(v string) string { return s.hidden(ctx, v, a.At) }, a.Method+" "+a.Route+" answered "+strconv.Itoa(a.Status))
			}
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("read the access records: %w", err)
		}
	}
	return nil
}

func (s *Service) replayEntries(ctx context.Context, r *replaying, es []journal.Entry) error {
	for i := range es {
		e := &es[i]
		if !r.engine.Wants(logOf(e.Stream)) || e.Happened.Before(r.From) {
			r.Events++
			continue
		}
		canary, err := s.isCanary(ctx, e)
		if err != nil {
			return err
		}
		if !canary {
			r.feed(eventOfEntry(e), e.N, byWhom(e), same, e.Stream)
		}
	}
	return ctx.Err()
}

// feed asks the rule about one event, and counts the alarms that would have come: what fires
// again while an alarm is open joins it.
func (r *replaying) feed(ev *sigma.Event, entry int64, about string, mask func(string) string, says string) {
	r.Events++
	for _, h := range r.engine.Feed(ev) {
		r.Hits++
		if c := h.Rule.Correlation; c != nil {
			vs := slices.Clone(h.Group)
			for i := range vs {
				vs[i] = mask(vs[i])
			}
			about, says = strings.Join(vs, " "), says+"; "+strconv.FormatFloat(h.Value, 'f', -1, 64)+" in "+span(c.Within)
		}
		last, was := r.last[about]
		if len(r.last) < mostApart || was {
			r.last[about] = ev.At
		}
		if was && ev.At.Sub(last) <= r.quiet {
			continue
		}
		r.Fires++
		for _, c := range r.cases {
			if !ev.At.Before(c.From) && (c.Until.IsZero() || !ev.At.After(c.Until)) {
				r.InIncidents++
				if !slices.Contains(r.Incidents, c.Name) {
					r.Incidents = append(r.Incidents, c.Name)
				}
				break
			}
		}
		if len(r.Examples) < mostExamples {
			r.Examples = append(r.Examples, Example{At: ev.At, About: mask(about), Entry: entry, Says: says})
		}
	}
}
