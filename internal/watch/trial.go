package watch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// A trial fires rules through all that makes an alarm (weight, counts, thresholds, the time
// that must pass, the row) in one change that takes everything back but the note that it fired.
const (
	trialWho = "trial"
	atOnce   = 6 // rules in one change, whose time is limited; fewer where that is too much
)

// errNotFired is what a trial says of a rule.
var errNotFired = errors.New("watch: the rule did not fire")

// Try fires every rule in a trial and says which fell silent.
func (s *Service) Try(ctx context.Context) (fired, silent []string, err error) { // clause: mon.alarms
	pace := series.NewPace(atOnce, 1)
	for all := s.pack().all; len(all) > 0; {
		part := all[:min(len(all), pace.Some())]
		yes, no, err := s.trySome(ctx, part)
		if pace.Heed(err) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("fire the rules: %w", err)
		}
		fired, silent, all = append(fired, yes...), append(silent, no...), all[len(part):]
	}
	return fired, silent, nil
}

// trySome fires some rules in one change.
func (s *Service) trySome(ctx context.Context, part []Rule) (yes, no []string, err error) {
	shots := make([]shot, len(part))
	for i := range part {
		shots[i] = s.load(&part[i])
	}
	_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		yes, no = nil, nil
		for i := range part {
			var last int64
			err := ledger.One(ctx, tx, `SELECT fired FROM watch_rule WHERE id = $1`, []any{&last}, part[i].ID)
			if err == nil || errors.Is(err, fault.NotFound) {
				err = s.try(ctx, tx, shots[i])
			}
			if errors.Is(err, errNotFired) {
				no = append(no, part[i].ID)
				continue
			}
			if err != nil {
				return nil, err
			}
			yes = append(yes, part[i].ID)
			if _, err := tx.Exec(ctx, ruleTried, part[i].ID, us(tx.Now()), last); err != nil {
				return nil, err
			}
		}
		return RulesFired{Rules: yes, Silent: no}, nil
	})
	return yes, no, err //nolint:wrapcheck // its caller says which act
}

// shot is what fires a rule, made ready outside the change: one sighting, or one fact.
type shot struct {
	rule    *Rule
	fact    *fact
	reading *Reading
}

// load makes a rule's trial ready, through the same weighing as entries of the journal.
func (s *Service) load(r *Rule) (x shot) {
	x.rule = r
	if r.fire == nil {
		return x
	}
	t := r.fire(r)
	if r.Reads != "" {
		if t.reading.Meter == r.Reads && t.reading.Value > r.Above {
			x.reading = &t.reading
		}
		return x
	}
	for i := range t.entries {
		for _, f := range s.factsOf(nil, &t.entries[i]) {
			switch {
			case f.rule.ID != r.ID || f.ends:
			case x.fact == nil:
				x.fact = f
			default:
				x.fact.n += f.n
			}
		}
	}
	return x
}

func (s *Service) try(ctx context.Context, tx *ledger.Tx, x shot) (err error) {
	now := tx.Now()
	switch {
	case x.reading != nil:
		_, err = s.raise(ctx, tx, sighting{rule: x.rule, who: trialWho, at: now, n: 1, value: strconv.FormatFloat(x.reading.Value, 'f', 1, 64), hold: true})
	case x.fact != nil:
		f := *x.fact
		f.who, f.entries, f.at, f.minute = trialWho, nil, now, now.UnixMicro()/time.Minute.Microseconds()
		_, err = s.count(ctx, tx, &f)
	default:
		return errNotFired
	}
	if err != nil {
		return err
	}
	return s.takeBack(ctx, tx, x.rule)
}

// takeBack removes what a trial made, and says whether it was an alarm.
func (s *Service) takeBack(ctx context.Context, tx *ledger.Tx, r *Rule) error {
	h := sighting{rule: r, who: trialWho}
	as, err := s.read(ctx, tx, sameAlarm, fingerprint(h.labels()), us(tx.Now()))
	if err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM watch_evidence WHERE alarm = $1`, `DELETE FROM watch_alarm_event WHERE alarm = $1`, `DELETE FROM watch_alarm WHERE id = $1`} {
		for _, a := range as {
			if _, err := tx.Exec(ctx, q, a.ID); err != nil {
				return err
			}
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM watch_count WHERE rule = $1 AND who = $2`, r.ID, trialWho); err != nil {
		return err
	}
	want := Firing
	if r.For > 0 {
		want = Pending
	}
	if len(as) != 1 || as[0].State != want {
		return errNotFired
	}
	return nil
}

// Fire opens a test alarm of a rule, which goes to people like any other and says that it is
// a test.
func (s *Service) Fire(ctx context.Context, who actor.Actor, id string) (alarm string, err error) {
	if err := s.Access.Allow(ctx, who, access.WatchAct, "rule/"+id); err != nil {
		return "", err //nolint:wrapcheck // a fault for the reader
	}
	r := s.ruleOf(id)
	if r == nil {
		return "", fault.New(fault.NotFound, "rule_unknown", fault.Public{Problem: "There is no such rule.", Next: "Look at: writ watch rules"})
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		h := sighting{rule: r, at: tx.Now(), n: 1, value: "a test", test: true}
		mark := fingerprint(h.labels())
		evs, err := s.raise(ctx, tx, h)
		if err != nil {
			return nil, err
		}
		as, err := s.read(ctx, tx, sameAlarm, mark, us(tx.Now()))
		if err != nil {
			return nil, err
		}
		if len(evs) == 0 || len(as) == 0 {
			return nil, fault.New(fault.Conflict, "alarm_state", fault.Public{Problem: "A test of this rule is going on already.", Next: "Close it first."})
		}
		alarm = as[0].ID
		return evs[0], nil
	})
	if err == nil {
		s.nudge()
	}
	return alarm, err //nolint:wrapcheck // the ledger says what failed
}

const ruleTried = `INSERT INTO watch_rule (id, fired, tried) VALUES ($1, $3, $2) ON CONFLICT (id) DO UPDATE SET tried = excluded.tried, fired = excluded.fired`
