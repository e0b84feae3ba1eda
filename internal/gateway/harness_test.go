package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/ledger/ledgertest"
	"writ/internal/listen"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/web"
)

// sessions is a fake table: token → actor, or an error.
type sessions struct {
	mu   sync.Mutex
	who  map[string]actor.Actor
	errs map[string]error

	programs map[string]actor.Actor // by token
	gained   map[string]actor.Actor // by token: who acts once it was renewed
}

func (s *sessions) LookupToken(_ context.Context, who actor.Actor, token secret.Text, from netip.Addr) (actor.Actor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.errs[token.Reveal()]; err != nil {
		return actor.Actor{}, err
	}
	a, ok := s.programs[token.Reveal()]
	if !ok || who.Kind != actor.Stranger || !from.IsLoopback() {
		return actor.Actor{}, fault.Unauthenticated
	}
	return a, nil
}

// Fresh takes a proof of the last moment from people alone.
func (s *sessions) Fresh(_ context.Context, who actor.Actor, maxAge time.Duration) error {
	if who.Kind == actor.Person && !who.ByToken() && time.Since(who.FactorAt) < maxAge {
		return nil
	}
	return web.NeedStepUp(2, maxAge)
}

func (s *sessions) Lookup(_ context.Context, token secret.Text) (actor.Actor, gateway.SessionFacts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token.Reveal() == "boom" {
		panic("a bug in the table")
	}
	if err := s.errs[token.Reveal()]; err != nil {
		return actor.Actor{}, gateway.SessionFacts{}, err
	}
	if more, ok := s.gained[token.Reveal()]; ok {
		return s.who[token.Reveal()], gateway.SessionFacts{SignedIn: time.Now(), Renew: func(_ context.Context, w http.ResponseWriter) (actor.Actor, error) {
			web.SetCookie(w, "writ", secret.NewText("renewed"), time.Hour)
			return more, nil
		}}, nil
	}
	if who, ok := s.who[token.Reveal()]; ok {
		return who, gateway.SessionFacts{SignedIn: time.Now()}, nil
	}
	return actor.Actor{}, gateway.SessionFacts{}, fault.Unauthenticated
}

// Standing is who a session belongs to now.
func (s *sessions) Standing(_ context.Context, who actor.Actor) (actor.Actor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.errs["standing"]; err != nil {
		return actor.Actor{}, err
	}
	for _, all := range []map[string]actor.Actor{s.who, s.programs} {
		for _, a := range all {
			if a.Session == who.Session && a.Token == who.Token {
				return a, nil
			}
		}
	}
	return actor.Actor{}, fault.Unauthenticated
}

func (s *sessions) set(token string, who actor.Actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who[token] = who
}

func (s *sessions) drop(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.who, token)
}

func (s *sessions) fail(token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs[token] = err
}

func person(id string, roles ...string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: "team-1", Roles: roles, Session: "s-" + id, ACR: 1, FactorAt: time.Unix(1700000000, 0), Via: "https"}
}

// engineer is one who has just shown a second factor.
func (k *gate) engineer() actor.Actor {
	who := person("eng", "engineer")
	who.ACR, who.FactorAt = 2, k.kit.Clock.Now()
	return who
}

// gate is a whole gateway with real listeners.
type gate struct {
	t        testing.TB
	kit      *ledgertest.Kit
	rules    *clause.Live[gateway.Rules]
	sessions *sessions
	g        *gateway.Gateway
	ca       *listen.Authority
	addr     string // of the https listener
	plain    string // of the http listener
	base     string
	file     string
	api      string // the description's file
	ports    []gateway.Listening
	now      func() time.Time
	out      string // of the way out
}

type options struct {
	host     string // public host; "" = localhost
	routes   string
	values   clause.Values // over the defaults
	upstream http.Handler
	url      string             // of an upstream elsewhere
	places   []gateway.Upstream // instead of an upstream
	zones    gateway.Zones
	now      func() time.Time
	noStart  bool
	proxies  []netip.Prefix
	hosts    []string
	outbound func() []gateway.Outbound
	stores   func() []gateway.Store
	kit      *ledgertest.Kit // nil = SQLite
	log      *slog.Logger    // nil = nowhere
	trail    gateway.Trail   // nil = none
	look     gateway.Looks   // nil = none
	plant    func(context.Context, *canary.Door, string) (gateway.Planted, func(), error)
	pages    []web.Route // beside the gate's
	api      string      // a description; "" = none is named
	programs gateway.Programs
	waf      gateway.WAF
	egress   func(*gateway.Egress) // a way out, changed; nil = none
	asks     string
}

func values(over clause.Values) clause.Values {
	v := clause.Values{
		"use.no-automation/default": "signed-in", "use.no-automation/public_paths": []string{"/open/", "/"},
		"crypto.current-public/tls_min": "1.2", "crypto.current-public/ciphers": "aead", "crypto.current-public/deny": []string{"3DES", "MD5", "RC4", "SHA1"},
		"crypto.tls-in-transit/hsts": 365 * 24 * time.Hour, "crypto.certificates/renew_before": 30 * 24 * time.Hour,
		"crypto.payment-pages/paths": []string{"/billing"}, "net.private/public": []string{"bastion", "gateway"}, "inc.loss-freeze/writes": int64(0),
		"net.gateway-only/gateways": []string{"gateway"}, "host.two-zones/zones": int64(2), "host.two-zones/share": int64(5000), "host.auto-recovery/failover": time.Minute,
		"use.public-api/spec": "openapi", "use.public-api/keys": "required", "use.public-api/limits": "required",
		"data.no-card/mode": "block", "data.no-card/detector": "luhn-iin", "data.card-summary/keep": int64(4), "data.no-ssn/mode": "warn", "data.no-phi/mode": "notice",
		"host.cdn/classes": []string{"audio", "images", "logos", "templates", "video"},
	}
	maps.Copy(v, over)
	return v
}

func open(t testing.TB, o options) *gate {
	t.Helper()
	if o.host == "" {
		o.host = "localhost"
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.kit == nil {
		o.kit = ledgertest.Open(t, gateway.Schema())
	}
	k := &gate{t: t, kit: o.kit, sessions: &sessions{who: map[string]actor.Actor{}, errs: map[string]error{}}, now: o.now}
	k.sessions.set("ana", person("ana", "member"))
	k.sessions.set("adm", person("adm", "admin"))
	k.rules = clause.NewLive[gateway.Rules](o.now)
	if err := k.rules.Set([]clause.Period{{Values: values(o.values)}}); err != nil {
		t.Fatal(err)
	}
	if o.url == "" && len(o.places) == 0 {
		if o.upstream == nil {
			o.upstream = http.HandlerFunc(echo)
		}
		up := httptest.NewServer(o.upstream)
		t.Cleanup(up.Close)
		o.url = up.URL
	}
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k.addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(k.addr)
	k.base = "https://" + o.host + ":" + port
	k.file = filepath.Join(t.TempDir(), "routes.yaml")
	if o.routes != "" {
		k.write(o.routes)
	}
	k.api = filepath.Join(t.TempDir(), "api.json")
	if o.api != "" {
		k.describe(o.api)
		o.programs.Files = []string{k.api}
	}
	if o.programs.Plant == nil {
		o.programs.Plant = k.plant
	}
	log := o.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Example"} }, Log: log, Now: o.now})
	if err != nil {
		t.Fatal(err)
	}
	if k.ca, err = listen.OpenAuthority(listen.AuthorityOptions{Dir: t.TempDir(), Hosts: []string{o.host}, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	if o.outbound == nil {
		o.outbound = func() []gateway.Outbound { return []gateway.Outbound{{Name: "application", Host: "127.0.0.1"}} }
	}
	var out gateway.Egress
	if o.egress != nil {
		if out.Listener, err = listen.Listen("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		k.out = out.Listener.Addr().String()
		out.Callers = []gateway.EgressCaller{{Name: "billing", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
		o.egress(&out)
	}
	origin, _ := url.Parse(k.base)
	up, _ := url.Parse(o.url)
	k.g, err = gateway.New(gateway.Deps{DB: k.kit.DB, Rules: k.rules, Sessions: k.sessions, Tokens: k.sessions, Access: policytest.Access(k.kit.DB, k.kit.Clock.Now), Keys: k.kit.Ring,
		Origin: origin, Upstream: up, Upstreams: o.places, Zones: o.zones, Asks: o.asks, RoutesFile: k.file, Proxies: o.proxies, Hosts: o.hosts, Fail: site.Fail, Now: o.now, Log: log,
		Listening: func() []gateway.Listening { return k.ports }, Outbound: o.outbound, Programs: o.programs, Trail: o.trail, Stores: o.stores, Look: o.look, Plant: o.plant, WAF: o.waf, Egress: out})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Mount(append(k.g.Routes(), o.pages...)...); err != nil {
		t.Fatal(err)
	}
	if o.noStart {
		return k
	}
	if err := k.g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pl, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k.plain = pl.Addr().String()
	k.ports = []gateway.Listening{{Name: "https", Addr: k.addr, Source: k.ca}, {Name: "http", Addr: k.plain}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- listen.Serve(ctx, log,
			listen.Door{Name: "https", Listener: l, TLS: k.g.Tickets().TLSConfig(k.ca, k.g.MinTLS, false, o.now), Handler: k.g.Front(site.Handler(door{}), site.Owns), Malformed: k.g.Malformed},
			listen.Door{Name: "http", Listener: pl, Handler: listen.Watched(listen.Redirector(origin), k.g.InClear)})
	}()
	let := make(chan error, 1)
	go func() { let <- k.g.ServeEgress(ctx, listen.TLSConfig(k.ca, k.g.MinTLS, false, time.Now)) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-let); err != nil {
			t.Error(err)
		}
	})
	return k
}

type door struct{}

func (door) Identify(r *http.Request) (actor.Actor, error) {
	if r.Header.Get("Authorization") == "operator" { // stands for the socket
		return actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}, nil
	}
	return web.StrangerOf(r), nil
}

// write replaces the route file so that its stamp changes.
func (k *gate) write(text string) {
	k.t.Helper()
	if err := os.WriteFile(k.file+".new", []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(k.file+".new", k.file); err != nil {
		k.t.Fatal(err)
	}
}

// describe replaces the description so that its stamp changes.
func (k *gate) describe(text string) {
	k.t.Helper()
	if err := os.WriteFile(k.api+".new", []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(k.api+".new", k.api); err != nil {
		k.t.Fatal(err)
	}
}

// plant makes a program for a control, and ends the one that the control made before.
func (k *gate) plant(_ context.Context, _ *canary.Door, control string, scopes []string) (secret.Text, func(), error) {
	token := "writ_svc_" + strings.NewReplacer(".", "", "-", "").Replace(control)
	k.program(token, machine("planted", []string{"member"}, scopes...))
	return secret.NewText(token), func() {
		k.sessions.mu.Lock()
		defer k.sessions.mu.Unlock()
		delete(k.sessions.programs, token)
	}, nil
}

// program gives a token to an actor.
func (k *gate) program(token string, who actor.Actor) {
	k.sessions.mu.Lock()
	defer k.sessions.mu.Unlock()
	if k.sessions.programs == nil {
		k.sessions.programs = map[string]actor.Actor{}
	}
	k.sessions.programs[token] = who
}

// transport dials the gate whatever the host's name.
func (k *gate) transport() *http.Transport {
	return &http.Transport{ForceAttemptHTTP2: true, DisableCompression: true, MaxIdleConnsPerHost: 64,
		TLSClientConfig: &tls.Config{RootCAs: k.ca.Roots()},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", k.addr)
		}}
}

func (k *gate) client() *http.Client {
	tr := k.transport()
	k.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type answer struct {
	*http.Response
	body string
}

// do sends a request; head holds "Name: value" lines.
func (k *gate) do(c *http.Client, method, target string, head ...string) answer {
	k.t.Helper()
	req, err := http.NewRequest(method, k.base, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	path, query, marked := strings.Cut(target, "?")
	req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = path, query, marked
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	res, err := c.Do(req)
	if err != nil {
		k.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return answer{res, string(b)}
}

const (
	asAna   = "Cookie: __Host-writ=ana"
	asAdmin = "Cookie: __Host-writ=adm"
)

// echo tells what the application was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Seen-Target", r.RequestURI)
	w.Header().Set("Seen-Host", r.Host)
	names := make([]string, 0, len(r.Header))
	for n := range r.Header {
		names = append(names, n)
	}
	slices.Sort(names)
	w.Header().Set("Seen-Names", strings.Join(names, ","))
	for _, n := range names {
		w.Header()["Seen-"+n] = r.Header[n]
	}
	b, _ := io.ReadAll(r.Body)
	io.WriteString(w, "app:"+string(b))
}
