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
)

// The kinds of flows: what goes on once the factor is right.
const (
	flowSignIn = "sign-in"
	flowReset  = "reset"
)

const (
	flowLife = 10 * time.Minute
	maxWrong = 5 // factors of one flow
	warnAt   = 3 // wrong ones in one flow, after which the person is told
)

// flow is something begun that needs another step: a row on the server, bound to the
// browser that began it. Neither its token nor the cookie is enough alone.
type flow struct {
	kind, person, done string
	token, bind        secret.Text // of a new one
	id                 string
	need               int
	tries              int64
	link               string
	payload            []byte
}

func newFlow(kind, person, done string) flow {
	f := flow{kind: kind, person: person, done: done, token: secret.RandomText(32), bind: secret.RandomText(32)}
	f.id = sum(f.token)
	return f
}

func (f flow) insert(ctx context.Context, tx *ledger.Tx, need int) error {
	_, err := tx.Exec(ctx, insertFlow, f.id, f.kind, f.person, sum(f.bind), f.done, int64(need), f.payload, f.link, us(tx.Now()), us(tx.Now().Add(flowLife)))
	return err
}

// findFlow reads a flow that goes on; everything else is flow_order, recorded.
func (s *Service) findFlow(ctx context.Context, who actor.Actor, token, bind secret.Text) (flow, error) {
	f, err := s.lookFlow(ctx, token, bind)
	if errors.Is(err, errNoFlow) {
		return flow{}, s.refuse(ctx, who, FactorRefused{Cause: "order", Network: networkOf(who)}, errFlow())
	}
	return f, err
}

// errNoFlow is a flow that does not go on.
var errNoFlow = errors.New("identity: no such flow")

// lookFlow is findFlow without the record: errNoFlow for what does not go on.
func (s *Service) lookFlow(ctx context.Context, token, bind secret.Text) (flow, error) {
	f := flow{token: token, bind: bind, id: sum(token)}
	var hash string
	var created, expires int64
	var ended *int64
	var err error = fault.NotFound
	if token.Len() == tokenLength && bind.Len() == tokenLength {
		err = ledger.One(ctx, s.DB, readFlow, []any{&f.kind, &f.person, &hash, &f.done, &f.need, &f.tries, &f.payload, &f.link, &created, &expires, &ended}, f.id)
	}
	if err != nil && !errors.Is(err, fault.NotFound) {
		return flow{}, fmt.Errorf("find flow: %w", err)
	}
	now := s.Now()
	if err != nil || ended != nil || !secret.NewText(hash).Equal(secret.NewText(sum(bind))) || !now.Before(at(expires)) || tooEarly(now, at(created)) { // clause: access.mfa-by-technology
		return flow{}, errNoFlow
	}
	return f, nil
}

// count takes one of the flow's five tries before it is made, so that a hundred at once
// do not pass together.
func (s *Service) countTry(ctx context.Context, who actor.Actor, f *flow) error {
	var n int64
	now := s.Now()
	err := s.DB.Quiet(ctx, ledger.Throttle, func(tx *ledger.Tx) (err error) {
		n, err = tx.Exec(ctx, tryFlow, f.id, us(now), int64(maxWrong)) // clause: auth.best-practice
		return err
	})
	if err != nil {
		return fmt.Errorf("count a try: %w", err)
	}
	if n != 1 {
		return s.refuse(ctx, who, FactorRefused{Person: f.person, Cause: "order", Network: networkOf(who)}, errFlow())
	}
	f.tries++
	return nil
}

// end finishes the flow inside a change: one winner.
func (f flow) end(ctx context.Context, tx *ledger.Tx, cause string) error {
	n, err := tx.Exec(ctx, endFlow, f.id, us(tx.Now()), cause)
	if err == nil && n != 1 {
		err = errFlow()
	}
	return err
}

// Step is the second step of something begun.
type Step struct {
	Flow, Bind secret.Text
	Shown      Shown
	Device     secret.Text // of the device cookie
	Session    secret.Text // of the session cookie; that session ends
	Remember   bool        // let this browser skip the second factor, where the policy lets it
	Network    string
	Agent      string
}

// Proceed takes the second factor of a flow. A wrong one is factor_refused (five end the
// flow), a step out of order flow_order. It is the only way on from a flow.
func (s *Service) Proceed(ctx context.Context, who actor.Actor, in Step) (SignedInAs, error) {
	f, err := s.findFlow(ctx, who, in.Flow, in.Bind)
	if err != nil {
		return SignedInAs{}, err
	}
	acc, err := s.account(ctx, f.person)
	if err != nil {
		return SignedInAs{}, err
	}
	if acc.state != stateActive {
		return SignedInAs{}, s.refuse(ctx, who, FactorRefused{Person: f.person, Cause: "order", Network: in.Network}, errFlow())
	}
	if err := s.countTry(ctx, who, &f); err != nil {
		return SignedInAs{}, err
	}
	p, err := s.showFactor(ctx, who, acc, in.Shown, From{Network: in.Network, Agent: in.Agent, warn: f.tries == warnAt})
	if err != nil {
		return SignedInAs{}, err
	}
	switch f.kind {
	case flowSignIn:
		return s.proceedSignIn(ctx, who, acc, f, p, in)
	case flowReset:
		return s.proceedReset(ctx, who, acc, f, p, in)
	}
	return SignedInAs{}, errFlow()
}

// proceedSignIn ends a sign-in with a session.
func (s *Service) proceedSignIn(ctx context.Context, who actor.Actor, acc account, f flow, p proof, in Step) (SignedInAs, error) {
	br, err := s.browserOf(ctx, in.Device, f.person)
	if err != nil {
		return SignedInAs{}, err
	}
	e, err := s.entry(ctx, acc, br, SignIn{Device: in.Device, Session: in.Session, Network: in.Network, Agent: in.Agent})
	if err != nil {
		return SignedInAs{}, err
	}
	rules := s.Rules.Get()
	_, err = s.DB.Change(ctx, person(f.person, who), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, f.person); err != nil {
			return nil, err
		}
		if err := f.end(ctx, tx, "done"); err != nil {
			return nil, err
		}
		if err := p.spend(ctx, tx); err != nil {
			return nil, err
		}
		ev, err := e.write(ctx, s, tx, rules, p.after(f.done))
		if err == nil && in.Remember {
			err = remember(ctx, tx, rules, f.person, e.b.device)
		}
		if err == nil {
			err = endFactorResets(ctx, tx, f.person, "factor-shown")
		}
		return ev, err
	})
	if errors.Is(err, errSpent) {
		return SignedInAs{}, s.wrongFactor(ctx, who, f.person, p.kind, "used", From{Network: in.Network})
	}
	if err != nil {
		return SignedInAs{}, fmt.Errorf("begin session: %w", s.below(ctx, who, FactorRefused{Person: f.person, Kind: p.kind, Network: in.Network}, err))
	}
	if err := s.forgive(ctx, p.clear, nil); err != nil {
		s.Log.Error("forgive codes after a sign-in", "err", err) // the session stands
	}
	return s.entered(e, who), nil
}

// below records a factor that was right and counts for less than is asked.
func (s *Service) below(ctx context.Context, who actor.Actor, ev FactorRefused, err error) error {
	if code, _ := fault.PublicOf(err); err == nil || code != "passkey_required" {
		return err
	}
	ev.Cause = "level"
	return s.refuse(ctx, who, ev, errPasskey())
}

const (
	insertFlow = `INSERT INTO identity_flow (id, kind, person, bind, done, need, tries, payload, link, created, expires, ended, cause)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, NULL, '')`
	readFlow   = `SELECT kind, person, bind, done, need, tries, payload, link, created, expires, ended FROM identity_flow WHERE id = $1`
	tryFlow    = `UPDATE identity_flow SET tries = tries + 1 WHERE id = $1 AND ended IS NULL AND expires > $2 AND tries < $3`
	endFlow    = `UPDATE identity_flow SET ended = $2, cause = $3 WHERE id = $1 AND ended IS NULL`
	endFlowsOf = `UPDATE identity_flow SET ended = $2, cause = $3 WHERE person = $1 AND ended IS NULL`
	oldFlows   = `DELETE FROM identity_flow WHERE expires < $1`
)
