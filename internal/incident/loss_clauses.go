package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/web"
)

// lossControls are the proofs about lost data, drills and the plan to go on.
func (s *Service) lossControls() []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	look := func(id, about, says string, kind clause.Kind, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: id, Clause: about, Kind: kind, Says: says, Every: hour, FreshFor: day, Run: run}
	}
	return []clause.Control{
		look("incident.drills", "inc.prepared", "Looks when people last practised each kind of disaster to its end", clause.Probe, s.probeDrills),
		look("incident.continuity", "host.bcp", "Holds the last drill of lost data against the time and the data that the plan allows to lose", clause.Probe, s.probeContinuity),
		look("incident.loss-down", "inc.loss-maintenance", "Looks whether the gate is closed while lost data is being brought back", clause.Probe, s.probeDown),
		look("incident.loss-order", "inc.loss-freeze", "Looks in the record of every recovery whether anything was restored before it was proved that nothing is written", clause.Replay, s.replayFrozen),
		look("incident.loss-plan", "inc.loss-restore", "Tries to restore by a plan of one person, a plan that was changed or has aged, one from after the onset, and one over this server's own database", clause.Canary, s.tryPlan),
		look("incident.loss-reopen", "inc.loss-reopen", "Tries to open what was not checked or not reconciled, and to end without a proved backup", clause.Canary, s.tryReopen),
	}
}

func (s *Service) probeContinuity(ctx context.Context) (clause.Result, error) { // clause: host.bcp
	rules := s.Rules.Get()
	last, err := s.scores(ctx, lastEnded, "data-loss")
	if err != nil {
		return clause.Result{}, err
	}
	if len(last) == 0 {
		return clause.Result{Outcome: clause.Unknown, Summary: "the plan was not practised yet: writ incident drill data-loss --yes"}, nil
	}
	x := last[0]
	rto, rpo := time.Duration(x.RTO)*time.Second, time.Duration(x.RPO)*time.Second
	measured := fmt.Sprintf("the drill %s was back after %s of %s, with %s of %s of data lost", x.Ref, rto, web.Duration(rules.RTO), rpo, web.Duration(rules.RPO))
	switch {
	case s.Now().Sub(x.Ended) > rules.PlanDrill:
		return clause.Result{Outcome: clause.Stale, Summary: "the plan was practised too long ago; " + measured}, nil
	case x.RTO == 0 || rto > rules.RTO || rpo > rules.RPO:
		return clause.Failed(measured), nil
	}
	return clause.Passed(measured), nil
}

// closedStates are those in which the application must get no request.
var closedStates = []string{"R2", "R3", "R4", "R5", "R6", "R7", "R9"}

func (s *Service) probeDown(ctx context.Context) (clause.Result, error) { // clause: inc.loss-maintenance
	cs, err := s.cases(ctx, s.DB, openLosses)
	if err != nil {
		return clause.Result{}, err
	}
	var bad []string
	n := int64(0)
	for _, c := range cs {
		if !slices.Contains(closedStates, c.States[engine.R]) {
			continue
		}
		x, err := s.loss(ctx, c)
		if err != nil {
			return clause.Result{}, err
		}
		if x.Down.IsZero() {
			continue // a false alarm before it was closed
		}
		if s.Real.Gate == nil {
			return clause.Result{Outcome: clause.Unknown, Summary: c.Ref() + ": no gate is known"}, nil
		}
		look, err := s.Real.Gate.Look(ctx, x.Down)
		if err != nil {
			return clause.Result{}, err
		}
		n++
		if k := shutCheck(look); !k.Good {
			bad = append(bad, c.Ref()+": "+k.Says)
		}
		if look.Writes > 0 {
			bad = append(bad, fmt.Sprintf("%s: the application took %d changes since it was taken down", c.Ref(), look.Writes))
		}
	}
	return verdict(web.Count(n, "recovery")+" under way, and the gate is closed for it", n, bad), nil
}

func (s *Service) replayFrozen(ctx context.Context) (clause.Result, error) { // clause: inc.loss-freeze
	var bad []string
	var n int64
	err := s.DB.Each(ctx, restoredLosses, func(scan ledger.Scan) error {
		var number, restored int64
		var down, frozen *int64
		err := scan(&number, &down, &frozen, &restored)
		n++
		switch {
		case down == nil || *down > restored:
			bad = append(bad, fmt.Sprintf("I-%d was restored while the application was up", number))
		case frozen == nil || *frozen > restored || *frozen < *down:
			bad = append(bad, fmt.Sprintf("I-%d was restored before it was proved that nothing is written", number))
		}
		return err
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read recoveries: %w", err)
	}
	return verdict(web.Count(n, "restore")+", each after it was proved that nothing is written", n, bad), nil
}

// errUndo ends a change in which something was tried: nothing of it stays.
var errUndo = errors.New("incident: a try is undone")

// trial is an incident that is made in a change which is undone, with real rows and the real
// steps. Nothing of it is kept or seen.
func (s *Service) trial(ctx context.Context, id string, at string, fn func(tx *ledger.Tx, c *Case) error) error {
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, insertCase, id, int64(-1), true, []byte{}, "person", "", "writ/incident", us(tx.Now()), us(tx.Now())); err != nil {
			return nil, err
		}
		c := Case{ID: id, Number: -1, Drill: true, Round: 1, States: map[engine.Region]string{engine.L: "L2"}, OnsetFrom: tx.Now()}
		if err := move(ctx, tx, &c, engine.R, at); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertLoss, id, int64(1), us(tx.Now()), "[]"); err != nil {
			return nil, err
		}
		if err := fn(tx, &c); err != nil {
			return nil, err
		}
		return nil, errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// keptBy are the guards that keep a step of lost data now, beside what people's roles ask.
func (s *Service) keptBy(ctx context.Context, tx *ledger.Tx, c Case, event string) (string, error) {
	m, _ := engine.Of(engine.R)
	st, ok := m.Find(c.States[engine.R], event)
	if !ok {
		return "no step", nil
	}
	f, err := s.facts(ctx, tx, actor.System("incident"), c)
	if err != nil {
		return "", err
	}
	var out []string
	for _, l := range engine.Unmet(engine.R, st, f) {
		out = append(out, l.Guard)
	}
	return strings.Join(out, ", "), nil
}

// tryPlan tries what must not be carried out.
func (s *Service) tryPlan(ctx context.Context) (clause.Result, error) { // clause: inc.loss-restore
	var steps []clause.Step
	err := s.trial(ctx, s.DB.ID(), "R4", func(tx *ledger.Tx, c *Case) error {
		steps = nil // a change may run twice
		now := tx.Now()
		p := Plan{Case: c.ID, Round: 1, Rule: Literal, Point: "canary", At: now.Add(-time.Hour), Onset: now}
		put := func(p Plan) error {
			b, err := json.Marshal(p)
			if err == nil {
				_, err = tx.Exec(ctx, setPlan, c.ID, int64(1), string(b), p.Digest(), "a", us(now))
			}
			return err
		}
		sign := func(person string, p Plan, ago time.Duration) error {
			_, err := tx.Exec(ctx, signPlan, c.ID, c.ID+person+p.Digest()[:8], p.Digest(), person, us(now.Add(-ago)))
			return err
		}
		try := func(what, want string) error {
			got, err := s.keptBy(ctx, tx, *c, "rehearse")
			steps = append(steps, clause.Step{Act: what, Expected: orNothing(want), Got: orNothing(got), OK: got == want, Control: want == ""})
			return err
		}
		later, changed := p, p
		later.At, changed.Point = now.Add(-30*time.Second), "another"
		return errors.Join(put(p), sign("a", p, 0), try("carry out a plan that one person has signed", "plan-signed"),
			sign("b", p, 0), try("carry out one that two have signed", ""),
			sign("b", p, signatureLife+time.Second), try("carry it out half an hour later", "plan-signed"),
			put(changed), sign("a", p, 0), sign("b", p, 0), try("carry out another plan than the one they signed", "plan-signed"),
			put(later), sign("a", later, 0), sign("b", later, 0), try("carry out one whose point is not a minute before the onset", "point-before-onset"))
	})
	if err != nil {
		return clause.Result{}, err
	}
	own, err := s.DB.Names(ctx)
	if err != nil {
		return clause.Result{}, fmt.Errorf("ask which database this is: %w", err)
	}
	hit, err := s.own(ctx, named{names: append([]string{"file:/canary"}, own...)})
	miss, err2 := s.own(ctx, named{names: []string{"file:/canary"}})
	_, err3 := s.own(ctx, named{})
	steps = append(steps, clause.Step{Act: "restore over this server's own database", Expected: "refused", Got: orNothing(hit), OK: hit != ""},
		clause.Step{Act: "restore over another one", Expected: "nothing keeps it", Got: orNothing(miss), OK: miss == "", Control: true},
		clause.Step{Act: "restore over one that nobody can name", Expected: "refused", Got: fmt.Sprint(fault.KindOf(err3)), OK: err3 != nil})
	return clause.Judge("nothing is restored by a plan that was not signed as it stands, is not from before the onset, or would overwrite this record", steps...), errors.Join(err, err2)
}

// named is a recovery that only has names.
type named struct {
	Recovery
	names []string
}

// Names implements Source.
func (n named) Names(context.Context) ([]string, error) { return n.names, nil }

func orNothing(s string) string {
	if s == "" {
		return "nothing keeps it"
	}
	return "kept by " + s
}

// tryReopen tries to open, and to end, too early.
func (s *Service) tryReopen(ctx context.Context) (clause.Result, error) { // clause: inc.loss-reopen
	var steps []clause.Step
	for _, t := range []struct{ at, event, act, guard string }{{"R7", "dry-run", verify, "checks-green"}, {"R8", "reconcile", dryRun, "dry-run-green"}, {"R9", "open", reconcile, "reconciled"}, {"R11", "protect", backUp, "backup-proved"}} {
		var tried []clause.Step
		err := s.trial(ctx, s.DB.ID(), t.at, func(tx *ledger.Tx, c *Case) error {
			tried = nil
			if err := prove(ctx, tx, *c, lostWrites, proof{Guard: "losses-listed", Good: true}); err != nil {
				return err
			}
			try := func(what, want string) error {
				got, err := s.keptBy(ctx, tx, *c, t.event)
				tried = append(tried, clause.Step{Act: t.event + " " + what, Expected: orNothing(want), Got: orNothing(got), OK: got == want, Control: want == ""})
				return err
			}
			return errors.Join(try("with nothing shown", t.guard), prove(ctx, tx, *c, t.act, proof{Guard: t.guard}), try("while it is red", t.guard),
				prove(ctx, tx, *c, t.act, proof{Guard: t.guard, Good: true}), try("once it is green", ""))
		})
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, tried...)
	}
	return clause.Judge("nothing is opened before it is checked and reconciled, and nothing ends without a proved backup", steps...), nil
}

const (
	openLosses = caseColumns + ` WHERE NOT drill AND r NOT IN ('', 'R12') AND l NOT IN ('L6', 'LX') ORDER BY id LIMIT 50`

	restoredLosses = `SELECT c.number, x.down, x.frozen, x.restored FROM incident_loss x JOIN incident_case c ON c.id = x.case_id WHERE NOT c.drill AND x.restored IS NOT NULL ORDER BY c.number LIMIT 500`
)
