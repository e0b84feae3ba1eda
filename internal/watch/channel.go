package watch

import (
	"context"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/notify"
	"writ/internal/secret"
)

// RulesFor lists the rules and how they did, for somebody.
func (s *Service) RulesFor(ctx context.Context, who actor.Actor) ([]Standing, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/rules"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.Standings(ctx)
}

// Channels lists the ways by which people are told.
func (s *Service) Channels(ctx context.Context, who actor.Actor) ([]notify.Channel, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/channels"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.Notify.Channels(ctx) //nolint:wrapcheck // the kit says what failed
}

// Kinds are the kinds of way that there may be here.
func (s *Service) Kinds() []string { return s.Notify.Kinds() }

// AddChannel adds a way.
func (s *Service) AddChannel(ctx context.Context, who actor.Actor, name, kind string, address secret.Text) (notify.Channel, secret.Text, error) {
	if err := s.Access.Allow(ctx, who, access.WatchManage, "watch/channels"); err != nil {
		return notify.Channel{}, secret.Text{}, err //nolint:wrapcheck // a fault for the reader
	}
	return s.Notify.AddChannel(ctx, who, name, kind, address) //nolint:wrapcheck // a fault for the reader
}

// RemoveChannel removes one.
func (s *Service) RemoveChannel(ctx context.Context, who actor.Actor, name string) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, "watch/channels"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	return s.Notify.RemoveChannel(ctx, who, name) //nolint:wrapcheck // a fault for the reader
}

// TestChannel sends a test message, by mail to the first of those who are told.
func (s *Service) TestChannel(ctx context.Context, who actor.Actor, name string) (delivery string, err error) {
	if err := s.Access.Allow(ctx, who, access.WatchAct, "watch/channels"); err != nil {
		return "", err //nolint:wrapcheck // a fault for the reader
	}
	to := ""
	if name == notify.Mail {
		if to, err = s.Tester(ctx); err != nil {
			return "", err
		}
		if to == "" {
			return "", fault.New(fault.Conflict, "nobody_told", fault.Public{Problem: "There is nobody to tell.", Next: "Give somebody the role engineer or owner, with an address."})
		}
	}
	return s.Notify.Test(ctx, who, name, to) //nolint:wrapcheck // a fault for the reader
}

// Tester is who gets the test letters: the first of those who are told.
func (s *Service) Tester(ctx context.Context) (string, error) {
	people, err := s.Audience(ctx, 0)
	if err != nil || len(people) == 0 {
		return "", err
	}
	return people[0].Email, nil
}

// DeliveriesFor lists what was sent.
func (s *Service) DeliveriesFor(ctx context.Context, who actor.Actor, q notify.Query) ([]notify.Delivery, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/deliveries"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.Notify.Deliveries(ctx, q) //nolint:wrapcheck // the kit says what failed
}
