package gateway

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/gateway/cache"
	"writ/internal/gateway/openapi"
	"writ/internal/gateway/pool"
	"writ/internal/gateway/trail"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/listen"
	"writ/internal/secret"
	"writ/internal/web"
)

//go:embed schema/*.sql
var schemas embed.FS

// Schema is the gate's tables.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemas, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return ledger.Schema{Module: "gateway", FS: sub}
}

// Sessions is the table of who is signed in. An error never means that nobody is:
// fault.Unauthenticated and fault.NotFound say that the token is no session;
// fault.Denied, Sealed and any other end the request.
type Sessions interface {
	Lookup(ctx context.Context, token secret.Text) (actor.Actor, SessionFacts, error)
	// Standing says who somebody is now who came a while ago, without counting as a use.
	Standing(ctx context.Context, who actor.Actor) (actor.Actor, error)
	// Fresh refuses an actor whose last proof of who they are is older than maxAge.
	Fresh(ctx context.Context, who actor.Actor, maxAge time.Duration) error
}

// Tokens is the table of programs' tokens. who is the stranger who brings one, from the
// address. fault.Unauthenticated: the token is not good; fault.Limited: too many were
// not; anything else ends the request too.
type Tokens interface {
	LookupToken(ctx context.Context, who actor.Actor, token secret.Text, from netip.Addr) (actor.Actor, error)
}

// SessionFacts are what the application may want to know of a session beside its actor.
type SessionFacts struct {
	SignedIn time.Time // when it began
	// Renew is there when the session has come to stand for more, which counts under a new
	// token: it sets the cookie and says who acts with that.
	Renew func(ctx context.Context, w http.ResponseWriter) (actor.Actor, error)
}

// Access decides whether an actor may operate the gate.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
	// HostingAge is how old the second factor of somebody may be who comes by a hosting
	// role alone; 0 for everybody else.
	HostingAge(who actor.Actor, among []string) time.Duration
}

// Keys gives named secrets, and keys that can be destroyed; *keyring.Ring.
type Keys interface {
	Named(ctx context.Context, name string, n int) (secret.Bytes, error)
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	Key(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	Erase(ctx context.Context, s keyring.Subject) (keyring.Destroyed, error)
}

// Listening is one port of this process, for the controls.
type Listening struct {
	Name   string        // https, http
	Addr   string        // as bound
	Source listen.Source // certificates; nil for the port that only redirects
}

// Deps is what a Gateway needs. All but Tokens, Hosts, Roots, Listening, Outbound, Stores, Look and Plant are required.
type Deps struct {
	DB         *ledger.DB
	Rules      *clause.Live[Rules]
	Sessions   Sessions
	Access     Access
	Keys       Keys
	Origin     *url.URL // public origin, https
	Upstream   *url.URL // the application, http or https
	RoutesFile string   // DIR/routes.yaml; need not exist
	// Fail renders a refusal: web.Server.Fail.
	Fail func(http.ResponseWriter, *http.Request, error)
	Now  func() time.Time
	Log  *slog.Logger

	Tokens    Tokens             // nil: no token of ours is good
	Hosts     []string           // further public host names, forwarded as they are
	Proxies   []netip.Prefix     // whose word counts of where a request came from and what it asks
	Roots     *x509.CertPool     // for an upstream with a private authority; nil = the system's
	Listening func() []Listening // the ports that are open; nil = none known
	Outbound  func() []Outbound  // where this process sends to; nil = not known
	Programs  Programs           // what programs are held to
	Trail     Trail              // of access records; nil = none are kept
	Stores    func() []Store     // what this process keeps; nil = not known
	Look      Looks              // of staff as customers; nil = none can be
	// Plant puts a customer there for a control and returns what removes them; nil = nobody can be.
	Plant     func(ctx context.Context, door *canary.Door, control string) (Planted, func(), error)
	Upstreams []Upstream // the application at more places than one, instead of Upstream
	Zones     Zones
	Asks      string // path at which the application is asked by this server alone; "" = at none
	CacheMax  int64  // bytes of public files kept in memory; 0 = 256 MiB
	WAF       WAF    // which rules look for attacks; the zero value = none
	Egress    Egress
}

// Trail keeps access records; *trail.Trail.
type Trail interface {
	Add(trail.Record)
	Counts() (added, lost int64)
	Whole(ctx context.Context, since time.Time) (segments, records int64, broken []string, err error)
	ByStaff(ctx context.Context, who actor.Actor, why string, from time.Time, fn func([]trail.Found) error) error
}

// Gateway stands between the public and one application.
type Gateway struct {
	db        *ledger.DB
	rules     *clause.Live[Rules]
	sessions  Sessions
	tokens    Tokens
	proxies   proxies
	access    Access
	origin    *url.URL
	aside     aside
	hosts     map[string]string // accepted Host, lower case without port → Host for the application
	upstreams []Upstream
	fail      func(http.ResponseWriter, *http.Request, error)
	now       func() time.Time
	log       *slog.Logger
	listening func() []Listening
	outbound  func() []Outbound
	stores    func() []Store
	look      Looks
	plant     func(context.Context, *canary.Door, string) (Planted, func(), error)

	cross     *http.CrossOriginProtection
	pause     time.Duration // how long a client may rest within a body
	patience  time.Duration // with which a control waits for a stream to be cut
	room      room          // for bodies that steps look at
	described described
	limits    *limits
	bots      bots
	shadow    shadow
	served    letIn // programs
	programs  Programs
	steps     []step
	signer    *signer
	forms     forms
	pool      *pool.Pool       // to the application
	changes   chan pool.Change // of places, to be recorded
	sticky    bool
	asks      string
	cache     *cache.Cache
	purged    purges
	plants    plants
	visits    sync.Pool // of *visit
	buffers   buffers

	keys                    Keys
	tickets                 listen.Tickets
	ticketsOf, ticketsEnded int64 // the half days in which keys were given and destroyed; of Start, then of Run

	watch *watch // the rules that look for attacks
	out   wayOut // for private services

	mode    atomic.Pointer[modeState]
	blocks  blocks
	streams streams
	table   atomic.Pointer[table]
	files   routesFile
	tally   tally
	trail   Trail
	looked  looked
	sights  sights
}

// doorSteps are the first steps, which every request takes, also one to a page of ours.
const doorSteps = 2

// step is one decision on a request's way. The list is the whole truth: the console
// shows it.
type step struct {
	name   string
	clause string
	run    func(*visit) *refusal
}

// New makes a Gateway. Nothing is read yet: call Start once a policy is in force.
func New(d Deps) (*Gateway, error) {
	switch {
	case d.DB == nil, d.Rules == nil, d.Sessions == nil, d.Access == nil, d.Keys == nil, d.Origin == nil,
		d.RoutesFile == "", d.Fail == nil, d.Now == nil, d.Log == nil:
		return nil, errors.New("gateway: a dependency is missing")
	case d.Origin.Scheme != "https" || d.Origin.Host == "":
		return nil, fmt.Errorf("gateway: origin %s is not https", d.Origin)
	}
	upstreams, err := d.places()
	if err != nil {
		return nil, err
	}
	g := &Gateway{db: d.DB, rules: d.Rules, sessions: d.Sessions, tokens: d.Tokens, proxies: d.Proxies, access: d.Access, origin: d.Origin, upstreams: upstreams, sticky: d.Zones.Sticky, asks: d.Asks,
		fail: d.Fail, now: d.Now, log: d.Log, listening: d.Listening, outbound: d.Outbound, stores: d.Stores, look: d.Look, plant: d.Plant, trail: d.Trail, keys: d.Keys, hosts: map[string]string{},
		cross: http.NewCrossOriginProtection(), pause: bodyPause, patience: streamEnd}
	if g.listening == nil {
		g.listening = func() []Listening { return nil }
	}
	for _, h := range d.Hosts {
		g.hosts[strings.ToLower(h)] = h
	}
	g.hosts[strings.ToLower(d.Origin.Hostname())] = d.Origin.Host
	signer, err := newSigner(d, upstreams[0].URL)
	if err != nil {
		return nil, err
	}
	g.signer = signer
	if g.forms, err = newForms(d); err != nil {
		return nil, err
	}
	g.changes = make(chan pool.Change, 64)
	g.pool = g.newPool(d)
	g.files.name = d.RoutesFile
	g.cache = cache.New(cache.Options{Now: d.Now, Max: d.CacheMax})
	g.tally.init()
	g.streams.init()
	if g.watch, err = newWatch(d.WAF); err != nil {
		return nil, err
	}
	g.programs, g.described.files = d.Programs, d.Programs.Files
	g.shadow.queue, g.shadow.seen = make(chan sample, shadowQueue), map[*openapi.Operation]*compared{}
	if g.limits, err = newLimits(d.Programs.Limits); err != nil {
		return nil, err
	}
	g.bots.init(d.Programs.Limits.Bots)
	g.sights.init()
	if err := g.newWayOut(d); err != nil {
		return nil, err
	}
	g.visits.New = func() any { return g.newVisit() }
	g.steps = []step{
		{"admit", noAutomation, (*visit).admit},
		{"block", breachResearch, (*visit).blocked},
		{"mode", lossFreeze, (*visit).checkMode},
		{"route", noAutomation, (*visit).findRoute},
		{"rate-address", publicAPI, (*visit).rateAddress},
		{"cors", noAutomation, (*visit).preflight},
		{"caller", noAutomation, (*visit).findCaller},
		{"stage", lossMaintenance, (*visit).checkStage},
		{"allow", noAutomation, (*visit).allow},
		{"rate-caller", publicAPI, (*visit).rateCaller},
		{"body", noAutomation, (*visit).bound},
		{"browser", noAutomation, (*visit).browser},
		{schemaStep, publicAPI, (*visit).judge},
		{"guard-in", noCard, (*visit).guardIn},
		{"waf", noAutomation, (*visit).lookAt},
		{"cache", hostCDN, (*visit).fromCache},
		{"upstream", netPrivate, (*visit).forward},
	}
	return g, nil
}

// Start reads mode and routes. It fails when the route file is not good: see Reload.
func (g *Gateway) Start(ctx context.Context) error {
	if err := g.readMode(ctx); err != nil {
		return fmt.Errorf("start gateway: %w", err)
	}
	if err := g.turnTickets(ctx); err != nil {
		g.log.Error("tickets for shorter handshakes are this process's own until their key is there", "err", err)
	}
	if err := g.readExceptions(ctx); err != nil {
		return fmt.Errorf("start gateway: %w", err)
	}
	if err := errors.Join(g.readDestinations(ctx), g.readBlocks(ctx)); err != nil {
		return fmt.Errorf("start gateway: %w", err)
	}
	if err := g.adoptAtStart(ctx); err != nil {
		return err
	}
	return g.describeAtStart(ctx)
}

// Slots gives the policy the gate's rules.
func (g *Gateway) Slots() []clause.Slot { return []clause.Slot{g.rules} }

// visit is one request on its way. Visits are used again: nothing may keep one after
// ServeHTTP has returned.
type visit struct {
	g     *Gateway
	proxy httputil.ReverseProxy

	w       http.ResponseWriter
	r       *http.Request
	began   time.Time
	target  target
	host    string // for the application
	table   *table
	mode    *modeState
	payment bool
	need    decision
	who     actor.Actor // zero = nobody known
	facts   SessionFacts
	asked   bool         // by another proxy, about a request
	renewed bool         // the answer sets the session cookie
	failed  *refusal     // what the upstream step met
	out     early        // v.w for the proxy
	held    *heldBody    // the body, where a step wanted all of it
	roomy   *roomyBody   // the body, where reading it takes much
	habit   *habit       // of the network; nil = not counted
	listed  bool         // it is among those where machines are at home
	lease   *lease       // what is held of files that are looked into
	api     *openapi.API // the descriptions the request began with; nil = none
	match   openapi.Match
	judged  bool     // by the description, and found good
	spent   [4]spent // what the caller's limits say
	told    int
	dry     bool        // nothing is asked for: somebody wants to know what would be
	notes   []string    // of a dry run
	as      actor.Actor // who acts in one
	cancel  func()      // ends the request to the application
	kept    keptAnswer  // a short answer, where the guard has read it
	waf     wafRule     // how it is looked at
	spoils  bool        // an unsafe act: what is cached of the target is forgotten when it is done
	private bool        // something in the answer is for this caller alone: it is not stored
	shows   showing     // what the answer shows, as the application says
	status  int

	faceless *rule      // the cached route, for whose application the client has no face
	heard    keptStatus // v.w for the cache
	served   bool       // a step has answered, and not to refuse
}

func (g *Gateway) newVisit() *visit {
	v := &visit{g: g}
	v.proxy = httputil.ReverseProxy{
		Rewrite: v.rewrite, ModifyResponse: v.modify, ErrorHandler: v.broken,
		Transport: way{v}, BufferPool: &g.buffers,
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	return v
}

// ServeHTTP takes the application's requests through the steps.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := g.visits.Get().(*visit)
	v.w, v.r = w, r
	if g.trail != nil {
		v.began = g.now()
	}
	v.table = g.current()
	done := false
	defer func() { // also when the connection was cut by panic: then the visit is not used again
		v.record()
		v.keepRecord()
		if v.held != nil {
			v.held.free()
		}
		if v.roomy != nil {
			v.roomy.free()
		}
		if v.lease != nil {
			v.lease.free()
		}
		if done {
			*v = visit{g: g, proxy: v.proxy}
			g.visits.Put(v)
			return
		}
		p := recover()
		if p != http.ErrAbortHandler { //nolint:errorlint // the sentinel of net/http is compared, not wrapped
			g.log.Error("panic at the gate", "route", v.need.node.pattern, "panic", p, "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler) // net/http would tell of others only where nobody looks
	}()
	for i := range g.steps {
		if ref := g.steps[i].run(v); ref != nil {
			v.failed = ref
			v.refuse(&g.steps[i], ref)
			break
		}
		if v.served {
			break
		}
	}
	done = true
}

// Front is the whole public door: known host and canonical form for every request,
// then Writ's own pages or the application's. owns says which requests are ours.
func (g *Gateway) Front(ours http.Handler, owns func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(g.proxies) > 0 {
			r = g.proxies.behind(r.WithContext(context.WithValue(r.Context(), peerKey{}, web.RemoteIP(r))))
		}
		if g.aside.asked(r) {
			g.serveAside(w, r)
			return
		}
		if !owns(r) || g.yields(r) {
			g.ServeHTTP(w, r)
			return
		}
		var o *ownAnswer
		if g.trail != nil {
			o = g.watchOwn(w, r)
			defer o.keep()
			w, r = o, o.r
		}
		v := visit{g: g, w: w, r: r, table: g.current()}
		v.need.node = g.ownNode()
		for i := range g.steps[:doorSteps] {
			if ref := g.steps[i].run(&v); ref != nil {
				v.failed = ref
				v.refuse(&g.steps[i], ref)
				v.record()
				return
			}
		}
		v.payment = false
		v.transportRules(w.Header())
		if r.URL.Path == forwardPath && r.Method == http.MethodGet {
			if o != nil {
				o.asked = true
			}
			g.forwardAuth(w, r)
			return
		}
		ours.ServeHTTP(w, r)
	})
}

func (g *Gateway) ownNode() *node { return &node{pattern: "/-/", count: g.tally.counter("/-/")} }

// admit accepts a known host and a target in canonical form.
func (v *visit) admit() *refusal {
	if v.need.node == nil {
		v.need.node = v.table.rest
	}
	host, ok := v.g.knownHost(v.r.Host)
	if !ok {
		return refuseHost
	}
	v.host = host
	uri := v.r.RequestURI
	if v.r.URL.Host != "" { // absolute form: RFC 9112 section 3.2.2 wants it taken; net/http has put its host in Host
		if rest, ok := strings.CutPrefix(uri, "https://"+v.r.Host); ok {
			uri = rest
		}
	}
	if !goodName(v.r.Method) || v.r.Method == http.MethodConnect || v.r.Method == http.MethodTrace {
		return refuseMethod
	}
	t, ref := parseTarget(uri)
	if ref != nil {
		return ref
	}
	v.target = t
	if v.g.asks != "" && t.path == v.g.asks { // clause: net.private
		return refuseAsked
	}
	if names(t.raw) || names(t.query) {
		return refuseTold
	}
	v.payment = v.table.payment(t.path)
	return nil
}

// goodName accepts methods as they are registered: short, in capitals. One readable in
// two ways (some applications take "post" for POST) or of any length is refused: it is
// part of what assertions are kept under.
func goodName(method string) bool { // clause: use.no-automation
	if len(method) == 0 || len(method) > 20 {
		return false
	}
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// knownHost returns the host to name to the application.
func (g *Gateway) knownHost(host string) (string, bool) {
	if host == g.origin.Host {
		return g.origin.Host, true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	to, ok := g.hosts[strings.ToLower(strings.Trim(name, "[]"))]
	return to, ok
}

// findRoute says what the path asks of its caller.
func (v *visit) findRoute() *refusal {
	v.need = v.table.decide(v.r.Method, v.target.path)
	if method := asksFor(v.r); method != "" && !v.asked {
		if asked := v.table.decide(method, v.target.path); asked.cors() != nil {
			v.need = asked
		}
	}
	v.describe()
	if v.need.deny != nil {
		v.w.Header().Set("Allow", v.need.allow)
	}
	return v.need.deny
}

// current is the table in force. When the policy has changed since it was made, it is
// made anew; a route that has become too loose is clamped to the policy.
func (g *Gateway) current() *table {
	rules, t := g.rules.Get(), g.table.Load()
	if t != nil && t.rules == rules {
		return t
	}
	file := &routeFile{}
	if t != nil {
		file = t.file
	}
	next, err := newTable(rules, file, g.tally.counter, g.hsts(rules), true)
	if err != nil { // cannot be: the file made a table before
		g.log.Error("routes could not be joined with the new policy; only the policy is in force", "err", err)
		next, _ = newTable(rules, &routeFile{}, g.tally.counter, g.hsts(rules), true)
	}
	if len(next.loose) > 0 {
		g.log.Warn("the policy has become tighter than these routes; the policy holds", "routes", next.loose)
	}
	g.table.CompareAndSwap(t, next)
	return next
}

// hsts is the header's value, for the host and all below it; nil for loopback names,
// where it would break the other sites a developer runs under the same name.
func (g *Gateway) hsts(r *Rules) []string {
	if listen.Loopback(g.origin.Hostname()) || r.HSTS <= 0 {
		return nil
	}
	v := make([]string, 1) // no room: an append by anyone copies
	v[0] = fmt.Sprintf("max-age=%d; includeSubDomains", int64(r.HSTS/time.Second))
	return v
}
