package glass_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/identity/glass"
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

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	stranger = actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24", Via: "https"}
	tables   = []ledger.Schema{jobs.Schema(), journal.Schema(), identity.Schema()}
)

// world is identity, break-glass and a journal behind a real TLS listener.
type world struct {
	t       testing.TB
	kit     *ledgertest.Kit
	people  *identity.Service
	svc     *glass.Service
	rules   *clause.Live[glass.Rules]
	journal *journal.Journal
	post    *post
	srv     *httptest.Server
	door    *canary.Door
	ids     map[string]string
	front   atomic.Pointer[func(http.Handler) http.Handler] // a broken server: stands before the real one
}

// post is the mailer, and what was sent by it.
type post struct {
	*mail.Mailer
	mu   sync.Mutex
	made map[string]mail.Message
	sent map[string]mail.Message
}

func (p *post) Prepare(ctx context.Context, m mail.Message) (jobs.Job, error) {
	j, err := p.Mailer.Prepare(ctx, m)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[j.ID()] = m
	return j, err
}

func (p *post) Enqueue(ctx context.Context, tx *ledger.Tx, j jobs.Job) error {
	p.mu.Lock()
	p.sent[j.ID()] = p.made[j.ID()]
	p.mu.Unlock()
	return p.Mailer.Enqueue(ctx, tx, j)
}

// to says who got letters of a kind, sorted.
func (p *post) to(kind string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []string{}
	for _, m := range p.sent {
		if m.Kind == kind {
			out = append(out, strings.TrimSuffix(m.To, "@example.test"))
		}
	}
	slices.Sort(out)
	return out
}

func open(t testing.TB) *world {
	t.Helper()
	return with(t, ledgertest.Open(t, tables...))
}

// with has the owners ana and ben, the engineers dev and eve, and the auditor fay.
func with(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	w := &world{t: t, kit: kit, ids: map[string]string{}, post: &post{made: map[string]mail.Message{}, sent: map[string]mail.Message{}}}
	log, now := slog.New(slog.DiscardHandler), kit.Clock.Now
	w.rules = clause.NewLive[glass.Rules](now)
	idrules := clause.NewLive[identity.Rules](now)
	for _, s := range []clause.Slot{w.rules, idrules} {
		if err := s.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
			t.Fatal(err)
		}
	}
	queue := jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: now, Log: log})
	w.srv = httptest.NewUnstartedServer(nil)
	base := "https://" + w.srv.Listener.Addr().String()
	acc := policytest.Access(kit.DB, now)
	var err error
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.post.Mailer, err = mail.New(mail.Deps{Queue: queue, URL: "file://" + t.TempDir(), From: "writ@example.test", Now: now, Log: log, Canary: func(mail.Message) {}})
	fail(err)
	w.journal, err = journal.New(journal.Deps{DB: kit.DB, Ring: kit.Ring, Access: acc, Origin: base, Now: now, Log: log, Revision: func() string { return "1" }})
	fail(err)
	w.people, err = identity.New(identity.Deps{DB: kit.DB, Ring: kit.Ring, Mail: w.post.Mailer, Jobs: queue, Rules: idrules, Banned: list(), Access: acc, Record: w.journal,
		Company: func() string { return "Quorvex" }, Origin: base, Now: now, Log: log, Gate: passhash.NewGate(4, 64, 20*time.Second),
		Seam: &identity.Seam{Params: func(p passhash.Params) passhash.Params { p.Memory = 8; return p }, Sleep: func(context.Context, time.Duration) error { return nil }}})
	fail(err)
	w.svc, err = glass.New(glass.Deps{DB: kit.DB, Ring: kit.Ring, People: w.people, Mail: w.post, Access: acc, Rules: w.rules, Record: w.journal,
		Company: func() string { return "Quorvex" }, Origin: base, Now: now, Log: log, Plant: w.people.PlantStaff})
	fail(err)
	w.people.SetEmergency(w.svc)
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: log, Now: now})
	fail(err)
	site.SetBanner(w.svc.Banner)
	fail(site.Mount(slices.Concat(w.people.Routes(), w.people.Pages(), w.svc.Routes())...))
	fail(w.people.Load(t.Context()))
	real := site.Handler(w.people)
	w.srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f := w.front.Load(); f != nil {
			(*f)(real).ServeHTTP(rw, r)
			return
		}
		real.ServeHTTP(rw, r)
	})
	w.srv.StartTLS()
	t.Cleanup(w.srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(w.srv.Certificate())
	w.door = canary.New(canary.Deps{Base: base, Addr: w.srv.Listener.Addr().String(), Roots: pool})
	for _, p := range []struct{ name, role string }{{"ana", "owner"}, {"ben", "owner"}, {"dev", "engineer"}, {"eve", "engineer"}, {"fay", "auditor"}} {
		a, err := w.people.AddStaff(t.Context(), operator, identity.AddStaff{Email: p.name + "@example.test", Name: p.name, Handle: p.name, Roles: []string{p.role}})
		fail(err)
		w.ids[p.name] = a.ID
	}
	return w
}

// as is somebody who is signed in and has shown a factor just now.
func (w *world) as(name, role string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: w.ids[name], Team: "staff", TeamKind: "staff", Roles: []string{role}, Session: "s-" + name, ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
}

func (w *world) ana() actor.Actor { return w.as("ana", "owner") }

// prepare makes a set of which need of the named are needed.
func (w *world) prepare(need int, holders ...string) glass.Set {
	w.t.Helper()
	x, err := w.svc.Prepare(w.t.Context(), w.ana(), glass.NewSet{Holders: holders, Need: need})
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// pickUp is the share of somebody, as text.
func (w *world) pickUp(name string) secret.Text {
	w.t.Helper()
	p, err := w.svc.PickUp(w.t.Context(), w.as(name, "engineer"))
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return p.Text
}

// live is a live set of 2 of ana, dev and eve, and their shares.
func (w *world) live() (shares map[string]secret.Text) {
	w.t.Helper()
	w.prepare(2, "ana", "dev", "eve")
	shares = map[string]secret.Text{}
	for _, name := range []string{"ana", "dev", "eve"} {
		shares[name] = w.pickUp(name)
	}
	return shares
}

// give is Give of a stranger, which must work.
func (w *world) give(in glass.Give) glass.Gathering {
	w.t.Helper()
	in.Network = stranger.ID
	g, err := w.svc.Give(w.t.Context(), stranger, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

const why = "the only owner lost phone and codes"

// broken is an opening with two shares.
func (w *world) broken(shares map[string]secret.Text) glass.Gathering {
	w.t.Helper()
	g := w.give(glass.Give{Share: shares["dev"], Reason: why})
	return w.give(glass.Give{Share: shares["eve"], Code: g.Code})
}

// in is a session.
func (w *world) in(shares map[string]secret.Text) glass.Entered {
	w.t.Helper()
	e, err := w.svc.Enter(w.t.Context(), stranger, w.broken(shares).Enter, stranger.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// one reads a number or text from the tables.
func (w *world) one(query string) string {
	w.t.Helper()
	var v string
	if err := ledger.One(w.t.Context(), w.kit.DB, query, []any{&v}); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// setRules changes what the policy says.
func (w *world) setRules(kv map[string]any) {
	w.t.Helper()
	v := policytest.Values()
	for k, x := range kv {
		v["access.least-privilege/"+k] = x
	}
	if err := w.rules.Set([]clause.Period{{Values: v}}); err != nil {
		w.t.Fatal(err)
	}
}

// tend does what the server does three times a minute.
func (w *world) tend() {
	w.t.Helper()
	if err := w.svc.Tend(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// browser is somebody's, with cookies of its own.
type browser struct {
	w *world
	*canary.Visitor
}

func (w *world) browser() browser {
	v := w.door.Visitor()
	w.t.Cleanup(v.Close)
	return browser{w, v}
}

// form posts one, or with none opens a page.
func (b browser) form(method, path string, f url.Values) canary.Answer {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, b.Base+path, strings.NewReader(f.Encode()))
	if err != nil {
		b.w.t.Fatal(err)
	}
	if f != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html")
	a, err := b.Send(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return a
}

var customer = identity.NewCustomer{Email: "cem@example.test", Name: "Cem", Password: secret.NewText("plum carousel vestige 71")}
