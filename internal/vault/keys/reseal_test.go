package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/vault/keys"
)

// vaultOf is whose key seals the parameters of a team.
func vaultOf(team string) keyring.Subject { return keyring.Subject{Kind: "vault", ID: team} }

// newest wants all n values of a team under the newest version of its key, each open.
func (w *world) newest(team string, n int) {
	w.t.Helper()
	k, err := w.ring.Key(w.t.Context(), vaultOf(team))
	w.must(err)
	seen := 0
	w.must(w.db.Each(w.t.Context(), `SELECT v.param, v.version, v.value FROM vault_version v JOIN vault_param p ON p.id = v.param WHERE p.team = $1`, func(scan ledger.Scan) error {
		v := keys.Sealed{Place: envelope.AAD{Table: "vault_version", Column: "value", Team: team}}
		if err := scan(&v.Place.Row, &v.Place.Version, &v.Box); err != nil {
			return err
		}
		seen++
		id, err := envelope.KeyID(v.Box)
		if err != nil || id != k.ID() {
			w.t.Errorf("a value lies under %s, want %s (%v)", id, k.ID(), err)
		}
		b, err := k.Open(v.Box, v.Place)
		if err != nil || string(b.Reveal()) != "the value" {
			w.t.Errorf("a value that was sealed anew: %v", err)
		}
		return nil
	}, team))
	if seen != n {
		w.t.Errorf("%d values, want %d", seen, n)
	}
}

var laptop = keys.Exposure{Happened: true, Reason: "a laptop with a backup is gone"}

// After an exposure everything that was written before is sealed anew, in steps that are
// entries; the former key is destroyed a month later, and an old copy of the keys does not
// bring it back.
func TestExposedValuesAreSealedAnew(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.svc.SetBatch(10)
		v := w.put("shop", 25)
		w.put("else", 3)
		_, err := w.svc.Rotate(t.Context(), w.ana(), keys.Exposure{})
		w.must(err)
		w.must(w.svc.Reseal(t.Context()))
		if n := len(w.kit.Recorded("vault.values-resealed")); n != 0 {
			t.Error("sealed anew without an exposure")
		}
		before, err := w.ring.Key(t.Context(), vaultOf("shop"))
		w.must(err)
		st, err := w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		if st.Resealing != 2 {
			t.Errorf("stands %+v", st)
		}
		w.expect("vault.exposed-keys-end", clause.Pass, "of 2 keys")
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 25)
		w.newest("else", 3)
		w.must(w.opens(v)) // for whoever puts a backup back, for a month
		got := w.kit.Recorded("vault.reseal-begun", "vault.values-resealed", "vault.former-keys-retired", "vault.former-keys-destroyed")
		moved, all := int64(0), map[string]int{}
		for _, r := range got {
			all[r.Name]++
			if n, ok := r.Fields["moved"]; ok && r.Name == "vault.values-resealed" {
				var k int64
				_, err := fmt.Sscan(fmt.Sprint(n), &k)
				w.must(err)
				moved += k
			}
		}
		if moved != 28 || all["vault.reseal-begun"] != 2 || all["vault.values-resealed"] != 4 || all["vault.former-keys-retired"] != 2 || all["vault.former-keys-destroyed"] != 0 {
			t.Errorf("moved %d, recorded %v", moved, all)
		}
		w.clock.Advance(29 * day)
		w.must(w.svc.Reseal(t.Context()))
		w.must(w.opens(v))
		w.expect("vault.exposed-keys-end", clause.Pass, "0 former versions outlived their end")
		w.clock.Advance(4 * day)
		w.expect("vault.exposed-keys-end", clause.Fail, "2 former versions outlived their end")
		w.must(w.svc.Reseal(t.Context()))
		w.refused("key_erased", w.opens(v))
		w.newest("shop", 25)
		w.expect("vault.exposed-keys-end", clause.Pass, "of 2 keys")
		if n := len(w.kit.Recorded("vault.former-keys-destroyed")); n != 2 {
			t.Errorf("%d entries of the end, want 2", n)
		}
		if gone, err := w.ring.Gone(t.Context(), before.ID()); err != nil || !gone {
			t.Errorf("the former key is gone: %v, %v", gone, err)
		}
		w.must(w.svc.Remember(t.Context()))
		w.must(w.svc.Replay(t.Context()))
		w.expect("vault.certificates-hold", clause.Pass, "0 have one again")
		// Once more: the next exposure begins anew.
		_, err = w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 25)
	})
}

// Stopped at every step, it goes on where it was.
func TestResealGoesOn(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.svc.SetBatch(2)
		v := w.put("shop", 7)
		stop := errors.New("stop")
		for n := range 14 {
			left := n
			w.svc.StopAt(func(string) error {
				if left--; left < 0 {
					return stop
				}
				return nil
			})
			_, err := w.svc.Rotate(t.Context(), w.ana(), laptop)
			if err == nil {
				err = w.svc.Reseal(t.Context())
			}
			if err != nil && !errors.Is(err, stop) {
				t.Fatal(err)
			}
		}
		w.svc.StopAt(nil)
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 7)
		w.clock.Advance(31 * day)
		w.svc.StopAt(func(step string) error {
			if step == "version destroyed" {
				return stop
			}
			return nil
		})
		for range 40 { // each round destroys one version more
			if err := w.svc.Reseal(t.Context()); err != nil && !errors.Is(err, stop) {
				t.Fatal(err)
			}
		}
		w.svc.StopAt(nil)
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 7)
		w.refused("key_erased", w.opens(v))
		ks, err := w.ring.Versions(t.Context(), vaultOf("shop"))
		w.must(err)
		if len(ks) != 1 {
			t.Errorf("%d versions are left", len(ks))
		}
		w.expect("vault.exposed-keys-end", clause.Pass, "0 are not sealed anew")
	})
}

// An exposure that is told again, because the first time the process died, is one.
func TestExposureIsNotedOnce(t *testing.T) { // breaks: crypto.key-rotation
	w := open(t)
	w.put("shop", 1)
	stop := errors.New("stop")
	w.svc.StopAt(func(step string) error {
		if step == "reseal begun" {
			return stop
		}
		return nil
	})
	if _, err := w.svc.Rotate(t.Context(), w.ana(), laptop); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	w.svc.StopAt(nil)
	_, err := w.svc.Rotate(t.Context(), w.ana(), laptop)
	w.must(err)
	w.must(w.svc.Reseal(t.Context()))
	w.newest("shop", 1)
	if n := len(w.kit.Recorded("vault.reseal-begun")); n != 1 {
		t.Errorf("%d are noted, want 1", n)
	}
}

// Where the writer is too slow for a step, the steps become smaller.
func TestResealInSmallerSteps(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.put("shop", 9)
		_, err := w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		sizes := []string{}
		w.svc.StopAt(func(step string) error {
			var n int
			if _, err := fmt.Sscanf(step, "batch of %d", &n); err == nil {
				if sizes = append(sizes, fmt.Sprint(n)); n > 3 {
					return fault.Newf(fault.Unavailable, "cut_off", "It took too long.")
				}
			}
			return nil
		})
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 9)
		if got := strings.Join(sizes, " "); got != "9 4 2 2 5 2 3" {
			t.Errorf("steps of %s", got)
		}
	})
}

// What somebody wrote while a batch was being sealed stays as they wrote it.
func TestResealOverwritesNobody(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.put("shop", 3)
		_, err := w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		k, err := w.ring.Key(t.Context(), vaultOf("shop"))
		w.must(err)
		var row string
		w.must(ledger.One(t.Context(), w.db, `SELECT MIN(param) FROM vault_version`, []any{&row}))
		at := envelope.AAD{Table: "vault_version", Column: "value", Team: "shop", Row: row, Version: 1}
		w.svc.StopAt(func(step string) error {
			if step == "batch of 3" {
				w.exec(`UPDATE vault_version SET value = $2 WHERE param = $1`, row, k.Seal([]byte("another"), at))
			}
			return nil
		})
		w.must(w.svc.Reseal(t.Context()))
		var box []byte
		w.must(ledger.One(t.Context(), w.db, `SELECT value FROM vault_version WHERE param = $1`, []any{&box}, row))
		if b, err := k.Open(box, at); err != nil || string(b.Reveal()) != "another" {
			t.Errorf("what was written meanwhile is lost: %q, %v", b.Reveal(), err)
		}
	})
}

// What was written under a key that somebody fetched before is moved first: nothing is
// destroyed that a value needs.
func TestFormerKeyInUseStays(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.put("shop", 2)
		old, err := w.ring.Key(t.Context(), vaultOf("shop"))
		w.must(err)
		_, err = w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		w.must(w.svc.Reseal(t.Context()))
		var row string
		w.must(ledger.One(t.Context(), w.db, `SELECT MIN(param) FROM vault_version`, []any{&row}))
		at := envelope.AAD{Table: "vault_version", Column: "value", Team: "shop", Row: row, Version: 1}
		w.exec(`UPDATE vault_version SET value = $2 WHERE param = $1`, row, old.Seal([]byte("the value"), at))
		w.expect("vault.exposed-keys-end", clause.Fail, "1 values lie under one that nothing should use")
		w.clock.Advance(31 * day)
		w.must(w.svc.Reseal(t.Context())) // looks again, and moves it
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 2)
		if _, err := w.ring.ByID(t.Context(), old.ID()); err != nil {
			t.Errorf("destroyed without a month in between: %v", err)
		}
		w.clock.Advance(31 * day)
		w.must(w.svc.Reseal(t.Context()))
		w.newest("shop", 2)
		_, err = w.ring.ByID(t.Context(), old.ID())
		w.refused("key_erased", err)
	})
}

// A hold keeps former versions; work that stands still is seen; a vault that was destroyed
// meanwhile ends it.
func TestResealWaitsAndEnds(t *testing.T) { // breaks: crypto.key-rotation, data.crypto-erase
	both(t, func(w *world) {
		v := w.put("shop", 1)
		_, err := w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		w.clock.Advance(25 * time.Hour)
		w.expect("vault.exposed-keys-end", clause.Fail, "1 are not sealed anew after a day")
		w.must(w.svc.Reseal(t.Context()))
		w.expect("vault.exposed-keys-end", clause.Pass, "0 are not sealed anew")
		h, err := w.svc.Hold(t.Context(), w.ana(), "team/shop", "a lawsuit")
		w.must(err)
		w.clock.Advance(31 * day)
		w.must(w.svc.Reseal(t.Context()))
		w.must(w.opens(v))
		for _, who := range []string{"ana", "ben"} {
			_, err := w.svc.EndHold(t.Context(), w.as(who, "owner"), h.ID)
			w.must(err)
		}
		w.must(w.svc.Reseal(t.Context()))
		w.refused("key_erased", w.opens(v))

		_, err = w.svc.Rotate(t.Context(), w.ana(), laptop)
		w.must(err)
		_, err = w.svc.Agree(t.Context(), w.ben(), w.ask("team/shop").ID)
		w.must(err)
		w.must(w.svc.Reseal(t.Context()))
		w.expect("vault.exposed-keys-end", clause.Pass, "of 2 keys")
		if n := len(w.kit.Recorded("vault.former-keys-destroyed")); n != 2 {
			t.Errorf("%d have ended, want 2", n)
		}
	})
}

// The newest version of a key is not destroyed by itself.
func TestNewestVersionStays(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.put("shop", 1)
		k, err := w.ring.Key(t.Context(), vaultOf("shop"))
		w.must(err)
		w.refused("key_newest", w.ring.EraseVersion(t.Context(), k.ID()))
		w.newest("shop", 1)
		if err := w.ring.EraseVersion(t.Context(), "none"); !errors.Is(err, fault.NotFound) {
			t.Errorf("an unknown version: %v", err)
		}
	})
}
