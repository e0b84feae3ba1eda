package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// objectPlan is what two people sign before data is restored.
const objectPlan = "plan"

// NewPlan is a plan that somebody asks for. Where the server reaches no recovery, people
// restore, and say where from and where to.
type NewPlan struct {
	Rule   string    // "" = that of the policy
	Point  string    // "" = the newest that fits
	Onset  time.Time // since when the data is damaged, such as the beginning of a candidate; zero = as it is known
	At     time.Time // of the point, by hand
	Target string    // the database, by hand
	Says   string    // how, by hand
}

// planning are the states in which a plan may be made: later it is carried out.
var planning = []string{"R2", "R3", "R4"}

// MakePlan makes the plan of a restore. Whoever makes it has signed it by that; one more
// person must. A former plan, and what was signed of it, is void. A plan onto the database of
// this record is refused, whatever anybody's role. Errors: *Kept, fault.Denied (ledger_target),
// fault.Conflict (plan_checks), fault.Invalid.
func (s *Service) MakePlan(ctx context.Context, who actor.Actor, ref string, in NewPlan) (Case, error) { // clause: inc.loss-restore
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if who.Kind == actor.Person {
		if err := s.People.FreshNow(ctx, who); err != nil {
			return Case{}, err
		}
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	x, err := s.loss(ctx, c)
	if err != nil {
		return Case{}, err
	}
	p, err := s.drawPlan(ctx, who, c, x, in)
	if err != nil {
		return Case{}, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return Case{}, fmt.Errorf("encode the plan: %w", err)
	}
	hash := p.Digest()
	return s.change(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !slices.Contains(planning, c.States[engine.R]) || c.Round != p.Round {
			return nil, kept(*c, engine.R, "plan", nil)
		}
		if st := (engine.Step{Event: "plan", Role: engine.Recovery}); !s.mayTake(ctx, tx, who, *c, st) {
			return nil, roleLacks(*c, engine.R, st)
		}
		n, err := tx.Exec(ctx, setPlan, c.ID, c.Round, string(b), hash, by(who), us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.Conflict, "not_begun", "Nothing is known of this recovery yet. Try again in a moment.")
		}
		if err == nil && !p.Onset.Equal(c.OnsetFrom) {
			tx.Also(OnsetSet{Incident: c.ID, Round: c.Round, From: c.OnsetFrom, To: p.Onset})
			_, err = tx.Exec(ctx, setOnset, c.ID, us(p.Onset), some(x.endOf(p.Onset)))
		}
		if err == nil && who.Kind == actor.Person {
			_, err = tx.Exec(ctx, signPlan, c.ID, tx.ID(), hash, who.ID, us(tx.Now()))
		}
		return PlanMade{Incident: c.ID, Round: c.Round, Hash: hash, Former: x.Hash, Rule: p.Rule, Point: p.Point, At: p.At, Rows: p.Rows, Lost: p.Lost, Seconds: p.Seconds, ByHand: p.ByHand}, err
	})
}

// drawPlan is the plan, looked at from all sides.
func (s *Service) drawPlan(ctx context.Context, who actor.Actor, c Case, x lossRow, in NewPlan) (Plan, error) {
	bad := func(name, says, want string) error {
		return fault.New(fault.Invalid, "plan_"+name, fault.Public{Problem: says, Expected: want, Fields: []fault.Field{{Name: name, Code: "plan_" + name, Problem: says}}})
	}
	onset := c.OnsetFrom
	if !in.Onset.IsZero() {
		onset = in.Onset.UTC()
	}
	if onset.After(s.Now()) || onset.Before(s.Now().AddDate(-1, 0, 0)) {
		return Plan{}, bad("onset", "The damage began within the last year, not in the future.", "A time.")
	}
	rule := in.Rule
	if rule == "" {
		rule = s.Rules.Get().Pick
	}
	if err := s.checkRule(ctx, c, x, rule, bad); err != nil {
		return Plan{}, err
	}
	p := Plan{ByHand: true, At: in.At.UTC(), Target: strings.TrimSpace(in.Target), Says: strings.TrimSpace(in.Says), Point: strings.TrimSpace(in.Point), Position: "as recorded by hand", Rows: -1, Lost: -1}
	if rec := s.world(c).Recovery; rec != nil {
		if err := s.refuseLedger(ctx, who, c, rec); err != nil {
			return Plan{}, err
		}
		var err error
		if p, err = rec.Plan(ctx, Wish{Rule: rule, Before: onset, Point: in.Point, Kept: x.Preserved}); err != nil {
			return Plan{}, fmt.Errorf("make the plan: %w", err)
		}
	} else if err := s.checkByHand(ctx, who, c, p, bad); err != nil {
		return Plan{}, err
	}
	p.Case, p.Round, p.Rule, p.Onset, p.Kept = c.ID, c.Round, rule, onset, x.Preserved
	if p.Seconds = int64(onset.Sub(p.At) / time.Second); rule == Preserved {
		p.Seconds = 0
	}
	if rule != Preserved && !before(p) {
		return Plan{}, kept(c, engine.R, "plan", []engine.Lack{{Guard: "point-before-onset", Words: "The point, " + stamp(p.At) + ", is not before the beginning of the incident, " + stamp(onset) + ".", Who: "the recovery operator, by an older point"}})
	}
	var lacks []engine.Lack
	for _, k := range p.Checks {
		if !k.Good {
			lacks = append(lacks, engine.Lack{Guard: k.Name, Words: k.Says, Who: "the recovery operator"})
		}
	}
	if len(lacks) > 0 {
		return Plan{}, kept(c, engine.R, "plan", lacks)
	}
	return p, nil
}

// checkRule holds a rule against the policy: a copy as it is, unless the policy allows more.
func (s *Service) checkRule(ctx context.Context, c Case, x lossRow, rule string, bad func(name, says, want string) error) error {
	switch rule {
	case Literal:
		return nil
	case PITR:
		if s.Rules.Get().Pick == PITR {
			return nil
		}
		return bad("rule", "The policy asks for the last backup before the incident as it is.", Literal+".")
	case Preserved:
		err := ledger.One(ctx, s.DB, workState, []any{new(string), new(string), new(string)}, keyOf(c, restore))
		if x.Preserved != "" && err == nil {
			return nil
		}
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		return bad("rule", "The damaged state is put back only after a restore that failed.", Literal+" or "+PITR+".")
	}
	return bad("rule", fmt.Sprintf("There is no rule %q.", rule), Literal+", "+PITR+" or "+Preserved+".")
}

// refuseLedger keeps anybody from restoring over the database that holds this record: what
// happened would be rolled back with it.
func (s *Service) refuseLedger(ctx context.Context, who actor.Actor, c Case, rec Recovery) error { // clause: inc.loss-restore
	own, err := s.own(ctx, rec)
	if err != nil || own == "" {
		return err
	}
	return s.refusePlan(ctx, who, c, own)
}

func (s *Service) refusePlan(ctx context.Context, who actor.Actor, c Case, own string) error {
	return s.DB.Refuse(ctx, who, PlanRefused{Incident: c.ID, Round: c.Round, Target: own}, fault.New(fault.Denied, "ledger_target", fault.Public{
		Problem: "This would restore over the database that holds this record (" + own + ").", Expected: "A database of its own for the application, in a cluster of its own.",
		Next: "Nobody can allow it. Losing this database is another matter: it is brought back from the copies of the other node."}))
}

func (s *Service) checkByHand(ctx context.Context, who actor.Actor, c Case, p Plan, bad func(name, says, want string) error) error {
	switch {
	case p.At.IsZero() || p.At.After(s.Now()):
		return bad("at", "Say of which time the backup is that you restore.", "A time such as 2026-05-03T14:10:00Z.")
	case p.Point == "" || len(p.Point) > 300:
		return bad("point", "Say which backup it is.", "Its name, as your backups call it.")
	case p.Target == "" || len(p.Target) > 300:
		return bad("target", "Say which database is overwritten.", "Its address, without a password.")
	case len(p.Says) < 5 || len(p.Says) > 500:
		return bad("says", "Say how it is restored, in 5 to 500 characters.", "One or two sentences.")
	}
	ours, err := s.DB.Names(ctx)
	if err != nil {
		return fmt.Errorf("ask which database this is: %w", err)
	}
	for _, n := range ours {
		if _, name, _ := strings.Cut(n, ":"); strings.Contains(p.Target, name) {
			return s.refusePlan(ctx, who, c, n)
		}
	}
	return nil
}

// SignPlan is a person's yes to the plan as it stands. It counts for half an hour. hash may be
// the beginning of it.
func (s *Service) SignPlan(ctx context.Context, who actor.Actor, ref, hash string) (Case, error) { // clause: inc.loss-restore
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		return s.signPlan(ctx, tx, c, who.ID, hash)
	})
}

func (s *Service) signPlan(ctx context.Context, tx *ledger.Tx, c *Case, person, hash string) (ledger.Event, error) {
	x, err := readLoss(ctx, tx, *c)
	if errors.Is(err, fault.NotFound) || err == nil && x.Hash == "" {
		return nil, fault.Newf(fault.NotFound, "no_plan", "There is no plan yet.")
	}
	if err != nil {
		return nil, err
	}
	if at := c.States[engine.R]; at != "R5" && !slices.Contains(planning, at) {
		return nil, kept(*c, engine.R, "sign", nil)
	}
	if !strings.HasPrefix(x.Hash, hash) {
		return nil, fault.New(fault.Conflict, "approval_void", fault.Public{Problem: "The plan has changed since you read it.", Expected: "The one with the hash " + x.Hash[:12] + ".", Next: "Read it again."})
	}
	signed, err := signers(ctx, tx, c.ID, x.Hash, tx.Now())
	if err != nil {
		return nil, err
	}
	if slices.Contains(signed, person) {
		words := "You have signed this plan. A second person signs."
		if person == x.PlannedBy {
			words = "Whoever made the plan has signed it by that. A second person signs."
		}
		return nil, kept(*c, engine.R, "sign", []engine.Lack{{Guard: "other-person", Words: words, Who: "anybody else who may act in incidents"}})
	}
	_, err = tx.Exec(ctx, signPlan, c.ID, tx.ID(), x.Hash, person, us(tx.Now()))
	return Approved{Incident: c.ID, Round: c.Round, Object: objectPlan, Hash: x.Hash, Person: person}, err
}

const (
	setPlan  = `UPDATE incident_loss SET plan = $3, hash = $4, planned_by = $5, planned = $6 WHERE case_id = $1 AND round = $2`
	setOnset = `UPDATE incident_case SET onset_from = $2, onset_to = $3 WHERE id = $1`
)
