package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

func testNewBrowserIsTold(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("mia")
	first := w.browser()
	first.signIn(email, good)
	w.quiet(email) // the first browser is its owner's
	first.signIn(email, good)
	w.quiet(email) // and known from then on

	thief := w.browser()
	thief.signIn(email, good)
	m := w.letter(email)
	if !strings.Contains(m.Subject, "new browser") || !strings.Contains(m.Text, "127.77.") {
		t.Fatalf("letter: %s\n%s", m.Subject, m.Text)
	}
	token := tokenOf(t, m.Text)
	if !strings.Contains(m.Text, "/-/not-me/"+token) {
		t.Fatal("the letter has no link to press")
	}

	// An intruder who sets up a factor and changes the password does not put the link out.
	thief.enrol()
	w.letterOf(email, "factor-added")
	thief.api(200, "POST", "password", map[string]any{"current": good, "new": "quite another phrase 8"})
	w.letter(email)
	w.browser().api(200, "POST", "account/not-me", map[string]any{"token": token})
	thief.api(401, "GET", "session", nil)
	first.api(401, "GET", "session", nil)
	for _, p := range []string{good, "quite another phrase 8"} {
		if got := w.browser().ask("POST", "sign-in", map[string]any{"email": email, "password": p}); got.Status != 401 || !strings.Contains(got.Body, "sign_in_refused") {
			t.Errorf("the locked password signs in: %d %s", got.Status, got.Body)
		}
	}
	if got := w.browser().api(410, "POST", "account/not-me", map[string]any{"token": token}); got["code"] != "link_dead" {
		t.Errorf("second use: %v", got)
	}

	// The way back is a reset.
	back := w.browser()
	back.api(202, "POST", "recovery", map[string]any{"email": email})
	back.api(200, "POST", "recovery/"+tokenOf(t, w.letter(email).Text), map[string]any{"new": "a third phrase of mine 5"})
	w.letter(email)
	if in := back.signIn(email, "a third phrase of mine 5"); in["next"] != identity.NextDone {
		t.Errorf("the intruder's factor is asked for: %v", in)
	}
}

func TestNotMeLinkEnds(t *testing.T) {
	w := open(t)
	_, email := w.customer("nea")
	w.browser().signIn(email, good)
	w.browser().signIn(email, good)
	token := tokenOf(t, w.letter(email).Text)
	info, err := w.svc.NotMeInfo(t.Context(), stranger(1), secret.NewText(token))
	if err != nil || info.Email != email {
		t.Fatalf("%+v %v", info, err)
	}
	w.kit.Clock.Advance(30*24*time.Hour - time.Second)
	if _, err := w.svc.NotMeInfo(t.Context(), stranger(1), secret.NewText(token)); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	w.kit.Clock.Advance(time.Second)
	for _, bad := range []string{token, "", "x", strings.Repeat("a", 5000), "\x00\xff"} {
		if err := w.svc.NotMe(t.Context(), stranger(1), secret.NewText(bad)); !errors.Is(err, fault.Gone) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}

// The mailbox's no wins over a sign-in that is under way with the same password.
func TestNotMeDuringSignIn(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("rob")
		for range 2 {
			w.browser().signIn(email, good)
		}
		token := tokenOf(t, w.letter(email).Text)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, _ = w.svc.SignIn(t.Context(), stranger(10+i), identity.SignIn{Email: email, Password: secret.NewText(good)})
			})
		}
		wg.Go(func() {
			if err := w.svc.NotMe(t.Context(), stranger(1), secret.NewText(token)); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE ended IS NULL`); n != "0" {
			t.Errorf("%s sessions outlived it", n)
		}
	}, jobs.Schema(), identity.Schema())
}

func testAddressNeedsBothMailboxes(t *testing.T) { // breaks: auth.unique-login
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, old := w.customer("eva")
		fresh := mailbox("eva.new")
		for _, order := range [][]string{{old, fresh}, {fresh, old}} {
			b := w.browser()
			b.signIn(old, good)
			w.drain()
			b.api(202, "POST", "account/address", map[string]any{"email": fresh, "current": good})
			token := map[string]string{}
			for _, box := range order {
				token[box] = tokenIn(t, w, box, "/-/address/")
			}
			if got := b.api(200, "POST", "account/address/agree", map[string]any{"token": token[order[0]]}); got["done"] != false {
				t.Fatalf("one mailbox was enough: %v", got)
			}
			if got := w.browser().ask("POST", "sign-in", map[string]any{"email": fresh, "password": good}); got.Status != 401 {
				t.Fatalf("the new address signs in too early: %d", got.Status)
			}
			b.api(410, "POST", "account/address/agree", map[string]any{"token": token[order[0]]})
			if got := b.api(200, "POST", "account/address/agree", map[string]any{"token": token[order[1]]}); got["done"] != true {
				t.Fatalf("both agreed: %v", got)
			}
			for _, box := range order {
				if m := w.letterOf(box, "address-changed"); !strings.Contains(m.Text, fresh) {
					t.Errorf("letter to %s: %s", box, m.Text)
				}
			}
			if got := w.browser().ask("POST", "sign-in", map[string]any{"email": old, "password": good}); got.Status != 401 {
				t.Errorf("the former address signs in: %d", got.Status)
			}
			w.browser().signIn(fresh, good)
			if me := b.api(200, "GET", "session", nil)["person"].(map[string]any); me["email"] != fresh {
				t.Errorf("me: %v", me)
			}
			old, fresh = fresh, old
		}
	}, jobs.Schema(), identity.Schema())
}

func TestAddressRefusals(t *testing.T) {
	w := open(t)
	_, email := w.customer("pia")
	_, other := w.customer("sven")
	b := w.browser()
	b.signIn(email, good)
	for code, body := range map[string]map[string]any{
		"email_invalid":          {"email": "no address", "current": good},
		"email_same":             {"email": email, "current": good},
		"current_password_wrong": {"email": mailbox("x"), "current": "not it"},
	} {
		got := b.ask("POST", "account/address", body)
		if got.Status < 400 || !strings.Contains(got.Body, code) {
			t.Errorf("%s: %d %s", code, got.Status, got.Body)
		}
	}
	// An address that somebody has: the same answer, and no link for its mailbox.
	b.api(202, "POST", "account/address", map[string]any{"email": other, "current": good})
	if m := w.letterOf(other, "address-taken"); strings.Contains(m.Text, "/-/address/") {
		t.Errorf("the holder of the address got a link: %s", m.Text)
	}
	mine := tokenIn(t, w, email, "/-/address/")
	b.api(200, "POST", "account/address/agree", map[string]any{"token": mine})
	if got := b.api(200, "GET", "account/address", nil); got["waiting"] != true || got["new_agreed"] != nil {
		t.Errorf("waiting: %v", got)
	}
	// A newer wish replaces it; cancelling ends the links; so does the time.
	b.api(202, "POST", "account/address", map[string]any{"email": mailbox("p2"), "current": good})
	second := tokenIn(t, w, mailbox("p2"), "/-/address/")
	b.api(204, "DELETE", "account/address", nil)
	b.api(404, "DELETE", "account/address", nil)
	b.api(410, "POST", "account/address/agree", map[string]any{"token": second})
	b.api(202, "POST", "account/address", map[string]any{"email": mailbox("p3"), "current": good})
	third := tokenIn(t, w, mailbox("p3"), "/-/address/")
	w.kit.Clock.Advance(24 * time.Hour)
	b.api(410, "POST", "account/address/agree", map[string]any{"token": third})
	if _, ok, err := w.svc.WaitingAddress(t.Context(), personActor(w, email)); ok || err != nil {
		t.Errorf("too old and still waiting: %v %v", ok, err)
	}
}

// Somebody signs up with the new address before its mailbox agrees: the account stays theirs.
func TestAddressTakenMeanwhile(t *testing.T) { // breaks: auth.unique-login
	w := open(t)
	_, email := w.customer("kai")
	b := w.browser()
	b.signIn(email, good)
	b.api(202, "POST", "account/address", map[string]any{"email": mailbox("lou"), "current": good})
	for _, box := range []string{email, mailbox("lou")} {
		token := tokenIn(t, w, box, "/-/address/")
		if box == email {
			b.api(200, "POST", "account/address/agree", map[string]any{"token": token})
			w.customer("lou")
			continue
		}
		b.api(410, "POST", "account/address/agree", map[string]any{"token": token})
	}
	if me := b.api(200, "GET", "session", nil)["person"].(map[string]any); me["email"] != email {
		t.Errorf("me: %v", me)
	}
	w.browser().signIn(mailbox("lou"), good)
}

func TestOwnData(t *testing.T) {
	w := open(t)
	id, email := w.customer("uma")
	b := w.browser()
	b.signIn(email, good)
	for n := range 1203 { // more than two pages of the journal
		w.entries = append(w.entries, journal.Entry{N: int64(1203 - n), Subject: id, Act: "identity.signed-in", Fields: []journal.Field{{Name: "agent", State: journal.Hidden}}})
	}
	w.entries = append(w.entries, journal.Entry{N: 0, Subject: "somebody else", Act: "x"})
	got := b.api(200, "POST", "account/export", nil)
	if p := got["person"].(map[string]any); p["email"] != email || p["id"] != id || p["name"] != "UMA" {
		t.Errorf("person: %v", p)
	}
	es := got["journal"].([]any)
	if len(es) != 1203 || es[1202].(map[string]any)["values"].(map[string]any)["agent"] != "opened agent" {
		t.Errorf("%d entries, the last is %v", len(es), es[len(es)-1])
	}
	if n := len(got["sessions"].([]any)); n != 1 {
		t.Errorf("%d sessions", n)
	}
	raw := b.ask("POST", "account/export", nil).Body
	for _, never := range []string{"$argon2", w.one(`SELECT token FROM identity_session`), w.one(`SELECT token FROM identity_device`)} {
		if strings.Contains(raw, never) {
			t.Errorf("the copy holds %.12s…", never)
		}
	}
	w.browser().api(401, "POST", "account/export", nil)
}

func TestLeave(t *testing.T) { // breaks: data.crypto-erase
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		id, email := w.customer("ole")
		b := w.browser()
		b.signIn(email, good)
		b.api(404, "DELETE", "account/leave", nil)
		b.api(403, "POST", "account/leave", map[string]any{"current": "not it"})
		b.api(200, "POST", "account/leave", map[string]any{"current": good})
		if got := b.api(409, "POST", "account/leave", map[string]any{"current": good}); got["code"] != "leaving_already" {
			t.Errorf("twice: %v", got)
		}
		b.api(204, "DELETE", "account/leave", nil)
		due := b.api(200, "POST", "account/leave", map[string]any{"current": good})["due"].(string)
		if at, err := time.Parse(time.RFC3339, due); err != nil || !at.Equal(kit.Clock.Now().Add(14*24*time.Hour)) {
			t.Errorf("due %s, %v", due, err)
		}
		kit.Clock.Advance(14*24*time.Hour - time.Second)
		if err := w.svc.EraseLeavers(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); s != "active" {
			t.Fatalf("a second too early: %s", s)
		}
		kit.Clock.Advance(time.Second)
		if err := w.svc.EraseLeavers(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); s != "erased" {
			t.Errorf("after 14 days: %s", s)
		}
		if l := w.letterOf(email, "gone"); !strings.Contains(fmt.Sprint(l), "/-/erased?person="+id) {
			t.Errorf("the last letter leads to no certificate: %v", l)
		}
		if got := w.browser().ask("POST", "sign-in", map[string]any{"email": email, "password": good}); got.Status != 401 {
			t.Errorf("an erased person signs in: %d", got.Status)
		}
	}, jobs.Schema(), identity.Schema())
}

func TestLeaveRefusals(t *testing.T) {
	w := open(t)
	c, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("adm"), Password: secret.NewText(good), TeamName: "Dock"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("mem"), Password: secret.NewText(good), Team: c.Team, Role: identity.RoleMember}); err != nil {
		t.Fatal(err)
	}
	for email, want := range map[string]int{mailbox("adm"): 409, mailbox("mem"): 200} {
		b := w.browser()
		b.signIn(email, good)
		got := b.ask("POST", "account/leave", map[string]any{"current": good})
		if got.Status != want || want == 409 && !strings.Contains(got.Body, "last_admin") {
			t.Errorf("%s: %d %s", email, got.Status, got.Body)
		}
	}
}

// tokenIn waits for a letter with a link under the path.
func tokenIn(t *testing.T, w *world, to, path string) string {
	t.Helper()
	for range 10 {
		if m := w.letter(to); strings.Contains(m.Text, path) {
			return tokenOf(t, m.Text)
		}
	}
	t.Fatalf("no letter to %s with %s", to, path)
	return ""
}

func personActor(w *world, email string) actor.Actor {
	w.t.Helper()
	p, err := w.svc.Show(context.Background(), operator, email)
	if err != nil {
		w.t.Fatal(err)
	}
	return actor.Actor{Kind: "person", ID: p.ID, Session: fmt.Sprint("s-", p.ID), Via: "https"}
}
