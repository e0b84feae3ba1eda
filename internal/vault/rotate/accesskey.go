package rotate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// accessKeys are Writ's own keys for the clients of the parameter store.
type accessKeys struct{ s *Service }

var (
	keyMarks = [2]string{"{id}", "{secret}"}
	keyInIt  = regexp.MustCompile(`\bAKIA[A-Z2-7]{16}\b`)
)

// keyTemplate is what writ vault key create prints.
const keyTemplate = `{"access_key_id":"{id}","secret_access_key":"{secret}"}`

func (k accessKeys) check(ctx context.Context, who actor.Actor, r *row) error {
	if r.Spec.Template == "" {
		r.Spec.Template = keyTemplate
	}
	if _, err := parseTemplate(r.Spec.Template, keyMarks); err != nil {
		return err
	}
	lent, err := k.s.Vault.MayLend(ctx, who, vault.NewKey{Path: r.Spec.Path, Reads: r.Spec.Reads, Owner: r.Spec.KeyOwner})
	if err != nil {
		return err
	}
	r.Spec.Path, r.Spec.KeyOwner = lent.Path, lent.Owner
	return nil
}

func (k accessKeys) whose(ctx context.Context, r *row, v secret.Text) (string, error) {
	id := keyInIt.FindString(v.Reveal())
	if id == "" {
		return "", stuck("value_foreign")
	}
	_, err := k.s.Vault.KeyOf(ctx, r.team, id)
	if errors.Is(err, fault.NotFound) {
		return "", stuck("value_foreign")
	}
	return id, err
}

func (k accessKeys) draw(r *row, _ string) (pair, error) {
	t, err := parseTemplate(r.Spec.Template, keyMarks)
	if err != nil {
		return pair{}, err
	}
	id, text := vault.DrawKey()
	return pair{ID: id, Secret: text, Value: t.fill(id, text.Reveal())}, nil
}

func (k accessKeys) create(ctx context.Context, r *row, p pair) (within, error) { // clause: crypto.key-rotation
	switch there, err := k.s.Vault.OwnerActs(ctx, r.team, r.Spec.KeyOwner); {
	case err != nil:
		return nil, fmt.Errorf("find the owner of the key: %w", err)
	case !there:
		return nil, stuck("owner_gone")
	}
	key := vault.IssuedKey{AccessKey: vault.AccessKey{ID: p.ID, Owner: r.Spec.KeyOwner, Team: r.team, Path: r.Spec.Path, Reads: r.Spec.Reads, Issuer: r.system().String()}, Secret: p.Secret}
	box, err := k.s.Vault.SealKey(ctx, key.ID, key.Secret)
	if err != nil {
		return nil, err
	}
	life := k.s.Every() + r.Grace + keyMargin
	return func(ctx context.Context, tx *ledger.Tx, _ *row) (ledger.Event, error) {
		return k.s.Vault.AddKey(ctx, tx, key, box, life)
	}, nil
}

func (k accessKeys) try(ctx context.Context, r *row, v secret.Text) error { // clause: crypto.key-rotation
	t, err := parseTemplate(r.Spec.Template, keyMarks)
	if err != nil {
		return err
	}
	id, text, ok := t.match(v)
	if !ok { // written by somebody in another form
		if id, err = k.whose(ctx, r, v); err != nil {
			return err
		}
		key, err := k.s.Vault.KeyOf(ctx, r.team, id)
		if err != nil {
			return err
		}
		text = key.Secret.Reveal()
	}
	return k.knock(ctx, id, secret.NewText(text))
}

func (k accessKeys) knock(ctx context.Context, id string, text secret.Text) error {
	ctx, cancel := context.WithTimeout(ctx, actFor)
	defer cancel()
	code, err := k.s.Knock(ctx, id, text)
	switch {
	case err != nil:
		return stuck("door_away")
	case code != "":
		return stuck("login_refused")
	}
	return nil
}

func (k accessKeys) checked(ctx context.Context, _ *row, p pair) error {
	err := k.knock(ctx, p.ID, secret.RandomText(30))
	switch {
	case err == nil:
		return stuck("password_unchecked")
	case isTrouble(err, "login_refused"):
		return nil
	}
	return err
}

func (k accessKeys) revoke(_ context.Context, r *row) (within, error) { // clause: crypto.key-rotation
	return k.drop(r.team, r.Old), nil
}

func (k accessKeys) discard(r *row) within { return k.drop(r.team, r.Fresh) }

func (k accessKeys) settled(_ context.Context, id string) { k.s.Vault.ForgetKey(id) }

func (k accessKeys) drop(team, id string) within {
	return func(ctx context.Context, tx *ledger.Tx, _ *row) (ledger.Event, error) {
		return k.s.Vault.DropKey(ctx, tx, team, id)
	}
}

// keyPeriod leaves a key time to be replaced before it ends by itself.
func keyPeriod(every, grace time.Duration) time.Duration {
	return min(every, keyMost-grace-keyMargin)
}
