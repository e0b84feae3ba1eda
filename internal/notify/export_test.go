package notify

import (
	"context"
	"time"
)

// RetryAfter is retryAfter.
var RetryAfter = retryAfter

// Tend does a round of what is done by the hour.
func (s *Service) Tend(ctx context.Context) error { return s.tend(ctx) }

// Pause is pause.
var Pause = pause

// Peers are a breaker alone.
type Peers struct{ breaker }

// Wait is how long a try must wait.
func (p *Peers) Wait(now time.Time, names ...string) time.Duration { return p.wait(now, names...) }

// Heard notes an outcome.
func (p *Peers) Heard(now time.Time, name, state, code string) {
	p.heard(now, name, &outcome{state: state, code: code})
}

// Asked notes that a peer asked for a time.
func (p *Peers) Asked(now time.Time, name string, wait time.Duration) { p.asked(now, name, wait) }
