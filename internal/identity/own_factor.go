package identity

import (
	"context"
	"time"
)

// OwnFactor is a second factor, without what proves it.
type OwnFactor struct {
	ID    string     `json:"id"`
	Kind  string     `json:"kind"`
	Name  string     `json:"name"`
	Added time.Time  `json:"added"`
	Used  *time.Time `json:"used,omitempty"`
}

func (s *Service) ownFactors(ctx context.Context, person string, d *OwnData) error {
	fs, err := s.factors(ctx, person)
	d.Factors = make([]OwnFactor, len(fs))
	for i, f := range fs {
		d.Factors[i] = OwnFactor{ID: f.ID, Kind: f.Kind, Name: f.Name, Added: f.Added, Used: some(f.Used)}
	}
	return err
}
