package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Token is a token of a service of this server, without its text.
type Token struct {
	ID      string
	Service string // its id
	Scopes  []string
	Bound   bool // it works from some networks alone
}

// Tokens is whoever keeps the tokens of services.
type Tokens interface {
	// Allowed refuses where who asks could not make such a token now, and gives the service's id.
	Allowed(ctx context.Context, who actor.Actor, service string, scopes []string) (string, error)
	// Of is the token that a text is of, also of one that has ended; fault.NotFound where the team has none.
	Of(ctx context.Context, team string, text secret.Text) (Token, error)
	// Draw draws one that is not there yet.
	Draw() (id string, text secret.Text)
	// Make has it be there, in a change that the rotation records; fault.NotFound where the
	// service has ended, and of that change fault.Conflict where it has too many.
	Make(ctx context.Context, team string, t Token, text secret.Text, life time.Duration) (func(context.Context, *ledger.Tx) (ledger.Event, error), error)
	// Drop ends one in such a change; nil where it has ended.
	Drop(ctx context.Context, tx *ledger.Tx, id string) (ledger.Event, error)
	// Settled comes after such a change.
	Settled(ctx context.Context, id string)
	// Most is the longest that the policy lets one live.
	Most() time.Duration
	// Knock calls the server's own public door; an error = there was no answer.
	Knock(ctx context.Context, text secret.Text) (in bool, err error)
}

// tokens are those of services.
type tokens struct{ s *Service }

func (k tokens) check(ctx context.Context, who actor.Actor, r *row) error {
	r.Spec.Service = strings.TrimSpace(r.Spec.Service)
	service, err := k.s.Tokens.Allowed(ctx, who, r.Spec.Service, r.Spec.Scopes)
	if err != nil {
		return fmt.Errorf("ask for a token: %w", err)
	}
	r.Spec.Service = service
	if tokenPeriod(k.s.Every(), r.Grace, k.s.Tokens.Most()) < 24*time.Hour {
		return fault.New(fault.Invalid, "rotation_grace", fault.Public{Problem: "A token does not live for that long.", Expected: "A grace that leaves a week and a day of what the policy lets a token live.", Next: "Choose a shorter one."})
	}
	v, err := k.s.newest(ctx, r)
	if err != nil {
		return err
	}
	if v.Version > 0 {
		t, err := k.of(ctx, r, v.Text)
		if err != nil {
			return err
		}
		if t.Bound {
			return stuck("token_bound")
		}
		if len(r.Spec.Scopes) == 0 {
			r.Spec.Scopes = t.Scopes
			_, err = k.s.Tokens.Allowed(ctx, who, service, t.Scopes)
		}
		return err
	}
	if len(r.Spec.Scopes) == 0 {
		return fault.New(fault.Invalid, "token_scopes", fault.Public{Problem: "There is no token yet whose scopes the next one could have.", Expected: "The scopes of the token.", Next: "Name them."})
	}
	return nil
}

func (k tokens) of(ctx context.Context, r *row, v secret.Text) (Token, error) {
	t, err := k.s.Tokens.Of(ctx, r.team, secret.NewText(strings.TrimSpace(v.Reveal())))
	if errors.Is(err, fault.NotFound) || err == nil && t.Service != r.Spec.Service {
		return Token{}, stuck("value_foreign")
	}
	return t, err
}

func (k tokens) whose(ctx context.Context, r *row, v secret.Text) (string, error) {
	t, err := k.of(ctx, r, v)
	return t.ID, err
}

func (k tokens) draw(*row, string) (pair, error) {
	id, text := k.s.Tokens.Draw()
	return pair{ID: id, Secret: text, Value: text}, nil
}

func (k tokens) create(ctx context.Context, r *row, p pair) (within, error) { // clause: crypto.key-rotation
	life := min(k.s.Every()+r.Grace+keyMargin, k.s.Tokens.Most())
	in, err := k.s.Tokens.Make(ctx, r.team, Token{ID: p.ID, Service: r.Spec.Service, Scopes: r.Spec.Scopes}, p.Secret, life)
	if errors.Is(err, fault.NotFound) {
		return nil, stuck("owner_gone")
	}
	if err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	return func(ctx context.Context, tx *ledger.Tx, _ *row) (ledger.Event, error) {
		ev, err := in(ctx, tx)
		if errors.Is(err, fault.Conflict) {
			err = stuck("tokens_full")
		}
		return ev, err
	}, nil
}

func (k tokens) try(ctx context.Context, _ *row, v secret.Text) error { // clause: crypto.key-rotation
	ctx, cancel := context.WithTimeout(ctx, actFor)
	defer cancel()
	in, err := k.s.Tokens.Knock(ctx, secret.NewText(strings.TrimSpace(v.Reveal())))
	switch {
	case err != nil:
		return stuck("door_away")
	case !in:
		return stuck("login_refused")
	}
	return nil
}

func (k tokens) checked(ctx context.Context, r *row, _ pair) error {
	_, other := k.s.Tokens.Draw()
	err := k.try(ctx, r, other)
	switch {
	case err == nil:
		return stuck("password_unchecked")
	case isTrouble(err, "login_refused"):
		return nil
	}
	return err
}

func (k tokens) revoke(_ context.Context, r *row) (within, error) { // clause: crypto.key-rotation
	return k.drop(r.Old), nil
}

func (k tokens) discard(r *row) within { return k.drop(r.Fresh) }

func (k tokens) drop(id string) within {
	return func(ctx context.Context, tx *ledger.Tx, _ *row) (ledger.Event, error) {
		return k.s.Tokens.Drop(ctx, tx, id)
	}
}

func (k tokens) settled(ctx context.Context, id string) { k.s.Tokens.Settled(ctx, id) }

// tokenPeriod leaves a token time to be replaced before it ends by itself.
func tokenPeriod(every, grace, most time.Duration) time.Duration {
	return min(every, most-grace-keyMargin)
}
