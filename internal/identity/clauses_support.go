package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/identity/totp"
	"writ/internal/ledger"
)

// supportControls are the proofs that staff look only with a grant, and that customers
// accept the terms first.
func (s *Service) supportControls(door *canary.Door) []clause.Control {
	attack := func(id, of, says string, story func(*trial) string) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: clause.Canary, Says: says, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Run: s.canary(door, "identity."+id, story)}
	}
	look := func(id, of, says string, kind clause.Kind, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: kind, Says: says, Every: 30 * time.Minute, FreshFor: 2 * time.Hour, Run: run}
	}
	return []clause.Control{
		attack("looks", "use.need-to-see", "Looks as a customer without a reason, for too long and with more than reading, and tries the customer's account", (*trial).looks),
		look("look-reasons", "use.need-to-see", "Counts looks of staff without a reason, longer than allowed, or agreed to by who looked", clause.Replay, s.probeLooks),
		attack("terms-first", "use.terms", "Comes as a customer who accepted older terms", (*trial).termsFirst),
		look("terms-accepted", "use.terms", "Looks for customers who are let in without an acceptance of the terms in force", clause.Probe, s.probeTerms),
	}
}

// another plants a further person for this run.
func (t *trial) another(mark, role string) planted {
	if t.err != nil {
		return planted{}
	}
	p, end, err := t.s.plant(t.ctx, t.door, t.control+"-"+mark, role)
	if err != nil {
		t.err = err
		return p
	}
	t.close = append(t.close, end)
	return p
}

// send is ask with a body of any shape.
func (t *trial) send(v *canary.Visitor, method, path string, body any) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.err = err
		return canary.Answer{}
	}
	a, err := v.Do(t.ctx, method, path, string(b))
	if err == nil && a.Status >= 500 {
		err = fmt.Errorf("%s answered %s", method, saw(a))
	}
	t.err = err
	return a
}

// withFactor signs a planted member of staff in and sets up their second factor.
func (t *trial) withFactor(p planted) (*canary.Visitor, totp.Seed, int64) {
	v := t.visitor()
	t.next("sign in as staff", t.signIn(v, p.email, p.password.Reveal()), NextEnrol)
	begun := t.ask(v, "POST", "factors/totp", nil)
	seed, err := totp.Parse(read(begun).URI)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("set up a second factor: %s", saw(begun))
	}
	at := totp.Step(t.s.Now())
	if t.err == nil {
		t.works("set up the second factor", t.confirm(v, read(begun).ID, t.code(seed, at)), http.StatusOK)
	}
	return v, seed, at
}

// looks is use.need-to-see.
func (t *trial) looks() string {
	customer, staff := t.person(), t.another("staff", "engineer")
	c := t.visitor()
	t.next("sign in as a customer", t.signIn(c, customer.email, customer.password.Reveal()), NextDone)
	const api = "/-/api/v1/"
	ask := map[string]any{"person": customer.id, "reason": "a canary's look", "ticket": "CANARY-1", "write": true}
	without := func(key string, v any) map[string]any {
		out := map[string]any{}
		maps.Copy(out, ask)
		out[key] = v
		return out
	}
	t.refused("begin as a customer", t.send(c, "POST", api+"support", ask), http.StatusForbidden, "denied")
	s, seed, at := t.withFactor(staff)
	if t.s.Rules.Get().LookReason == required {
		t.refused("begin without a reason", t.send(s, "POST", api+"support", without("reason", "")), http.StatusUnprocessableEntity, "reason_needed")
	}
	t.refused("begin without a ticket", t.send(s, "POST", api+"support", without("ticket", "")), http.StatusUnprocessableEntity, "ticket_needed")
	t.refused("look as staff", t.send(s, "POST", api+"support", without("person", staff.id)), http.StatusForbidden, "support_refused")
	begun := t.send(s, "POST", api+"support", ask)
	t.works("begin with a reason and a ticket", begun, http.StatusCreated)
	id := read(begun).ID
	t.refused("change something", t.send(s, "POST", "/", map[string]string{}), http.StatusForbidden, "support_read_only")
	for _, closed := range []string{"GET sessions", "POST password", "POST account/export", "POST factors/totp", "GET tokens", "POST account/leave", "POST support"} {
		var method, path string
		_, _ = fmt.Sscan(closed, &method, &path)
		t.refused(closed+" while looking", t.ask(s, method, path, nil), http.StatusForbidden, "support_closed")
	}
	t.alone(staff, seed, at, id)
	t.works("end the look", t.ask(s, "DELETE", "support/"+id, nil), http.StatusNoContent)
	t.works("go on as staff", t.ask(s, "GET", "session", nil), http.StatusOK)
	t.overtime(s, customer.id, ask)
	return "a look began with a reason and a ticket alone, changed nothing, reached no account and was over in time"
}

// alone tries to agree to one's own look, from another browser.
func (t *trial) alone(staff planted, seed totp.Seed, at int64, id string) {
	v := t.visitor()
	asked := t.next("sign in again", t.signIn(v, staff.email, staff.password.Reveal()), NextFactor)
	t.next("show the next code", t.show(v, asked.Flow, t.code(seed, at+1)), NextDone)
	t.refused("agree to one's own look", t.ask(v, "POST", "support/"+id+"/agree", nil), http.StatusForbidden, "support_self")
}

// overtime makes a look older than it is.
func (t *trial) overtime(s *canary.Visitor, customer string, ask map[string]any) {
	begun := t.send(s, "POST", "/-/api/v1/support", ask)
	t.works("begin again", begun, http.StatusCreated)
	id, ttl := read(begun).ID, t.s.Rules.Get().lookTime()
	t.backDateLook(id, customer, ttl-time.Minute)
	t.works("use the look a minute before its end", t.ask(s, "GET", "session", nil), http.StatusForbidden) // the refusal of a look that goes on
	t.backDateLook(id, customer, time.Minute+time.Second)
	t.refused("use it a second after its end", t.ask(s, "GET", "session", nil), http.StatusUnauthorized, "")
}

// backDateLook makes a look of a planted customer older than it is.
func (t *trial) backDateLook(id, person string, by time.Duration) {
	if t.err != nil {
		return
	}
	_, err := t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(t.ctx, shiftLook, id, by.Microseconds())
		if err == nil && n != 1 {
			err = fmt.Errorf("%d looks to back-date, want one", n)
		}
		return CanaryPlanted{Control: t.control, What: "look made older", Person: person, BackDate: by}, err
	})
	t.err = err
}

// termsFirst is use.terms.
func (t *trial) termsFirst() string {
	p, v := t.person(), t.visitor()
	in := t.s.Rules.Get().Terms
	t.next("sign in", t.signIn(v, p.email, p.password.Reveal()), NextDone)
	t.works("go on with the terms accepted", t.ask(v, "GET", "session", nil), http.StatusOK)
	t.olderTerms(p.id, in)
	t.refused("go on with older terms", t.ask(v, "GET", "session", nil), http.StatusForbidden, "terms_required")
	t.applicationShut(v, "terms_required")
	t.refused("make a token", t.ask(v, "POST", "tokens", map[string]string{}), http.StatusForbidden, "terms_required")
	t.refused("accept another version", t.send(v, "POST", "/-/api/v1/terms", map[string]int{"version": in + 1}), http.StatusConflict, "terms_version")
	t.works("accept the version in force", t.send(v, "POST", "/-/api/v1/terms", map[string]int{"version": in}), http.StatusOK)
	t.works("go on then", t.ask(v, "GET", "session", nil), http.StatusOK)
	return "a customer with older terms reached the page that asks for them alone"
}

// applicationShut tries a page of the application. A public page is no try: there it is
// as for strangers, whom this path must refuse; where they are let in everywhere, nothing
// is shut.
func (t *trial) applicationShut(v *canary.Visitor, code string) {
	path := "/" + letters(20)
	if t.open(t.visitor(), path).Status == http.StatusUnauthorized {
		t.refused("open the application", t.open(v, path), http.StatusForbidden, code)
	}
}

// olderTerms makes a planted person one who accepted the version before, or none.
func (t *trial) olderTerms(person string, in int) {
	if t.err != nil {
		return
	}
	_, err := t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(t.ctx, deleteTermsOf, person); err != nil {
			return nil, err
		}
		if in > 1 {
			if _, err := tx.Exec(t.ctx, insertTerms, person, int64(in-1), us(tx.Now()), termsPlanted); err != nil {
				return nil, err
			}
		}
		change, err := bump(t.ctx, tx)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(t.ctx, touchSessions, person, change)
		return CanaryPlanted{Control: t.control, What: "older terms", Person: person}, err
	})
	if err == nil {
		err = t.s.reread(t.ctx, person)
	}
	t.err = err
}

// probeLooks counts the looks that should not have been.
func (s *Service) probeLooks(ctx context.Context) (clause.Result, error) {
	all, err := s.count(ctx, countLooks)
	if err != nil {
		return clause.Result{}, err
	}
	var silent int64
	if s.Rules.Get().LookReason == required {
		if silent, err = s.count(ctx, silentLooks); err != nil {
			return clause.Result{}, err
		}
	}
	long, err := s.count(ctx, longLooks, mostLook.Microseconds(), us(s.Now().Add(-5*time.Minute)))
	if err != nil {
		return clause.Result{}, err
	}
	alone, err := s.count(ctx, loneLooks)
	if err != nil {
		return clause.Result{}, err
	}
	return judged(silent+long+alone == 0, all, fmt.Sprintf("of %d looks %d had no reason or ticket, %d lasted too long and %d were agreed to by who looked", all, silent, long, alone)), nil
}

// probeTerms compares what memory lets in with the acceptances in the table.
func (s *Service) probeTerms(ctx context.Context) (clause.Result, error) {
	rules := s.Rules.Get()
	let := map[string]bool{}
	s.table.mu.RLock()
	for _, l := range s.table.byID {
		if l.level == levelFull && l.kind != Staff && !l.owes(rules) {
			let[l.person] = true
		}
	}
	s.table.mu.RUnlock()
	var bad int64
	for person := range let {
		var newest int
		if err := ledger.One(ctx, s.DB, termsOfOne, []any{&newest}, person); err != nil {
			return clause.Result{}, fmt.Errorf("read accepted terms: %w", err)
		}
		if newest < rules.Terms {
			bad++
		}
	}
	return judged(bad == 0, int64(len(let)), fmt.Sprintf("of %d customers who are let in %d have not accepted version %d of the terms", len(let), bad, rules.Terms)), nil
}

const (
	shiftLook   = `UPDATE identity_support SET began = began - $2, until = until - $2 WHERE id = $1 AND ended IS NULL`
	countLooks  = `SELECT COUNT(*) FROM identity_support`
	silentLooks = `SELECT COUNT(*) FROM identity_support g JOIN identity_person p ON p.id = g.person
		WHERE (g.reason IS NULL AND p.state NOT IN ('erasing', 'erased')) OR g.ticket = ''`
	longLooks = `SELECT COUNT(*) FROM identity_support WHERE until - began > $1 OR (ended IS NULL AND until < $2)`
	loneLooks = `SELECT COUNT(*) FROM identity_support WHERE agreed_by = staff`
)
