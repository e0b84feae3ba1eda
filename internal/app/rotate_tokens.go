package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault/rotate"
)

// programTokens gives the vault's rotations the tokens of services.
type programTokens struct{ a *App }

func (p programTokens) Allowed(ctx context.Context, who actor.Actor, service string, scopes []string) (string, error) {
	v, err := p.a.identity.MayRotate(ctx, who, service, scopes)
	return v.ID, err
}

func (p programTokens) Of(ctx context.Context, team string, text secret.Text) (rotate.Token, error) {
	t, err := p.a.identity.TokenOf(ctx, team, text)
	return rotate.Token{ID: t.ID, Service: t.Service, Scopes: t.Scopes, Bound: len(t.Networks) > 0}, err
}

func (p programTokens) Draw() (string, secret.Text) { return p.a.identity.DrawToken() }

func (p programTokens) Make(ctx context.Context, team string, t rotate.Token, text secret.Text, life time.Duration) (func(context.Context, *ledger.Tx) (ledger.Event, error), error) {
	return p.a.identity.PlaceToken(ctx, actor.System("vault-rotate"), identity.Token{ID: t.ID, Service: t.Service, Team: team, Scopes: t.Scopes}, text, life)
}

func (p programTokens) Drop(ctx context.Context, tx *ledger.Tx, id string) (ledger.Event, error) {
	return p.a.identity.DropToken(ctx, tx, id)
}

func (p programTokens) Settled(ctx context.Context, id string) { p.a.identity.TokenSettled(ctx, id) }

func (p programTokens) Most() time.Duration { return p.a.identity.Rules.Get().TokenMax }

// Knock asks the public door whose token it is.
func (p programTokens) Knock(ctx context.Context, text secret.Text) (bool, error) {
	v := p.a.door.Visitor()
	defer v.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Base+"/-/api/v1/token", nil)
	if err != nil {
		return false, fmt.Errorf("knock with a token: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+text.Reveal())
	a, err := v.Send(r)
	switch {
	case err != nil:
		return false, err
	case a.Status == http.StatusOK:
		return true, nil
	case a.Status == http.StatusUnauthorized:
		return false, nil
	}
	return false, fmt.Errorf("knock with a token: the door answered %d", a.Status)
}
