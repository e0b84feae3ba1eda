package bundle_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/parcel"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/bundle"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	auditor  = actor.Actor{Kind: actor.Person, ID: "aud", Team: vault.Home, TeamKind: "staff", Roles: []string{"auditor"}}
	other    = actor.Actor{Kind: actor.Machine, ID: "m", Team: "other", TeamKind: "staff", Roles: []string{"engineer"}}
)

type nobody struct{}

func (nobody) OwnerOf(context.Context, string) (actor.Actor, error) {
	return actor.Actor{}, fault.Newf(fault.Denied, "owner_gone", "The owner is not there.")
}

func open(t *testing.T, kit *ledgertest.Kit) (*bundle.Service, *vault.Service) {
	t.Helper()
	rules := clause.NewLive[vault.Rules](kit.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		t.Fatal(err)
	}
	acc := policytest.Access(kit.DB, kit.Clock.Now)
	v, err := vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: acc, Owners: nobody{}, Rules: rules, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := bundle.New(bundle.Deps{DB: kit.DB, Values: v, Keys: kit.Ring, Access: acc, Origin: "https://app.example.com", Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"/shop/db": "planted-one", "/shop/key": "planted-two"} {
		if _, err := v.Put(t.Context(), operator, vault.Put{Name: name, Value: secret.NewText(value), Type: vault.SecureString}); err != nil {
			t.Fatal(err)
		}
	}
	return s, v
}

func code(err error) string { c, _ := fault.PublicOf(err); return c }

// A bundle is made of what its maker may read, for one machine, recorded before it is
// handed out; its uses are entries when the machine reports, which learns what was revoked.
func TestBundle(t *testing.T) { // breaks: vault.access-logged, vault.secret-home
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		s, _ := open(t, kit)
		server, err := s.Server(t.Context(), auditor)
		if err != nil {
			t.Fatal(err)
		}
		key, err := parcel.NewKey(server)
		if err != nil {
			t.Fatal(err)
		}
		wish := bundle.Wish{Names: []string{"/shop/db", "/shop/key:1"}, Machine: key.Machine().String(), Life: 48 * time.Hour, Reason: "a trial"}
		for name, spoil := range map[string]func(*bundle.Wish){
			"machine_key":   func(w *bundle.Wish) { w.Machine = "x" },
			"bundle_wish":   func(w *bundle.Wish) { w.Life = 8 * 24 * time.Hour },
			"param_unknown": func(w *bundle.Wish) { w.Names = []string{"/shop/none"} },
			"name_empty":    func(w *bundle.Wish) { w.Names = []string{""} },
		} {
			bad := wish
			spoil(&bad)
			if _, _, err := s.Issue(t.Context(), operator, bad); code(err) != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := s.Issue(t.Context(), auditor, wish); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor makes one: %v", err)
		}
		if n := len(kit.Recorded("vault.bundle-issued")); n != 0 {
			t.Errorf("%d bundles are recorded that were refused", n)
		}
		text, made, err := s.Issue(t.Context(), operator, wish)
		if err != nil || strings.Contains(string(text), "planted") {
			t.Fatalf("%s %v", text, err)
		}
		issued := kit.Recorded("vault.bundle-issued")
		if len(issued) != 1 || !strings.Contains(fmt.Sprint(issued[0].Fields["names"]), "/shop/db:1") || strings.Contains(issued[0].Body, "planted") || len(kit.Recorded("vault.param-read")) != 1 {
			t.Errorf("%+v", issued)
		}
		b, err := parcel.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		vs, err := b.Open(key, kit.Clock.Now(), time.Time{})
		if err != nil || len(vs) != 2 || vs[0].Text.Reveal() != "planted-one" || b.Head.ID != made.ID {
			t.Fatalf("%v %v", vs, err)
		}
		kit.Reopen() // the key that signs is the same after a restart
		s, _ = again(t, kit)
		if now, err := s.Server(t.Context(), operator); err != nil || now != server {
			t.Errorf("%s %v", now, err)
		}

		use := bundle.Use{Bundle: made.ID, At: kit.Clock.Now().Add(time.Hour), Path: "/shop", Count: 2, Host: "edge-1"}
		if revoked, err := s.Report(t.Context(), operator, []bundle.Use{use, {Bundle: "none", At: use.At}}); err != nil || len(revoked) != 0 {
			t.Errorf("%v %v", revoked, err)
		}
		if used := kit.Recorded("vault.bundle-used"); len(used) != 1 || used[0].Fields["host"] != "edge-1" || used[0].Object != "bundle/"+made.ID {
			t.Errorf("%+v", used)
		}
		if _, err := s.Report(t.Context(), operator, make([]bundle.Use, 101)); code(err) != "uses_many" {
			t.Errorf("%v", err)
		}
		if _, err := s.Report(t.Context(), auditor, nil); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor reports: %v", err)
		}
		bs, err := s.Bundles(t.Context(), auditor)
		if err != nil || len(bs) != 1 || bs[0].Used != 1 || !bs[0].Seen.Equal(use.At) || bs[0].Issuer != "operator/0" {
			t.Errorf("%+v %v", bs, err)
		}
		if err := s.Revoke(t.Context(), auditor, made.ID); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor revokes: %v", err)
		}
		if err := s.Revoke(t.Context(), operator, made.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Revoke(t.Context(), operator, made.ID); code(err) != "bundle_unknown" {
			t.Errorf("twice: %v", err)
		}
		if revoked, err := s.Report(t.Context(), operator, nil); err != nil || len(revoked) != 1 || revoked[0] != made.ID {
			t.Errorf("%v %v", revoked, err)
		}
		if revoked, err := s.Report(t.Context(), other, []bundle.Use{use}); err != nil || len(revoked) != 0 || len(kit.Recorded("vault.bundle-used")) != 1 {
			t.Errorf("another team: %v %v", revoked, err)
		}
	}, vault.Schema())
}

// again makes the services anew over what is there.
func again(t *testing.T, kit *ledgertest.Kit) (*bundle.Service, *vault.Service) {
	t.Helper()
	acc := policytest.Access(kit.DB, kit.Clock.Now)
	s, err := bundle.New(bundle.Deps{DB: kit.DB, Values: &vault.Service{}, Keys: kit.Ring, Access: acc, Origin: "https://app.example.com", Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s, nil
}
