package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
)

// Outbound is one place that this process sends data to, by its machine settings.
type Outbound struct {
	Name      string // application, mail, database, keys
	Host      string // name or address; "" when it lies on this machine
	Encrypted bool   // the connection cannot be plain
}

// CheckOutbound refuses a place outside the private network that would be spoken to
// in clear: nothing of ours leaves the provider unencrypted. A name that does not
// resolve is not judged here; its connection will fail by itself.
func CheckOutbound(ctx context.Context, peers []Outbound) error { // clause: crypto.provider-edge
	for _, p := range peers {
		if p.Host == "" || p.Encrypted {
			continue
		}
		ips, err := resolve(ctx, p.Host)
		if err != nil {
			continue
		}
		for _, ip := range ips {
			if private(ip) != nil {
				return fault.New(fault.Invalid, "clear_outbound", fault.Public{
					Problem:  fmt.Sprintf("The connection to the %s at %s would leave the private network in clear.", p.Name, p.Host),
					Expected: "TLS, or a loopback or private address.", Next: "Use an encrypted address in writ.yaml."})
			}
		}
	}
	return nil
}

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	return ips, nil
}

// probeOutbound looks at every place this process sends to: by its settings, and by
// where each name leads at this moment.
func (g *Gateway) probeOutbound(ctx context.Context) (clause.Result, error) {
	if g.outbound == nil {
		return clause.Result{}, errors.New("nobody told the gate where this process sends to")
	}
	peers := g.outbound()
	var tls, inside int
	for _, p := range peers {
		switch {
		case p.Encrypted:
			tls++
			continue
		case p.Host == "":
			inside++
			continue
		}
		ips, err := resolve(ctx, p.Host)
		if err != nil {
			return clause.Result{}, err
		}
		for _, ip := range ips {
			if private(ip) != nil {
				return clause.Failed(fmt.Sprintf("the %s at %s (%s) is outside the private network and is spoken to in clear", p.Name, p.Host, ip.Unmap())), nil
			}
		}
		inside++
	}
	r := clause.Passed(fmt.Sprintf("of %d places this server sends to, %d are reached over TLS only and %d lie inside the private network", len(peers), tls, inside))
	r.Population = int64(len(peers))
	return r, nil
}
