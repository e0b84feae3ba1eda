package item_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// Under a legal hold neither people nor the clock erase what a team's items hold; when it has
// ended the clock does.
//
// breaks: data.crypto-erase
func TestHeld(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		held := true
		w.svc.Held = func(_ context.Context, _ *ledger.Tx, team string) error {
			if held && team == "staff" {
				return fault.New(fault.Conflict, "held", fault.Public{Problem: "A legal hold keeps this."})
			}
			return nil
		}
		ctx, ana := t.Context(), w.as("ana")
		i := w.make("ana", login())
		f, err := w.svc.Attach(ctx, ana, i.ID, "a.txt", secret.NewBytes([]byte("x")))
		good(t, err)
		coded(t, w.svc.Detach(ctx, ana, i.ID, f.ID), "held")
		if n := len(kit.Recorded("vault.item-refused")); n != 1 {
			t.Errorf("%d refusals are recorded", n)
		}
		edit := func(title string, kept int) {
			t.Helper()
			d := login()
			d.Title = title
			_, err := w.svc.Edit(ctx, ana, i.ID, d)
			good(t, err)
			if past, err := w.svc.History(ctx, ana, i.ID); err != nil || len(past) != kept {
				t.Errorf("%s: %d versions are kept (%v)", title, len(past), err)
			}
		}
		for n := range 22 {
			edit(fmt.Sprint("title ", n), n+2)
		}
		good(t, w.svc.Delete(ctx, ana, i.ID))
		kit.Clock.Advance(31 * 24 * time.Hour)
		w.tend()
		if l, err := w.svc.List(ctx, ana, item.Query{Deleted: true}); err != nil || len(l) != 1 {
			t.Fatalf("a held item is erased: %v %v", l, err)
		}
		held = false
		_, err = w.svc.Undelete(ctx, ana, i.ID)
		good(t, err)
		edit("last", 20)
		good(t, w.svc.Detach(ctx, ana, i.ID, f.ID))
		good(t, w.svc.Delete(ctx, ana, i.ID))
		kit.Clock.Advance(31 * 24 * time.Hour)
		w.tend()
		if l, err := w.svc.List(ctx, ana, item.Query{Deleted: true}); err != nil || len(l) != 0 {
			t.Errorf("it stays without a hold: %v %v", l, err)
		}
	}, tables...)
}
