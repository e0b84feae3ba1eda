package incident

import (
	"context"

	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

func (s *Service) breachActs() map[string]act { return nil }

func (s *Service) breachFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	return nil
}
