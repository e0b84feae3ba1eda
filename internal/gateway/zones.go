package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/pool"
	"writ/internal/ledger"
)

const autoRecovery = "host.auto-recovery"

// Upstream is one place of the application.
type Upstream struct {
	URL   *url.URL       // http or https
	Zone  string         // what fails together has one name; "" where there is one place
	Roots *x509.CertPool // for a private authority; nil = Deps.Roots
	// Certificate is shown to the place, read at each handshake; nil = none.
	Certificate func() (*tls.Certificate, error)
}

// Zones say how the places of the application are used.
type Zones struct {
	Local  string // our own zone, whose places come first; "" = none does
	Health string // path that answers 2xx where a place is well; "" = any answer is good
	Sticky bool   // a session stays at its place as long as that is well
}

func (d Deps) places() ([]Upstream, error) {
	all := d.Upstreams
	if len(all) == 0 && d.Upstream != nil {
		all = []Upstream{{URL: d.Upstream}}
	}
	if len(all) == 0 {
		return nil, errors.New("gateway: a dependency is missing")
	}
	for _, u := range all {
		if u.URL == nil || u.URL.Scheme != "http" && u.URL.Scheme != "https" || u.URL.Host == "" || strings.Trim(u.URL.Path, "/") != "" {
			return nil, fmt.Errorf("gateway: upstream %s is not http://host:port", u.URL)
		}
	}
	return all, nil
}

// newPool reaches the application at all its places.
func (g *Gateway) newPool(d Deps) *pool.Pool {
	o := pool.Options{Zone: d.Zones.Local, Path: d.Zones.Health, Host: d.Origin.Host, Sticky: d.Zones.Sticky, Now: d.Now, Told: g.changed}
	for _, u := range g.upstreams {
		if u.Roots == nil {
			u.Roots = d.Roots
		}
		o.Places = append(o.Places, pool.Place{URL: u.URL, Zone: u.Zone, Way: newWay(u.URL, newTransport(u))})
	}
	return pool.New(o)
}

// way is the proxy's road to the application for one visit.
type way struct{ v *visit }

// RoundTrip implements http.RoundTripper.
func (w way) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.v.g.pool.RoundTrip(r, w.v.stick()) //nolint:wrapcheck // the proxy's error handler looks at the error itself
}

// stick is whom a sticky pool sends to the same place: a session, else an address.
func (v *visit) stick() string {
	if !v.g.sticky {
		return ""
	}
	if v.who.Session != "" {
		return v.who.Session
	}
	return client(v.r.RemoteAddr)
}

var refuseAllOut = func() *refusal {
	r := refuse(autoRecovery, http.StatusServiceUnavailable, fault.Unavailable, "upstream_out", fault.Public{
		Problem: "The application cannot be reached at any of its places.", Expected: "What you sent did not arrive.", Next: "Try again in a moment."})
	r.err.RetryAfter = 5 * time.Second
	return r
}()

// changed is told by the pool. The record is made outside the request.
func (g *Gateway) changed(c pool.Change) {
	if c.Up {
		g.log.Info("a place of the application is in use again", "place", c.Place, "zone", c.Zone, "by", c.Cause)
	} else {
		g.log.Error("a place of the application is out of use", "place", c.Place, "zone", c.Zone, "by", c.Cause)
	}
	select {
	case g.changes <- c:
	default: // so many in so short a time tell nothing more
		g.log.Warn("a change of a place is not recorded: too many wait", "place", c.Place)
	}
}

// recordChanges makes an entry of each change of a place, until ctx ends.
func (g *Gateway) recordChanges(ctx context.Context) {
	for {
		select {
		case c := <-g.changes:
			g.recordChange(ctx, c)
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gateway) recordChange(ctx context.Context, c pool.Change) {
	_, err := g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) {
		if c.Up {
			return UpstreamUp{Place: c.Place, Zone: c.Zone, Cause: c.Cause}, nil
		}
		return UpstreamDown{Place: c.Place, Zone: c.Zone, Cause: c.Cause}, nil
	})
	if err != nil {
		g.log.Error("a change of a place could not be recorded", "place", c.Place, "err", err)
	}
}

// UpstreamDown says that a place of the application is no longer used.
type UpstreamDown struct {
	Place string `class:"public"`
	Zone  string `class:"public"`
	Cause string `class:"public"` // health or breaker
}

// About implements ledger.Event.
func (e UpstreamDown) About() ledger.About {
	return ledger.About{Name: "gateway.upstream-failed", Clause: autoRecovery, Object: "upstream/" + cmp.Or(e.Zone, "unzoned")}
}

// UpstreamUp says that a place of the application is used again.
type UpstreamUp struct {
	Place string `class:"public"`
	Zone  string `class:"public"`
	Cause string `class:"public"` // health or breaker
}

// About implements ledger.Event.
func (e UpstreamUp) About() ledger.About {
	return ledger.About{Name: "gateway.upstream-recovered", Clause: autoRecovery, Object: "upstream/" + cmp.Or(e.Zone, "unzoned")}
}
