package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// probeRoles looks for memberships and loans with a role that the signed table does not
// explain: unknown there, or of the other side (staff and customers).
func (s *Service) probeRoles(ctx context.Context) (clause.Result, error) {
	explained := func(kind, role string) bool {
		r, ok := s.Access.Role(role)
		return ok && r.Staff == (kind == Staff)
	}
	var all, bad int64
	example := ""
	err := s.DB.Each(ctx, rolesHeld, func(scan scanner) error {
		var kind, roles string
		var n int64
		if err := scan(&kind, &roles, &n); err != nil {
			return err
		}
		for _, role := range rolesOf(roles) {
			all += n
			if !explained(kind, role) {
				bad, example = bad+n, role
			}
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("count roles held: %w", err)
	}
	says := fmt.Sprintf("rights that no role of the signed list explains: %d of %d", bad, all)
	if bad > 0 {
		says += fmt.Sprintf(", such as %q", example)
	}
	return judged(bad == 0, all, says), nil
}

// probeUnused looks for rights that nothing needed for long and nobody was asked about.
func (s *Service) probeUnused(ctx context.Context) (clause.Result, error) {
	now := s.Now().Add(-ahead) // the clock looks about once an hour
	rs, err := s.rights(ctx, now)
	if err != nil {
		return clause.Result{}, err
	}
	idle, owners := 0, 0
	for _, r := range rs {
		if r.Role == "owner" {
			owners++
		}
		if r.Idle {
			idle++
		}
	}
	forgotten := s.overdue(rs, now)
	says := fmt.Sprintf("of %d rights of staff (%d of them owners) %d went unused for %s, and %d of those were not put up for removal", len(rs), owners, idle, days(s.Rules.Get().Unused), len(forgotten))
	if len(forgotten) > 0 {
		says += fmt.Sprintf(", such as %s of person/%s", forgotten[0].Role, forgotten[0].Handle)
	}
	return judged(len(forgotten) == 0, int64(len(rs)), says), nil
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", int64(d/(24*time.Hour))) }

// probeReviews looks whether a review of all rights was closed in time, and at who decided.
func (s *Service) probeReviews(ctx context.Context) (clause.Result, error) {
	by, reviewed, err := s.nextReview(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	all, err := s.count(ctx, decisions)
	if err != nil {
		return clause.Result{}, err
	}
	own, err := s.count(ctx, ownDecisions)
	if err != nil {
		return clause.Result{}, err
	}
	open, err := s.count(ctx, leftOpen)
	if err != nil {
		return clause.Result{}, err
	}
	switch {
	case own > 0:
		return judged(false, all, fmt.Sprintf("rights decided on by their own holder: %d of %d", own, all)), nil
	case open > 0:
		return judged(false, all, fmt.Sprintf("rights without an answer in closed reviews: %d", open)), nil
	case by.IsZero():
		return judged(true, 0, ""), nil
	case !s.Now().Before(by):
		return judged(false, all, "no review of all rights was closed in time: one was due by "+by.Format("2 Jan 2006 15:04 MST")), nil
	case !reviewed:
		return clause.Result{Outcome: clause.Unknown, Summary: "no review of all rights was closed yet; the first is due by " + by.Format("2 Jan 2006") + ", and can be opened now"}, nil
	}
	return judged(true, all, fmt.Sprintf("the last review of all rights was closed in time, the next one closes by %s; %d decisions, none by the holder", by.Format("2 Jan 2006"), all)), nil
}

// probeLoans looks for roles that count for somebody though neither membership nor a
// loan that lives gives them, and for loans that are over and were not ended.
func (s *Service) probeLoans(ctx context.Context) (clause.Result, error) {
	late, err := s.count(ctx, lateGrants, us(s.Now().Add(-5*time.Minute)))
	if err != nil {
		return clause.Result{}, err
	}
	bad, all, err := s.unexplained(ctx)
	if err == nil && bad > 0 { // a change between the two readings looks like this, once
		bad, all, err = s.unexplained(ctx)
	}
	if err != nil {
		return clause.Result{}, err
	}
	loans, err := s.count(ctx, allGrants)
	if err != nil {
		return clause.Result{}, err
	}
	return judged(bad+late == 0, loans+all, fmt.Sprintf("of %d live sessions and tokens %d act with a role whose reason has ended; of %d loans %d are over and not ended", all, bad, loans, late)), nil
}

// unexplained counts live sessions and personal tokens whose roles in memory the rows do
// not give.
func (s *Service) unexplained(ctx context.Context) (bad, all int64, err error) {
	now := s.Now()
	given := map[member][]string{}
	err = s.DB.Each(ctx, sessionMembers, func(scan scanner) error {
		var m member
		var roles string
		if err := scan(&m.person, &m.team, &roles); err != nil {
			return err
		}
		given[m] = rolesOf(roles)
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read roles of sessions: %w", err)
	}
	lives := map[member][]string{}
	err = s.DB.Each(ctx, liveGrants, func(scan scanner) error {
		var m member
		var id, role, need string
		var until, change int64
		if err := scan(&id, &m.person, &m.team, &role, &need, &until, &change); err != nil {
			return err
		}
		if now.Before(at(until)) && (roleOf(need) == "" || slices.Contains(given[m], roleOf(need))) {
			lives[m] = append(lives[m], role)
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read loans: %w", err)
	}
	s.table.mu.RLock()
	defer s.table.mu.RUnlock()
	for _, l := range s.table.byID {
		all++
		m := member{l.person, l.team}
		roles, borrowed, _ := s.loans.roles(m, l.roles, now, l.turned)
		for _, r := range roles {
			from := given[m]
			if slices.Contains(borrowed, r) {
				from = lives[m]
			}
			if !slices.Contains(from, r) {
				bad++
				break
			}
		}
	}
	s.tokens.mu.RLock()
	defer s.tokens.mu.RUnlock()
	for _, l := range s.tokens.byID {
		if l.kind != PersonalToken {
			continue
		}
		all++
		if slices.ContainsFunc(l.roles, func(r string) bool { return !slices.Contains(given[member{l.person, l.team}], r) }) {
			bad++
		}
	}
	return bad, all, nil
}

// pick finds roles of staff in the signed table for a canary to act with.
func (t *trial) pick(what string, fits func(r access.Role) bool) string {
	if t.err != nil {
		return ""
	}
	rs := t.s.Access.Roles()
	slices.Reverse(rs) // the alphabet ends with the narrow ones
	i := slices.IndexFunc(rs, func(r access.Role) bool { return r.Staff && fits(r) })
	if i < 0 {
		t.err = fault.Newf(fault.NotFound, "no_such_role", "The signed list of roles has none that %s, so there is nothing to try.", what)
		return ""
	}
	return rs[i].Name
}

// auditorActs is access.roles: somebody who may look tries to act.
func (t *trial) auditorActs() string {
	role := t.pick("may read people and not manage them", func(r access.Role) bool {
		return r.Has(access.PeopleRead) && !r.Has(access.PeopleManage) && !r.Has(access.RoleGrant) && !r.Has(access.ReviewOpen)
	})
	p := t.person(role)
	v := t.visitor()
	t.enters("sign in as "+role, v, p)
	t.works("list people", t.ask(v, "GET", "people", nil), 200)
	t.refused("add a member of staff", t.ask(v, "POST", "people", map[string]string{"email": t.door.Address(), "name": "x"}), 403, "denied")
	t.refused("lend somebody the role of an owner", t.ask(v, "POST", "grants", map[string]string{"person": t.door.Address(), "role": "owner", "for": "1h", "reason": "a control tries it"}), 403, "denied")
	t.refused("open a review of rights", t.ask(v, "POST", "reviews", map[string]string{}), 403, "denied")
	t.works("list people again", t.ask(v, "GET", "people", nil), 200)
	return "somebody with the role " + role + " reads, and each act that the signed list gives to others was refused"
}

// lateLoan is access.need-ends: a lent role one second after its end, and after its
// ticket is over.
func (t *trial) lateLoan() string {
	lentRole := t.pick("may read rights", func(r access.Role) bool { return r.Has(access.RightsRead) && r.Name != "owner" })
	standing := t.pick("may not read rights", func(r access.Role) bool { return !r.Has(access.RightsRead) })
	p := t.person(standing)
	v := t.visitor()
	t.enters("sign in as "+standing, v, p)
	t.refused("read rights without a loan", t.ask(v, "GET", "grants", nil), 403, "denied")
	t.lend(p.id, lentRole, "")
	t.works("read rights with a loan", t.ask(v, "GET", "grants", nil), 200)
	t.backDateLoan(p.id)
	t.refused("read rights 1 s after the end of the loan", t.ask(v, "GET", "grants", nil), 403, "denied")
	t.lend(p.id, lentRole, canaryNeed)
	t.works("read rights with a loan for a ticket", t.ask(v, "GET", "grants", nil), 200)
	if t.err == nil {
		_, t.err = t.s.EndNeed(t.ctx, actor.System("canary"), canaryNeed)
	}
	t.refused("read rights after the ticket is over", t.ask(v, "GET", "grants", nil), 403, "denied")
	return "a lent role counted until its end and until the end of its ticket, and for the next request no longer"
}

// canaryNeed is a ticket that only a control knows, over and over again.
const canaryNeed = "ticket/canary"

// lend plants a loan of ten minutes for a planted person.
func (t *trial) lend(person, role, need string) {
	if t.err != nil {
		return
	}
	var team string
	if t.err = ledger.One(t.ctx, t.s.DB, canaryTeam, []any{&team}, person); t.err != nil {
		return
	}
	id := t.s.DB.ID()
	_, t.err = t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(t.ctx, forgetNeed, canaryNeed); err != nil {
			return nil, err
		}
		change, err := bump(t.ctx, tx)
		if err != nil {
			return nil, err
		}
		now := tx.Now()
		_, err = tx.Exec(t.ctx, insertGrant, id, person, team, role, need, "a control tries it", us(now), us(now.Add(10*time.Minute)), "writ/canary", us(now), change)
		return CanaryPlanted{Control: t.control, What: "loan", Person: person}, err
	})
	if t.err == nil {
		t.err = t.s.readLoans(t.ctx)
	}
}

// backDateLoan makes the loans of a planted person end a second ago, and has memory read
// the rows again.
func (t *trial) backDateLoan(person string) {
	if t.err != nil {
		return
	}
	_, t.err = t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := bump(t.ctx, tx); err != nil {
			return nil, err
		}
		n, err := tx.Exec(t.ctx, shiftLoan, person, us(tx.Now().Add(-time.Second)))
		if err == nil && n != 1 {
			err = fmt.Errorf("%d loans to back-date, want one", n)
		}
		return CanaryPlanted{Control: t.control, What: "loan made older", Person: person, BackDate: 10*time.Minute + time.Second}, err
	})
	if t.err == nil {
		t.err = t.s.readLoans(t.ctx)
	}
}

const (
	rolesHeld = `SELECT t.kind, m.roles, COUNT(*) FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE t.kind IN ('staff', 'customer') AND p.state = 'active' GROUP BY t.kind, m.roles
		UNION ALL SELECT t.kind, g.role, COUNT(*) FROM identity_grant g JOIN identity_team t ON t.id = g.team
		WHERE t.kind IN ('staff', 'customer') AND g.ended IS NULL GROUP BY t.kind, g.role`
	decisions    = `SELECT COUNT(*) FROM identity_review_item WHERE decision <> ''`
	ownDecisions = `SELECT COUNT(*) FROM identity_review_item WHERE decision <> '' AND reviewer = 'person/' || person`
	leftOpen     = `SELECT COUNT(*) FROM identity_review_item i JOIN identity_review r ON r.id = i.review WHERE r.closed IS NOT NULL AND i.decision = ''`
	lateGrants   = `SELECT COUNT(*) FROM identity_grant g WHERE g.ended IS NULL AND (g.until <= $1 OR EXISTS (SELECT 1 FROM identity_need n WHERE n.need = g.need AND n.ended <= $1))`
	allGrants    = `SELECT COUNT(*) FROM identity_grant WHERE ended IS NULL`

	sessionMembers = `SELECT m.person, m.team, m.roles FROM identity_session s JOIN identity_member m ON m.person = s.person AND m.team = s.team WHERE s.ended IS NULL
		UNION SELECT m.person, m.team, m.roles FROM identity_token k JOIN identity_member m ON m.person = k.person AND m.team = k.team WHERE k.ended IS NULL`
	forgetNeed = `DELETE FROM identity_need WHERE need = $1`
	shiftLoan  = `UPDATE identity_grant SET until = $2 WHERE person = $1 AND ended IS NULL AND need = ''`
)
