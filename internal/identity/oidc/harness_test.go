package oidc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	op "writ/internal/identity/oidc"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
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

const good = "plum carousel vestige 71"

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

// world is identity and the provider behind a real TLS listener.
type world struct {
	t      testing.TB
	kit    *ledgertest.Kit
	people *identity.Service
	op     *op.Service
	jobs   *jobs.Jobs
	srv    *httptest.Server
	base   string
	pool   *x509.CertPool
	door   *canary.Door
	front  atomic.Pointer[func(http.Handler) http.Handler] // a broken server: stands before the real one
	raise  atomic.Pointer[func(who actor.Actor, acr int, back string) (string, bool)]
}

func open(t testing.TB) *world {
	t.Helper()
	return with(t, ledgertest.Open(t, jobs.Schema(), identity.Schema()))
}

func with(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	w := &world{t: t, kit: kit, pool: x509.NewCertPool()}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("OIDC_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	rules := clause.NewLive[identity.Rules](kit.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: maps.Clone(shipped())}}); err != nil {
		t.Fatal(err)
	}
	w.jobs = jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: kit.Clock.Now, Log: log})
	w.srv = httptest.NewUnstartedServer(nil)
	w.base = "https://" + w.srv.Listener.Addr().String()
	mailer, err := mail.New(mail.Deps{Queue: w.jobs, URL: "file://" + t.TempDir(), From: "writ@example.test", Now: kit.Clock.Now, Log: log, Canary: func(mail.Message) {}})
	if err != nil {
		t.Fatal(err)
	}
	acc := policytest.Access(kit.DB, kit.Clock.Now)
	w.people, err = identity.New(identity.Deps{DB: kit.DB, Ring: kit.Ring, Mail: mailer, Jobs: w.jobs, Rules: rules, Banned: list(), Access: acc, Record: noRecord{},
		Company: func() string { return "Quorvex" }, Origin: w.base, Now: kit.Clock.Now, Log: log, Gate: passhash.NewGate(4, 64, 20*time.Second),
		Seam: &identity.Seam{Params: func(p passhash.Params) passhash.Params { p.Memory = 8; return p },
			Sleep: func(context.Context, time.Duration) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	w.op, err = op.New(op.Deps{DB: kit.DB, Ring: kit.Ring, People: w.people, Jobs: w.jobs, Access: acc, Origin: w.base, Now: kit.Clock.Now, Log: log, Plant: w.people.Plant,
		Out: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.pool}},
		Raise: func(_ context.Context, who actor.Actor, acr int, back string) (string, bool) {
			if f := w.raise.Load(); f != nil {
				return (*f)(who, acr, back)
			}
			return "", false
		}})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: log, Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Mount(append(append(w.people.Routes(), w.people.Pages()...), w.op.Routes()...)...); err != nil {
		t.Fatal(err)
	}
	if err := w.people.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	real := site.Handler(w.people)
	w.srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f := w.front.Load(); f != nil {
			(*f)(real).ServeHTTP(rw, r)
			return
		}
		real.ServeHTTP(rw, r)
	})
	w.srv.StartTLS()
	w.pool.AddCert(w.srv.Certificate())
	w.door = canary.New(canary.Deps{Base: w.base, Addr: w.srv.Listener.Addr().String(), Roots: w.pool})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- w.jobs.Run(ctx) }()
	go func() { done <- w.op.Run(ctx) }()
	t.Cleanup(func() {
		w.srv.Close()
		stop()
		<-done
		<-done
	})
	return w
}

func (w *world) customer(name string) (id, email string) {
	w.t.Helper()
	email = name + "@example.test"
	c, err := w.people.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: email, Name: strings.ToUpper(name), Password: secret.NewText(good)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID, email
}

// app is a registered client as its own program sees it.
type app struct {
	w        *world
	client   op.Client
	secret   string
	redirect string
}

const callback = "https://127.0.0.1:4443/callback"

func (w *world) register(in op.NewClient) app {
	w.t.Helper()
	if in.Name == "" {
		in.Name = "Ledger of plums"
	}
	if in.Trust == "" {
		in.Trust = op.FirstParty
	}
	if len(in.Redirects) == 0 {
		in.Redirects = []string{callback}
	}
	made, err := w.op.Register(w.t.Context(), operator, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return app{w: w, client: made.Client, secret: made.Secret.Reveal(), redirect: in.Redirects[0]}
}

func (w *world) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.pool}}
}

// plain is a program's client: no cookies, no redirects.
func (w *world) plain() *http.Client {
	return &http.Client{Transport: w.transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *world) ctx() context.Context {
	return oidc.ClientContext(w.t.Context(), &http.Client{Transport: w.transport()})
}

// config is the client as x/oauth2 and go-oidc make it from the discovery document.
func (a app) config() (*oauth2.Config, *oidc.IDTokenVerifier) {
	a.w.t.Helper()
	p, err := oidc.NewProvider(a.w.ctx(), a.w.base)
	if err != nil {
		a.w.t.Fatal(err)
	}
	e := p.Endpoint()
	e.AuthStyle = oauth2.AuthStyleInHeader
	if a.secret == "" {
		e.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: a.client.ID, ClientSecret: a.secret, Endpoint: e, RedirectURL: a.redirect, Scopes: a.client.Scopes},
		p.Verifier(&oidc.Config{ClientID: a.client.ID, Now: a.w.kit.Clock.Now, SupportedSigningAlgs: []string{"RS256", "ES256"}})
}

const proof = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // a verifier

func (a app) params(over ...string) url.Values {
	v := url.Values{"client_id": {a.client.ID}, "redirect_uri": {a.redirect}, "response_type": {"code"}, "scope": {"openid profile email"},
		"state": {"xyz"}, "nonce": {"n-0S6"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(proof)}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(over); i += 2 {
		if over[i+1] == "-" {
			v.Del(over[i])
		} else {
			v.Set(over[i], over[i+1])
		}
	}
	return v
}

func (a app) url(over ...string) string {
	return a.w.base + "/-/oidc/authorize?" + a.params(over...).Encode()
}

// answer is what an endpoint said.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) field(name string) string {
	var m map[string]any
	if json.Unmarshal([]byte(a.body), &m) != nil || m[name] == nil {
		return ""
	}
	return fmt.Sprint(m[name])
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	res, err := w.plain().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// call posts a form to an endpoint with the client's credentials.
func (a app) call(endpoint string, kv ...string) answer {
	a.w.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return a.post(endpoint, v)
}

func (a app) post(endpoint string, v url.Values) answer {
	a.w.t.Helper()
	if a.secret == "" {
		v.Set("client_id", a.client.ID)
	}
	r, err := http.NewRequestWithContext(a.w.t.Context(), "POST", a.w.base+"/-/oidc/"+endpoint, strings.NewReader(v.Encode()))
	if err != nil {
		a.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.secret != "" {
		r.SetBasicAuth(url.QueryEscape(a.client.ID), url.QueryEscape(a.secret))
	}
	return a.w.do(r)
}

func (a app) redeem(code string) answer {
	a.w.t.Helper()
	return a.call("token", "grant_type", "authorization_code", "code", code, "redirect_uri", a.redirect, "code_verifier", proof)
}

func (a app) refresh(token string) answer {
	a.w.t.Helper()
	return a.call("token", "grant_type", "refresh_token", "refresh_token", token)
}

func (w *world) userinfo(token string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", w.base+"/-/oidc/userinfo", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.do(r)
}

// browser keeps cookies, follows redirects and the pages that lead on.
type browser struct {
	w *world
	c *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar, Transport: w.transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is where a browser ended: a page of ours, or an address of a client.
type page struct {
	answer
	path string // of ours, with query
	out  string // the client's address that it was led to
}

func (p page) query() url.Values {
	u, err := url.Parse(p.out)
	if err != nil {
		return nil
	}
	return u.Query()
}

var refreshTo = regexp.MustCompile(`<meta http-equiv="refresh" content="[0-9]+;url=([^"]*)">`)

func (b *browser) get(to string) page { return b.send("GET", to, nil) }

func (b *browser) send(method, to string, form url.Values) page {
	b.w.t.Helper()
	for range 12 {
		if strings.HasPrefix(to, "/") {
			to = b.w.base + to
		}
		if !strings.HasPrefix(to, b.w.base+"/") {
			return page{out: to}
		}
		var body io.Reader
		if method == "POST" {
			body = bytes.NewReader([]byte(form.Encode()))
		}
		r, err := http.NewRequestWithContext(b.w.t.Context(), method, to, body)
		if err != nil {
			b.w.t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
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
			method, to = "GET", l
			continue
		}
		if m := refreshTo.FindSubmatch(text); m != nil && !bytes.Contains(text, []byte("<iframe")) {
			method, to = "GET", html.UnescapeString(string(m[1]))
			continue
		}
		u, _ := url.Parse(to)
		return page{answer: answer{res.StatusCode, res.Header, string(text)}, path: u.RequestURI()}
	}
	b.w.t.Fatal("the redirects do not end")
	return page{}
}

var (
	action = regexp.MustCompile(`<form class="form" action="([^"]*)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// press sends the page's form with its hidden fields and some more.
func (b *browser) press(p page, kv ...string) page {
	b.w.t.Helper()
	m := action.FindStringSubmatch(p.body)
	if m == nil {
		b.w.t.Fatalf("no form in %s: %d %s", p.path, p.status, p.body)
	}
	v := url.Values{}
	for _, h := range hidden.FindAllStringSubmatch(p.body, -1) {
		v.Set(h[1], html.UnescapeString(h[2]))
	}
	for i := 0; i+1 < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return b.send("POST", html.UnescapeString(m[1]), v)
}

// signIn goes to an address, signs in on the way, and returns where that led.
func (b *browser) signIn(to, email string) page {
	b.w.t.Helper()
	p := b.get(to)
	if !strings.HasPrefix(p.path, "/-/sign-in") {
		b.w.t.Fatalf("%s led to %s%s, not to the sign-in page: %s", to, p.path, p.out, p.body)
	}
	return b.press(p, "email", email, "password", good)
}

// code signs in at the app and returns the code.
func (a app) code(b *browser, email string, over ...string) string {
	a.w.t.Helper()
	p := b.get(a.url(over...))
	if strings.HasPrefix(p.path, "/-/sign-in") {
		p = b.press(p, "email", email, "password", good)
	}
	c := p.query().Get("code")
	if c == "" {
		a.w.t.Fatalf("no code: %s %s %s", p.path, p.out, p.body)
	}
	return c
}

// recorded says how often an event was recorded.
func (w *world) recorded(name string) int { return len(w.kit.Recorded(name)) }

func (w *world) one(query string, args ...any) string {
	w.t.Helper()
	var s string
	if err := ledger.One(w.t.Context(), w.kit.DB, query, []any{&s}, args...); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// holds looks for a text in every column of a table, as whoever stole it would.
func (w *world) holds(table, text string) bool {
	w.t.Helper()
	var columns []string
	if err := w.kit.DB.Each(w.t.Context(), `SELECT name FROM pragma_table_info('`+table+`')`, func(scan ledger.Scan) error {
		var c string
		err := scan(&c)
		columns = append(columns, c)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range columns {
		var n int64
		if err := ledger.One(w.t.Context(), w.kit.DB, `SELECT COUNT(*) FROM `+table+` WHERE instr(CAST(`+c+` AS TEXT), $1) > 0`, []any{&n}, text); err != nil {
			w.t.Fatal(err)
		}
		if n > 0 {
			return true
		}
	}
	return false
}

// noRecord is a journal that nobody here looks into.
type noRecord struct{}

func (noRecord) List(context.Context, journal.Query) ([]journal.Entry, error) { return nil, nil }

func (noRecord) Open(context.Context, actor.Actor, ...*journal.Entry) error { return nil }
