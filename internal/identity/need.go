package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The levels of a session.
const (
	levelFull  = "full"
	levelEnrol = "enrol" // reaches the factor pages alone
)

// need is what a person must show at a sign-in. It is the strictest of what everybody
// asks: the class (staff), the roles, the teams, and what the person set up themselves.
type need struct {
	acr      int
	by       []string // who asks for more than one factor: staff, roles, team, own
	enrolled []string // kinds of the factors that were set up, locked ones too
	grace    time.Time
	staff    bool
}

// demands reports whether the policy wants a second factor of the kind of team and roles.
func (r *Rules) demands(kind string, roles []string) bool { // clause: access.mfa-by-technology
	return isStaff(kind, roles) || slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(r.MustShow, role) })
}

// isStaff reports rights of staff, whatever team they are held in.
func isStaff(kind string, roles []string) bool {
	return kind == Staff || slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(StaffRoles(), role) })
}

// needOf reads it. An error, or a person without a team, is never taken for "nothing is
// needed".
func needOf(ctx context.Context, q ledger.Reader, rules *Rules, person string) (need, error) {
	n := need{acr: 1}
	teams := 0
	err := q.Each(ctx, teamsOf, func(scan scanner) error {
		var kind, roles string
		var own int64
		if err := scan(&kind, &own, &roles); err != nil {
			return err
		}
		teams++
		n.staff = n.staff || isStaff(kind, rolesOf(roles))
		if rules.demands(kind, rolesOf(roles)) {
			n.ask(2, "policy")
		}
		if own > 1 {
			n.ask(int(own), "team")
		}
		return nil
	}, person)
	if err != nil {
		return need{}, fmt.Errorf("read what a sign-in needs: %w", err)
	}
	if teams == 0 {
		return need{}, fault.New(fault.Denied, "no_team", fault.Public{Problem: "This account belongs to no team.", Next: "Ask whoever looks after your account."})
	}
	err = q.Each(ctx, kindsOf, func(scan scanner) error {
		var kind string
		if err := scan(&kind); err != nil {
			return err
		}
		n.enrolled = append(n.enrolled, kind)
		return nil
	}, person)
	if err != nil {
		return need{}, fmt.Errorf("read factors: %w", err)
	}
	if len(n.enrolled) > 0 {
		n.ask(2, "own")
	}
	n.grace, err = graceOf(ctx, q, rules, person)
	return n, err
}

func (n *need) ask(acr int, by string) {
	n.acr = max(n.acr, acr)
	if !slices.Contains(n.by, by) {
		n.by = append(n.by, by)
	}
}

// graceOf is until when a person may do without; zero when they never could. A policy
// that shortens the grace shortens those that run; none is ever begun anew.
func graceOf(ctx context.Context, q ledger.Reader, rules *Rules, person string) (time.Time, error) {
	var began, until int64
	err := ledger.One(ctx, q, readGrace, []any{&began, &until}, person)
	if errors.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read grace: %w", err)
	}
	end := at(until)
	if cap := at(began).Add(rules.Grace); cap.Before(end) {
		end = cap
	}
	return end, nil
}

// errFlow is the answer to a step out of order.
func errFlow() *fault.Error {
	return fault.New(fault.Conflict, "flow_order", fault.Public{
		Problem:  "This step does not follow on what was done before, or came too late.",
		Expected: "The address and the password first, then the second factor within 10 minutes.",
		Next:     "Sign in from the beginning."})
}

// admit is the one decision whether a session may begin, or go on, with what was shown:
// full when it is enough, enrol when the person has nothing yet to show. Anything else
// is flow_order.
func (n need) admit(acr int, trusted, now time.Time) (level string, low time.Time, err error) { // clause: access.mfa-by-technology
	switch {
	case acr < 1:
		return "", low, errFlow()
	case acr >= n.acr:
		return levelFull, low, nil
	case n.skips(trusted, now):
		return levelFull, trusted, nil
	case len(n.enrolled) > 0:
		return "", low, errFlow()
	case now.Before(n.grace):
		return levelFull, n.grace, nil
	}
	return levelEnrol, low, nil
}

// skips reports whether a browser that is remembered until trusted may leave the second
// factor out. That of staff never may.
func (n need) skips(trusted, now time.Time) bool { // clause: auth.best-practice
	return len(n.enrolled) > 0 && !n.staff && now.Before(trusted)
}

// always reports whether a second factor is demanded of a person at every sign-in.
func (s *Service) always(ctx context.Context, person string) (bool, error) {
	rules := s.Rules.Get()
	n, err := needOf(ctx, s.DB, rules, person)
	return err == nil && n.acr > 1 && (n.staff || rules.RememberDevice == 0), err
}

// dateGrace gives a person who must have a factor and has none the one grace of the
// policy, inside a change.
func dateGrace(ctx context.Context, tx *ledger.Tx, rules *Rules, person string, n *need) error {
	if rules.Grace <= 0 || n.acr < 2 || len(n.enrolled) > 0 {
		return nil
	}
	until := tx.Now().Add(rules.Grace)
	made, err := tx.Exec(ctx, beginGrace, person, us(tx.Now()), us(until))
	if err != nil || made == 0 {
		return err
	}
	n.grace = until
	tx.Also(GraceBegun{Person: person, Until: until})
	return nil
}

// dateGraces dates the grace of everybody who must have a factor and has none, once a
// revision has turned a grace on: it runs from then, not from when they happen to come.
func (s *Service) dateGraces(ctx context.Context) error {
	rules := s.Rules.Get()
	if rules.Grace <= 0 {
		return nil
	}
	var people []string
	err := s.DB.Each(ctx, graceless, func(scan scanner) error {
		var person, kind, roles string
		var own int64
		if err := scan(&person, &kind, &own, &roles); err != nil {
			return err
		}
		if (own > 1 || rules.demands(kind, rolesOf(roles))) && !slices.Contains(people, person) {
			people = append(people, person)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("find people without a factor: %w", err)
	}
	for _, p := range people {
		if err := s.dateOne(ctx, rules, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) dateOne(ctx context.Context, rules *Rules, person string) error {
	_, err := s.DB.Change(ctx, actor.System("identity-grace"), func(tx *ledger.Tx) (ledger.Event, error) {
		until := tx.Now().Add(rules.Grace)
		if _, err := tx.Exec(ctx, beginGrace, person, us(tx.Now()), us(until)); err != nil {
			return nil, err
		}
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, lowSessions, person, us(until), change)
		return GraceBegun{Person: person, Until: until}, err
	})
	if err != nil {
		return fmt.Errorf("date a grace: %w", err)
	}
	return s.reread(ctx, person)
}

const (
	teamsOf = `SELECT t.kind, t.need, m.roles FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = $1`
	kindsOf = `SELECT DISTINCT kind FROM identity_factor WHERE person = $1 AND confirmed IS NOT NULL
		UNION SELECT 'passkey' FROM identity_passkey WHERE person = $1`
	readGrace  = `SELECT began, until FROM identity_grace WHERE person = $1`
	beginGrace = `INSERT INTO identity_grace (person, began, until) VALUES ($1, $2, $3) ON CONFLICT (person) DO NOTHING`
	graceless  = `SELECT m.person, t.kind, t.need, m.roles FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE p.state = 'active' AND NOT EXISTS (SELECT 1 FROM identity_grace g WHERE g.person = m.person)
		AND NOT EXISTS (SELECT 1 FROM identity_factor f WHERE f.person = m.person AND f.confirmed IS NOT NULL)
		AND NOT EXISTS (SELECT 1 FROM identity_passkey k WHERE k.person = m.person) ORDER BY m.person LIMIT 1000`
	lowSessions = `UPDATE identity_session SET low = $2, change = $3 WHERE person = $1 AND ended IS NULL AND level = 'full' AND acr < 2`
)
