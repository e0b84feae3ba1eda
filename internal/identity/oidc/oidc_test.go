package oidc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"writ/internal/identity"
	op "writ/internal/identity/oidc"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// TestWholeLogin is a real client from discovery to the refresh, on both engines.
func TestWholeLogin(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		id, email := w.customer("ana")
		for _, alg := range []string{"RS256", "ES256"} {
			a := w.register(op.NewClient{Alg: alg, Name: "Plums " + alg})
			conf, verifier := a.config()
			proof := oauth2.GenerateVerifier()
			p := w.browser().signIn(conf.AuthCodeURL("a state", oauth2.S256ChallengeOption(proof), oauth2.SetAuthURLParam("nonce", "once")), email)
			q := p.query()
			if !strings.HasPrefix(p.out, callback+"?") || q.Get("state") != "a state" || q.Get("iss") != w.base {
				t.Fatalf("led to %s %s %s", p.out, p.path, p.body)
			}
			tok, err := conf.Exchange(w.ctx(), q.Get("code"), oauth2.VerifierOption(proof))
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := tok.Extra("id_token").(string)
			it, err := verifier.Verify(w.ctx(), raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := it.VerifyAccessToken(tok.AccessToken); err != nil {
				t.Error(err)
			}
			var more struct {
				ACR      string   `json:"acr"`
				AMR      []string `json:"amr"`
				AuthTime int64    `json:"auth_time"`
				SID      string   `json:"sid"`
			}
			if err := it.Claims(&more); err != nil {
				t.Fatal(err)
			}
			if it.Subject != id || it.Nonce != "once" || more.ACR != "1" || more.AMR[0] != "pwd" || more.AuthTime != kit.Clock.Now().Unix() || more.SID == "" {
				t.Errorf("%+v %+v", it, more)
			}
			info := w.userinfo(tok.AccessToken)
			if info.status != 200 || info.field("sub") != id || info.field("email") != email || info.field("email_verified") != "true" || info.field("name") != "ANA" || info.field("roles") != "[admin]" {
				t.Errorf("userinfo: %d %s", info.status, info.body)
			}
			fresh := a.refresh(tok.RefreshToken)
			if fresh.status != 200 || fresh.field("refresh_token") == tok.RefreshToken || fresh.field("id_token") == "" {
				t.Errorf("refresh: %d %s", fresh.status, fresh.body)
			}
		}
		if n := w.recorded("identity.authorisation-given"); n != 2 {
			t.Errorf("%d authorisations recorded", n)
		}
	}, jobs.Schema(), identity.Schema())
}

// A code that comes twice ends all that came of it, whoever brings it.
//
// breaks: auth.best-practice
func testCodeWorksOnce(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	code := a.code(w.browser(), email)
	first := a.redeem(code)
	if first.status != 200 || w.userinfo(first.field("access_token")).status != 200 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if again := a.redeem(code); again.status != 400 || again.field("error") != "invalid_grant" {
		t.Errorf("a second time: %d %s", again.status, again.body)
	}
	if got := w.userinfo(first.field("access_token")); got.status != 401 {
		t.Errorf("the first token still works: %d", got.status)
	}
	if got := a.refresh(first.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("the first refresh token still works: %d %s", got.status, got.body)
	}
	for range 15 {
		a.redeem(code)
	}
	if w.recorded("identity.code-reuse-refused") != 1 || w.recorded("identity.client-request-refused") > 11 {
		t.Error("the reuse is not recorded")
	}
}

// Whatever does not fit a code spends it: a thief has one try, not many.
//
// breaks: auth.best-practice
func testCodeIsBound(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a, other := w.register(op.NewClient{Redirects: []string{callback, callback + "/2"}}), w.register(op.NewClient{Name: "Other"})
	b := w.browser()
	for name, try := range map[string]func(code string) answer{
		"another client": func(code string) answer { return other.redeem(code) },
		"another redirect": func(code string) answer {
			return a.call("token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback+"/2", "code_verifier", proof)
		},
		"another verifier": func(code string) answer {
			return a.call("token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", strings.Repeat("x", 43))
		},
		"the challenge as verifier": func(code string) answer {
			return a.call("token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", oauth2.S256ChallengeFromVerifier(proof))
		},
		"no verifier": func(code string) answer {
			return a.call("token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
		},
		"a minute later": func(code string) answer {
			w.kit.Clock.Advance(time.Minute)
			return a.redeem(code)
		},
	} {
		code := a.code(b, email)
		if got := try(code); got.status != 400 || got.field("error") != "invalid_grant" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if got := a.redeem(code); got.field("error") != "invalid_grant" {
			t.Errorf("after %s the code still works: %s", name, got.body)
		}
	}
	code := a.code(b, email)
	w.kit.Clock.Advance(59 * time.Second)
	if got := a.redeem(code); got.status != 200 {
		t.Errorf("59 s old: %d %s", got.status, got.body)
	}
}

// A refresh token works once; at its second use the whole family ends.
//
// breaks: auth.best-practice
func testRefreshRotates(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a, other := w.register(op.NewClient{}), w.register(op.NewClient{Name: "Other"})
	b := w.browser()
	one := a.redeem(a.code(b, email))
	two := a.refresh(one.field("refresh_token"))
	if two.status != 200 {
		t.Fatalf("%d %s", two.status, two.body)
	}
	if got := a.refresh(one.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("the old one: %d %s", got.status, got.body)
	}
	for _, dead := range []string{one.field("access_token"), two.field("access_token")} {
		if got := w.userinfo(dead); got.status != 401 {
			t.Errorf("an access token outlives its family: %d", got.status)
		}
	}
	if got := a.refresh(two.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("the new one after the reuse: %s", got.body)
	}
	if w.recorded("identity.refresh-reuse-refused") < 1 {
		t.Error("the reuse is not recorded")
	}

	three := a.redeem(a.code(b, email))
	if got := a.call("token", "grant_type", "refresh_token", "refresh_token", three.field("refresh_token"), "scope", "openid roles"); got.field("error") != "invalid_scope" {
		t.Errorf("more than was allowed: %d %s", got.status, got.body)
	}
	less := a.call("token", "grant_type", "refresh_token", "refresh_token", three.field("refresh_token"), "scope", "openid")
	if less.status != 200 || w.userinfo(less.field("access_token")).field("email") != "" {
		t.Errorf("fewer scopes: %d %s", less.status, less.body)
	}
	if got := other.refresh(less.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("another client's: %s", got.body)
	}
	if got := a.refresh(less.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("after another client had it: %s", got.body)
	}
}

// Tokens end with the session, unless the person allowed it otherwise, and in any case
// after 30 days, when the person is disabled, and when they withdraw.
//
// breaks: auth.best-practice
func testTokensEnd(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	near, far := w.register(op.NewClient{}), w.register(op.NewClient{Name: "Far", Scopes: []string{"openid", "offline_access"}})
	b := w.browser()
	short := near.redeem(near.code(b, email))
	p := b.get(far.url("scope", "openid offline_access"))
	if !strings.Contains(p.body, "when you are not signed in") {
		t.Fatalf("offline access is given without a question: %s", p.body)
	}
	long := far.redeem(b.press(p, "answer", "allow").query().Get("code"))
	w.kit.Clock.Advance(9*time.Minute + 59*time.Second)
	if got := w.userinfo(short.field("access_token")); got.status != 200 {
		t.Errorf("access token after 9:59: %d", got.status)
	}
	w.kit.Clock.Advance(time.Second)
	if got := w.userinfo(short.field("access_token")); got.status != 401 {
		t.Errorf("access token after 10:00: %d", got.status)
	}
	short = near.refresh(short.field("refresh_token"))
	if _, err := w.people.EndSessions(t.Context(), operator, id); err != nil {
		t.Fatal(err)
	}
	if got := w.userinfo(short.field("access_token")); got.status != 401 {
		t.Errorf("access token after the session: %d", got.status)
	}
	if got := near.refresh(short.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("refresh after the session: %s", got.body)
	}
	if got := far.refresh(long.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("all sessions were ended, and the offline token lives: %s", got.body)
	}

	// One sign-out leaves what was allowed offline.
	p = b.signIn(far.url("scope", "openid offline_access"), email)
	long = far.redeem(p.query().Get("code"))
	short = near.redeem(near.code(b, email))
	b.press(b.get("/-/sign-out"))
	if w.userinfo(short.field("access_token")).status != 401 || near.refresh(short.field("refresh_token")).field("error") != "invalid_grant" {
		t.Error("a token outlives the sign-out")
	}
	for range 2 {
		w.kit.Clock.Advance(14 * 24 * time.Hour)
		if long = far.refresh(long.field("refresh_token")); long.status != 200 {
			t.Fatalf("offline, after a sign-out: %d %s", long.status, long.body)
		}
	}
	w.kit.Clock.Advance(2 * 24 * time.Hour)
	if got := far.refresh(long.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("after 30 days: %s", got.body)
	}

	p = b.signIn(far.url("scope", "openid offline_access"), email)
	long = far.redeem(p.query().Get("code"))
	apps := b.get("/-/account/applications")
	if !strings.Contains(apps.body, "Far") || !strings.Contains(apps.body, "also when you are not signed in") {
		t.Fatalf("the list: %s", apps.body)
	}
	b.send("POST", "/-/account/applications", url.Values{"client": {far.client.ID}})
	if got := far.refresh(long.field("refresh_token")); got.field("error") != "invalid_grant" {
		t.Errorf("after the consent was withdrawn: %s", got.body)
	}
	if p := b.get(far.url("scope", "openid offline_access")); !strings.Contains(p.body, "Allow") {
		t.Errorf("after the withdrawal nobody asks: %s%s", p.out, p.body)
	}

	short = near.redeem(near.code(b, email))
	if err := w.people.Disable(t.Context(), operator, email); err != nil {
		t.Fatal(err)
	}
	if got := w.userinfo(short.field("access_token")); got.status != 401 {
		t.Errorf("access token of a disabled person: %d", got.status)
	}
}

// What a person allowed goes with them.
//
// breaks: data.crypto-erase
func TestErasedWithThePerson(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	a := w.register(op.NewClient{Trust: op.ThirdParty, Scopes: []string{"openid", "offline_access"}})
	b := w.browser()
	p := b.press(b.signIn(a.url("scope", "openid offline_access"), email), "answer", "allow")
	tok := a.redeem(p.query().Get("code"))
	if w.one(`SELECT COUNT(*) || '' FROM identity_oidc_consent WHERE person = $1`, id) != "1" {
		t.Fatal("no consent to erase")
	}
	who, err := w.people.Show(t.Context(), operator, email)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.people.Erase(t.Context(), operator, email, who.Handle); err != nil {
		t.Fatal(err)
	}
	if n := w.one(`SELECT COUNT(*) || '' FROM identity_oidc_consent WHERE person = $1`, id); n != "0" {
		t.Errorf("%s consents outlive their person", n)
	}
	if w.userinfo(tok.field("access_token")).status != 401 || a.refresh(tok.field("refresh_token")).status != 400 {
		t.Error("a token outlives its person")
	}
}

// No secret rests in clear.
//
// breaks: auth.no-cleartext, auth.one-way
func TestNothingInClear(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	code := a.code(w.browser(), email)
	tok := a.redeem(code)
	pushed := a.post("par", a.params("state", "a-state-to-look-for"))
	for name, text := range map[string]string{"secret": a.secret, "code": code, "access token": tok.field("access_token"), "refresh token": tok.field("refresh_token"),
		"reference": strings.TrimPrefix(pushed.field("request_uri"), "urn:ietf:params:oauth:request_uri:"), "state": "a-state-to-look-for"} {
		if text == "" {
			t.Fatalf("no %s", name)
		}
		for _, table := range []string{"client", "secret", "request", "login", "family", "code", "refresh", "access", "consent"} {
			if w.holds("identity_oidc_"+table, text) {
				t.Errorf("the %s stands in identity_oidc_%s", name, table)
			}
		}
	}
}
