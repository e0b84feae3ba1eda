package oidc_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	op "writ/internal/identity/oidc"
)

// The items of OWASP ASVS 5.0 that the provider answers for; house gathers them into
// docs/asvs.md.
//
// breaks: auth.best-practice
func TestASVS(t *testing.T) {
	t.Run("9.1.2 a token that another algorithm signed is none of ours", asvsAlgorithms)
	t.Run("9.2.3 only an access token opens userinfo, for its own clients", testOnlyAccessTokens)
	t.Run("10.4.1 10.4.6 redirects letter by letter, PKCE with S256 for all", testRequestsRefused)
	t.Run("10.4.2 a code works once, and twice ends its tokens", testCodeWorksOnce)
	t.Run("10.4.3 10.4.6 a code lives a minute and needs its verifier", testCodeIsBound)
	t.Run("10.4.4 no grant but code and refresh is taken", asvsGrants)
	t.Run("10.4.5 a refresh token used twice ends its family", testRefreshRotates)
	t.Run("7.4.1 10.4.8 10.4.9 tokens end with session, time and the person's wish", testTokensEnd)
	t.Run("10.6.2 nobody is signed out by a link without being asked", testLogoutByClient)
	t.Run("10.7.3 a consent is asked for by scope, seen and withdrawn", testConsent)
	t.Run("10.7.3 people see what they allowed and take it back", asvsConsents)
}

// relabelled is a token of ours under another algorithm: unsigned, or signed with the
// bytes of the public key, as libraries that believe the header would take it.
func relabelled(t *testing.T, token, alg string, sign func(head string) string) string {
	t.Helper()
	h := part(t, token, 0)
	h["alg"] = alg
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	head := base64.RawURLEncoding.EncodeToString(b) + "." + strings.Split(token, ".")[1]
	return head + "." + sign(head)
}

func asvsAlgorithms(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	const bye = "https://127.0.0.1:4443/bye"
	a := w.register(op.NewClient{After: []string{bye}})
	b := w.browser()
	it := a.redeem(a.code(b, email)).field("id_token")
	public, err := json.Marshal(w.jwks().Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	mac := func(head string) string {
		m := hmac.New(sha256.New, public)
		m.Write([]byte(head))
		return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	same := func(string) string { return strings.Split(it, ".")[2] }
	for name, forged := range map[string]string{
		"none": relabelled(t, it, "none", none), "None": relabelled(t, it, "None", none), "no name": relabelled(t, it, "", none),
		"HS256 with the public key": relabelled(t, it, "HS256", mac), "RS384": relabelled(t, it, "RS384", same), "PS256": relabelled(t, it, "PS256", same), "ES256": relabelled(t, it, "ES256", same),
	} {
		p := b.get("/-/oidc/logout?" + url.Values{"id_token_hint": {forged}, "post_logout_redirect_uri": {bye}}.Encode())
		if p.out != "" || b.get("/-/account").path != "/-/account" {
			t.Errorf("%s: a forged token signed somebody out: %d %s", name, p.status, p.out)
		}
		if p := b.get(a.url("prompt", "none", "id_token_hint", forged)); p.query().Get("code") != "" {
			t.Errorf("%s: a forged hint is taken", name)
		}
		if got := w.userinfo(forged); got.status != 401 {
			t.Errorf("%s: userinfo %d", name, got.status)
		}
	}
	for _, alg := range []string{"none", "HS256", "PS256"} {
		if _, err := w.op.Register(t.Context(), operator, op.NewClient{Name: "x", Redirects: []string{callback}, Alg: alg}); err == nil {
			t.Errorf("a client may have %s", alg)
		}
	}
	if p := b.get("/-/oidc/logout?" + url.Values{"id_token_hint": {it}, "post_logout_redirect_uri": {bye}}.Encode()); p.out != bye {
		t.Errorf("the true token: %d %s", p.status, p.out)
	}
}

func asvsGrants(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	public := w.register(op.NewClient{Name: "Native", Kind: op.Public})
	b := w.browser()
	b.signIn("/-/account", email)
	for _, grant := range []string{"password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:token-exchange", "urn:openid:params:grant-type:ciba", ""} {
		for _, x := range []app{a, public} {
			got := x.call("token", "grant_type", grant, "username", email, "password", good, "assertion", "x", "subject_token", "x", "device_code", "x", "scope", "openid")
			if got.status != 400 || got.field("access_token") != "" {
				t.Errorf("%q: %d %s", grant, got.status, got.body)
			}
			if want := "unsupported_grant_type"; grant != "" && got.field("error") != want {
				t.Errorf("%q: %s, want %s", grant, got.field("error"), want)
			}
		}
	}
	for _, kind := range []string{"token", "id_token", "id_token token", "code token", "code id_token token", "none"} {
		if p := b.get(a.url("response_type", kind)); p.query().Get("error") != "unsupported_response_type" || strings.Contains(p.out, "token=") {
			t.Errorf("response type %s led to %s", kind, p.out)
		}
	}
	if got := a.redeem(a.code(b, email)); got.status != 200 {
		t.Errorf("the code grant: %d %s", got.status, got.body)
	}
}

func asvsConsents(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{Trust: op.ThirdParty, Name: "Plums", Scopes: []string{"openid", "email", "offline_access"}})
	b := w.browser()
	const list = "/-/account/applications"
	p := b.signIn(a.url("scope", "openid offline_access"), email)
	tok := a.redeem(b.press(p, "answer", "allow").query().Get("code"))
	if p := b.get(list); !strings.Contains(p.body, "Plums") || strings.Contains(p.body, "e-mail address") {
		t.Errorf("the list: %s", p.body)
	}
	b.press(b.get(a.url("scope", "openid email offline_access")), "answer", "allow")
	if p := b.get(list); !strings.Contains(p.body, "e-mail address") {
		t.Errorf("the list after more was allowed: %s", p.body)
	}
	b.send("POST", list, url.Values{"client": {a.client.ID}})
	if p := b.get(list); strings.Contains(p.body, "Plums") {
		t.Errorf("the list after the withdrawal: %s", p.body)
	}
	if w.userinfo(tok.field("access_token")).status != 401 || a.refresh(tok.field("refresh_token")).field("error") != "invalid_grant" {
		t.Error("a token outlives the consent")
	}
	if p := b.get(a.url("scope", "openid")); p.query().Get("code") != "" {
		t.Error("nobody was asked anew")
	}
}
