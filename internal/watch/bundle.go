package watch

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/watch/sigma"
)

// What is in a bundle of an alarm, under alarm/.
const (
	bundledAlarm = "alarm.json"
	bundledRule  = "rule.yaml" // of a rule that a company wrote
	bundledMost  = 1000        // entries that a rule is asked about again
	bundledBytes = 1 << 20
)

// bundled is what a bundle says of an alarm, beside the entries.
type bundled struct {
	Version int         `json:"v"`
	Alarm   string      `json:"alarm"`
	Rule    string      `json:"rule"`
	Title   string      `json:"title"`
	Says    string      `json:"says"`
	Form    *form       `json:"form,omitempty"`   // of a rule that is there from the first start
	Own     bool        `json:"own,omitempty"`    // the rule is in rule.yaml
	About   string      `json:"about,omitempty"`  // pseudonym or thing that it fired on
	Opened  int64       `json:"opened"`           // number of the entry that says that it fired
	Events  []int64     `json:"events"`           // numbers of those that the rule fires on
	Beyond  bool        `json:"beyond,omitempty"` // it rests on more, or on access records, which are no entries
	Stands  bundledLife `json:"stands"`
}

type bundledLife struct {
	Severity string            `json:"severity"`
	Labels   map[string]string `json:"labels"`
	State    string            `json:"state"`
	Fired    time.Time         `json:"fired"`
	Value    string            `json:"value"`
	Count    int64             `json:"count"`
	Verdict  string            `json:"verdict,omitempty"`
}

// Bundle writes an alarm with its evidence: the entries that it rests on and those about it, each
// with its proof, and what the rule said when it fired. writ verify asks that rule once more,
// without this server. Hidden values stay closed.
func (s *Service) Bundle(ctx context.Context, who actor.Actor, id string, w io.Writer) error { // clause: mon.alarms
	if err := s.Access.Allow(ctx, who, access.WatchRead, "alarm/"+id); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	a, err := s.one(ctx, s.DB, id)
	if err != nil {
		return err
	}
	also, err := s.evidenceOf(ctx, id)
	if err != nil {
		return err
	}
	b, files, err := s.gatherAlarm(ctx, &a, also)
	if err != nil {
		return err
	}
	if files[bundledAlarm], err = json.MarshalIndent(b, "", "  "); err != nil {
		return fmt.Errorf("encode a bundle: %w", err)
	}
	ev, beside := AlarmBundled{Alarm: id}, map[string][]byte{}
	for _, name := range []string{bundledAlarm, bundledRule} {
		if body := files[name]; body != nil {
			ev.Files = append(ev.Files, fmt.Sprintf("%x  %s", sha256.Sum256(body), name))
			beside["alarm/"+name] = body
		}
	}
	r, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err != nil {
		return fmt.Errorf("record a bundle: %w", err)
	}
	wait, stop := context.WithTimeout(ctx, 15*time.Second)
	defer stop()
	if _, err := s.Journal.Wait(wait, r.ID); err != nil {
		return fmt.Errorf("record a bundle: %w", err)
	}
	return s.Journal.Export(ctx, who, journal.Evidence{Query: journal.Query{Object: "alarm/" + id}, Also: append(also, b.Events...), Reason: "the evidence of an alarm", Closed: true, Beside: beside}, w) //nolint:wrapcheck // says which act
}

// gatherAlarm finds the entries that the rule of an alarm fired on, and what it said then.
func (s *Service) gatherAlarm(ctx context.Context, a *Alarm, also []int64) (b bundled, files map[string][]byte, err error) {
	opened, err := s.Journal.List(ctx, journal.Query{Object: "alarm/" + a.ID, Act: "watch.alarm-opened", Limit: 1})
	if err != nil {
		return b, nil, fmt.Errorf("find the entry of an alarm: %w", err)
	}
	if len(opened) == 0 {
		return b, nil, fault.New(fault.Conflict, "alarm_state", fault.Public{Problem: "The journal has no entry of this alarm: it has not fired yet.", Next: "Ask again in a second."})
	}
	b = bundled{Version: 1, Alarm: a.ID, Rule: a.Rule, Title: s.title(a), About: a.Labels["instance"], Opened: opened[0].N, Events: []int64{},
		Stands: bundledLife{a.Severity, a.Labels, a.State, a.Fired, a.Value, a.Count, a.Verdict}}
	files = map[string][]byte{}
	q := &question{about: b.About}
	if r := s.pack().byID[a.Rule]; r != nil {
		f := r.form()
		q.rule, b.Form, b.Says = r, &f, r.Says
	} else if err := s.gatherOwn(ctx, a.Rule, text(&opened[0], "version"), q, &b, files); err != nil {
		return b, nil, err
	}
	if a.Test || q.entries() == 0 {
		return b, files, nil
	}
	if b.Beyond = len(also) == 0; b.Beyond {
		return b, files, nil
	}
	b.Events, err = s.restsOn(ctx, a, q, also[0])
	return b, files, err
}

// gatherOwn finds the text of a rule of one's own as it was when the alarm fired.
func (s *Service) gatherOwn(ctx context.Context, rule, version string, q *question, b *bundled, files map[string][]byte) error {
	vs, err := s.versions(ctx, s.DB, `SELECT `+versionColumns+` FROM watch_rule_version WHERE rule = $1 AND sha256 = $2 ORDER BY n DESC LIMIT 1`, rule, version)
	if err != nil {
		return err
	}
	if len(vs) == 0 {
		return fault.New(fault.Gone, "rule_unknown", fault.Public{Problem: "The rule of this alarm is not kept any more, or the alarm is older than the record of its rule.", Next: "The entries it rests on are proved by: writ journal prove"})
	}
	b.Own, b.Title, b.Says, files[bundledRule] = true, vs[0].Title, vs[0].Says(), []byte(vs[0].Text)
	return q.read(files[bundledRule])
}

// errEnough ends a look at the past.
var errEnough = errors.New("watch: the rule has fired")

// restsOn are the entries that counted until the rule fired, in order, at most as many as a bundle
// holds.
func (s *Service) restsOn(ctx context.Context, a *Alarm, q *question, first int64) (events []int64, err error) {
	e, err := s.Journal.Entry(ctx, first)
	if err != nil {
		return nil, err //nolint:wrapcheck // the journal says what failed
	}
	err = s.History.Entries(ctx, e.Happened.Add(-q.entries()), func(es []journal.Entry) error {
		for i := range es {
			if es[i].At.After(a.Opened) {
				return errEnough
			}
			canary, err := s.isCanary(ctx, &es[i])
			if err != nil {
				return err
			}
			if canary {
				continue
			}
			counts, fires := q.ask(&es[i])
			if counts {
				events = append(events, es[i].N)
			}
			if fires && es[i].N >= first {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("look for what an alarm rests on: %w", err)
	}
	return slices.Clone(events[max(0, len(events)-bundledMost):]), nil
}

// question is a rule that is asked about entries once more, in their order.
type question struct {
	rule   *Rule
	unit   *unit
	engine *sigma.Engine
	about  string

	minutes map[int64]int64 // how much was counted, by minute
}

// read makes it a rule that a company wrote.
func (q *question) read(text []byte) error {
	u, err := readOwn(string(text))
	if err != nil {
		return err
	}
	e, errs := sigma.New(sigma.Unit{Key: u.head.ID, Rules: u.rules})
	if len(errs) > 0 {
		return errs[0]
	}
	q.unit, q.engine = &u, e
	return nil
}

// entries is how far before an entry others may lie that count with it; 0 = the rule is not asked
// about entries.
func (q *question) entries() time.Duration {
	switch {
	case q.unit != nil:
		return time.Duration(2*q.engine.Longest())*time.Microsecond + time.Minute
	case len(q.rule.Streams) == 0:
		return 0
	}
	return q.rule.Within + 2*time.Minute
}

// ask reports whether an entry counts for the rule, about the one that the alarm is about, and
// whether it fires with it.
func (q *question) ask(e *journal.Entry) (counts, fires bool) {
	if q.unit != nil {
		return q.askOwn(e)
	}
	r := q.rule
	if !slices.Contains(r.Streams, e.Stream) {
		return false, false
	}
	var f fact
	if weigh(r, e, &f) != nil || f.n == 0 || f.who != q.about && q.about != others {
		return false, false
	}
	if r.Within == 0 {
		return true, true
	}
	if q.minutes == nil {
		q.minutes = map[int64]int64{}
	}
	q.minutes[e.Happened.UnixMicro()/time.Minute.Microseconds()] += f.n
	from, sum := (e.Happened.UnixMicro()-r.Within.Microseconds())/time.Minute.Microseconds(), int64(0)
	for m, n := range q.minutes {
		if m > from {
			sum += n
		}
	}
	return true, sum >= r.Over
}

func (q *question) askOwn(e *journal.Entry) (counts, fires bool) {
	hits := q.engine.Feed(eventOfEntry(e))
	counts = len(q.engine.Made()) > 0
	fires = slices.ContainsFunc(hits, func(h sigma.Hit) bool { return ofHit(&h, byWhom(e), same) == q.about })
	return q.unit.head.Correlation != nil && counts || fires, fires
}

// Asked asks the rule of an alarm once more, of its bundle alone. What does not fit is an error;
// verify.ErrNotAsked where it rests on what no bundle holds.
func Asked(v verify.Alarm) (says string, err error) {
	raw := v.Files[bundledAlarm]
	var b bundled
	if len(raw) > bundledBytes || json.Unmarshal(raw, &b) != nil || b.Version != 1 || len(b.Events) > bundledMost || !slices.IsSorted(b.Events) {
		return "", errors.New("alarm.json is not what a bundle says of an alarm")
	}
	leaf, err := v.Leaf(b.Opened)
	if err != nil {
		return "", err
	}
	o, err := journal.EntryOf(leaf)
	if err != nil {
		return "", err //nolint:wrapcheck // says what is wrong with an entry
	}
	if o.Stream != "watch.alarm-opened" || o.Object != "alarm/"+b.Alarm || text(&o, "rule") != b.Rule {
		return "", fmt.Errorf("entry %d does not say that this rule fired", b.Opened)
	}
	q := &question{about: b.About}
	if b.Own {
		if sum := sha256.Sum256(v.Files[bundledRule]); fmt.Sprintf("%x", sum) != text(&o, "version") {
			return "", errors.New("rule.yaml is not the text that the rule had when it fired")
		}
		if err := q.read(v.Files[bundledRule]); err != nil {
			return "", err
		}
		if q.unit.head.ID != b.Rule {
			return "", errors.New("rule.yaml is another rule")
		}
	} else if q.rule = shippedWith(b.Rule, &o); q.rule == nil || q.rule.version() != text(&o, "version") {
		return "", fmt.Errorf("%w: this program has another version of %s than the one that fired", verify.ErrNotAsked, b.Rule)
	}
	test, _ := o.Field("test")
	switch {
	case test == true:
		return "the alarm is a test: somebody fired the rule, and it was asked about nothing", nil
	case q.entries() == 0:
		return readAgain(q.rule, &o)
	case b.Beyond:
		return "", fmt.Errorf("%w: it rests on access records, or on more entries than a bundle holds", verify.ErrNotAsked)
	}
	return q.again(b.Events, v.Leaf)
}

// shippedWith is a rule of this program with the bounds that the policy had when it fired; nil = this
// program has no such rule, or none with such bounds.
func shippedWith(id string, opened *journal.Entry) *Rule {
	shipped := index().byID[id]
	if shipped == nil {
		return nil
	}
	r := *shipped
	v, _ := opened.Field("bounds")
	list, _ := v.([]any)
	var bounds []string
	for _, b := range list {
		text, ok := b.(string)
		if !ok {
			return nil
		}
		bounds = append(bounds, text)
	}
	if r.set(bounds) != nil {
		return nil
	}
	return &r
}

// again asks about the entries of a bundle.
func (q *question) again(ns []int64, leaf func(int64) ([]byte, error)) (string, error) {
	for _, n := range ns {
		raw, err := leaf(n)
		if err != nil {
			return "", err
		}
		e, err := journal.EntryOf(raw)
		if err != nil {
			return "", err //nolint:wrapcheck // says what is wrong with an entry
		}
		if _, fires := q.ask(&e); fires {
			return fmt.Sprintf("the rule was asked again, and fires on these %d entries", len(ns)), nil
		}
	}
	return "", fmt.Errorf("the rule was asked again, and does not fire on these %d entries", len(ns))
}

// readAgain compares what was read with the rule, and with what was usual then.
func readAgain(r *Rule, o *journal.Entry) (string, error) {
	raw := text(o, "ground")
	if r.ID == pushedRule {
		return "the alarm was raised by another system: there is nothing that a rule here compared", nil
	}
	var g ground
	if json.Unmarshal([]byte(raw), &g) != nil {
		return "", errors.New("its entry does not say what was read")
	}
	if g.Reading <= r.Above {
		return "", fmt.Errorf("the rule was asked again, and does not fire at %g", g.Reading)
	}
	if g.Usual == nil {
		return fmt.Sprintf("the rule was asked again: %g was read, and it fires above %g", g.Reading, r.Above), nil
	}
	if err := g.Usual.beyond(r.ID); err != nil {
		return "", fmt.Errorf("the rule was asked again, and does not fire: %w", err)
	}
	return fmt.Sprintf("the rule was asked again: %g of %s came in the minute of %s, and up to %g was usual", g.Usual.Value, g.Usual.Meter, g.Usual.At.Format("2006-01-02 15:04"), g.Usual.High), nil
}
