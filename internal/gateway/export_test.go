package gateway

import "time"

// SetPause changes how long a client may rest within a body.
func (g *Gateway) SetPause(d time.Duration) { g.pause = d }

// Kept is how many assertions are kept to be sent again.
func (g *Gateway) Kept() int {
	g.signer.mu.RLock()
	defer g.signer.mu.RUnlock()
	return len(g.signer.made)
}
