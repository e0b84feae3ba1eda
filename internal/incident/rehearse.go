package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/journal"
	"writ/internal/ledger"
)

// The times faster at which a past incident is played again.
const (
	usualSpeed = 10
	mostSpeed  = 100
)

// mostFacts are what of a past incident becomes known in a drill of it.
const mostFacts = 500

// Fact is something that was known at a time of a past incident.
type Fact struct {
	After time.Duration // since it was declared; 0 = before that
	Kind  string        // signal, note, public
	Says  string
}

// Compared is a step, and how many seconds after the first signal it was taken: by those who led the
// past incident, and in the drill. -1 = it was not.
type Compared struct {
	Step string `json:"step"`
	Then int64  `json:"then_seconds"`
	Now  int64  `json:"now_seconds"`
}

// Rehearsal is the past incident that a drill plays again.
type Rehearsal struct {
	Of    string // its reference
	Speed int64
	Known []Fact        // by now
	More  int           // what will become known later
	Next  time.Duration // until the next of it

	Compared []Compared // once it is scored
}

// The kinds of drill by the kinds of incident that they practise, the gravest first. Any other is
// practised as an outage.
var rehearsedAs = []string{"breach", "data-loss", "third-party"}

// pastOf is the incident that a drill is to play again, and the drill with what follows from it.
func (s *Service) pastOf(ctx context.Context, in NewDrill) (Case, NewDrill, error) {
	bad := func(kind fault.Kind, name, says, next string) (Case, NewDrill, error) {
		return Case{}, in, fault.New(kind, "drill_"+name, fault.Public{Problem: says, Next: next, Fields: []fault.Field{{Name: name, Code: "drill_" + name, Problem: says}}})
	}
	if in.Speed == 0 {
		in.Speed = usualSpeed
	}
	if in.Speed < 1 || in.Speed > mostSpeed {
		return bad(fault.Invalid, "speed", fmt.Sprintf("A past incident is played 1 to %d times as fast.", mostSpeed), "")
	}
	c, err := s.find(ctx, s.DB, in.From)
	if err != nil {
		return Case{}, in, err
	}
	switch {
	case c.Drill:
		return bad(fault.Invalid, "from", c.Ref()+" is a drill itself.", "Name a real incident that is closed: writ incident list")
	case c.States[engine.L] != "L6":
		return bad(fault.Conflict, "from", c.Ref()+" is not closed.", "Lead it to its end first: writ incident show "+c.Ref())
	}
	kind := "outage"
	if i := slices.IndexFunc(rehearsedAs, func(k string) bool { return slices.Contains(c.Categories, k) }); i >= 0 {
		kind = rehearsedAs[i]
	}
	if in.Kind != "" && in.Kind != kind {
		return bad(fault.Invalid, "kind", fmt.Sprintf("%s is practised as %s.", c.Ref(), kind), "Leave the kind away.")
	}
	in.Kind = kind
	return c, in, nil
}

// pastFacts are what was known in a past incident and since when, the oldest first. They are read where
// they are: what is erased there is erased here.
func (s *Service) pastFacts(ctx context.Context, c Case) (out []Fact, err error) {
	add := func(at time.Time, kind, says string) {
		out = append(out, Fact{max(0, at.Sub(c.Declared)), kind, says})
	}
	add(c.Declared, "signal", c.Title)
	told, err := s.told(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range told {
		add(t.At, "signal", t.Says)
	}
	notes, err := s.notes(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		add(n.At, "note", n.Text)
	}
	posts, err := s.shown(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, p := range posts {
		add(p.At, "public", status.Word(p.State)+": "+p.Body)
	}
	slices.SortStableFunc(out, func(a, b Fact) int { return int((a.After - b.After) / time.Microsecond) })
	return out[:min(len(out), mostFacts)], nil
}

// rehearsal is what is known by now in a drill of a past incident; nil = it is none.
func (s *Service) rehearsal(ctx context.Context, c Case) (*Rehearsal, error) {
	of, speed, plays, err := s.originOf(ctx, c)
	if err != nil || of == nil {
		return nil, err
	}
	facts, err := s.pastFacts(ctx, *of)
	if err != nil {
		return nil, err
	}
	x := &Rehearsal{Of: of.Ref(), Speed: speed}
	gone := s.Now().Sub(c.Declared)
	for _, f := range facts {
		due := f.After / time.Duration(speed)
		switch {
		case due <= gone, plays, !c.Open():
			x.Known = append(x.Known, f)
			continue
		case x.More == 0:
			x.Next = due - gone
		}
		x.More++
	}
	return x, nil
}

// originOf is the past incident that a drill plays again; nil = none.
func (s *Service) originOf(ctx context.Context, c Case) (of *Case, speed int64, plays bool, err error) {
	if !c.Drill {
		return nil, 0, false, nil
	}
	var id string
	if err := ledger.One(ctx, s.DB, drillOrigin, []any{&id, &speed, &plays}, c.ID); errors.Is(err, fault.NotFound) || err == nil && id == "" {
		return nil, 0, false, nil // led without a kind, or of nothing that was
	} else if err != nil {
		return nil, 0, false, fmt.Errorf("read a drill: %w", err)
	}
	x, err := s.find(ctx, s.DB, id)
	return &x, speed, plays, err
}

// taken are the steps of an incident by the state that they led to, and how long after it was declared
// each was taken first; in their order.
func (s *Service) taken(ctx context.Context, c Case) (steps []string, after map[string]int64, err error) {
	after = map[string]int64{}
	var all []journal.Entry
	if err := s.entriesOf(ctx, "incident.step-done", thing(c.ID), func(e journal.Entry) { all = append(all, e) }); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(all, func(a, b journal.Entry) int { return int(a.N - b.N) })
	for _, e := range all {
		region, _ := e.Field("region")
		to, _ := e.Field("to")
		m, known := engine.Of(engine.Region(fmt.Sprint(region)))
		st, _ := m.State(fmt.Sprint(to))
		if !known {
			continue
		}
		name := m.Name + ": " + st.Name
		if _, was := after[name]; !was {
			steps, after[name] = append(steps, name), int64(e.Happened.Sub(c.Declared)/time.Second)
		}
	}
	return steps, after, nil
}

// compared holds the steps of a drill against those of the past incident: first the steps that were
// taken then, in their order. nil while the journal has not numbered the end of the drill.
func (s *Service) compared(ctx context.Context, c, of Case) ([]Compared, error) {
	then, thenAfter, err := s.taken(ctx, of)
	if err != nil {
		return nil, err
	}
	now, nowAfter, err := s.taken(ctx, c)
	if err != nil {
		return nil, err
	}
	m, _ := engine.Of(engine.L)
	last, _ := m.State(c.States[engine.L])
	if _, ended := nowAfter[m.Name+": "+last.Name]; !ended {
		return nil, nil
	}
	out := []Compared{}
	for _, name := range then {
		x := Compared{name, thenAfter[name], -1}
		if n, ok := nowAfter[name]; ok {
			x.Now = n
		}
		out = append(out, x)
	}
	for _, name := range now {
		if _, was := thenAfter[name]; !was {
			out = append(out, Compared{name, -1, nowAfter[name]})
		}
	}
	return out, nil
}

// inLines are the comparisons for an entry: seconds then, seconds now, the step.
func inLines(all []Compared) (out []string) {
	for _, x := range all {
		out = append(out, strings.Join([]string{fmt.Sprint(x.Then), fmt.Sprint(x.Now), x.Step}, " "))
	}
	return out
}

// RehearsalBegun is a drill that plays a past incident again.
type RehearsalBegun struct {
	Incident string `class:"public"` // the drill
	Of       string `class:"public"`
	Speed    int64  `class:"public"`
}

// About implements ledger.Event.
func (e RehearsalBegun) About() ledger.About {
	return ledger.About{Name: "incident.rehearsal-begun", Clause: "inc.prepared", Object: thing(e.Incident)}
}

// RehearsalCompared is how the steps of a drill stand beside those of the incident that it played again.
type RehearsalCompared struct {
	Incident string   `class:"public"`
	Of       string   `class:"public"`
	Steps    []string `class:"public"` // seconds then, seconds now, step; -1 = it was not taken
}

// About implements ledger.Event.
func (e RehearsalCompared) About() ledger.About {
	return ledger.About{Name: "incident.rehearsal-compared", Clause: "inc.prepared", Object: thing(e.Incident)}
}

const drillOrigin = `SELECT origin, speed, plays FROM incident_drill WHERE case_id = $1`
