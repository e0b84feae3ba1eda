package series

import (
	"context"
	"fmt"

	"writ/internal/ledger"
)

// Slow makes a writer that is cut off where more than so many rows come at once, and counts that.
func (s *Service) Slow(most int) (cuts *int) {
	cuts = new(int)
	put := s.put
	s.put = func(ctx context.Context, part *Batch) error {
		if len(part.cells) > most {
			*cuts++
			return fmt.Errorf("put: %w", ledger.ErrCutOff)
		}
		return put(ctx, part)
	}
	return cuts
}
