package identity

import "context"

// What tests see of the comparison of answers.
var (
	MannWhitney = mannWhitney
	Median      = median
)

// Knows reports whether an address has an account.
func (s *Service) Knows(ctx context.Context, email string) bool {
	addr, err := ParseAddress(email)
	if err != nil {
		return false
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return false
	}
	_, err = s.accountByIndex(ctx, idx)
	return err == nil
}
