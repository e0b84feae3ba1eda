package policy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy/document"
)

// Moment is the law at one point in time.
type Moment struct {
	At         time.Time
	Revision   Revision
	Policy     *document.Policy // as signed
	Values     clause.Values    // as obeyed: with the exceptions that held, and shipped defaults for what the revision lacks
	Exceptions []Exception      // that held
}

// Current is the law now.
func (s *Service) Current() (Moment, error) { return s.At(s.now()) }

// At is the law at t: the revision, its owners, the exceptions and values that held.
// fault.NotFound before the first revision.
func (s *Service) At(t time.Time) (Moment, error) {
	b := s.state()
	r := b.at(t)
	if t.Before(r.HoldsFrom) {
		return Moment{}, fault.New(fault.NotFound, "no_policy_then", fault.Public{Problem: "No policy was in force at " + date(t) + ".", Expected: "The first holds from " + date(r.HoldsFrom) + "."})
	}
	p, err := s.document(r)
	if err != nil {
		return Moment{}, err
	}
	q, held, err := s.effective(b, t)
	if err != nil {
		return Moment{}, err
	}
	vals, unbound, err := s.bind(q, running)
	if err != nil {
		vals = q.Values() // an old revision may not fit this build's rules; then it says what it says
	} else {
		s.mend(vals, unbound)
	}
	for i := range held {
		held[i].Level = s.level(b, &held[i], t)
	}
	return Moment{At: t.UTC(), Revision: b.view(r, t), Policy: p, Values: vals, Exceptions: held}, nil
}

// Revisions lists the adopted ones, newest first.
func (s *Service) Revisions() []Revision {
	b := s.state()
	var out []Revision
	for _, r := range slices.Backward(b.chain) {
		out = append(out, b.view(r, s.now()))
	}
	return out
}

// Proposals lists what was proposed and is not adopted, newest first, closed ones too.
func (s *Service) Proposals() []Revision {
	b := s.state()
	out := []Revision{}
	for _, r := range slices.Backward(b.revisions) {
		if r.State != Approved {
			out = append(out, b.view(r, s.now()))
		}
	}
	return out
}

// Proposal gives one revision (open, closed or adopted) with its difference to the one
// before, what it would do while it is not in force, and the texts to sign. ref is a version
// or an id.
func (s *Service) Proposal(ctx context.Context, ref string) (Proposal, error) {
	p, err := s.oneProposal(ctx, ref)
	if err != nil {
		return p, err
	}
	return s.foresee(ctx, p)
}

// oneProposal is Proposal without the forecast.
func (s *Service) oneProposal(ctx context.Context, ref string) (Proposal, error) {
	b := s.state()
	r, err := b.find(ref)
	if err != nil {
		return Proposal{}, err
	}
	return s.proposal(ctx, b, r)
}

// Document is the policy of a revision.
func (s *Service) Document(ref string) (*document.Policy, error) {
	r, err := s.state().find(ref)
	if err != nil {
		return nil, err
	}
	return s.document(r)
}

// Diff is what the revision to does to the revision from.
func (s *Service) Diff(from, to string) (document.Diff, error) {
	a, err := s.Document(from)
	if err != nil {
		return document.Diff{}, err
	}
	b, err := s.Document(to)
	if err != nil {
		return document.Diff{}, err
	}
	return document.Compare(a, b), nil
}

// Drifted lists parameters whose running value differs from the policy's, which cannot
// happen unless something is broken.
func (s *Service) Drifted() ([]string, error) {
	m, err := s.Current()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, slot := range s.slots {
		for key, v := range slot.Running() {
			if want := m.Values[key]; fmt.Sprint(v) != fmt.Sprint(want) {
				out = append(out, fmt.Sprintf("%s is %v in the policy and %v in the module", key, want, v))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// Obeyed reports whether a module's rule obeys the parameter.
func (s *Service) Obeyed(param string) bool {
	for _, slot := range s.slots {
		if slices.ContainsFunc(slot.Bindings(), func(b clause.Binding) bool { return b.Key == param }) {
			return true
		}
	}
	return false
}
