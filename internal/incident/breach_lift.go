package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
)

// CutPerson is the kind of cut that keeps somebody from signing in at all: sessions, tokens and keys
// end with it. It alone is lifted again.
const CutPerson = "person"

const (
	paperLift   = "lift"
	paperLifted = "lifted"
)

// Lift is what two people want of a cut: that whoever it concerns is let in again.
type Lift struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Asked  string `json:"asked,omitempty"` // name of the first, once the second has agreed
	Says   string `json:"says,omitempty"`  // how it is since
}

// Lift lets somebody in again who was cut because of this breach: the first of two people asks,
// another one agrees by asking for the same within a day. Only then anything happens. Errors:
// *Kept (other-person), fault.Denied (no_person), fault.NotFound (not_cut), fault.Invalid (lift_kind).
func (s *Service) Lift(ctx context.Context, who actor.Actor, ref, kind, id, reason string) (Case, error) { // clause: inc.breach-research
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only people who are signed in lift a cut, two of them.", Next: "Sign in: --as ADDRESS"})
	}
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	if err := s.underWay(ctx, s.DB, who, c, paperLift); err != nil {
		return Case{}, err
	}
	cuts := s.world(c).Cuts
	if cuts == nil || kind != CutPerson {
		return Case{}, badPaper("lift", "kind", "A person alone is let in again. Anything else is made anew.")
	}
	if err := s.wasCut(ctx, c, kind, id); err != nil {
		return Case{}, err
	}
	asked, err := s.paper(ctx, c, paperLift)
	if err != nil {
		return Case{}, err
	}
	var was Lift
	open := asked != nil && asked.Read(&was) && was.Kind == kind && was.ID == id && s.Now().Sub(asked.At) < approvalLife
	done, err := newestPaper(ctx, s.DB, c, paperLifted)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return Case{}, err
	}
	if open = open && !(err == nil && done.At.After(asked.At)); !open { // what was agreed to once is not agreed to twice
		return s.write(ctx, who, ref, paperLift, Lift{Kind: kind, ID: id, Reason: reason}, nil)
	}
	if asked.Author == who.ID {
		return Case{}, s.DB.Refuse(ctx, who, StepRefused{Incident: c.ID, State: c.States[engine.B], Wanted: paperLift, Unmet: []string{"other-person"}},
			kept(c, engine.B, paperLift, []engine.Lack{{Guard: "other-person", Words: "Whoever asked for it does not agree to it.", Who: "anybody else who works on it"}}))
	}
	says, err := cuts.Lift(ctx, who, asked.Author, kind, id)
	if err != nil {
		return Case{}, fmt.Errorf("lift a cut of %s: %w", c.Ref(), err)
	}
	return s.write(ctx, who, ref, paperLifted, Lift{Kind: kind, ID: id, Reason: reason, Asked: asked.Name, Says: says}, nil)
}

// wasCut refuses what was not cut in this breach.
func (s *Service) wasCut(ctx context.Context, c Case, kind, id string) error {
	all, err := s.papers(ctx, c, paperCut)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(p Paper) bool {
		x := CutDone{}
		return p.Kind == paperCut && p.Read(&x) && x.Kind == kind && x.ID == id
	}) {
		return fault.Newf(fault.NotFound, "not_cut", "%s %q was not cut in %s.", kind, id, c.Ref())
	}
	return nil
}
