package identity

import (
	"context"
	"errors"

	"writ/internal/actor"
	"writ/internal/fault"
)

// Standing says who somebody is now whose request has been under way for a while: by the
// session, token or look that they came with, whatever its secret is by now. It is no use
// of it, so that a stream that is left open keeps nothing alive. What has ended is
// fault.Unauthenticated; whoever must first enrol or agree is no person then.
func (s *Service) Standing(ctx context.Context, who actor.Actor) (actor.Actor, error) { // clause: auth.best-practice
	now, rules := s.Now(), s.Rules.Get()
	switch {
	case !s.loaded.Load():
		return actor.Actor{}, fault.Newf(fault.Unavailable, "starting", "The server is starting.")
	case who.ByToken():
		l := s.tokens.byNumber(who.Token)
		if l == nil {
			return actor.Actor{}, errEnded()
		}
		if cause := l.dead(now, rules, l.anywhere()); cause != "" || l.owesToken(rules) {
			return actor.Actor{}, errEnded()
		}
		return l.actor(), nil
	case who.Kind == actor.Support:
		l, err := s.oneLook(ctx, `g.id = $1`, who.Session)
		if errors.Is(err, fault.NotFound) {
			return actor.Actor{}, errEnded()
		}
		if err != nil {
			return actor.Actor{}, err
		}
		now, _, _, err := s.looking(ctx, l)
		return now, err
	}
	l, err := s.byIDOf(ctx, who.Session)
	if err != nil {
		return actor.Actor{}, err
	}
	if l == nil || !s.stands(ctx, l, now, rules) {
		return actor.Actor{}, errEnded()
	}
	is := s.actorOf(l, who.Via)
	if l.owes(rules) { // clause: use.terms
		is = l.agreeing(is)
	}
	return is, nil
}
