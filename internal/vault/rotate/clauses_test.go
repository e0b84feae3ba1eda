package rotate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/rotate"
)

// The control replaces a key of its own, and leaves nothing behind.
func TestRotationCanary(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const id = "vault.rotation-canary"
		w.expect(id, clause.Pass, "the former one was not any more")
		w.expect("vault.rotations-on-time", clause.Pass, "of 0 values")
		for _, q := range []string{`SELECT COUNT(*) FROM vault_rotation`, `SELECT COUNT(*) FROM vault_access_key`, `SELECT COUNT(*) FROM vault_param`} {
			var n int64
			w.must(w.db.Each(t.Context(), q, func(scan ledger.Scan) error { return scan(&n) }))
			if n != 0 {
				t.Errorf("%s: %d", q, n)
			}
		}
		if len(w.kit.Recorded("vault.canary-planted")) != 2 || len(w.kit.Recorded("vault.canary-swept")) != 2 {
			t.Error("what it planted and swept is not in the record")
		}
		w.knock = func(context.Context, string, secret.Text) (string, error) { return "", nil } // a door for everybody
		w.expect(id, clause.Fail, "password_unchecked")
		w.knock = func(context.Context, string, secret.Text) (string, error) { return "InvalidClientTokenId", nil } // for nobody
		w.expect(id, clause.Fail, "refused what it must allow")
		w.knock = func(context.Context, string, secret.Text) (string, error) { return "", errors.New("away") }
		w.expect(id, clause.Fail, "no answer")
	})
}

// A rotation that stands still, or that nobody carries on, breaks the clause.
func TestLateRotationsAreSeen(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const id, name = "vault.rotations-on-time", "/shop/writ-key"
		_, err := w.svc.Add(t.Context(), operator, rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop"}, Days: 10})
		w.must(err)
		w.clock.Advance(47 * time.Hour)
		w.expect(id, clause.Pass, "of 1 values")
		w.clock.Advance(2 * time.Hour) // the grace was over a day ago, and nobody came
		w.expect(id, clause.Fail, "1 are late: "+name+" (promoted)")
		w.must(w.svc.Tend(t.Context()))
		w.expect(id, clause.Pass, "0 are late")
		w.clock.Advance(9 * day)
		w.expect(id, clause.Fail, name+" (idle)")
		w.svc.StopAt(func(step string) error {
			if step == "created" {
				return errCut
			}
			return nil
		})
		if err := w.svc.Tend(t.Context()); !errors.Is(err, errCut) {
			t.Error(err)
		}
		w.expect(id, clause.Pass, "0 are late")
		w.clock.Advance(25 * time.Hour)
		w.expect(id, clause.Fail, name+" (planned)")
	})
}

// The period may be said of the name, and is never longer than the policy's; values that
// nothing replaces by itself are counted as well.
func TestPeriods(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/writ-key"
		days := int64(40)
		_, err := w.vault.SetAbout(t.Context(), operator, "/shop", vault.AboutChange{Rotation: &days})
		w.must(err)
		w.put("/shop/by-hand", "a password")
		w.expect("vault.values-not-overdue", clause.Pass, "of 1 parameters with a period of their own, 0 are due")
		_, err = w.svc.Add(t.Context(), operator, rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop"}})
		w.must(err)
		_, err = w.svc.Replace(t.Context(), operator, name, true)
		w.must(err)
		for every, want := range map[time.Duration]time.Duration{365 * day: 40 * day, 30 * day: 30 * day} {
			w.every = every
			if r := w.of(name); r.Due.Sub(r.Made) != want {
				t.Errorf("due after %v, want %v", r.Due.Sub(r.Made), want)
			}
		}
		w.clock.Advance(41 * day)
		w.expect("vault.values-not-overdue", clause.Fail, "of 2 parameters with a period of their own, 2 are due for another value: writ vault find --due")
		w.must(w.svc.Tend(t.Context()))
		w.put("/shop/by-hand", "another")
		w.expect("vault.values-not-overdue", clause.Pass, "0 are due")
	})
}
