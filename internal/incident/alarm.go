package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
)

// Followed is the name of incidents as a follower of the journal.
const Followed = "incident"

// Alarm is one of whoever watches.
type Alarm struct {
	ID       string
	Rule     string
	Part     string // of the service
	Severity string
	Title    string
	Kind     string // of incident that it suggests
	Test     bool
	Over     bool // its cause is gone, or somebody has said what it was
}

// Alarms is what this package needs of whoever watches. Without it no alarm begins an incident.
type Alarms interface {
	// Alarm tells of one; fault.NotFound.
	Alarm(ctx context.Context, id string) (Alarm, error)
	// False says that it was nothing. Where somebody has said what it was, that stays.
	False(ctx context.Context, id, why string) error
}

// Told is what told of an incident.
type Told struct {
	ID   string // alarm/ID, entry/ID, report/ID
	Kind string // of incident that it suggests
	Says string
	At   time.Time
}

// stale is how long after an alarm that is over, or spending, nobody is called for it any more:
// a journal that is read for the first time is full of them.
const (
	staleAlarm = 15 * time.Minute
	staleSpend = 24 * time.Hour
	mostTold   = 100 // in one entry
)

// Follow has alarms, and spending that crosses its plan, begin incidents; it is a follower of
// the journal. What a former run did with an entry stands in the rows, so that nothing begins
// twice.
func (s *Service) Follow(ctx context.Context, entries []journal.Entry) error { // clause: inc.categorise
	var all []Told
	for i := range entries {
		if err := s.refired(ctx, &entries[i]); err != nil {
			return err
		}
		t, err := s.toldBy(ctx, &entries[i])
		if err != nil {
			return err
		}
		if t.ID == "" || slices.ContainsFunc(all, func(x Told) bool { return x.ID == t.ID }) {
			continue
		}
		if err := ledger.One(ctx, s.DB, signalRow, []any{new(string)}, t.ID); err == nil {
			continue
		} else if !errors.Is(err, fault.NotFound) {
			return fmt.Errorf("read signals: %w", err)
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b Told) int { return strings.Compare(a.Kind, b.Kind) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && n < mostTold && all[n].Kind == all[0].Kind {
			n++
		}
		if err := s.tell(ctx, all[:n], nil); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// refired takes an incident that is being watched back to work when an alarm of its own fires again.
func (s *Service) refired(ctx context.Context, e *journal.Entry) error {
	if e.Stream != "watch.alarm-reopened" {
		return nil
	}
	probe := "alarm/" + field(*e, "alarm")
	cs, err := s.cases(ctx, s.DB, caseOfSignal, probe)
	if err != nil {
		return err
	}
	return s.redAgain(ctx, slices.DeleteFunc(cs, func(c Case) bool { return !e.Happened.After(c.Mitigated) }), probe)
}

// toldBy is what an entry says to this package; the zero Told is nothing.
func (s *Service) toldBy(ctx context.Context, e *journal.Entry) (Told, error) {
	ago := s.Now().Sub(e.Happened)
	switch {
	case e.Stream == "watch.budget-crossed" && ago < staleSpend && field(*e, "route") != "notice-only": // clause: mon.budget-is-signal
		says := fmt.Sprintf("Spending: %s is at %s %% of its plan", cutTo(field(*e, "budget"), 60), cutTo(field(*e, "level"), 10))
		if field(*e, "level") == "forecast" {
			says = "Spending: " + cutTo(field(*e, "budget"), 60) + " will go over its plan"
		}
		return Told{ID: "entry/" + e.ID, Kind: "load-attack", Says: says, At: e.Happened}, nil
	case e.Stream != "watch.alarm-opened" || s.Alarms == nil:
		return Told{}, nil
	}
	a, err := s.Alarms.Alarm(ctx, field(*e, "alarm"))
	if errors.Is(err, fault.NotFound) {
		return Told{}, nil // it was removed long ago
	}
	if err != nil {
		return Told{}, fmt.Errorf("read an alarm: %w", err)
	}
	begins := s.Rules.Get().Alarms
	if a.Test || a.Over && ago > staleAlarm || !slices.Contains(begins, a.Severity) && !slices.Contains(begins, a.Part) && !slices.Contains(begins, a.Rule) {
		return Told{}, nil
	}
	return Told{ID: "alarm/" + a.ID, Kind: a.Kind, Says: cutTo(a.Title, 160), At: e.Happened}, nil
}

// Begins reports whether an entry would be taken for a signal, and does nothing about it.
func (s *Service) Begins(ctx context.Context, e *journal.Entry) (bool, error) {
	t, err := s.toldBy(ctx, e)
	return t.ID != "", err
}

func cutTo(v string, n int) string {
	r := []rune(v)
	return string(r[:min(len(r), n)])
}

// tell adds signals of one kind to the incident that they belong to, or begins it; also, which may
// be nil, writes what belongs to that change.
func (s *Service) tell(ctx context.Context, all []Told, also func(tx *ledger.Tx, id string) error) error {
	near, err := s.cases(ctx, s.DB, suggested, all[0].Kind, us(s.Now().Add(-alike)))
	if err != nil {
		return err
	}
	for _, c := range near {
		var back []string // those that are red since it is being watched
		for _, t := range all {
			if !c.Mitigated.IsZero() && t.At.After(c.Mitigated) {
				back = append(back, t.ID)
			}
		}
		var letters []jobs.Job
		if len(back) > 0 {
			if letters, err = s.relapsing(ctx, c, back); err != nil {
				return err
			}
		}
		_, err := s.change(ctx, actor.System("incident"), c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
			if !c.Open() {
				return nil, fault.Newf(fault.Conflict, "over", "It is over meanwhile.")
			}
			ev, err := s.add(ctx, tx, c.ID, all)
			if err == nil && also != nil {
				err = also(tx, c.ID)
			}
			if err == nil && len(back) > 0 {
				err = s.relapse(ctx, tx, c, back, letters)
			}
			return ev, err
		})
		if fault.KindOf(err) == fault.Conflict {
			continue // the next one, or one of their own
		}
		return err
	}
	in := Signal{Title: all[0].Says, Onset: s.since(all[0].At)}
	_, _, err = s.declare(ctx, actor.System("incident"), in, sourceOf(all[0].ID), func(tx *ledger.Tx, id string) error {
		ev, err := s.add(ctx, tx, id, all)
		if err == nil {
			tx.Also(ev)
		}
		if err == nil && also != nil {
			err = also(tx, id)
		}
		return err
	})
	return err
}

// since is when something began, as an incident may say it: clocks differ, and an alarm may
// have stood for years.
func (s *Service) since(t time.Time) time.Time {
	now := s.Now()
	if t.After(now) {
		return now
	}
	if year := now.AddDate(-1, 0, 1); t.Before(year) {
		return year
	}
	return t
}

// overrun begins an incident where maintenance takes longer than it was announced to.
func (s *Service) overrun(ctx context.Context) error {
	late, err := s.Page.Late(ctx)
	if err != nil {
		return err
	}
	for _, w := range late {
		t := Told{ID: "window/" + w.ID + "/" + w.Ends.UTC().Format(time.RFC3339), Kind: "usability", Says: cutTo("Maintenance is not over in time: "+w.Title, 160), At: w.Ends}
		if err := ledger.One(ctx, s.DB, signalRow, []any{new(string)}, t.ID); errors.Is(err, fault.NotFound) {
			err = s.tell(ctx, []Told{t}, nil)
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// unbegun tells who acts in incidents of maintenance that is due and waits for their word: at its
// time, and each half hour after it.
func (s *Service) unbegun(ctx context.Context) error { // clause: inc.public-notice
	ws, err := s.Page.Unbegun(ctx)
	if err != nil {
		return err
	}
	for _, w := range ws {
		nth := int64(s.Now().Sub(w.Starts) / unbegunEvery)
		if known, err := s.Page.Nagged(ctx, w, nth); err != nil || known {
			if err != nil {
				return err
			}
			continue
		}
		letters, err := s.letters(ctx, nil, unbegunLetter(s, w))
		if err != nil {
			return err
		}
		if err := s.Page.Nag(ctx, w, nth, int64(len(letters)), func(tx *ledger.Tx) error { return s.enqueue(ctx, tx, letters) }); err != nil {
			return err
		}
	}
	return nil
}

// unbegunEvery is how often they are told.
const unbegunEvery = 30 * time.Minute

// sourceOf is how an incident says what it began with.
func sourceOf(id string) string {
	switch kind, _, _ := strings.Cut(id, "/"); kind {
	case "alarm", "report", "impact":
		return kind
	case "window":
		return "maintenance"
	}
	return "spending"
}

// add writes what told of an incident.
func (s *Service) add(ctx context.Context, tx *ledger.Tx, id string, all []Told) (ledger.Event, error) {
	ev := SignalsSeen{Incident: id}
	for _, t := range all {
		n, err := tx.Exec(ctx, insertSignal, t.ID, id, t.Kind, t.Says, us(t.At))
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "signal_known", "Another node was first.")
		}
		if err != nil {
			return nil, err
		}
		ev.Signals = append(ev.Signals, t.ID)
	}
	return ev, nil
}

// judge tells alarms that they were nothing, where their incident was cancelled. It is done
// again after a crash until it is written down.
func (s *Service) judge(ctx context.Context) error {
	if s.Alarms == nil {
		return nil
	}
	type row struct {
		id, of string
		number int64
	}
	var rows []row
	if err := s.DB.Each(ctx, unjudged, func(scan ledger.Scan) error {
		var r row
		err := scan(&r.id, &r.of, &r.number)
		rows = append(rows, r)
		return err
	}); err != nil {
		return fmt.Errorf("read signals: %w", err)
	}
	for _, r := range rows {
		if err := s.Alarms.False(ctx, strings.TrimPrefix(r.id, "alarm/"), fmt.Sprintf("I-%d was cancelled", r.number)); err != nil && !errors.Is(err, fault.NotFound) {
			return fmt.Errorf("say what an alarm was: %w", err)
		}
		if _, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			_, err := tx.Exec(ctx, judgeSignal, r.id, us(tx.Now()))
			return SignalJudged{Incident: r.of, Signal: r.id, Verdict: "false"}, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Split takes a signal out of an incident: it begins one of its own.
func (s *Service) Split(ctx context.Context, who actor.Actor, ref, signal, reason string) (Case, error) { // clause: inc.categorise
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	all, err := s.told(ctx, c.ID)
	if err != nil {
		return Case{}, err
	}
	i := slices.IndexFunc(all, func(t Told) bool { return t.ID == signal })
	if i < 0 || len(all) < 2 && c.Source != "person" && c.Source != "operator" {
		return Case{}, fault.New(fault.Conflict, "signal_alone", fault.Public{Problem: c.Ref() + " has no such signal beside others.", Next: "Look at what told of it: writ incident show " + c.Ref()})
	}
	in := Signal{Title: all[i].Says, Component: c.Component, Onset: s.since(all[i].At)}
	out, _, err := s.declare(ctx, who, in, sourceOf(signal), func(tx *ledger.Tx, id string) error {
		n, err := tx.Exec(ctx, moveSignal, signal, c.ID, id)
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "signal_known", "Somebody was first.")
		}
		if report, ok := strings.CutPrefix(signal, "report/"); ok && err == nil {
			_, err = tx.Exec(ctx, moveReport, report, id)
		}
		tx.Also(SignalMoved{Incident: c.ID, Into: id, Signal: signal, reason: reason})
		return err
	})
	return out, err
}

// OfSignal are the incidents that something told of, such as alarm/ID: one, or none.
func (s *Service) OfSignal(ctx context.Context, who actor.Actor, signal string) ([]Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return nil, err
	}
	return s.cases(ctx, s.DB, caseOfSignal, signal)
}

// told is what told of an incident, the oldest first, at most five hundred.
func (s *Service) told(ctx context.Context, id string) ([]Told, error) {
	var out []Told
	err := s.DB.Each(ctx, signalsOf, func(scan ledger.Scan) error {
		var t Told
		var seen int64
		err := scan(&t.ID, &t.Kind, &t.Says, &seen)
		t.At = at(seen)
		out = append(out, t)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read signals: %w", err)
	}
	return out, nil
}

// suggestedKinds are what was decided; before that what the first signal suggests.
func suggestedKinds(c Case, all []Told) []string {
	if c.States[engine.L] != "L0" && c.States[engine.L] != "L1" || len(c.Categories) > 0 {
		return c.Categories
	}
	var out []string
	if len(all) > 0 {
		out = append(out, all[0].Kind)
	}
	return out
}

const (
	signalRow    = `SELECT case_id FROM incident_signal WHERE id = $1`
	insertSignal = `INSERT INTO incident_signal (id, case_id, kind, says, at, judged) VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT (id) DO NOTHING`
	moveSignal   = `UPDATE incident_signal SET case_id = $3 WHERE id = $1 AND case_id = $2`
	moveSignals  = `UPDATE incident_signal SET case_id = $2 WHERE case_id = $1`
	judgeSignal  = `UPDATE incident_signal SET judged = $2 WHERE id = $1 AND judged IS NULL`
	signalsOf    = `SELECT id, kind, says, at FROM incident_signal WHERE case_id = $1 ORDER BY at, id LIMIT 500`
	caseOfSignal = caseColumns + ` WHERE id IN (SELECT case_id FROM incident_signal WHERE id = $1)`
	unjudged     = `SELECT s.id, s.case_id, c.number FROM incident_case c JOIN incident_signal s ON s.case_id = c.id WHERE c.l = 'LX' AND c.joined = '' AND s.judged IS NULL AND s.id LIKE 'alarm/%' ORDER BY s.id LIMIT 50`
	suggested    = caseColumns + ` WHERE l IN ('L0', 'L1', 'L2', 'L3') AND NOT drill AND component = ''
		AND (' ' || categories || ' ' LIKE '% ' || $1 || ' %' OR categories = '' AND EXISTS (SELECT 1 FROM incident_signal s WHERE s.case_id = incident_case.id AND s.kind = $1))
		AND (declared > $2 OR l = 'L3' AND mitigated > $2 OR EXISTS (SELECT 1 FROM incident_signal s WHERE s.case_id = incident_case.id AND s.at > $2)) ORDER BY declared DESC LIMIT 5`
)
