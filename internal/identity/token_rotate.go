package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// What the vault needs to replace the token of a service by itself: it acts as the server, on
// what somebody who manages the service had it do.

// MayRotate refuses where who asks could not make a token of a service with these scopes now,
// and names the service.
func (s *Service) MayRotate(ctx context.Context, who actor.Actor, service string, scopes []string) (ProgramAccount, error) { // clause: auth.best-practice
	v, err := s.managedService(ctx, who, service)
	if err != nil {
		return ProgramAccount{}, err
	}
	if err := s.fresh(ctx, who); err != nil {
		return ProgramAccount{}, err
	}
	if len(scopes) > 0 {
		_, _, err = s.tokenForm(NewToken{Name: rotatedName, Scopes: scopes})
	}
	return v, err
}

const rotatedName = "Replaced by itself"

// TokenOf is the token of a service of a team that a text is of, whether it works or not;
// fault.NotFound where there is none.
func (s *Service) TokenOf(ctx context.Context, team string, text secret.Text) (Token, error) {
	if kind, ok := tokenKindOf(text); !ok || kind != ServiceToken {
		return Token{}, noToken()
	}
	var t Token
	var scopes, networks string
	err := ledger.One(ctx, s.DB, tokenBySum, []any{&t.ID, &t.Service, &scopes, &networks}, sum(text), team)
	if errors.Is(err, fault.NotFound) {
		return Token{}, noToken()
	}
	if err != nil {
		return Token{}, fmt.Errorf("find a token by its text: %w", err)
	}
	t.Kind, t.Team, t.Scopes, t.Networks = ServiceToken, team, strings.Fields(scopes), strings.Fields(networks)
	return t, nil
}

// DrawToken draws a token of a service that is not there yet.
func (s *Service) DrawToken() (id string, text secret.Text) { return s.DB.ID(), newToken(ServiceToken) }

// PlaceToken has a drawn token be there, inside the change of somebody else; the event is nil
// where it is there already. fault.NotFound where its service has ended.
func (s *Service) PlaceToken(ctx context.Context, issuer actor.Actor, t Token, text secret.Text, life time.Duration) (func(context.Context, *ledger.Tx) (ledger.Event, error), error) {
	vs, err := s.services(ctx, servicesBy+` AND v.team = $2 AND v.id = $3`, t.Team, t.Service)
	if err != nil {
		return nil, err
	}
	if len(vs) == 0 {
		return nil, fault.Newf(fault.NotFound, "no_service", "There is no such service in the team.")
	}
	name, err := s.seal(ctx, keyring.Class(teamClass), "identity_token.name", t.ID, []byte(rotatedName))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx) // one at a time, so that the count holds
		if err != nil {
			return nil, err
		}
		until := tx.Now().Add(min(life, s.Rules.Get().TokenMax))
		n, err := tx.Exec(ctx, insertToken+` ON CONFLICT (id) DO NOTHING`, t.ID, sum(text), string(ServiceToken), "", t.Service, t.Team, name, strings.Join(t.Scopes, " "), "", issuer.String(), us(tx.Now()), us(until), change) // clause: auth.no-cleartext
		if err != nil || n == 0 {
			return nil, err
		}
		if err := ledger.One(ctx, tx, liveTokensOf, []any{&n}, "", t.Service, us(tx.Now())); err != nil {
			return nil, err
		}
		if n > maxTokens {
			return nil, fault.Newf(fault.Conflict, "too_many_tokens", "There are %d live tokens already; end some of them first.", maxTokens)
		}
		return TokenIssued{Token: t.ID, Kind: string(ServiceToken), Service: t.Service, Scopes: t.Scopes, Until: until}, nil
	}, nil
}

// DropToken ends a service's token inside the change of somebody else; nil where it has ended.
func (s *Service) DropToken(ctx context.Context, tx *ledger.Tx, id string) (ledger.Event, error) {
	var t Token
	err := ledger.One(ctx, tx, tokenOwner, []any{&t.Person, &t.Service, &t.Team}, id)
	if errors.Is(err, fault.NotFound) || t.Person != "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find token: %w", err)
	}
	change, err := bump(ctx, tx)
	if err == nil {
		_, err = tx.Exec(ctx, endToken, id, us(tx.Now()), "rotated", change)
	}
	return TokenRevoked{Token: id, Service: t.Service, Cause: "rotated"}, err
}

// TokenSettled has the tokens in memory be those of the tables after such a change.
func (s *Service) TokenSettled(ctx context.Context, id string) {
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.id == id })
}

const tokenBySum = `SELECT id, service, scopes, networks FROM identity_token WHERE token = $1 AND team = $2 AND kind = 'service'`
