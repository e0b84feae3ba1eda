package oidc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	op "writ/internal/identity/oidc"
)

// listener is a client's back channel.
type listener struct {
	srv    *httptest.Server
	tokens chan string
	status int
}

func (w *world) listen(status int) *listener {
	l := &listener{tokens: make(chan string, 20), status: status}
	l.srv = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" && r.URL.RawQuery == "" {
			l.tokens <- r.FormValue("logout_token")
		}
		rw.WriteHeader(l.status)
	}))
	w.pool.AddCert(l.srv.Certificate())
	w.t.Cleanup(l.srv.Close)
	return l
}

func (l *listener) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-l.tokens:
		return s
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told the client")
	}
	return ""
}

// Every client of a session hears that it ended, however it ended.
//
// breaks: auth.best-practice
func TestBackChannel(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	one, two := w.listen(200), w.listen(200)
	a := w.register(op.NewClient{Back: one.srv.URL + "/out"})
	other := w.register(op.NewClient{Name: "Other", Back: two.srv.URL + "/out", Alg: "ES256"})
	b := w.browser()
	it := a.redeem(a.code(b, email)).field("id_token")
	other.code(b, email)
	b.press(b.get("/-/sign-out"))
	for _, x := range []struct {
		app app
		l   *listener
	}{{a, one}, {other, two}} {
		raw := x.l.next(t)
		p, err := oidc.NewProvider(w.ctx(), w.base)
		if err != nil {
			t.Fatal(err)
		}
		lt, err := p.Verifier(&oidc.Config{ClientID: x.app.client.ID, Now: w.kit.Clock.Now, SupportedSigningAlgs: []string{x.app.client.Alg}}).VerifyLogout(w.ctx(), raw)
		if err != nil {
			t.Fatal(err)
		}
		c := part(t, raw, 1)
		if part(t, raw, 0)["typ"] != "logout+jwt" || c["nonce"] != nil || c["exp"].(float64)-c["iat"].(float64) != 120 || c["jti"] == "" || lt.Subject != id {
			t.Errorf("logout token %v %v", part(t, raw, 0), c)
		}
		if x.app.client.ID == a.client.ID && lt.SessionID != claim(t, it, "sid") {
			t.Errorf("sid %s, id token had %v", lt.SessionID, claim(t, it, "sid"))
		}
		// It is no id token: the provider itself takes it for no hint.
		if p := b.get("/-/oidc/logout?" + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {callback}}.Encode()); p.out != "" {
			t.Errorf("a logout token as a hint led to %s", p.out)
		}
	}
	other.code(b, email)
	if _, err := w.people.EndSessions(t.Context(), operator, id); err != nil {
		t.Fatal(err)
	}
	two.next(t)
	select {
	case <-one.tokens:
		t.Error("a client is told of a session that it never knew, or twice")
	case <-time.After(50 * time.Millisecond):
	}
	if w.recorded("identity.clients-told") != 2 {
		t.Errorf("%d recorded", w.recorded("identity.clients-told"))
	}
}

// A client that does not listen is tried three times, and then it is recorded.
func TestBackChannelDeaf(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	l := w.listen(302)
	a := w.register(op.NewClient{Back: l.srv.URL})
	b := w.browser()
	a.code(b, email)
	b.press(b.get("/-/sign-out"))
	for range 3 {
		l.next(t)
	}
	for range 500 {
		if w.recorded("identity.backchannel-logout-lost") == 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("not recorded")
}

// With an id token of this very session a client signs out at once; everybody else
// makes the person be asked; and the way on is registered.
//
// breaks: auth.best-practice
func testLogoutByClient(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{After: []string{bye}})
	other := w.register(op.NewClient{Name: "Other", After: []string{bye + "2"}})
	b := w.browser()
	out := func(kv ...string) page {
		v := url.Values{}
		for i := 0; i+1 < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return b.get("/-/oidc/logout?" + v.Encode())
	}
	here := func() bool { return b.get("/-/account").status == 200 && b.get("/-/account").path == "/-/account" }
	old := a.redeem(a.code(b, email)).field("id_token")
	if p := out("id_token_hint", old, "post_logout_redirect_uri", bye, "state", "s1"); p.out != bye+"?state=s1" || here() {
		t.Fatalf("with its token: %s %s, still here %v", p.out, p.body, here())
	}
	it := a.redeem(a.code(b, email)).field("id_token")
	for name, kv := range map[string][]string{
		"no hint": nil, "no hint, a client": {"client_id", a.client.ID, "post_logout_redirect_uri", bye}, "a token of an earlier session": {"id_token_hint", old},
		"a token that is none": {"id_token_hint", "x.y.z"}, "another client beside the token": {"id_token_hint", it, "client_id", other.client.ID},
	} {
		if p := out(kv...); !strings.Contains(p.body, "Stay signed in") || !here() {
			t.Errorf("%s: nobody was asked: %d %s %s", name, p.status, p.out, p.body)
		}
	}
	for name, kv := range map[string][]string{
		"an unregistered address": {"id_token_hint", it, "post_logout_redirect_uri", bye + "x"}, "another client's": {"id_token_hint", it, "post_logout_redirect_uri", bye + "2"},
		"another client's beside the token": {"id_token_hint", it, "client_id", other.client.ID, "post_logout_redirect_uri", bye + "2"}, "nobody's": {"post_logout_redirect_uri", bye}, "a changed token": {"id_token_hint", it[:len(it)-2] + "xx", "post_logout_redirect_uri", bye},
	} {
		if p := out(kv...); p.status != 400 || p.out != "" || !here() {
			t.Errorf("%s: %d %s", name, p.status, p.out)
		}
	}
	p := out("client_id", a.client.ID, "post_logout_redirect_uri", bye, "state", "s2")
	if got := w.browser().press(p); got.status != 400 {
		t.Errorf("somebody else's answer: %d %s", got.status, got.out)
	}
	if p = b.press(p); p.out != bye+"?state=s2" || here() {
		t.Errorf("asked and confirmed: %s %s", p.out, p.body)
	}
	if p := out(); !strings.Contains(p.body, "You are signed out") {
		t.Errorf("nobody there: %d %s", p.status, p.body)
	}
	a.code(b, email)
	w.kit.Clock.Advance(time.Second)
	it = a.redeem(a.code(b, email)).field("id_token")
	if p := b.send("POST", "/-/oidc/logout", url.Values{"id_token_hint": {it}, "post_logout_redirect_uri": {bye}}); p.out != bye || here() {
		t.Errorf("posted: %s %s", p.out, p.body)
	}
}

// The page at the end loads the clients' front channels, and its policy names them alone.
func TestFrontChannel(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{Front: "https://127.0.0.1:4443/front?x=1"})
	b := w.browser()
	it := a.redeem(a.code(b, email)).field("id_token")
	p := b.get("/-/oidc/logout?" + url.Values{"id_token_hint": {it}}.Encode())
	sid, _ := claim(t, it, "sid").(string)
	want := "https://127.0.0.1:4443/front?x=1&amp;iss=" + url.QueryEscape(w.base) + "&amp;sid=" + sid
	if !strings.Contains(p.body, want) || !strings.Contains(p.header.Get("Content-Security-Policy"), "frame-src https://127.0.0.1:4443") {
		t.Errorf("%s\n%s", p.header.Get("Content-Security-Policy"), p.body)
	}
}

// Nothing in the discovery document fails, and what it leaves out is refused (the tests
// of requests and clients above try that).
func TestDiscovery(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{Scopes: []string{"openid", "profile", "email", "roles", "offline_access"}, Trust: op.FirstParty})
	var d map[string]any
	if err := json.Unmarshal([]byte(w.browser().get("/.well-known/openid-configuration").body), &d); err != nil {
		t.Fatal(err)
	}
	list := func(key string) (out []string) {
		all, ok := d[key].([]any)
		if !ok {
			t.Fatalf("%s is missing", key)
		}
		for _, x := range all {
			out = append(out, x.(string))
		}
		return out
	}
	for key, want := range map[string]string{
		"response_types_supported": "code", "response_modes_supported": "query", "grant_types_supported": "authorization_code refresh_token", "code_challenge_methods_supported": "S256",
		"token_endpoint_auth_methods_supported": "client_secret_basic none", "id_token_signing_alg_values_supported": "RS256 ES256", "subject_types_supported": "public",
	} {
		if got := strings.Join(list(key), " "); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	for key, want := range map[string]bool{"authorization_response_iss_parameter_supported": true, "request_uri_parameter_supported": false, "request_parameter_supported": false,
		"backchannel_logout_supported": true, "backchannel_logout_session_supported": true, "frontchannel_logout_supported": true, "frontchannel_logout_session_supported": true} {
		if d[key] != want {
			t.Errorf("%s: %v", key, d[key])
		}
	}
	if d["issuer"] != w.base || d["registration_endpoint"] != nil {
		t.Errorf("issuer %v, registration %v", d["issuer"], d["registration_endpoint"])
	}
	b := w.browser()
	b.signIn("/-/account", email)
	for _, scope := range list("scopes_supported") {
		p := b.get(a.url("scope", "openid "+scope))
		if p.out == "" {
			p = b.press(p, "answer", "allow")
		}
		if p.query().Get("code") == "" {
			t.Errorf("scope %s: %s %s", scope, p.out, p.body)
		}
	}
	for _, mode := range list("response_modes_supported") {
		if p := b.get(a.url("response_mode", mode)); p.query().Get("code") == "" {
			t.Errorf("mode %s: %s", mode, p.out)
		}
	}
	for _, prompt := range list("prompt_values_supported") {
		if p := b.get(a.url("prompt", prompt)); p.query().Get("error") != "" || p.status >= 400 {
			t.Errorf("prompt %s: %d %s", prompt, p.status, p.out)
		}
	}
	if p := b.get(a.url("acr_values", list("acr_values_supported")[0])); p.query().Get("code") == "" {
		t.Errorf("acr: %s", p.out)
	}
	p := b.press(b.get(a.url("scope", strings.Join(list("scopes_supported"), " "), "prompt", "consent")), "answer", "allow")
	tok := a.redeem(p.query().Get("code"))
	var info map[string]any
	if err := json.Unmarshal([]byte(w.userinfo(tok.field("access_token")).body), &info); err != nil {
		t.Fatal(err)
	}
	it := part(t, tok.field("id_token"), 1)
	for _, c := range list("claims_supported") {
		if it[c] == nil && info[c] == nil {
			t.Errorf("claim %s is nowhere: %v %v", c, it, info)
		}
	}
	for key, v := range d { // every address answers, if only that the method is wrong
		if to, ok := v.(string); ok && strings.HasPrefix(to, w.base+"/") {
			r, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			if got := w.do(r); got.status == 404 || got.status >= 500 {
				t.Errorf("%s: %d", key, got.status)
			}
		}
	}
}
