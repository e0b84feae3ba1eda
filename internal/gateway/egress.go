package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/egress"
	"writ/internal/secret"
	"writ/internal/web"
)

const (
	gatewayOnly  = "net.gateway-only"
	noPrivateUse = "use.no-private-use"
)

// Egress is the way out for private services. The zero value is none.
type Egress struct {
	Listener net.Listener   // at a private address
	Callers  []EgressCaller // who is known by their address; others show a token
	// Resolve finds a name's addresses; nil = the system's resolver.
	Resolve func(ctx context.Context, network, name string) ([]netip.Addr, error)
}

// EgressCaller is a private service that is known by the addresses it comes from.
type EgressCaller struct {
	Name string         `json:"name"`
	From []netip.Prefix `json:"from"`
	// Tries says that the service tells daily whether it reaches anything past the gate.
	Tries bool `json:"tries,omitempty"`
}

// CheckEgress refuses a way out that could be reached from outside.
func CheckEgress(at net.Addr) error { // clause: net.gateway-only
	ap, err := netip.ParseAddrPort(at.String())
	if err == nil && private(ap.Addr()) == nil {
		return nil
	}
	return fault.New(fault.Invalid, "egress_public", fault.Public{
		Problem: fmt.Sprintf("gateway.egress.listen is %s, which is no private address: anybody could go out through it.", at), Expected: "A loopback or private address, such as 10.0.1.2:3128.", Next: "Correct it in writ.yaml."})
}

// wayOut is the proxy and what it needs.
type wayOut struct {
	Egress
	list  atomic.Pointer[egressList]
	trial trial
	moves moves

	forgot time.Time // when old moves were last removed; of Run alone
}

func (g *Gateway) newWayOut(d Deps) error {
	g.out.Egress = d.Egress
	g.out.moves.init()
	g.out.list.Store(&egressList{})
	if g.out.Resolve == nil {
		g.out.Resolve = net.DefaultResolver.LookupNetIP
	}
	if d.Egress.Listener == nil {
		return nil
	}
	return CheckEgress(d.Egress.Listener.Addr())
}

// ServeEgress lets private services out until ctx ends. secure is for those that speak TLS
// with the proxy. Without a listener it waits for ctx.
func (g *Gateway) ServeEgress(ctx context.Context, secure *tls.Config) error {
	if g.out.Listener == nil {
		<-ctx.Done()
		return nil
	}
	d := &net.Dialer{}
	p, err := egress.New(egress.Deps{Caller: g.whoGoesOut, Listed: g.listed, Resolve: g.resolveOut, Dial: d.DialContext, Began: g.out.moves.began, Told: g.out.moves.told, Log: g.log, TLS: forProxy(secure)})
	if err != nil {
		return fmt.Errorf("serve the way out: %w", err)
	}
	return p.Serve(ctx, g.out.Listener) //nolint:wrapcheck // says what failed
}

// forProxy is the public door's side of TLS for callers that speak one protocol alone.
func forProxy(door *tls.Config) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		c := door
		if door.GetConfigForClient != nil {
			chosen, err := door.GetConfigForClient(h)
			if err != nil {
				return nil, err //nolint:wrapcheck // crypto/tls tells the other side
			}
			c = cmp.Or(chosen, door)
		}
		c = c.Clone()
		c.NextProtos, c.SessionTicketsDisabled = []string{"http/1.1"}, true
		return c, nil
	}}
}

// whoGoesOut knows a service by its address, and a program of ours by its token.
func (g *Gateway) whoGoesOut(ctx context.Context, from netip.Addr, token secret.Text) (egress.Who, error) { // clause: net.gateway-only
	if g.out.trial.holds(token) {
		return egress.Who{Name: "writ/canary", As: actor.System("canary")}, nil
	}
	if !token.IsZero() {
		return g.programGoesOut(ctx, from, token)
	}
	for _, c := range g.out.Callers {
		if slices.ContainsFunc(c.From, func(p netip.Prefix) bool { return p.Contains(from) }) {
			return egress.Who{Name: "service/" + c.Name, As: actor.System("gateway")}, nil
		}
	}
	return egress.Who{}, nil
}

func (g *Gateway) programGoesOut(ctx context.Context, from netip.Addr, token secret.Text) (egress.Who, error) {
	if g.tokens == nil {
		return egress.Who{}, nil
	}
	stranger := web.StrangerOf(&http.Request{RemoteAddr: netip.AddrPortFrom(from, 0).String()})
	who, err := g.tokens.LookupToken(ctx, stranger, token, from)
	switch kind := fault.KindOf(err); {
	case err == nil && goesOut(who):
		return egress.Who{Name: who.String(), As: who}, nil
	case err == nil, kind == fault.Unauthenticated, kind == fault.Limited, kind == fault.Denied:
		return egress.Who{}, nil
	}
	return egress.Who{}, fmt.Errorf("look up a token: %w", err)
}

// resolveOut finds the addresses of a name.
func (g *Gateway) resolveOut(ctx context.Context, network, name string) ([]netip.Addr, error) {
	if ips, ok := g.out.trial.addresses(name); ok {
		return ips, nil
	}
	return g.out.Resolve(ctx, network, name)
}

// listed reports whether a private service may reach a destination now.
func (g *Gateway) listed(to egress.Target) ([]netip.Prefix, bool) { // clause: net.gateway-only, use.no-private-use
	if !slices.Contains(g.rules.Get().Gateways, "gateway") { // the policy lets nothing out
		return nil, false
	}
	if in, ok := g.out.trial.listed(to); ok {
		return in, true
	}
	e, ok := g.out.list.Load().at[to]
	return e.nets, ok && g.now().Before(e.until)
}

// trial is what a control has made up while it runs: a caller's token, and names that
// nobody else can guess. The proxy treats them as any other.
type trial struct {
	mu    sync.Mutex
	token secret.Text
	names map[string]trialName
}

type trialName struct {
	ips  []netip.Addr
	port uint16
	nets []netip.Prefix
}

func (t *trial) set(token secret.Text, names map[string]trialName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.names = token, names
}

func (t *trial) holds(token secret.Text) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !token.IsZero() && !t.token.IsZero() && t.token.Equal(token)
}

func (t *trial) addresses(name string) ([]netip.Addr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.names[name]
	return n.ips, ok
}

func (t *trial) listed(to egress.Target) ([]netip.Prefix, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.names[to.Name]
	return n.nets, ok && n.port == to.Port
}

// errNoWayOut says that there is none to look at.
var errNoWayOut = errors.New("no way out is set up for private services: gateway: egress: in writ.yaml")
