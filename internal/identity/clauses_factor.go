package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity/passkey"
	"writ/internal/identity/totp"
)

// factorControls are the proofs that second factors are demanded by the server itself.
func (s *Service) factorControls(door *canary.Door) []clause.Control {
	attack := func(id, of, says string, story func(*trial) string) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: clause.Canary, Says: says, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Run: s.canary(door, "identity."+id, story)}
	}
	replay := func(id, of, says string, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: clause.Replay, Says: says, Every: 30 * time.Minute, FreshFor: 2 * time.Hour, Run: run}
	}
	look := func(id, of, says string, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: clause.Probe, Says: says, Every: 30 * time.Minute, FreshFor: 2 * time.Hour, Run: run}
	}
	return []clause.Control{
		attack("second-factor", "access.mfa-by-technology", "Signs in with staff rights and a password alone, and tries every way around the second factor", (*trial).secondFactor),
		look("own-seeds", "auth.unique-credentials", "Opens every code generator's seed and looks for one that serves two people", s.probeSeeds),
		replay("one-factor", "access.mfa-by-technology", "Looks for a staff session that began with one factor", s.probeOneFactor),
	}
}

// answered is what the canary reads of the sign-in's and the factors' answers.
type answered struct {
	Next, Flow, ID, URI string
	Codes               []string
}

func read(a canary.Answer) answered {
	var v answered
	if json.Unmarshal([]byte(a.Body), &v) != nil {
		return answered{}
	}
	return v
}

// next holds an answer of the sign-in to what must come next.
func (t *trial) next(act string, a canary.Answer, want string) answered {
	v := read(a)
	t.step(act, "200 "+want, saw(a)+" "+v.Next, a.Status == http.StatusOK && v.Next == want, want == NextDone)
	return v
}

// secondFactor is access.mfa-by-technology.
func (t *trial) secondFactor() string {
	p := t.person("auditor")
	v := t.visitor()
	strict := t.s.Rules.Get().MinFactor == PhishingResistant
	t.next("sign in with the password, without a second factor", t.signIn(v, p.email, p.password.Reveal()), NextEnrol)
	t.refused("look at people", t.ask(v, "GET", "people", nil), http.StatusForbidden, "enrol_required")
	t.refused("look at one's own sessions", t.ask(v, "GET", "sessions", nil), http.StatusForbidden, "enrol_required")
	t.refused("open the application", t.open(v, "/"), http.StatusForbidden, "enrol_required")
	t.refused("show a factor that nobody asked for", t.show(v, letters(tokenLength), "123456"), http.StatusConflict, "flow_order")
	begun := t.ask(v, "POST", "factors/totp", nil)
	t.works("begin a code generator", begun, http.StatusOK)
	seed, err := totp.Parse(read(begun).URI)
	if err != nil {
		return "no code generator could be set up"
	}
	at := totp.Step(t.s.Now())
	t.refused("confirm it with a wrong code", t.confirm(v, read(begun).ID, wrong(t.code(seed, at))), http.StatusUnprocessableEntity, "factor_refused")
	done := t.confirm(v, read(begun).ID, t.code(seed, at))
	t.works("confirm it with the right code", done, http.StatusOK)
	if strict {
		return t.onlyPasskey(p, v, seed, at, read(done).Codes)
	}
	t.works("look at people then", t.ask(v, "GET", "people", nil), http.StatusOK)
	t.around(p, seed, at, read(done).Codes)
	return "a password alone reached nothing but the page that sets up a factor, and no step could be left out"
}

// onlyPasskey goes on where the policy asks for a passkey: codes open nothing, before there
// is one and after.
func (t *trial) onlyPasskey(p planted, v *canary.Visitor, seed totp.Seed, at int64, codes []string) string {
	t.refused("look at people with a code", t.ask(v, "GET", "people", nil), http.StatusForbidden, "enrol_required")
	k := t.hasPasskey(p, v)
	if k == nil {
		return ""
	}
	t.works("look at people with a passkey", t.ask(v, "GET", "people", nil), http.StatusOK)
	w := t.visitor()
	flow := t.next("sign in with the password alone", t.signIn(w, p.email, p.password.Reveal()), NextFactor).Flow
	t.refused("show a code in place of the passkey", t.show(w, flow, t.code(seed, at+1)), http.StatusForbidden, "passkey_required")
	if len(codes) > 0 {
		a := t.ask(w, "POST", "sign-in/factor", map[string]string{"flow": flow, "kind": FactorRecovery, "code": codes[0]})
		t.refused("show a recovery code in its place", a, http.StatusForbidden, "passkey_required")
	}
	t.refused("go on without it", t.ask(w, "GET", "session", nil), http.StatusUnauthorized, "")
	a, _ := t.proveWith(w, k, t.question(w, "sign-in/passkey"))
	t.next("show the passkey", a, NextDone)
	return "neither a password nor a code reached anything but the page that sets up a passkey, and with one set up nothing else counted"
}

// hasPasskey sets up a passkey for whoever is signed in at a visitor. Where only listed
// makers are taken, none of a control is: it is planted, and signed in by.
func (t *trial) hasPasskey(p planted, v *canary.Visitor) *passkey.Key {
	if t.err == nil && t.s.Makers != nil {
		k := t.plantsPasskey(p.id)
		if k != nil {
			a, _ := t.proveWith(v, k, t.question(v, "sign-in/passkey"))
			t.works("sign in by a passkey", a, http.StatusOK)
		}
		return k
	}
	if t.err != nil {
		return nil
	}
	party, err := t.s.party()
	if err == nil {
		var k *passkey.Key
		if k, err = party.NewKey(); err == nil {
			t.works("set up a passkey", t.makeWith(v, k, t.question(v, "factors/passkey/options")), http.StatusOK)
			return k
		}
	}
	t.err = err
	return nil
}

// enters signs a planted person in, and sets up what their role needs: a code generator,
// or a passkey.
func (t *trial) enters(act string, v *canary.Visitor, p planted) {
	a := t.signIn(v, p.email, p.password.Reveal())
	t.works(act, a, http.StatusOK)
	if read(a).Next != NextEnrol {
		return
	}
	if t.s.Rules.Get().MinFactor == PhishingResistant {
		t.hasPasskey(p, v)
		return
	}
	begun := read(t.ask(v, "POST", "factors/totp", nil))
	seed, err := totp.Parse(begun.URI)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("set up a code generator: %w", err)
	}
	t.works("set up a code generator", t.confirm(v, begun.ID, t.code(seed, totp.Step(t.s.Now()))), http.StatusOK)
}

// around tries the sign-in of somebody who has a factor.
func (t *trial) around(p planted, seed totp.Seed, at int64, codes []string) {
	v, other := t.visitor(), t.visitor()
	asked := t.next("sign in with the password alone", t.signIn(v, p.email, p.password.Reveal()), NextFactor)
	t.refused("go on without the factor", t.ask(v, "GET", "session", nil), http.StatusUnauthorized, "")
	t.refused("show the factor in another browser", t.show(other, asked.Flow, t.code(seed, at+1)), http.StatusConflict, "flow_order")
	t.refused("show a code that was used", t.show(v, asked.Flow, t.code(seed, at)), http.StatusUnauthorized, "factor_refused")
	t.next("show the next code", t.show(v, asked.Flow, t.code(seed, at+1)), NextDone)
	t.recovery(p, codes)
	t.refused("go through the same step again", t.show(v, asked.Flow, t.code(seed, at+1)), http.StatusConflict, "flow_order")
}

// recovery uses a recovery code twice.
func (t *trial) recovery(p planted, codes []string) {
	if t.err != nil {
		return
	}
	if len(codes) == 0 {
		t.step("look for recovery codes", "some", "none", false, true)
		return
	}
	for i, want := range []string{NextDone, ""} {
		v := t.visitor()
		flow := t.next("sign in with the password once more", t.signIn(v, p.email, p.password.Reveal()), NextFactor).Flow
		a := t.ask(v, "POST", "sign-in/factor", map[string]string{"flow": flow, "kind": FactorRecovery, "code": codes[0]})
		if i == 0 {
			t.next("show a recovery code", a, want)
			continue
		}
		t.refused("show the same recovery code again", a, http.StatusUnauthorized, "factor_refused")
	}
}

func (t *trial) show(v *canary.Visitor, flow, code string) canary.Answer {
	return t.ask(v, "POST", "sign-in/factor", map[string]string{"flow": flow, "kind": FactorTOTP, "code": code})
}

func (t *trial) confirm(v *canary.Visitor, id, code string) canary.Answer {
	return t.ask(v, "POST", "factors/totp/confirm", map[string]string{"id": id, "code": code})
}

func (t *trial) code(s totp.Seed, step int64) string {
	c, err := s.Code(step)
	if err != nil && t.err == nil {
		t.err = err
	}
	return c
}

// wrong is a code that differs from a right one in its first digit.
func wrong(code string) string {
	if code == "" {
		return code
	}
	return string('0'+(code[0]-'0'+5)%10) + code[1:]
}

// open asks for a page of the application as a program does.
func (t *trial) open(v *canary.Visitor, path string) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	a, err := v.Do(t.ctx, http.MethodGet, path, "")
	if err == nil && a.Status >= 500 {
		err = fmt.Errorf("the application's door answered %s", saw(a))
	}
	t.err = err
	return a
}

// probeOneFactor counts sessions that had one factor where two are demanded. Those of a
// dated grace, which end with it, are none.
func (s *Service) probeOneFactor(ctx context.Context) (clause.Result, error) {
	var all, bad int64
	err := s.DB.Each(ctx, sessionFactors, func(scan scanner) error {
		var kind, roles, level string
		var acr, own, low, started int64
		var live bool
		if err := scan(&kind, &own, &roles, &level, &acr, &low, &started, &live); err != nil {
			return err
		}
		want := s.Rules.At(at(started)).asks(kind, rolesOf(roles)) // what was in force when it began
		if live {
			want = max(want, int(own)) // a team's demand has no history
		}
		if want < twoFactors {
			return nil
		}
		all++
		if level == levelFull && int(acr) < want && low == 0 {
			bad++
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read sessions: %w", err)
	}
	return judged(bad == 0, all, fmt.Sprintf("of %d sessions of people who must have a second factor %d began with less than was asked", all, bad)), nil
}

// probeSeeds opens every seed: one that does not open in its place, or that is there
// twice, is somebody else's.
func (s *Service) probeSeeds(ctx context.Context) (clause.Result, error) {
	type row struct {
		id  string
		box []byte
	}
	var rows []row
	err := s.DB.Each(ctx, allSeeds, func(scan scanner) error {
		var r row
		if err := scan(&r.id, &r.box); err != nil {
			return err
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read seeds: %w", err)
	}
	seen := map[[32]byte]bool{}
	shared, foreign := 0, 0
	for _, r := range rows {
		seed, err := s.openSeed(ctx, r.id, r.box)
		if errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable) {
			return clause.Result{}, err
		}
		if err != nil {
			foreign++
			continue
		}
		sum := seed.Text().Sum()
		if seen[sum] {
			shared++
		}
		seen[sum] = true
	}
	return judged(shared+foreign == 0, int64(len(rows)), fmt.Sprintf("of %d seeds of code generators %d serve two people, %d do not open where they lie", len(rows), shared, foreign)), nil
}

const allSeeds = `SELECT id, box FROM identity_factor WHERE kind = 'totp'`

const sessionFactors = `SELECT t.kind, t.need, m.roles, s.level, s.acr, s.low, s.started, s.ended IS NULL FROM identity_session s
	JOIN identity_team t ON t.id = s.team JOIN identity_member m ON m.team = s.team AND m.person = s.person`
