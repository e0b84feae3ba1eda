package identity

import (
	"context"
	"time"
)

// WhenLooked says from when until when a look could be used, which may be over long ago. For the
// gate, which holds its records against that; fault.NotFound: there was none.
func (s *Service) WhenLooked(ctx context.Context, id string) (from, until time.Time, err error) { // clause: use.need-to-see
	ls, err := s.looks(ctx, `g.id = $1`, id)
	if err != nil {
		return from, until, err
	}
	if len(ls) != 1 {
		return from, until, noLook()
	}
	if until = ls[0].Until; !ls[0].Ended.IsZero() && ls[0].Ended.Before(until) {
		until = ls[0].Ended
	}
	return ls[0].Began, until, nil
}
