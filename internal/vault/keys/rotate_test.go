package keys_test

import (
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/keyring"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault/keys"
)

// The key is replaced before the policy's time is over, everything moves, the former key
// ends a month later; each step is an entry.
func TestKeysAreReplacedByTheClock(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		v := w.put("shop", 3)
		w.must(w.svc.Tend(t.Context()))
		if n := len(w.kit.Recorded("vault.kek-rotated")); n != 0 {
			t.Fatalf("%d keys were replaced on the first day", n)
		}
		w.expect("vault.key-age", clause.Pass, "0 days old, and due after 365")
		w.clock.Advance(366 * day)
		w.expect("vault.key-age", clause.Fail, "writ vault rotate --now")
		w.must(w.svc.Tend(t.Context()))
		w.expect("vault.key-age", clause.Pass, "0 days old")
		got := w.kit.Recorded("vault.kek-rotated", "vault.rewrap-progressed", "vault.kek-retired")
		if len(got) != 3 || got[0].Fields["cause"] != "due" || got[1].Name != "vault.rewrap-progressed" || got[2].Name != "vault.kek-retired" {
			t.Errorf("recorded %+v", got)
		}
		w.expect("vault.retired-keys-unused", clause.Pass, "of 1 retired")
		w.clock.Advance(31 * day)
		w.must(w.svc.Tend(t.Context()))
		if n := len(w.kit.Recorded("vault.kek-destroyed")); n != 1 {
			t.Errorf("%d keys are destroyed, want 1", n)
		}
		w.must(w.opens(v))
		st, err := w.svc.Stands(t.Context(), w.ana())
		w.must(err)
		if st.Left != 0 || len(st.KEKs) != 2 || st.KEKs[0].Destroyed.IsZero() || !st.Due.Equal(st.KEKs[1].Made.Add(365*day)) {
			t.Errorf("stands %+v", st)
		}
	})
}

// A tenth of the time before it is due: the work does not end on the last day.
func TestKeysAreReplacedInTime(t *testing.T) { // breaks: crypto.key-rotation
	w := open(t)
	w.clock.Advance(328 * day)
	w.must(w.svc.Tend(t.Context()))
	if n := len(w.kit.Recorded("vault.kek-rotated")); n != 0 {
		t.Error("replaced before its time")
	}
	w.clock.Advance(day)
	w.must(w.svc.Tend(t.Context()))
	if n := len(w.kit.Recorded("vault.kek-rotated")); n != 1 {
		t.Error("not replaced in time")
	}
}

func TestRotateNow(t *testing.T) {
	both(t, func(w *world) {
		w.put("shop", 1)
		_, err := w.svc.Rotate(t.Context(), w.as("aud", "auditor"), keys.Exposure{})
		w.refused("denied", err)
		_, err = w.svc.Rotate(t.Context(), w.ana(), keys.Exposure{Happened: true})
		w.refused("reason_missing", err)
		before, err := w.ring.Key(t.Context(), keyring.Subject{Kind: "vault", ID: "shop"})
		w.must(err)
		st, err := w.svc.Rotate(t.Context(), w.as("dev", "engineer"), keys.Exposure{})
		w.must(err)
		if len(st.KEKs) != 2 || st.Left != 0 {
			t.Errorf("stands %+v", st)
		}
		if k, err := w.ring.Key(t.Context(), keyring.Subject{Kind: "vault", ID: "shop"}); err != nil || k.ID() != before.ID() {
			t.Errorf("the team's key was replaced without an exposure (%v)", err)
		}
		_, err = w.svc.Rotate(t.Context(), w.ana(), keys.Exposure{Happened: true, Reason: "a laptop with a backup is gone"})
		w.must(err)
		if k, err := w.ring.Key(t.Context(), keyring.Subject{Kind: "vault", ID: "shop"}); err != nil || k.ID() == before.ID() {
			t.Errorf("the team's key stayed after an exposure (%v)", err)
		}
		got := w.kit.Recorded("vault.kek-rotated")
		if len(got) != 2 || got[0].Fields["cause"] != "asked" || got[1].Fields["cause"] != "exposed" || got[1].Fields["why"] != "a laptop with a backup is gone" {
			t.Errorf("recorded %+v", got)
		}
		_, err = w.svc.Stands(t.Context(), w.as("sup", "support"))
		w.refused("denied", err)
	})
}

// While the root key is being replaced nothing is rotated, and that is no error of the
// clock: the next hour comes.
func TestRotationWaitsForTheRoot(t *testing.T) {
	w := open(t)
	w.must(w.ring.AddRoot(t.Context(), secret.Random(32)))
	_, err := w.svc.Rotate(t.Context(), w.ana(), keys.Exposure{})
	w.refused("keys_two_roots", err)
	w.clock.Advance(400 * day)
	w.must(w.svc.Tend(t.Context()))
	w.expect("vault.key-age", clause.Fail, "not replaced")
}

func TestRulesAreObeyed(t *testing.T) { // breaks: crypto.key-rotation
	w := open(t)
	v := policytest.Values()
	v["crypto.key-rotation/every"] = 30 * day
	w.must(w.rules.Set([]clause.Period{{Values: v}}))
	w.clock.Advance(28 * day)
	w.must(w.svc.Tend(t.Context()))
	if n := len(w.kit.Recorded("vault.kek-rotated")); n != 1 {
		t.Errorf("%d keys were replaced after 28 of 30 days", n)
	}
	for name, r := range map[string]keys.Rules{
		"an hour": {Every: time.Hour, Std: "cryptographic-erase"}, "another method": {Every: 30 * day, Std: "overwrite"}} {
		if err := r.Validate(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
