package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Waive lets a guard pass for this round of an incident, once two different people say so:
// the first asks with a reason, the second agrees by the same call. It is an exception from the
// policy, and ends with the round, or as soon as one must. Firm guards pass for nobody. Errors: fault.NotFound (guard), fault.Denied (firm, or no person), *Kept.
func (s *Service) Waive(ctx context.Context, who actor.Actor, ref string, r engine.Region, guard, reason string) (Case, error) { // clause: inc.process
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only people who are signed in let a guard pass, two of them.", Next: "Sign in: --as ADDRESS"})
	}
	if _, ok := engine.Of(r); !ok {
		return Case{}, fault.Newf(fault.NotFound, "region_unknown", "There is no region %q.", string(r))
	}
	known, may := engine.Known(guard)
	if !known {
		return Case{}, fault.New(fault.NotFound, "guard_unknown", fault.Public{Problem: fmt.Sprintf("There is no guard %q.", guard), Next: "A refused step names the guards that do not hold."})
	}
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if !may {
		return Case{}, s.DB.Refuse(ctx, who, StepRefused{Wanted: "waive", Unmet: []string{guard}}, fault.New(fault.Denied, "guard_firm", fault.Public{Problem: "This guard cannot be passed by anybody.", Next: "Do what it asks for."}))
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	id := s.DB.ID()
	box, err := s.seal(ctx, c.ID, "incident_waiver.reason", id, reason)
	if err != nil {
		return Case{}, err
	}
	return s.change(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !c.Open() {
			return nil, kept(*c, engine.L, "waive", nil)
		}
		var asker string
		var agreed *int64
		err := ledger.One(ctx, tx, waiverOf, []any{&asker, &agreed}, c.ID, c.Round, string(r), guard)
		if errors.Is(err, fault.NotFound) {
			_, err = tx.Exec(ctx, insertWaiver, id, c.ID, c.Round, string(r), guard, box, us(tx.Now()), who.ID)
			return WaiverAsked{Incident: c.ID, Round: c.Round, Region: string(r), Guard: guard, Person: who.ID, reason: reason}, err
		}
		switch {
		case err != nil:
			return nil, err
		case agreed != nil && at(*agreed).After(tx.Now().Add(-s.longest())):
			return nil, fault.Newf(fault.Conflict, "waived", "Two people have let it pass already.")
		case agreed != nil: // it has ended by itself: two people say so anew
			_, err = tx.Exec(ctx, renewWaiver, id, c.ID, c.Round, string(r), guard, box, us(tx.Now()), who.ID)
			return WaiverAsked{Incident: c.ID, Round: c.Round, Region: string(r), Guard: guard, Person: who.ID, reason: reason}, err
		case asker == who.ID:
			return nil, kept(*c, r, "waive", []engine.Lack{{Guard: "other-person", Words: "Whoever asked for it does not agree to it.", Who: "anybody else who may act in incidents"}})
		}
		_, err = tx.Exec(ctx, agreeWaiver, c.ID, c.Round, string(r), guard, us(tx.Now()), who.ID)
		return GuardWaived{Incident: c.ID, Round: c.Round, Region: string(r), Guard: guard, People: []string{asker, who.ID}, reason: reason}, err
	})
}

// longest is how long what people let pass may count, as the policy says of exceptions.
func (s *Service) longest() time.Duration { // clause: gov.exceptions
	if s.Longest == nil {
		return 90 * 24 * time.Hour
	}
	return s.Longest()
}

// Waiver is a guard that two people let pass, or that one has asked for.
type Waiver struct {
	Region engine.Region
	Guard  string
	Asker  string
	Other  string // "" = waits for a second person
	Reason string
}

func (s *Service) waivers(ctx context.Context, c Case) ([]Waiver, error) {
	var out []Waiver
	var boxes [][]byte
	var ids []string
	err := s.DB.Each(ctx, waiversOf, func(scan ledger.Scan) error {
		var w Waiver
		var id, region string
		var box []byte
		err := scan(&id, &region, &w.Guard, &w.Asker, &w.Other, &box)
		w.Region = engine.Region(region)
		out, boxes, ids = append(out, w), append(boxes, box), append(ids, id)
		return err
	}, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read waivers: %w", err)
	}
	for i := range out {
		out[i].Asker, out[i].Other = s.name(ctx, out[i].Asker), s.name(ctx, out[i].Other)
		if out[i].Reason, err = s.open(ctx, "incident_waiver.reason", ids[i], boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const (
	waivedIn     = `SELECT region, guard FROM incident_waiver WHERE case_id = $1 AND round = $2 AND agreed > $3`
	renewWaiver  = `UPDATE incident_waiver SET id = $1, reason = $6, asked = $7, asker = $8, agreed = NULL, other = '' WHERE case_id = $2 AND round = $3 AND region = $4 AND guard = $5`
	waiverOf     = `SELECT asker, agreed FROM incident_waiver WHERE case_id = $1 AND round = $2 AND region = $3 AND guard = $4`
	waiversOf    = `SELECT id, region, guard, asker, other, reason FROM incident_waiver WHERE case_id = $1 AND round = $2 ORDER BY asked, id`
	insertWaiver = `INSERT INTO incident_waiver (id, case_id, round, region, guard, reason, asked, asker, agreed, other) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, '')`
	agreeWaiver  = `UPDATE incident_waiver SET agreed = $5, other = $6 WHERE case_id = $1 AND round = $2 AND region = $3 AND guard = $4 AND agreed IS NULL`
)
