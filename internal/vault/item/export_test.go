package item

// Acts are what controls try without a door.
type Acts = acts

// Try puts something else before the controls; nil = the service itself.
func (s *Service) Try(a Acts) {
	if s.tried = a; a == nil {
		s.tried = s
	}
}
