package vault

import (
	"context"
	"errors"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

// Calls that are not let in are entries of their own up to a number; a flood of them from
// one network is counted, and is one entry a minute.
const (
	oneByOne  = 10
	maxFolded = 10_000 // networks and codes at a time; beyond, all of a code are one
)

type refusalOf struct{ network, code string }

type counted struct {
	who actor.Actor
	n   int64 // in this minute
}

// Folds counts refusals of this minute. A crash loses the counts of less than one. The zero
// value is ready, and safe for concurrent use.
type Folds struct {
	mu    sync.Mutex
	m     map[refusalOf]*counted
	since time.Time // when the minute began
}

// Single reports whether a refusal is to be an entry of its own.
func (f *Folds) Single(who actor.Actor, code string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := refusalOf{who.ID, code}
	if f.m == nil {
		f.m = map[refusalOf]*counted{}
	}
	if f.m[k] == nil && len(f.m) >= maxFolded {
		k.network = ""
	}
	if f.m[k] == nil {
		f.m[k] = &counted{who: who}
	}
	f.m[k].n++
	return f.m[k].n <= oneByOne
}

// take hands over the counts of a minute that is over at now, or of one that is not.
func (f *Folds) take(now time.Time) map[refusalOf]*counted {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !now.IsZero() && now.Sub(f.since) < time.Minute {
		return nil
	}
	m := f.m
	f.m, f.since = nil, now
	return m
}

// Write has what was counted recorded if a minute is over; at no time (zero) it always is.
func (f *Folds) Write(now time.Time, record func(who actor.Actor, code string, n int64) error) error {
	var errs []error
	for k, c := range f.take(now) {
		if c.n > oneByOne {
			errs = append(errs, record(c.who, k.code, c.n-oneByOne))
		}
	}
	return errors.Join(errs...)
}

// writeFolded records what was counted.
func (s *Service) writeFolded(ctx context.Context) error {
	return s.folds.Write(time.Time{}, func(who actor.Actor, code string, n int64) error {
		_, err := s.change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
			return ReadsRefused{Code: code, Count: n}, nil
		})
		return err
	})
}
