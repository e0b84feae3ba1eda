package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	op "writ/internal/identity/oidc"
)

// The faults that were seen in provider libraries (docs/adr/0010), by name. Some are
// tried elsewhere too; here each has its line.
//
// breaks: auth.best-practice
func TestTrapsRegression(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	a := w.register(op.NewClient{})
	native := w.register(op.NewClient{Name: "Native", Kind: op.Public, Redirects: []string{"http://127.0.0.1/cb"}})
	b := w.browser()
	b.signIn("/-/account", email)
	send := func(method, path, body string, header ...string) answer {
		r, err := http.NewRequestWithContext(t.Context(), method, w.base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return w.do(r)
	}
	redeem := func(x app, code, redirect, more string) answer {
		v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}}
		body := v.Encode() + more
		if x.secret == "" {
			return send("POST", "/-/oidc/token", body+"&client_id="+x.client.ID)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.base+"/-/oidc/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(x.client.ID, x.secret)
		return w.do(r)
	}
	code := func(x app) string { return b.get(x.url()).query().Get("code") }
	for name, ok := range map[string]func() bool{
		"discovery lists no implicit flow": func() bool {
			return !strings.Contains(b.get("/.well-known/openid-configuration").body, "implicit") && !strings.Contains(b.get("/.well-known/openid-configuration").body, `"id_token"`)
		},
		"a confidential client without a verifier is refused": func() bool { return redeem(a, code(a), callback, "").field("error") == "invalid_grant" },
		"a method left out is not plain": func() bool {
			return b.get(a.url("code_challenge_method", "-")).query().Get("error") == "invalid_request"
		},
		"plain is refused, though the verifier fits": func() bool {
			return b.get(a.url("code_challenge_method", "plain", "code_challenge", proof)).query().Get("code") == ""
		},
		"a wrong verifier burns the code": func() bool {
			c := code(a)
			return redeem(a, c, callback, "&code_verifier="+strings.Repeat("y", 50)).status == 400 && a.redeem(c).status == 400
		},
		"a redeemed code is remembered as used": func() bool {
			c := code(a)
			first := a.redeem(c)
			return first.status == 200 && a.redeem(c).status == 400 && w.userinfo(first.field("access_token")).status == 401
		},
		"the address carries no grant": func() bool {
			return send("POST", "/-/oidc/token?grant_type=authorization_code&client_id="+native.client.ID, "code="+code(native)).field("error") == "invalid_request"
		},
		"the address carries no credentials": func() bool {
			return send("POST", "/-/oidc/revoke?client_id="+a.client.ID+"&client_secret="+a.secret, "token=x").status == 400
		},
		"tokens are not given by GET": func() bool { return send("GET", "/-/oidc/token?grant_type=authorization_code", "").status == 405 },
		"no origin is reflected": func() bool {
			got := send("GET", "/-/oidc/userinfo", "", "Origin", "https://evil.example.test")
			return got.header.Get("Access-Control-Allow-Origin") == "" && got.header.Get("Access-Control-Allow-Credentials") == ""
		},
		"a loopback redirect keeps host and scheme": func() bool {
			return b.get(native.url("redirect_uri", "http://evil.example.test/cb")).out == "" && b.get(native.url("redirect_uri", "https://127.0.0.1/cb")).out == ""
		},
		"a confidential client registers no http": func() bool {
			_, err := w.op.Register(t.Context(), operator, op.NewClient{Name: "x", Redirects: []string{"http://127.0.0.1/cb"}})
			return err != nil
		},
		"no patterns in redirects": func() bool {
			_, err := w.op.Register(t.Context(), operator, op.NewClient{Name: "x", Redirects: []string{"https://example.test/*"}})
			return err != nil
		},
		"the issuer does not follow a header": func() bool {
			got := send("GET", "/.well-known/openid-configuration", "", "Forwarded", "host=evil.example.test;proto=https", "X-Forwarded-Host", "evil.example.test")
			return got.field("issuer") == w.base && !strings.Contains(got.body, "evil")
		},
		"an id token is no access token": func() bool {
			tok := a.redeem(code(a))
			it := tok.field("id_token")
			return it != "" && w.userinfo(it).status == 401 && a.call("introspect", "token", it).field("active") == "false" && w.userinfo(tok.field("access_token")).field("sub") == id
		},
		"iss is there on success and on error": func() bool {
			return b.get(a.url()).query().Get("iss") == w.base && b.get(a.url("scope", "email")).query().Get("iss") == w.base
		},
		"a sign-out without a hint ends nothing": func() bool {
			send("GET", "/-/oidc/logout", "")
			b.get("/-/oidc/logout")
			return b.get("/-/account").path == "/-/account"
		},
	} {
		if !ok() {
			t.Errorf("not so: %s", name)
		}
	}
}
