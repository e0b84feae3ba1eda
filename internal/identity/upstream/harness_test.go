package upstream_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"html"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/identity/upstream"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/passhash"
	"writ/internal/policy/document"
	"writ/internal/policy/policytest"
	"writ/internal/policy/template"
	"writ/internal/secret"
	"writ/internal/web"
)

var list = sync.OnceValue(func() *banned.List {
	l, err := banned.New(banned.Options{})
	if err != nil {
		panic(err)
	}
	return l
})

var shipped = sync.OnceValue(func() clause.Values {
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		panic(fmt.Sprint(ps))
	}
	return p.Values()
})

var signer = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

const good = "plum carousel vestige 71"

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

// elsewhere is a provider of another company, whose answers a test bends.
type elsewhere struct {
	t     testing.TB
	srv   *httptest.Server
	now   func() time.Time
	mu    sync.Mutex
	codes map[string]url.Values // of the request

	claims func(map[string]any)               // bends the id token
	sign   func(claims map[string]any) string // instead of RS256 with the published key
	answer func(url.Values)                   // bends the callback
	iss    bool                               // promises iss
	info   map[string]any
	asked  atomic.Int64 // for the document
	again  bool         // takes a code more than once
	doc    func(map[string]any)
	jwks   func() any
}

func newElsewhere(t testing.TB, now func() time.Time) *elsewhere {
	e := &elsewhere{t: t, now: now, codes: map[string]url.Values{}, iss: true}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		e.asked.Add(1)
		d := map[string]any{"issuer": e.srv.URL, "authorization_endpoint": e.srv.URL + "/auth", "token_endpoint": e.srv.URL + "/token", "jwks_uri": e.srv.URL + "/jwks",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}, "authorization_response_iss_parameter_supported": e.iss}
		if e.doc != nil {
			e.doc(d)
		}
		_ = json.NewEncoder(w).Encode(d)
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		var v any = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signer().Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}}
		if e.jwks != nil {
			v = e.jwks()
		}
		_ = json.NewEncoder(w).Encode(v)
	})
	mux.HandleFunc("POST /token", e.token)
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(e.info) })
	e.srv = httptest.NewTLSServer(mux)
	t.Cleanup(e.srv.Close)
	return e
}

// authorize is the provider's page: it answers as if ana were signed in there.
func (e *elsewhere) authorize(to string) string {
	e.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		e.t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("response_type") != "code" {
		e.t.Fatalf("the request to the provider: %v", q)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	code := fmt.Sprint("code-", len(e.codes))
	e.codes[code] = q
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	if e.iss {
		back.Set("iss", e.srv.URL)
	}
	if e.answer != nil {
		e.answer(back)
	}
	return q.Get("redirect_uri") + "?" + back.Encode()
}

func (e *elsewhere) token(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	q := e.codes[r.FormValue("code")]
	if !e.again {
		delete(e.codes, r.FormValue("code"))
	}
	e.mu.Unlock()
	id, key, _ := r.BasicAuth()
	if id != "writ" || key != "s3cret" || q == nil || q.Get("redirect_uri") != r.FormValue("redirect_uri") || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != q.Get("code_challenge") {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	now := e.now().Unix()
	c := map[string]any{"iss": e.srv.URL, "sub": "ana-there", "aud": "writ", "exp": now + 300, "iat": now, "nonce": q.Get("nonce"), "email": "ana@example.test", "email_verified": true, "hd": "example.test"}
	if e.claims != nil {
		e.claims(c)
	}
	raw := ""
	if e.sign != nil {
		raw = e.sign(c)
	} else {
		raw = sign(e.t, jose.RS256, jose.JSONWebKey{Key: signer(), KeyID: "k1"}, c)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": raw})
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	b, _ := json.Marshal(claims)
	j, err := s.Sign(b)
	if err != nil {
		t.Error(err)
		return ""
	}
	out, err := j.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return out
}

// unsigned is a token of alg none, and hmac one of HS256 under the bytes of the public key.
func unsigned(c map[string]any) string {
	b, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(b) + "."
}

func hmacOfPublic(t testing.TB) func(map[string]any) string {
	der, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(signer().Public()))
	if err != nil {
		t.Fatal(err)
	}
	return func(c map[string]any) string {
		return sign(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), c)
	}
}

type world struct {
	t      testing.TB
	kit    *ledgertest.Kit
	people *identity.Service
	up     *upstream.Service
	srv    *httptest.Server
	base   string
	pool   *x509.CertPool
}

// open makes a server with providers; fill may change their settings.
func open(t testing.TB, fill func(p *upstream.Provider), es ...*elsewhere) *world {
	t.Helper()
	return with(t, ledgertest.Open(t, jobs.Schema(), identity.Schema()), fill, es...)
}

func with(t testing.TB, kit *ledgertest.Kit, fill func(p *upstream.Provider), es ...*elsewhere) *world {
	t.Helper()
	w := &world{t: t, kit: kit, pool: x509.NewCertPool(), srv: httptest.NewUnstartedServer(nil)}
	w.base = "https://" + w.srv.Listener.Addr().String()
	log := slog.New(slog.DiscardHandler)
	rules := clause.NewLive[identity.Rules](kit.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: maps.Clone(shipped())}}); err != nil {
		t.Fatal(err)
	}
	j := jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: kit.Clock.Now, Log: log})
	mailer, err := mail.New(mail.Deps{Queue: j, URL: "file://" + t.TempDir(), From: "writ@example.test", Now: kit.Clock.Now, Log: log, Canary: func(mail.Message) {}})
	if err != nil {
		t.Fatal(err)
	}
	w.people, err = identity.New(identity.Deps{DB: kit.DB, Ring: kit.Ring, Mail: mailer, Jobs: j, Rules: rules, Banned: list(), Access: policytest.Access(kit.DB, kit.Clock.Now), Record: noRecord{},
		Company: func() string { return "Quorvex" }, Origin: w.base, Now: kit.Clock.Now, Log: log, Gate: passhash.NewGate(4, 64, 20*time.Second),
		Ways: func(to string) []web.Link { return w.up.Ways(to) },
		Seam: &identity.Seam{Params: func(p passhash.Params) passhash.Params { p.Memory = 8; return p }, Sleep: func(context.Context, time.Duration) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	d := upstream.Deps{DB: kit.DB, Ring: kit.Ring, People: w.people, Origin: w.base, Now: kit.Clock.Now, Log: log,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.pool}}, ReadFile: func(string) ([]byte, error) { return []byte("s3cret\n"), nil }}
	for i, e := range es {
		e.now = kit.Clock.Now
		w.pool.AddCert(e.srv.Certificate())
		p := upstream.Provider{Name: fmt.Sprint("dir", i), Title: fmt.Sprint("Directory ", i), Issuer: e.srv.URL, ClientID: "writ", SecretFile: "f", Private: []string{"127.0.0.0/8"}, Domains: []string{"example.test"}}
		if fill != nil {
			fill(&p)
		}
		d.Providers = append(d.Providers, p)
	}
	if w.up, err = upstream.New(d); err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: log, Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Mount(append(append(w.people.Routes(), w.people.Pages()...), w.up.Routes()...)...); err != nil {
		t.Fatal(err)
	}
	if err := w.people.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.srv.Config.Handler = site.Handler(w.people)
	w.srv.StartTLS()
	t.Cleanup(w.srv.Close)
	w.pool.AddCert(w.srv.Certificate())
	return w
}

func (w *world) customer(name string) string { return w.customerAt(name, "example.test") }

func (w *world) customerAt(name, domain string) string {
	w.t.Helper()
	c, err := w.people.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: name + "@" + domain, Name: name, Password: secret.NewText(good)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

type page struct {
	status     int
	path, body string
	away       string // an address that is not ours
}

type browser struct {
	w *world
	c *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.pool}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

var refreshTo = regexp.MustCompile(`<meta http-equiv="refresh" content="[0-9]+;url=([^"]*)">`)

func (b *browser) do(method, to string, form url.Values) page {
	b.w.t.Helper()
	for range 8 {
		if strings.HasPrefix(to, "/") {
			to = b.w.base + to
		}
		if !strings.HasPrefix(to, b.w.base+"/") {
			return page{away: to}
		}
		r, err := http.NewRequestWithContext(b.w.t.Context(), method, to, strings.NewReader(form.Encode()))
		if err != nil {
			b.w.t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		if method == "POST" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := b.c.Do(r)
		if err != nil {
			b.w.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			b.w.t.Fatal(err)
		}
		if l := res.Header.Get("Location"); l != "" {
			method, to, form = "GET", l, nil
			continue
		}
		if m := refreshTo.FindSubmatch(text); m != nil {
			method, to, form = "GET", html.UnescapeString(string(m[1])), nil
			continue
		}
		u, _ := url.Parse(to)
		return page{status: res.StatusCode, path: u.RequestURI(), body: string(text)}
	}
	b.w.t.Fatal("the redirects do not end")
	return page{}
}

func (b *browser) get(to string) page { return b.do("GET", to, nil) }

func (b *browser) signIn(name string) {
	b.w.t.Helper()
	if p := b.do("POST", "/-/sign-in", url.Values{"email": {name + "@example.test"}, "password": {good}, "to": {"/-/account"}}); p.status != 200 {
		b.w.t.Fatalf("%d %s", p.status, p.body)
	}
}

// lend gives another browser the cookie of a sign-in on its way.
func (b *browser) lend(to *browser) {
	b.w.t.Helper()
	u, err := url.Parse(b.w.base)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, c := range b.c.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "writ-upstream") {
			to.c.Jar.SetCookies(u, []*http.Cookie{c})
			return
		}
	}
	b.w.t.Fatal("no sign-in is on its way")
}

// refusals are the causes on record, in their order.
func (w *world) refusals() (causes []string) {
	for _, r := range w.kit.Recorded("identity.upstream-refused") {
		causes = append(causes, fmt.Sprint(r.Fields["cause"]))
	}
	return causes
}

// through goes to a provider and comes back.
func (b *browser) through(e *elsewhere, name string) page {
	b.w.t.Helper()
	p := b.get("/-/upstream/" + name + "?to=/-/account")
	if !strings.HasPrefix(p.away, e.srv.URL+"/auth?") {
		b.w.t.Fatalf("the button leads to %q: %d %s", p.away, p.status, p.body)
	}
	return b.get(e.authorize(p.away))
}

func (b *browser) here() bool { return b.get("/-/account").path == "/-/account" }

var discard = slog.New(slog.DiscardHandler)

func jsonNumber(n int) json.Number { return json.Number(fmt.Sprint(n)) }

// noRecord is a journal that nobody here looks into.
type noRecord struct{}

func (noRecord) List(context.Context, journal.Query) ([]journal.Entry, error) { return nil, nil }

func (noRecord) Open(context.Context, actor.Actor, ...*journal.Entry) error { return nil }
