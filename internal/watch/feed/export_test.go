package feed

import "time"

// SetLimit changes how long one batch may take.
func (s *Service) SetLimit(d time.Duration) { s.limit = d }
