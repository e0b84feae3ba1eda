package keys_test

import "testing"

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
