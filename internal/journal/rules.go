package journal

import (
	"sync/atomic"
	"time"

	"writ/internal/clause"
)

// Rules are what the policy says of the journal.
type Rules struct {
	Checkpoint time.Duration `clause:"log.tamper-evident/checkpoint"` // how often the state is signed at least
	Witnesses  int           `clause:"log.tamper-evident/witnesses"`  // how many others countersign
}

// slot knows whether a policy was adopted: the journal runs before there is one, or
// the adoption could not be recorded.
type slot struct {
	*clause.Live[Rules]
	set atomic.Bool
}

// Set implements clause.Slot.
func (s *slot) Set(ps []clause.Period) error {
	err := s.Live.Set(ps)
	if err == nil {
		s.set.Store(true)
	}
	return err
}

// Cadence is how old the last signature may become, as the policy says.
func (j *Journal) Cadence() time.Duration { return j.rules.cadence() }

// cadence is how old the last signature may become.
func (s *slot) cadence() time.Duration {
	if !s.set.Load() {
		return time.Hour
	}
	return s.Get().Checkpoint // clause: log.tamper-evident
}
