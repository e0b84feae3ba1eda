package keys_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal/verify"
	"writ/internal/keyring"
	"writ/internal/vault/keys"
)

func (w *world) ask(target string) keys.Shred {
	w.t.Helper()
	x, err := w.svc.Ask(w.t.Context(), w.ana(), target, "the contract has ended")
	w.must(err)
	return x
}

// A team's vault is destroyed by two people, and a certificate says all of it.
func TestShredATeamsVault(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		v, other := w.put("shop", 25), w.put("else", 1)
		x := w.ask("team/shop")
		if x.State != "asked" || x.Given != 1 || x.Need != 2 {
			t.Errorf("asked %+v", x)
		}
		w.must(w.opens(v))
		x, err := w.svc.Agree(t.Context(), w.ben(), x.ID)
		w.must(err)
		if x.State != "done" || x.Given != 2 {
			t.Errorf("agreed %+v", x)
		}
		if err := w.opens(v); !errors.Is(err, fault.Gone) {
			t.Errorf("a value after the destruction: %v", err)
		}
		w.must(w.opens(other))
		_, err = w.svc.Certificate(t.Context(), w.ana(), x.ID)
		w.refused("no_entry_yet", err)
		w.numbered()
		c, err := w.svc.Certificate(t.Context(), w.as("aud", "auditor"), x.ID)
		w.must(err)
		for _, part := range []string{`"algorithm":"AES-256-GCM`, `"approvers":["person/ben"]`, `"operator":"person/ana"`, `"data":[{"data":"values of parameters","rows":25}]`, `"fingerprint":"`, `"wrapped_by":["`, `"root-`,
			`"id":"` + x.ID, `"method":"Purge — Cryptographic Erase (NIST SP 800-88r2)"`, `"pseudonym":"`, `"sampled":20`, `"opened":0`, `"technique":"`, `"destroyed":"2`, `"dead":"2`, `"where":"`} {
			if !strings.Contains(string(c.Certificate), part) {
				t.Errorf("the certificate lacks %s:\n%s", part, c.Certificate)
			}
		}
		file, err := json.MarshalIndent(c, "", "  ")
		w.must(err)
		key, err := w.journal.Key(t.Context())
		w.must(err)
		if r := verify.Certificate(file, verify.Options{Keys: []string{key}}); r.Code != verify.True || r.SelfAsserted || r.Leaves != 1 {
			t.Errorf("verify: %s", r.Text())
		}
		for _, alter := range []struct{ from, to string }{
			{`"rows": 25`, `"rows": 26`}, {"person/ben", "person/eve"}, {`"sampled": 20`, `"sampled": 2000`}, {`"entry": `, `"entry": 1`}, {`index `, `index 1`}, {"erase-certified", "erase-certifies"},
		} {
			forged := bytes.Replace(file, []byte(alter.from), []byte(alter.to), 1)
			if bytes.Equal(forged, file) {
				t.Fatalf("%s is not in the file", alter.from)
			}
			if r := verify.Certificate(forged, verify.Options{}); r.Code == verify.True {
				t.Errorf("%s instead of %s is taken", alter.to, alter.from)
			}
		}
		if r := verify.Certificate([]byte(`{}`), verify.Options{}); r.Code != verify.Unreadable {
			t.Errorf("an empty file: %+v", r)
		}
		foreign := "other+12345678+AVpQ0p0lC0r9hSSqR5eq1rVAvMLnk6HyYnnd1dfTJ6Y3"
		if r := verify.Certificate(file, verify.Options{Keys: []string{foreign}}); r.Code != verify.False {
			t.Errorf("under a foreign key: %+v", r)
		}
		w.expect("vault.certificates-hold", clause.Pass, "of 1 certificates")
	})
}

// Who asked never counts twice, and neither a program nor the server's own account agrees.
func TestQuorum(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		v := w.put("shop", 1)
		x := w.ask("team/shop")
		_, err := w.svc.Agree(t.Context(), w.ana(), x.ID)
		w.refused("agreed_already", err)
		_, err = w.svc.Agree(t.Context(), operator, x.ID)
		w.refused("denied", err)
		token := w.ben()
		token.Token = "t"
		_, err = w.svc.Agree(t.Context(), token, x.ID)
		w.refused("denied", err)
		_, err = w.svc.Agree(t.Context(), w.as("dev", "engineer"), x.ID)
		w.refused("denied", err)
		w.must(w.opens(v))

		w.quorum = 3 // stricter since it was asked for
		got, err := w.svc.Agree(t.Context(), w.ben(), x.ID)
		w.must(err)
		if got.State != "asked" || w.opens(v) != nil {
			t.Errorf("two of three did it: %+v", got)
		}
		_, err = w.svc.Agree(t.Context(), w.ben(), x.ID)
		w.refused("agreed_already", err)
		got, err = w.svc.Agree(t.Context(), w.eve(), x.ID)
		w.must(err)
		if got.State != "done" || !errors.Is(w.opens(v), fault.Gone) {
			t.Errorf("three of three: %+v", got)
		}
		_, err = w.svc.Agree(t.Context(), w.eve(), x.ID)
		w.refused("shred_over", err)
		if n := len(w.kit.Recorded("vault.shred-refused")); n != 2 {
			t.Errorf("%d refusals are recorded, want 2", n)
		}
	})
}

// The operator may ask, and is nobody: two people agree then.
func TestOperatorAsks(t *testing.T) {
	w := open(t)
	w.put("shop", 1)
	x, err := w.svc.Ask(t.Context(), operator, "team/shop", "the contract has ended")
	w.must(err)
	got, err := w.svc.Agree(t.Context(), w.ana(), x.ID)
	w.must(err)
	if got.State != "asked" || got.Given != 1 {
		t.Errorf("one person was enough: %+v", got)
	}
	got, err = w.svc.Agree(t.Context(), w.ben(), x.ID)
	w.must(err)
	if got.State != "done" {
		t.Errorf("two people: %+v", got)
	}
}

func TestWhatCannotBeDestroyed(t *testing.T) {
	both(t, func(w *world) {
		w.put("shop", 1)
		w.put("staff", 1)
		for _, c := range []struct{ target, reason, code string }{
			{"team/shop", "why", "reason_missing"}, {"team/shop", strings.Repeat("x", 501), "reason_missing"}, {"shop", "the contract has ended", "target_invalid"}, {"moon/shop", "the contract has ended", "target_invalid"},
			{"team/", "the contract has ended", "target_invalid"}, {"stranger/yesterday", "the contract has ended", "target_invalid"}, {"person/nobody", "the contract has ended", "no_person"}, {"person/owner", "the contract has ended", "erase_owner"},
			{"team/staff", "the contract has ended", "key_needed"}, {"class/identity.password", "the contract has ended", "key_needed"}, {"stranger/" + w.clock.Now().Format("2006-01"), "the contract has ended", "key_needed"},
			{"team/empty", "the contract has ended", "nothing_sealed"}, {"class/old.class", "the contract has ended", "nothing_sealed"},
		} {
			_, err := w.svc.Ask(t.Context(), w.ana(), c.target, c.reason)
			w.refused(c.code, err)
		}
		_, err := w.svc.Ask(t.Context(), w.as("dev", "engineer"), "team/shop", "the contract has ended")
		w.refused("denied", err)
		x := w.ask("team/shop")
		_, err = w.svc.Ask(t.Context(), w.ben(), "team/shop", "the contract has ended")
		w.refused("shred_asked", err)
		w.must(w.svc.Refuse(t.Context(), w.ben(), x.ID))
		_, err = w.svc.Agree(t.Context(), w.ben(), x.ID)
		w.refused("shred_over", err)
		x = w.ask("team/shop")
		w.refused("denied", w.svc.Refuse(t.Context(), w.as("dev", "engineer"), x.ID))
		w.clock.Advance(7 * day)
		_, err = w.svc.Agree(t.Context(), w.ben(), x.ID)
		w.refused("shred_over", err)
		w.must(w.svc.Resume(t.Context()))
		if got := w.kit.Recorded("vault.shred-closed"); len(got) != 2 || got[1].Fields["state"] != "lapsed" {
			t.Errorf("closed %+v", got)
		}
		_, err = w.svc.Agree(t.Context(), w.ben(), "none")
		w.refused("no_shred", err)
		_, err = w.svc.Certificate(t.Context(), w.ana(), x.ID)
		w.refused("no_certificate", err)
	})
}

// A person, a class that nothing needs, a backup set and a month of strangers.
func TestShredOtherSubjects(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		last := w.clock.Now().AddDate(0, -1, 0)
		for target, s := range map[string]keyring.Subject{"person/zoe": keyring.Person("zoe"), "class/old.class": keyring.Class("old.class"), "backup/2026-10": {Kind: "backup", ID: "2026-10"},
			"stranger/" + last.Format("2006-01"): keyring.Strangers(last)} {
			_, err := w.ring.Ensure(t.Context(), s)
			w.must(err)
			x := w.ask(target)
			got, err := w.svc.Agree(t.Context(), w.ben(), x.ID)
			w.must(err)
			if got.State != "done" || strings.Contains(got.Label, "zoe") {
				t.Errorf("%s: %+v", target, got)
			}
			_, err = w.ring.Ensure(t.Context(), s)
			w.refused("key_erased", err)
		}
		if !slices.Equal(w.people.log, []string{"zoe"}) {
			t.Errorf("rows of %v were deleted", w.people.log)
		}
	})
}

// Under a hold nothing is destroyed, asked for before or after; two people end it.
func TestHolds(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		v := w.put("shop", 1)
		x := w.ask("team/shop")
		_, err := w.svc.Hold(t.Context(), w.as("dev", "engineer"), "team/shop", "a lawsuit")
		w.refused("denied", err)
		_, err = w.svc.Hold(t.Context(), w.ana(), "team/shop", "")
		w.refused("reason_missing", err)
		h, err := w.svc.Hold(t.Context(), w.ana(), "team/shop", "a lawsuit")
		w.must(err)
		_, err = w.svc.Agree(t.Context(), w.ben(), x.ID)
		w.refused("held", err)
		w.must(w.opens(v))
		w.must(w.svc.Refuse(t.Context(), w.ana(), x.ID))
		_, err = w.svc.Ask(t.Context(), w.ana(), "team/shop", "the contract has ended")
		w.refused("held", err)

		_, err = w.svc.EndHold(t.Context(), operator, h.ID)
		w.refused("denied", err)
		if ended, err := w.svc.EndHold(t.Context(), w.ana(), h.ID); err != nil || ended {
			t.Errorf("one person ended it: %v %v", ended, err)
		}
		_, err = w.svc.EndHold(t.Context(), w.ana(), h.ID)
		w.refused("hold_alone", err)
		_, err = w.svc.Ask(t.Context(), w.ana(), "team/shop", "the contract has ended")
		w.refused("held", err)
		if ended, err := w.svc.EndHold(t.Context(), w.ben(), h.ID); err != nil || !ended {
			t.Errorf("two people did not end it: %v %v", ended, err)
		}
		_, err = w.svc.EndHold(t.Context(), w.eve(), h.ID)
		w.refused("hold_ended", err)
		_, err = w.svc.EndHold(t.Context(), w.eve(), "none")
		w.refused("no_hold", err)

		all, err := w.svc.Hold(t.Context(), w.ana(), "everything", "the police have asked")
		w.must(err)
		_, err = w.svc.Ask(t.Context(), w.ana(), "team/shop", "the contract has ended")
		w.refused("held", err)
		hs, err := w.svc.Holds(t.Context(), w.as("aud", "auditor"))
		w.must(err)
		if len(hs) != 2 || hs[0].ID != all.ID || hs[0].Reason != "the police have asked" || hs[1].EndedBy != "person/ben" || hs[1].AskBy != "person/ana" {
			t.Errorf("holds %+v", hs)
		}
		w.must(w.opens(v))
		names := []string{}
		for _, r := range w.kit.Recorded("vault.hold-added", "vault.hold-end-asked", "vault.hold-ended") {
			names = append(names, r.Name)
		}
		if !slices.Equal(names, []string{"vault.hold-added", "vault.hold-end-asked", "vault.hold-ended", "vault.hold-added"}) {
			t.Errorf("recorded %v", names)
		}
	})
}

// While a sampled value still opens there is no certificate; a control says that it waits.
func TestNoCertificateWhileSomethingOpens(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		w.put("shop", 1)
		x := w.ask("team/shop")
		stop := errors.New("stop")
		w.svc.StopAt(func(step string) error {
			if step == "intended" {
				return stop
			}
			return nil
		})
		if _, err := w.svc.Agree(t.Context(), w.ben(), x.ID); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		w.svc.StopAt(nil)
		// The evidence names another subject's key: it lives on.
		w.exec(`UPDATE vault_shred SET evidence = REPLACE(evidence, '"keys":[{"id":"', '"keys":[{"id":"0') WHERE id = $1`, x.ID)
		w.refused("shred_unverified", w.svc.Resume(t.Context()))
		xs, err := w.svc.Shreds(t.Context(), w.ana())
		w.must(err)
		if len(xs) != 1 || xs[0].State != "intended" || xs[0].Reason != "the contract has ended" {
			t.Errorf("%+v", xs)
		}
		w.expect("vault.certificates-hold", clause.Pass, "0 destructions are stuck")
		w.clock.Advance(2 * time.Hour)
		w.expect("vault.certificates-hold", clause.Fail, "1 destructions are stuck")
		w.exec(`UPDATE vault_shred SET evidence = REPLACE(evidence, '"keys":[{"id":"0', '"keys":[{"id":"') WHERE id = $1`, x.ID)
		w.must(w.svc.Resume(t.Context()))
		w.expect("vault.certificates-hold", clause.Pass, "of 1 certificates")
	})
}

// A key that programs encrypt with ends like any other.
//
// breaks: data.crypto-erase
func TestShredOfAKMSKey(t *testing.T) {
	w := open(t)
	sub := keyring.Subject{Kind: "kms", ID: "2f1c0e52-7b1a-4d0e-9d53-0c6f6f1f2a10"}
	_, err := w.kit.Ring.Ensure(t.Context(), sub)
	w.must(err)
	x := w.ask("kms/" + sub.ID)
	_, err = w.svc.Agree(t.Context(), w.ben(), x.ID)
	w.must(err)
	if _, err := w.kit.Ring.Key(t.Context(), sub); !errors.Is(err, fault.Gone) {
		t.Errorf("the key answers: %v", err)
	}
	_, err = w.svc.Ask(t.Context(), operator, "kms/"+sub.ID, "once more")
	w.refused("nothing_sealed", err)
}

// Two nodes that finish one destruction certify it once.
func TestCertifiedOnce(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		w.put("shop", 1)
		other := with(t, w.db, w.ring, w.clock)
		once := false
		w.svc.StopAt(func(step string) error {
			if step == "verified" && !once {
				once = true
				return other.svc.Resume(t.Context())
			}
			return nil
		})
		x, err := w.svc.Agree(t.Context(), w.ben(), w.ask("team/shop").ID)
		w.must(err)
		if x.State != "done" || !once {
			t.Errorf("%+v, %v", x, once)
		}
		if n := len(w.kit.Recorded("vault.erase-certified")); n != 1 {
			t.Errorf("%d certificates, want 1", n)
		}
	})
}
