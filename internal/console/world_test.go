package console_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/console"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/identity/glass"
	"writ/internal/identity/oidc"
	"writ/internal/incident"
	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/leak"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/passhash"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/policy/policytest"
	"writ/internal/policy/template"
	"writ/internal/secret"
	"writ/internal/sshsig"
	"writ/internal/vault"
	"writ/internal/vault/bundle"
	keyholders "writ/internal/vault/holders"
	"writ/internal/vault/item"
	"writ/internal/vault/keys"
	"writ/internal/vault/kms"
	"writ/internal/vault/rotate"
	"writ/internal/vault/scan"
	"writ/internal/web"
)

const origin = "https://app.example.test"

// law gives the policy its people, as app does.
type law struct{ s *identity.Service }

func (l law) PersonByHandle(ctx context.Context, h string) (string, bool, error) {
	return l.s.PersonByHandle(ctx, strings.TrimPrefix(h, "person/"))
}

func (l law) Handle(ctx context.Context, id string) (string, error) {
	h, err := l.s.Handle(ctx, id)
	return "person/" + h, err
}

type sessions struct{ s *identity.Service }

func (g sessions) Fresh(ctx context.Context, who actor.Actor, maxAge time.Duration) error {
	return g.s.Fresh(ctx, who, maxAge)
}

func (g sessions) Standing(ctx context.Context, who actor.Actor) (actor.Actor, error) {
	return g.s.Standing(ctx, who)
}

func (g sessions) Lookup(ctx context.Context, t secret.Text) (actor.Actor, gateway.SessionFacts, error) {
	who, s, err := g.s.Session(ctx, t)
	return who, gateway.SessionFacts{SignedIn: s.Started}, err
}

// members gives the company's vault the people of a team, as app does.
func (w *world) acting(ctx context.Context, id string, do access.Action) (bool, error) {
	p, err := w.people.ActivePerson(ctx, id)
	return err == nil && w.access.May(actor.Actor{Kind: actor.Person, ID: p.ID, Session: "-", Team: p.Team, TeamKind: p.Kind, Roles: p.Roles, ACR: 2, FactorAt: w.kit.Clock.Now()}, do), err
}

type members struct{ s *identity.Service }

func (m members) Roster(ctx context.Context, team string) (out []item.Member, err error) {
	ps, err := m.s.Roster(ctx, team)
	for _, p := range ps {
		out = append(out, item.Member{ID: p.ID, Name: p.Name, Handle: p.Handle, Roles: p.Roles})
	}
	return out, err
}

func (m members) Find(ctx context.Context, team, ref string) (item.Member, error) {
	all, err := m.Roster(ctx, team)
	for _, x := range all {
		if ref == x.ID || ref == x.Handle {
			return x, nil
		}
	}
	return item.Member{}, errors.Join(err, fault.New(fault.NotFound, "no_person", fault.Public{Problem: "Nobody."}))
}

func (m members) Email(ctx context.Context, id string) string { return m.s.Email(ctx, id) }

func (m members) Name(ctx context.Context, id string) string { return m.s.Name(ctx, id) }

// world is a whole console on real services, with controls whose results are scripted.
type world struct {
	t        testing.TB
	kit      *ledgertest.Kit
	people   *identity.Service
	glass    *glass.Service
	sealing  *keys.Service
	holders  *keyholders.Service
	sealed   int // times
	items    *item.Service
	policy   *policy.Service
	check    *check.Runner
	journal  *journal.Journal
	gate     *gateway.Gateway
	routes   string // its file
	failed   error  // what it refused last
	trail    *trail.Trail
	vault    *vault.Service
	scans    *scan.Service
	bundles  *bundle.Service
	found    leak.Report // of the place that is declared
	away     bool        // the door, for access keys
	jobs     *jobs.Jobs
	mail     *mail.Mailer
	incident *incident.Service
	status   *status.Service
	console  *console.Console
	site     *web.Server
	access   *access.Access
	server   http.Handler
	ids      map[string]string
	review   string // that is half done
	blind    bool   // nothing can be foreseen
	keys     map[string]sshsig.Signer
	results  map[string]func() (clause.Result, error) // by control
}

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

var staff = []struct{ handle, name, role string }{
	{"ana", "Ana Lind", "owner"}, {"ben", "Ben Okoro", "owner"}, {"chiara", "Chiara Moretti", "owner"}, {"dev", "Dev Patel", "engineer"}, {"emil", "Emil Strand", "auditor"}, {"suna", "Suna Aydin", "support"},
}

// as is who acts: a member of staff, "operator", "customer" or "" for a stranger.
func (w *world) as(name string) actor.Actor {
	switch name {
	case "":
		return actor.Actor{}
	case "operator":
		return operator
	case "customer":
		return actor.Actor{Kind: actor.Person, ID: w.ids["cem"], Team: "t-1", Roles: []string{"admin"}, Session: "s-cem", ACR: 1, Via: "https"}
	}
	for _, s := range staff {
		if s.handle == name {
			return actor.Actor{Kind: actor.Person, ID: w.ids[name], Team: "staff", Roles: []string{s.role}, Session: "s-" + name, ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
		}
	}
	w.t.Fatalf("nobody is called %q", name)
	return actor.Actor{}
}

// holders gives the vault who stands behind a key or a grant.
type holders struct{ w *world }

func (h holders) OwnerOf(_ context.Context, ref string) (actor.Actor, error) {
	for name, id := range h.w.ids {
		if ref == "person/"+id {
			return h.w.as(name), nil
		}
	}
	if ref == operator.String() {
		return operator, nil
	}
	return actor.Actor{}, fault.New(fault.Denied, "owner_gone", fault.Public{Problem: "They are not here."})
}

// door lets in whoever the header names; only tests have such a door.
type door struct {
	w     *world
	fixed string
}

func (d door) Identify(r *http.Request) (actor.Actor, error) {
	name := r.Header.Get("Test-Who")
	if name == "" {
		name = d.fixed
	}
	return d.w.as(name), nil
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newWorld builds one with the template in force, unsigned, and its people.
func newWorld(t testing.TB) *world {
	t.Helper()
	kit := ledgertest.Open(t, jobs.Schema(), journal.Schema(), identity.Schema(), gateway.Schema(), policy.Schema(), vault.Schema(), incident.Schema())
	kit.Clock.Set(time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC))
	w := &world{t: t, kit: kit, ids: map[string]string{}, keys: map[string]sshsig.Signer{}, results: map[string]func() (clause.Result, error){}}
	w.results["identity.reviews"] = func() (clause.Result, error) {
		return clause.Result{Outcome: clause.Unknown, Summary: "no review of all rights was closed yet"}, nil
	}
	log := slog.New(slog.DiscardHandler)
	if *look != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	now, acc := kit.Clock.Now, policytest.Access(kit.DB, kit.Clock.Now)
	w.access = acc
	w.jobs = jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: now, Log: log})
	w.mail = must[*mail.Mailer](t)(mail.New(mail.Deps{Queue: w.jobs, URL: "file://" + t.TempDir(), From: "writ@example.test", Now: now, Log: log, Canary: func(mail.Message) {}}))
	w.journal = must[*journal.Journal](t)(journal.New(journal.Deps{DB: kit.DB, Ring: kit.Ring, Access: acc, Origin: origin, Now: now, Log: log, Revision: func() string { return w.policy.Version() }}))
	w.people = must[*identity.Service](t)(identity.New(identity.Deps{DB: kit.DB, Record: w.journal, Ring: kit.Ring, Mail: w.mail, Jobs: w.jobs, Rules: clause.NewLive[identity.Rules](now),
		Banned: must[*banned.List](t)(banned.New(banned.Options{})), Access: acc, Company: func() string { return "Harbour Ltd" }, Origin: origin, Now: now, Log: log,
		Gate: passhash.NewGate(2, 16, time.Minute), Seam: &identity.Seam{Params: cheap}}))
	w.glass = must[*glass.Service](t)(glass.New(glass.Deps{DB: kit.DB, Ring: kit.Ring, People: w.people, Mail: w.mail, Access: acc, Rules: clause.NewLive[glass.Rules](now), Record: w.journal,
		Company: func() string { return "Harbour Ltd" }, Origin: origin, Now: now, Log: log, Plant: w.people.PlantStaff}))
	w.holders = w.keyHolders()
	w.vault = must[*vault.Service](t)(vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: acc, Owners: holders{w}, Rules: clause.NewLive[vault.Rules](now), Now: now, Log: log}))
	rules := clause.NewLive[keys.Rules](now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		t.Fatal(err)
	}
	w.sealing = must[*keys.Service](t)(keys.New(keys.Deps{DB: kit.DB, Ring: kit.Ring, Access: acc, People: w.people, Acting: w.acting, Teams: w.people, Journal: proofs{w.journal}, Rules: rules, Quorum: func() int { return 2 }, Now: now, Log: log}))
	w.items = must[*item.Service](t)(item.New(item.Deps{DB: kit.DB, Keys: kit.Ring, Access: acc, People: members{w.people}, Rules: clause.NewLive[item.Rules](now), Sight: w.vault, Mail: w.mail, MinHolders: func() int { return 2 },
		Banned: func(secret.Text, ...string) bool { return false }, Company: func() string { return "Harbour Ltd" }, Origin: origin, Now: now, Log: log}))
	w.vault.Things("item", w.items.SeenName)
	public := must[*url.URL](t)(url.Parse(origin))
	w.routes = filepath.Join(t.TempDir(), "routes.yaml")
	w.gate = must[*gateway.Gateway](t)(gateway.New(gateway.Deps{DB: kit.DB, Rules: clause.NewLive[gateway.Rules](now), Sessions: sessions{w.people}, Access: acc, Keys: kit.Ring,
		Origin: public, Upstream: must[*url.URL](t)(url.Parse("http://10.0.1.10:3000")), RoutesFile: w.routes, Now: now, Log: log,
		Fail: func(_ http.ResponseWriter, _ *http.Request, err error) { w.failed = err }}))
	w.trail = must[*trail.Trail](t)(trail.New(trail.Deps{DB: kit.DB, Keys: kit.Ring, Access: acc, Dir: filepath.Join(t.TempDir(), "segments"), Now: now, Log: log}))
	w.incidents()
	d := canary.New(canary.Deps{Base: origin, Addr: "127.0.0.1:1"})
	controls := slices.Concat(w.people.Controls(d), w.glass.Controls(d), w.gate.Controls(d), w.journal.Controls(), w.incident.Controls(d))
	w.policy = must[*policy.Service](t)(policy.New(policy.Deps{DB: kit.DB, People: law{w.people}, Access: acc, Slots: slices.Concat(acc.Slots(), w.people.Slots(), w.glass.Slots(), w.items.Slots(), w.gate.Slots(), w.journal.Slots(), w.vault.Slots(), w.incident.Slots()),
		Template: template.YAML(), Now: now, Log: log, Controls: controls, Forecasts: map[string]clause.Forecaster{"identity": foresight{w}}, Waived: w.waived}))
	controls = append(controls, w.policy.Controls(d)...)
	for i := range controls {
		controls[i].Run = w.scripted(controls[i])
	}
	w.check = must[*check.Runner](t)(check.New(check.Deps{DB: kit.DB, Law: w.policy, Access: acc, Controls: controls, Now: now, Log: log,
		Index: func(ctx context.Context, id string) (int64, bool) {
			e, err := w.journal.ByID(ctx, id)
			return e.N, err == nil
		}}))
	w.console = must[*console.Console](t)(console.New(console.Deps{Company: "Harbour Ltd", Origin: origin, Policy: w.policy, Check: w.check, Journal: w.journal, Identity: w.people,
		Gateway: w.gate, Trail: w.trail, Jobs: w.jobs, Access: acc, Now: now, Glass: w.glass, Encryption: w.sealing, Items: w.items, Holders: w.holders, Clients: must[*oidc.Service](t)(oidc.New(oidc.Deps{DB: kit.DB, Ring: kit.Ring, People: w.people, Jobs: w.jobs, Access: acc,
			Out: http.DefaultTransport, Origin: origin, Now: now, Log: log}))}))
	w.console.Vault = w.vault
	w.console.Incidents, w.console.Status = w.incident, w.status
	w.scans = must[*scan.Service](t)(scan.New(scan.Deps{DB: kit.DB, Values: w.vault, Items: w.items, Access: acc, Record: w.journal, Rules: clause.NewLive[scan.Rules](now), Places: []string{"/srv/shop"}, Now: now, Log: log,
		Look: func(context.Context, string, leak.Options) (leak.Report, error) { return w.found, nil }}))
	w.bundles = must[*bundle.Service](t)(bundle.New(bundle.Deps{DB: kit.DB, Values: w.vault, Keys: kit.Ring, Access: acc, Origin: origin, Now: now}))
	w.console.Scans, w.console.Bundles = w.scans, w.bundles
	w.console.KMS = must[*kms.Service](t)(kms.New(kms.Deps{DB: kit.DB, Keys: kit.Ring, Vault: w.vault, Now: now}))
	w.console.Rotations = must[*rotate.Service](t)(rotate.New(rotate.Deps{DB: kit.DB, Vault: w.vault, Keys: kit.Ring, Every: func() time.Duration { return 365 * 24 * time.Hour }, Now: now, Log: log, Knock: w.knock}))
	w.site = must[*web.Server](t)(web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour Ltd"} }, Log: log, Now: now}))
	w.site.SetChrome(w.console.Chrome)
	if err := w.site.Mount(slices.Concat(w.console.Routes(), w.journal.Routes())...); err != nil {
		t.Fatal(err)
	}
	w.server = w.site.Handler(door{w: w})
	w.begin()
	return w
}

func cheap(p passhash.Params) passhash.Params {
	p.Memory = 8
	return p
}

// scripted makes a control say what results say, else that all is well.
func (w *world) scripted(c clause.Control) func(context.Context) (clause.Result, error) {
	return func(context.Context) (clause.Result, error) {
		if f := w.results[c.ID]; f != nil {
			return f()
		}
		if c.Kind == clause.Canary {
			return clause.Judge("the attempt was refused, the control case passed", clause.Step{Act: "try it just beyond the limit", Expected: "403 denied", Got: "403 denied", OK: true},
				clause.Step{Act: "try it just inside the limit", Expected: "200", Got: "200", OK: true, Control: true}), nil
		}
		return clause.Passed("measured and compared with the policy: it agrees"), nil
	}
}

// begin adopts the template, adds people and keys, and starts the services.
func (w *world) begin() {
	w.t.Helper()
	ctx := context.Background()
	doc, ps := document.Load(template.YAML(), document.Shipped())
	if doc == nil {
		w.t.Fatal(document.Refusal(ps))
	}
	if doc, ps = document.Fill(doc, document.Header{ID: "IS-01", Title: "Information security", Contact: "security@example.test", Author: "person/ana",
		Owners: []string{"person/ana", "person/ben", "person/chiara"}}); doc == nil {
		w.t.Fatal(document.Refusal(ps))
	}
	if doc, ps = document.Apply(doc, map[string]document.Literal{"gov.owners/loosen_need": document.Word("2")}); doc == nil {
		w.t.Fatal(document.Refusal(ps))
	}
	must[policy.Revision](w.t)(w.policy.Bootstrap(ctx, operator, doc))
	if err := errors.Join(w.policy.Start(ctx), w.people.Load(ctx), w.gate.Start(ctx)); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range staff {
		added := must[identity.Added](w.t)(w.people.AddStaff(ctx, operator, identity.AddStaff{Email: s.handle + "@example.test", Name: s.name, Handle: s.handle, Roles: []string{s.role}}))
		w.ids[s.handle] = added.ID
		w.kit.Clock.Advance(time.Minute)
	}
	made := must[identity.MadeCustomer](w.t)(w.people.CreateCustomer(ctx, operator, identity.NewCustomer{Email: "cem@customer.test", Name: "Cem Yildiz", TeamName: "Northwind", Password: secret.NewText("plum carousel vestige 71")}))
	w.ids["cem"] = made.ID
	for _, h := range []string{"ana", "ben", "chiara", "dev"} {
		key := must[sshsig.Signer](w.t)(sshsig.Generate())
		line := key.Key().String()
		text := must[string](w.t)(w.policy.KeyText(ctx, w.as(h), line))
		must[policy.Key](w.t)(w.policy.RegisterKey(ctx, w.as(h), line, must[[]byte](w.t)(key.Sign(policy.Namespace, []byte(text)))))
		w.keys[h] = key
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = w.journal.Run(run) }()
	w.t.Cleanup(func() { stop(); <-done })
}

func (w *world) signed(h, text string) string {
	w.t.Helper()
	return string(must[[]byte](w.t)(w.keys[h].Sign(policy.Namespace, []byte(text))))
}

// approve has h sign a revision.
func (w *world) approve(ref, h, kind string) policy.Proposal {
	w.t.Helper()
	ctx := context.Background()
	p := must[policy.Proposal](w.t)(w.policy.Proposal(ctx, ref))
	return must[policy.Proposal](w.t)(w.policy.Approve(ctx, w.as(h), p.ID, []byte(w.signed(h, string(p.Text("person/"+h, kind))))))
}

// tick runs all controls once more.
func (w *world) tick() {
	w.t.Helper()
	for range 2 {
		if err := w.check.Tick(context.Background()); err != nil {
			w.t.Fatal(err)
		}
		w.kit.Clock.Advance(25 * time.Second)
	}
}

// settle waits until every entry has its number.
func (w *world) settle() {
	w.t.Helper()
	last, same := int64(-1), 0
	for range 400 {
		h, err := w.journal.Head(context.Background())
		if err == nil && h.Size == last {
			if same++; same > 12 {
				return
			}
		} else if err == nil {
			last, same = h.Size, 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("the journal does not settle: %d entries, %v", last, w.journal.Stopped())
}

// fill makes a story of nine days: signatures, a revision in force and one proposed, an
// exception, records, two broken clauses.
func (w *world) fill() {
	w.t.Helper()
	ctx := context.Background()
	w.tick()
	w.kit.Clock.Advance(3 * time.Hour)
	w.approve("1.0", "ben", policy.ByOwner)
	w.approve("1.0", "chiara", policy.ByOwner)
	w.approve("1.0", "ana", policy.ByAuthor)
	w.attest("ana", "crypto.db-at-rest", "Looked at the provider's page of the database: storage and snapshots are encrypted with the provider's key service.")
	w.attest("ben", "gov.contact", "A test message to security@example.test was answered after 40 minutes by Ana.")
	w.kit.Clock.Advance(24 * time.Hour)
	doc := must[*document.Policy](w.t)(w.policy.Document("1.0"))
	doc, ps := document.Apply(doc, map[string]document.Literal{"auth.min-length/min": document.Word("14"), "auth.reset-link-lifetime/ttl": document.Word("12h")})
	if doc == nil {
		w.t.Fatal(document.Refusal(ps))
	}
	p := must[policy.Proposal](w.t)(w.policy.Propose(ctx, w.as("ana"), policy.Draft{Policy: doc, Summary: "Longer passwords and shorter reset links, after the review in October."}))
	w.approve(p.ID, "ben", policy.ByOwner)
	w.approve(p.ID, "chiara", policy.ByOwner)
	w.approve("1.1", "ana", policy.ByAuthor)
	w.kit.Clock.Advance(48 * time.Hour)
	doc, ps = document.Apply(doc, map[string]document.Literal{"auth.reset-link-lifetime/ttl": document.Word("24h"), "auth.signup-email/confirm_ttl": document.Word("12h")})
	if doc == nil {
		w.t.Fatal(document.Refusal(ps))
	}
	must[policy.Proposal](w.t)(w.policy.Propose(ctx, w.as("dev"), policy.Draft{Policy: doc, Summary: "Customers in other time zones miss the reset link; confirm sooner instead."}))
	e := must[policy.Exception](w.t)(w.policy.RequestException(ctx, w.as("dev"), policy.ExceptionRequest{Param: "auth.best-practice/staff_idle", Value: "3h",
		Reason: "The migration on Saturday needs long sessions at the console.", Until: w.kit.Clock.Now().Add(12 * 24 * time.Hour)}))
	must[policy.Exception](w.t)(w.policy.ApproveException(ctx, w.as("ben"), e.ID, []byte(w.signed("ben", string(e.Text("IS-01", "person/ben"))))))
	must[policy.Exception](w.t)(w.policy.RequestException(ctx, w.as("dev"), policy.ExceptionRequest{Param: "auth.signup-email/confirm_ttl", Value: "36h",
		Reason: "Mail to one customer is delayed by their filter.", Until: w.kit.Clock.Now().Add(5 * 24 * time.Hour)}))
	w.breakOne()
	w.tick()
	w.kit.Clock.Advance(16 * time.Minute)
	if _, err := w.people.EndSessions(ctx, w.as("emil"), w.ids["ben"]); !errors.Is(err, fault.Denied) {
		w.t.Fatalf("an auditor ended sessions: %v", err)
	}
	w.lend()
	w.settle()
}

// lend makes loans in each state and a review that is half done.
func (w *world) lend() {
	w.t.Helper()
	ctx := context.Background()
	grant := func(who string, in identity.Lend) identity.Grant {
		return must[identity.Grant](w.t)(w.people.GrantRole(ctx, w.as(who), in))
	}
	grant("ana", identity.Lend{Person: "dev", Role: "auditor", For: 20 * 24 * time.Hour, Need: "project/spring-audit", Reason: "Collects the evidence for the spring audit."})
	grant("ben", identity.Lend{Person: "dev", Role: "owner", For: 2 * time.Hour, Reason: "Two owners are on a plane and a person must be added."})
	back := grant("ana", identity.Lend{Person: "suna", Role: "engineer", For: time.Hour, Reason: "Watches a deployment."})
	if err := w.people.RevokeGrant(ctx, w.as("suna"), back.ID); err != nil {
		w.t.Fatal(err)
	}
	rv := must[identity.Review](w.t)(w.people.OpenReview(ctx, operator))
	w.review = rv.ID
	_, items, err := w.people.ShowReview(ctx, w.as("ben"), rv.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, it := range items {
		d := identity.Decision{Review: rv.ID, Item: it.ID, Decision: identity.Keep, Reason: "Uses it every week."}
		switch it.Handle {
		case "suna":
			d.Decision, d.Reason = identity.Revoke, "Moved to another team."
		case "emil":
		default:
			continue
		}
		must[identity.ReviewItem](w.t)(w.people.DecideRight(ctx, w.as("ben"), d))
	}
}

// breakOne scripts a broken clause, one that cannot be decided, and one told in figures.
func (w *world) breakOne() {
	for _, c := range w.check.Controls() {
		switch {
		case c.Clause == "auth.reset-link-lifetime" && c.Kind == clause.Canary:
			w.results[c.ID] = func() (clause.Result, error) {
				return clause.Judge("opened 12 h 1 s after it was sent, and it worked; expected 410",
					clause.Step{Act: "open the link 11 h 59 min after it was sent", Expected: "200", Got: "200", OK: true, Control: true},
					clause.Step{Act: "open the link 12 h 1 s after it was sent", Expected: "410 link_dead", Got: "200", OK: false}), nil
			}
		case c.Clause == "gov.published":
			w.results[c.ID] = func() (clause.Result, error) {
				return clause.Failed("/-/trust answers a stranger with 503, expected 200"), nil
			}
		case c.Clause == "crypto.certificates":
			w.results[c.ID] = func() (clause.Result, error) {
				return clause.Result{}, errors.New("dial tcp 203.0.113.10:443: i/o timeout")
			}
		}
	}
}

func (w *world) attest(h, id, says string) {
	w.t.Helper()
	ctx := context.Background()
	text, st, err := w.policy.RecordText(ctx, w.as(h), policy.Statement{Clause: id, Statement: says})
	if err != nil {
		w.t.Fatal(err)
	}
	must[policy.Record](w.t)(w.policy.Attest(ctx, w.as(h), st, []byte(w.signed(h, text))))
}

// page is an answer.
type page struct {
	*httptest.ResponseRecorder
	t    testing.TB
	path string
}

// get opens a page as somebody.
func (w *world) get(who, path string, headers ...string) page {
	w.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
	r.Header.Set("Accept", "text/html")
	return w.do(who, r, headers)
}

// post sends a form as somebody.
func (w *world) post(who, path string, form url.Values) page {
	w.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return w.do(who, r, nil)
}

func (w *world) do(who string, r *http.Request, headers []string) page {
	w.t.Helper()
	r.RemoteAddr = "192.0.2.7:4000"
	r.Header.Set("Test-Who", who)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return page{rec, w.t, r.URL.Path}
}

// want holds an answer to a status and some of its words.
func (p page) want(status int, words ...string) page {
	p.t.Helper()
	if p.Code != status {
		b, _ := io.ReadAll(p.Body)
		p.t.Fatalf("%s: %d, want %d\n%.3000s", p.path, p.Code, status, b)
	}
	for _, s := range words {
		if !strings.Contains(plain(p.Body.String()), s) {
			p.t.Fatalf("%s does not say %q\n%s", p.path, s, plain(p.Body.String()))
		}
	}
	return p
}

// nopWriter and nopRequest let a test sign in without a server.
type nopWriter struct{}

func (nopWriter) Header() http.Header         { return http.Header{} }
func (nopWriter) Write(b []byte) (int, error) { return len(b), nil }
func (nopWriter) WriteHeader(int)             {}

func nopRequest(w *world) *http.Request {
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/-/sign-in", nil)
	r.RemoteAddr = "192.0.2.7:4000"
	return r
}

// proofs gives entries as they stand in the journal.
type proofs struct{ j *journal.Journal }

func (p proofs) ProofOf(ctx context.Context, entry string) (keys.Proof, error) {
	e, err := p.j.ByID(ctx, entry)
	if err != nil {
		return keys.Proof{}, err
	}
	proof, leaf, err := p.j.Proof(ctx, e.N)
	if err != nil {
		return keys.Proof{}, err
	}
	key, err := p.j.Key(ctx)
	return keys.Proof{N: e.N, Leaf: leaf, Proof: proof, Key: key}, err
}
