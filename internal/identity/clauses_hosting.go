package identity

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/ledger"
)

// hostingControls are the proofs that rights of a hosting role count only with a second
// factor that is fresh enough.
func (s *Service) hostingControls(door *canary.Door) []clause.Control {
	return []clause.Control{
		{ID: "identity.old-factor", Clause: "access.mfa-hosting", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Uses a right of a hosting role with a second factor that is one second too old", Run: s.canary(door, "identity.old-factor", (*trial).oldFactor)},
		{ID: "identity.hosting-sessions", Clause: "access.mfa-hosting", Kind: clause.Probe, Every: 30 * time.Minute, FreshFor: 2 * time.Hour,
			Says: "Asks for each live session with a hosting role and an older factor whether it may still do anything by it", Run: s.probeHosting},
		{ID: "identity.hosting-acts", Clause: "access.mfa-hosting", Kind: clause.Replay, Every: 30 * time.Minute, FreshFor: 2 * time.Hour,
			Says: "Counts the acts that a hosting role allowed to somebody with an older factor", Run: s.replayHosting},
	}
}

// probeHosting asks, for each live session, for every act that only a hosting role gives.
func (s *Service) probeHosting(context.Context) (clause.Result, error) {
	now, roles := s.Now(), s.Access.Roles()
	var hosts []string
	for _, r := range roles {
		if r.Hosting {
			hosts = append(hosts, r.Name)
		}
	}
	var held, old, may int64
	example := ""
	s.table.mu.RLock()
	defer s.table.mu.RUnlock()
	for _, l := range s.table.byID {
		who := s.actorOf(l, "https")
		if !slices.ContainsFunc(who.Roles, func(r string) bool { return slices.Contains(hosts, r) }) {
			continue
		}
		held++
		age := s.Access.HostingAge(who, hosts)
		if who.ACR >= 2 && now.Sub(who.FactorAt) < age {
			continue
		}
		old++
		for _, a := range onlyHosting(roles, who.Roles) {
			if s.Access.May(who, a) {
				may, example = may+1, string(a)
				break
			}
		}
	}
	says := fmt.Sprintf("of %d live sessions with a hosting role %d have an older second factor, and %d of those may still act by the role", held, old, may)
	if may > 0 {
		says += ", such as " + example
	}
	return judged(may == 0, held, says), nil
}

// onlyHosting are the actions that hosting roles give to somebody and none of their others does.
func onlyHosting(table []access.Role, held []string) []access.Action {
	var by, otherwise []access.Action
	for _, r := range table {
		switch {
		case !slices.Contains(held, r.Name):
		case r.Hosting:
			by = append(by, r.Actions...)
		default:
			otherwise = append(otherwise, r.Actions...)
		}
	}
	return slices.DeleteFunc(by, func(a access.Action) bool { return slices.Contains(otherwise, a) })
}

// replayHosting reads what was allowed to staff, day by day.
func (s *Service) replayHosting(ctx context.Context) (clause.Result, error) {
	if err := s.writeUses(ctx); err != nil {
		return clause.Result{}, err
	}
	var all, late int64
	if err := ledger.One(ctx, s.DB, countLate, []any{&all, &late}); err != nil {
		return clause.Result{}, fmt.Errorf("count uses of rights: %w", err)
	}
	return judged(late == 0, all, fmt.Sprintf("of %d acts that were allowed to staff %d needed a hosting role whose second factor was too old", all, late)), nil
}

// oldFactor is access.mfa-hosting.
func (t *trial) oldFactor() string {
	role := t.pick("is tagged hosting and may read people", func(r access.Role) bool { return r.Hosting && r.Has(access.PeopleRead) })
	p := t.person(role)
	v := t.visitor()
	t.enters("sign in as "+role, v, p)
	t.works("read people with a fresh second factor", t.ask(v, "GET", "people", nil), http.StatusOK)
	age := t.s.Access.HostingAge(actor.Actor{Kind: actor.Person, Roles: []string{role}}, []string{role})
	t.agesFactor(p.id, age+time.Second)
	t.refused("read people when the second factor is 1 s too old", t.ask(v, "GET", "people", nil), http.StatusForbidden, "step_up_required")
	t.works("ask who one is all the same", t.ask(v, "GET", "session", nil), http.StatusOK)
	return "a right of the role " + role + " counted with a fresh second factor, and one second after its time no longer"
}

// agesFactor makes the proof behind a planted person's sessions older than it is.
func (t *trial) agesFactor(person string, by time.Duration) {
	if t.err != nil {
		return
	}
	_, t.err = t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(t.ctx, tx)
		if err != nil {
			return nil, err
		}
		n, err := tx.Exec(t.ctx, shiftFactor, person, by.Microseconds(), change)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d sessions to back-date, want one", n)
		}
		return CanaryPlanted{Control: t.control, What: "second factor made older", Person: person, BackDate: by}, err
	})
	if t.err == nil {
		t.err = t.s.reread(t.ctx, person)
	}
}

const (
	countLate   = `SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT), CAST(COALESCE(SUM(late), 0) AS BIGINT) FROM identity_use WHERE person <> ''`
	shiftFactor = `UPDATE identity_session SET factor_at = factor_at - $2, change = $3 WHERE person = $1 AND ended IS NULL`
)
