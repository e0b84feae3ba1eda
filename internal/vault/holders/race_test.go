package holders_test

import (
	"context"
	"runtime"
	"testing"

	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/seal"
	"writ/internal/secret"
)

// standing is a world that opens by shares alone, without a root.key.
func standing(t *testing.T) *world {
	t.Helper()
	w := open(t, ledgertest.Open(t, tables...))
	w.three()
	w.alone = true
	w.alive(w.opens("ana", "ben"))
	if _, err := w.svc.Reshare(t.Context(), owner("ana")); err != nil {
		t.Fatal(err)
	}
	w.drill("ana", "ben")
	if err := w.svc.DropFile(t.Context(), owner("ana")); err != nil {
		t.Fatal(err)
	}
	return w
}

// The last share of a drill comes while new shares are made: the root that is about to
// count is not forgotten for the one before it.
//
// breaks: people.no-sole-holder
func TestDrillWhileResharing(t *testing.T) {
	w := standing(t)
	w.drill("ana")
	late := false
	w.svc.Step(func(step string) error {
		if step == "root added" {
			late = true
			refused(t, w.give(w.svc.Gate(), "ben"), "set_over")
		}
		return nil
	})
	if _, err := w.svc.Reshare(t.Context(), owner("ana")); err != nil || !late {
		t.Fatal(err)
	}
	if err := w.reopen(w.opens("ana", "chloe")); err != nil {
		t.Errorf("the new shares open nothing: %v", err)
	}
}

// A set that was replaced while its shares were put together takes no root away.
func TestDrillOfFormerSet(t *testing.T) {
	w := standing(t)
	ctx := t.Context()
	w.drill("ana")
	next := secret.Random(32)
	w.print = func() {
		if err := w.ring.AddRoot(ctx, next); err != nil {
			t.Error(err)
		}
		if err := w.file.Change(func(b *seal.Boot) error { b.Set.ID = "0123456789abcdef0123456789abcdef"; return nil }); err != nil {
			t.Error(err)
		}
	}
	refused(t, w.give(w.svc.Gate(), "ben"), "set_over")
	if err := w.ring.Opens(ctx, next); err != nil {
		t.Errorf("the root of the next set is forgotten: %v", err)
	}
}

// Nothing is written of a root that does not open the keys.
//
// breaks: people.no-sole-holder
func TestSetOfForeignRoot(t *testing.T) {
	w := open(t, ledgertest.Open(t, tables...))
	w.three()
	before, err := w.file.Read()
	if err != nil {
		t.Fatal(err)
	}
	w.svc.Deps.Root = func(context.Context) (secret.Bytes, error) { return secret.Random(32), nil }
	if _, err := w.svc.Reshare(t.Context(), owner("ana")); fault.KindOf(err) != fault.Sealed {
		t.Errorf("shares are made of a foreign root: %v", err)
	}
	if after, err := w.file.Read(); err != nil || after.Set.ID != before.Set.ID {
		t.Errorf("boot.json has them: %v", err)
	}
}

// A drill that begins while the last share of another is taken waits for nothing that
// waits for it.
func TestDrillWhileDrilling(t *testing.T) {
	w := standing(t)
	w.drill("ana")
	g, begun := w.svc.Gate(), make(chan error, 1)
	w.print = func() { // the gate's lock is held
		go func() { _, err := w.svc.Drill(t.Context(), owner("ben")); begun <- err }()
		for w.svc.Gate() == g {
			runtime.Gosched()
		}
	}
	if err := w.give(g, "ben"); err != nil {
		t.Error(err)
	}
	if err := <-begun; err != nil {
		t.Error(err)
	}
}
