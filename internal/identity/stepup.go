package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

// ShowPassword is the proof of people who have no second factor: the password once more.
const ShowPassword = "password"

// Fresh refuses whoever has not proved within maxAge who they are: with the second factor
// where they have one, else with the password (fault.Denied, step_up_required). The
// operator, who is no person, proves by the socket. A token is never fresh.
func (s *Service) Fresh(ctx context.Context, who actor.Actor, maxAge time.Duration) error { // clause: auth.best-practice
	switch who.Kind {
	case actor.Operator, actor.Writ, actor.BreakGlass:
		return nil
	case actor.Enrolling:
		return web.Enrol(who)
	}
	if who.Kind != actor.Person || who.ByToken() || who.Session == "" {
		return web.NeedStepUp(2, maxAge)
	}
	acr := 2
	if who.ACR < 2 {
		n, err := needOf(ctx, s.DB, s.Rules.Get(), who.ID)
		if err != nil {
			return err
		}
		if len(n.enrolled) > 0 {
			return web.NeedStepUp(2, maxAge)
		}
		acr = 1
	}
	now := s.Now()
	if now.Sub(who.FactorAt) >= maxAge || tooEarly(now, who.FactorAt) {
		return web.NeedStepUp(acr, maxAge)
	}
	return nil
}

// fresh is Fresh with the age of the policy.
func (s *Service) fresh(ctx context.Context, who actor.Actor) error {
	return s.Fresh(ctx, who, s.Rules.Get().StepUpAge)
}

// StepUp shows a factor anew within a session: it gets a new token, and its proof is of
// now. People without a factor show the password.
func (s *Service) StepUp(ctx context.Context, who actor.Actor, in Shown, from From) (Confirmed, error) {
	if who.Kind != actor.Person || who.Session == "" || who.ByToken() {
		return Confirmed{}, errEnded()
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return Confirmed{}, err
	}
	var p proof
	if in.Kind == ShowPassword {
		p, err = s.showPassword(ctx, who, in.Code)
	} else {
		p, err = s.showFactor(ctx, who, acc, in, from)
	}
	if err != nil {
		return Confirmed{}, err
	}
	rules, token := s.Rules.Get(), secret.RandomText(32)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, who.ID); err != nil {
			return nil, err
		}
		if err := p.spend(ctx, tx); err != nil {
			return nil, err
		}
		err := raise(ctx, tx, rules, raised{session: who.Session, person: who.ID, token: token, acr: p.acr, amr: p.after("pwd").amr})
		return SteppedUp{Person: who.ID, Session: who.Session, Kind: p.kind, ACR: p.acr}, err
	})
	if errors.Is(err, errSpent) {
		return Confirmed{}, s.wrongFactor(ctx, who, who.ID, p.kind, "used", From{Network: from.Network})
	}
	if err != nil {
		return Confirmed{}, fmt.Errorf("step up: %w", s.below(ctx, who, FactorRefused{Person: who.ID, Kind: p.kind, Network: from.Network}, err))
	}
	if err := s.forgive(ctx, p.clear, nil); err != nil {
		s.Log.Error("forgive codes after a step-up", "err", err) // the session stands
	}
	if err := s.reread(ctx, who.ID); err != nil {
		return Confirmed{}, err
	}
	return s.risen(token, false, nil)
}

// showPassword proves somebody who has no second factor. For others it is out of order:
// the password alone would undo the factor.
func (s *Service) showPassword(ctx context.Context, who actor.Actor, typed secret.Text) (proof, error) {
	b, err := s.bucket(ctx, perSession, who.ID)
	if err != nil {
		return proof{}, err
	}
	if full, err := s.take(ctx, b); err != nil {
		return proof{}, err
	} else if full != nil {
		return proof{}, s.refuse(ctx, who, SignInsThrottled{Door: "step-up", Bucket: full.limit}, full.fault())
	}
	start := s.Now()
	old, ok, err := s.current(ctx, who, typed)
	if err != nil {
		return proof{}, errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	if !ok {
		err := s.refuse(ctx, who, FactorRefused{Person: who.ID, Kind: ShowPassword, Cause: "wrong"}, fault.New(fault.Unauthenticated, "factor_refused", fault.Public{
			Problem: "The password is not right.", Next: "Type the password you use now.",
			Fields: []fault.Field{{Name: "code", Code: "factor_refused", Problem: "This is not your password."}}}))
		s.hold(ctx, start)
		return proof{}, err
	}
	rules := s.Rules.Get()
	return proof{kind: ShowPassword, acr: 1, amr: "pwd", clear: []bucket{b}, spend: func(ctx context.Context, tx *ledger.Tx) error {
		if err := lockPassword(ctx, tx, who.ID, old.box); err != nil {
			return err
		}
		n, err := needOf(ctx, tx, rules, who.ID)
		if err == nil && len(n.enrolled) > 0 {
			err = errFlow()
		}
		return err
	}}, nil
}
