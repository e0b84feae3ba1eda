package keys_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Who asked for the end of a hold a week ago, or has left since, is no second person.
func TestHoldAskLapses(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		h, err := w.svc.Hold(t.Context(), w.ana(), "everything", "a lawsuit")
		w.must(err)
		end := func(id string, want bool) {
			t.Helper()
			if ended, err := w.svc.EndHold(t.Context(), w.as(id, "owner"), h.ID); err != nil || ended != want {
				t.Errorf("%s: %v %v", id, ended, err)
			}
		}
		asked := func(want string) {
			t.Helper()
			hs, err := w.svc.Holds(t.Context(), w.ana())
			if err != nil || hs[0].AskBy != want || hs[0].Ask.IsZero() != (want == "") {
				t.Errorf("asked by %q: %+v %v", want, hs, err)
			}
		}
		end("ana", false)
		w.clock.Advance(7*day - 1)
		asked("person/ana")
		w.clock.Advance(1)
		asked("")
		end("ben", false)
		asked("person/ben")
		w.people.gone = []string{"ben"}
		end("eve", false)
		asked("person/eve")
		end("ana", true)
		asked("person/eve")
	})
}

// Who has left since counts among those who want a destruction no longer.
func TestAgreedAndGone(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		w.quorum = 3
		v := w.put("shop", 1)
		x := w.ask("team/shop")
		agree := func(id string, given int, state string) {
			t.Helper()
			got, err := w.svc.Agree(t.Context(), w.as(id, "owner"), x.ID)
			w.must(err)
			if got.Given != given || got.State != state {
				t.Errorf("%s: %d, %s, want %d, %s", id, got.Given, got.State, given, state)
			}
		}
		agree("ben", 2, "asked")
		w.people.gone = []string{"ana", "ben"}
		agree("eve", 1, "asked")
		w.must(w.opens(v))
		agree("dan", 2, "asked")
		w.people.gone = nil
		agree("ana", 3, "done")
		if w.opens(v) == nil {
			t.Error("it opens still")
		}
	})
}

// Under a hold neither an editor nor the clock deletes a parameter or one of its versions;
// when it has ended the clock does.
func TestHeldParams(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		w.vault.Held = w.svc.HeldTeam
		ctx := t.Context()
		eng := func() actor.Actor { who := w.as("eng", "engineer"); who.Team = "shop"; return who }
		end := []vault.Lifecycle{{Type: vault.Expiration, Version: "1.0", Attributes: vault.Attributes{Timestamp: w.clock.Now().Add(day).UTC().Format(time.RFC3339)}}}
		put := func(name string, life *[]vault.Lifecycle) {
			t.Helper()
			_, err := w.vault.Put(ctx, eng(), vault.Put{Name: name, Value: secret.NewText("1"), New: vault.SecureString, Tier: vault.Intelligent, Overwrite: true, Lifecycle: life, MostKept: 2})
			w.must(err)
		}
		count := func(what string, want int64) {
			t.Helper()
			var n int64
			w.must(ledger.One(ctx, w.db, `SELECT COUNT(*) FROM `+what, []any{&n}))
			if n != want {
				t.Errorf("%s: %d, want %d", what, n, want)
			}
		}
		for n := range 101 { // more than one page of what is due
			put(fmt.Sprintf("/over/%d", n), &end)
		}
		put("/kept", nil)
		h, err := w.svc.Hold(ctx, w.ana(), "team/shop", "a lawsuit")
		w.must(err)
		w.refused("held", w.vault.Delete(ctx, eng(), "/kept"))
		if n := len(w.kit.Recorded("vault.delete-refused")); n != 1 {
			t.Errorf("%d refusals are recorded", n)
		}
		put("/kept", nil)
		put("/kept", nil)
		count("vault_version", 104)
		w.clock.Advance(2 * day)
		w.must(w.vault.Tend(ctx))
		count("vault_param", 102)
		for _, who := range []string{"ana", "ben"} {
			_, err := w.svc.EndHold(ctx, w.as(who, "owner"), h.ID)
			w.must(err)
		}
		w.must(w.vault.Tend(ctx))
		count("vault_param", 1)
		put("/kept", nil)
		count("vault_version", 2)
		w.must(w.vault.Delete(ctx, eng(), "/kept"))
		count("vault_param", 0)
	})
}

// A person without a session is nobody who could be asked: neither agrees to a destruction,
// nor ends a hold.
func TestPersonIsSignedIn(t *testing.T) { // breaks: data.crypto-erase
	w := open(t)
	w.put("shop", 1)
	x := w.ask("team/shop")
	h, err := w.svc.Hold(t.Context(), w.ana(), "class/old.class", "a lawsuit")
	w.must(err)
	ben := w.ben()
	ben.Session = ""
	_, err = w.svc.Agree(t.Context(), ben, x.ID)
	w.refused("person_needed", err)
	_, err = w.svc.EndHold(t.Context(), ben, h.ID)
	w.refused("person_needed", err)
}
