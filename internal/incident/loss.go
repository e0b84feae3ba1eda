package incident

import (
	"context"

	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

func (s *Service) lossActs() map[string]act { return nil }

func (s *Service) lossFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	return nil
}
