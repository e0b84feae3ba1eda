package incident

import (
	"context"
	"errors"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// facts are what the guards are held against, read from the rows: inside a change those that
// the change itself has written.
func (s *Service) facts(ctx context.Context, r ledger.Reader, who actor.Actor, c Case) (*engine.Facts, error) {
	now, rules := s.Now(), s.Rules.Get()
	if tx, ok := r.(*ledger.Tx); ok {
		now = tx.Now()
	}
	f := &engine.Facts{Now: now, Categories: c.Categories, Severity: c.Severity, Roles: map[engine.Role]bool{}, States: c.States, Waived: map[string]bool{},
		Green: !c.Green.IsZero(), GreenSince: c.Green, Soak: Soak, Estimate: rules.Estimate != "required", LongestFix: rules.Temporary, Actor: by(who), Audience: c.Decided, Proved: map[string]bool{}}
	if who.Kind != actor.Person {
		f.Actor = "" // the operator approves nothing
	}
	err := r.Each(ctx, rolesOf, func(scan ledger.Scan) error {
		var role, person string
		var since int64
		err := scan(&role, &person, &since)
		f.Roles[engine.Role(role)] = true
		return err
	}, c.ID)
	if err != nil {
		return nil, err
	}
	if err := r.Each(ctx, waivedIn, func(scan ledger.Scan) error {
		var region, guard string
		err := scan(&region, &guard)
		f.Waived[engine.WaiverOf(engine.Region(region), guard)] = true
		return err
	}, c.ID, c.Round, us(now.Add(-s.longest()))); err != nil {
		return nil, err
	}
	if err := r.Each(ctx, soloWaived, func(scan ledger.Scan) error {
		var guard string
		err := scan(&guard)
		f.Waived[engine.WaiverOf(engine.R, guard)] = true
		return err
	}, c.ID, c.Round, us(now.Add(-s.longest()))); err != nil {
		return nil, err
	}
	if err := ledger.One(ctx, r, owedTo, []any{&f.AudienceOwe}, c.ID, c.Round); err != nil {
		return nil, err
	}
	return f, errors.Join(proved(ctx, r, c, f), s.publicFacts(ctx, r, c, f), s.reviewFacts(ctx, r, c, f), s.fixFacts(ctx, r, c, f), s.lossFacts(ctx, r, c, f), s.breachFacts(ctx, r, c, f))
}

func (s *Service) publicFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	waiting, err := s.Page.Waiting(ctx, r, c.ID)
	if err != nil {
		return err
	}
	f.Subscribers = int(waiting)
	newest, err := s.Page.Newest(ctx, r, c.ID)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Public = newest.State != status.Retracted
	f.Monitoring = newest.State == status.Monitoring || status.Over(newest.State)
	f.NextDue = s.nextDue(c, newest)
	return nil
}

// nextDue is when the next update must stand on the page: within the policy's interval, half
// of it at severity 1, and by the time that the last update named.
func (s *Service) nextDue(c Case, newest status.Shown) time.Time { // clause: inc.updates
	every := s.Rules.Get().Every
	if c.Severity == 1 {
		every /= 2
	}
	due := newest.At.Add(every)
	if !newest.Next.IsZero() && newest.Next.Before(due) {
		due = newest.Next
	}
	return due
}

func (s *Service) reviewFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	x, err := readReview(ctx, r, c.ID)
	if errors.Is(err, fault.NotFound) || err == nil && x.Round != c.Round {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.Each(ctx, approvedBy, func(scan ledger.Scan) error {
		var person string
		err := scan(&person)
		f.ReviewSigned = f.ReviewSigned || person != x.Author
		return err
	}, c.ID, objectReview, x.Hash); err != nil {
		return err
	}
	var covered int64
	if err := ledger.One(ctx, r, coverage, []any{&covered}, c.ID, x.causes); err != nil {
		return err
	}
	f.Measures = x.causes > 0 && covered == x.causes
	return nil
}

func (s *Service) fixFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	x, err := readFix(ctx, r, c.ID)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Author, f.Expiry, f.LastingOwned, f.Test = x.Author, x.Expires, x.Owner != "" && !x.Due.IsZero(), x.Test != ""
	return nil
}
