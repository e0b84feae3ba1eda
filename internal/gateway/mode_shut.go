package gateway

import (
	"context"
	"time"
)

// Shut is what the gate tells of itself while it is closed, or is not.
type Shut struct {
	Closed bool      // no request comes to the application
	Since  time.Time // in this mode
	Tried  int       // requests of all kinds at all routes, as nobody
	Passed string    // the first of them that was not kept out; "" = none
	Under  int       // changes under way to the application
}

// LookShut takes requests of all kinds at all routes through the steps in the mode that is in
// force, up to the application, and counts the changes that are under way.
func (g *Gateway) LookShut(ctx context.Context) Shut { // clause: inc.loss-maintenance
	m := g.mode.Load()
	if m == nil {
		return Shut{}
	}
	out := Shut{Closed: m.mode == Maintenance, Since: m.since, Under: g.streams.changing()}
	out.Passed, out.Tried = g.rehearse(ctx, m.mode)
	return out
}

// changing counts those that may change something.
func (s *streams) changing() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.ring.next; x != &s.ring; x = x.next {
		if x.changes {
			n++
		}
	}
	return n
}
