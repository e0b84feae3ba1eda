package oidc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	op "writ/internal/identity/oidc"
)

// TestPlan re-creates, by the names of their modules, those parts of the OpenID
// Foundation's Basic, Config, RP-initiated and back-channel plans that apply to a provider
// which only gives codes with PKCE. The suite itself was not run: this is not certified.
func TestPlan(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	const bye = "https://127.0.0.1:4443/bye"
	l := w.listen(200)
	a := w.register(op.NewClient{After: []string{bye}, Back: l.srv.URL})
	second := w.register(op.NewClient{Name: "Second"})
	b := w.browser()
	b.signIn("/-/account", email)
	gives := func(over ...string) bool { return b.get(a.url(over...)).query().Get("code") != "" }
	fails := func(want string, over ...string) bool { return b.get(a.url(over...)).query().Get("error") == want }
	login := func(over ...string) answer { return a.redeem(b.get(a.url(over...)).query().Get("code")) }
	info := func(scope, claim string) bool {
		return w.userinfo(login("scope", "openid "+scope).field("access_token")).field(claim) != ""
	}
	out := func(kv ...string) page {
		v := url.Values{}
		for i := 0; i+1 < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return b.get("/-/oidc/logout?" + v.Encode())
	}
	again := func() { // signed in, whatever the module before did
		if b.get("/-/account").path != "/-/account" {
			b.signIn("/-/account", email)
		}
	}
	for _, m := range []struct {
		name string
		ok   func() bool
	}{
		{"oidcc-discovery-endpoint-verification", func() bool {
			return b.get("/.well-known/openid-configuration").status == 200 && len(w.jwks().Keys) == 2
		}},
		{"oidcc-server", func() bool { return claim(t, login().field("id_token"), "sub") == id }},
		{"oidcc-response-type-missing", func() bool { return fails("invalid_request", "response_type", "-") }},
		{"oidcc-userinfo-get", func() bool { return w.userinfo(login().field("access_token")).status == 200 }},
		{"oidcc-userinfo-post-header", func() bool { return w.userinfo(login().field("access_token")).field("sub") == id }},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func() bool { return claim(t, login("nonce", "-").field("id_token"), "nonce") == nil }},
		{"oidcc-scope-profile", func() bool { return info("profile", "name") }},
		{"oidcc-scope-email", func() bool { return info("email", "email") }},
		{"oidcc-scope-all", func() bool { return info("profile email roles", "roles") }},
		{"oidcc-ensure-other-scope-order-succeeds", func() bool { return gives("scope", "email openid") }},
		{"oidcc-display-page", func() bool { return gives("display", "page") }},
		{"oidcc-display-popup", func() bool { return gives("display", "popup") }},
		{"oidcc-prompt-login", func() bool {
			before := claim(t, login().field("id_token"), "auth_time").(float64)
			w.kit.Clock.Advance(2 * time.Second)
			p := b.press(b.get(a.url("prompt", "login")), "email", email, "password", good)
			return claim(t, a.redeem(p.query().Get("code")).field("id_token"), "auth_time").(float64) > before
		}},
		{"oidcc-prompt-none-not-logged-in", func() bool { return w.browser().get(a.url("prompt", "none")).query().Get("error") == "login_required" }},
		{"oidcc-prompt-none-logged-in", func() bool {
			first := claim(t, login().field("id_token"), "auth_time")
			return claim(t, login("prompt", "none").field("id_token"), "auth_time") == first
		}},
		{"oidcc-max-age-1", func() bool {
			w.kit.Clock.Advance(2 * time.Second)
			p := b.get(a.url("max_age", "1"))
			return strings.HasPrefix(p.path, "/-/sign-in") && b.press(p, "email", email, "password", good).query().Get("code") != ""
		}},
		{"oidcc-max-age-10000", func() bool { return gives("max_age", "10000") }},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", func() bool { return gives("extra", "foobar") }},
		{"oidcc-id-token-hint", func() bool { return gives("prompt", "none", "id_token_hint", login().field("id_token")) }},
		{"oidcc-login-hint", func() bool { return gives("login_hint", email) }},
		{"oidcc-ui-locales", func() bool { return gives("ui_locales", "se") }},
		{"oidcc-claims-locales", func() bool { return gives("claims_locales", "se") }},
		{"oidcc-ensure-request-with-acr-values-succeeds", func() bool { return claim(t, login("acr_values", "1 2").field("id_token"), "acr") == "1" }},
		{"oidcc-codereuse", func() bool {
			c := b.get(a.url()).query().Get("code")
			return a.redeem(c).status == 200 && a.redeem(c).field("error") == "invalid_grant"
		}},
		{"oidcc-codereuse-30seconds", func() bool {
			c := b.get(a.url()).query().Get("code")
			first := a.redeem(c)
			w.kit.Clock.Advance(30 * time.Second)
			return first.status == 200 && a.redeem(c).field("error") == "invalid_grant" && w.userinfo(first.field("access_token")).status == 401
		}},
		{"oidcc-ensure-registered-redirect-uri", func() bool { p := b.get(a.url("redirect_uri", callback+"/x")); return p.status == 400 && p.out == "" }},
		{"oidcc-ensure-post-request-succeeds", func() bool { return b.send("POST", "/-/oidc/authorize", a.params()).query().Get("code") != "" }},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func() bool { return fails("request_not_supported", "request", "eyJhbGciOiJub25lIn0.e30.") }},
		{"oidcc-ensure-request-object-with-redirect-uri", func() bool { return fails("request_not_supported", "request", "eyJhbGciOiJub25lIn0.e30.") }},
		{"oidcc-claims-essential", func() bool { return gives("claims", `{"userinfo":{"name":{"essential":true}}}`) }},
		{"oidcc-refresh-token", func() bool {
			it := login()
			fresh := a.refresh(it.field("refresh_token"))
			return fresh.status == 200 && claim(t, fresh.field("id_token"), "sub") == id && second.refresh(fresh.field("refresh_token")).field("error") == "invalid_grant"
		}},
		{"oidcc-rp-initiated-logout", func() bool {
			return out("id_token_hint", login().field("id_token"), "post_logout_redirect_uri", bye, "state", "x").out == bye+"?state=x"
		}},
		{"oidcc-rp-initiated-logout-no-state", func() bool {
			return out("id_token_hint", login().field("id_token"), "post_logout_redirect_uri", bye).out == bye
		}},
		{"oidcc-rp-initiated-logout-no-params", func() bool { return strings.Contains(out().body, "Stay signed in") }},
		{"oidcc-rp-initiated-logout-only-state", func() bool { return strings.Contains(out("state", "x").body, "Stay signed in") }},
		{"oidcc-rp-initiated-logout-no-id-token-hint", func() bool { return out("post_logout_redirect_uri", bye).status == 400 }},
		{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", func() bool {
			return strings.Contains(out("id_token_hint", login().field("id_token")).body, "You are signed out")
		}},
		{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", func() bool {
			return out("id_token_hint", login().field("id_token"), "post_logout_redirect_uri", bye+"x").status == 400
		}},
		{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", func() bool {
			return out("id_token_hint", login().field("id_token"), "post_logout_redirect_uri", bye+"?foo=bar").status == 400
		}},
		{"oidcc-rp-initiated-logout-bad-id-token-hint", func() bool { return out("id_token_hint", "bad", "post_logout_redirect_uri", bye).status == 400 }},
		{"oidcc-rp-initiated-logout-modified-id-token-hint", func() bool {
			it := login().field("id_token")
			return out("id_token_hint", it[:len(it)-4]+"AAAA", "post_logout_redirect_uri", bye).status == 400
		}},
		{"oidcc-backchannel-rp-initiated-logout", func() bool {
			for len(l.tokens) > 0 {
				<-l.tokens
			}
			it := login().field("id_token")
			out("id_token_hint", it, "post_logout_redirect_uri", bye)
			for {
				if lt := l.next(t); claim(t, lt, "sid") == claim(t, it, "sid") {
					return claim(t, lt, "sub") == id
				}
			}
		}},
	} {
		again()
		if !m.ok() {
			t.Errorf("%s", m.name)
		}
	}
}
