package upstream_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/identity/upstream"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// A verified address in a set domain links by itself; after that (iss, sub) is the key,
// whatever the address becomes.
func TestSignInElsewhere(t *testing.T) {
	e := newElsewhere(t, nil)
	w := open(t, nil, e)
	w.customer("ana")
	w.customer("ben")
	b := w.browser()
	if p := b.get("/-/sign-in?to=/-/account"); !strings.Contains(p.body, "Sign in with Directory 0") || !strings.Contains(p.body, "/-/upstream/dir0?to=%2F-%2Faccount") {
		t.Fatalf("no button: %s", p.body)
	}
	if p := b.through(e, "dir0"); p.status != 200 || p.path != "/-/account" || !strings.Contains(p.body, "ana@example.test") {
		t.Fatalf("%d %s %s", p.status, p.path, p.body)
	}
	e.claims = func(c map[string]any) { c["email"] = "ben@example.test" }
	if p := w.browser().through(e, "dir0"); !strings.Contains(p.body, "ana@example.test") {
		t.Errorf("another address made another person: %s", p.body)
	}
	e.claims = func(c map[string]any) { c["sub"] = "somebody-else" } // with ana's address
	if p := w.browser().through(e, "dir0"); p.status != 401 {
		t.Errorf("another account took ana over by her address: %d %s", p.status, p.body)
	}
	rec := w.kit.Recorded("identity.signed-in")
	if len(rec) != 2 || rec[0].Fields["method"] != "upstream" {
		t.Errorf("recorded %+v", rec)
	}
	e.claims = nil
	if err := w.people.Disable(t.Context(), operator, "ana@example.test"); err != nil {
		t.Fatal(err)
	}
	if p := w.browser().through(e, "dir0"); p.status != 401 {
		t.Errorf("a disabled person: %d", p.status)
	}
}

// Ten faults of a provider, or of somebody who plays one, and some more: none leads in.
//
// breaks: auth.best-practice, auth.compare
func testFaultsRefused(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(k string, v any) func(*elsewhere) {
		return func(e *elsewhere) { e.claims = func(c map[string]any) { c[k] = v } }
	}
	for name, bend := range map[string]func(*elsewhere){
		"wrong iss":                 set("iss", "https://evil.example.test"),
		"wrong aud":                 set("aud", "somebody"),
		"wrong nonce":               set("nonce", "another"),
		"no nonce":                  func(e *elsewhere) { e.claims = func(c map[string]any) { delete(c, "nonce") } },
		"alg none":                  func(e *elsewhere) { e.sign = unsigned },
		"HS256 with the public key": func(e *elsewhere) { e.sign = hmacOfPublic(t) },
		"rotated key": func(e *elsewhere) {
			e.sign = func(c map[string]any) string { return sign(t, jose.RS256, jose.JSONWebKey{Key: other, KeyID: "k0"}, c) }
		},
		"another key of that name": func(e *elsewhere) {
			e.sign = func(c map[string]any) string { return sign(t, jose.RS256, jose.JSONWebKey{Key: other, KeyID: "k1"}, c) }
		},
		"missing hd":                  func(e *elsewhere) { e.claims = func(c map[string]any) { delete(c, "hd") } },
		"another hd":                  set("hd", "evil.example.test"),
		"an unverified address":       set("email_verified", false),
		"an address verified by word": set("email_verified", "true"),
		"an address elsewhere":        set("email", "ana@elsewhere.test"),
		"an address within another":   set("email", "ana@evil.test@example.test"),
		"an expired token":            set("exp", 1),
		"many audiences":              set("aud", []string{"writ", "somebody"}),
		"another party":               set("azp", "somebody"),
		"no subject":                  set("sub", ""),
		"mix-up: iss of another":      func(e *elsewhere) { e.answer = func(v url.Values) { v.Set("iss", "https://evil.example.test") } },
		"mix-up: iss left out":        func(e *elsewhere) { e.answer = func(v url.Values) { v.Del("iss") } },
		"another state":               func(e *elsewhere) { e.answer = func(v url.Values) { v.Set("state", strings.Repeat("x", 43)) } },
		"no state":                    func(e *elsewhere) { e.answer = func(v url.Values) { v.Del("state") } },
		"a made-up code":              func(e *elsewhere) { e.answer = func(v url.Values) { v.Set("code", "x") } },
		"an error":                    func(e *elsewhere) { e.answer = func(v url.Values) { v.Set("error", "access_denied") } },
	} {
		t.Run(name, func(t *testing.T) {
			e := newElsewhere(t, nil)
			w := open(t, func(p *upstream.Provider) { p.HD = "example.test" }, e)
			w.customer("ana")
			w.customerAt("ana", "elsewhere.test")
			bend(e)
			b := w.browser()
			if p := b.through(e, "dir0"); p.status != 401 || b.here() {
				t.Errorf("%d %s %s", p.status, p.path, p.body)
			}
			if len(w.kit.Recorded("identity.upstream-refused")) != 1 {
				t.Error("not recorded")
			}
			e.claims, e.sign, e.answer = nil, nil, nil // the control case
			if p := b.through(e, "dir0"); p.status != 200 || !b.here() {
				t.Errorf("without the fault: %d %s", p.status, p.body)
			}
		})
	}
}

// An answer counts once, in the browser that asked, at the provider that was asked,
// within ten minutes.
//
// breaks: auth.best-practice
func TestAnswersAreBound(t *testing.T) {
	one, two := newElsewhere(t, nil), newElsewhere(t, nil)
	one.iss, two.iss, one.again = false, false, true // neither guards what is ours to guard
	w := open(t, nil, one, two)
	w.customer("ana")
	b := w.browser()
	p := b.get("/-/upstream/dir0")
	back := one.authorize(p.away)
	if got := w.browser().get(back); got.status != 401 {
		t.Errorf("in another browser: %d", got.status)
	}
	if got := b.get(strings.Replace(back, "/dir0/", "/dir1/", 1)); got.status != 401 || b.here() {
		t.Errorf("at another provider: %d", got.status)
	}
	thief := w.browser()
	p = thief.get("/-/upstream/dir0")
	back = one.authorize(p.away)
	again := w.browser()
	thief.lend(again) // before it is cleared
	if got := thief.get(back); got.path != "/" && got.status != 404 {
		t.Fatalf("the first time: %d %s", got.status, got.path)
	}
	if got := again.get(back); got.status != 401 || again.here() {
		t.Errorf("a replayed state: %d", got.status)
	}
	late := w.browser()
	p = late.get("/-/upstream/dir0")
	w.kit.Clock.Advance(10*time.Minute + time.Second)
	if got := late.get(one.authorize(p.away)); got.status != 401 {
		t.Errorf("after ten minutes: %d", got.status)
	}
	if got := w.browser().get("/-/upstream/unheard"); got.status != 404 {
		t.Errorf("an unknown provider: %d", got.status)
	}
	if got, want := fmt.Sprint(w.refusals()), "[no-flow other-provider replayed late]"; got != want {
		t.Errorf("refused for %s, want %s", got, want)
	}
	led := w.browser()
	p = led.get("/-/upstream/dir0?to=https://evil.example.test")
	if got := led.get(one.authorize(p.away)); got.away != "" || got.path != "/" {
		t.Errorf("an open redirect: %s%s", got.away, got.path)
	}
}

// A link needs the person's own session, and an account elsewhere is one person's.
//
// breaks: auth.unique-credentials
func TestLinks(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { linkStory(t, kit) }, jobs.Schema(), identity.Schema())
}

func linkStory(t *testing.T, kit *ledgertest.Kit) {
	t.Helper()
	e := newElsewhere(t, nil)
	w := with(t, kit, func(p *upstream.Provider) { p.Domains = nil }, e)
	w.customer("ana")
	w.customer("ben")
	if p := w.browser().through(e, "dir0"); p.status != 401 {
		t.Fatalf("nobody linked it: %d", p.status)
	}
	act := func(b *browser, do string) page {
		return b.do("POST", "/-/account/sign-in", url.Values{"provider": {"dir0"}, "act": {do}})
	}
	ana := w.browser()
	ana.signIn("ana")
	p := act(ana, "link")
	back := e.authorize(p.away)
	ben := w.browser()
	ben.signIn("ben")
	ana.lend(ben)
	if got := ben.get(back); got.status != 401 || fmt.Sprint(w.refusals()) != "[not-linked other-session]" {
		t.Errorf("somebody else took ana's answer: %d, refused for %v", got.status, w.refusals())
	}
	p = act(ana, "link")
	if got := ana.get(e.authorize(p.away)); got.status != 200 || !strings.Contains(got.body, "You can now sign in with Directory 0.") || !strings.Contains(got.body, "Take back") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var copied identity.OwnData
	var anas string
	if err := ledger.One(t.Context(), kit.DB, `SELECT person FROM identity_upstream_link`, []any{&anas}); err != nil {
		t.Fatal(err)
	}
	if err := w.up.Own(t.Context(), anas, &copied); err != nil || len(copied.Elsewhere) != 1 || copied.Elsewhere[0].Provider != "Directory 0" || copied.Elsewhere[0].How != "session" || copied.Elsewhere[0].Linked.IsZero() {
		t.Errorf("the copy has %+v %v", copied.Elsewhere, err)
	}
	if got := w.browser().through(e, "dir0"); !strings.Contains(got.body, "ana@example.test") {
		t.Errorf("the link does not work: %d %s", got.status, got.body)
	}
	p = act(ben, "link")
	if got := ben.get(e.authorize(p.away)); got.status != 409 {
		t.Errorf("ben linked ana's account: %d %s", got.status, got.body)
	}
	e.claims = func(c map[string]any) { c["sub"] = "ana-again" }
	p = act(ana, "link")
	if got := ana.get(e.authorize(p.away)); got.status != 409 {
		t.Errorf("two accounts of one provider: %d", got.status)
	}
	e.claims = nil
	w.kit.Clock.Advance(16 * time.Minute)
	if got := act(ana, "unlink"); !strings.HasPrefix(got.path, "/-/sign-in") {
		t.Errorf("after 16 minutes nobody asks who it is: %s", got.path)
	}
	ana.signIn("ana")
	if got := act(ana, "unlink"); !strings.Contains(got.body, "no longer signs you in") {
		t.Errorf("unlink: %d %s", got.status, got.body)
	}
	if got := w.browser().through(e, "dir0"); got.status != 401 {
		t.Errorf("after it was taken back: %d", got.status)
	}
}

// A second factor elsewhere counts only where it is trusted by name, and for owners never.
//
// breaks: access.mfa-by-technology
func TestTrustedFactors(t *testing.T) {
	for name, c := range map[string]struct {
		trust, amr, roles []string
		want              int
	}{
		"not trusted":      {nil, []string{"mfa"}, nil, 1},
		"trusted":          {[]string{"mfa"}, []string{"pwd", "mfa"}, nil, 2},
		"not shown":        {[]string{"mfa"}, []string{"pwd"}, nil, 1},
		"trusted engineer": {[]string{"mfa"}, []string{"mfa"}, []string{"engineer"}, 2},
		"trusted owner":    {[]string{"mfa"}, []string{"mfa"}, []string{"owner", "engineer"}, 1},
	} {
		e := newElsewhere(t, nil)
		w := open(t, func(p *upstream.Provider) { p.TrustAMR = c.trust }, e)
		e.claims = func(m map[string]any) { m["amr"] = c.amr }
		if c.roles == nil {
			w.customer("ana")
		} else {
			made, err := w.people.AddStaff(t.Context(), operator, identity.AddStaff{Email: "ana@example.test", Name: "Ana", Roles: c.roles})
			if err != nil {
				t.Fatal(err)
			}
			_ = made
		}
		b := w.browser()
		p := b.through(e, "dir0")
		if enrol := strings.HasPrefix(p.path, "/-/account/factors"); enrol != (c.roles != nil && c.want < 2) { // staff must have two
			t.Errorf("%s: led to %s", name, p.path)
		}
		rec := w.kit.Recorded("identity.signed-in")
		if len(rec) != 1 || rec[0].Fields["acr"] != jsonNumber(c.want) {
			t.Errorf("%s: %+v, want acr %d", name, rec, c.want)
		}
	}
}

// Whom the provider only remembers comes in, and has not shown now who they are: an act
// that takes a fresh proof asks for one.
//
// breaks: auth.best-practice
func TestRememberedIsNotFresh(t *testing.T) {
	for name, c := range map[string]struct {
		at   time.Duration // before now
		says int
	}{
		"asked now":     {0, http.StatusOK},
		"remembered":    {time.Hour, http.StatusForbidden},
		"in the future": {-time.Hour, http.StatusOK},
	} {
		e := newElsewhere(t, nil)
		w := open(t, nil, e)
		e.claims = func(m map[string]any) { m["auth_time"] = w.kit.Clock.Now().Add(-c.at).Unix() }
		w.customer("ana")
		b := w.browser()
		if b.through(e, "dir0"); !b.here() {
			t.Fatalf("%s: not signed in", name)
		}
		if p := b.do("DELETE", "/-/api/v1/sessions", nil); p.status != c.says {
			t.Errorf("%s: %d %s", name, p.status, p.body)
		}
	}
	e := newElsewhere(t, nil)
	w := open(t, nil, e)
	w.customer("ana")
	b := w.browser()
	b.through(e, "dir0")
	if b.through(e, "dir0"); !b.here() {
		t.Fatal("not signed in")
	}
	if p := b.do("DELETE", "/-/api/v1/sessions", nil); p.status != http.StatusForbidden {
		t.Errorf("once more, and the provider does not say when: %d %s", p.status, p.body)
	}
}

// An address that the id token leaves out is asked for, and must be the same person's.
//
// breaks: auth.best-practice
func TestAddressAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		info map[string]any
		want int
	}{
		"theirs":           {map[string]any{"sub": "ana-there", "email": "ana@example.test", "email_verified": true}, 200},
		"of another":       {map[string]any{"sub": "ben-there", "email": "ana@example.test", "email_verified": true}, 401},
		"not verified":     {map[string]any{"sub": "ana-there", "email": "ana@example.test"}, 401},
		"verified by word": {map[string]any{"sub": "ana-there", "email": "ana@example.test", "email_verified": "true"}, 401},
	} {
		e := newElsewhere(t, nil)
		e.doc = func(d map[string]any) { d["userinfo_endpoint"] = e.srv.URL + "/info" }
		e.claims = func(m map[string]any) { delete(m, "email"); delete(m, "email_verified") }
		e.info = c.info
		w := open(t, nil, e)
		w.customer("ana")
		if p := w.browser().through(e, "dir0"); p.status != c.want {
			t.Errorf("%s: %d %s", name, p.status, p.body)
		}
	}
}

// What is read from a provider is bounded, and comes from where the settings say.
//
// breaks: auth.best-practice
func TestFetchLimits(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(*upstream.Provider)
		bend func(*elsewhere)
	}{
		"a private address":        {func(p *upstream.Provider) { p.Private = nil }, func(*elsewhere) {}},
		"a huge document":          {nil, func(e *elsewhere) { e.doc = func(d map[string]any) { d["x"] = strings.Repeat("x", 2<<20) } }},
		"another issuer":           {nil, func(e *elsewhere) { e.doc = func(d map[string]any) { d["issuer"] = "https://evil.example.test" } }},
		"a slash more":             {nil, func(e *elsewhere) { e.doc = func(d map[string]any) { d["issuer"] = e.srv.URL + "/" } }},
		"a token address in clear": {nil, func(e *elsewhere) { e.doc = func(d map[string]any) { d["token_endpoint"] = "http://127.0.0.1:1/" } }},
	} {
		e := newElsewhere(t, nil)
		w := open(t, c.fill, e)
		c.bend(e)
		asked := e.asked.Load()
		for range 5 {
			if p := w.browser().get("/-/upstream/dir0"); p.status != 503 || p.away != "" {
				t.Errorf("%s: %d, led to %s", name, p.status, p.away)
			}
		}
		if n := e.asked.Load() - asked; n > 1 {
			t.Errorf("%s: asked %d times in a row", name, n)
		}
	}
	e := newElsewhere(t, nil)
	w := open(t, nil, e)
	w.customer("ana")
	e.jwks = func() any { return map[string]any{"keys": []any{}, "x": strings.Repeat("x", 2<<20)} }
	if p := w.browser().through(e, "dir0"); p.status != 401 {
		t.Errorf("huge keys: %d", p.status)
	}
	clear := httptest.NewServer(e.srv.Config.Handler)
	defer clear.Close()
	e.jwks, e.doc = nil, func(d map[string]any) { d["jwks_uri"] = clear.URL + "/jwks" }
	bare := open(t, nil, e)
	bare.customer("ana")
	if p := bare.browser().through(e, "dir0"); p.status != 401 {
		t.Errorf("keys in clear: %d", p.status)
	}
	moved := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, e.srv.URL+r.URL.Path, 302) }))
	defer moved.Close()
	w.pool.AddCert(moved.Certificate())
	m := &elsewhere{t: t, srv: moved}
	e.doc = func(d map[string]any) { d["issuer"] = moved.URL }
	w2 := open(t, nil, m)
	if p := w2.browser().get("/-/upstream/dir0"); p.status != 503 {
		t.Errorf("a redirect was followed: %d %s", p.status, p.away)
	}
}

// Settings that cannot be right keep the server from starting.
func TestSettingsRefused(t *testing.T) {
	e := newElsewhere(t, nil)
	w := open(t, nil, e)
	right := upstream.Provider{Name: "dir", Issuer: "https://id.example.test", ClientID: "writ", SecretFile: "f"}
	read := func(string) ([]byte, error) { return []byte("s"), nil }
	for name, bend := range map[string]func(*upstream.Provider){
		"clear": func(p *upstream.Provider) { p.Issuer = "http://id.example.test" }, "name": func(p *upstream.Provider) { p.Name = "../x" }, "no client": func(p *upstream.Provider) { p.ClientID = "" },
		"no file": func(p *upstream.Provider) { p.SecretFile = "" }, "domain": func(p *upstream.Provider) { p.Domains = []string{"*.example.test"} }, "network": func(p *upstream.Provider) { p.Private = []string{"10.0.0.1"} },
	} {
		p := right
		bend(&p)
		if _, err := upstream.New(upstream.Deps{DB: w.kit.DB, Ring: w.kit.Ring, People: w.people, Origin: w.base, Now: w.kit.Clock.Now, Log: discard, ReadFile: read, Providers: []upstream.Provider{p}}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := upstream.New(upstream.Deps{DB: w.kit.DB, Ring: w.kit.Ring, People: w.people, Origin: w.base, Now: w.kit.Clock.Now, Log: discard, ReadFile: read, Providers: []upstream.Provider{right, right}}); err == nil {
		t.Error("two of one name were taken")
	}
	if err := w.up.Unlink(t.Context(), actor.Actor{Kind: actor.Operator}, "dir0"); err == nil {
		t.Error("the operator unlinked")
	}
}
