package keys

import (
	"context"
	"time"
)

// LastCopy is when the last backup of a key that was destroyed then is over, at the latest.
func LastCopy(destroyed time.Time) time.Time { return destroyed.Add(horizon) }

// StillGone reports whether each of these keys is destroyed here, at this moment: what a
// certificate says can be tried again by whoever holds it.
func (s *Service) StillGone(ctx context.Context, ids []string) (bool, error) {
	for _, id := range ids {
		gone, err := s.Ring.Gone(ctx, id)
		if err != nil || !gone {
			return false, err
		}
	}
	return len(ids) > 0, nil
}
