package identity

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// LiveSession is a session by its id, for whoever acts on its strength without its
// cookie: the tokens of the OIDC provider. It counts as no use of the session. One that
// is unknown, ended, idle for too long or too old is fault.Unauthenticated.
func (s *Service) LiveSession(ctx context.Context, id string) (actor.Actor, Session, error) {
	if !s.loaded.Load() {
		return actor.Actor{}, Session{}, errEnded()
	}
	l, err := s.byIDOf(ctx, id)
	if err != nil {
		return actor.Actor{}, Session{}, err
	}
	if l == nil {
		return actor.Actor{}, Session{}, errEnded()
	}
	now, rules := s.Now(), s.Rules.Get()
	ends, idle, seen := l.ends(rules), rules.idle(l.staff), at(l.seen.Load())
	if !now.Before(ends) || tooEarly(now, l.started) || now.Sub(seen) >= idle && !s.seenElsewhere(ctx, l, now, idle) { // clause: auth.best-practice
		return actor.Actor{}, Session{}, errEnded()
	}
	if l.level != levelFull || l.lacks(rules, now) { // clause: access.mfa-by-technology
		return actor.Actor{}, Session{}, errEnded()
	}
	if l.owes(rules) { // clause: use.terms
		return actor.Actor{}, Session{}, errEnded()
	}
	who := s.actorOf(l, "https")
	return who, Session{ID: l.id, Person: l.person, Team: l.team, Kind: l.kind, Roles: who.Roles, Lent: who.Lent, ACR: l.acr, AMR: rolesOf(l.amr),
		Low: l.low, Started: l.started, Seen: seen, IdleEnds: seen.Add(idle), Ends: ends}, nil
}

// SessionOf says whose a session is or was, and whether it has ended. One that owes a second
// factor or the terms reaches nothing and has not ended. fault.NotFound: there was none, or
// nothing is kept of it any more.
func (s *Service) SessionOf(ctx context.Context, id string) (person string, ended bool, err error) {
	err = ledger.One(ctx, s.DB, `SELECT person, ended IS NOT NULL FROM identity_session WHERE id = $1`, []any{&person, &ended}, id)
	if errors.Is(err, fault.NotFound) {
		err = fault.Newf(fault.NotFound, "no_session", "There was no such session, or it ended so long ago that nothing is kept of it.")
	}
	return person, ended, err //nolint:wrapcheck // the ledger says what failed
}

// TokenEnded says whether a token was ended. One that is past its time was not. fault.NotFound:
// there was none.
func (s *Service) TokenEnded(ctx context.Context, id string) (ended bool, err error) {
	err = ledger.One(ctx, s.DB, `SELECT ended IS NOT NULL FROM identity_token WHERE id = $1`, []any{&ended}, id)
	if errors.Is(err, fault.NotFound) {
		err = noToken()
	}
	return ended, err //nolint:wrapcheck // the ledger says what failed
}

// ActivePerson is somebody who may sign in, for what is told about them with their
// consent. Everybody else is fault.NotFound.
func (s *Service) ActivePerson(ctx context.Context, id string) (Person, error) {
	p, err := s.one(ctx, id)
	if err != nil {
		return Person{}, fmt.Errorf("read person: %w", err)
	}
	if p.State != stateActive {
		return Person{}, noPerson()
	}
	return p, nil
}

// Planted is somebody whom a control of a child module put there for one run.
type Planted struct {
	Person, Email string
	Password      secret.Text
}

// Plant puts a person there for one run of a control, and returns what removes them again.
func (s *Service) Plant(ctx context.Context, door *canary.Door, control string) (Planted, func(), error) {
	p, end, err := s.plant(ctx, door, control)
	return Planted{p.id, p.email, p.password}, end, err
}

const deleteConsentsOf = `DELETE FROM identity_oidc_consent WHERE person = $1`
