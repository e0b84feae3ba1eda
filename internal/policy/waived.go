package policy

import (
	"context"
	"fmt"
	"time"

	"writ/internal/clause"
)

// Waived is a deviation that a module lets two people decide at once, such as a guard of an incident, or
// one alone where a parameter of the policy allows that. It is of a clause and not of a parameter, carries
// no signature of an owner, and ends by itself as an exception does.
type Waived struct {
	Clause    string    `json:"clause"`
	What      string    `json:"what"`
	Object    string    `json:"object"` // incident/I-3: where it shows
	Reason    string    `json:"reason"`
	Requester string    `json:"requester"`
	Approver  string    `json:"approver,omitempty"` // "" = one person alone
	Starts    time.Time `json:"starts"`
	Ends      time.Time `json:"ends"`
	Live      bool      `json:"live"`
}

// Waived lists those of all modules, the newest first.
func (s *Service) Waived(ctx context.Context) ([]Waived, error) {
	out := []Waived{}
	if s.waived == nil {
		return out, nil
	}
	found, err := s.waived(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what was waived: %w", err)
	}
	for _, w := range found {
		now := s.now()
		w.Live = !now.Before(w.Starts) && now.Before(w.Ends)
		out = append(out, w)
	}
	return out, nil
}

// Longest is how long an exception may last.
func (s *Service) Longest() time.Duration { return s.rules.Get().ExceptionMax }

// checkWaived holds each against the promise: written down with a reason, approved by somebody else,
// and ending in time. What one person alone has passed is shown as the deviation that it is.
func (s *Service) checkWaived(ctx context.Context) (clause.Result, error) { // clause: gov.exceptions
	all, err := s.Waived(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	most := s.rules.Get().ExceptionMax
	var bad, alone []string
	live := 0
	for _, w := range all {
		if w.Live {
			live++
		}
		switch {
		case w.Ends.Sub(w.Starts) > most:
			bad = append(bad, fmt.Sprintf("%s lasts longer than %s", w.What, days(most)))
		case w.Approver == w.Requester:
			bad = append(bad, fmt.Sprintf("%s: %s asked for it and agreed to it", w.What, w.Requester))
		case w.Approver == "" && w.Live:
			alone = append(alone, w.What)
		}
	}
	if len(bad) == 0 && len(alone) > 0 {
		return clause.Deviates(fmt.Sprintf("nobody else has approved: %s", alone[0]) + more(len(alone)-1)), nil
	}
	return verdict(len(all), fmt.Sprintf("%d deviations that people decided in the middle of an incident, %d of them live; each ends by itself", len(all), live), bad), nil
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
