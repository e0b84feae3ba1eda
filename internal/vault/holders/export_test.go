package holders

// Step makes a new set stop where fn returns an error.
func (s *Service) Step(fn func(string) error) { s.step = fn }

// DrillEvery, for tests.
const DrillEvery = drillEvery
