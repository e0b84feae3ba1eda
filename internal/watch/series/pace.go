package series

import (
	"errors"
	"sync"

	"writ/internal/ledger"
)

// Pace is how much goes into one change, whose time is limited: half as much after one that held
// the writer too long, and slowly more again. It is safe for concurrent use.
type Pace struct {
	most, least int

	mu  sync.Mutex
	now int
}

// NewPace begins with the most.
func NewPace(most, least int) *Pace { return &Pace{most: most, least: least, now: most} }

// Some is how much to take now.
func (p *Pace) Some() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Heed takes what came of a change. It reports whether the same is worth another try, in smaller
// parts.
func (p *Pace) Heed(err error) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.now = min(p.now+p.now/8+1, p.most)
	case errors.Is(err, ledger.ErrCutOff) && p.now > p.least:
		p.now, again = max(p.now/2, p.least), true
	}
	return again
}
