package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/secret"
)

// lookMark begins the token of a look, so that no other cookie costs a question to the
// database. There the row is the truth at each request: looks are few, and what ends one
// (time, either person, a role, the former session) takes effect at once, on every node.
const lookMark = "look."

func isLook(token secret.Text) bool {
	return token.Len() == len(lookMark)+tokenLength && strings.HasPrefix(token.Reveal(), lookMark)
}

// lookSession is Session for the token of a look.
func (s *Service) lookSession(ctx context.Context, token secret.Text) (actor.Actor, Session, error) {
	l, err := s.oneLook(ctx, `g.token = $1`, sum(token))
	if errors.Is(err, fault.NotFound) {
		return actor.Actor{}, Session{}, errEnded()
	}
	if err != nil {
		return actor.Actor{}, Session{}, err
	}
	who, p, ends, err := s.looking(ctx, l)
	if err != nil {
		return actor.Actor{}, Session{}, err
	}
	now := s.Now()
	s.touch(p, now)
	return who, Session{ID: l.ID, Person: l.Person, Team: l.Team, Kind: l.kind, Roles: who.Roles, ACR: p.acr, AMR: rolesOf(p.amr),
		Started: l.Began, Seen: now, IdleEnds: ends, Ends: ends}, nil
}

// looking is who looks now, with the session of theirs that they look from, and until when.
func (s *Service) looking(ctx context.Context, l Look) (who actor.Actor, from *live, ends time.Time, err error) {
	now, rules := s.Now(), s.Rules.Get()
	ends = l.ends(rules)
	if !now.Before(ends) || tooEarly(now, l.Began) { // clause: use.need-to-see
		return actor.Actor{}, nil, ends, errEnded()
	}
	if l.state != stateActive || l.home != stateActive || l.roles == "" || l.kind == Staff { // clause: use.need-to-see
		return actor.Actor{}, nil, ends, errEnded()
	}
	p, err := s.byIDOf(ctx, l.session)
	if err != nil {
		return actor.Actor{}, nil, ends, err
	}
	if p == nil || p.person != l.Staff || !s.stands(ctx, p, now, rules) || !s.Access.May(s.actorOf(p, "https"), access.SupportLook) { // clause: use.need-to-see
		return actor.Actor{}, nil, ends, errEnded()
	}
	return actor.Actor{Kind: actor.Support, ID: l.Staff, For: l.Person, Team: l.Team, Roles: rolesOf(l.roles), Session: l.ID, Writes: l.Writes(), ACR: p.acr, FactorAt: p.factorAt, Via: "https"}, p, ends, nil
}

// oneLook reads one that has not been ended; its time may be over.
func (s *Service) oneLook(ctx context.Context, where, arg string) (Look, error) {
	ls, err := s.looks(ctx, where+` AND g.ended IS NULL`, arg)
	if err != nil {
		return Look{}, err
	}
	if len(ls) != 1 {
		return Look{}, noLook()
	}
	return ls[0], nil
}

func (s *Service) looks(ctx context.Context, where string, args ...any) ([]Look, error) {
	var out []Look
	err := s.DB.Each(ctx, looksBy+where, func(scan scanner) error {
		var l Look
		var began, until, writes int64
		var agreed, ended *int64
		if err := scan(&l.ID, &l.Staff, &l.session, &l.Person, &l.Team, &l.box, &l.Ticket, &writes, &began, &until, &l.AgreedBy, &agreed, &ended, &l.Cause,
			&l.kind, &l.roles, &l.state, &l.home); err != nil {
			return err
		}
		l.Asked, l.Began, l.Until = writes == 1, at(began), at(until)
		if agreed != nil {
			l.Agreed = at(*agreed)
		}
		if ended != nil {
			l.Ended = at(*ended)
		}
		out = append(out, l)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read looks: %w", err)
	}
	return out, nil
}

// named opens the reasons and names the people.
func (s *Service) named(ctx context.Context, ls []Look) ([]Look, error) {
	for i := range ls {
		l := &ls[i]
		var err error
		if l.Reason, err = s.text(ctx, "identity_support.reason", l.ID, l.box); err != nil && !errors.Is(err, fault.Gone) {
			return nil, err
		}
		l.By, l.As = s.Name(ctx, l.Staff), s.Name(ctx, l.Person)
		if l.AgreedBy != "" {
			l.Agreer = s.Name(ctx, l.AgreedBy)
		}
	}
	return ls, nil
}

// Looks lists the newest 200 looks, for who may look or agree; those of controls are left out.
func (s *Service) Looks(ctx context.Context, who actor.Actor) ([]Look, error) {
	if err := humanNeeded(who); err != nil {
		return nil, err
	}
	if !s.Access.May(who, access.SupportAgree) {
		if err := s.Access.Allow(ctx, who, access.SupportLook, ""); err != nil {
			return nil, err
		}
	}
	ls, err := s.looks(ctx, `t.kind <> 'canary' ORDER BY g.began DESC, g.id DESC LIMIT 200`)
	if err != nil {
		return nil, err
	}
	return s.named(ctx, ls)
}

// LookedAt lists who looked as the person who is signed in, newest first, each with the
// number of its entry in the journal.
func (s *Service) LookedAt(ctx context.Context, who actor.Actor) ([]Look, error) {
	if who.Kind != actor.Person || who.Session == "" {
		return nil, errEnded()
	}
	return s.lookedAt(ctx, who.ID)
}

// LooksOf is LookedAt of a customer, for staff and the operator.
func (s *Service) LooksOf(ctx context.Context, who actor.Actor, ref string) ([]Look, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return nil, err
	}
	acc, err := s.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.lookedAt(ctx, acc.id)
}

func (s *Service) lookedAt(ctx context.Context, person string) ([]Look, error) {
	ls, err := s.looks(ctx, `g.person = $1 ORDER BY g.began DESC, g.id DESC LIMIT 500`, person)
	if err != nil || len(ls) == 0 {
		return nil, err
	}
	entries, err := s.Record.List(ctx, journal.Query{Subject: person, Act: Impersonated{}.About().Name, Limit: 500})
	if err != nil {
		return nil, fmt.Errorf("list entries about looks: %w", err)
	}
	number := map[string]int64{}
	for _, e := range entries {
		if e.Act == (Impersonated{}.About().Name) {
			number[e.Object] = e.N
		}
	}
	for i := range ls {
		ls[i].Entry = number["support/"+ls[i].ID]
	}
	return s.named(ctx, ls)
}

// CurrentLook is the look that the actor is in.
func (s *Service) CurrentLook(ctx context.Context, who actor.Actor) (Look, error) {
	if who.Kind != actor.Support {
		return Look{}, errEnded()
	}
	l, err := s.oneLook(ctx, `g.id = $1`, who.Session)
	if err != nil {
		return Look{}, err
	}
	l.Until = l.ends(s.Rules.Get())
	ls, err := s.named(ctx, []Look{l})
	if err != nil {
		return Look{}, err
	}
	return ls[0], nil
}

// endLooks ends the looks whose time is over, or whose former session is, and the
// sessions that wait for a look which will not give them back.
func (s *Service) endLooks(ctx context.Context) error {
	over, err := s.looks(ctx, `g.ended IS NULL AND (g.until <= $1 OR g.began <= $2 OR NOT EXISTS (SELECT 1 FROM identity_session s WHERE s.id = g.session AND s.ended IS NULL))
		ORDER BY g.began LIMIT 200`, us(s.Now()), us(s.Now().Add(-s.Rules.Get().lookTime())))
	if err != nil {
		return err
	}
	who := actor.System("identity-support")
	for _, l := range over {
		if err := s.endLook(ctx, who, l, lookOver); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	type parked struct{ session, person string }
	var wait []parked
	err = s.DB.Each(ctx, parkedForever, func(scan scanner) error {
		var p parked
		if err := scan(&p.session, &p.person); err != nil {
			return err
		}
		wait = append(wait, p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("find sessions that wait for nothing: %w", err)
	}
	for _, p := range wait {
		if err := s.end(ctx, who, p.person, p.session, "support-"+lookOver); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// OwnLook is a look in the copy of one's own data, and in the list a customer gets.
type OwnLook struct {
	ID       string     `json:"id"`
	By       string     `json:"by"`
	Reason   string     `json:"reason,omitempty"`
	Ticket   string     `json:"ticket"`
	Began    time.Time  `json:"began"`
	Until    time.Time  `json:"until"`
	Ended    *time.Time `json:"ended,omitempty"`
	Writes   bool       `json:"writes"`
	AgreedBy string     `json:"agreed_by,omitempty"`
	Entry    int64      `json:"entry,omitempty"` // number of the journal's entry
}

func ownLook(l Look) OwnLook {
	return OwnLook{ID: l.ID, By: l.By, Reason: l.Reason, Ticket: l.Ticket, Began: l.Began, Until: l.Until, Ended: some(l.Ended), Writes: l.Writes(), AgreedBy: l.Agreer, Entry: l.Entry}
}

const (
	looksBy = `SELECT g.id, g.staff, g.session, g.person, g.team, g.reason, g.ticket, g.writes, g.began, g.until, g.agreed_by, g.agreed, g.ended, g.cause,
		t.kind, COALESCE(m.roles, ''), p.state, q.state FROM identity_support g JOIN identity_team t ON t.id = g.team
		JOIN identity_person p ON p.id = g.person JOIN identity_person q ON q.id = g.staff
		LEFT JOIN identity_member m ON m.team = g.team AND m.person = g.person WHERE `
	parkedForever = `SELECT DISTINCT s.id, s.person FROM identity_session s JOIN identity_support g ON g.session = s.id
		WHERE s.ended IS NULL AND g.ended IS NOT NULL AND g.cause <> 'ended' LIMIT 200`
)

// uprootSupport removes what looks hold of a person.
var uprootSupport = []string{
	`DELETE FROM identity_support WHERE person = $1`,
	`DELETE FROM identity_support WHERE staff = $1`,
}

const blankLooks = `UPDATE identity_support SET reason = NULL WHERE person = $1`
