package gateway

import (
	"net/http"
	"time"
)

// SetPause changes how long a client may rest within a body.
func (g *Gateway) SetPause(d time.Duration) { g.pause = d }

// Kept is how many assertions are kept to be sent again.
func (g *Gateway) Kept() int {
	g.signer.mu.RLock()
	defer g.signer.mu.RUnlock()
	return len(g.signer.made)
}

// ParseAsked reads what a proxy forwards.
func ParseAsked(h http.Header) (method, host, uri string, ok bool) {
	a, ok := parseAsked(h)
	return a.method, a.host, a.uri, ok
}
