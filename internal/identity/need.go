package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
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

// The levels that may be asked of a person; see actor.Actor.ACR.
const (
	oneFactor         = 1
	twoFactors        = 2
	phishingResistant = 3 // a passkey whose user was verified
)

// PhishingResistant is the word for it in the policy and in a team's demand.
const PhishingResistant = "phishing-resistant"

// demands reports whether the policy wants a second factor of the kind of team and roles.
func (r *Rules) demands(kind string, roles []string) bool { // clause: access.mfa-by-technology
	return isStaff(kind, roles) || slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(r.MustShow, role) })
}

// asks is the level that the policy wants of the kind of team and roles.
func (r *Rules) asks(kind string, roles []string) int { // clause: access.mfa-by-technology
	switch {
	case !r.demands(kind, roles):
		return oneFactor
	case r.MinFactor == PhishingResistant:
		return phishingResistant
	}
	return twoFactors
}

// can is the level that a person reaches with what was set up.
func (n *need) can() int {
	switch {
	case slices.Contains(n.enrolled, FactorPasskey):
		return phishingResistant
	case len(n.enrolled) > 0:
		return twoFactors
	}
	return oneFactor
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
		if level := rules.asks(kind, rolesOf(roles)); level > 1 {
			n.ask(level, "policy")
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
	n.grace, err = n.graceOf(ctx, q, rules, person)
	return n, err
}

func (n *need) ask(acr int, by string) {
	n.acr = max(n.acr, acr)
	if !slices.Contains(n.by, by) {
		n.by = append(n.by, by)
	}
}

// lacking are the levels that a person must reach and cannot yet, the lowest first.
func (n *need) lacking() []int {
	var out []int
	for level := max(n.can()+1, twoFactors); level <= n.acr; level++ {
		out = append(out, level)
	}
	return out
}

// graceOf is until when a person may stay below what is asked: a time for each level that
// they lack, and the first to end counts.
func (n *need) graceOf(ctx context.Context, q ledger.Reader, rules *Rules, person string) (time.Time, error) {
	var end time.Time
	for i, level := range n.lacking() {
		until, err := graceOf(ctx, q, rules, person, level)
		if err != nil {
			return time.Time{}, err
		}
		if i == 0 || until.Before(end) {
			end = until
		}
	}
	return end, nil
}

// graceOf is until when a person may do without a level; zero when they never could. A
// policy that shortens the grace shortens those that run; none is ever begun anew.
func graceOf(ctx context.Context, q ledger.Reader, rules *Rules, person string, level int) (time.Time, error) {
	var began, until int64
	err := ledger.One(ctx, q, readGrace, []any{&began, &until}, person, int64(level))
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

// errPasskey is the answer to another factor where a person has a passkey and may come in
// by that alone. Somebody who was led to give a code away would else let others set up one.
func errPasskey() *fault.Error {
	return fault.New(fault.Denied, "passkey_required", fault.Public{
		Problem:  "This account opens with a passkey only.",
		Expected: "One of your passkeys. A code counts for less than what is asked of you.",
		Next:     "Use your passkey. If it is lost, ask whoever looks after your account to take it away; then you set up a new one."})
}

// admit is the one decision whether a session may begin, or go on, with what was shown:
// full when it is enough, enrol when the person has nothing yet to show. Anything else
// is flow_order, or passkey_required.
func (n need) admit(acr int, trusted, now time.Time) (level string, low time.Time, err error) { // clause: access.mfa-by-technology
	switch {
	case acr < 1:
		return "", low, errFlow()
	case acr >= n.acr:
		return levelFull, low, nil
	case n.skips(trusted, now):
		return levelFull, trusted, nil
	case acr < min(n.can(), twoFactors):
		return "", low, errFlow()
	case n.can() >= n.acr:
		return "", low, errPasskey()
	case now.Before(n.grace):
		return levelFull, n.grace, nil
	}
	return levelEnrol, low, nil
}

// skips reports whether a browser that is remembered until trusted may leave the second
// factor out. That of staff never may, nor where a passkey is asked.
func (n need) skips(trusted, now time.Time) bool { // clause: auth.best-practice
	return len(n.enrolled) > 0 && !n.staff && n.acr < phishingResistant && now.Before(trusted)
}

// always reports whether a second factor is demanded of a person at every sign-in.
func (s *Service) always(ctx context.Context, person string) (bool, error) {
	rules := s.Rules.Get()
	n, err := needOf(ctx, s.DB, rules, person)
	return err == nil && n.acr > 1 && (n.staff || n.acr >= phishingResistant || rules.RememberDevice == 0), err
}

// Able counts who of some people could sign in under other rules without setting anything
// up first. Who is not active, or unknown, could not.
func (s *Service) Able(ctx context.Context, v clause.Values, handles []string) (int, error) {
	rules, err := clause.Decode[Rules](v)
	if err != nil {
		return 0, err
	}
	able := 0
	for _, h := range handles {
		id, active, err := s.PersonByHandle(ctx, h)
		if errors.Is(err, fault.NotFound) || err == nil && !active {
			continue
		}
		if err != nil {
			return 0, err
		}
		n, err := needOf(ctx, s.DB, &rules, id)
		if err != nil && !errors.Is(err, fault.Denied) {
			return 0, err
		}
		if err == nil && (n.acr < phishingResistant || n.can() >= n.acr) { // a second factor is set up at the next sign-in
			able++
		}
	}
	return able, nil
}

// dateGrace gives a person who must reach a level and cannot yet the one grace of the
// policy, inside a change.
func dateGrace(ctx context.Context, tx *ledger.Tx, rules *Rules, person string, n *need) error {
	levels := n.lacking()
	if rules.Grace <= 0 || len(levels) == 0 {
		return nil
	}
	until := tx.Now().Add(rules.Grace)
	begun, err := beginGraces(ctx, tx, person, levels, until)
	if err != nil || !begun {
		return err
	}
	tx.Also(GraceBegun{Person: person, Until: until})
	n.grace, err = n.graceOf(ctx, tx, rules, person)
	return err
}

// beginGraces writes a grace for each of the levels that has none yet.
func beginGraces(ctx context.Context, tx *ledger.Tx, person string, levels []int, until time.Time) (begun bool, err error) {
	for _, level := range levels {
		made, err := tx.Exec(ctx, beginGrace, person, int64(level), us(tx.Now()), us(until))
		if err != nil {
			return false, err
		}
		begun = begun || made > 0
	}
	return begun, nil
}

// endGraces ends the graces of the levels up to one that was reached, and makes sure that
// none begins any more: a grace is for those who never could.
func endGraces(ctx context.Context, tx *ledger.Tx, person string, level int) error {
	for l := twoFactors; l <= level; l++ {
		if _, err := tx.Exec(ctx, endGrace, person, int64(l), us(tx.Now())); err != nil {
			return err
		}
	}
	return nil
}

// dateGraces dates the grace of everybody who must reach a level and cannot yet, once a
// revision or a team has turned a demand on: it runs from then, not from when they
// happen to come.
func (s *Service) dateGraces(ctx context.Context) error {
	rules := s.Rules.Get()
	if rules.Grace <= 0 {
		return nil
	}
	for after := ""; ; {
		var people []string
		seen := after
		err := s.DB.Each(ctx, graceless, func(scan scanner) error {
			var kind, roles string
			var own, graced int64
			var has bool
			if err := scan(&seen, &kind, &own, &roles, &has, &graced); err != nil {
				return err
			}
			level := max(int(own), rules.asks(kind, rolesOf(roles)))
			if lacks := level >= phishingResistant && graced < phishingResistant || level >= twoFactors && graced == 0 && !has; lacks && !slices.Contains(people, seen) {
				people = append(people, seen)
			}
			return nil
		}, after, rules.asksCustomers(), rules.MinFactor == PhishingResistant)
		if err != nil {
			return fmt.Errorf("find people below their level: %w", err)
		}
		for _, p := range people {
			if err := s.dateOne(ctx, rules, p); err != nil {
				return err
			}
		}
		if seen == after {
			return nil
		}
		after = seen
	}
}

// asksCustomers reports whether the policy asks a factor of customers too.
func (r *Rules) asksCustomers() bool {
	return slices.Contains(r.MustShow, RoleAdmin) || slices.Contains(r.MustShow, RoleMember)
}

func (s *Service) dateOne(ctx context.Context, rules *Rules, person string) error {
	_, err := s.DB.Change(ctx, actor.System("identity-grace"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := needOf(ctx, tx, rules, person)
		if err != nil {
			return nil, err
		}
		until := tx.Now().Add(rules.Grace)
		if _, err := beginGraces(ctx, tx, person, n.lacking(), until); err != nil {
			return nil, err
		}
		if n.grace, err = n.graceOf(ctx, tx, rules, person); err != nil {
			return nil, err
		}
		return GraceBegun{Person: person, Until: until}, excuse(ctx, tx, person, n)
	})
	if err != nil {
		return fmt.Errorf("date a grace: %w", err)
	}
	return s.reread(ctx, person)
}

// excuse lets the sessions of a person below the level go on until the grace ends. Of
// those with one factor only somebody can have who has set up none.
func excuse(ctx context.Context, tx *ledger.Tx, person string, n need) error {
	change, err := bump(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, lowSessions, person, us(n.grace), change, int64(n.acr), int64(min(n.can(), twoFactors)))
	return err
}

const (
	teamsOf = `SELECT t.kind, t.need, m.roles FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = $1`
	kindsOf = `SELECT DISTINCT kind FROM identity_factor WHERE person = $1 AND confirmed IS NOT NULL
		UNION SELECT 'passkey' FROM identity_passkey WHERE person = $1`
	readGrace  = `SELECT began, until FROM identity_grace WHERE person = $1 AND acr = $2`
	beginGrace = `INSERT INTO identity_grace (person, acr, began, until) VALUES ($1, $2, $3, $4) ON CONFLICT (person, acr) DO NOTHING`
	endGrace   = `INSERT INTO identity_grace (person, acr, began, until) VALUES ($1, $2, $3, $3)
		ON CONFLICT (person, acr) DO UPDATE SET until = $3 WHERE identity_grace.until > $3`
	graceless = `SELECT m.person, t.kind, t.need, m.roles,
		EXISTS (SELECT 1 FROM identity_factor f WHERE f.person = m.person AND f.confirmed IS NOT NULL),
		COALESCE((SELECT MAX(g.acr) FROM identity_grace g WHERE g.person = m.person), 0)
		FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE p.state = 'active' AND m.person > $1 AND (t.need > 1 OR t.kind <> 'customer' OR $2)
		AND NOT EXISTS (SELECT 1 FROM identity_passkey k WHERE k.person = m.person)
		AND ((t.need > 2 OR $3) AND NOT EXISTS (SELECT 1 FROM identity_grace g WHERE g.person = m.person AND g.acr = 3)
			OR NOT EXISTS (SELECT 1 FROM identity_grace g WHERE g.person = m.person)
			AND NOT EXISTS (SELECT 1 FROM identity_factor f WHERE f.person = m.person AND f.confirmed IS NOT NULL))
		ORDER BY m.person LIMIT 1000`
	lowSessions = `UPDATE identity_session SET low = $2, change = $3, low_acr = $4
		WHERE person = $1 AND ended IS NULL AND level = 'full' AND acr < $4 AND acr >= $5`
)
