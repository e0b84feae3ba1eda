package identity_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/web"
)

// Signing up accepts the terms in force; a newer version asks again at the next request.
func TestTerms(t *testing.T) { // breaks: use.terms
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		to := mailbox("tess")
		b := w.browser()
		if got := b.api(202, "POST", "sign-up", map[string]any{"email": to, "password": good, "name": "Tess"}); got["terms"] != 1.0 {
			t.Errorf("%v", got)
		}
		b.api(200, "POST", "confirm", map[string]any{"token": tokenOf(t, w.letter(to).Text)})
		b.signIn(to, good)
		b.api(200, "GET", "session", nil)
		made := b.api(201, "POST", "tokens", map[string]any{"name": "laptop", "scopes": []string{"orders:read"}, "days": 1})["token"].(string)
		if got := b.api(200, "GET", "terms", nil); got["accepted"] != 1.0 || got["required"] != false {
			t.Errorf("%v", got)
		}
		id := w.one(`SELECT person FROM identity_terms`)
		if how := w.one(`SELECT how FROM identity_terms`); how != "sign-up" {
			t.Errorf("how: %s", how)
		}

		w.set(clause.Values{"use.terms/version": int64(3)})
		if got := b.api(403, "GET", "session", nil); got["code"] != "terms_required" {
			t.Errorf("%v", got)
		}
		if a, err := b.Do(t.Context(), "GET", "/orders", ""); err != nil || a.Status != 403 || !strings.Contains(a.Body, "terms_required") {
			t.Errorf("the application: %d %s %v", a.Status, a.Body, err)
		}
		if _, err := w.lookup(made, "127.0.0.1"); !errors.Is(err, fault.Denied) {
			t.Errorf("a program of somebody who must accept first: %v", err)
		}
		if got := b.api(200, "GET", "terms", nil); got["accepted"] != 1.0 || got["required"] != true || got["version"] != 3.0 {
			t.Errorf("%v", got)
		}
		for _, v := range []int{0, 1, 2, 4, -3} {
			if got := b.api(409, "POST", "terms", map[string]any{"version": v}); got["code"] != "terms_version" {
				t.Errorf("%d: %v", v, got)
			}
		}
		again := w.browser()
		again.signIn(to, good)
		again.api(403, "GET", "session", nil)
		b.api(200, "POST", "terms", map[string]any{"version": 3})
		b.api(200, "GET", "session", nil)
		again.api(200, "GET", "session", nil)
		if _, err := w.lookup(made, "127.0.0.1"); err != nil {
			t.Errorf("the program then: %v", err)
		}
		if err := w.svc.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.api(200, "GET", "session", nil)
		if n := len(kit.Recorded("identity.terms-accepted")); n != 2 {
			t.Errorf("%d entries", n)
		}
		if _, err := w.svc.Erase(t.Context(), operator, id, w.one(`SELECT handle FROM identity_person WHERE id = $1`, id)); err != nil {
			t.Fatal(err)
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_terms`); n != "0" {
			t.Error("acceptances outlive the person")
		}
	}, jobs.Schema(), identity.Schema())
}

// Whoever has not accepted reaches the terms and the way out alone. Staff are not asked.
func TestTermsFirst(t *testing.T) { // breaks: use.terms
	w := open(t)
	c, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("imp"), Password: secret.NewText(good), AskTerms: true})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn(mailbox("imp"), good)
	ours := []string{"GET /-/api/v1/terms", "POST /-/api/v1/terms", "GET /-/terms", "POST /-/terms"}
	for _, rt := range append(w.svc.Routes(), w.svc.Pages()...) {
		if rt.Who == web.Agreeing != slices.Contains(ours, rt.Pattern) {
			t.Errorf("%s: %d", rt.Pattern, rt.Who)
		}
		if rt.Who == web.Anyone || rt.Who == web.Agreeing {
			continue
		}
		method, path, _ := strings.Cut(rt.Pattern, " ")
		body := ""
		if method != http.MethodGet {
			body = "{}"
		}
		a, err := b.Do(t.Context(), method, hole.ReplaceAllString(path, "x"), body)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != 403 || !strings.Contains(a.Body, "terms_required") {
			t.Errorf("%s: %d %.200s", rt.Pattern, a.Status, a.Body)
		}
	}
	w.set(clause.Values{"use.terms/version": int64(2)})
	_, staff, _ := w.staff("olga", "owner")
	staff.api(200, "GET", "session", nil)
	if got := staff.api(200, "GET", "terms", nil); got["required"] != false {
		t.Errorf("staff: %v", got)
	}
	b.api(204, "POST", "sign-out", map[string]any{})
	b.api(401, "GET", "terms", nil)
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE person = $1 AND cause = 'signed-out'`, c.ID); n != "1" {
		t.Error("the session did not end")
	}
	for _, who := range []actor.Actor{{}, {Kind: actor.Stranger, ID: "x"}, {Kind: actor.Person, ID: c.ID, Token: "t", Session: "s"}, operator} {
		if err := w.svc.AcceptTerms(t.Context(), who, 2); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("%v accepts: %v", who, err)
		}
	}
}

// A sign-up accepts what was shown, not what came into force before the letter was opened.
func TestTermsChangeDuringSignUp(t *testing.T) { // breaks: use.terms
	w := open(t)
	to := mailbox("late")
	flow, err := w.svc.SignUp(t.Context(), stranger(1), identity.SignUp{Email: to, Password: secret.NewText(good)})
	if err != nil {
		t.Fatal(err)
	}
	w.set(clause.Values{"use.terms/version": int64(2)})
	if err := w.svc.Confirm(t.Context(), stranger(1), identity.Confirm{Token: secret.NewText(tokenOf(t, w.letter(to).Text)), Flow: flow}); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn(to, good)
	b.api(403, "GET", "session", nil)
	if _, err := w.svc.SignUp(t.Context(), stranger(2), identity.SignUp{Email: mailbox("bold"), Password: secret.NewText(good), Terms: 99}); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Confirm(t.Context(), stranger(2), identity.Confirm{Token: secret.NewText(tokenOf(t, w.letter(mailbox("bold")).Text)), Password: secret.NewText(good)}); err != nil {
		t.Fatal(err)
	}
	if n := w.one(`SELECT CAST(MAX(version) AS TEXT) FROM identity_terms`); n != "2" {
		t.Errorf("version %s was accepted", n)
	}
	w.kit.Clock.Advance(time.Minute)
}
