package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Step is a wish: an event in a region of an incident.
type Step struct {
	Region  engine.Region // "" = the one whose table has the event, the lifecycle first
	Event   string
	Reason  string
	Version int64 // of the incident that whoever wishes has seen; 0 = not said
}

// Kept is a step that was refused: where the region stands, what was wanted, and each guard
// that does not hold, in words. It is a fault.Conflict, or fault.Denied where a role lacks.
type Kept struct {
	Fault  *fault.Error
	State  string
	Wanted string
	Unmet  []engine.Lack
}

// Error is the private text.
func (k *Kept) Error() string { return k.Fault.Error() }

// Unwrap gives the fault, for errors.Is.
func (k *Kept) Unwrap() error { return k.Fault }

func kept(c Case, r engine.Region, event string, lacks []engine.Lack) *Kept {
	m, _ := engine.Of(r)
	st, _ := m.State(c.States[r])
	k := &Kept{State: st.ID, Wanted: event, Unmet: lacks}
	p := fault.Public{Problem: c.Ref() + " is " + st.Name + ", and cannot " + strings.ReplaceAll(event, "-", " ") + " now."}
	if st.ID == "" {
		p.Problem = "Nothing of this is open in " + c.Ref() + "."
	}
	var ways []string
	for _, s := range m.From(st.ID) {
		ways = append(ways, s.Event)
	}
	code := "step_unmet"
	if len(lacks) == 0 {
		code, p.Expected = "step_not_now", "One of: "+strings.Join(ways, ", ")+"."
		if len(ways) == 0 {
			p.Expected = "Nothing: it stays as it is."
		}
		p.Next = "Look at it again; somebody may have done it."
	}
	for _, l := range lacks {
		if l.Guard == "not-public" {
			p.Next = "Take the notice back first: writ incident update " + c.Ref() + " \"…\" --state retracted"
		}
		p.Fields = append(p.Fields, fault.Field{Name: l.Guard, Code: "guard", Problem: l.Words + " Who can mend it: " + l.Who + "."})
	}
	k.Fault = fault.New(fault.Conflict, code, p)
	return k
}

// roleLacks is a step that only the holder of a role takes.
func roleLacks(c Case, r engine.Region, st engine.Step) *Kept {
	k := kept(c, r, st.Event, []engine.Lack{{Guard: "role-held", Words: "Only the " + roleWords(st.Role) + " does this.", Who: "whoever takes that role"}})
	k.Fault = fault.New(fault.Denied, "role_needed", fault.Public{Problem: "Only the " + roleWords(st.Role) + " of " + c.Ref() + " does this.", Expected: "The role " + string(st.Role) + ".",
		Next: "Take the role, or ask whoever has it: writ incident role " + c.Ref() + " " + string(st.Role)})
	return k
}

func roleWords(r engine.Role) string { return strings.ReplaceAll(string(r), "-", " ") }

// taken is what a step left behind for after the change.
type taken struct {
	step  engine.Step
	event Moved
}

// take is a step inside a change: the table, the role and each guard are asked on the rows as
// they are now, and the region is moved. The caller returns the event, or adds it.
func (s *Service) take(ctx context.Context, tx *ledger.Tx, who actor.Actor, c *Case, r engine.Region, event string, change func(*engine.Facts)) (taken, error) { // clause: inc.process
	m, ok := engine.Of(r)
	if !ok {
		return taken{}, fault.Newf(fault.NotFound, "step_unknown", "There is no region %q.", string(r))
	}
	st, ok := m.Find(c.States[r], event)
	if !ok && !slices.Contains(m.Events(), event) {
		return taken{}, fault.New(fault.NotFound, "step_unknown", fault.Public{Problem: fmt.Sprintf("%s has no step %q.", m.Name, event), Expected: "One of: " + strings.Join(m.Events(), ", ") + "."})
	}
	if !ok {
		return taken{}, kept(*c, r, event, nil)
	}
	f, err := s.facts(ctx, tx, who, *c)
	if err != nil {
		return taken{}, err
	}
	if change != nil {
		change(f)
	}
	if !s.mayTake(ctx, tx, who, *c, st) {
		return taken{}, roleLacks(*c, r, st)
	}
	if lacks := engine.Unmet(r, st, f); len(lacks) > 0 {
		return taken{}, kept(*c, r, event, lacks)
	}
	if err := move(ctx, tx, c, r, st.To); err != nil {
		return taken{}, err
	}
	if q := stampOf[st.To]; r == engine.L && q != "" {
		if _, err := tx.Exec(ctx, q, c.ID, us(tx.Now())); err != nil {
			return taken{}, err
		}
	}
	if r == engine.B {
		if err := s.breachMoved(ctx, tx, *c, st); err != nil {
			return taken{}, err
		}
	}
	if err := s.wind(ctx, tx, *c, r, st, f); err != nil {
		return taken{}, err
	}
	ev := Moved{Incident: c.ID, Round: c.Round, Region: string(r), From: st.From, To: st.To, Event: event, clause: st.Clause}
	for g := range f.Waived {
		if region, name, _ := strings.Cut(g, "/"); region == string(r) && slices.Contains(st.Guards, name) {
			ev.Waived = append(ev.Waived, name)
		}
	}
	slices.Sort(ev.Waived)
	return taken{step: st, event: ev}, nil
}

// mayTake reports whether somebody may take a step by their role in the incident. Steps of
// the server are its own.
func (s *Service) mayTake(ctx context.Context, r ledger.Reader, who actor.Actor, c Case, st engine.Step) bool {
	switch st.Role {
	case engine.Anybody:
		return true
	case engine.Writ:
		return who.Kind == actor.Writ
	}
	holds := false
	err := r.Each(ctx, rolesOf, func(scan ledger.Scan) error {
		var role, person string
		var since int64
		err := scan(&role, &person, &since)
		holds = holds || role == string(st.Role) && person == by(who)
		return err
	}, c.ID)
	return err == nil && holds
}

// act is a change of one incident by somebody who may act in incidents. A refusal by the
// table is recorded.
func (s *Service) act(ctx context.Context, who actor.Actor, ref string, version int64, fn func(tx *ledger.Tx, c *Case) (ledger.Event, error)) (Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	return s.change(ctx, who, ref, version, fn)
}

func (s *Service) change(ctx context.Context, who actor.Actor, ref string, version int64, fn func(tx *ledger.Tx, c *Case) (ledger.Event, error)) (Case, error) {
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	s.point("before")
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		now, err := lock(ctx, tx, c.ID, version)
		if err != nil {
			return nil, err
		}
		ev, err := fn(tx, &now)
		if err == nil {
			err = s.freeze(ctx, tx, now)
		}
		if err == nil && who.Kind == actor.Person { // whoever acts has answered
			_, err = tx.Exec(ctx, answerSolo, now.ID, who.ID, us(tx.Now()))
		}
		if err == nil && now.Drill {
			err = s.present(ctx, tx, who, now.ID)
		}
		return ev, err
	})
	s.point("after")
	if k, ok := errors.AsType[*Kept](err); ok {
		ev := StepRefused{Incident: c.ID, State: k.State, Wanted: k.Wanted}
		for _, l := range k.Unmet {
			ev.Unmet = append(ev.Unmet, l.Guard)
		}
		return Case{}, s.DB.Refuse(ctx, who, ev, k)
	}
	if err != nil {
		return Case{}, fmt.Errorf("change %s: %w", c.Ref(), err)
	}
	return s.find(ctx, s.DB, c.ID)
}

// simple are the events that need nothing but themselves, and perhaps a reason.
var simple = []string{"impact-over", "impact-back", "acknowledge", "cancel", "mitigate", "relapse", "resolve", "review", "close", "reopen", "withdraw-fix",
	"take-down", "false-alarm", "certify", "preserve", "choose", "rehearse", "restore", "verify", "dry-run", "reconcile", "open", "open-some", "open-all", "red", "tell-customers", "back-up", "protect", "older-point", "lost-again", "fail",
	"confirm", "dismiss", "scope", "decide-risk", "report", "notify", "told", "research", "prevent"}

// Take takes a step that needs nothing but itself. Errors: *Kept, fault.NotFound.
func (s *Service) Take(ctx context.Context, who actor.Actor, ref string, w Step) (Case, error) {
	if !slices.Contains(simple, w.Event) {
		return Case{}, fault.New(fault.NotFound, "step_unknown", fault.Public{Problem: fmt.Sprintf("There is no step %q to take like this.", w.Event), Expected: "One of: " + strings.Join(simple, ", ") + "."})
	}
	reason, err := reasonOf(w.Reason)
	if err != nil {
		return Case{}, err
	}
	if w.Event == "impact-over" || w.Event == "impact-back" {
		return s.seen(ctx, who, ref, w.Event == "impact-over", reason)
	}
	r := w.Region
	if r == "" {
		r = regionOf(w.Event)
	}
	e, err := s.prepareWork(ctx, ref, r, w.Event)
	if err != nil {
		return Case{}, err
	}
	c, err := s.act(ctx, who, ref, w.Version, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if r == engine.L {
			ev, err := s.takeLife(ctx, tx, who, c, w.Event, reason)
			if err == nil {
				err = s.plan(ctx, tx, *c, e)
			}
			return ev, err
		}
		t, err := s.take(ctx, tx, who, c, r, w.Event, func(f *engine.Facts) { f.Reason = reason != "" })
		t.event.reason = reason
		if err == nil {
			err = s.plan(ctx, tx, *c, e)
		}
		return t.event, err
	})
	if err != nil {
		return Case{}, err
	}
	return c, s.Page.Refresh(ctx)
}

// takeLife is a step of the lifecycle, with what it does to the rows beside the state.
func (s *Service) takeLife(ctx context.Context, tx *ledger.Tx, who actor.Actor, c *Case, event, reason string) (ledger.Event, error) {
	from := c.States[engine.L]
	if event == "mitigate" && from == "L2" && c.Green.IsZero() { // whoever takes it says that it is over
		c.Green = tx.Now()
		if _, err := tx.Exec(ctx, setGreen, c.ID, some(tx.Now())); err != nil {
			return nil, err
		}
	}
	t, err := s.take(ctx, tx, who, c, engine.L, event, func(f *engine.Facts) { f.Reason = reason != "" })
	if err != nil {
		return nil, err
	}
	t.event.reason = reason
	switch event {
	case "acknowledge":
		if err := s.holdIfFree(ctx, tx, c, engine.Commander, who); err != nil {
			return nil, err
		}
	case "relapse", "reopen":
		if _, err := tx.Exec(ctx, setGreen, c.ID, nil); err != nil {
			return nil, err
		}
	case "cancel":
		for _, q := range []string{stopClocks, endEachWall} {
			if _, err := tx.Exec(ctx, q, c.ID, us(tx.Now())); err != nil {
				return nil, err
			}
		}
	}
	if event == "reopen" {
		if _, err := tx.Exec(ctx, nextRound, c.ID); err != nil {
			return nil, err
		}
		c.Round++
		t.event.Round = c.Round
	}
	if event == "relapse" || event == "reopen" {
		again, err := s.publicAgain(ctx, tx, c)
		if again != nil {
			tx.Also(again)
		}
		return t.event, err
	}
	return t.event, nil
}

// seen is what the commander sees: that the impact is over, or is back. It is a fact that
// guards are held against, and no step.
func (s *Service) seen(ctx context.Context, who actor.Actor, ref string, over bool, reason string) (Case, error) {
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !s.mayTake(ctx, tx, who, *c, engine.Step{Role: engine.Commander}) {
			return nil, roleLacks(*c, engine.L, engine.Step{Event: "impact-over", Role: engine.Commander})
		}
		if !c.Open() || over != c.Green.IsZero() {
			return nil, kept(*c, engine.L, "impact-over", nil)
		}
		green := (*int64)(nil)
		if over {
			green = some(tx.Now())
		}
		_, err := tx.Exec(ctx, setGreen, c.ID, green)
		return ImpactSeen{Incident: c.ID, Round: c.Round, Over: over, reason: reason}, err
	})
}

// regionOf is the region whose table has an event, the lifecycle first.
func regionOf(event string) engine.Region {
	for _, m := range engine.Machines() {
		if slices.Contains(m.Events(), event) {
			return m.Region
		}
	}
	return engine.L
}

const (
	nextRound = `UPDATE incident_case SET round = round + 1, closed = NULL, resolved = NULL WHERE id = $1`
)
