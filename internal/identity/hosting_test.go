package identity_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

// An engineer's rights end with the age of the second factor and come back with a new one;
// what needs no right goes on, and others are asked nothing.
func TestHostingFactorAges(t *testing.T) { // breaks: access.mfa-hosting
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		w.set(clause.Values{"auth.best-practice/staff_idle": 24 * time.Hour})
		_, eng, p := w.staff("eng", "engineer")
		_, aud, _ := w.staff("aud", "auditor")
		w.kit.Clock.Advance(12*time.Hour - time.Minute)
		eng.api(200, "GET", "people", nil)
		w.kit.Clock.Advance(2 * time.Minute)
		got := eng.api(403, "GET", "people", nil)
		if got["code"] != "step_up_required" || got["acr"] != float64(2) || got["max_age"] != float64(43200) {
			t.Errorf("%v", got)
		}
		eng.api(200, "GET", "session", nil)
		aud.api(200, "GET", "people", nil)
		w.wants("identity.hosting-sessions", clause.Pass)
		eng.api(200, "POST", "step-up", obj{"kind": "totp", "code": p.code()})
		eng.api(200, "GET", "people", nil)
		w.wants("identity.hosting-acts", clause.Pass)
	}, jobs.Schema(), identity.Schema())
}

// Each proof of the clause sees a server that lets an old factor count.
func TestHostingControls(t *testing.T) { // breaks: access.mfa-hosting
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		stands := kit.Clock.Now()
		broken := atomic.Bool{} // the decision is made by a clock that stands still
		w := with(t, kit, func(d *identity.Deps) {
			d.Access = policytest.Access(kit.DB, func() time.Time {
				if broken.Load() {
					return stands
				}
				return kit.Clock.Now()
			})
		})
		w.set(clause.Values{"auth.best-practice/staff_idle": 24 * time.Hour})
		_, eng, _ := w.staff("eng", "engineer")
		controls := []string{"identity.old-factor", "identity.hosting-sessions", "identity.hosting-acts"}
		for _, c := range controls {
			w.wants(c, clause.Pass)
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE person LIKE 'canary-%'`); n != "0" {
			t.Errorf("%s sessions of the control are left", n)
		}
		w.kit.Clock.Advance(13 * time.Hour)
		eng.api(403, "GET", "people", nil)
		w.wants("identity.hosting-sessions", clause.Pass)
		broken.Store(true)
		eng.api(200, "GET", "people", nil)
		w.wants("identity.hosting-sessions", clause.Fail)
		broken.Store(false)
		w.wants("identity.hosting-sessions", clause.Pass)
		w.breakFront(swap(path("/people"), status(200, `{"people":[]}`)))
		w.wants("identity.old-factor", clause.Fail)
		w.wants("identity.hosting-acts", clause.Pass) // writes the counts of what was used
		w.exec(`UPDATE identity_use SET late = 1 WHERE person <> ''`)
		w.wants("identity.hosting-acts", clause.Fail)
	}, jobs.Schema(), identity.Schema())
}

// The controls of factors prove a policy that asks for passkeys too, and see a server that
// takes a code for one.
func TestFactorControlsUnderPasskeys(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t, underName)
	w.strict()
	controls := []string{"identity.second-factor", "identity.passkeys", "identity.one-factor", "identity.auditor-acts", "identity.late-loan", "identity.old-factor"}
	var have []string
	for _, c := range w.svc.Controls(w.door) {
		have = append(have, c.ID)
	}
	for _, c := range controls {
		if slices.Contains(have, c) {
			w.wants(c, clause.Pass)
		}
	}
	w.breakFront(swap(path("/people"), status(200, `{"people":[]}`)))
	w.wants("identity.second-factor", clause.Fail)
	w.breakFront(swap(path("/sign-in/factor"), status(200, `{"next":"done"}`)))
	w.wants("identity.second-factor", clause.Fail)
}

// A session below what was in force when it began is found.
func TestOneFactorReplaySeesLevels(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t, underName)
	w.staff("sam", "engineer")
	w.wants("identity.one-factor", clause.Pass)
	w.strict() // one period: it was in force when the session began
	w.wants("identity.one-factor", clause.Fail)
	w.exec(`UPDATE identity_session SET acr = 3`)
	w.wants("identity.one-factor", clause.Pass)
}
