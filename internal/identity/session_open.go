package identity

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// begin is a new session that a change is about to insert.
type begin struct {
	id       string
	person   string
	team     string // empty = the home team
	token    secret.Text
	device   string
	started  time.Time // zero = the time of the change
	factorAt time.Time // zero = the time of the change
	acr      int       // what was shown
	amr      string
	trusted  time.Time // until when the browser skips the second factor
	place    []byte
	need     *need // as this run of the change has just read it; nil = read it
}

// needs is what the person must show.
func (b *begin) needs(ctx context.Context, tx *ledger.Tx, rules *Rules) (need, error) {
	if b.need != nil {
		return *b.need, nil
	}
	return needOf(ctx, tx, rules, b.person)
}

// enrolLife is how long somebody may take to set up the factor they need.
const enrolLife = time.Hour

func (l *live) ends(rules *Rules) time.Time {
	if l.level == levelEnrol {
		return l.started.Add(min(enrolLife, rules.absolute(l.staff)))
	}
	return l.started.Add(rules.absolute(l.staff))
}

// lacks reports a session with less than its person must show: their grace is over, or a
// revision or team has begun to demand more. Staff are let in without only by a grace, and
// when the policy gives none any more, or its exception has ended, none runs on.
func (l *live) lacks(rules *Rules, now time.Time) bool {
	level := l.asked(rules)
	excused := now.Before(l.low) && level <= l.lowACR && !(rules.Grace == 0 && isStaff(l.kind, l.roles))
	return l.level == levelFull && l.acr < level && !excused
}

// asked is the level that policy and teams want of the session's person.
func (l *live) asked(rules *Rules) int { return max(l.demand, rules.asks(l.kind, l.roles)) }

// actor is who acts with the session. One that may only set up a factor has neither team
// nor roles, and is of a kind of its own, so that whoever does not know it refuses it.
func (s *Service) actorOf(l *live, via string) actor.Actor {
	who, _ := s.actorUnder(l, l.turned, via)
	return who
}

// actorUnder is actorOf under a token of a certain age, and whether another token would
// have more roles.
func (s *Service) actorUnder(l *live, turned int64, via string) (actor.Actor, bool) {
	if l.level != levelFull { // clause: access.mfa-by-technology
		return actor.Actor{Kind: actor.Enrolling, ID: l.person, Session: l.id, ACR: l.acr, FactorAt: l.factorAt, Via: via, Needs: l.asked(s.Rules.Get())}, false
	}
	roles, lent, gained := s.loans.roles(member{l.person, l.team}, l.roles, s.Now(), turned)
	return actor.Actor{Kind: actor.Person, ID: l.person, Team: l.team, TeamKind: l.kind, Roles: roles, Lent: lent, Session: l.id, ACR: l.acr, FactorAt: l.factorAt, Via: via}, gained
}

// openSession writes the row inside a change and returns what memory will hold. It is
// the one place where sessions begin, and only with what the person needs: see admit.
func openSession(ctx context.Context, tx *ledger.Tx, rules *Rules, b begin) (*live, error) {
	n, err := b.needs(ctx, tx, rules)
	if err != nil {
		return nil, err
	}
	if err := dateGrace(ctx, tx, rules, b.person, &n); err != nil {
		return nil, err
	}
	l := &live{id: b.id, person: b.person, device: b.device, token: b.token.Sum(), acr: b.acr, amr: b.amr, started: b.started, factorAt: b.factorAt}
	if l.level, l.low, err = n.admit(b.acr, b.trusted, tx.Now()); err != nil { // clause: access.mfa-by-technology
		return nil, err
	}
	l.lowACR = n.acr
	if l.started.IsZero() {
		l.started = tx.Now()
	}
	if l.factorAt.IsZero() {
		l.factorAt = tx.Now()
	}
	var roles string
	if err := ledger.One(ctx, tx, homeOf, []any{&l.team, &l.kind, &roles, &l.demand}, b.person, b.team); err != nil {
		return nil, fmt.Errorf("read team of person: %w", err)
	}
	l.roles, l.staff = rolesOf(roles), l.kind == Staff
	if err := ledger.One(ctx, tx, termsOfOne, []any{&l.terms}, b.person); err != nil {
		return nil, fmt.Errorf("read accepted terms: %w", err)
	}
	change, err := bump(ctx, tx)
	if err != nil {
		return nil, err
	}
	l.change, l.turned = change, change
	l.seen.Store(us(tx.Now()))
	l.written.Store(us(tx.Now().Truncate(time.Minute)))
	_, err = tx.Exec(ctx, newSession, b.id, hex.EncodeToString(l.token[:]), b.person, l.team, b.device, int64(l.acr), b.amr,
		us(l.started), us(l.factorAt), us(tx.Now()), b.place, change, l.level, lowOf(l.low), int64(l.lowACR))
	return l, err
}

// lowOf is how the end of an allowance is stored: 0 for none.
func lowOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return us(t)
}

// raise gives a session that goes on a new token and what was shown meanwhile, inside a
// change. The former token dies. The session must be the person's and live.
func raise(ctx context.Context, tx *ledger.Tx, rules *Rules, r raised) error { // clause: auth.best-practice
	n, err := needOf(ctx, tx, rules, r.person)
	if err != nil {
		return err
	}
	level, low, err := n.admit(r.acr, time.Time{}, tx.Now())
	if err != nil {
		return err
	}
	change, err := bump(ctx, tx)
	if err != nil {
		return err
	}
	done, err := tx.Exec(ctx, raiseSession, r.session, r.person, sum(r.token), int64(r.acr), r.amr, us(tx.Now()), level, lowOf(low), change, int64(n.acr))
	if err == nil && done != 1 {
		err = errEnded()
	}
	return err
}

// raised is a session with more shown than before.
type raised struct {
	session, person string
	token           secret.Text
	acr             int
	amr             string
}

// reread takes the sessions of a person into memory as the rows are now.
func (s *Service) reread(ctx context.Context, person string) error {
	if _, err := s.takeIn(ctx, sessionRows+` WHERE s.person = $1 AND s.ended IS NULL`, person); err != nil {
		return fmt.Errorf("read sessions of a person: %w", err)
	}
	return nil
}

const (
	newSession = `INSERT INTO identity_session (id, token, person, team, device, acr, amr, started, factor_at, seen, place, ended, cause, change, level, low, low_acr, turned)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, '', $12, $13, $14, $15, $12)`
	raiseSession = `UPDATE identity_session SET token = $3, acr = $4, amr = $5, factor_at = $6, level = $7, low = $8, change = $9, low_acr = $10, turned = $9, former = '', former_ends = 0
		WHERE id = $1 AND person = $2 AND ended IS NULL`
)
