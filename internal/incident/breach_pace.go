package incident

import (
	"context"
	"strings"
	"sync"
	"time"

	"writ/internal/ledger"
)

const (
	perHost   = 300    // letters a minute to one receiving host, one connection at a time
	mostHosts = 10_000 // that are remembered
	mostTurns = 20     // how often a tick looks for letters of hosts that are not at their pace
)

// Reach knows which addresses letters came back from.
type Reach interface {
	Reaches(ctx context.Context, address string) (bool, error)
}

// pacing spreads letters over time, so that no receiving host gets more than so many a minute:
// one that gets many from a stranger at once takes them for something else, and takes none.
// A letter beyond the pace is given a time of its own, so it is put off once and not again and
// again. It is kept in memory: after a restart a host may get one minute's letters more.
type pacing struct {
	mu    sync.Mutex
	hosts map[string]*hostPace
}

type hostPace struct {
	full time.Time // when what it got is a minute's letters worth in the past
	turn time.Time // the last one that was given away
}

// at is when a letter may go to a host: now, or at a time that is kept for it.
func (p *pacing) at(host string, now time.Time, most int64) time.Time {
	each := time.Minute / time.Duration(most)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts == nil || len(p.hosts) > mostHosts {
		p.trim(now)
	}
	h := p.hosts[host]
	if h == nil {
		h = &hostPace{}
		p.hosts[host] = h
	}
	if h.full.Before(now) || h.full.After(now.Add(time.Minute)) { // long ago, or the clock was set back
		h.full = now
	}
	if free := h.full.Add(each - time.Minute); free.After(now) {
		if h.turn.Before(free) {
			h.turn = free
		} else {
			h.turn = h.turn.Add(each)
		}
		return h.turn
	}
	h.full = h.full.Add(each)
	return now
}

// trim forgets hosts whose minute is over; where that is not enough, all of them.
func (p *pacing) trim(now time.Time) {
	for name, h := range p.hosts {
		if h.full.Before(now) && h.turn.Before(now) {
			delete(p.hosts, name)
		}
	}
	if p.hosts == nil || len(p.hosts) > mostHosts {
		p.hosts = map[string]*hostPace{}
	}
}

// hostOf is the receiving host of an address.
func hostOf(address string) string {
	_, host, _ := strings.Cut(address, "@")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// putOff gives a letter that is beyond the pace of its host its time.
func (s *Service) putOff(ctx context.Context, id string, until time.Time) error { // clause: inc.breach-notify
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE incident_letter SET next = $2 WHERE id = $1 AND state = 'queued'`, id, us(until))
		return err
	})
}
