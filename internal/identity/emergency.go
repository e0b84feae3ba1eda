package identity

import (
	"context"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// EmergencyMark begins the token of a session that shares opened, so that no other cookie
// costs a question to the database.
const EmergencyMark = "glass."

// Emergency keeps the sessions that shares open: package glass.
type Emergency interface {
	// Session is who acts with the token; fault.Unauthenticated when it is none, or over.
	Session(ctx context.Context, token secret.Text) (actor.Actor, Session, error)
	// End ends the session the actor acts in.
	End(ctx context.Context, who actor.Actor) error
}

// SetEmergency says who keeps them. Without it there are none.
func (s *Service) SetEmergency(e Emergency) { s.emergency.Store(&e) }

func isEmergency(token secret.Text) bool {
	return token.Len() == len(EmergencyMark)+tokenLength && strings.HasPrefix(token.Reveal(), EmergencyMark)
}

func (s *Service) emergencySession(ctx context.Context, token secret.Text) (actor.Actor, Session, error) {
	e := s.emergency.Load()
	if e == nil {
		return actor.Actor{}, Session{}, errEnded()
	}
	return (*e).Session(ctx, token)
}

func (s *Service) endEmergency(ctx context.Context, who actor.Actor) error {
	e := s.emergency.Load()
	if e == nil {
		return errEnded()
	}
	return (*e).End(ctx, who)
}

// FreshNow is Fresh with the age of the policy.
func (s *Service) FreshNow(ctx context.Context, who actor.Actor) error { return s.fresh(ctx, who) }

// Tries is a counter of attempts that a child module keeps, such as of a network.
type Tries struct {
	Name   string
	Max    int64
	Window time.Duration
	Of     string // whose attempts
}

// Attempt counts one try in each counter, or in none when one is full: then it gives the
// refusal (fault.Limited).
func (s *Service) Attempt(ctx context.Context, tries ...Tries) error {
	var bs []bucket
	for _, t := range tries {
		b, err := s.bucket(ctx, limit{name: t.Name, max: t.Max, window: t.Window}, t.Of)
		if err != nil {
			return err
		}
		bs = append(bs, b)
	}
	full, err := s.take(ctx, bs...)
	if err == nil && full != nil {
		f := full.fault()
		f.Public.Next = "Wait a while and try again."
		err = f
	}
	return err
}

// Refuse records a refusal of a child module and returns reason; beyond ten a minute of
// one kind and actor it counts instead.
func (s *Service) Refuse(ctx context.Context, who actor.Actor, ev ledger.Event, reason error) error {
	return s.refuse(ctx, who, ev, reason)
}

// PlantStaff puts a person with a role of staff there for one run of a control, in a team
// of its own kind, and returns what removes them again.
func (s *Service) PlantStaff(ctx context.Context, door *canary.Door, control, role string) (Planted, func(), error) {
	p, end, err := s.plant(ctx, door, control, role)
	return Planted{p.id, p.email, p.password}, end, err
}

// byShares reports whether several people stand behind the actor: their shares are the
// word of two that a reset of factors asks for.
func byShares(who actor.Actor) bool { return who.Kind == actor.BreakGlass }
