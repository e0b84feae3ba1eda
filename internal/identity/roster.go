package identity

import (
	"context"
	"fmt"
)

// Roster is everybody of a team who may sign in now, with their roles, for modules that keep
// things for them. Who asks is their matter.
func (s *Service) Roster(ctx context.Context, team string) ([]Person, error) {
	ps, err := s.people(ctx, peopleBy+` WHERE m.team = $1 AND p.state = 'active' ORDER BY p.created, p.id`, team)
	if err != nil {
		return nil, fmt.Errorf("read the people of a team: %w", err)
	}
	return ps, nil
}

// Customers are all teams of customers, for modules that must reach them. Who asks is their matter.
func (s *Service) Customers(ctx context.Context) ([]Team, error) {
	return s.teams(ctx, teamsBy+` WHERE t.kind = 'customer' ORDER BY t.created, t.id`, us(s.Now()))
}
