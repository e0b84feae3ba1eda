package identity_test

import (
	"errors"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// stands reports whether what somebody began goes on.
func (w *world) stands(who actor.Actor) bool {
	w.t.Helper()
	now, err := w.svc.Standing(w.t.Context(), who)
	if err != nil && !errors.Is(err, fault.Unauthenticated) {
		w.t.Fatal(err)
	}
	return err == nil && now.Kind == who.Kind && now.ID == who.ID && now.Team == who.Team
}

// A session stands for what is under way as long as it lasts, under whatever token; to
// ask is no use of it.
func TestSessionStands(t *testing.T) { // breaks: auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("ann")
		b := w.browser()
		b.signIn(email, good)
		who := w.who(b)
		if !w.stands(who) {
			t.Fatal("it does not stand from the beginning")
		}
		w.set(clause.Values{"auth.best-practice/customer_idle": time.Hour})
		for range 5 {
			kit.Clock.Advance(11 * time.Minute)
			if !w.stands(who) {
				t.Fatal("over before its time")
			}
		}
		kit.Clock.Advance(11 * time.Minute)
		if w.stands(who) {
			t.Error("to ask keeps an idle session alive")
		}
		w.set(clause.Values{})
		b = w.browser()
		b.signIn(email, good)
		who = w.who(b)
		w.set(clause.Values{"use.terms/version": 2})
		if now, err := w.svc.Standing(t.Context(), who); err != nil || now.Kind != actor.Agreeing {
			t.Errorf("who owes terms: %+v %v", now, err)
		}
		w.set(clause.Values{"use.terms/version": 1})
		if !w.stands(who) {
			t.Error("a session ended without a cause")
		}
		b.api(204, "POST", "sign-out", map[string]any{})
		if w.stands(who) {
			t.Error("it stands after the sign-out")
		}
		if _, err := w.svc.Standing(t.Context(), actor.Actor{Kind: actor.Person, ID: who.ID}); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("no session at all: %v", err)
		}
	}, jobs.Schema(), identity.Schema())
}

// A token stands until it has ended or is worth less; from where it came was asked at first.
func TestTokenStands(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("ann")
	b := w.browser()
	b.signIn(email, good)
	token, id := b.issued(wish(map[string]any{"networks": []string{"198.51.100.7/24"}}))
	who, err := w.lookup(token, "198.51.100.9")
	if err != nil {
		t.Fatal(err)
	}
	if !w.stands(who) {
		t.Fatal("it does not stand from the beginning")
	}
	if who.TeamKind != identity.Customer { // as with a session, the gate asks staff for a reason
		t.Errorf("the token acts in a team of the kind %q", who.TeamKind)
	}
	b.api(204, "DELETE", "tokens/"+id, nil)
	if w.stands(who) {
		t.Error("it stands after it was ended")
	}
	token, _ = b.issued(wish(nil))
	if who, err = w.lookup(token, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	w.kit.Clock.Advance(400 * 24 * time.Hour)
	if w.stands(who) {
		t.Error("it stands after its time")
	}
}
