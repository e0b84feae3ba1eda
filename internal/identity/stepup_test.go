package identity_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/identity/totp"
	"writ/internal/web"
)

// Acts that bind others want a factor of the last quarter of an hour, and a step-up gives
// the session a new token and that proof.
func testStepUp(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, b, p := w.staff("ana", "owner")
	w.staff("ben", "owner")
	_, c, _ := w.staff("cara", "owner")
	add := map[string]any{"email": mailbox("eng"), "name": "E", "handle": "eng", "roles": []string{"engineer"}}
	w.kit.Clock.Advance(15 * time.Minute)
	b.api(200, "GET", "people", nil) // to look needs no proof
	a := b.ask("POST", "people", add)
	var problem web.Problem
	if err := json.Unmarshal([]byte(a.Body), &problem); err != nil || a.Status != 403 || problem.Code != "step_up_required" || problem.ACR != 2 || problem.MaxAge != 900 ||
		!strings.Contains(a.Header.Get("WWW-Authenticate"), `max_age="900"`) {
		t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
	}
	if r := w.kit.Recorded("access.refused"); len(r) != 1 {
		t.Errorf("%d refusals recorded", len(r))
	}
	for _, act := range []struct{ method, path string }{{"POST", "people/ben/disable"}, {"POST", "factors/totp"}, {"DELETE", "factors/" + p.id}, {"POST", "factors/recovery-codes"}} {
		if a := b.ask(act.method, act.path, nil); a.Status != 403 || !strings.Contains(a.Body, "step_up_required") {
			t.Errorf("%s %s: %d %s", act.method, act.path, a.Status, a.Body)
		}
	}
	if a := b.ask("POST", "password", map[string]any{"current": good, "new": "a fine new phrase 12"}); !strings.Contains(a.Body, "step_up_required") {
		t.Errorf("a new password: %d %s", a.Status, a.Body)
	}
	old := b.session()
	b.api(401, "POST", "step-up", map[string]any{"kind": "totp", "code": "000000"})
	b.api(409, "POST", "step-up", map[string]any{"kind": "password", "code": good}) // the password is no factor
	b.api(200, "POST", "step-up", map[string]any{"kind": "totp", "code": p.code()})
	if now := b.session(); now == old || now == "" {
		t.Error("the token stayed the same")
	}
	if a := w.withSession(old); a != 401 {
		t.Errorf("the former token: %d", a)
	}
	b.api(201, "POST", "people", add)
	w.set(clause.Values{"auth.best-practice/step_up_max_age": time.Minute})
	w.kit.Clock.Advance(time.Minute)
	b.api(403, "POST", "people/eng/disable", nil)
	c.api(403, "POST", "people/eng/disable", nil)
	b.api(200, "POST", "step-up", map[string]any{"kind": "recovery", "code": p.codes[0]})
	b.api(200, "POST", "people/eng/disable", nil)
}

// People without a factor prove with the password.
func testStepUpWithPassword(t *testing.T) {
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	w.kit.Clock.Advance(15 * time.Minute)
	if a := b.ask("POST", "factors/totp", nil); a.Status != 403 || !strings.Contains(a.Body, `"acr":1`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	b.api(401, "POST", "step-up", map[string]any{"kind": "password", "code": "wrong"})
	b.api(401, "POST", "step-up", map[string]any{"kind": "totp", "code": "123456"})
	b.api(200, "POST", "step-up", map[string]any{"kind": "password", "code": good})
	b.enrol()
	w.kit.Clock.Advance(time.Hour)
	for range 12 {
		b.ask("POST", "step-up", map[string]any{"kind": "totp", "code": "000000"})
	}
	b.api(429, "POST", "step-up", map[string]any{"kind": "totp", "code": "000000"})
}

// Whoever is no person with a session of their own is never fresh.
func TestNeverFresh(t *testing.T) {
	w := open(t)
	now := w.kit.Clock.Now()
	who := actor.Actor{Kind: actor.Person, ID: "x", Session: "s", ACR: 2, FactorAt: now}
	if err := w.svc.Fresh(t.Context(), who, time.Minute); err != nil {
		t.Errorf("%v", err)
	}
	token, machine, enrolling, none, ahead := who, who, who, who, who
	token.Token, machine.Kind, enrolling.Kind, none.Session, ahead.FactorAt = "t", actor.Machine, actor.Enrolling, "", now.Add(time.Hour)
	for name, a := range map[string]actor.Actor{"token": token, "machine": machine, "enrolling": enrolling, "no session": none, "clock ahead": ahead, "nobody": {}} {
		if err := w.svc.Fresh(t.Context(), a, time.Minute); err == nil {
			t.Errorf("%s is fresh", name)
		}
	}
}

// The page asks for the proof and comes back.
func TestStepUpPage(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in")
	r.press("Sign in", "email", to, "password", good)
	r.open("/-/account/factors")
	s.kit.Clock.Advance(15 * time.Minute)
	r.press("Set up an app").want(t, 200, "Is it you?", "Password")
	r.press("Go on", "code", "wrong").want(t, 401, "This is not your password.")
	if p := r.press("Go on", "code", good).want(t, 200, "Set up an app"); p.path != "/-/account/factors" {
		t.Errorf("at %s", p.path)
	}
	r.press("Set up an app")
	seed := r.seedOn()
	r.press("Turn it on", "code", r.codeOf(seed))
	s.kit.Clock.Advance(15 * time.Minute)
	r.open("/-/account/factors")
	r.press("Make new recovery codes").want(t, 200, "Is it you?", "Code from your app")
	r.open("/-/step-up?with=recovery&to=/-/account").want(t, 200, "Recovery code")
	r.open("/-/step-up?to=/-/account")
	r.press("Go on", "code", "000000").want(t, 401, "This code is not right")
	s.kit.Clock.Advance(totp.Period)
	if p := r.press("Go on", "code", r.codeOf(seed)).want(t, 200, "Your account"); p.path != "/-/account" {
		t.Errorf("at %s", p.path)
	}
	r.open("/-/step-up?to=//evil.example")
	if p := r.press("Go on", "code", r.codeOf(seed)); strings.Contains(strings.Join(p.hops, " "), "evil") {
		t.Errorf("led to %v", p.hops)
	}
}
