package keys

import (
	"context"

	"writ/internal/keyring"
)

// StopAt makes the service call f after each step.
func (s *Service) StopAt(f func(step string) error) { s.step = f }

// SetBatch is how many values are sealed anew in one change.
func (s *Service) SetBatch(n int) { s.batch = n }

// Unsound makes the control of destructions meet backups that are not put right, or that
// live on after their day.
func (s *Service) Unsound(replays, ends bool) {
	s.tried = sound()
	if !replays {
		s.tried.replay = func(context.Context, *keyring.Ring, keyring.Tombstone) error { return nil }
	}
	if !ends {
		s.tried.forget = func(*keyring.Shelf, string) error { return nil }
	}
}
