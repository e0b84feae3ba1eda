package gateway

import (
	"net"
	"net/http"
	"strings"
)

// aside is a site for reading that has a name of its own.
type aside struct {
	host string
	site http.Handler
}

// Aside has a site answer at a name of its own, and nothing else answer there: no page of this
// server, and not the application. It is set before the doors open.
func (g *Gateway) Aside(host string, site http.Handler) {
	g.aside = aside{strings.ToLower(host), site}
}

// asked reports whether a request is for the name of the site.
func (a aside) asked(r *http.Request) bool {
	if a.host == "" {
		return false
	}
	name := r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	return strings.ToLower(name) == a.host
}

// serveAside answers for the site, with the headers of transport, and records it as it does
// what is this server's own.
func (g *Gateway) serveAside(w http.ResponseWriter, r *http.Request) {
	if g.trail != nil {
		o := g.watchOwn(w, r)
		defer o.keep()
		w, r = o, o.r
	}
	v := visit{g: g, w: w, r: r, table: g.current()}
	v.need.node = g.ownNode()
	v.transportRules(w.Header())
	g.aside.site.ServeHTTP(w, r)
}
