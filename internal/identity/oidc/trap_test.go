package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	op "writ/internal/identity/oidc"
)

// The faults that were seen in provider libraries (docs/adr/0010), each a test by its
// name. Some are tried elsewhere too; here each has its line.
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
	type trap struct {
		name string
		ok   func() bool
	}
	// all tries each of several, and names the one that is not so.
	all := func(each func(one string) bool, of ...string) bool {
		for _, one := range of {
			if !each(one) {
				t.Errorf("not so for %q", one)
				return false
			}
		}
		return true
	}
	document := b.get("/.well-known/openid-configuration")
	for _, trap := range []trap{
		{"discovery lists no implicit flow", func() bool {
			return !strings.Contains(b.get("/.well-known/openid-configuration").body, "implicit") && !strings.Contains(b.get("/.well-known/openid-configuration").body, `"id_token"`)
		}},
		{"a confidential client without a verifier is refused", func() bool { return redeem(a, code(a), callback, "").field("error") == "invalid_grant" }},
		{"a method left out is not plain", func() bool {
			return b.get(a.url("code_challenge_method", "-")).query().Get("error") == "invalid_request"
		}},
		{"plain is refused, though the verifier fits", func() bool {
			return b.get(a.url("code_challenge_method", "plain", "code_challenge", proof)).query().Get("code") == ""
		}},
		{"a wrong verifier burns the code", func() bool {
			c := code(a)
			return redeem(a, c, callback, "&code_verifier="+strings.Repeat("y", 50)).status == 400 && a.redeem(c).status == 400
		}},
		{"a redeemed code is remembered as used", func() bool {
			c := code(a)
			first := a.redeem(c)
			return first.status == 200 && a.redeem(c).status == 400 && w.userinfo(first.field("access_token")).status == 401
		}},
		{"the address carries no grant", func() bool {
			return send("POST", "/-/oidc/token?grant_type=authorization_code&client_id="+native.client.ID, "code="+code(native)).field("error") == "invalid_request"
		}},
		{"the address carries no credentials", func() bool {
			return send("POST", "/-/oidc/revoke?client_id="+a.client.ID+"&client_secret="+a.secret, "token=x").status == 400
		}},
		{"tokens are not given by GET", func() bool { return send("GET", "/-/oidc/token?grant_type=authorization_code", "").status == 405 }},
		{"no origin is reflected", func() bool {
			none := func(got answer) bool {
				return got.header.Get("Access-Control-Allow-Origin") == "" && got.header.Get("Access-Control-Allow-Credentials") == "" && got.header.Get("Access-Control-Allow-Methods") == ""
			}
			return all(func(path string) bool {
				return none(send("GET", path, "", "Origin", "https://evil.example.test")) && none(send("POST", path, "", "Origin", "https://evil.example.test")) &&
					none(send("OPTIONS", path, "", "Origin", "https://evil.example.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"))
			}, "/.well-known/openid-configuration", "/-/oidc/jwks", "/-/oidc/authorize", "/-/oidc/par", "/-/oidc/token", "/-/oidc/userinfo", "/-/oidc/introspect", "/-/oidc/revoke", "/-/oidc/logout")
		}},
		{"a loopback redirect keeps host and scheme", func() bool {
			return all(func(to string) bool { return b.get(native.url("redirect_uri", to)).out == "" },
				"http://evil.example.test/cb", "https://127.0.0.1/cb", "http://localhost/cb", "http://[::1]/cb", "http://127.0.0.2/cb", "http://127.0.0.1.evil.example.test/cb", "http://127.0.0.1:80@evil.example.test/cb", "http://127.0.0.1/cb/more", "ftp://127.0.0.1/cb") &&
				b.get(native.url("redirect_uri", "http://127.0.0.1:50505/cb")).query().Get("code") != ""
		}},
		{"a confidential client registers no http", func() bool {
			_, err := w.op.Register(t.Context(), operator, op.NewClient{Name: "x", Redirects: []string{"http://127.0.0.1/cb"}})
			return err != nil
		}},
		{"no patterns in redirects", func() bool {
			_, err := w.op.Register(t.Context(), operator, op.NewClient{Name: "x", Redirects: []string{"https://example.test/*"}})
			return err != nil
		}},
		{"the issuer does not follow a header", func() bool {
			got := send("GET", "/.well-known/openid-configuration", "", "Forwarded", "host=evil.example.test;proto=https", "X-Forwarded-Host", "evil.example.test")
			return got.field("issuer") == w.base && !strings.Contains(got.body, "evil")
		}},
		{"an id token is no access token", func() bool {
			tok := a.redeem(code(a))
			it := tok.field("id_token")
			return it != "" && w.userinfo(it).status == 401 && a.call("introspect", "token", it).field("active") == "false" && w.userinfo(tok.field("access_token")).field("sub") == id
		}},
		{"a token that nobody looked up is none", func() bool { // of any form that a library would decrypt or verify
			return all(func(token string) bool {
				return w.userinfo(token).status == 401 && a.call("introspect", "token", token).field("active") == "false"
			}, strings.Repeat("A", 64), "writ_oat_"+strings.Repeat("A", 43), "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", ":", "x:y")
		}},
		{"a refresh token is no access token, nor the other way about", func() bool {
			tok := a.redeem(code(a))
			return w.userinfo(tok.field("refresh_token")).status == 401 && a.refresh(tok.field("access_token")).field("error") == "invalid_grant"
		}},
		{"no grant but those of the document", func() bool {
			return all(func(grant string) bool {
				return a.call("token", "grant_type", grant, "username", email, "password", good, "scope", "openid").field("error") == "unsupported_grant_type" && !strings.Contains(document.body, `"`+grant+`"`)
			}, "password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		}},
		{"no response but those of the document", func() bool {
			return all(func(kind string) bool {
				return b.get(a.url("response_type", kind)).query().Get("error") == "unsupported_response_type" && !strings.Contains(document.body, `"`+kind+`"`)
			}, "token", "id_token", "id_token token", "code id_token", "code token", "code id_token token") &&
				all(func(mode string) bool {
					p := b.get(a.url("response_mode", mode))
					return p.query().Get("error") == "invalid_request" && !strings.Contains(p.out, "#") && !strings.Contains(document.body, `"`+mode+`"`)
				}, "fragment", "form_post", "web_message", "query.jwt")
		}},
		{"no way to prove a client but those of the document", func() bool {
			return all(func(more string) bool {
				return send("POST", "/-/oidc/token", "grant_type=authorization_code&code=x&redirect_uri=x&client_id="+a.client.ID+more).field("error") == "invalid_client"
			}, "", "&client_secret="+a.secret, "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=e30.e30.e30") &&
				all(func(way string) bool { return !strings.Contains(document.body, way) }, "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth")
		}},
		{"every address of the document is served", func() bool {
			return all(func(name string) bool {
				to := document.field(name)
				return strings.HasPrefix(to, w.base+"/") && send("POST", strings.TrimPrefix(to, w.base), "").status < 500 && send("POST", strings.TrimPrefix(to, w.base), "").status != 404
			}, "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint", "end_session_endpoint", "pushed_authorization_request_endpoint")
		}},
		{"iss is there on success and on error", func() bool {
			return b.get(a.url()).query().Get("iss") == w.base && b.get(a.url("scope", "email")).query().Get("iss") == w.base
		}},
		{"a sign-out without a hint ends nothing", func() bool {
			send("GET", "/-/oidc/logout", "")
			b.get("/-/oidc/logout")
			return b.get("/-/account").path == "/-/account"
		}},
	} {
		t.Run(trap.name, func(t *testing.T) {
			if !trap.ok() {
				t.Error("not so")
			}
		})
	}
}
