package notify

import (
	"net/url"
	"strings"
	"sync"
	"time"
)

// vainTries are how many tries in vain, one after another, make a peer rest.
const vainTries = 5

// rests are how long a peer is left alone that does not answer, the first time and those after
// it; the last one stays.
var rests = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

// atChannel begins the name of a channel among the peers: one that asks to be left alone speaks
// for itself, and not for others at its host.
const atChannel = "channel/"

// breaker leaves peers alone that do not answer, so that what waits for one does not hold the
// hands of its channel, and a peer that comes back is not met by all of it at once. It is this
// node's own: what others saw is no reason not to try from here.
type breaker struct {
	mu    sync.Mutex
	peers map[string]*peer
}

type peer struct {
	vain  int       // tries without an answer, since the last one
	rests int       // one after another
	until time.Time // it is left alone
}

// wait is how long a try must wait for its peers; 0 = it may go. After a rest one goes to see,
// and the others wait until that is known.
func (b *breaker) wait(now time.Time, names ...string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var wait time.Duration
	for _, name := range names {
		p := b.peers[name]
		if p == nil {
			continue
		}
		if d := p.until.Sub(now); d <= mostWait { // what is further ahead comes from a clock that was wrong
			wait = max(wait, d)
		}
	}
	if wait > 0 {
		return wait
	}
	for _, name := range names {
		if p := b.peers[name]; p != nil && !p.until.IsZero() {
			p.until = now.Add(sendLimit)
		}
	}
	return 0
}

// heard notes what a peer answered, or that it did not.
func (b *breaker) heard(now time.Time, name string, out *outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !out.vain() {
		delete(b.peers, name)
		return
	}
	p := b.of(name)
	if p.vain++; p.vain >= vainTries {
		p.until = now.Add(rests[min(p.rests, len(rests)-1)])
		p.rests++
	}
}

// asked notes whether a peer asked to be left alone for a time.
func (b *breaker) asked(now time.Time, name string, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait <= 0 {
		delete(b.peers, name)
		return
	}
	b.of(name).until = now.Add(wait)
}

func (b *breaker) of(name string) *peer {
	if b.peers == nil {
		b.peers = map[string]*peer{}
	}
	if b.peers[name] == nil {
		b.peers[name] = &peer{}
	}
	return b.peers[name]
}

// vain reports whether nobody sensible answered: a refusal is an answer, and so is what says
// that this message should come later.
func (o *outcome) vain() bool {
	return o.code == noAnswer || o.state == Deferred && len(o.code) == 3 && o.code[0] == '5'
}

// peer is who answers for a channel: several may lead to one host.
func (c *channel) peer() string {
	switch c.Kind {
	case Mail, File:
		return c.Kind
	case Command:
		return "command/" + c.url.Reveal()
	}
	u, err := url.Parse(c.url.Reveal())
	if err != nil {
		return atChannel + c.Name
	}
	return "host/" + strings.ToLower(u.Host)
}
