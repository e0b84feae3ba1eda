package identity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// guess is an attempt by somebody who has no browser that is known here. It reports
// whether the password was looked at, and whether it was right.
func (w *world) guess(who actor.Actor, email, password string) (looked, in bool) {
	w.t.Helper()
	as, err := w.svc.SignIn(w.t.Context(), who, identity.SignIn{Email: email, Password: secret.NewText(password), Network: who.ID})
	switch {
	case errors.Is(err, fault.Limited):
		return false, false
	case errors.Is(err, fault.Unauthenticated):
		return true, false
	case err != nil:
		w.t.Fatal(err)
	}
	return true, as.Next != ""
}

// network is the bucket that the door puts a browser's address in.
func network(b browser) actor.Actor {
	return actor.Actor{Kind: actor.Stranger, ID: b.From[:strings.LastIndexByte(b.From, '.')] + ".0/24", Via: "https"}
}

// For an hour somebody guesses thirty times a minute at each of two accounts, from sixty networks
// and from the owner's own, with a list that holds the right password from its 61st line
// on: whoever is not held back gets in. The owners sign in each minute, from the known
// browser and with a passkey from one that nobody knows, and are let in every time.
func TestAnHourOfGuesses(t *testing.T) { // breaks: auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, underName)
		_, plain := w.customer("olga")
		_, keyed := w.customer("pavel")
		owner, key := w.browser(), w.browser()
		owner.signIn(plain, good)
		key.signIn(keyed, good)
		d := newDevice(t)
		key.enrolPasskey(d, "key")
		known, passkeys, looked, broke := 0, 0, 0, 0
		for minute := range 60 {
			for second := range 30 {
				n := minute*30 + second
				from := stranger(n % 60)
				if n%4 == 0 {
					from = network(owner)
				}
				password := "not the password"
				if n >= 60 {
					password = good
				}
				for _, email := range []string{plain, keyed} {
					saw, in := w.guess(from, email, password)
					if saw {
						looked++
					}
					if in {
						broke++
					}
				}
			}
			owner.api(204, "POST", "sign-out", nil)
			if owner.ask("POST", "sign-in", obj{"email": plain, "password": good}).Status == 200 {
				known++
			}
			fresh := w.browser()
			q := fresh.askPasskey("")
			if fresh.ask("POST", "sign-in/factor", obj{"flow": q.flow, "kind": "passkey", "credential": d.prove(q)}).Status == 200 {
				passkeys++
			}
			w.kit.Clock.Advance(time.Minute - time.Microsecond) // the hour ends within the sixtieth minute
		}
		t.Logf("3,600 guesses, %d looked at, %d right; the owners %d of 60 from the known browser, %d of 60 by passkey", looked, broke, known, passkeys)
		if known != 60 || passkeys != 60 || broke != 0 || looked != 2*30 {
			t.Errorf("known browser %d of 60, passkey %d of 60, %d guesses looked at (want 60), %d of them right (want 0)", known, passkeys, looked, broke)
		}
	}, jobs.Schema(), identity.Schema())
}

// One password on a thousand addresses from one network is stopped at the twentieth that
// it did not fit, and told; people behind the same network who mistype are not the cause,
// nor are they kept out where they were before.
func TestSprayingIsStopped(t *testing.T) { // breaks: auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		from := stranger(7)
		for i := range 30 { // an office: each mistypes once and then signs in
			_, email := w.customer(fmt.Sprint("office", i))
			w.guess(from, email, "mistyped")
			if _, in := w.guess(from, email, good); !in {
				t.Fatalf("person %d of the office is kept out", i)
			}
		}
		_, late := w.customer("late")
		w.guess(from, late, "mistyped")
		reached := map[string]bool{}
		for i := range 1000 {
			email := mailbox(fmt.Sprint("spray", i))
			if looked, _ := w.guess(from, email, "Summer2026!Summer"); looked {
				reached[email] = true
			}
			if i%100 == 99 {
				w.kit.Clock.Advance(time.Minute)
			}
		}
		t.Logf("1,000 addresses, %d reached", len(reached))
		if len(reached) != 19 { // late's is the twentieth
			t.Errorf("spraying reached %d addresses, want 19", len(reached))
		}
		if told := w.kit.Recorded("identity.spraying-seen"); len(told) != 1 {
			t.Errorf("spraying was told %d times", len(told))
		}
		w.kit.Clock.Advance(2 * time.Second) // a refusal is repeated from memory for a moment
		if _, in := w.guess(from, late, good); !in {
			t.Error("who mistyped before the spraying is kept out")
		}
		if _, in := w.guess(stranger(8), mailbox("office3"), good); !in {
			t.Error("another network is kept out")
		}
		w.kit.Clock.Advance(time.Hour)
		if looked, _ := w.guess(from, mailbox("spray999"), "Summer2026!Summer"); !looked {
			t.Error("an hour later the network is still refused")
		}
	}, jobs.Schema(), identity.Schema())
}

// The counter of addresses cannot be talked down by somebody who has an account there.
func TestSprayingCannotBeForgiven(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, own := w.customer("own")
	from := stranger(9)
	var reached []string
	for i := range 60 {
		if looked, _ := w.guess(from, mailbox(fmt.Sprint("spray", i)), "Summer2026!Summer"); looked {
			reached = append(reached, fmt.Sprint(i))
		}
		w.guess(from, own, "wrong")
		w.guess(from, own, good)
		w.guess(from, own, good)
		w.kit.Clock.Advance(2 * time.Second)
	}
	if len(reached) > 20 || !slices.Contains(reached, "18") {
		t.Errorf("spraying reached %d addresses: %v", len(reached), reached)
	}
}

// Who guesses passwords in one's own network does not use up the tries of its passkeys.
func TestPasskeysWorkNextToGuesses(t *testing.T) { // breaks: auth.best-practice
	w := open(t, underName)
	_, email := w.customer("nora")
	b, d := w.browser(), newDevice(t)
	b.signIn(email, good)
	b.enrolPasskey(d, "key")
	fresh := w.browser()
	for i := range 25 {
		for range 6 {
			w.guess(network(fresh), mailbox(fmt.Sprint("x", i%20)), "not the password")
		}
	}
	if looked, _ := w.guess(network(fresh), email, "not the password"); looked {
		t.Fatal("the network was not held back")
	}
	q := fresh.askPasskey("")
	fresh.show(200, q, d.prove(q))
}
