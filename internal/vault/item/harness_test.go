package item_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/item"
	"writ/internal/web"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	tables   = []ledger.Schema{journal.Schema(), jobs.Schema(), vault.Schema()}
)

// staff are the people of a team who may sign in.
type staff struct {
	mu sync.Mutex
	m  []item.Member
}

func (s *staff) Roster(context.Context, string) ([]item.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.m), nil
}

func (s *staff) Find(ctx context.Context, _, ref string) (item.Member, error) {
	all, _ := s.Roster(ctx, "")
	for _, m := range all {
		if m.ID == ref || m.Handle == ref || m.Handle+"@example.test" == ref {
			return m, nil
		}
	}
	return item.Member{}, fault.New(fault.NotFound, "no_person", fault.Public{Problem: "Nobody."})
}

func (s *staff) Name(_ context.Context, id string) string { return "Name of " + id }

func (s *staff) Email(_ context.Context, id string) string { return id + "@example.test" }

// back puts somebody on the roster again.
func (s *staff) back(m item.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m = append(s.m, m)
}

// leaves takes somebody off the roster.
func (s *staff) leaves(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m = slices.DeleteFunc(s.m, func(m item.Member) bool { return m.ID == id })
}

// world is a company's vault behind a real TLS listener.
type world struct {
	t      testing.TB
	kit    *ledgertest.Kit
	access *access.Access
	vault  *vault.Service
	svc    *item.Service
	staff  *staff
	min    int
	queue  *jobs.Jobs
	mail   string // folder of letters
	srv    *httptest.Server
	door   *canary.Door
	front  func(http.Handler) http.Handler
}

func open(t testing.TB) *world { return with(t, ledgertest.Open(t, tables...)) }

// with has the owners ana and ben, the engineers dev and eve, support suna, the auditor fay.
func with(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	w := &world{t: t, kit: kit, min: 2, staff: &staff{}}
	for _, p := range []struct{ id, role string }{{"ana", "owner"}, {"ben", "owner"}, {"dev", "engineer"}, {"eve", "engineer"}, {"suna", "support"}, {"fay", "auditor"}} {
		w.staff.m = append(w.staff.m, item.Member{ID: p.id, Name: p.id, Handle: p.id, Roles: []string{p.role}})
	}
	now, log := kit.Clock.Now, slog.New(slog.DiscardHandler)
	w.access = policytest.Access(kit.DB, now)
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	vrules, rules := clause.NewLive[vault.Rules](now), clause.NewLive[item.Rules](now)
	for _, s := range []clause.Slot{vrules, rules} {
		fail(s.Set([]clause.Period{{Values: policytest.Values()}}))
	}
	var err error
	w.vault, err = vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: w.access, Owners: nobodys{}, Rules: vrules, Now: now, Log: log})
	fail(err)
	w.srv = httptest.NewUnstartedServer(nil)
	base := "https://" + w.srv.Listener.Addr().String()
	w.queue, w.mail = jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: now, Log: log}), t.TempDir()
	post, err := mail.New(mail.Deps{Queue: w.queue, URL: "file://" + w.mail, From: "writ@example.test", Now: now, Log: log})
	fail(err)
	w.svc, err = item.New(item.Deps{DB: kit.DB, Keys: kit.Ring, Access: w.access, People: w.staff, Rules: rules, Sight: w.vault, Mail: post, MinHolders: func() int { return w.min },
		Banned: func(t secret.Text, _ ...string) bool { return t.Reveal() == "password1" }, Company: func() string { return "Quorvex" }, Origin: base, Now: now, Log: log})
	fail(err)
	w.vault.Things("item", w.svc.SeenName)
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: log, Now: now})
	fail(err)
	fail(site.Mount(w.svc.Routes()...))
	real := site.Handler(doorOf{w})
	w.srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.front != nil {
			w.front(real).ServeHTTP(rw, r)
			return
		}
		real.ServeHTTP(rw, r)
	})
	w.srv.StartTLS()
	t.Cleanup(w.srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(w.srv.Certificate())
	w.door = canary.New(canary.Deps{Base: base, Addr: w.srv.Listener.Addr().String(), Roots: pool})
	return w
}

type nobodys struct{}

func (nobodys) OwnerOf(context.Context, string) (actor.Actor, error) {
	return actor.Actor{}, fault.New(fault.Denied, "owner_gone", fault.Public{})
}

// doorOf lets in whoever the header names; only tests have such a door.
type doorOf struct{ w *world }

func (d doorOf) Identify(r *http.Request) (actor.Actor, error) {
	if name := r.Header.Get("Test-Who"); name != "" {
		return d.w.as(name), nil
	}
	return web.StrangerOf(r), nil
}

// as is somebody who is signed in and has shown a factor just now.
func (w *world) as(id string) actor.Actor {
	for _, m := range []struct{ id, role string }{{"ana", "owner"}, {"ben", "owner"}, {"dev", "engineer"}, {"eve", "engineer"}, {"suna", "support"}, {"fay", "auditor"}} {
		if m.id == id {
			return actor.Actor{Kind: actor.Person, ID: id, Team: "staff", TeamKind: "staff", Roles: []string{m.role}, Session: "s-" + id, ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
		}
	}
	w.t.Fatalf("nobody is called %q", id)
	return actor.Actor{}
}

const (
	thePassword = "correct horse plum 71"
	theSeed     = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	why         = "ticket 42 of the bank"
)

func text(s string) secret.Text { return secret.NewText(s) }

// login is a draft of one.
func login() item.Draft {
	return item.Draft{Kind: "login", Title: "Bank portal", Folder: "Finance", Vendor: "Elm Bank", Values: map[string]secret.Text{
		"url": text("https://portal.elmbank.example/login\nhttps://elmbank.example"), "username": text("treasury"), "password": text(thePassword), "totp": text(theSeed), "notes": text("call Ilse first")},
		Custom: []item.Custom{{Label: "PIN", Secret: true, Value: ptr(text("4711"))}, {Label: "Branch", Value: ptr(text("Harbour"))}}}
}

func ptr[T any](v T) *T { return &v }

// make is an item of somebody, which must work.
func (w *world) make(who string, d item.Draft, owners ...string) item.Item {
	w.t.Helper()
	i, err := w.svc.Create(w.t.Context(), w.as(who), item.NewItem{Draft: d, Owners: owners})
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// share is Share, which must work.
func (w *world) share(who, id, with string, l item.Level) {
	w.t.Helper()
	if _, err := w.svc.Share(w.t.Context(), w.as(who), id, with, l); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tend() {
	w.t.Helper()
	if err := w.svc.Tend(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// coded fails unless an error is a refusal of that code.
func coded(t testing.TB, err error, code string) {
	t.Helper()
	if got, _ := fault.PublicOf(err); err == nil || got != code {
		t.Errorf("got %q (%v), want %s", got, err, code)
	}
}

func good(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exec does what only an intruder in the database could do.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	good(w.t, w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}
