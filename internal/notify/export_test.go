package notify

import "context"

// RetryAfter is retryAfter.
var RetryAfter = retryAfter

// Tend does a round of what is done by the hour.
func (s *Service) Tend(ctx context.Context) error { return s.tend(ctx) }
