package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// The people of a planted incident. They are nobody, and their change is taken back.
var (
	plantedBy = actor.Actor{Kind: actor.Person, ID: "canary-a", Team: "staff", TeamKind: "staff"}
	other     = actor.Actor{Kind: actor.Person, ID: "canary-b", Team: "staff", TeamKind: "staff"}
)

// lifeControls try to leave out what the policy promises, each in a change that is taken back.
func (s *Service) lifeControls() []clause.Control {
	try := func(id, about, says string, run func(*planted) error, good string) clause.Control {
		return clause.Control{ID: "incident." + id, Clause: about, Kind: clause.Canary, Says: says, Every: time.Hour, FreshFor: 24 * time.Hour, Run: func(ctx context.Context) (clause.Result, error) {
			steps, err := s.plant(ctx, run)
			if err != nil {
				return clause.Result{}, fmt.Errorf("try a planted incident: %w", err)
			}
			return clause.Judge(good, steps...), nil
		}}
	}
	return []clause.Control{
		try("sort-first", "inc.categorise", "Tries to work on a planted incident, and to close it, before its kind, severity and commander are decided", trySorting, "nothing begins before kind, severity and commander are decided"),
		try("no-skip", "inc.process", "Tries to leave states of a planted incident with a region still open, and to deploy while it is bad", trySkipping, "no state is left while what belongs to it is open, and nothing is deployed while it is bad"),
		try("update-whole", "inc.eta", "Tries to post an update without an estimate, and one with an address in it", tryUpdating, "no update stands without an estimate, or with an address in it"),
		try("told-first", "inc.tell-affected", "Tries to begin the review of a planted incident while a team waits for its message", tryTelling, "no review begins before everybody who is affected was told"),
		try("learn-first", "inc.learn", "Tries to close a planted incident without a review, with one that its author approved, and without an action that prevents the next one", tryClosing, "nothing is closed without an approved review and what prevents the next one"),
		try("fix-ends", "inc.patch", "Tries to approve a fix of one's own, to put one in place without an end or with one too late, and to end without a test", tryFixing, "no fix goes in by its author alone, or without an end"),
	}
}

// planted is an incident that never was.
type planted struct {
	s     *Service
	ctx   context.Context //nolint:containedctx // it lives for one change
	tx    *ledger.Tx
	c     Case
	steps []clause.Step
}

func (s *Service) plant(ctx context.Context, run func(*planted) error) (steps []clause.Step, err error) {
	id := s.DB.ID()
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		p := &planted{s: s, ctx: ctx, tx: tx, c: Case{ID: id, Number: -1, Drill: true, Round: 1, States: map[engine.Region]string{}, OnsetFrom: tx.Now(), Declared: tx.Now()}}
		if _, err := tx.Exec(ctx, insertCase, id, int64(-1), true, []byte{}, "person", "", plantedBy.ID, us(tx.Now()), us(tx.Now())); err != nil {
			return nil, err
		}
		for _, r := range engine.Roles() {
			if r == engine.Commander { // to be taken
				continue
			}
			if err := p.exec(insertRole, id+string(r), id, string(r), plantedBy.ID, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		if err := run(p); err != nil {
			return nil, err
		}
		steps = p.steps
		return nil, errTried
	})
	if errors.Is(err, errTried) {
		return steps, nil
	}
	return nil, err
}

func (p *planted) exec(query string, args ...any) error {
	_, err := p.tx.Exec(p.ctx, query, args...)
	return err
}

// at puts its regions somewhere: L2 C3.
func (p *planted) at(states string) error {
	var errs []error
	for _, st := range strings.Fields(states) {
		errs = append(errs, move(p.ctx, p.tx, &p.c, engine.Region(st[:1]), st))
	}
	return errors.Join(errs...)
}

// try takes a step; want are the guards that must keep it, or a code; "" = nothing must.
func (p *planted) try(what, want string, who actor.Actor, r engine.Region, event string, change func(*engine.Facts)) error {
	got := ""
	c := p.c
	c.States = map[engine.Region]string{}
	for k, v := range p.c.States {
		c.States[k] = v
	}
	_, err := p.s.take(p.ctx, p.tx, who, &c, r, event, change)
	if k, ok := errors.AsType[*Kept](err); ok {
		var guards []string
		for _, l := range k.Unmet {
			guards = append(guards, l.Guard)
		}
		if got = strings.Join(guards, ", "); got == "" {
			got = k.Fault.Code
		}
	} else if err != nil {
		return err
	}
	if err == nil && move(p.ctx, p.tx, &c, r, p.c.States[r]) != nil { // it stands where it stood
		return fault.Newf(fault.Unavailable, "canary", "A planted incident cannot be put back.")
	}
	p.steps = append(p.steps, clause.Step{Act: what, Expected: orNothing(want), Got: orNothing(got), OK: got == want, Control: want == ""})
	return nil
}

func trySorting(p *planted) error { // clause: inc.categorise
	now := us(p.tx.Now())
	try := func(what, want string, r engine.Region, event string) error {
		return p.try(what, want, plantedBy, r, event, nil)
	}
	return errors.Join(p.at("L1 C0 F0"), try("decide nothing", "has-category, has-severity, has-commander", engine.L, "categorise"), try("close it", "step_not_now", engine.L, "close"),
		try("repair it", "kind-decided", engine.F, "propose"), p.exec(insertRole, p.c.ID+"x", p.c.ID, string(engine.Commander), plantedBy.ID, now),
		p.sort("usability", 2), try("decide it", "", engine.L, "categorise"))
}

func (p *planted) sort(kind string, severity int) error {
	p.c.Categories, p.c.Severity = []string{kind}, severity
	return p.exec(setSorting, p.c.ID, kind, severity)
}

func trySkipping(p *planted) error { // clause: inc.process
	now := p.tx.Now()
	try := func(what, want, event string) error { return p.try(what, want, plantedBy, engine.L, event, nil) }
	command := p.exec(insertRole, p.c.ID+"x", p.c.ID, string(engine.Commander), plantedBy.ID, us(now))
	p.c.Green = now.Add(-2 * Soak)
	return errors.Join(command, p.sort("data-loss", 1), p.at("L2 C4 R3 F0"), try("call the impact over without a fix", "fixed-or-up, told-monitoring", "mitigate"), p.deploy("deploy while it is bad", "freeze"), try("resolve it at once", "step_not_now", "resolve"),
		p.at("L3 F4"), try("resolve it while its data is gone", "data-back", "resolve"), p.at("R12 C2"), try("resolve it while the public waits", "public-ended", "resolve"),
		p.at("C4"), try("resolve it when all is done", "", "resolve"), p.at("L4"), p.deploy("deploy once it is resolved", ""), p.at("L5 B3"), try("close it with a breach open", "review-approved, measures, breach-ended", "close"))
}

// deploy asks as a pipeline does.
func (p *planted) deploy(what, want string) error {
	c, got := p.c, ""
	c.Drill = false
	err := p.s.freeze(p.ctx, p.tx, c)
	cs, err2 := p.s.cases(p.ctx, p.tx, freezingCases)
	if slices.ContainsFunc(cs, func(x Case) bool { return x.ID == c.ID }) {
		got = "freeze"
	}
	p.steps = append(p.steps, clause.Step{Act: what, Expected: orNothing(want), Got: orNothing(got), OK: got == want, Control: want == ""})
	return errors.Join(err, err2)
}

func tryUpdating(p *planted) error { // clause: inc.eta
	leaks := func(body string) (bool, error) {
		ls, err := p.s.Page.Check(p.ctx, status.Post{Title: "Sign-in fails", State: status.Investigating, Body: body, Next: p.tx.Now().Add(time.Hour)})
		return len(ls) > 0, err
	}
	clean, err := leaks("Some people cannot sign in at the moment.")
	planted, err2 := leaks("Some people cannot sign in: write to joe@" + canary.Domain + " about it.")
	try := func(what, want string, estimate, leak bool) error {
		return p.try(what, want, plantedBy, engine.C, "post", func(f *engine.Facts) { f.Estimate, f.Leak = f.Estimate || estimate, leak })
	}
	want := "estimate-given"
	if p.s.Rules.Get().Estimate != "required" {
		want = ""
	}
	return errors.Join(err, err2, p.at("L2 C0"), try("post without an estimate", want, false, clean), try("post an address", "no-leak", true, planted), try("post what is whole", "", true, clean))
}

func tryTelling(p *planted) error { // clause: inc.tell-affected
	try := func(what, want string) error { return p.try(what, want, plantedBy, engine.L, "review", nil) }
	put := func() error { return p.exec(insertAudience, p.c.ID, int64(1), "canary", queued, "", us(p.tx.Now())) }
	told := func() error { return p.exec(setAudience, p.c.ID, int64(1), "canary", queued, handed, us(p.tx.Now())) }
	decided := func() error { p.c.Decided = true; return nil }
	return errors.Join(p.at("L4 C4"), try("begin before it is known who is affected", "affected-told"), decided(), put(), try("begin while a team waits", "affected-told"), told(), try("begin when all are told", ""))
}

func tryClosing(p *planted) error { // clause: inc.learn
	now := us(p.tx.Now())
	command := p.exec(insertRole, p.c.ID+"x", p.c.ID, string(engine.Commander), plantedBy.ID, now)
	try := func(what, want string) error { return p.try(what, want, plantedBy, engine.L, "close", nil) }
	approve := func(who actor.Actor) error {
		return p.exec(insertApproval, p.c.ID, p.c.ID+who.ID, objectReview, "canary", who.ID, now)
	}
	return errors.Join(command, p.at("L5 C4 F4"), try("close it without a review", "review-approved, measures"), p.exec(putReview, p.c.ID, int64(1), plantedBy.ID, now, int64(1), "canary", []byte{}),
		approve(plantedBy), try("close it with a review of one's own", "review-approved, measures"), approve(other), try("close it without an action", "measures"),
		p.exec(insertAction, p.c.ID+"a", p.c.ID, int64(1), true, other.ID, now, []byte{}), try("close it when all is there", ""))
}

func tryFixing(p *planted) error { // clause: inc.patch
	now, longest := p.tx.Now(), p.s.Rules.Get().Temporary
	by := func(what, want string, who actor.Actor) error {
		return p.try(what, want, who, engine.F, "approve-fix", nil)
	}
	ends := func(what, want string, t time.Time) error {
		return p.try(what, want, plantedBy, engine.F, "deploy", func(f *engine.Facts) { f.Expiry = t })
	}
	return errors.Join(p.at("L2 F1"), p.exec(proposeFix, p.c.ID, plantedBy.ID, "canary", []byte{}), by("approve one's own fix", "other-person", plantedBy), by("approve the fix of another", "", other),
		p.at("F2"), ends("put it in place without an end", "expiry-set", time.Time{}), ends("let it last longer than the policy does", "expiry-set", now.Add(longest+time.Second)), ends("let it end in time", "", now.Add(longest)),
		p.at("F4"), p.try("call it repaired without a test", "regression-test", plantedBy, engine.F, "replace", nil))
}
