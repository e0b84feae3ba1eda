package identity_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// renewed is the entry of whoever replaces a token.
type renewed struct {
	Token string `class:"public"`
}

func (e renewed) About() ledger.About {
	return ledger.About{Name: "vault.test-renewed", Object: "token/" + e.Token}
}

// A service's token is replaced in the changes of somebody else: the next one has its scopes and
// works at once, the former one ends with the change and not before.
func TestServiceTokenIsReplaced(t *testing.T) { // breaks: auth.best-practice, auth.no-cleartext
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, system := t.Context(), actor.System("vault-rotate")
		_, err := w.svc.MakeService(ctx, operator, identity.NewProgram{Name: "exporter", Roles: []string{"auditor"}, Mine: identity.OwnedByTeam})
		is(t, "before there are staff", err, fault.NotFound, "no_team")
		w.staff("ola", "owner") // who stands behind it
		v, err := w.svc.MakeService(ctx, operator, identity.NewProgram{Name: "exporter", Roles: []string{"auditor"}, Mine: identity.OwnedByTeam})
		if err != nil {
			t.Fatal(err)
		}
		within := func(act func(context.Context, *ledger.Tx) (ledger.Event, error)) error {
			_, err := kit.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
				ev, err := act(ctx, tx)
				if err == nil && ev != nil {
					tx.Also(ev)
				}
				return renewed{"x"}, err
			})
			return err
		}
		place := func(team string) (string, secret.Text, error) {
			id, text := w.svc.DrawToken()
			act, err := w.svc.PlaceToken(ctx, system, identity.Token{ID: id, Service: v.ID, Team: team, Scopes: []string{"journal.read", "orders:read"}}, text, 400*24*time.Hour)
			if err == nil {
				if err = within(act); err == nil { // and once more, as after a crash
					err = within(act)
				}
			}
			w.svc.TokenSettled(ctx, id)
			return id, text, err
		}
		id, text, err := place("staff")
		if err != nil {
			t.Fatal(err)
		}
		who, err := w.lookup(text.Reveal(), "127.0.0.1")
		if err != nil || who.ID != v.ID || who.Token != id || !slices.Equal(who.Scopes, []string{"journal.read", "orders:read"}) {
			t.Fatalf("%+v %v", who, err)
		}
		all, err := w.svc.ServiceTokens(ctx, operator, "exporter")
		if err != nil || len(all) != 1 || all[0].Issuer != "writ/vault-rotate" || all[0].Expires.Sub(all[0].Issued) != w.svc.Rules.Get().TokenMax {
			t.Errorf("%+v %v", all, err)
		}
		if n := len(kit.Recorded("identity.token-issued")); n != 1 {
			t.Errorf("%d entries of one token", n)
		}
		if got, err := w.svc.TokenOf(ctx, "staff", text); err != nil || got.ID != id || got.Service != v.ID || len(got.Scopes) != 2 {
			t.Errorf("%+v %v", got, err)
		}
		_, other := w.svc.DrawToken()
		for name, c := range map[string]struct {
			team string
			text secret.Text
		}{"another team": {"else", text}, "unknown": {"staff", other}, "no token": {"staff", secret.NewText("x")}} {
			if _, err := w.svc.TokenOf(ctx, c.team, c.text); !errors.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := place("else"); !errors.Is(err, fault.NotFound) {
			t.Errorf("in another team: %v", err)
		}

		drop := func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) { return w.svc.DropToken(ctx, tx, id) }
		if err := within(func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
			if _, err := drop(ctx, tx); err != nil {
				return nil, err
			}
			return nil, errors.New("the rest failed")
		}); err == nil {
			t.Error("a change that fails was made")
		}
		w.svc.TokenSettled(ctx, id)
		if _, err := w.lookup(text.Reveal(), "127.0.0.1"); err != nil {
			t.Errorf("a change that failed ended the token: %v", err)
		}
		for range 2 {
			if err := within(drop); err != nil {
				t.Fatal(err)
			}
		}
		w.svc.TokenSettled(ctx, id)
		if _, err := w.lookup(text.Reveal(), "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the former token: %v", err)
		}
		if es := kit.Recorded("identity.token-revoked"); len(es) != 1 || es[0].Fields["cause"] != "rotated" {
			t.Errorf("%+v", es)
		}
		if got, err := w.svc.TokenOf(ctx, "staff", text); err != nil || got.ID != id {
			t.Errorf("whose an ended token was: %+v %v", got, err)
		}

		for n := 0; ; n++ {
			if _, _, err = place("staff"); err != nil {
				if code, _ := fault.PublicOf(err); code != "too_many_tokens" || n != 100 {
					t.Errorf("after %d: %v", n, err)
				}
				break
			}
		}
		if err := w.svc.EndService(ctx, operator, "exporter"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := place("staff"); !errors.Is(err, fault.NotFound) {
			t.Errorf("of a service that has ended: %v", err)
		}
	}, jobs.Schema(), identity.Schema())
}

// A token of a person is none that is replaced, and only who manages a service may have its
// token replaced, after a proof of now.
func TestWhoMayHaveATokenReplaced(t *testing.T) { // breaks: access.roles, auth.best-practice
	w := open(t)
	ctx := t.Context()
	_, owner, _ := w.staff("ola", "owner")
	_, aud, _ := w.staff("aud", "auditor")
	if _, err := w.svc.MakeService(ctx, operator, identity.NewProgram{Name: "exporter", Roles: []string{"auditor"}, Mine: identity.OwnedByTeam}); err != nil {
		t.Fatal(err)
	}
	mine, id := owner.issued(wish(nil))
	if _, err := w.svc.TokenOf(ctx, "staff", secret.NewText(mine)); !errors.Is(err, fault.NotFound) {
		t.Errorf("a person's token: %v", err)
	}
	if _, err := w.kit.DB.Change(ctx, operator, func(tx *ledger.Tx) (ledger.Event, error) {
		ev, err := w.svc.DropToken(ctx, tx, id)
		if ev != nil {
			t.Error("a person's token was ended")
		}
		return renewed{id}, err
	}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		who    actor.Actor
		scopes []string
		code   string
	}{
		"an owner": {w.who(owner), []string{"journal.read"}, ""}, "the operator": {operator, nil, ""}, "an auditor": {w.who(aud), nil, "denied"},
		"what no token may do": {w.who(owner), []string{"people.erase"}, "scopes_invalid"},
	} {
		_, err := w.svc.MayRotate(ctx, c.who, "exporter", c.scopes)
		got := ""
		if err != nil {
			got, _ = fault.PublicOf(err)
		}
		if got != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
	if _, err := w.svc.MayRotate(ctx, operator, "another", nil); !errors.Is(err, fault.NotFound) {
		t.Errorf("another service: %v", err)
	}
	late := w.who(owner)
	late.FactorAt = time.Time{}
	if _, err := w.svc.MayRotate(ctx, late, "exporter", nil); fault.KindOf(err) != fault.Denied {
		t.Errorf("without a proof of now: %v", err)
	}
}
