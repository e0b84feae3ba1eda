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
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// followLife is how long after its end somebody may say that they followed a drill.
const followLife = 7 * 24 * time.Hour

// Practice is what became of a drill of a kind, and who took part.
type Practice struct {
	Scored
	Names []string
	Asks  bool // whoever looks may still say that they followed it
}

// present writes down that a person who is signed in acts in a drill. A role that somebody else
// gave them is no act of theirs. A program with their token cannot act in incidents.
func (s *Service) present(ctx context.Context, tx *ledger.Tx, who actor.Actor, id string) error { // clause: inc.prepared
	if who.Kind != actor.Person {
		return nil
	}
	_, err := tx.Exec(ctx, insertPresent, id, who.ID, false, us(tx.Now()))
	return err
}

// Followed is a person's word that they followed a drill which others, or the server, played.
// Errors: fault.Denied (no_person), fault.NotFound (no_drill), fault.Conflict (drill_under_way,
// drill_old, drill_followed).
func (s *Service) Followed(ctx context.Context, who actor.Actor, ref string) (Case, error) { // clause: inc.prepared
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if who.Kind != actor.Person {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only a person who is signed in can say so.", Next: "Sign in: --as ADDRESS"})
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	var ended *int64
	if err := ledger.One(ctx, s.DB, drillEnded, []any{&ended}, c.ID); errors.Is(err, fault.NotFound) {
		return Case{}, fault.New(fault.NotFound, "no_drill", fault.Public{Problem: c.Ref() + " is no drill of a kind.", Next: "Look at the drills: writ incident list"})
	} else if err != nil {
		return Case{}, err
	}
	switch {
	case ended == nil:
		return Case{}, fault.New(fault.Conflict, "drill_under_way", fault.Public{Problem: c.Ref() + " is not over.", Next: "Take one of its steps: that counts by itself."})
	case s.Now().Sub(at(*ended)) > followLife:
		return Case{}, fault.New(fault.Conflict, "drill_old", fault.Public{Problem: c.Ref() + " ended more than a week ago.", Next: "Practise again: writ incident drill KIND"})
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertPresent, c.ID, who.ID, true, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.Conflict, "drill_followed", "You took part in %s already.", c.Ref())
		}
		return DrillFollowed{Incident: c.ID}, err
	})
	return c, err
}

// practice is a drill that was scored; nil = it is none, or is not over.
func (s *Service) practice(ctx context.Context, who actor.Actor, c Case) (*Practice, error) {
	if !c.Drill {
		return nil, nil //nolint:nilnil // there is none
	}
	scored, err := s.scores(ctx, scoreOf, c.ID)
	if err != nil || len(scored) == 0 {
		return nil, err
	}
	people, err := s.tookPart(ctx, c)
	p := &Practice{Scored: scored[0], Asks: !slices.Contains(people, who.ID) && s.Now().Sub(scored[0].Ended) <= followLife}
	for _, id := range people {
		p.Names = append(p.Names, s.name(ctx, id))
	}
	return p, err
}

// tookPart are the people who acted in a drill, or said that they followed it.
func (s *Service) tookPart(ctx context.Context, c Case) (out []string, err error) {
	err = s.DB.Each(ctx, peopleOf, func(scan ledger.Scan) error {
		var p string
		err := scan(&p)
		out = append(out, p)
		return err
	}, c.ID)
	return out, err
}

// probeDrills is a pass only where people practised each kind, it passed, and is in date.
func (s *Service) probeDrills(ctx context.Context) (clause.Result, error) { // clause: inc.prepared
	rules := s.Rules.Get()
	var never, old, alone []string
	for _, kind := range rules.DrillKinds {
		last, err := s.scores(ctx, lastPassed, kind)
		played, err2 := s.scores(ctx, lastAlone, kind)
		if err := errors.Join(err, err2); err != nil {
			return clause.Result{}, err
		}
		switch {
		case len(last) == 0 && len(played) > 0:
			never, alone = append(never, kind), append(alone, played[0].Ref)
		case len(last) == 0:
			never = append(never, kind)
		case s.Now().Sub(last[0].Ended) > rules.Drill:
			old = append(old, kind+" ("+web.Age(s.Now(), last[0].Ended)+")")
		}
	}
	n := int64(len(rules.DrillKinds))
	r := clause.Passed(web.Count(n, "kind") + " of disaster practised by people within " + web.Duration(rules.Drill))
	switch {
	case len(alone) > 0:
		r = clause.Failed(fmt.Sprintf("never practised by people: %s; in %s nobody took part, and whoever followed it may say so: writ incident followed %s", strings.Join(never, ", "), web.And(alone), alone[0]))
	case len(never) == len(rules.DrillKinds):
		r = clause.Result{Outcome: clause.Unknown, Summary: "nothing was practised yet: writ incident drill data-loss --yes"}
	case len(never) > 0:
		r = clause.Failed("never practised: " + strings.Join(never, ", ") + "; writ incident drill " + never[0] + " --yes")
	case len(old) > 0:
		r = clause.Result{Outcome: clause.Stale, Summary: "practised too long ago: " + strings.Join(old, ", ")}
	}
	r.Population = n
	return r, nil
}

// DrillFollowed is a person's word that they followed a drill.
type DrillFollowed struct {
	Incident string `class:"public"`
}

// About implements ledger.Event.
func (e DrillFollowed) About() ledger.About {
	return ledger.About{Name: "incident.drill-followed", Clause: "inc.prepared", Object: thing(e.Incident)}
}

const (
	insertPresent = `INSERT INTO incident_drill_person (case_id, person, followed, at) VALUES ($1, $2, $3, $4) ON CONFLICT (case_id, person) DO NOTHING`
	drillEnded    = `SELECT ended FROM incident_drill WHERE case_id = $1`
	peopleOf      = `SELECT person FROM incident_drill_person WHERE case_id = $1 ORDER BY at, person`
	scoreColumns  = `SELECT c.number, d.ended, d.score, (SELECT COUNT(*) FROM incident_drill_person p WHERE p.case_id = d.case_id) FROM incident_drill d JOIN incident_case c ON c.id = d.case_id`
	newestScore   = ` ORDER BY d.ended DESC, c.number DESC LIMIT 1`
	scoreOf       = scoreColumns + ` WHERE d.case_id = $1 AND d.ended IS NOT NULL`
	lastScores    = scoreColumns + ` WHERE d.ended IS NOT NULL ORDER BY d.ended DESC, c.number DESC LIMIT 50`
	lastPassed    = scoreColumns + ` WHERE d.kind = $1 AND d.passed AND EXISTS (SELECT 1 FROM incident_drill_person p WHERE p.case_id = d.case_id)` + newestScore
	lastAlone     = scoreColumns + ` WHERE d.kind = $1 AND d.passed AND NOT EXISTS (SELECT 1 FROM incident_drill_person p WHERE p.case_id = d.case_id)` + newestScore
	lastEnded     = scoreColumns + ` WHERE d.kind = $1 AND c.l = 'L6' AND d.ended IS NOT NULL` + newestScore
)
