package app

import (
	"context"
	"net"
	"net/netip"
	"regexp"

	"writ/internal/gateway"
	"writ/internal/listen"
)

// EgressConf is the way out for private services.
type EgressConf struct {
	Listen  string             `yaml:"listen,omitempty"`  // a private address such as 10.0.1.2:3128; none = there is no way out
	Callers []EgressCallerConf `yaml:"callers,omitempty"` // services that are known by their address
}

// EgressCallerConf is one such service.
type EgressCallerConf struct {
	Name string   `yaml:"name"`
	From []string `yaml:"from"` // addresses or prefixes, private ones

	Tries bool `yaml:"tries,omitempty"` // its machine tells daily whether it reaches anything past the gate
}

var goodService = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

// check names the first setting that is not good. A host's name is looked up when the port
// is opened, and what it leads to is looked at then.
func (c EgressConf) check(bad func(key, got, want string) error) error {
	if c.Listen == "" && len(c.Callers) > 0 {
		return bad("gateway.egress.listen", "", "a private address such as 10.0.1.2:3128, where there are callers")
	}
	if c.Listen == "" {
		return nil
	}
	at, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return bad("gateway.egress.listen", c.Listen, "a private address such as 10.0.1.2:3128")
	}
	if gateway.CheckEgress(at) != nil { // clause: net.gateway-only
		return bad("gateway.egress.listen", c.Listen, "a loopback or private address such as 10.0.1.2:3128: anybody could go out through another")
	}
	seen := map[string]bool{}
	for _, s := range c.Callers {
		if !goodService.MatchString(s.Name) || seen[s.Name] {
			return bad("gateway.egress.callers.name", s.Name, "a name such as billing, each once")
		}
		seen[s.Name] = true
		if len(s.From) == 0 {
			return bad("gateway.egress.callers.from", "", "the addresses of "+s.Name)
		}
		for _, f := range s.From {
			p, err := proxyNet(f)
			if err != nil || !privateNet(p) {
				return bad("gateway.egress.callers.from", f, "a private address, or a prefix of such as 10.0.1.0/24")
			}
		}
	}
	return nil
}

// privateNet reports whether all of a network is private or this machine.
func privateNet(p netip.Prefix) bool {
	a := p.Addr()
	for _, whole := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"} {
		if w := netip.MustParsePrefix(whole); w.Contains(a) && p.Bits() >= w.Bits() {
			return true
		}
	}
	return false
}

// egress opens the way out, where there is one. init serves nothing and leaves the port alone.
func (a *App) egress() (gateway.Egress, error) {
	c := a.config.Gateway.Egress
	if c.Listen == "" || a.setup {
		return gateway.Egress{}, nil
	}
	l, err := listen.Listen(c.Listen)
	if err != nil {
		return gateway.Egress{}, err
	}
	a.closers = append(a.closers, ignoreClosed(l))
	out := gateway.Egress{Listener: l}
	for _, s := range c.Callers {
		to := gateway.EgressCaller{Name: s.Name, Tries: s.Tries}
		for _, f := range s.From {
			p, err := proxyNet(f)
			if err != nil {
				return gateway.Egress{}, err
			}
			to.From = append(to.From, p)
		}
		out.Callers = append(out.Callers, to)
	}
	return out, nil
}

// letOut serves the way out until ctx ends.
func (a *App) letOut(ctx context.Context) error {
	return a.gateway.ServeEgress(ctx, listen.TLSConfig(a.certs, a.gateway.MinTLS, false, a.now))
}

// Gateway is for the demo.
func (a *App) Gateway() *gateway.Gateway { return a.gateway }
