package identity_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
)

// A program that a control makes works with its scopes alone, and is gone afterwards.
func TestPlantedProgram(t *testing.T) {
	w := open(t)
	stranger := actor.Actor{Kind: actor.Stranger, ID: "local", Via: "https"}
	from := netip.MustParseAddr("127.0.0.1")
	token, end, err := w.svc.PlantProgram(t.Context(), w.door, "gateway.trial", []string{"orders:read"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := w.svc.LookupToken(t.Context(), stranger, token, from)
	if err != nil || !who.ByToken() || !slices.Equal(who.Scopes, []string{"orders:read"}) || who.Has("owner") {
		t.Errorf("%+v %v", who, err)
	}
	end()
	if _, err := w.svc.LookupToken(t.Context(), stranger, token, from); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("the token works on: %v", err)
	}
	if n := w.one(`SELECT COUNT(*) FROM identity_token`); n != "0" {
		t.Errorf("%s tokens are left", n)
	}
}

// Somebody as they would be has the roles of their home team, and nobody who may not sign in is one.
func TestWouldBe(t *testing.T) {
	w := open(t)
	w.staffer("ana", "owner")
	id, email := w.customer("carl")
	for _, ref := range []string{email, mailbox("ana"), "ana"} {
		who, err := w.svc.WouldBe(t.Context(), ref)
		if err != nil || !who.SignedIn() || who.ByToken() || who.Has("owner") == (ref == email) || ref == email && (who.ID != id || !who.Has("admin")) {
			t.Errorf("%s: %+v %v", ref, who, err)
		}
	}
	for _, ref := range []string{"nobody@example.test", "nobody", "", "@"} {
		if _, err := w.svc.WouldBe(t.Context(), ref); !errors.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", ref, err)
		}
	}
}
