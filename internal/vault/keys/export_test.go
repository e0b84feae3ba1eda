package keys

// StopAt makes the service call f after each step.
func (s *Service) StopAt(f func(step string) error) { s.step = f }

// SetBatch is how many values are sealed anew in one change.
func (s *Service) SetBatch(n int) { s.batch = n }
