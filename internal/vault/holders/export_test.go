package holders

import (
	"context"

	"writ/internal/actor"
	"writ/internal/seal"
)

// Step makes a new set stop where fn returns an error.
func (s *Service) Step(fn func(string) error) { s.step = fn }

// DrillEvery, for tests.
const DrillEvery = drillEvery

// Gathering is the gate that the control attacks.
type Gathering = gathering

// Gather puts another gate before the control.
func (s *Service) Gather(f func(d seal.Deps, real Gathering) Gathering) {
	s.gather = func(d seal.Deps) (gathering, error) {
		g, err := seal.NewGate(d)
		return f(d, g), err
	}
}

// BreakRemove puts another removal of holders before the control; nil = the real one.
func (s *Service) BreakRemove(f func(ctx context.Context, who actor.Actor, team, person, cause string) error) {
	s.remove = f
	if f == nil {
		s.remove = s.end
	}
}
