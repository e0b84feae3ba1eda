package identity_test

import (
	"context"
	"errors"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/secret"
)

// emergency keeps one session.
type emergency struct {
	token secret.Text
	ended bool
}

var byShares = actor.Actor{Kind: actor.BreakGlass, ID: "g-1", Session: "g-1", Team: "staff", TeamKind: "staff", Roles: []string{"owner"}, Via: "https"}

func (e *emergency) Session(_ context.Context, token secret.Text) (actor.Actor, identity.Session, error) {
	if e.ended || !token.Equal(e.token) {
		return actor.Actor{}, identity.Session{}, fault.Newf(fault.Unauthenticated, "session_ended", "Over.")
	}
	return byShares, identity.Session{ID: "g-1"}, nil
}

func (e *emergency) End(context.Context, actor.Actor) error { e.ended = true; return nil }

// A session that shares opened is found by the mark of its token, and no other cookie is
// asked for there; without a keeper there are none.
func TestEmergencySessions(t *testing.T) {
	w := open(t)
	e := &emergency{token: secret.NewText(identity.EmergencyMark + secret.RandomText(32).Reveal())}
	if _, err := w.svc.Lookup(t.Context(), e.token); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("without a keeper: %v", err)
	}
	w.svc.SetEmergency(e)
	who, err := w.svc.Lookup(t.Context(), e.token)
	if err != nil || who.Kind != actor.BreakGlass {
		t.Fatalf("%+v %v", who, err)
	}
	for _, other := range []string{identity.EmergencyMark, identity.EmergencyMark + "x", secret.RandomText(32).Reveal(), "glasx." + secret.RandomText(32).Reveal()} {
		if _, err := w.svc.Lookup(t.Context(), secret.NewText(other)); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", other, err)
		}
	}
	if err := w.svc.SignOut(t.Context(), who); err != nil || !e.ended {
		t.Errorf("signed out: %v, ended %v", err, e.ended)
	}
}

// The only owner who lost every factor comes back: the shares are the word of several, so
// their session asks for the reset and agrees to it. Anybody else takes two.
func TestSharesBringAnOwnerBack(t *testing.T) {
	w := open(t)
	id, b, _ := w.staff("ana", "owner")
	if err := w.svc.AgreeFactorReset(t.Context(), byShares, id); !errors.Is(err, fault.NotFound) {
		t.Errorf("agreed to nothing: %v", err)
	}
	if _, err := w.svc.AskFactorReset(t.Context(), operator, id, "came with a passport"); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.AgreeFactorReset(t.Context(), operator, id); !errors.Is(err, fault.Denied) {
		t.Errorf("the operator agreed to their own wish: %v", err)
	}
	if _, err := w.svc.AskFactorReset(t.Context(), byShares, id, "came with a passport"); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.AgreeFactorReset(t.Context(), byShares, id); err != nil {
		t.Fatal(err)
	}
	if got := b.signIn(mailbox("ana"), good); got["next"] != "enrol" {
		t.Errorf("ana signs in and is asked for %v", got["next"])
	}
	gone := w.kit.Recorded("identity.factors-removed")
	if len(gone) != 1 || gone[0].Actor != "break-glass/g-1" {
		t.Errorf("recorded: %+v", gone)
	}
	if url, err := w.svc.RenewLink(t.Context(), byShares, id); err != nil || !url.IsZero() {
		t.Errorf("a link goes by letter to the mailbox, and is not shown: %v", err)
	}
	if _, err := w.svc.IssueToken(t.Context(), byShares, identity.NewToken{Name: "back door", Scopes: []string{"policy.read"}}); err == nil {
		t.Error("a token outlives the session")
	}
}
