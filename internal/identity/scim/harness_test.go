package scim_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/identity/scim"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/passhash"
	"writ/internal/policy/policytest"
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

// world is identity and the door of directories behind a real TLS listener.
type world struct {
	t    testing.TB
	kit  *ledgertest.Kit
	svc  *identity.Service
	srv  *httptest.Server
	door *canary.Door
}

type noRecord struct{}

func (noRecord) List(context.Context, journal.Query) ([]journal.Entry, error) { return nil, nil }

func (noRecord) Open(context.Context, actor.Actor, ...*journal.Entry) error { return nil }

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

const good = "plum carousel vestige 71"

func cheap(p passhash.Params) passhash.Params {
	p.Memory = 8
	return p
}

func open(t testing.TB) *world {
	t.Helper()
	return with(t, ledgertest.Open(t, jobs.Schema(), identity.Schema()))
}

func with(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	w := &world{t: t, kit: kit}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("IDENTITY_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	rules := clause.NewLive[identity.Rules](kit.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		t.Fatal(err)
	}
	queue := jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: kit.Clock.Now, Log: log})
	w.srv = httptest.NewUnstartedServer(nil)
	base := "https://" + w.srv.Listener.Addr().String()
	mailer, err := mail.New(mail.Deps{Queue: queue, URL: "file://" + t.TempDir(), From: "writ@example.test", Now: kit.Clock.Now, Log: log,
		Canary: func(m mail.Message) { w.door.Take(m) }})
	if err != nil {
		t.Fatal(err)
	}
	w.svc, err = identity.New(identity.Deps{DB: kit.DB, Ring: kit.Ring, Mail: mailer, Jobs: queue, Rules: rules, Banned: list(), Access: policytest.Access(kit.DB, kit.Clock.Now),
		Record: noRecord{}, Company: func() string { return "Quorvex" }, Origin: base, Now: kit.Clock.Now, Log: log, Gate: passhash.NewGate(4, 64, 20*time.Second),
		Seam: &identity.Seam{Params: cheap, Sleep: func(context.Context, time.Duration) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := scim.New(scim.Deps{Directory: w.svc, Origin: base, Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: log, Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, routes := range [][]web.Route{w.svc.Routes(), w.svc.Pages(), dirs.Routes()} {
		if err := site.Mount(routes...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.svc.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.srv.Config.Handler = site.Handler(w.svc)
	w.srv.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(w.srv.Certificate())
	w.door = canary.New(canary.Deps{Base: base, Addr: w.srv.Listener.Addr().String(), Roots: pool})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- queue.Run(ctx) }()
	t.Cleanup(func() {
		w.srv.Close()
		stop()
		<-done
	})
	return w
}

func mailbox(name string) string { return name + "@example.canary.invalid" }

// customer makes a confirmed customer with a team of their own, its admin.
func (w *world) customer(name, team string) identity.MadeCustomer {
	w.t.Helper()
	role := identity.RoleAdmin
	if team != "" {
		role = identity.RoleMember
	}
	c, err := w.svc.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: mailbox(name), Name: strings.ToUpper(name), Password: secret.NewText(good), Team: team, Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// client is a directory with a token.
type client struct {
	w     *world
	token string
	conn  identity.Connection
}

func (w *world) connect(in identity.NewConnection) client {
	w.t.Helper()
	if in.Name == "" {
		in.Name = "directory"
	}
	c, t, err := w.svc.Connect(w.t.Context(), operator, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return client{w, t.Text.Reveal(), c}
}

// team makes a team with an admin, and connects its directory.
func (w *world) team(name string, more ...func(*identity.NewConnection)) (client, identity.MadeCustomer) {
	w.t.Helper()
	admin := w.customer(name, "")
	in := identity.NewConnection{Team: admin.Team, Roles: []string{"admin", "member"}, Domains: []string{name + ".canary.invalid"},
		Groups: []identity.GroupRole{{Group: "Writ Admins", Role: "admin"}}}
	for _, f := range more {
		f(&in)
	}
	return w.connect(in), admin
}

type reply struct {
	status int
	head   http.Header
	body   map[string]any
	raw    string
}

func (c client) do(method, path, body string, heads ...string) reply {
	c.w.t.Helper()
	req, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.srv.URL+scim.Base+path, strings.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for i := 0; i+1 < len(heads); i += 2 {
		req.Header.Set(heads[i], heads[i+1])
	}
	resp, err := c.w.srv.Client().Do(req)
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	r := reply{resp.StatusCode, resp.Header, nil, string(raw)}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := json.Unmarshal(raw, &r.body); err != nil {
			c.w.t.Fatalf("%s %s: %q: %v", method, path, raw, err)
		}
		if ct := resp.Header.Get("Content-Type"); ct != "application/scim+json" {
			c.w.t.Errorf("%s %s: media type %q", method, path, ct)
		}
	}
	return r
}

// want is do that must have the status.
func (c client) want(status int, method, path, body string, heads ...string) reply {
	c.w.t.Helper()
	r := c.do(method, path, body, heads...)
	if r.status != status {
		c.w.t.Fatalf("%s %s: %d %s, want %d", method, path, r.status, r.raw, status)
	}
	return r
}

// refuse is want for a refusal, with its scimType.
func (c client) refuse(status int, kind, method, path, body string, heads ...string) {
	c.w.t.Helper()
	r := c.want(status, method, path, body, heads...)
	if got, _ := r.body["scimType"].(string); got != kind || r.body["status"] != fmt.Sprint(status) || r.body["detail"] == "" {
		c.w.t.Errorf("%s %s: %s, want scimType %q", method, path, r.raw, kind)
	}
}

// user makes one and returns its id.
func (c client) user(name string) string {
	c.w.t.Helper()
	return c.want(201, "POST", "/Users", userBody(name, "")).body["id"].(string)
}

func userBody(address, more string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"emails":[{"value":%q,"type":"work","primary":true}],"active":true%s}`, address, address, more)
}

func patchBody(ops string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}`
}

// browser is a visitor with an address of its own.
func (w *world) browser() *canary.Visitor {
	v := w.door.Visitor()
	w.t.Cleanup(v.Close)
	return v
}

func (w *world) api(v *canary.Visitor, status int, method, path, body string) map[string]any {
	w.t.Helper()
	a, err := v.Do(w.t.Context(), method, "/-/api/v1/"+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if a.Status != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, status)
	}
	out := map[string]any{}
	if a.Body != "" {
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

func (w *world) signIn(email string) *canary.Visitor {
	w.t.Helper()
	v := w.browser()
	w.api(v, 200, "POST", "sign-in", fmt.Sprintf(`{"email":%q,"password":%q}`, email, good))
	return v
}

func (w *world) letter(to string) mail.Message {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer stop()
	m, err := w.door.Letter(ctx, to)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) one(query string, args ...any) string {
	w.t.Helper()
	var s string
	if err := ledger.One(w.t.Context(), w.kit.DB, query, []any{&s}, args...); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) roles(team, person string) string {
	w.t.Helper()
	return w.one(`SELECT roles FROM identity_member WHERE team = $1 AND person = $2`, team, person)
}
