package ssm_test

import (
	"errors"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
)

// A grant opens one path to one person until its end, and nothing else.
//
// breaks: access.least-privilege, vault.access-logged
func TestGrants(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		ctx := t.Context()
		aud := w.owners["person/aud"] // an auditor sees names, no values
		for _, name := range []string{"/shop/db", "/shopping", "/other"} {
			if _, err := w.vault.Put(ctx, operator, vault.Put{Name: name, Value: secret.NewText("v of " + name), Type: vault.SecureString}); err != nil {
				t.Fatal(err)
			}
		}
		read := func(who actor.Actor, name string) error {
			_, err := w.vault.Get(ctx, who, vault.Selector{Name: name}, vault.Read{Decrypt: true})
			return err
		}
		write := func(who actor.Actor, name string) error {
			_, err := w.vault.Put(ctx, who, vault.Put{Name: name, Value: secret.NewText("new"), Overwrite: true})
			return err
		}
		denied := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, fault.Denied) {
				t.Errorf("%s: %v", what, err)
			}
		}
		denied("before", read(aud, "/shop/db"))
		g, err := w.vault.GrantPath(ctx, operator, vault.NewGrant{Who: "person/aud", Path: "/shop/", Rights: vault.Reader, Reason: "on call", Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := read(aud, "/shop/db"); err != nil {
			t.Errorf("under the path: %v", err)
		}
		denied("a name that begins alike", read(aud, "/shopping"))
		denied("elsewhere", read(aud, "/other"))
		denied("to write", write(aud, "/shop/db"))
		if gs, err := w.vault.Grants(ctx, aud); err != nil || len(gs) != 1 || gs[0].ID != g.ID {
			t.Errorf("listed %+v %v", gs, err)
		}
		byToken, emergency := aud, aud
		byToken.Token = "t"
		emergency.Kind = actor.BreakGlass
		denied("by a token", read(byToken, "/shop/db"))
		denied("in an emergency", read(emergency, "/shop/db"))
		kit.Clock.Advance(time.Hour)
		denied("after its end", read(aud, "/shop/db"))

		if g, err = w.vault.GrantPath(ctx, operator, vault.NewGrant{Who: "person/aud", Path: "/shop", Rights: vault.Writer, Reason: "moves the database"}); err != nil {
			t.Fatal(err)
		}
		if err := write(aud, "/shop/db"); err != nil {
			t.Errorf("a writer: %v", err)
		}
		denied("a writer reads", read(aud, "/shop/db"))
		denied("ended by somebody who manages nothing", w.vault.EndGrant(ctx, aud, g.ID))
		if err := w.vault.EndGrant(ctx, operator, g.ID); err != nil {
			t.Fatal(err)
		}
		denied("taken back", write(aud, "/shop/db"))
		if err := w.vault.EndGrant(ctx, operator, g.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("twice: %v", err)
		}

		owner := actor.Actor{Kind: actor.Person, ID: "own", Team: vault.Home, TeamKind: "staff", Roles: []string{"owner"}, ACR: 2, FactorAt: kit.Clock.Now()}
		w.owners["person/own"] = owner
		w.owners["person/far"] = actor.Actor{Kind: actor.Person, ID: "far", Team: "orchard", TeamKind: "customer", Roles: []string{"admin"}}
		for what, in := range map[string]vault.NewGrant{
			"to oneself":       {Who: "person/own", Path: "/shop", Rights: vault.Reader, Reason: "r"},
			"another team":     {Who: "person/far", Path: "/shop", Rights: vault.Reader, Reason: "r"},
			"nobody":           {Who: "person/gone", Path: "/shop", Rights: vault.Reader, Reason: "r"},
			"without a reason": {Who: "person/aud", Path: "/shop", Rights: vault.Reader, Reason: " "},
			"another right":    {Who: "person/aud", Path: "/shop", Rights: "admin", Reason: "r"},
			"for ever":         {Who: "person/aud", Path: "/shop", Rights: vault.Reader, Reason: "r", Life: 1 << 60},
			"no path":          {Who: "person/aud", Path: "shop//", Rights: vault.Reader, Reason: "r"},
		} {
			if _, err := w.vault.GrantPath(ctx, owner, in); err == nil {
				t.Errorf("granted %s", what)
			}
		}
		if _, err := w.vault.GrantPath(ctx, aud, vault.NewGrant{Who: "person/own", Path: "/shop", Rights: vault.Reader, Reason: "r"}); !errors.Is(err, fault.Denied) {
			t.Errorf("given by an auditor: %v", err)
		}
	}, vault.Schema())
}
