package upstream_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"writ/internal/identity"
	"writ/internal/identity/upstream"
	"writ/internal/nodetest"
)

const nodeProvider = "oidc-provider@9.13.3"

// company is npm's oidc-provider, a certified provider, behind a front of ours that ends TLS and
// bends what a test wants bent: the embedded claims, sign and answer. Everything else is
// the provider's own.
type company struct {
	*elsewhere
	key  atomic.Pointer[jose.JSONWebKey] // the front signs with it again what it bent
	node atomic.Pointer[url.URL]
	keys atomic.Pointer[url.URL] // who answers for the keys
}

func newCompany(t testing.TB) *company {
	t.Helper()
	c := &company{elsewhere: &elsewhere{t: t}}
	front := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to := c.node.Load()
			if r.In.URL.Path == "/jwks" {
				to = c.keys.Load()
			}
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ModifyResponse: c.bend,
	}
	c.srv = httptest.NewTLSServer(front)
	t.Cleanup(c.srv.Close)
	return c
}

// run starts the provider with a key. It knows one client: ours.
func (c *company) run(callback string, key jose.JSONWebKey) *url.URL {
	c.t.Helper()
	text, err := os.ReadFile("testdata/provider.mjs")
	if err != nil {
		c.t.Fatal(err)
	}
	settings, err := json.Marshal(map[string]any{"issuer": c.srv.URL, "callback": callback, "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}}})
	if err != nil {
		c.t.Fatal(err)
	}
	node, script := nodetest.Script(c.t, nodeProvider, "provider.mjs", string(text))
	port := nodetest.Start(c.t, nil, node, script, string(settings)).Hear()
	return &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
}

func (c *company) start(callback string) {
	c.t.Helper()
	key := jose.JSONWebKey{Key: signer(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}
	at := c.run(callback, key)
	c.key.Store(&key)
	c.node.Store(at)
	c.keys.Store(at)
}

// bend changes the id token on its way from the provider to us.
func (c *company) bend(res *http.Response) error {
	if res.Request.URL.Path != "/token" || res.StatusCode != http.StatusOK || c.claims == nil && c.sign == nil {
		return nil
	}
	var all map[string]any
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return err
	}
	raw, _ := all["id_token"].(string)
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(raw+"..", ".")[1])
	if err != nil {
		return err
	}
	var claims map[string]any
	if err := json.Unmarshal(b, &claims); err != nil {
		return err
	}
	if c.claims != nil {
		c.claims(claims)
	}
	if c.sign != nil {
		all["id_token"] = c.sign(claims)
	} else {
		all["id_token"] = sign(c.t, jose.RS256, *c.key.Load(), claims)
	}
	out, err := json.Marshal(all)
	if err != nil {
		return err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(out)), int64(len(out))
	res.Header.Del("Content-Length")
	return nil
}

// visitor is a browser at the provider; it keeps its session there.
type visitor struct {
	c     *company
	web   *http.Client
	asked int // how often it was asked for a name
}

func (c *company) visitor() *visitor {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return &visitor{c: c, web: &http.Client{Jar: jar, Transport: c.srv.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

var theirForm = regexp.MustCompile(`<form autocomplete="off" action="([^"]*)" method="post">\s*<input type="hidden" name="prompt" value="([a-z]+)"/>`)

// authorize goes through the provider's pages under a name, and returns where it leads
// the browser at last.
func (v *visitor) authorize(to, name string) string {
	v.c.t.Helper()
	form := url.Values(nil)
	for range 12 {
		if strings.HasPrefix(to, "/") {
			to = v.c.srv.URL + to
		}
		if !strings.HasPrefix(to, v.c.srv.URL+"/") {
			u, err := url.Parse(to)
			if err != nil {
				v.c.t.Fatal(err)
			}
			q := u.Query()
			if v.c.answer != nil {
				v.c.answer(q)
			}
			u.RawQuery = q.Encode()
			return u.String()
		}
		method := "GET"
		if form != nil {
			method = "POST"
		}
		r, err := http.NewRequestWithContext(v.c.t.Context(), method, to, strings.NewReader(form.Encode()))
		if err != nil {
			v.c.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := v.web.Do(r)
		if err != nil {
			v.c.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			v.c.t.Fatal(err)
		}
		if l := res.Header.Get("Location"); l != "" {
			to, form = l, nil
			continue
		}
		m := theirForm.FindSubmatch(text)
		if m == nil {
			v.c.t.Fatalf("the provider shows no form: %d %s", res.StatusCode, text)
		}
		to, form = html.UnescapeString(string(m[1])), url.Values{"prompt": {string(m[2])}}
		if string(m[2]) == "login" {
			v.asked++
			form.Set("login", name)
			form.Set("password", "any")
		}
	}
	v.c.t.Fatal("the provider's pages do not end")
	return ""
}

// atCompany is a server of ours whose dir0 is the company's provider, on the machine's time,
// which the provider has.
func atCompany(t *testing.T, fill func(*upstream.Provider), more ...*elsewhere) (*world, *company) {
	t.Helper()
	c := newCompany(t)
	w := open(t, fill, append([]*elsewhere{c.elsewhere}, more...)...)
	w.kit.Clock.Set(time.Now().UTC().Truncate(time.Microsecond))
	c.start(w.base + "/-/upstream/dir0/callback")
	return w, c
}

// from goes to the provider's pages under a name, and comes back.
func (b *browser) from(v *visitor, name string) page {
	b.w.t.Helper()
	p := b.get("/-/upstream/dir0?to=/-/account")
	if !strings.HasPrefix(p.away, v.c.srv.URL+"/auth?") {
		b.w.t.Fatalf("the button leads to %q: %d %s", p.away, p.status, p.body)
	}
	return b.get(v.authorize(p.away, name))
}

// A certified provider of another company signs somebody in; what it says of a second
// factor counts where it is trusted; and where more is needed, the next step is ours.
//
// breaks: auth.best-practice
func TestCompanySignsIn(t *testing.T) {
	w, c := atCompany(t, func(p *upstream.Provider) { p.HD, p.TrustAMR = "example.test", []string{"mfa"} })
	w.customer("ana")
	b := w.browser()
	if p := b.from(c.visitor(), "ana"); p.status != 200 || p.path != "/-/account" || !strings.Contains(p.body, "ana@example.test") {
		t.Fatalf("%d %s %s", p.status, p.path, p.body)
	}
	w.customer("cora")
	if p := w.browser().from(c.visitor(), "cora/strong"); p.path != "/-/account" {
		t.Errorf("with a factor there: %d %s", p.status, p.path)
	}
	if _, err := w.people.AddStaff(t.Context(), operator, identity.AddStaff{Email: "sam@example.test", Name: "Sam", Roles: []string{"engineer"}}); err != nil {
		t.Fatal(err)
	}
	if p := w.browser().from(c.visitor(), "sam"); !strings.HasPrefix(p.path, "/-/account/factors") {
		t.Errorf("staff with one factor are led to %s", p.path)
	}
	if p := w.browser().from(c.visitor(), "nobody"); p.status != 401 {
		t.Errorf("somebody without an account here: %d %s", p.status, p.path)
	}
	var acr []string
	for _, r := range w.kit.Recorded("identity.signed-in") {
		acr = append(acr, string(r.Fields["acr"].(json.Number)))
	}
	if strings.Join(acr, " ") != "1 2 1" {
		t.Errorf("levels %v", acr)
	}
}

// The same provider with a fault: each is refused for its own cause, and without the
// fault the same person comes in.
//
// breaks: auth.best-practice, auth.compare
func TestCompanyFaultsRefused(t *testing.T) {
	w, c := atCompany(t, func(p *upstream.Provider) { p.HD = "example.test" })
	w.customer("ana")
	w.customer("ben") // whom nothing links before the provider has checked his address
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(k, v string) func() {
		return func() { c.claims = func(m map[string]any) { m[k] = v } }
	}
	for _, f := range []struct {
		name, person, cause string
		bend                func()
	}{
		{"wrong iss", "ana", "id-token", set("iss", "https://evil.example.test")},
		{"wrong aud", "ana", "id-token", set("aud", "somebody")},
		{"wrong nonce", "ana", "nonce", set("nonce", "another")},
		{"alg none", "ana", "id-token", func() { c.sign = unsigned }},
		{"HS256 with the public key", "ana", "id-token", func() { c.sign = hmacOfPublic(t) }},
		{"a key nobody published", "ana", "id-token", func() {
			c.sign = func(m map[string]any) string {
				return sign(t, jose.RS256, jose.JSONWebKey{Key: stranger, KeyID: "k2"}, m)
			}
		}},
		{"missing hd", "ana/nodomain", "hd", func() {}},
		{"an unverified address", "ben/unverified", "not-linked", func() {}},
		{"mix-up: iss of another", "ana", "iss", func() { c.answer = func(v url.Values) { v.Set("iss", "https://evil.example.test") } }},
		{"mix-up: iss left out", "ana", "iss", func() { c.answer = func(v url.Values) { v.Del("iss") } }},
	} {
		t.Run(f.name, func(t *testing.T) {
			c.claims, c.sign, c.answer = nil, nil, nil
			f.bend()
			b, before := w.browser(), len(w.kit.Recorded("identity.upstream-refused"))
			if p := b.from(c.visitor(), f.person); p.status != 401 || b.here() {
				t.Errorf("%d %s %s", p.status, p.path, p.body)
			}
			refused := w.kit.Recorded("identity.upstream-refused")[before:]
			if len(refused) != 1 || refused[0].Fields["cause"] != f.cause {
				t.Errorf("recorded %+v, want %s", refused, f.cause)
			}
			c.claims, c.sign, c.answer = nil, nil, nil
			name, _, _ := strings.Cut(f.person, "/")
			if p := b.from(c.visitor(), name); p.status != 200 || !b.here() {
				t.Errorf("without the fault: %d %s", p.status, p.body)
			}
		})
	}
}

// An answer counts once, whoever brings it again, and only where it was asked for: an
// answer of the honest provider that a dishonest one asked for is worth nothing.
//
// breaks: auth.best-practice
func TestCompanyAnswersAreBound(t *testing.T) {
	evil := newElsewhere(t, nil)
	w, c := atCompany(t, nil, evil)
	w.customer("ana")
	v, b := c.visitor(), w.browser()
	p := b.get("/-/upstream/dir0?to=/-/account")
	back := v.authorize(p.away, "ana")
	u, err := url.Parse(w.base)
	if err != nil {
		t.Fatal(err)
	}
	kept := b.c.Jar.Cookies(u)
	if got := b.get(back); got.status != 200 || got.path != "/-/account" {
		t.Fatalf("the first time: %d %s", got.status, got.path)
	}
	again := w.browser()
	again.c.Jar.SetCookies(u, kept)
	if got := again.get(back); got.status != 401 || again.here() {
		t.Errorf("a replayed state: %d", got.status)
	}
	// Mix-up: ana begins at the dishonest provider, which leads her on to the honest one with
	// our client id there.
	victim := w.browser()
	p = victim.get("/-/upstream/dir1?to=/-/account")
	asked, err := url.Parse(p.away)
	if err != nil {
		t.Fatal(err)
	}
	q := asked.Query()
	q.Set("redirect_uri", w.base+"/-/upstream/dir0/callback") // the one that the honest provider knows
	back = v.authorize(c.srv.URL+"/auth?"+q.Encode(), "ana")
	for name, to := range map[string]string{"where it leads": back, "where she began": strings.Replace(back, "/dir0/", "/dir1/", 1)} {
		if got := victim.get(to); got.status != 401 || victim.here() {
			t.Errorf("mix-up, %s: %d %s", name, got.status, got.path)
		}
	}
}

// The provider changes its key: its new tokens are taken once the new key is published, and
// the key that it took back opens nothing any more.
//
// breaks: auth.best-practice
func TestCompanyRotatesItsKey(t *testing.T) {
	w, c := atCompany(t, nil)
	w.customer("ana")
	if p := w.browser().from(c.visitor(), "ana"); p.status != 200 {
		t.Fatalf("before: %d %s", p.status, p.body)
	}
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	fresh := c.run(w.base+"/-/upstream/dir0/callback", jose.JSONWebKey{Key: next, KeyID: "k2", Algorithm: "RS256", Use: "sig"})
	c.node.Store(fresh) // the old keys are still what is published
	if p := w.browser().from(c.visitor(), "ana"); p.status != 401 {
		t.Errorf("a key that is not published: %d %s", p.status, p.path)
	}
	c.keys.Store(fresh)
	if p := w.browser().from(c.visitor(), "ana"); p.status != 200 || p.path != "/-/account" {
		t.Errorf("after it was published: %d %s", p.status, p.body)
	}
	c.claims = func(map[string]any) {} // signed again with the old key
	if p := w.browser().from(c.visitor(), "ana"); p.status != 401 {
		t.Errorf("the key that was taken back: %d %s", p.status, p.path)
	}
}

// Whoever is signed in here and goes to the provider once more is asked there anew, though
// they are signed in there too: or else a lent browser would prove who sits before it. A
// provider that only remembers them proves nothing.
//
// breaks: auth.best-practice
func TestCompanyAsksAgain(t *testing.T) {
	w, c := atCompany(t, nil)
	w.customer("ana")
	v, b := c.visitor(), w.browser()
	if p := b.from(v, "ana"); p.status != 200 || v.asked != 1 {
		t.Fatalf("%d, asked %d times", p.status, v.asked)
	}
	if p := w.browser().from(v, "ana"); p.status != 200 || v.asked != 1 {
		t.Fatalf("in another browser of hers: %d, asked %d times", p.status, v.asked)
	}
	to, err := url.Parse(b.get("/-/upstream/dir0").away) // some providers know the one word, some the other
	if err != nil || to.Query().Get("prompt") != "login" || to.Query().Get("max_age") != "0" {
		t.Errorf("%v, asked for %s", err, to.RawQuery)
	}
	if p := b.from(v, "ana"); p.status != 200 || v.asked != 2 {
		t.Errorf("once more: %d, asked %d times", p.status, v.asked)
	}
	c.claims = func(m map[string]any) { m["auth_time"] = time.Now().Add(-time.Hour).Unix() }
	if p := b.from(v, "ana"); p.status != 401 {
		t.Errorf("remembered, not asked: %d %s", p.status, p.path)
	}
	if r := w.kit.Recorded("identity.upstream-refused"); len(r) != 1 || r[0].Fields["cause"] != "stale" {
		t.Errorf("recorded %+v", r)
	}
}
