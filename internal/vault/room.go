package vault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// The limits of the wire on how many parameters a team has.
const (
	mostStandard = 10_000
	mostAdvanced = 100_000

	countFor = time.Minute
)

// counts remembers how many parameters of a tier a team has. Counting takes longer the more
// there are, so a count holds for a minute while it is far from the limit.
type counts struct {
	mu sync.Mutex
	m  map[[2]string]count
}

type count struct {
	n  int64
	at time.Time
}

// room refuses another parameter where the wire's limit is reached.
func (s *Service) room(ctx context.Context, team string, in Put) error {
	if !in.Wire || in.Overwrite && in.Type == "" { // what names no type makes no new one
		return nil
	}
	tier, most := Standard, int64(mostStandard)
	if in.Tier == Advanced || in.Tier == Intelligent && in.Value.Len() > maxStandard {
		tier, most = Advanced, mostAdvanced
	}
	n, err := s.counted(ctx, team, tier, most)
	if err != nil || n < most {
		return err
	}
	if _, err := readParam(ctx, s.DB, team, in.Name); err == nil {
		return nil // a new version of one that is there
	}
	return fault.New(fault.Limited, "params_full", fault.Public{Problem: fmt.Sprintf("There are %d parameters of the tier %s already.", most, tier), Next: "Delete some that are not needed, or use another tier."})
}

func (s *Service) counted(ctx context.Context, team, tier string, most int64) (int64, error) {
	key := [2]string{team, tier}
	s.counts.mu.Lock()
	c := s.counts.m[key]
	if now := s.Now(); c.n < most*9/10 && now.Sub(c.at) < countFor && !now.Before(c.at) {
		c.n++ // it may be a new one
		s.counts.m[key] = c
		s.counts.mu.Unlock()
		return c.n, nil
	}
	s.counts.mu.Unlock()
	c.at = s.Now()
	if err := ledger.One(ctx, s.DB, countTier, []any{&c.n}, team, tier); err != nil {
		return 0, fmt.Errorf("count parameters: %w", err)
	}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	if s.counts.m == nil {
		s.counts.m = map[[2]string]count{}
	}
	s.counts.m[key] = c
	return c.n, nil
}

const countTier = `SELECT COUNT(*) FROM vault_param WHERE team = $1 AND tier = $2`
