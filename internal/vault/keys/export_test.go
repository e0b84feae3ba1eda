package keys

// StopAt makes the service call f after each step.
func (s *Service) StopAt(f func(step string) error) { s.step = f }
