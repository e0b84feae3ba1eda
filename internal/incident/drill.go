package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// Stage is what a drill of lost data is played on: a copy of the application behind a gate of
// its own.
type Stage interface {
	// Set builds it anew, with data, a backup and damage, and says since when.
	Set(ctx context.Context) (onset time.Time, err error)
	// Strike takes it away.
	Strike(ctx context.Context) error
}

// script leads a drill by one step, as whoever plays it. It says what it did; "" = nothing can
// be done now, because the server is at something.
type script func(s *Service, ctx context.Context, d *drill) (string, error)

// drills are the kinds that have a script.
var drills = map[string]script{"data-loss": (*Service).playLoss, "outage": (*Service).playOutage, "third-party": (*Service).playThirdParty, "breach": (*Service).playBreach}

// DrillKinds are the kinds of drill that can be begun by name.
func DrillKinds() []string { return slices.Sorted(maps.Keys(drills)) }

// drill is one that is being played: by whom, and how it stands.
type drill struct {
	who                 actor.Actor
	v                   View
	kind, caller, other string
	severity            int // that it is given
}

// NewDrill is a drill that somebody begins.
type NewDrill struct {
	Kind string
	With string // a member of staff who signs beside whoever begins it; "" = the sandbox plays them
	Play bool   // the script takes the steps of people, as whoever begins it

	// A past incident that is played again: with its first signal, its part of the service, how long it
	// had gone on by then, its severity, and what was known when. The kind follows from it.
	From  string // its reference; "" = none
	Speed int64  // how many times faster it becomes known; 0 = 10
}

// The two that the sandbox plays where nobody else signs. They stand in the record as that.
const (
	playedSecond = "writ/drill-second"
	playedFirst  = "writ/drill-first" // where the operator at the machine plays, who signs nothing
)

// SetWorlds changes what incidents and drills reach, and where lost data is practised. Call it
// before Run.
func (s *Service) SetWorlds(real, sandbox func(World) World, stage Stage) {
	s.Real, s.Sandbox, s.stage = real(s.Real), sandbox(s.Sandbox), stage
}

// Drill begins a practice of a kind: an incident of its own kind of number, led by the same
// steps, which reaches nothing but the sandbox. Whoever takes part has a letter. A real
// incident that is open comes first. Errors: fault.Invalid (drill_kind), fault.Conflict
// (drill_suspended, drill_open); of a past incident also fault.NotFound, fault.Conflict (drill_from: it
// is not closed), fault.Invalid (drill_speed).
func (s *Service) Drill(ctx context.Context, who actor.Actor, in NewDrill) (Case, error) { // clause: inc.prepared
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	title, onset, past := "", s.Now(), Case{}
	if in.From != "" {
		var err error
		if past, in, err = s.pastOf(ctx, in); err != nil {
			return Case{}, err
		}
		title, onset = "Drill of "+past.Ref()+": "+past.Title, onset.Add(past.OnsetFrom.Sub(past.Declared))
		if r := []rune(title); len(r) > mostTitle {
			title = string(r[:mostTitle])
		}
	}
	if drills[in.Kind] == nil {
		return Case{}, fault.New(fault.Invalid, "drill_kind", fault.Public{Problem: fmt.Sprintf("There is no drill %q.", in.Kind), Expected: "One of: " + strings.Join(DrillKinds(), ", ") + ".",
			Fields: []fault.Field{{Name: "kind", Code: "drill_kind", Problem: "There is no such drill."}}})
	}
	if err := s.mayDrill(ctx); err != nil {
		return Case{}, err
	}
	other := Person{}
	var err error
	if in.With != "" {
		if other, err = s.staff(ctx, in.With); err != nil {
			return Case{}, err
		}
		if other.ID == who.ID {
			return Case{}, fault.Newf(fault.Invalid, "drill_with", "Somebody else signs beside you.")
		}
	}
	if in.Kind == "data-loss" && s.stage != nil {
		if onset, err = s.stage.Set(ctx); err != nil {
			return Case{}, fmt.Errorf("set the stage: %w", err)
		}
	}
	letters, err := s.drillLetters(ctx, []string{by(who), other.ID}, drillLetter(s, in.Kind))
	if err != nil {
		return Case{}, err
	}
	if title == "" {
		title = "Drill: " + strings.ReplaceAll(in.Kind, "-", " ")
	}
	c, _, err := s.declare(ctx, who, Signal{Title: title, Onset: onset, Component: s.partStill(ctx, past.Component), Drill: true}, "person", func(tx *ledger.Tx, id string) error {
		tx.Also(DrillBegun{Incident: id, Kind: in.Kind, Played: in.Play, Alone: other.ID == ""})
		if past.ID != "" {
			tx.Also(RehearsalBegun{Incident: id, Of: past.ID, Speed: in.Speed})
		}
		_, err := tx.Exec(ctx, insertDrill, id, in.Kind, by(who), other.ID, in.Play, us(tx.Now()), past.ID, max(in.Speed, 1))
		return errors.Join(err, s.present(ctx, tx, who, id), s.enqueue(ctx, tx, letters))
	})
	return c, err
}

// mayDrill refuses while a real incident or another drill is under way.
func (s *Service) mayDrill(ctx context.Context) error {
	if err := s.suspended(ctx); err != nil {
		return err
	}
	var open int64
	if err := ledger.One(ctx, s.DB, openDrills, []any{&open}); err != nil {
		return err
	}
	if open > 0 {
		return fault.New(fault.Conflict, "drill_open", fault.Public{Problem: "Another drill is under way.", Next: "Lead it to its end, or cancel it: writ incident list --open"})
	}
	return nil
}

// suspended refuses while a real incident needs people.
func (s *Service) suspended(ctx context.Context) error { // clause: inc.prepared
	var real int64
	if err := ledger.One(ctx, s.DB, realOpen, []any{&real}); err != nil {
		return err
	}
	if real > 0 {
		return fault.New(fault.Conflict, "drill_suspended", fault.Public{Problem: "A real incident is open: drills wait.", Next: "Look at it: writ incident status"})
	}
	return nil
}

// Played is what a script has done.
type Played struct {
	Case  Case
	Says  string // "" = nothing: the server is at something
	Waits bool   // for a person, who is named in Says
	Done  bool
}

// Play takes the next step of a drill for people, as whoever has begun it: with their own
// rights, through the same doors. Errors: fault.Conflict (drill_by_people, drill_suspended),
// fault.Denied (drill_other).
func (s *Service) Play(ctx context.Context, who actor.Actor, ref string) (Played, error) { // clause: inc.prepared
	v, err := s.Show(ctx, who, ref)
	if err != nil {
		return Played{}, err
	}
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Played{}, err
	}
	d := drill{who: who, v: v, severity: 1}
	var plays bool
	if err := ledger.One(ctx, s.DB, drillOf, []any{&d.kind, &d.caller, &d.other, &plays}, v.ID); err != nil || !plays {
		if err == nil || errors.Is(err, fault.NotFound) {
			err = fault.New(fault.Conflict, "drill_by_people", fault.Public{Problem: v.Ref() + " is led by people.", Next: "Take its steps yourself; or begin one with --yes."})
		}
		return Played{}, err
	}
	if d.caller != by(who) {
		return Played{}, fault.Newf(fault.Denied, "drill_other", "Somebody else has begun %s, and plays it.", v.Ref())
	}
	if !v.Open() {
		return Played{Case: v.Case, Done: true}, s.Tend(ctx)
	}
	if err := s.suspended(ctx); err != nil {
		return Played{}, err
	}
	if of, _, _, err := s.originOf(ctx, v.Case); err != nil {
		return Played{}, err
	} else if of != nil {
		d.severity = of.Severity
	}
	says, err := drills[d.kind](s, ctx, &d)
	p := Played{Says: says}
	if w, ok := errors.AsType[waiting](err); ok {
		p.Says, p.Waits, err = string(w), true, nil
	}
	if err != nil {
		return Played{}, err
	}
	p.Case, err = s.find(ctx, s.DB, v.ID)
	return p, err
}

// waiting is a person that a script waits for.
type waiting string

func (w waiting) Error() string { return string(w) }

// beside has the second person do something: the sandbox plays them, unless one was named.
func (s *Service) beside(ctx context.Context, d *drill, what string, fn func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error)) error {
	if d.other != "" {
		return waiting("Waits for " + s.name(ctx, d.other) + " to " + what + ".")
	}
	return s.played(ctx, d, playedSecond, fn)
}

func (s *Service) played(ctx context.Context, d *drill, person string, fn func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error)) error {
	_, err := s.change(ctx, actor.System("drill"), d.v.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) { return fn(tx, c, person) })
	return err
}

// Score is what a drill was worth.
type Score struct {
	Kind      string   `json:"kind"`
	Passed    bool     `json:"passed"`
	Problems  []string `json:"problems"`
	Deadlines int64    `json:"deadlines"`
	Late      int64    `json:"late"`
	Waived    []string `json:"waived"`
	ByHand    int64    `json:"by_hand"`
	RTO       int64    `json:"rto_seconds"`
	RPO       int64    `json:"rpo_seconds"`
	People    int64    `json:"people"` // who took part
	Played    bool     `json:"played"` // by a script
	Seconds   int64    `json:"seconds"`

	Of       string     `json:"of,omitempty"` // the past incident that it played again
	Speed    int64      `json:"speed,omitempty"`
	Compared []Compared `json:"compared,omitempty"`
}

// scoreDrills scores those that have ended.
func (s *Service) scoreDrills(ctx context.Context) error { // clause: inc.prepared
	over, err := s.cases(ctx, s.DB, endedDrills)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range over {
		errs = append(errs, s.scoreDrill(ctx, c))
	}
	return errors.Join(errs...)
}

func (s *Service) scoreDrill(ctx context.Context, c Case) error {
	sc, people, err := s.worth(ctx, c)
	if err != nil {
		return fmt.Errorf("score %s: %w", c.Ref(), err)
	}
	of, speed, _, err := s.originOf(ctx, c)
	if err != nil {
		return err
	}
	if of != nil {
		if sc.Compared, err = s.compared(ctx, c, *of); err != nil || sc.Compared == nil { // a moment later
			return err
		}
		sc.Of, sc.Speed = of.Ref(), speed
	}
	b, err := json.Marshal(sc)
	if err != nil {
		return err
	}
	letters, err := s.drillLetters(ctx, people, scoreLetter(s, c, sc))
	if err != nil {
		return err
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, setScore, c.ID, us(tx.Now()), sc.Passed, string(b))
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "scored", errors.New("another node was first"))
		}
		if err != nil {
			return nil, err
		}
		if of != nil {
			tx.Also(RehearsalCompared{Incident: c.ID, Of: of.ID, Steps: inLines(sc.Compared)})
		}
		return DrillScored{Incident: c.ID, Kind: sc.Kind, Passed: sc.Passed, Problems: sc.Problems, Late: sc.Late, RTO: sc.RTO, RPO: sc.RPO, People: sc.People, Played: sc.Played}, s.enqueue(ctx, tx, letters)
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	if err == nil && sc.Kind == "data-loss" && s.stage != nil {
		err = s.stage.Strike(ctx)
	}
	return err
}

// worth is the score of a drill that has ended, and who took part.
func (s *Service) worth(ctx context.Context, c Case) (Score, []string, error) {
	sc := Score{Problems: []string{}, Waived: []string{}}
	var caller, other string
	if err := ledger.One(ctx, s.DB, drillOf, []any{&sc.Kind, &caller, &other, &sc.Played}, c.ID); err != nil {
		return sc, nil, err
	}
	if err := ledger.One(ctx, s.DB, clocksOf, []any{&sc.Deadlines, &sc.Late}, c.ID); err != nil {
		return sc, nil, err
	}
	x, err := s.loss(ctx, c)
	if err != nil {
		return sc, nil, err
	}
	if !x.Up.IsZero() {
		sc.RTO, sc.RPO = x.rto(x.Up), x.rpo()
	}
	waived, err := s.waivers(ctx, c)
	hands, err2 := s.hands(ctx, c)
	people, err3 := s.tookPart(ctx, c)
	if err := errors.Join(err, err2, err3); err != nil {
		return sc, nil, err
	}
	sc.ByHand, sc.People, sc.Seconds = int64(len(hands)), int64(len(people)), int64(s.Now().Sub(c.Declared)/time.Second)
	for _, w := range waived {
		if w.Other != "" && w.Guard != "soaked" { // nobody watches a sandbox for a quarter of an hour
			sc.Waived = append(sc.Waived, w.Guard)
		}
	}
	rules := s.Rules.Get()
	for says, bad := range map[string]bool{
		"it was not led to its end":                                 c.States[engine.L] != "L6",
		web.Count(sc.Late, "deadline") + " missed":                  sc.Late > 0,
		"let pass: " + strings.Join(sc.Waived, ", "):                len(sc.Waived) > 0,
		"down for longer than " + web.Duration(rules.RTO):           time.Duration(sc.RTO)*time.Second > rules.RTO,
		"more data lost than " + web.Duration(rules.RPO) + " of it": time.Duration(sc.RPO)*time.Second > rules.RPO,
		"the application was not brought back":                      sc.Kind == "data-loss" && x.Up.IsZero(),
	} {
		if bad {
			sc.Problems = append(sc.Problems, says)
		}
	}
	slices.Sort(sc.Problems)
	sc.Passed = len(sc.Problems) == 0
	return sc, people, nil
}

// drillLetters are letters to those of the named who are members of staff.
func (s *Service) drillLetters(ctx context.Context, ids []string, l letter) ([]jobs.Job, error) {
	all, err := s.People.Staff(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(p Person) bool { return !slices.Contains(ids, p.ID) })
	if len(all) == 0 {
		return nil, nil
	}
	return s.letters(ctx, all, l)
}

func drillLetter(s *Service, kind string) letter {
	return letter{kind: "incident.drill", Letter: mail.Letter{
		Title: "You take part in a drill: " + strings.ReplaceAll(kind, "-", " "),
		Lines: []string{"It goes as a real incident does, and reaches nothing but a sandbox.", "Where it asks for a second person, sign."},
		Link:  &mail.Link{Text: "Look what is next", URL: s.Origin + "/-/console/incidents"},
		Foot:  []string{"Begun on " + stamp(s.Now()) + "."}}}
}

func scoreLetter(s *Service, c Case, sc Score) letter {
	says := "It passed."
	if !sc.Passed {
		says = "It did not pass: " + strings.Join(sc.Problems, "; ") + "."
	}
	lines := []string{says}
	if sc.RTO > 0 {
		lines = append(lines, fmt.Sprintf("The application was down for %s; %s of data were lost.", web.Duration(time.Duration(sc.RTO)*time.Second), web.Duration(time.Duration(sc.RPO)*time.Second)))
	}
	return letter{kind: "incident.drill-scored", Letter: mail.Letter{Title: "The drill " + c.Ref() + " is over", Lines: lines, Link: &mail.Link{Text: "Look at it", URL: s.at(c)}}}
}

// Scored is a drill that has ended.
type Scored struct {
	Ref   string
	Ended time.Time
	Score
}

// Scores are the last drills, the newest first.
func (s *Service) Scores(ctx context.Context, who actor.Actor) ([]Scored, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return nil, err
	}
	return s.scores(ctx, lastScores)
}

func (s *Service) scores(ctx context.Context, query string, args ...any) ([]Scored, error) {
	var out []Scored
	err := s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var x Scored
		var n, ended, people int64
		var raw string
		err := scan(&n, &ended, &raw, &people)
		if err == nil {
			err = json.Unmarshal([]byte(raw), &x.Score)
		}
		x.Ref, x.Ended, x.People = Case{Drill: true, Number: n}.Ref(), at(ended), people
		out = append(out, x)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read drills: %w", err)
	}
	return out, nil
}

// DrillBegun is a practice that a script can lead.
type DrillBegun struct {
	Incident string `class:"public"`
	Kind     string `class:"public"`
	Played   bool   `class:"public"`
	Alone    bool   `class:"public"` // the sandbox plays the second person
}

// About implements ledger.Event.
func (e DrillBegun) About() ledger.About {
	return ledger.About{Name: "incident.drill-begun", Clause: "inc.prepared", Object: thing(e.Incident)}
}

// DrillScored is what a drill was worth.
type DrillScored struct {
	Incident string   `class:"public"`
	Kind     string   `class:"public"`
	Passed   bool     `class:"public"`
	Problems []string `class:"public"`
	Late     int64    `class:"public"`
	RTO      int64    `class:"public"`
	RPO      int64    `class:"public"`
	People   int64    `class:"public"`
	Played   bool     `class:"public"`
}

// About implements ledger.Event.
func (e DrillScored) About() ledger.About {
	return ledger.About{Name: "incident.drill-scored", Clause: "inc.prepared", Object: thing(e.Incident)}
}

const (
	insertDrill = `INSERT INTO incident_drill (case_id, kind, caller, other, plays, state, problem, begun, ended, passed, score, origin, speed) VALUES ($1, $2, $3, $4, $5, 'made', '', $6, NULL, FALSE, '{}', $7, $8)`
	drillOf     = `SELECT kind, caller, other, plays FROM incident_drill WHERE case_id = $1`
	openDrills  = `SELECT COUNT(*) FROM incident_drill d JOIN incident_case c ON c.id = d.case_id WHERE c.l NOT IN ('L6', 'LX')`
	realOpen    = `SELECT COUNT(*) FROM incident_case WHERE NOT drill AND l IN ('L0', 'L1', 'L2', 'L3')`
	endedDrills = caseColumns + ` WHERE drill AND l IN ('L6', 'LX') AND EXISTS (SELECT 1 FROM incident_drill d WHERE d.case_id = incident_case.id AND d.ended IS NULL) ORDER BY id LIMIT 20`
	setScore    = `UPDATE incident_drill SET state = 'scored', ended = $2, passed = $3, score = $4 WHERE case_id = $1 AND ended IS NULL`
	clocksOf    = `SELECT COUNT(*), COALESCE(SUM(CASE WHEN missed IS NOT NULL OR ended > due THEN 1 ELSE 0 END), 0) FROM incident_clock WHERE case_id = $1`
)
