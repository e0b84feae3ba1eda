package identity

import (
	"context"
	"errors"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Switched is a session after it turned to another team.
type Switched struct {
	Token secret.Text // for the session cookie; the former one is dead
	Ends  time.Time
}

// SwitchTeam lets the actor's session act in another of their teams. The token rotates.
// Another's team, and one that is not there, are alike fault.NotFound, no_team.
//
// Nobody comes with one factor into a team that demands two.
func (s *Service) SwitchTeam(ctx context.Context, who actor.Actor, team string) (Switched, error) {
	const act = "switch-team"
	if who.Kind != actor.Person || who.Session == "" {
		return Switched{}, errEnded()
	}
	t := newTurn(who)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		t.reset()
		kind, roles, err := seatOf(ctx, tx, team, who.ID)
		if errors.Is(err, fault.NotFound) {
			return nil, noTeam()
		}
		if err != nil {
			return nil, err
		}
		if err := enterable(ctx, tx, s.Rules.Get(), who, team, kind, roles); err != nil {
			return nil, err
		}
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		return TeamSwitched{Person: who.ID, Session: who.Session, From: who.Team, To: team}, t.own(ctx, tx, team, change)
	})
	if err != nil {
		return Switched{}, s.notOnTeam(ctx, who, act, team, err)
	}
	token, err := s.turned(ctx, t)
	if err != nil {
		return Switched{}, err
	}
	_, x, err := s.Session(ctx, token)
	return Switched{Token: token, Ends: x.Ends}, err
}

// enterable refuses a session that shows less than the team demands: it would be over at once.
func enterable(ctx context.Context, tx *ledger.Tx, rules *Rules, who actor.Actor, team, kind string, roles []string) error {
	var demand int64
	if err := ledger.One(ctx, tx, demandOf, []any{&demand}, team); err != nil {
		return err
	}
	level := max(int(demand), rules.asks(kind, roles))
	if who.ACR >= level || who.Team == team { // clause: access.mfa-by-technology
		return nil
	}
	what := "a second factor"
	if level >= phishingResistant {
		what = "a passkey"
	}
	return fault.New(fault.Denied, "step_up_required", fault.Public{Problem: "This team is entered with " + what + ".",
		Expected: "A session that began with one.", Next: "Sign out and sign in again."})
}

// turn is what an act on a team does to sessions: some end, the actor's own may go on
// under another token.
type turn struct {
	who    actor.Actor
	token  secret.Text
	sum    string
	ended  []string
	people []string // whose tokens have other rights now
	again  bool     // the actor's own session has the new token
}

func newTurn(who actor.Actor) *turn {
	t := &turn{who: who, token: secret.RandomText(32)}
	t.sum = sum(t.token)
	return t
}

// reset begins anew: a change may run more than once.
func (t *turn) reset() { t.ended, t.people, t.again = nil, nil, false }

// sessions ends a person's sessions in a team inside a change and says how many; the
// actor's own goes on with another token.
func (t *turn) sessions(ctx context.Context, tx *ledger.Tx, team, person, cause string) (int64, error) {
	change, err := bump(ctx, tx)
	if err != nil {
		return 0, err
	}
	keep := ""
	if t.who.Kind == actor.Person && t.who.ID == person && t.who.Team == team {
		keep = t.who.Session
	}
	before := len(t.ended)
	err = tx.Each(ctx, endSessionsInTeam, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		t.ended = append(t.ended, id)
		return nil
	}, person, team, keep, us(tx.Now()), cause, change)
	if err == nil {
		t.people = append(t.people, person)
		err = touchTokens(ctx, tx, person)
	}
	if err == nil && keep != "" {
		err = t.own(ctx, tx, team, change)
	}
	return int64(len(t.ended) - before), err
}

// own gives the actor's session the new token and a team.
func (t *turn) own(ctx context.Context, tx *ledger.Tx, team string, change int64) error {
	n, err := tx.Exec(ctx, turnSession, t.who.Session, t.who.ID, t.sum, team, change) // clause: auth.best-practice
	if err == nil && n != 1 {
		err = errEnded()
	}
	t.again = err == nil
	return err
}

// turned makes the table of sessions follow a turn that was committed, and returns the
// actor's new token, if there is one.
func (s *Service) turned(ctx context.Context, t *turn) (secret.Text, error) {
	s.table.drop(s.Now(), t.ended...)
	for _, p := range t.people {
		s.tokensOf(ctx, p)
	}
	if err := s.readLoans(ctx); err != nil {
		s.Log.Error("lent roles could not be read after a change", "err", err) // the next reading is soon
	}
	if !t.again {
		return secret.Text{}, nil
	}
	if err := s.reread(ctx, t.who.ID); err != nil {
		s.table.drop(s.Now(), t.who.Session) // rather no session than one with former rights
		return secret.Text{}, err
	}
	return t.token, nil
}

const (
	demandOf          = `SELECT need FROM identity_team WHERE id = $1`
	endSessionsInTeam = `UPDATE identity_session SET ended = $4, cause = $5, change = $6 WHERE person = $1 AND team = $2 AND id <> $3 AND ended IS NULL RETURNING id`
	turnSession       = `UPDATE identity_session SET token = $3, team = $4, change = $5, turned = $5, former = '', former_ends = 0 WHERE id = $1 AND person = $2 AND ended IS NULL`
)
