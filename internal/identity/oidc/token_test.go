package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	op "writ/internal/identity/oidc"
	"writ/internal/secret"
)

// Credentials come in one place and in one way; what comes otherwise is refused though
// it be right.
//
// breaks: auth.best-practice
func TestClientsProveThemselves(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	public := w.register(op.NewClient{Name: "Native", Kind: op.Public})
	b := w.browser()
	good := func() url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "code": {a.code(b, email)}, "redirect_uri": {callback}, "code_verifier": {proof}}
	}
	raw := func(method, query, kind string, v url.Values, user, pass string) answer {
		r, err := http.NewRequestWithContext(t.Context(), method, w.base+"/-/oidc/token"+query, strings.NewReader(v.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		if user != "" {
			r.SetBasicAuth(user, pass)
		}
		return w.do(r)
	}
	const form = "application/x-www-form-urlencoded"
	with := func(v url.Values, k, one string) url.Values { v.Add(k, one); return v }
	id, key := a.client.ID, a.secret
	for name, c := range map[string]struct {
		got    answer
		status int
		code   string
	}{
		"wrong secret":              {raw("POST", "", form, good(), id, key[:len(key)-1]+"x"), 401, "invalid_client"},
		"no secret":                 {raw("POST", "", form, with(good(), "client_id", id), "", ""), 401, "invalid_client"},
		"secret in the body":        {raw("POST", "", form, with(with(good(), "client_id", id), "client_secret", key), "", ""), 401, "invalid_client"},
		"secret in both":            {raw("POST", "", form, with(good(), "client_secret", key), id, key), 401, "invalid_client"},
		"another client in body":    {raw("POST", "", form, with(good(), "client_id", public.client.ID), id, key), 401, "invalid_client"},
		"unknown client":            {raw("POST", "", form, good(), "nobody", key), 401, "invalid_client"},
		"a public client's secret":  {raw("POST", "", form, good(), public.client.ID, key), 401, "invalid_client"},
		"an assertion":              {raw("POST", "", form, with(good(), "client_assertion", "e30.e30.x"), id, key), 401, "invalid_client"},
		"everything in the address": {raw("POST", "?"+good().Encode(), form, url.Values{}, id, key), 400, "invalid_request"},
		"grant type in the address": {raw("POST", "?grant_type=authorization_code", form, good(), id, key), 400, "invalid_request"},
		"a parameter twice":         {raw("POST", "", form, with(good(), "code", "x"), id, key), 400, "invalid_request"},
		"JSON":                      {raw("POST", "", "application/json", good(), id, key), 400, "invalid_request"},
		"GET":                       {raw("GET", "?"+good().Encode(), form, nil, id, key), 405, ""},
		"PUT":                       {raw("PUT", "", form, good(), id, key), 405, ""},
		"password grant":            {raw("POST", "", form, url.Values{"grant_type": {"password"}, "username": {email}, "password": {"x"}}, id, key), 400, "unsupported_grant_type"},
		"client credentials":        {raw("POST", "", form, url.Values{"grant_type": {"client_credentials"}}, id, key), 400, "unsupported_grant_type"},
		"device grant":              {raw("POST", "", form, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}}, id, key), 400, "unsupported_grant_type"},
		"token exchange":            {raw("POST", "", form, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}}, id, key), 400, "unsupported_grant_type"},
		"JWT bearer":                {raw("POST", "", form, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}, id, key), 400, "unsupported_grant_type"},
		"no grant":                  {raw("POST", "", form, url.Values{}, id, key), 400, "invalid_request"},
		"an unknown code":           {raw("POST", "", form, url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {callback}, "code_verifier": {proof}}, id, key), 400, "invalid_grant"},
	} {
		if c.got.status != c.status || c.code != "" && c.got.field("error") != c.code || c.got.field("access_token") != "" {
			t.Errorf("%s: %d %s, want %d %s", name, c.got.status, c.got.body, c.status, c.code)
		}
		if c.status == 401 && !strings.HasPrefix(c.got.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: no challenge", name)
		}
		if c.got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be stored", name)
		}
	}
	if got := raw("POST", "", form, good(), id, key); got.status != 200 {
		t.Errorf("the right way: %d %s", got.status, got.body)
	}
}

// Two secrets work while one is replaced; a removed client is gone at once.
func TestSecretsRotate(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	b := w.browser()
	works := func(x app) bool { return x.redeem(x.code(b, email)).status == 200 }
	second, third := a, a
	for _, x := range []*app{&second, &third} {
		w.kit.Clock.Advance(time.Second)
		s, err := w.op.Rotate(t.Context(), operator, a.client.ID)
		if err != nil {
			t.Fatal(err)
		}
		x.secret = s.Reveal()
		if x == &second && (!works(a) || !works(second)) {
			t.Error("the old or the new secret does not work")
		}
	}
	if works(a) || !works(second) || !works(third) {
		t.Errorf("after two rotations: first %v, second %v, third %v", works(a), works(second), works(third))
	}
	c, err := w.op.ClientByID(t.Context(), operator, a.client.ID)
	if err != nil || len(c.Secrets) != 2 {
		t.Fatalf("%+v %v", c, err)
	}
	if err := w.op.RemoveSecret(t.Context(), operator, c.ID, c.Secrets[0].ID); err != nil {
		t.Fatal(err)
	}
	if works(second) || !works(third) {
		t.Error("the removed secret works, or the other does not")
	}
	if err := w.op.RemoveSecret(t.Context(), operator, c.ID, c.Secrets[1].ID); err == nil {
		t.Error("the last secret went")
	}
	tok := third.redeem(third.code(b, email))
	if err := w.op.Remove(t.Context(), operator, c.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.userinfo(tok.field("access_token")); got.status != 401 {
		t.Errorf("a token of a removed client: %d", got.status)
	}
	if p := b.get(third.url()); p.status != 400 || p.out != "" {
		t.Errorf("a removed client: %d %s", p.status, p.out)
	}
}

// Only access tokens open userinfo: not id tokens, refresh tokens or codes, and not in
// the address.
//
// breaks: auth.best-practice
func testOnlyAccessTokens(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	a := w.register(op.NewClient{})
	other := w.register(op.NewClient{Name: "Other"})
	resource := w.register(op.NewClient{Name: "Resource", Resource: true})
	public := w.register(op.NewClient{Name: "Native", Kind: op.Public})
	b := w.browser()
	code := a.code(b, email)
	tok := a.redeem(code)
	access := tok.field("access_token")
	for name, bad := range map[string]string{"id token": tok.field("id_token"), "refresh token": tok.field("refresh_token"), "code": code, "nothing": "", "a made-up one": "writ_oat_" + secret.RandomText(32).Reveal(), "its hash": strings.Repeat("a", 64)} {
		got := w.userinfo(bad)
		if got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if in := a.call("introspect", "token", bad); bad != "" && (in.status != 200 || in.field("active") != "false" || in.field("sub") != "") {
			t.Errorf("introspect of %s: %d %s", name, in.status, in.body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", w.base+"/-/oidc/userinfo?access_token="+access, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.do(r); got.status != 401 {
		t.Errorf("a token in the address: %d", got.status)
	}
	if r, err = http.NewRequestWithContext(t.Context(), "POST", w.base+"/-/oidc/userinfo", nil); err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	if got := w.do(r); got.status != 200 || got.field("sub") != id {
		t.Errorf("POST: %d %s", got.status, got.body)
	}
	for name, c := range map[string]struct {
		as   app
		want string
	}{"its own": {a, "true"}, "a resource": {resource, "true"}, "another client": {other, "false"}} {
		if got := c.as.call("introspect", "token", access); got.field("active") != c.want {
			t.Errorf("introspected by %s: %s", name, got.body)
		}
	}
	if got := public.call("introspect", "token", access); got.status != 401 {
		t.Errorf("introspected by a public client: %d %s", got.status, got.body)
	}
	if got := other.call("revoke", "token", access); got.status != 200 || w.userinfo(access).status != 200 {
		t.Errorf("revoked by another client: %d", got.status)
	}
	if got := a.call("revoke", "token", "unheard"); got.status != 200 {
		t.Errorf("revoke an unknown token: %d %s", got.status, got.body)
	}
	if got := a.call("revoke", "token", access); got.status != 200 || w.userinfo(access).status != 401 {
		t.Errorf("revoked: %d", got.status)
	}
	fresh := a.refresh(tok.field("refresh_token"))
	if got := a.call("revoke", "token", fresh.field("refresh_token"), "token_type_hint", "access_token"); got.status != 200 {
		t.Errorf("revoke the refresh token: %d", got.status)
	}
	if w.userinfo(fresh.field("access_token")).status != 401 || a.refresh(fresh.field("refresh_token")).status != 400 {
		t.Error("a revoked refresh token left something alive")
	}
}

// breaks: auth.best-practice
func TestRegistrationRefuses(t *testing.T) {
	w := open(t)
	for name, in := range map[string]op.NewClient{
		"no name": {Redirects: []string{callback}}, "no redirect": {Name: "x"},
		"a wildcard": {Name: "x", Redirects: []string{"https://*.example.test/cb"}}, "a fragment": {Name: "x", Redirects: []string{callback + "#f"}},
		"localhost": {Name: "x", Redirects: []string{"https://localhost/cb"}}, "localhost in clear": {Name: "x", Kind: op.Public, Redirects: []string{"http://localhost/cb"}},
		"clear": {Name: "x", Kind: op.Public, Redirects: []string{"http://example.test/cb"}}, "loopback in clear with a secret": {Name: "x", Redirects: []string{"http://127.0.0.1/cb"}},
		"a scheme": {Name: "x", Kind: op.Public, Redirects: []string{"javascript:alert(1)"}}, "a user": {Name: "x", Redirects: []string{"https://a@example.test/cb"}},
		"a space": {Name: "x", Redirects: []string{"https://example.test/c b"}}, "a kind": {Name: "x", Redirects: []string{callback}, Kind: "odd"},
		"a scope": {Name: "x", Redirects: []string{callback}, Scopes: []string{"openid", "everything"}}, "an algorithm": {Name: "x", Redirects: []string{callback}, Alg: "HS256"},
		"a public resource": {Name: "x", Redirects: []string{callback}, Kind: op.Public, Resource: true}, "logout in clear": {Name: "x", Redirects: []string{callback}, Back: "http://example.test/out"},
	} {
		if _, err := w.op.Register(t.Context(), operator, in); err == nil {
			t.Errorf("registered with %s", name)
		}
	}
	_, email := w.customer("ana")
	b := w.browser()
	b.signIn("/-/account", email)
	if got := b.get("/-/api/v1/clients"); got.status != 403 {
		t.Errorf("a customer reads the clients: %d", got.status)
	}
	made, err := w.op.Register(t.Context(), operator, op.NewClient{Name: "Board", Audience: op.ForStaff, Redirects: []string{callback}})
	if err != nil || !made.Client.RequirePAR || made.Client.Trust != op.ThirdParty || made.Client.Alg != "RS256" {
		t.Errorf("presets: %+v %v", made.Client, err)
	}
}
