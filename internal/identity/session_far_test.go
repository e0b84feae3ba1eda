package identity_test

import (
	"errors"
	"testing"

	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// Memory has a bound and sessions have none: those that left it are as good as those in
// it, also after a start, and end when they are ended.
func TestSessionsBeyondMemory(t *testing.T) { // breaks: auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		w.svc.HoldSessions(8)
		var tokens []secret.Text
		var people []string
		for i := range 20 {
			id, email := w.customer(string(rune('a'+i)) + "x")
			b := w.browser()
			b.signIn(email, good)
			tokens, people = append(tokens, b.cookie(t, "__Host-writ")), append(people, id)
			if n := w.svc.Held(); n > 8 {
				t.Fatalf("memory holds %d sessions", n)
			}
		}
		all := func() {
			t.Helper()
			for i, token := range tokens {
				who, x, err := w.svc.Session(t.Context(), token)
				if err != nil || who.ID != people[i] {
					t.Fatalf("session %d: %v %v", i, who, err)
				}
				if _, _, err := w.svc.LiveSession(t.Context(), x.ID); err != nil {
					t.Fatalf("session %d by its id: %v", i, err)
				}
			}
			if n := w.svc.Held(); n > 8 {
				t.Errorf("memory holds %d sessions", n)
			}
		}
		all()
		w.svc = w.svc.Again(t)
		w.svc.HoldSessions(8)
		if err := w.svc.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		all()
		if n, err := w.svc.EndSessions(t.Context(), operator, people[0]); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := w.svc.Lookup(t.Context(), tokens[0]); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a session that was ended outside memory: %v", err)
		}
		if err := w.svc.Disable(t.Context(), operator, people[1]); err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Lookup(t.Context(), tokens[1]); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a session of somebody disabled: %v", err)
		}
		if _, err := w.svc.Lookup(t.Context(), secret.RandomText(32)); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a token that is none: %v", err)
		}
	}, jobs.Schema(), identity.Schema())
}
