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

// Who manages keys makes none that does what they may not: they would hold its secret.
//
// breaks: access.least-privilege
func TestKeysLendNothing(t *testing.T) {
	w := open(t, ledgertest.Open(t, vault.Schema()))
	ctx := t.Context()
	as := func(id, role string) actor.Actor {
		a := actor.Actor{Kind: actor.Person, ID: id, Team: vault.Home, TeamKind: "staff", Roles: []string{role}, ACR: 2, FactorAt: w.kit.Clock.Now()}
		w.owners["person/"+id] = a
		return a
	}
	owner, eli, fay := as("own", "owner"), as("eli", "engineer"), as("fay", "engineer")
	w.owners["machine/shop"] = actor.Actor{Kind: actor.Machine, ID: "shop", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}}
	make := func(who actor.Actor, of string, reads bool) (vault.IssuedKey, error) {
		return w.vault.IssueKey(ctx, who, vault.NewKey{Path: "/shop", Owner: of, Reads: reads})
	}
	for _, of := range []string{"", "operator/0", "person/eli", "machine/shop"} {
		if _, err := make(owner, of, true); !errors.Is(err, fault.Denied) {
			t.Errorf("an owner makes a key of %q: %v", of, err)
		}
	}
	for _, of := range []string{"operator/0", "person/fay"} {
		if _, err := make(eli, of, true); !errors.Is(err, fault.Denied) {
			t.Errorf("an engineer makes a key of %q: %v", of, err)
		}
	}
	if r := w.kit.Recorded("vault.read-refused"); len(r) != 2 || r[0].Fields["code"] != "key_lends" {
		t.Errorf("recorded %+v", r)
	}
	k, err := make(eli, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := make(eli, "machine/shop", true); err != nil {
		t.Errorf("of a service, for what one may do: %v", err)
	}
	if _, err := w.vault.GrantPath(ctx, operator, vault.NewGrant{Who: "person/aud", Path: "/shop", Rights: vault.Reader, Reason: "on call"}); err != nil {
		t.Fatal(err)
	}
	aud := w.owners["person/aud"]
	if _, err := make(aud, "machine/shop", false); !errors.Is(err, fault.Denied) {
		t.Errorf("whoever only reads makes a key that writes: %v", err)
	}
	if _, err := make(aud, "machine/shop", true); err != nil {
		t.Errorf("whoever reads there makes a key that reads: %v", err)
	}
	if ks, err := w.vault.AccessKeys(ctx, fay); err != nil || len(ks) != 0 {
		t.Errorf("others' keys are listed: %v %v", ks, err)
	}
	if err := w.vault.EndKey(ctx, fay, k.ID); !errors.Is(err, fault.Denied) {
		t.Errorf("others' keys are ended: %v", err)
	}
	if err := w.vault.EndKey(ctx, eli, k.ID); err != nil {
		t.Errorf("one's own: %v", err)
	}
	for range 2 {
		if k, err = make(eli, "", false); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.vault.Works(ctx, k.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.vault.EndKeysOf(ctx, fay, k.Owner); !errors.Is(err, fault.Denied) {
		t.Errorf("all of somebody's keys are ended by whoever does not manage keys: %v", err)
	}
	for _, want := range []int64{2, 0} {
		if n, err := w.vault.EndKeysOf(ctx, operator, k.Owner); n != want || err != nil {
			t.Errorf("%d keys ended, want %d: %v", n, want, err)
		}
	}
	if err := w.vault.Works(ctx, k.ID); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that ended with its owner works: %v", err)
	}
}
