package identity_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/identity/banned"
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

// list is loaded once: every test reads it, none changes it.
var list = sync.OnceValue(func() *banned.List {
	l, err := banned.New(banned.Options{})
	if err != nil {
		panic(err)
	}
	return l
})

// shipped are the values of the policy that ships with the server.
var shipped = sync.OnceValue(func() clause.Values {
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		panic(fmt.Sprint(ps))
	}
	return p.Values()
})

// cheap keeps scheme and salt and makes a hash take no time.
func cheap(p passhash.Params) passhash.Params {
	if p.Scheme == passhash.PBKDF2 {
		p.Iterations = 10
		return p
	}
	p.Memory = 8
	return p
}

// world is a whole service behind a real TLS listener.
type world struct {
	t      testing.TB
	kit    *ledgertest.Kit
	svc    *identity.Service
	rules  *clause.Live[identity.Rules]
	access *access.Access
	jobs   *jobs.Jobs
	srv    *httptest.Server
	door   *canary.Door
	front  atomic.Pointer[func(http.Handler) http.Handler] // a broken server: stands before the real one
	slept  atomic.Int64
	record
	mail string // folder
	halt func() // ends the queue's work: what is decided outside of requests waits

	passed map[string][]mail.Message // letters that letterOf took while it looked for another
}

// record stands for the journal: what a test says is in it.
type record struct{ entries []journal.Entry }

func (r *record) List(_ context.Context, q journal.Query) ([]journal.Entry, error) {
	var page []journal.Entry
	for _, e := range r.entries {
		if e.Subject == q.Subject && (q.Before == 0 || e.N < q.Before) && len(page) < q.Limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (r *record) Open(_ context.Context, _ actor.Actor, entries ...*journal.Entry) error {
	for _, e := range entries {
		for i, f := range e.Fields {
			if f.State == journal.Hidden {
				e.Fields[i] = journal.Field{Name: f.Name, State: journal.Shown, Value: "opened " + f.Name}
			}
		}
	}
	return nil
}

const good = "plum carousel vestige 71"

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

type option func(*identity.Deps)

func open(t testing.TB, opts ...option) *world {
	t.Helper()
	return with(t, ledgertest.Open(t, jobs.Schema(), identity.Schema()), opts...)
}

func with(t testing.TB, kit *ledgertest.Kit, opts ...option) *world {
	t.Helper()
	w := &world{t: t, kit: kit, mail: t.TempDir()}
	w.rules = clause.NewLive[identity.Rules](kit.Clock.Now)
	w.set(nil)
	w.access = policytest.Access(kit.DB, kit.Clock.Now)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("IDENTITY_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	w.jobs = jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: kit.Clock.Now, Log: log})
	w.srv = httptest.NewUnstartedServer(nil)
	base := "https://" + w.srv.Listener.Addr().String()
	mailer, err := mail.New(mail.Deps{Queue: w.jobs, URL: "file://" + w.mail, From: "writ@example.test", Now: kit.Clock.Now, Log: log,
		Canary: func(m mail.Message) { w.door.Take(m) }})
	if err != nil {
		t.Fatal(err)
	}
	d := identity.Deps{DB: kit.DB, Ring: kit.Ring, Mail: mailer, Jobs: w.jobs, Rules: w.rules, Banned: list(), Access: w.access, Record: &w.record,
		Company: func() string { return "Quorvex" }, Origin: base, Now: kit.Clock.Now, Log: log, Gate: passhash.NewGate(4, 64, 20*time.Second),
		Seam: &identity.Seam{Params: cheap, Sleep: func(_ context.Context, d time.Duration) error { w.slept.Store(int64(d)); return nil }}}
	for _, o := range opts {
		o(&d)
	}
	if w.svc, err = identity.New(d); err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: log, Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Mount(append(w.svc.Routes(), w.svc.Pages()...)...); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages := site.Handler(w.svc)
	real := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { // as the gate does before the application
		if who, err := w.svc.Identify(r); !site.Owns(r) && err == nil && !who.SignedIn() {
			switch {
			case who.Kind == actor.Enrolling:
				site.Fail(rw, r, web.Enrol(who))
				return
			case who.Kind == actor.Agreeing && r.URL.Path != "/": // which is public
				site.Fail(rw, r, web.TermsFirst)
				return
			case who.Kind == actor.Stranger && r.URL.Path != "/":
				site.Fail(rw, r, fault.New(fault.Unauthenticated, "sign_in_needed", fault.Public{Problem: "Sign in."}))
				return
			case who.Kind == actor.Support && !who.Writes && r.Method != http.MethodGet:
				site.Fail(rw, r, fault.New(fault.Denied, "support_read_only", fault.Public{Problem: "You look."}))
				return
			}
		}
		pages.ServeHTTP(rw, r)
	})
	w.srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f := w.front.Load(); f != nil {
			(*f)(real).ServeHTTP(rw, r)
			return
		}
		real.ServeHTTP(rw, r)
	})
	w.srv.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(w.srv.Certificate())
	w.door = canary.New(canary.Deps{Base: base, Addr: w.srv.Listener.Addr().String(), Roots: pool})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.jobs.Run(ctx) }()
	w.halt = sync.OnceFunc(func() {
		stop()
		<-done
	})
	t.Cleanup(func() {
		w.srv.Close()
		w.halt()
	})
	return w
}

// trySet puts rules in force, if they are taken: the shipped ones with changes.
func (w *world) trySet(over clause.Values) error {
	v := maps.Clone(shipped())
	maps.Copy(v, over)
	return w.rules.Set([]clause.Period{{Values: v}})
}

// set is trySet that must work.
func (w *world) set(over clause.Values) {
	w.t.Helper()
	if err := w.trySet(over); err != nil {
		w.t.Fatal(err)
	}
}

// break puts a broken server before the real one.
func (w *world) breakFront(f func(http.Handler) http.Handler) { w.front.Store(&f) }

// browser is a visitor with an address of its own.
type browser struct {
	*canary.Visitor
	w *world
}

func (w *world) browser() browser {
	v := w.door.Visitor()
	w.t.Cleanup(v.Close)
	return browser{v, w}
}

// api sends JSON and wants the status; it returns the decoded body.
func (b browser) api(status int, method, path string, body map[string]any) map[string]any {
	b.w.t.Helper()
	a := b.ask(method, path, body)
	if a.Status != status {
		b.w.t.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, status)
	}
	out := map[string]any{}
	if a.Body != "" {
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			b.w.t.Fatal(err)
		}
	}
	return out
}

func (b browser) ask(method, path string, body map[string]any) canary.Answer {
	b.w.t.Helper()
	text := ""
	if body != nil {
		j, err := json.Marshal(body)
		if err != nil {
			b.w.t.Fatal(err)
		}
		text = string(j)
	}
	a, err := b.Do(b.w.t.Context(), method, "/-/api/v1/"+path, text)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return a
}

var linkIn = regexp.MustCompile(`/-/(?:confirm|recover|invite|not-me|address)/([A-Za-z0-9_-]+)`)

func tokenOf(t testing.TB, s string) string {
	t.Helper()
	m := linkIn.FindStringSubmatch(s)
	if m == nil {
		t.Fatalf("no link in %q", s)
	}
	return m[1]
}

// letter waits for the next letter to an address. Letters of one moment come in any order.
func (w *world) letter(to string) mail.Message {
	w.t.Helper()
	if p := w.passed[to]; len(p) > 0 {
		w.passed[to] = p[1:]
		return p[0]
	}
	return w.fresh(to)
}

// letterOf waits for a letter of a kind; others stay for those who ask for them.
func (w *world) letterOf(to, kind string) (m mail.Message) {
	w.t.Helper()
	is := func(m mail.Message) bool { return m.Kind == "identity."+kind }
	if i := slices.IndexFunc(w.passed[to], is); i >= 0 {
		m = w.passed[to][i]
		w.passed[to] = slices.Delete(w.passed[to], i, i+1)
		return m
	}
	if w.passed == nil {
		w.passed = map[string][]mail.Message{}
	}
	for range 10 {
		if m = w.fresh(to); is(m) {
			return m
		}
		w.passed[to] = append(w.passed[to], m)
	}
	w.t.Fatalf("no letter %s to %s", kind, to)
	return m
}

// fresh waits for a letter that nobody took yet.
func (w *world) fresh(to string) mail.Message {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer stop()
	m, err := w.door.Letter(ctx, to)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// quiet fails when a letter comes within a moment in which the queue empties.
func (w *world) quiet(to string) {
	w.t.Helper()
	w.drain()
	ctx, stop := context.WithTimeout(w.t.Context(), 20*time.Millisecond)
	defer stop()
	if m, err := w.door.Letter(ctx, to); err == nil {
		w.t.Fatalf("a letter to %s: %s", to, m.Subject)
	}
}

// told counts the letters with a subject among all that were sent to somebody and not
// asked for yet.
func (w *world) told(to, subject string) (n int) {
	w.t.Helper()
	w.drain()
	for {
		ctx, stop := context.WithTimeout(w.t.Context(), 300*time.Millisecond)
		m, err := w.door.Letter(ctx, to)
		stop()
		if err != nil {
			return n
		}
		if m.Subject == subject {
			n++
		}
	}
}

// drain waits until the queue is empty.
func (w *world) drain() {
	w.t.Helper()
	var q []jobs.Waiting
	var err error
	for range 15_000 { // half a minute: the machine may have other work
		q, err = w.jobs.Queue(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if len(q) == 0 {
			return
		}
		w.jobs.Nudge()
		time.Sleep(2 * time.Millisecond)
	}
	w.t.Fatalf("the queue does not empty: %+v", q)
}

func mailbox(name string) string { return name + "@example.canary.invalid" }

// customer makes a confirmed customer.
func (w *world) customer(name string) (id, email string) {
	w.t.Helper()
	c, err := w.svc.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: mailbox(name), Name: strings.ToUpper(name), Password: secret.NewText(good)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID, mailbox(name)
}

func (b browser) signIn(email, password string) map[string]any {
	b.w.t.Helper()
	return b.api(200, "POST", "sign-in", map[string]any{"email": email, "password": password})
}

// tryExec changes rows behind the service's back, if the database lets it.
func (w *world) tryExec(query string, args ...any) error {
	return w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	})
}

// exec is tryExec that must work.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if err := w.tryExec(query, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) one(query string, args ...any) string {
	w.t.Helper()
	var s string
	if err := ledger.One(w.t.Context(), w.kit.DB, query, []any{&s}, args...); err != nil {
		w.t.Fatal(err)
	}
	return s
}
