package identity

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// plantedLife is how long a planted token would work if nothing ended it.
const plantedLife = time.Hour

// PlantProgram puts a person with a token there for one run of another module's control, and
// returns what removes both again.
func (s *Service) PlantProgram(ctx context.Context, door *canary.Door, control string, scopes []string) (secret.Text, func(), error) {
	p, end, err := s.plant(ctx, door, control)
	if err != nil {
		return secret.Text{}, nil, err
	}
	text, err := s.plantToken(ctx, control, p.id, scopes)
	if err != nil {
		end()
		return secret.Text{}, nil, err
	}
	return text, end, nil
}

func (s *Service) plantToken(ctx context.Context, control, person string, scopes []string) (secret.Text, error) {
	var team string
	if err := ledger.One(ctx, s.DB, canaryTeam, []any{&team}, person); err != nil {
		return secret.Text{}, fmt.Errorf("find the planted team: %w", err)
	}
	id, text := s.DB.ID(), newToken(PersonalToken)
	name, err := s.seal(ctx, keyring.Person(person), "identity_token.name", id, []byte("Canary"))
	if err != nil {
		return secret.Text{}, err
	}
	_, err = s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, insertToken, id, sum(text), string(PersonalToken), person, "", team, name, strings.Join(scopes, " "), "", // clause: auth.no-cleartext
			actor.System("canary").String(), us(tx.Now()), us(tx.Now().Add(plantedLife)), change)
		return CanaryPlanted{Control: control, What: "token", Person: person}, err
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("plant token: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.id == id })
	return text, nil
}

// WouldBe is somebody as they would be in a session of their home team that shows all
// that is asked of them: for telling what they could do, never for doing it.
func (s *Service) WouldBe(ctx context.Context, ref string) (actor.Actor, error) {
	var p Person
	var err error
	if strings.Contains(ref, "@") {
		p, err = s.PersonByAddress(ctx, ref)
	} else {
		var id string
		var active bool
		if id, active, err = s.PersonByHandle(ctx, ref); err == nil && !active {
			err = noPerson()
		}
		if err == nil {
			p, err = s.one(ctx, id)
		}
	}
	if err != nil {
		return actor.Actor{}, fmt.Errorf("find person: %w", err)
	}
	roles, lent, _ := s.loans.roles(member{p.ID, p.Team}, p.Roles, s.Now(), math.MaxInt64)
	return actor.Actor{Kind: actor.Person, ID: p.ID, Team: p.Team, TeamKind: p.Kind, Roles: roles, Lent: lent, Session: "explained", ACR: 2, FactorAt: s.Now(), Via: "https"}, nil
}
