package gateway

import (
	"hash/maphash"
	"math/bits"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"writ/internal/gateway/limit"
)

// How much a network behaves like a program that nobody asked for, from 0 to 100. It is told
// from what its requests met and from what browsers always say; never from who is signed in. It
// only makes the limit by address narrower, and never refuses by itself: an office behind one
// address that looks odd waits longer, and no more.
//
//	up to 40  its requests meet nothing (404, 405)
//	up to 20  they are not well made (400, 422)
//	up to 25  it calls itself a browser and says nothing of Sec-Fetch-, or does not say what it is
//	15        it asks for very many different paths
//	25        the machine's settings list its network
//
// Counts are halved each minute, so that a network that mends its ways has its limit again in some.
// The order of headers, which also tells, is lost before any handler sees them.

const (
	mostHabits  = 1 << 16 // networks that are counted at a time
	enoughSeen  = 20      // requests before anything is said of a network
	scoreCounts = 30      // from which on the limit is narrower
)

// habit is what was seen of one network lately.
type habit struct {
	seen, missed, bad, faceless atomic.Int64
	paths                       atomic.Uint64 // one bit for each path, by its hash
}

type bots struct {
	nets []netip.Prefix
	seed maphash.Seed

	mu  sync.RWMutex // guards all
	all map[[16]byte]*habit
}

func (b *bots) init(nets []netip.Prefix) {
	b.nets, b.seed, b.all = nets, maphash.MakeSeed(), map[[16]byte]*habit{}
}

// of is the habit of a network; nil when there is no room for another.
func (b *bots) of(who [16]byte) *habit {
	b.mu.RLock()
	h, full := b.all[who], len(b.all) >= mostHabits
	b.mu.RUnlock()
	if h != nil || full {
		return h
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if h = b.all[who]; h == nil {
		h = &habit{}
		b.all[who] = h
	}
	return h
}

// named reports whether the settings list an address.
func (b *bots) named(ip netip.Addr) bool {
	for _, n := range b.nets {
		if n.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// age halves what is known and forgets who was quiet.
func (b *bots) age() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for who, h := range b.all {
		if h.seen.Load() < 2 {
			delete(b.all, who)
			continue
		}
		for _, n := range []*atomic.Int64{&h.seen, &h.missed, &h.bad, &h.faceless} {
			n.Store(n.Load() / 2)
		}
		h.paths.Store(0)
	}
}

// slowed is how many networks have a narrower limit now.
func (b *bots) slowed() (n int64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for who, h := range b.all {
		if h.score(b.named(netip.AddrFrom16(who))) >= scoreCounts {
			n++
		}
	}
	return n
}

// note counts a request that has been answered.
func (h *habit) note(v *visit) { // clause: use.no-automation
	if h == nil {
		return
	}
	h.seen.Add(1)
	switch v.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		h.missed.Add(1)
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		h.bad.Add(1)
	}
	if masked(v.r.Header) {
		h.faceless.Add(1)
	}
	bit := uint64(1) << (maphash.String(v.g.bots.seed, v.target.path) % 64)
	if old := h.paths.Load(); old&bit == 0 {
		h.paths.CompareAndSwap(old, old|bit) // what another wrote meanwhile is as good
	}
}

// masked reports whether a request says it is a browser's and is none, or says nothing. Each
// browser of the last years tells where a request comes from.
func masked(h http.Header) bool {
	agent := h["User-Agent"]
	return len(agent) == 0 || strings.HasPrefix(agent[0], "Mozilla/") && len(h["Sec-Fetch-Site"]) == 0
}

// score is between 0 and 100.
func (h *habit) score(listed bool) int64 { // clause: use.no-automation
	n := int64(0)
	if listed {
		n = 25
	}
	if h == nil {
		return n
	}
	seen := h.seen.Load()
	if seen < enoughSeen {
		return n
	}
	n += 40*h.missed.Load()/seen + 20*h.bad.Load()/seen + 25*h.faceless.Load()/seen
	if seen >= 100 && bits.OnesCount64(h.paths.Load()) >= 48 {
		n += 15
	}
	return min(max(n, 0), 100)
}

// slower is what is left of a limit: a tenth at the least.
func slower(r limit.Rate, score int64) limit.Rate { // clause: use.no-automation
	if score < scoreCounts {
		return r
	}
	r.N = max(1, r.N*max(10, 100-score)/100)
	return r
}
