package incident_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/web"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	tables   = []ledger.Schema{jobs.Schema(), journal.Schema(), incident.Schema()}
)

// staff is who works here.
type staff struct{}

func (staff) Staff(context.Context) (out []incident.Person, err error) {
	for _, p := range []struct{ id, role string }{{"ana", "owner"}, {"ben", "owner"}, {"dev", "engineer"}, {"eve", "engineer"}, {"fay", "auditor"}} {
		out = append(out, incident.Person{ID: p.id, Name: "Name of " + p.id, Handle: p.id, Email: p.id + "@example.test", Roles: []string{p.role}})
	}
	return out, nil
}

func (staff) Name(_ context.Context, id string) string { return "Name of " + id }

func (staff) FreshNow(_ context.Context, who actor.Actor) error {
	if who.FactorAt.IsZero() {
		return fault.New(fault.Denied, "step_up_required", fault.Public{Problem: "Show a factor."})
	}
	return nil
}

// customers are the teams that were touched.
type customers struct{ teams []incident.Team }

func (c *customers) Touched(context.Context, time.Time, time.Time) ([]incident.Team, bool, error) {
	return c.teams, true, nil
}

// post is the mailer, and what was queued.
type post struct {
	*mail.Mailer
	mu   sync.Mutex
	made map[string]mail.Message
	sent map[string]mail.Message
	away bool // nothing goes out at once
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
	p.sent[j.ID()] = p.made[j.ID()] // a change may run twice
	p.mu.Unlock()
	return p.Mailer.Enqueue(ctx, tx, j)
}

// Deliver keeps what goes out at once beside what was queued.
func (p *post) Deliver(ctx context.Context, m mail.Message) (mail.Answer, error) {
	p.mu.Lock()
	away := p.away
	if !away {
		p.sent[m.ID] = m
	}
	p.mu.Unlock()
	if away {
		return mail.Answer{}, errors.New("the mail server is away")
	}
	return p.Mailer.Deliver(ctx, m)
}

// hooks are webhooks of subscribers: what was sent to them, and what they answer.
type hooks struct {
	mu     sync.Mutex
	calls  []notify.Call
	answer func(c notify.Call) notify.Reply
}

func (h *hooks) GoodURL(v string) string {
	if !strings.HasPrefix(v, "https://") {
		return "A URL that begins with https://."
	}
	return ""
}

func (h *hooks) Call(_ context.Context, c notify.Call) notify.Reply {
	h.mu.Lock()
	h.calls = append(h.calls, c)
	answer := h.answer
	h.mu.Unlock()
	return answer(c)
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

// world is incidents with a status page, a queue and a journal.
type world struct {
	t         testing.TB
	kit       *ledgertest.Kit
	svc       *incident.Service
	page      *status.Service
	queue     *jobs.Jobs
	journal   *journal.Journal
	post      *post
	rules     *clause.Live[incident.Rules]
	customers *customers
	access    *access.Access
	names     []string
	mail      string // folder
	breach    *exposed
	hooks     *hooks
	led       bool  // people take steps as they last saw it, as a page does
	seen      int64 // version of the incident
}

func open(t testing.TB) *world { return with(t, ledgertest.Open(t, tables...), nil) }

func with(t testing.TB, kit *ledgertest.Kit, seam *incident.Seam) *world {
	t.Helper()
	return within(t, kit, seam, func(*incident.Deps) {})
}

// within has what incidents and drills reach changed before the service is made.
func within(t testing.TB, kit *ledgertest.Kit, seam *incident.Seam, reach func(*incident.Deps)) *world {
	t.Helper()
	w := &world{t: t, kit: kit, post: &post{made: map[string]mail.Message{}, sent: map[string]mail.Message{}}, customers: &customers{}, mail: t.TempDir(), breach: &exposed{}, hooks: &hooks{}}
	log, now := slog.New(slog.DiscardHandler), kit.Clock.Now
	w.access = policytest.Access(kit.DB, now)
	w.rules = clause.NewLive[incident.Rules](now)
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.setRules(nil)
	w.queue = jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: now, Log: log})
	var err error
	w.post.Mailer, err = mail.New(mail.Deps{Queue: w.queue, URL: "file://" + w.mail, From: "writ@example.test", Now: now, Log: log})
	fail(err)
	w.journal, err = journal.New(journal.Deps{DB: kit.DB, Ring: kit.Ring, Jobs: w.queue, Access: w.access, Origin: "https://app.example.test", Now: now, Log: log, Revision: func() string { return "" }})
	fail(err)
	company := func() string { return "Harbour" }
	w.page, err = status.New(status.Deps{DB: kit.DB, Ring: kit.Ring, Letters: w.post, Courier: w.post, Hooks: w.hooks, Jobs: w.queue, Record: w.journal, Access: w.access, Company: company, Origin: "https://app.example.test", Now: now, Log: log,
		Names: func(context.Context) ([]string, error) { return w.names, nil }, Folder: t.TempDir()})
	fail(err)
	d := incident.Deps{DB: kit.DB, Ring: kit.Ring, Access: w.access, People: staff{}, Real: incident.World{Customers: w.customers, Reads: w.breach, Concerned: w.breach, Post: w.breach, Cuts: w.breach, Detectors: w.breach}, Letters: w.post, Queue: w.queue, Record: w.journal, Page: w.page, Rules: w.rules,
		Company: company, Origin: "https://app.example.test", Now: now, Log: log, Seam: seam}
	reach(&d)
	w.svc, err = incident.New(d)
	fail(err)
	return w
}

// setRules changes what the policy says.
func (w *world) setRules(kv map[string]any) {
	w.t.Helper()
	v := policytest.Values()
	for k, x := range kv {
		v[k] = x
	}
	if err := w.rules.Set([]clause.Period{{Values: v}}); err != nil {
		w.t.Fatal(err)
	}
}

// as is somebody who is signed in and has shown a factor just now.
func (w *world) as(name string) actor.Actor {
	role := map[string]string{"ana": "owner", "ben": "owner", "dev": "engineer", "eve": "engineer", "fay": "auditor"}[name]
	return actor.Actor{Kind: actor.Person, ID: name, Team: "staff", TeamKind: "staff", Roles: []string{role}, Session: "s-" + name, ACR: 3, FactorAt: w.kit.Clock.Now(), Via: "https"}
}

// ok is a case from an act that must work.
func (w *world) ok(c incident.Case, err error) incident.Case {
	w.t.Helper()
	if err != nil {
		if k, is := errors.AsType[*incident.Kept](err); is {
			w.t.Fatalf("%v %v", err, k.Unmet)
		}
		w.t.Fatal(err)
	}
	return c
}

// step takes one that must work.
func (w *world) step(name, ref, event, reason string) incident.Case {
	w.t.Helper()
	return w.ok(w.svc.Take(w.t.Context(), w.as(name), ref, incident.Step{Event: event, Reason: reason, Version: w.asSeen()}))
}

func (w *world) asSeen() int64 {
	if !w.led {
		return 0
	}
	return w.seen
}

// kept is the guards that keep a step, and the code.
func (w *world) kept(err error) (guards []string, code string) {
	w.t.Helper()
	k, ok := errors.AsType[*incident.Kept](err)
	if !ok {
		w.t.Fatalf("not kept: %v", err)
	}
	for _, l := range k.Unmet {
		guards = append(guards, l.Guard)
	}
	return guards, k.Fault.Code
}

// declared is a new incident that ana has declared.
func (w *world) declared() incident.Case {
	w.t.Helper()
	c, _, err := w.svc.Declare(w.t.Context(), w.as("ana"), incident.Signal{Title: "Nobody can sign in"})
	return w.ok(c, err)
}

// active is one that dev commands and speaks for, with a public notice owed.
func (w *world) active() incident.Case {
	w.t.Helper()
	c := w.declared()
	w.step("dev", c.Ref(), "acknowledge", "")
	for _, r := range []engine.Role{engine.Communications, engine.Technical} {
		w.ok(w.svc.TakeRole(w.t.Context(), w.as("dev"), c.Ref(), r, ""))
	}
	return w.ok(w.svc.Categorise(w.t.Context(), w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{"usability"}, Severity: 2}))
}

// says posts an update that must be taken.
func (w *world) says(ref, state string) incident.Case {
	w.t.Helper()
	return w.ok(w.svc.Update(w.t.Context(), w.as("dev"), ref, w.update(state), w.asSeen()))
}

func (w *world) update(state string) status.Post {
	p := status.Post{Title: "Sign-in fails", State: state, Body: "Some people cannot sign in at the moment."}
	if state != status.Resolved && state != status.Postmortem {
		p.Next = w.kit.Clock.Now().Add(45 * time.Minute)
	}
	return p
}

func (w *world) fixed(ref string) {
	w.t.Helper()
	w.ok(w.svc.Mend(w.t.Context(), w.as("dev"), ref, incident.NewFix{Event: "plan", What: "Renew certificates by itself", Owner: "eve", Ends: w.kit.Clock.Now().Add(48 * time.Hour)}))
}

// resolved goes from active to where those affected are told.
func (w *world) resolved(c incident.Case) incident.Case {
	w.t.Helper()
	w.says(c.Ref(), status.Investigating)
	w.fixed(c.Ref())
	w.says(c.Ref(), status.Monitoring)
	w.step("dev", c.Ref(), "mitigate", "")
	w.kit.Clock.Advance(incident.Soak)
	w.says(c.Ref(), status.Resolved)
	return w.step("dev", c.Ref(), "resolve", "")
}

// worked lets the queue do all that is due.
func (w *world) worked() {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.queue.Run(ctx) }()
	until := time.Now().Add(30 * time.Second)
	for {
		q, err := w.queue.Queue(w.t.Context())
		if err != nil {
			w.t.Error(err)
		}
		if !slices.ContainsFunc(q, func(j jobs.Waiting) bool { return j.State == "waiting" && !j.Due.After(w.kit.Clock.Now()) }) || time.Now().After(until) { // its clock stands still
			break
		}
		w.queue.Nudge()
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	<-done
}

func (w *world) tend() {
	w.t.Helper()
	if err := w.svc.Tend(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// entries counts those of an event.
func (w *world) entries(name string) int { return len(w.kit.Recorded("incident." + name)) }

func (w *world) show(ref string) incident.View {
	w.t.Helper()
	v, err := w.svc.Show(w.t.Context(), w.as("ana"), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	w.seen = v.Version
	return v
}

var learned = incident.NewReview{Text: "The certificate ended and nobody saw it coming.", Causes: []string{"No watch on the end of certificates"}}

// review is what was learned, with an action that prevents it.
func (w *world) review() incident.NewReview {
	r := learned
	r.Actions = []incident.Action{{Cause: 1, Prevents: true, Owner: "eve", Due: w.kit.Clock.Now().Add(72 * time.Hour), What: "Watch the end of certificates"}}
	return r
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// api is the JSON API, as somebody who is signed in reaches it, and its routes.
func (w *world) api(who actor.Actor) (http.Handler, []web.Route) {
	w.t.Helper()
	var routes []web.Route
	for _, r := range append(w.svc.Routes(), w.page.API()...) {
		if r.Handle != nil {
			routes = append(routes, r)
		}
	}
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour"} }, Log: quiet(), Now: w.kit.Clock.Now})
	if err == nil {
		err = s.Mount(routes...)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Handler(somebody{who}), routes
}

// posts sends JSON to a path below that of incidents, from 192.0.2.1.
func (w *world) posts(who actor.Actor, path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	site, _ := w.api(who)
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "https://app.example.test/-/api/v1/incidents/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	a := httptest.NewRecorder()
	site.ServeHTTP(a, r)
	return a
}
