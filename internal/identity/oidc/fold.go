package oidc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

// fold keeps strangers from filling the journal: of each cause ten refusals a minute are
// recorded one by one, the rest as one entry with their number. A crash loses the number
// of the present minute.
type fold struct {
	mu    sync.Mutex
	since time.Time
	n     map[RequestRefused]int64
}

const oneByOne = 10

// counted reports whether a refusal is to be recorded by itself.
func (f *fold) counted(ev RequestRefused) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == nil {
		f.n = map[RequestRefused]int64{}
	}
	f.n[ev]++
	return f.n[ev] <= oneByOne
}

// take returns what was folded in a minute that is over, or in any case with all.
func (f *fold) take(now time.Time, all bool) map[RequestRefused]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !all && now.Sub(f.since) < time.Minute && !now.Before(f.since) {
		return nil
	}
	out := maps.Clone(f.n)
	f.n, f.since = map[RequestRefused]int64{}, now
	return out
}

// refused records a refusal and returns it; not recordable is another error. client is
// the id of a registered client or empty: what strangers write is not recorded.
func (s *Service) refused(ctx context.Context, who actor.Actor, at, client string, bad *refusal) error {
	ev := RequestRefused{At: at, Cause: bad.cause, Client: client}
	if !s.fold.counted(ev) {
		return bad
	}
	ev.Count = 1
	return s.DB.Refuse(ctx, who, ev, bad)
}

func (s *Service) writeFolded(ctx context.Context, all bool) error {
	var errs []error
	for ev, n := range s.fold.take(s.Now(), all) {
		if n <= oneByOne {
			continue
		}
		ev.Count = n - oneByOne
		if _, err := s.DB.Change(ctx, actor.System("identity-oidc"), func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err != nil {
			errs = append(errs, fmt.Errorf("record folded refusals: %w", err))
		}
	}
	return errors.Join(errs...)
}
