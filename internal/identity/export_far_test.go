package identity

import "testing"

// HoldSessions makes memory hold at most n sessions.
func (s *Service) HoldSessions(n int) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.table.limit = n
}

// Held is how many sessions memory holds.
func (s *Service) Held() int {
	s.table.mu.RLock()
	defer s.table.mu.RUnlock()
	return len(s.table.byID)
}

// Again is the service as a restart makes it. Call Load.
func (s *Service) Again(t testing.TB) *Service {
	t.Helper()
	n := &Service{Deps: s.Deps}
	n.table.init()
	n.tokens.init()
	return n
}
