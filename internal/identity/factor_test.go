package identity_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/totp"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// Staff without a factor reach nothing but the pages that set one up.
func testStaffEnrolFirst(t *testing.T) { // breaks: access.mfa-by-technology
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("ana"), Handle: "ana", Roles: []string{"owner"}})
		if err != nil {
			t.Fatal(err)
		}
		b := w.browser()
		b.api(200, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": good})
		if in := b.signIn(mailbox("ana"), good); in["next"] != "enrol" || in["roles"] != nil || in["team"] != nil {
			t.Fatalf("%v", in)
		}
		for _, path := range []string{"session", "sessions", "people", "people/ana"} {
			if p := b.api(403, "GET", path, nil); p["code"] != "enrol_required" {
				t.Errorf("%s: %v", path, p)
			}
		}
		b.api(403, "POST", "password", map[string]any{"current": good, "new": "a fine new phrase 12"})
		b.api(403, "POST", "factors/recovery-codes", nil)
		if fs := b.api(200, "GET", "factors", nil); fs["needed"] != true || len(fs["factors"].([]any)) != 0 || fs["grace"] != nil {
			t.Errorf("%v", fs)
		}
		p := b.enrol()
		if len(p.codes) != 10 {
			t.Fatalf("%d recovery codes", len(p.codes))
		}
		s := b.api(200, "GET", "session", nil)["session"].(map[string]any)
		if s["acr"].(float64) != 2 {
			t.Errorf("%v", s)
		}
		b.api(200, "GET", "people", nil)
		w.letterOf(mailbox("ana"), "first-password")
		w.letterOf(mailbox("ana"), "factor-added")
		b.signInWith(mailbox("ana"), good, p)
		b.api(200, "GET", "people", nil)
		if r := kit.Recorded("identity.signed-in"); len(r) != 2 || !strings.Contains(r[1].Body, "otp") {
			t.Errorf("%v", r)
		}
		// The one who may only enrol may also go.
		if got := b.ask("POST", "sign-out", nil); got.Status != 204 {
			t.Errorf("%d", got.Status)
		}
	}, jobs.Schema(), identity.Schema())
}

// An enrol session lasts an hour, and may be ended.
func TestEnrolSessionEnds(t *testing.T) {
	w := open(t)
	a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("ana"), Handle: "ana", Roles: []string{"owner"}})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.api(200, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": good})
	b.signIn(mailbox("ana"), good)
	b.api(200, "GET", "factors", nil)
	if got := b.ask("POST", "sign-out", nil); got.Status != 204 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	b.api(401, "GET", "factors", nil)
	b.signIn(mailbox("ana"), good)
	for range 3 {
		w.kit.Clock.Advance(20*time.Minute - time.Second)
		b.api(200, "GET", "factors", nil)
	}
	w.kit.Clock.Advance(4 * time.Second)
	b.api(401, "GET", "factors", nil)
}

// A code works once, whoever is faster, and the ones before it do not work any more.
func testCodesWorkOnce(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	w.kit.Clock.Advance(2 * totp.Period)
	flow := b.signIn(email, good)["flow"]
	if a := b.ask("POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": p.at(p.step)}); a.Status != 401 || !strings.Contains(a.Body, "factor_refused") {
		t.Errorf("a used code: %d %s", a.Status, a.Body)
	}
	code := p.code()
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": code})
	again := b.signIn(email, good)["flow"]
	b.api(401, "POST", "sign-in/factor", map[string]any{"flow": again, "kind": "totp", "code": code})
	b.api(401, "POST", "sign-in/factor", map[string]any{"flow": again, "kind": "totp", "code": p.at(p.step - 1)})
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": again, "kind": "totp", "code": p.at(p.step + 1)})

	// A recovery code too, and thirty-two at once have one winner.
	first := b.signIn(email, good)["flow"]
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": first, "kind": "recovery", "code": strings.ToUpper(p.codes[0])})
	w.letterOf(email, "recovery-used")
	second := b.signIn(email, good)["flow"]
	b.api(401, "POST", "sign-in/factor", map[string]any{"flow": second, "kind": "recovery", "code": p.codes[0]})
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": second, "kind": "recovery", "code": p.codes[1]})
	fresh := b.api(200, "POST", "factors/recovery-codes", nil)["codes"].([]any)
	third := b.signIn(email, good)["flow"]
	b.api(401, "POST", "sign-in/factor", map[string]any{"flow": third, "kind": "recovery", "code": p.codes[2]})
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": third, "kind": "recovery", "code": fresh[0]})
}

func testOneCodeHasOneWinner(t *testing.T) { // breaks: auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("cleo")
		b := w.browser()
		b.signIn(email, good)
		p := b.enrol()
		code := p.code()
		const many = 32 // of whom the counter of codes lets ten an hour through
		var flows []string
		var bs []browser
		for range many {
			x := w.browser()
			flows, bs = append(flows, x.signIn(email, good)["flow"].(string)), append(bs, x)
		}
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				if a := bs[i].ask("POST", "sign-in/factor", map[string]any{"flow": flows[i], "kind": "totp", "code": code}); a.Status == 200 {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d winners", won.Load())
		}
	}, jobs.Schema(), identity.Schema())
}

// A flow is one browser's, ends after five wrong codes and after ten minutes, and with
// the password.
func TestFlows(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	step := func(b browser, flow any, code string) (int, string) {
		t.Helper()
		a := b.ask("POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": code})
		return a.Status, a.Body
	}
	order := func(what string, status int, body string) {
		t.Helper()
		if status != 409 || !strings.Contains(body, "flow_order") {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	c := w.browser()
	flow := c.signIn(email, good)["flow"]
	c.api(401, "GET", "session", nil)
	s, body := step(w.browser(), flow, p.code())
	order("another browser", s, body)
	s, body = step(c, strings.Repeat("A", 43), p.code())
	order("a made-up flow", s, body)
	w.kit.Clock.Advance(10 * time.Minute)
	s, body = step(c, flow, p.code())
	order("after ten minutes", s, body)

	flow = c.signIn(email, good)["flow"]
	for range 5 {
		if s, body := step(c, flow, "000000"); s != 401 {
			t.Fatalf("%d %s", s, body)
		}
	}
	s, body = step(c, flow, p.code())
	order("after five wrong ones", s, body)
	for range 2 {
		w.letter(email) // added, guessed
	}
	w.kit.Clock.Advance(time.Hour)
	flow = c.signIn(email, good)["flow"]
	if _, err := w.svc.EndSessions(t.Context(), operator, w.one(`SELECT id FROM identity_person`)); err != nil {
		t.Fatal(err)
	}
	s, body = step(c, flow, p.code())
	order("after everything was ended", s, body)
	c.api(401, "POST", "sign-in/factor", map[string]any{"flow": c.signIn(email, good)["flow"], "kind": "telepathy", "code": "1"})
}

// Codes have a counter of their own: ten an hour, reached only with the password; a
// hundred wrong ones in a row lock the app, and a recovery code still lets its owner in.
func TestCodesAreCounted(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	told := 0
	for range 10 {
		for range 2 {
			flow := b.signIn(email, good)["flow"]
			for range 5 {
				b.api(401, "POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": "000000"})
			}
			told++
		}
		flow := b.signIn(email, good)["flow"]
		if a := b.ask("POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": p.code()}); a.Status != 429 {
			t.Fatalf("the eleventh within the hour: %d %s", a.Status, a.Body)
		}
		w.kit.Clock.Advance(time.Hour)
	}
	for range told {
		w.letterOf(email, "factor-guessed")
	}
	if n := len(w.kit.Recorded("identity.factor-locked")); n != 1 {
		t.Errorf("locked %d times", n)
	}
	in := b.signIn(email, good)
	if kinds := in["factors"].([]any); len(kinds) != 1 || kinds[0] != "recovery" {
		t.Errorf("%v", in)
	}
	b.api(401, "POST", "sign-in/factor", map[string]any{"flow": in["flow"], "kind": "totp", "code": p.code()})
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": in["flow"], "kind": "recovery", "code": p.codes[3]})
}

// Whoever set up a factor is asked for it, and keeps it while it is the last of somebody
// who must have one.
func TestRemoveFactor(t *testing.T) {
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	b.api(404, "DELETE", "factors/none", nil)
	b.api(204, "DELETE", "factors/"+p.id, nil)
	if in := b.signIn(email, good); in["next"] != "done" {
		t.Errorf("%v", in)
	}
	_, s, q := w.staff("sam", "engineer")
	if a := s.ask("DELETE", "factors/"+q.id, nil); a.Status != 409 || !strings.Contains(a.Body, "last_factor") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	second := s.enrol()
	s.api(204, "DELETE", "factors/"+q.id, nil)
	s.signInWith(mailbox("sam"), good, second)
	other := w.browser()
	other.signIn(email, good)
	other.api(404, "DELETE", "factors/"+second.id, nil)
}

// The policy's grace is dated once for each person, and never again.
func TestGrace(t *testing.T) {
	w := open(t)
	a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("ana"), Handle: "ana", Roles: []string{"owner"}})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.api(200, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": good})
	w.set(clause.Values{"access.mfa-by-technology/grace": 48 * time.Hour})
	for _, err := range w.svc.Housekeeping(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.kit.Clock.Advance(24 * time.Hour)
	if in := b.signIn(mailbox("ana"), good); in["next"] != "done" {
		t.Fatalf("within the grace: %v", in)
	}
	b.api(200, "GET", "people", nil)
	if fs := b.api(200, "GET", "factors", nil); fs["grace"] != w.kit.Clock.Now().Add(24*time.Hour).Format(time.RFC3339) {
		t.Errorf("%v", fs)
	}
	w.kit.Clock.Advance(23*time.Hour + 30*time.Minute)
	b.signIn(mailbox("ana"), good)
	b.api(200, "GET", "people", nil)
	w.kit.Clock.Advance(30 * time.Minute)
	b.api(401, "GET", "people", nil) // the session ends with the grace
	for range 2 {
		if in := b.signIn(mailbox("ana"), good); in["next"] != "enrol" {
			t.Errorf("the grace began anew: %v", in)
		}
		w.set(clause.Values{"access.mfa-by-technology/grace": 14 * 24 * time.Hour})
	}
	p := b.enrol()
	b.api(200, "GET", "people", nil)
	w.exec(`DELETE FROM identity_factor WHERE id = $1`, p.id)
	if in := b.signIn(mailbox("ana"), good); in["next"] != "enrol" {
		t.Errorf("a grace for somebody who had a factor: %v", in)
	}
}

// A seed belongs to one person, in a box that opens for its own row alone.
func TestSeedsAreKept(t *testing.T) { // breaks: auth.unique-credentials
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	id, other := w.customer("dora")
	if err := w.tryExec(`INSERT INTO identity_factor (id, person, kind, name, box, mark, step, picture, created, confirmed, used, fails, locked)
		SELECT 'x', $1, kind, name, box, mark, step, picture, created, confirmed, used, fails, locked FROM identity_factor WHERE id = $2`, id, p.id); err == nil {
		t.Error("one seed on two accounts")
	}
	w.exec(`INSERT INTO identity_factor (id, person, kind, name, box, mark, step, picture, created, confirmed, used, fails, locked)
		SELECT 'x', $1, kind, name, box, 'another', step, picture, created, confirmed, used, fails, locked FROM identity_factor WHERE id = $2`, id, p.id)
	c := w.browser()
	flow := c.signIn(other, good)["flow"]
	if a := c.ask("POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": p.code()}); a.Status == 200 {
		t.Error("a box opened in a foreign row")
	}
}

// The controls see a server that lets one factor do.
func TestFactorControlsSeeABrokenServer(t *testing.T) {
	for name, f := range map[string]func(*world){
		// breaks: access.mfa-by-technology
		"lets the enrolling in": func(w *world) { w.breakFront(swap(path("/people"), status(200, `{}`))) },
		// breaks: access.mfa-by-technology
		"asks for no factor": func(w *world) { w.breakFront(swap(path("/sign-in"), status(200, `{"next":"done"}`))) },
		// breaks: access.mfa-by-technology
		"takes any flow": func(w *world) { w.breakFront(swap(path("/sign-in/factor"), status(200, `{"next":"done"}`))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			f(w)
			w.wants("identity.second-factor", clause.Fail)
		})
	}
	// breaks: access.mfa-by-technology
	w := open(t)
	w.staff("sam", "engineer")
	w.wants("identity.one-factor", clause.Pass)
	w.exec(`UPDATE identity_session SET acr = 1, level = 'full' WHERE ended IS NULL`)
	w.wants("identity.one-factor", clause.Fail)
	// breaks: auth.unique-credentials
	_, _, p := w.staff("tom", "engineer")
	w.wants("identity.own-seeds", clause.Pass)
	w.exec(`INSERT INTO identity_factor (id, person, kind, name, box, mark, step, picture, created, confirmed, used, fails, locked)
		SELECT 'x', person, kind, name, box, 'another', step, picture, created, confirmed, used, fails, locked FROM identity_factor WHERE id = $1`, p.id)
	w.wants("identity.own-seeds", clause.Fail)
}
