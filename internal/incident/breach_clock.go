package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// heldThings are what a hold keeps.
var heldThings = []string{"access-records", "journal", "recordings"}

// alarms are the hours after which a time of the law is told of, if it is longer than that.
var alarms = []time.Duration{24 * time.Hour, 48 * time.Hour, 60 * time.Hour, 68 * time.Hour}

// The clocks that each breach has: to decide whether it is one, from the first suspicion; what
// the law gives for the report to the authority, which no policy loosens or tightens; and what
// the policy gives for word to customers.
const (
	clockAssessment = "assessment"
	clockAuthority  = "authority"
	clockCustomers  = "customers"
	assessmentTime  = 72 * time.Hour // whoever looks longer may be held to have known
	authorityTime   = 72 * time.Hour // Article 33(1)
)

// reservedClocks are names that nobody gives to another one.
var reservedClocks = []string{clockAssessment, clockAuthority, clockCustomers}

// What a clock begins with.
const (
	fromAware     = "aware"
	fromDeclared  = "declared"
	fromSuspected = "suspected"
)

// Wall is a time of a law or a contract. It runs in wall hours and is never paused.
type Wall struct {
	Name   string
	Since  string // aware, declared, suspected
	Began  time.Time
	Within time.Duration
	Due    time.Time
	Ended  time.Time
	Void   bool // moved: another one counts
	Missed bool

	id, caseID string
	told       int64
}

// marks are when a clock is told of: at each alarm, and at its end.
func (w Wall) marks() []time.Duration {
	out := slices.DeleteFunc(slices.Clone(alarms), func(d time.Duration) bool { return d >= w.Within })
	return append(out, w.Within)
}

// breachBegun holds what tells of a breach, from the moment in which somebody suspects one,
// and begins the time in which it is decided whether it is one.
func (s *Service) breachBegun(ctx context.Context, tx *ledger.Tx, c Case) error { // clause: inc.breach-research
	n, err := tx.Exec(ctx, insertBreach, c.ID, us(tx.Now()))
	if err != nil || n != 1 {
		return err
	}
	tx.Also(HoldSet{Incident: c.ID, Of: heldThings})
	_, err = tx.Exec(ctx, insertWall, tx.ID(), c.ID, clockAssessment, us(tx.Now()), assessmentTime.Microseconds(), fromSuspected)
	return errors.Join(err, s.beginRows(ctx, tx, c.ID, fromDeclared, c.Declared))
}

// breachMoved does what a step of a breach does to the rows beside the state.
func (s *Service) breachMoved(ctx context.Context, tx *ledger.Tx, c Case, st engine.Step) error { // clause: inc.breach-notify
	switch st.Event {
	case "confirm":
		if _, err := tx.Exec(ctx, endWall, c.ID, us(tx.Now()), clockAssessment); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, setAware, c.ID, us(tx.Now())); err != nil {
			return err
		}
		tx.Also(AwareSet{Incident: c.ID, Aware: tx.Now()})
		return s.beginWalls(ctx, tx, c.ID, tx.Now())
	case "report":
		_, err := tx.Exec(ctx, endWall, c.ID, us(tx.Now()), clockAuthority)
		return err
	case "told":
		_, err := tx.Exec(ctx, endWalls, c.ID, us(tx.Now()), clockAuthority)
		return err
	case "dismiss", "prevent":
		if _, err := tx.Exec(ctx, endEachWall, c.ID, us(tx.Now())); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, liftLegal, c.ID, us(tx.Now()))
		if err == nil && n == 1 {
			tx.Also(HoldLifted{Incident: c.ID})
		}
		return err
	}
	return nil
}

// beginWalls begins the time of the law and that of the policy.
func (s *Service) beginWalls(ctx context.Context, tx *ledger.Tx, id string, aware time.Time) error {
	_, err := tx.Exec(ctx, insertWall, tx.ID()+"a", id, clockAuthority, us(aware), authorityTime.Microseconds(), fromAware)
	_, err2 := tx.Exec(ctx, insertWall, tx.ID()+"b", id, clockCustomers, us(aware), s.Rules.Get().Notify.Microseconds(), fromAware)
	return errors.Join(err, err2, s.beginRows(ctx, tx, id, fromAware, aware))
}

// timeIn is how long after a breach is known one of its states must be left: what comes before
// the report also within the time of the law, all within that of the policy.
func (s *Service) timeIn(c Case) time.Duration {
	within := s.Rules.Get().Notify
	if slices.Contains([]string{"B1", "B2", "B3"}, c.States[engine.B]) {
		within = min(within, authorityTime)
	}
	return within
}

// lawful is when a state of a breach must be left once it is known: the time of the law does
// not begin anew with each state.
func (s *Service) lawful(ctx context.Context, tx *ledger.Tx, c Case) (due time.Time, ok bool, err error) {
	var aware *int64
	err = ledger.One(ctx, tx, awareOf, []any{&aware}, c.ID)
	if errors.Is(err, fault.NotFound) {
		return time.Time{}, false, nil
	}
	return when(aware).Add(s.timeIn(c)), aware != nil, err
}

// HoldStands reports whether a legal hold stands: then nothing that tells of a breach is removed.
func (s *Service) HoldStands(ctx context.Context) (bool, error) { return holdStands(ctx, s.DB) }

// HoldKeeps refuses, inside the change that would begin it, to destroy what a hold keeps.
func (s *Service) HoldKeeps(ctx context.Context, tx *ledger.Tx) error { // clause: inc.breach-research
	held, err := holdStands(ctx, tx)
	if err == nil && held {
		err = fault.New(fault.Conflict, "held", fault.Public{Problem: "A legal hold of an incident keeps this: nothing of it may be destroyed.", Expected: "No breach that is being looked into.", Next: "Ask again when the incident is dealt with: writ incident list --open"})
	}
	return err
}

func holdStands(ctx context.Context, r ledger.Reader) (bool, error) {
	var n int64
	if err := ledger.One(ctx, r, countHeld, []any{&n}); err != nil {
		return true, fmt.Errorf("read legal holds: %w", err)
	}
	return n > 0, nil
}

// actHold looks whether the hold stands, and says so.
func (s *Service) actHold(ctx context.Context, c Case) (outcome, error) {
	var n int64
	if err := ledger.One(ctx, s.DB, heldOf, []any{&n}, c.ID); err != nil {
		return outcome{}, err
	}
	return outcome{Output: digest(append([]string{c.ID}, heldThings...)...), Count: n, Says: "Held unchanged: access records, journal, recordings."}, nil
}

// awareMove is a wish to move the time at which a breach was known.
type awareMove struct {
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
}

// MoveAware moves the time at which a breach was known, and with it each time of the law: the
// first of two people asks, another one agrees by asking for the same. The old times stay.
func (s *Service) MoveAware(ctx context.Context, who actor.Actor, ref string, to time.Time, reason string) (Case, error) { // clause: inc.breach-notify
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only people who are signed in move a time of the law, two of them.", Next: "Sign in: --as ADDRESS"})
	}
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	to = to.UTC().Truncate(time.Second)
	if to.After(s.Now()) || to.Before(s.Now().AddDate(-1, 0, 0)) {
		return Case{}, badPaper("aware", "to", "A time of the last year that is over.")
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	asked, err := s.paper(ctx, c, paperAware)
	if err != nil {
		return Case{}, err
	}
	var was awareMove
	open := asked != nil && asked.Read(&was) && was.To.Equal(to) && s.Now().Sub(asked.At) < approvalLife
	if open && asked.Author == who.ID {
		return Case{}, s.DB.Refuse(ctx, who, StepRefused{Incident: c.ID, State: c.States[engine.B], Wanted: "move-aware", Unmet: []string{"other-person"}},
			kept(c, engine.B, "move-aware", []engine.Lack{{Guard: "other-person", Words: "Whoever asked for it does not agree to it.", Who: "anybody else who works on it"}}))
	}
	if !open {
		return s.write(ctx, who, ref, paperAware, awareMove{to, reason}, nil)
	}
	return s.actBreach(ctx, who, ref, "move-aware", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		var aware *int64
		if err := ledger.One(ctx, tx, awareOf, []any{&aware}, c.ID); err != nil {
			return nil, err
		}
		if aware == nil || *aware == us(to) {
			return nil, kept(*c, engine.B, "move-aware", nil)
		}
		return AwareSet{Incident: c.ID, Aware: to, Was: at(*aware), Signers: pairs, People: []string{asked.Author, who.ID}, reason: reason}, s.moveAware(ctx, tx, *c, to)
	})
}

func (s *Service) moveAware(ctx context.Context, tx *ledger.Tx, c Case, to time.Time) error {
	if _, err := tx.Exec(ctx, setAware, c.ID, us(to)); err != nil {
		return err
	}
	var open []Wall
	if err := tx.Each(ctx, wallsOf, func(scan ledger.Scan) error {
		w, err := readWall(scan)
		if w.Ended.IsZero() && !w.Void && w.Since == fromAware {
			open = append(open, w)
		}
		return err
	}, c.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, voidWalls, c.ID); err != nil {
		return err
	}
	for i, w := range open {
		if _, err := tx.Exec(ctx, insertWall, tx.ID()+fmt.Sprintf("m%03d", i), c.ID, w.Name, us(to), w.Within.Microseconds(), fromAware); err != nil {
			return err
		}
	}
	m, _ := engine.Of(engine.B)
	late, ok := m.Late(c.States[engine.B])
	if !ok {
		return nil
	}
	if _, err := tx.Exec(ctx, stopClock, c.ID, string(engine.B), us(tx.Now())); err != nil {
		return err
	}
	return s.startAt(ctx, tx, c, engine.B, to.Add(s.timeIn(c)), late.Due)
}

// AddClock begins a time of another law, or of a contract, from when the breach was known.
func (s *Service) AddClock(ctx context.Context, who actor.Actor, ref, name string, within time.Duration) (Case, error) {
	if n := len(name); n < 2 || n > 60 || slices.Contains(reservedClocks, name) || within < time.Hour || within > 365*24*time.Hour {
		return Case{}, badPaper("clock", "name", "A name of 2 to 60 bytes, and a time from one hour to a year.")
	}
	return s.actBreach(ctx, who, ref, "clock", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		var aware *int64
		if err := ledger.One(ctx, tx, awareOf, []any{&aware}, c.ID); err != nil {
			return nil, err
		}
		if aware == nil {
			return nil, kept(*c, engine.B, "clock", []engine.Lack{{Guard: "aware", Words: "It is not confirmed to be a breach.", Who: "the privacy officer"}})
		}
		_, err := tx.Exec(ctx, insertWall, tx.ID(), c.ID, name, *aware, within.Microseconds(), fromAware)
		return ClockAdded{Incident: c.ID, Clock: name, Due: at(*aware).Add(within)}, err
	})
}

func readWall(scan ledger.Scan) (Wall, error) {
	var w Wall
	var began, within int64
	var ended *int64
	err := scan(&w.id, &w.caseID, &w.Name, &began, &within, &w.told, &ended, &w.Void, &w.Since)
	w.Began, w.Within, w.Ended = at(began), time.Duration(within)*time.Microsecond, when(ended)
	w.Due = w.Began.Add(w.Within)
	return w, err
}

func (s *Service) walls(ctx context.Context, id string) ([]Wall, error) {
	var out []Wall
	err := s.DB.Each(ctx, wallsOf, func(scan ledger.Scan) error {
		w, err := readWall(scan)
		w.Missed = !w.Void && (w.Ended.IsZero() && !s.Now().Before(w.Due) || w.Ended.After(w.Due))
		out = append(out, w)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read clocks: %w", err)
	}
	return out, nil
}

// tellWalls tells of times of the law as they go by.
func (s *Service) tellWalls(ctx context.Context) error { // clause: inc.breach-notify
	var open []Wall
	if err := s.DB.Each(ctx, openWalls, func(scan ledger.Scan) error {
		w, err := readWall(scan)
		open = append(open, w)
		return err
	}); err != nil {
		return fmt.Errorf("read clocks: %w", err)
	}
	var errs []error
	for _, w := range open {
		marks, now := w.marks(), s.Now()
		over := int64(0) // after a long stop one alarm is enough
		for _, m := range marks {
			if !now.Before(w.Began.Add(m)) {
				over++
			}
		}
		if over > w.told {
			errs = append(errs, s.tellWall(ctx, w, over, marks[over-1]))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) tellWall(ctx context.Context, w Wall, over int64, mark time.Duration) error {
	c, err := s.find(ctx, s.DB, w.caseID)
	if err != nil {
		return err
	}
	letters, err := s.letters(ctx, s.holders(ctx, c, []engine.Role{engine.Privacy, engine.Commander}), wallLetter(s, c, w, mark))
	if err != nil {
		return err
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, tellWall, w.id, over, w.told)
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "told", errors.New("another node was first"))
		}
		if err == nil {
			err = s.enqueue(ctx, tx, letters)
		}
		return ClockTold{Incident: c.ID, Clock: w.Name, Hours: int64(mark / time.Hour), Due: w.Due, Missed: mark == w.Within}, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

func wallLetter(s *Service, c Case, w Wall, mark time.Duration) letter {
	since := map[string]string{fromAware: "this breach was known", fromDeclared: "this incident was declared", fromSuspected: "a breach was suspected, and it is not decided whether it is one"}[w.Since]
	says := fmt.Sprintf("%d hours have gone by since %s. The time of “%s” ends on %s.", mark/time.Hour, since, w.Name, stamp(w.Due))
	if mark == w.Within {
		says = fmt.Sprintf("The time of “%s” ended on %s, and what it asks for is not done.", w.Name, stamp(w.Due))
	}
	lines := []string{says, "This time cannot be paused."}
	if to := s.owedTo(w); to != "" {
		lines = append(lines, "It is owed to: "+to+".")
	}
	return letter{kind: "incident.clock", Letter: mail.Letter{
		Title: c.Ref() + ": the time of " + w.Name,
		Lines: lines,
		Link:  &mail.Link{Text: "Look what is next", URL: s.at(c)}}}
}

const (
	insertBreach = `INSERT INTO incident_breach (case_id, held, lifted, aware, pace) VALUES ($1, $2, NULL, NULL, 'going') ON CONFLICT (case_id) DO NOTHING`
	setAware     = `UPDATE incident_breach SET aware = $2 WHERE case_id = $1`
	awareOf      = `SELECT aware FROM incident_breach WHERE case_id = $1`
	liftLegal    = `UPDATE incident_breach SET lifted = $2 WHERE case_id = $1 AND lifted IS NULL`
	countHeld    = `SELECT COUNT(*) FROM incident_breach b JOIN incident_case c ON c.id = b.case_id WHERE b.lifted IS NULL AND NOT c.drill AND c.l <> 'LX'`
	heldOf       = `SELECT COUNT(*) FROM incident_breach WHERE case_id = $1 AND lifted IS NULL`
	insertWall   = `INSERT INTO incident_wall (id, case_id, name, began, within, told, ended, void, since) VALUES ($1, $2, $3, $4, $5, 0, NULL, FALSE, $6)`
	endWall      = `UPDATE incident_wall SET ended = $2 WHERE case_id = $1 AND name = $3 AND ended IS NULL AND NOT void`
	endWalls     = `UPDATE incident_wall SET ended = $2 WHERE case_id = $1 AND name <> $3 AND ended IS NULL AND NOT void`
	endEachWall  = `UPDATE incident_wall SET ended = $2 WHERE case_id = $1 AND ended IS NULL AND NOT void`
	voidWalls    = `UPDATE incident_wall SET void = TRUE WHERE case_id = $1 AND since = 'aware' AND ended IS NULL AND NOT void`
	wallColumns  = `SELECT id, case_id, name, began, within, told, ended, void, since FROM incident_wall`
	wallsOf      = wallColumns + ` WHERE case_id = $1 ORDER BY void, name, id`
	openWalls    = wallColumns + ` WHERE ended IS NULL AND NOT void ORDER BY id LIMIT 500`
	tellWall     = `UPDATE incident_wall SET told = $2 WHERE id = $1 AND told = $3`
)
