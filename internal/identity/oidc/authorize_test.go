package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"writ/internal/actor"
	op "writ/internal/identity/oidc"
)

// What has nowhere to go back to gets a page; everything else goes back to the client
// with error, state and issuer.
//
// breaks: auth.best-practice
func testRequestsRefused(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{Scopes: []string{"openid", "email"}})
	native := w.register(op.NewClient{Name: "Native", Kind: op.Public, Redirects: []string{"http://127.0.0.1/cb"}})
	staff := w.register(op.NewClient{Name: "Staff", Audience: op.ForStaff, RequirePAR: new(bool)})
	b := w.browser()
	b.signIn("/-/account", email)
	for name, c := range map[string]struct {
		app  app
		over []string
		want string // error at the redirect; "page" for one of ours
	}{
		"unknown client":              {a, []string{"client_id", "nobody"}, "page"},
		"no client":                   {a, []string{"client_id", "-"}, "page"},
		"unknown redirect":            {a, []string{"redirect_uri", callback + "x"}, "page"},
		"redirect with a query":       {a, []string{"redirect_uri", callback + "?x=1"}, "page"},
		"redirect in other letters":   {a, []string{"redirect_uri", "https://127.0.0.1:4443/Callback"}, "page"},
		"redirect with a dot segment": {a, []string{"redirect_uri", "https://127.0.0.1:4443/x/../callback"}, "page"},
		"redirect at another port":    {a, []string{"redirect_uri", "https://127.0.0.1:4444/callback"}, "page"},
		"redirect in clear":           {a, []string{"redirect_uri", "http://127.0.0.1:4443/callback"}, "page"},
		"redirect of a relative":      {a, []string{"redirect_uri", "/callback"}, "page"},
		"no redirect":                 {a, []string{"redirect_uri", "-"}, "page"},
		"a fragment":                  {a, []string{"redirect_uri", callback + "#x"}, "page"},
		"a foreign request_uri":       {a, []string{"request_uri", "https://127.0.0.1:4443/r"}, "request_uri_not_supported"},
		"a made-up pushed request":    {a, []string{"request_uri", "urn:ietf:params:oauth:request_uri:x"}, "page"},
		"a request object":            {a, []string{"request", "e30.e30."}, "request_not_supported"},
		"a registration":              {a, []string{"registration", "{}"}, "registration_not_supported"},
		"no response type":            {a, []string{"response_type", "-"}, "invalid_request"},
		"the implicit flow":           {a, []string{"response_type", "id_token"}, "unsupported_response_type"},
		"the hybrid flow":             {a, []string{"response_type", "code id_token"}, "unsupported_response_type"},
		"a fragment as mode":          {a, []string{"response_mode", "fragment"}, "invalid_request"},
		"a form as mode":              {a, []string{"response_mode", "form_post"}, "invalid_request"},
		"no PKCE":                     {a, []string{"code_challenge", "-", "code_challenge_method", "-"}, "invalid_request"},
		"no PKCE of a public client":  {native, []string{"code_challenge", "-", "code_challenge_method", "-"}, "invalid_request"},
		"PKCE without a method":       {a, []string{"code_challenge_method", "-"}, "invalid_request"},
		"plain PKCE":                  {a, []string{"code_challenge_method", "plain"}, "invalid_request"},
		"a short challenge":           {a, []string{"code_challenge", "abc"}, "invalid_request"},
		"no openid":                   {a, []string{"scope", "email"}, "invalid_scope"},
		"no scope":                    {a, []string{"scope", "-"}, "invalid_scope"},
		"none and login":              {a, []string{"prompt", "none login"}, "invalid_request"},
		"an unknown prompt":           {a, []string{"prompt", "dance"}, "invalid_request"},
		"our own word as prompt":      {a, []string{"prompt", "consented"}, "invalid_request"},
		"max_age below nothing":       {a, []string{"max_age", "-1"}, "invalid_request"},
		"max_age of words":            {a, []string{"max_age", "soon"}, "invalid_request"},
		"a long state":                {a, []string{"state", strings.Repeat("s", 513)}, "invalid_request"},
		"a long nonce":                {a, []string{"nonce", strings.Repeat("n", 256)}, "invalid_request"},
		"level 2":                     {a, []string{"acr_values", "2"}, "unmet_authentication_requirements"},
		"unknown levels":              {a, []string{"acr_values", "urn:gold"}, "unmet_authentication_requirements"},
		"staff's client":              {staff, nil, "access_denied"},
		"a hint that is none":         {a, []string{"id_token_hint", "a.b.c"}, "login_required"},
	} {
		p := b.get(c.app.url(c.over...))
		switch {
		case c.want == "page":
			if p.status != 400 || p.out != "" {
				t.Errorf("%s: %d, led to %s", name, p.status, p.out)
			}
		case p.query().Get("error") != c.want || p.query().Get("iss") != w.base || p.query().Get("code") != "":
			t.Errorf("%s: led to %s (%d %s), want %s", name, p.out, p.status, p.path, c.want)
		case len(c.over) > 0 && c.over[0] != "state" && p.query().Get("state") != "xyz":
			t.Errorf("%s: state %q", name, p.query().Get("state"))
		}
	}
	if p := b.get(a.url() + "&scope=openid"); p.status != 400 || p.out != "" {
		t.Errorf("a parameter twice: %d %s", p.status, p.out)
	}
	if w.recorded("identity.client-request-refused") < 15 {
		t.Errorf("%d refusals recorded", w.recorded("identity.client-request-refused"))
	}
	if p := b.get(a.url("acr_values", "1 2", "scope", "email openid unheard", "max_age", "10000", "ui_locales", "de", "claims", "{}", "unheard", "of", "display", "popup", "login_hint", "x@example.test")); p.query().Get("code") == "" {
		t.Errorf("what may be passed over is refused: %s %s", p.out, p.body)
	}
	if p := b.get(native.url("redirect_uri", "http://127.0.0.1:51004/cb")); p.query().Get("code") == "" {
		t.Errorf("a native program at its port: %s %s", p.out, p.body)
	}
	for _, bad := range []string{"http://127.0.0.1:51004/cb2", "http://[::1]:51004/cb", "http://localhost:51004/cb", "http://127.0.0.1.example.test/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:x@example.test/cb", "https://127.0.0.1:51004/cb"} {
		if p := native.w.browser().get(native.url("redirect_uri", bad)); p.status != 400 || p.out != "" {
			t.Errorf("a native program at %s: %d %s", bad, p.status, p.out)
		}
	}
}

// prompt and max_age are obeyed, by people who are signed in and people who are not.
//
// breaks: auth.best-practice
func TestPrompts(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	_, ben := w.customer("ben")
	a := w.register(op.NewClient{})
	b := w.browser()
	if p := b.get(a.url("prompt", "none")); p.query().Get("error") != "login_required" || p.query().Get("state") != "xyz" {
		t.Errorf("none, nobody there: %s %s", p.out, p.body)
	}
	first := a.redeem(a.code(b, email))
	if p := b.get(a.url("prompt", "none", "id_token_hint", first.field("id_token"))); p.query().Get("code") == "" {
		t.Errorf("none, signed in: %s %s", p.out, p.body)
	}
	w.kit.Clock.Advance(10 * time.Second)
	if p := b.get(a.url("prompt", "none", "max_age", "9")); p.query().Get("error") != "login_required" {
		t.Errorf("none, too old: %s", p.out)
	}
	if p := b.get(a.url("prompt", "none", "max_age", "10")); p.query().Get("code") == "" {
		t.Errorf("none, just young enough: %s", p.out)
	}
	for _, over := range [][]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "0"}, {"max_age", "1"}} {
		w.kit.Clock.Advance(5 * time.Second)
		p := b.get(a.url(over...))
		if !strings.HasPrefix(p.path, "/-/sign-in") {
			t.Fatalf("%v: led to %s %s", over, p.path, p.out)
		}
		on, err := url.Parse(p.path)
		if err != nil {
			t.Fatal(err)
		}
		if again := b.get(on.Query().Get("to")); again.out != "" && over[1] == "login" {
			t.Errorf("%v: the way back is open without a sign-in: %s", over, again.out)
		}
		p = b.press(p, "email", email, "password", good)
		it := a.redeem(p.query().Get("code"))
		if it.status != 200 || claim(t, it.field("id_token"), "auth_time") != float64(w.kit.Clock.Now().Unix()) {
			t.Errorf("%v: %d %s", over, it.status, it.body)
		}
	}
	// Somebody else signs in where the client wanted this person.
	other := w.browser()
	other.signIn("/-/account", ben)
	p := other.get(a.url("id_token_hint", first.field("id_token")))
	if p.query().Get("error") != "login_required" {
		t.Errorf("another person: %s %s", p.out, p.body)
	}
	// A level that the session does not have leads to where it is raised, or back.
	to := func(_ actor.Actor, acr int, back string) (string, bool) {
		if acr != 2 || !strings.HasPrefix(back, "/-/oidc/authorize?flow=") {
			t.Errorf("raise to %d, back at %s", acr, back)
		}
		return "/-/account", true
	}
	w.raise.Store(&to)
	if p := b.get(a.url("acr_values", "2")); p.path != "/-/account" {
		t.Errorf("step-up led to %s %s", p.path, p.out)
	}
	if p := b.get(a.url("acr_values", "2", "prompt", "none")); p.query().Get("error") != "unmet_authentication_requirements" {
		t.Errorf("step-up in silence: %s", p.out)
	}
}

// Pushed requests need the client's proof, work once, for 90 seconds, and alone.
//
// breaks: auth.best-practice
func TestPushedRequests(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	other := w.register(op.NewClient{Name: "Other"})
	must := true
	strict := w.register(op.NewClient{Name: "Strict", RequirePAR: &must})
	public := w.register(op.NewClient{Name: "Native", Kind: op.Public, Redirects: []string{"http://127.0.0.1/cb"}})
	b := w.browser()
	b.signIn("/-/account", email)
	at := func(x app, ref string, more ...string) page {
		v := url.Values{"client_id": {x.client.ID}, "request_uri": {ref}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return b.get("/-/oidc/authorize?" + v.Encode())
	}
	for _, x := range []app{a, strict, public} {
		got := x.post("par", x.params())
		if got.status != 201 || got.field("expires_in") != "90" {
			t.Fatalf("push: %d %s", got.status, got.body)
		}
		ref := got.field("request_uri")
		if p := at(other, ref); p.status != 400 || p.out != "" {
			t.Errorf("another client: %d %s", p.status, p.out)
		}
		p := at(x, ref)
		if q := p.query(); q.Get("code") == "" || q.Get("state") != "xyz" || q.Get("iss") != w.base {
			t.Fatalf("pushed: %d %s %s", p.status, p.out, p.body)
		}
		if got := x.redeem(p.query().Get("code")); got.status != 200 {
			t.Errorf("code of a pushed request: %s", got.body)
		}
		if p := at(x, ref); p.status != 400 || p.out != "" {
			t.Errorf("a second time: %d %s", p.status, p.out)
		}
	}
	ref := a.post("par", a.params()).field("request_uri")
	if p := at(a, ref, "redirect_uri", callback); p.status != 400 {
		t.Errorf("with more beside: %d %s", p.status, p.out)
	}
	w.kit.Clock.Advance(90 * time.Second)
	if p := at(a, ref); p.status != 400 {
		t.Errorf("after 90 s: %d %s", p.status, p.out)
	}
	if p := b.get(strict.url()); p.query().Get("error") != "invalid_request" {
		t.Errorf("not pushed: %s %s", p.out, p.body)
	}
	for name, v := range map[string]url.Values{
		"redirect": a.params("redirect_uri", callback+"x"), "PKCE": a.params("code_challenge_method", "plain"), "reference": a.params("request_uri", "urn:x"),
		"object": a.params("request", "e30.e30."), "type": a.params("response_type", "token"),
	} {
		if got := a.post("par", v); got.status != 400 || got.field("error") == "" || got.field("request_uri") != "" {
			t.Errorf("pushed a bad %s: %d %s", name, got.status, got.body)
		}
	}
	got := 0
	for range 61 {
		got = public.post("par", public.params()).status
	}
	if got != 429 {
		t.Errorf("the 61st request that anybody may push: %d", got)
	}
	thief := a
	thief.secret = "writ_ocs_" + strings.Repeat("x", 43)
	if got := thief.post("par", a.params()); got.status != 401 || got.field("error") != "invalid_client" {
		t.Errorf("a wrong secret: %d %s", got.status, got.body)
	}
}

// A third party is allowed by the person, once for each scope, and never behind their back.
//
// breaks: auth.best-practice
func testConsent(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	_, ben := w.customer("ben")
	a := w.register(op.NewClient{Trust: op.ThirdParty, Name: "Stranger's plums"})
	b := w.browser()
	p := b.signIn(a.url("scope", "openid"), email)
	if !strings.Contains(p.body, "Stranger&#39;s plums") || !strings.Contains(p.body, "127.0.0.1:4443") || strings.Contains(p.body, "e-mail address") {
		t.Fatalf("the question: %s", p.body)
	}
	foreign := w.browser()
	foreign.signIn("/-/account", ben)
	if got := foreign.press(p, "answer", "allow"); got.status != 400 || got.out != "" {
		t.Errorf("somebody else answered: %d %s", got.status, got.out)
	}
	if got := b.get(a.url("scope", "openid", "prompt", "none")); got.query().Get("error") != "consent_required" {
		t.Errorf("in silence: %s", got.out)
	}
	if got := b.press(p, "answer", "refuse"); got.query().Get("error") != "access_denied" || got.query().Get("state") != "xyz" || got.query().Get("iss") != w.base {
		t.Errorf("refused: %s", got.out)
	}
	if got := b.press(p, "answer", "allow"); got.query().Get("code") == "" {
		t.Errorf("allowed: %s %s", got.out, got.body)
	}
	if got := b.get(a.url("scope", "openid")); got.query().Get("code") == "" {
		t.Errorf("asked again for the same: %s", got.body)
	}
	if got := b.get(a.url("scope", "openid email")); !strings.Contains(got.body, "e-mail address") {
		t.Errorf("not asked for more: %s", got.out)
	}
	if got := b.press(b.get(a.url("scope", "openid", "prompt", "consent")), "answer", "allow"); got.query().Get("code") == "" {
		t.Errorf("prompt=consent: %s %s", got.out, got.body)
	}
	late := b.get(a.url("scope", "openid email"))
	w.kit.Clock.Advance(11 * time.Minute)
	if got := b.press(late, "answer", "allow"); got.status != 400 {
		t.Errorf("an answer after 11 minutes: %d %s", got.status, got.out)
	}
	if w.recorded("identity.consent-given") != 2 || w.recorded("identity.consent-refused") != 1 {
		t.Errorf("recorded: %d given, %d refused", w.recorded("identity.consent-given"), w.recorded("identity.consent-refused"))
	}
}

// A form of another site may bring a request; it may not bring an answer, and the page
// between keeps our own forms from leading out.
func TestOtherSites(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	b := w.browser()
	b.signIn("/-/account", email)
	cross := func(path string, v url.Values) answer {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.base+path, strings.NewReader(v.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://evil.example.test")
		return w.do(r)
	}
	got := cross("/-/oidc/authorize", a.params())
	if got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/-/oidc/authorize?") {
		t.Fatalf("a posted request: %d %s", got.status, got.body)
	}
	if p := b.get(got.header.Get("Location")); p.query().Get("code") == "" {
		t.Errorf("and where it leads: %s %s", p.out, p.body)
	}
	for _, path := range []string{"/-/oidc/consent", "/-/oidc/token", "/-/oidc/par", "/-/oidc/revoke", "/-/oidc/introspect", "/-/account/applications"} {
		if got := cross(path, a.params()); got.status != 403 {
			t.Errorf("%s from another site: %d %s", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/-/oidc/jwks", "/-/oidc/userinfo", "/-/oidc/token"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			r, err := http.NewRequestWithContext(t.Context(), method, w.base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", "https://evil.example.test")
			for k := range w.do(r).header {
				if strings.HasPrefix(k, "Access-Control-") {
					t.Errorf("%s %s answers another origin with %s", method, path, k)
				}
			}
		}
	}
	if oauth2.S256ChallengeFromVerifier(proof) != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" { // RFC 7636 appendix B
		t.Error("the vector of RFC 7636 does not hold")
	}
}
