package vault

import (
	"context"
	"errors"
	"sync"

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

// folds counts refusals of this minute. A crash loses the counts of less than one.
type folds struct {
	mu sync.Mutex
	m  map[refusalOf]*counted
}

// single reports whether a refusal is to be an entry of its own.
func (f *folds) single(who actor.Actor, code string) bool {
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

// take hands over the minute's counts.
func (f *folds) take() map[refusalOf]*counted {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.m
	f.m = nil
	return m
}

// writeFolded records what was counted.
func (s *Service) writeFolded(ctx context.Context) error {
	var errs []error
	for k, c := range s.folds.take() {
		if c.n <= oneByOne {
			continue
		}
		_, err := s.change(ctx, c.who, func(*ledger.Tx) (ledger.Event, error) {
			return ReadsRefused{Code: k.code, Count: c.n - oneByOne}, nil
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
