package identity_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// hold keeps the people it names.
func (w *world) hold(people ...string) {
	w.svc.Holds = func(_ context.Context, _ *ledger.Tx, person string) error {
		for _, p := range people {
			if p == person {
				return fault.New(fault.Conflict, "held", fault.Public{Problem: "A legal hold keeps this."})
			}
		}
		return nil
	}
}

// Under a legal hold nobody is erased: not by an owner, not by themselves, and not when
// their own time to change their mind is over.
func TestHoldKeepsAPerson(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(t *testing.T, w *world) {
		id, email := w.customer("yves")
		h, err := w.svc.Handle(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		b := w.browser()
		b.signIn(email, good)
		w.hold(id)
		if _, err := w.svc.Erase(t.Context(), operator, email, h); !errors.Is(err, fault.Conflict) {
			t.Errorf("erased under a hold: %v", err)
		}
		b.api(409, "POST", "account/leave", obj{"current": good})
		b.api(200, "GET", "session", nil)
		if n := len(w.kit.Recorded("identity.erase-refused")) + len(w.kit.Recorded("identity.leave-refused")); n != 2 {
			t.Errorf("%d refusals are recorded, want 2", n)
		}
		if _, err := w.svc.Erasable(t.Context(), operator, email); err != nil {
			t.Errorf("others may ask for the end: %v", err)
		}
		w.hold()
		if _, err := w.svc.Erase(t.Context(), operator, email, h); err != nil {
			t.Errorf("after the hold: %v", err)
		}
	})
}

func TestHoldKeepsWhoLeaves(t *testing.T) { // breaks: data.crypto-erase
	w := open(t)
	id, email := w.customer("yves")
	b := w.browser()
	b.signIn(email, good)
	me := w.who(b)
	if _, err := w.svc.Leave(t.Context(), me, secret.NewText(good)); err != nil {
		t.Fatal(err)
	}
	w.hold(id)
	w.kit.Clock.Advance(15 * 24 * time.Hour)
	if err := w.svc.EraseLeavers(t.Context()); err != nil {
		t.Errorf("a hold is no error of the clock: %v", err)
	}
	if state := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); state != "active" {
		t.Errorf("the person is %s", state)
	}
	w.hold()
	if err := w.svc.EraseLeavers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); state != "erased" {
		t.Errorf("after the hold the person is %s", state)
	}
}

// What a quorum decided is done whatever holds say since; it may be asked again.
func TestShred(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(t *testing.T, w *world) {
		id, email := w.customer("yves")
		w.hold(id)
		place, box, err := w.svc.SealedName(t.Context(), id)
		if err != nil || place.Row != id {
			t.Errorf("name: %+v %d %v", place, len(box), err)
		}
		for range 2 {
			if err := w.svc.Shred(t.Context(), operator, id); err != nil {
				t.Fatal(err)
			}
		}
		if state := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); state != "erased" {
			t.Errorf("the person is %s", state)
		}
		if _, err := w.svc.Erasable(t.Context(), operator, id); !errors.Is(err, fault.Conflict) {
			t.Errorf("again: %v", err)
		}
		if _, err := w.svc.Erasable(t.Context(), operator, email); !errors.Is(err, fault.NotFound) {
			t.Errorf("by the former address: %v", err)
		}
		if _, err := w.svc.TeamRef(t.Context(), "none"); !errors.Is(err, fault.NotFound) {
			t.Errorf("an unknown team: %v", err)
		}
	})
}

// An owner gives the role away first, and nobody asks for their own end.
func TestErasable(t *testing.T) {
	w := open(t)
	owner, _ := w.staffer("ana", "owner")
	if _, err := w.svc.Erasable(t.Context(), operator, owner); !errors.Is(err, fault.Conflict) {
		t.Errorf("an owner: %v", err)
	}
	id, email := w.customer("yves")
	b := w.browser()
	b.signIn(email, good)
	if _, err := w.svc.Erasable(t.Context(), w.who(b), id); !errors.Is(err, fault.Conflict) {
		t.Errorf("oneself: %v", err)
	}
}
