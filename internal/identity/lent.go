package identity

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"writ/internal/ledger"
)

// lent is a role that somebody holds for a while, as memory knows it.
type lent struct {
	id, role string
	standing string // counts only while the person holds this role by membership; "" = by itself
	until    time.Time
	change   int64 // the counter when it began to count
}

type member struct{ person, team string }

// loans are the roles lent now, by who holds them. The rows are the truth; each request
// looks here, so that the end of a loan needs no job that could be late.
type loans struct {
	mu   sync.RWMutex
	of   map[member][]lent
	gone map[string]bool // ended ids, so that a slower reading cannot bring one back
}

// put adds a loan.
func (l *loans) put(m member, x lent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone[x.id] {
		return
	}
	if l.of == nil {
		l.of = map[member][]lent{}
	}
	l.of[m] = append(slices.DeleteFunc(slices.Clone(l.of[m]), func(o lent) bool { return o.id == x.id }), x)
}

// drop ends loans in memory.
func (l *loans) drop(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone == nil {
		l.gone = map[string]bool{}
	}
	for _, id := range ids {
		l.gone[id] = true
	}
	for m, xs := range l.of {
		l.of[m] = slices.DeleteFunc(slices.Clone(xs), func(x lent) bool { return l.gone[x.id] })
	}
}

// replace takes in a whole reading of the rows.
func (l *loans) replace(of map[member][]lent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for m, xs := range of {
		of[m] = slices.DeleteFunc(xs, func(x lent) bool { return l.gone[x.id] })
	}
	l.of = of
}

// roles are those of a membership with what is lent beside it now. What began to count
// after turned, when the session got its token, is only gained: it counts under the next
// token.
func (l *loans) roles(m member, standing []string, now time.Time, turned int64) (all, borrowed []string, gained bool) {
	l.mu.RLock()
	xs := l.of[m]
	l.mu.RUnlock()
	all = standing
	for _, x := range xs {
		ended := !now.Before(x.until) || x.standing != "" && !slices.Contains(standing, x.standing) // clause: access.need-ends
		if ended || slices.Contains(all, x.role) {
			continue
		}
		if x.change > turned { // clause: auth.best-practice
			gained = true
			continue
		}
		all, borrowed = append(slices.Clip(all), x.role), append(borrowed, x.role)
	}
	return all, borrowed, gained
}

// readLoans takes in the rows of all loans that count or will end by the clock.
func (s *Service) readLoans(ctx context.Context) error {
	of := map[member][]lent{}
	err := s.DB.Each(ctx, liveGrants, func(scan scanner) error {
		var m member
		var x lent
		var need string
		var until int64
		if err := scan(&x.id, &m.person, &m.team, &x.role, &need, &until, &x.change); err != nil {
			return err
		}
		x.until, x.standing = at(until), roleOf(need)
		of[m] = append(of[m], x)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read lent roles: %w", err)
	}
	s.loans.replace(of)
	return nil
}

// with is a copy of a session in memory with other roles of its membership.
func (l *live) with(roles []string) *live {
	c := &live{id: l.id, person: l.person, team: l.team, kind: l.kind, device: l.device, token: l.token, roles: roles,
		acr: l.acr, amr: l.amr, level: l.level, low: l.low, lowACR: l.lowACR, demand: l.demand, terms: l.terms, started: l.started, factorAt: l.factorAt, change: l.change, staff: l.staff,
		turned: l.turned, former: l.former, formerTurned: l.formerTurned, formerEnds: l.formerEnds}
	c.seen.Store(l.seen.Load())
	c.written.Store(l.written.Load())
	return c
}

// setStanding gives a person's live sessions in a team the roles of their membership.
func (t *table) setStanding(m member, roles []string) {
	t.mu.RLock()
	var of []*live
	for _, l := range t.byPerson[m.person] {
		if l.team == m.team {
			of = append(of, l)
		}
	}
	t.mu.RUnlock()
	for _, l := range of {
		t.put(l.with(roles))
	}
}

// changeRoles gives a membership other roles inside a change, so that other nodes, and
// the tokens of the person, see it. Without any role the sessions in the team end; their ids come back.
func changeRoles(ctx context.Context, tx *ledger.Tx, m member, roles []string) (ended []string, err error) {
	change, err := bump(ctx, tx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, setMemberRoles, m.team, m.person, rolesText(roles)); err != nil {
		return nil, err
	}
	if err := touchTokens(ctx, tx, m.person); err != nil {
		return nil, err
	}
	if len(roles) > 0 {
		_, err := tx.Exec(ctx, markSessions, m.person, m.team, change)
		return nil, err
	}
	err = tx.Each(ctx, endTeamSessions, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ended = append(ended, id)
		return nil
	}, m.person, m.team, us(tx.Now()), "no-role", change)
	return ended, err
}

const (
	liveGrants = `SELECT g.id, g.person, g.team, g.role, g.need, g.until, g.change FROM identity_grant g JOIN identity_person p ON p.id = g.person
		WHERE g.ended IS NULL AND g.began IS NOT NULL AND p.state = 'active' AND NOT EXISTS (SELECT 1 FROM identity_need n WHERE n.need = g.need)`
	setMemberRoles  = `UPDATE identity_member SET roles = $3 WHERE team = $1 AND person = $2`
	markSessions    = `UPDATE identity_session SET change = $3 WHERE person = $1 AND team = $2 AND ended IS NULL`
	endTeamSessions = `UPDATE identity_session SET ended = $3, cause = $4, change = $5 WHERE person = $1 AND team = $2 AND ended IS NULL RETURNING id`
)
