package identity_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

const another = "a fine new phrase 12"

// A reset through the mailbox never gets round the second factor: the new password waits
// until it was shown, and the link works once.
func testResetWaitsForTheFactor(t *testing.T) { // breaks: auth.reset-sets-new
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("cleo")
		b := w.browser()
		b.signIn(email, good)
		p := b.enrol()
		w.letter(email) // added
		thief := w.browser()
		thief.api(202, "POST", "recovery", map[string]any{"email": email})
		token := tokenOf(t, w.letter(email).Text)
		first := thief.api(200, "POST", "recovery/"+token, map[string]any{"new": another})
		if first["next"] != "factor" || first["flow"] == nil {
			t.Fatalf("%v", first)
		}
		thief.api(401, "POST", "sign-in/factor", map[string]any{"flow": first["flow"], "kind": "totp", "code": "000000"})
		w.browser().api(409, "POST", "sign-in/factor", map[string]any{"flow": first["flow"], "kind": "totp", "code": p.code()})
		b.api(200, "GET", "session", nil) // nothing has happened
		if in := w.browser().ask("POST", "sign-in", map[string]any{"email": email, "password": another}); in.Status != 401 {
			t.Errorf("the staged password signs in: %d %s", in.Status, in.Body)
		}
		done := thief.api(200, "POST", "sign-in/factor", map[string]any{"flow": first["flow"], "kind": "totp", "code": p.code()})
		if done["next"] != "sign-in" {
			t.Errorf("%v", done)
		}
		thief.api(401, "GET", "session", nil) // a reset does not sign in
		b.api(401, "GET", "session", nil)
		thief.api(410, "POST", "recovery/"+token, map[string]any{"new": "yet another phrase 13"})
		thief.signInWith(email, another, p)

		// Two flows of one link have one winner, and one that was begun before the link was
		// used is over.
		thief.api(202, "POST", "recovery", map[string]any{"email": email})
		var again string
		for again == "" {
			if m := w.letter(email); m.Kind == "identity.reset" {
				again = tokenOf(t, m.Text)
			}
		}
		x, y := w.browser(), w.browser()
		fx := x.api(200, "POST", "recovery/"+again, map[string]any{"new": "one more phrase 14"})["flow"]
		fy := y.api(200, "POST", "recovery/"+again, map[string]any{"new": "one more phrase 15"})["flow"]
		codes := map[any]string{fx: p.codes[0], fy: p.codes[1]}
		var won atomic.Int64
		var wg sync.WaitGroup
		for f, br := range map[any]browser{fx: x, fy: y} {
			wg.Go(func() {
				if a := br.ask("POST", "sign-in/factor", map[string]any{"flow": f, "kind": "recovery", "code": codes[f]}); a.Status == 200 {
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

// On the page too.
func TestResetPageWaitsForTheFactor(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in")
	r.press("Sign in", "email", to, "password", good)
	r.open("/-/account/factors")
	r.press("Set up an app")
	seed := r.seedOn()
	r.press("Turn it on", "code", r.codeOf(seed))
	s.letter(to)
	far := s.reader()
	far.open("/-/forgot")
	far.press("Send the link", "email", to)
	far.open("/-/recover/" + tokenOf(t, s.letter(to).Text))
	far.press("Set the new password", "new", another).want(t, 200, "Enter the code")
	if p := far.press("Go on", "code", r.codeOf(seed)).want(t, 200, "Your new password is set"); p.path != "/-/sign-in" {
		t.Errorf("at %s", p.path)
	}
}

// The two lengths: alone, and beside a factor that is asked for each time.
func TestLengthBesideAFactor(t *testing.T) { // breaks: auth.min-length
	w := open(t)
	w.set(clause.Values{"auth.min-length/min": int64(15), "auth.min-length/min_with_factor": int64(8)})
	const ten, fifteen = "velvet-4ux", "velvet-4ux-mango"
	if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("cleo"), Password: secret.NewText(ten)}); err == nil {
		t.Error("a short password alone")
	}
	a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("sam"), Handle: "sam", Roles: []string{"engineer"}})
	if err != nil {
		t.Fatal(err)
	}
	w.browser().api(422, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": "vux-4ma"})
	w.browser().api(200, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": ten})

	if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("cleo"), Password: secret.NewText(fifteen)}); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn(mailbox("cleo"), fifteen)
	b.api(422, "POST", "password", map[string]any{"current": fifteen, "new": ten})
	p := b.enrol()
	b.api(200, "POST", "password", map[string]any{"current": fifteen, "new": ten})
	if a := b.ask("DELETE", "factors/"+p.id, nil); a.Status != 409 || !strings.Contains(a.Body, "too short") {
		t.Errorf("the factor went, the short password stays: %d %s", a.Status, a.Body)
	}
	b.api(200, "POST", "password", map[string]any{"current": ten, "new": fifteen + "s"})
	b.api(204, "DELETE", "factors/"+p.id, nil)

	// A browser that may skip the factor makes it no longer asked for each time.
	w.set(clause.Values{"auth.min-length/min": int64(15), "auth.min-length/min_with_factor": int64(8), "auth.best-practice/remember_device": 24 * time.Hour})
	b.enrol()
	b.api(422, "POST", "password", map[string]any{"current": fifteen + "s", "new": ten})
}

// The policy may ask a factor of customers' admins; a team may ask it of its own people.
func testWhoMustHaveAFactor(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	b.api(200, "GET", "session", nil)
	w.set(clause.Values{"access.mfa-by-technology/who": []string{"admin", "staff"}})
	b.api(401, "GET", "session", nil) // at the next request
	if in := b.signIn(email, good); in["next"] != "enrol" {
		t.Errorf("%v", in)
	}
	w.set(nil)
	if in := b.signIn(email, good); in["next"] != "done" {
		t.Errorf("%v", in)
	}
	w.exec(`UPDATE identity_team SET need = 2`)
	if in := b.signIn(email, good); in["next"] != "enrol" {
		t.Errorf("%v", in)
	}
	for _, bad := range [][]string{{}, {"admin"}, {"owner", "staff"}} {
		v := shipped()["access.mfa-by-technology/who"]
		if err := w.trySet(clause.Values{"access.mfa-by-technology/who": bad}); err == nil {
			t.Errorf("%v was taken for %v", bad, v)
		}
	}
}

// A remembered browser skips the second factor only, never for staff, never as a proof,
// and not longer than the policy says.
func TestRememberedBrowser(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	step := func(b browser, email string, p *phone) {
		t.Helper()
		flow := b.signIn(email, good)["flow"]
		b.api(200, "POST", "sign-in/factor", map[string]any{"flow": flow, "kind": "totp", "code": p.code(), "remember": true})
	}
	step(b, email, p)
	if in := b.signIn(email, good); in["next"] != "factor" {
		t.Fatalf("the policy allows none: %v", in)
	}
	w.set(clause.Values{"auth.best-practice/remember_device": 48 * time.Hour})
	step(b, email, p)
	if in := b.signIn(email, good); in["next"] != "done" {
		t.Fatalf("%v", in)
	}
	if in := w.browser().signIn(email, good); in["next"] != "factor" {
		t.Errorf("another browser: %v", in)
	}
	b.api(401, "POST", "sign-in", map[string]any{"email": email, "password": "wrong"})
	if a := b.ask("DELETE", "factors/"+p.id, nil); a.Status != 403 || !strings.Contains(a.Body, `"acr":2`) {
		t.Errorf("the remembered browser is a proof: %d %s", a.Status, a.Body)
	}
	b.api(200, "POST", "step-up", map[string]any{"kind": "totp", "code": p.code()})
	list := b.api(200, "GET", "browsers", nil)["browsers"].([]any)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	b.api(204, "DELETE", "browsers/"+list[0].(map[string]any)["id"].(string), nil)
	b.api(404, "DELETE", "browsers/none", nil)
	if in := b.signIn(email, good); in["next"] != "factor" {
		t.Errorf("after it was forgotten: %v", in)
	}
	step(b, email, p)
	w.kit.Clock.Advance(48*time.Hour - time.Minute)
	if in := b.signIn(email, good); in["next"] != "done" {
		t.Errorf("%v", in)
	}
	w.kit.Clock.Advance(time.Minute)
	if in := b.signIn(email, good); in["next"] != "factor" {
		t.Errorf("after two days: %v", in)
	}
	step(b, email, p)
	w.set(clause.Values{"auth.best-practice/remember_device": time.Hour})
	w.kit.Clock.Advance(time.Hour)
	if in := b.signIn(email, good); in["next"] != "factor" {
		t.Errorf("a shorter policy: %v", in)
	}
	_, s, q := w.staff("sam", "engineer")
	step(s, mailbox("sam"), q)
	if in := s.signIn(mailbox("sam"), good); in["next"] != "factor" {
		t.Errorf("staff: %v", in)
	}
}

// Two people take lost factors away, neither of them the one who lost them.
func TestFactorReset(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t)
	_, ana, _ := w.staff("ana", "owner")
	_, ben, _ := w.staff("ben", "owner")
	_, sam, p := w.staff("sam", "engineer")
	why := map[string]any{"reason": "He called from the number in his file."}
	sam.api(403, "POST", "people/sam/factor-reset", why)
	ana.api(422, "POST", "people/sam/factor-reset", map[string]any{"reason": "lost"})
	ana.api(403, "POST", "people/ana/factor-reset", why)
	ben.api(404, "POST", "people/sam/factor-reset/agree", nil)
	if out := ana.api(201, "POST", "people/sam/factor-reset", why); out["waits"] != nil {
		t.Errorf("staff waits: %v", out)
	}
	if a := ana.ask("POST", "people/sam/factor-reset/agree", nil); a.Status != 403 {
		t.Errorf("one person alone: %d %s", a.Status, a.Body)
	}
	w.drain() // a letter on its way would be sent again after so long
	w.kit.Clock.Advance(96 * time.Hour)
	for _, err := range w.svc.Housekeeping(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	sam.signInWith(mailbox("sam"), good, p) // shows the factor: the request is over
	if err := w.svc.AgreeFactorReset(t.Context(), operator, "sam"); err == nil {
		t.Error("a request that the factor answered was carried out")
	}
	if _, err := w.svc.AskFactorReset(t.Context(), operator, "sam", "He stands before me with his passport."); err != nil {
		t.Fatal(err)
	}
	ben.ask("POST", "sign-out", nil)
	_, cara, _ := w.staff("cara", "owner")
	cara.api(204, "POST", "people/sam/factor-reset/agree", nil)
	sam.api(401, "GET", "session", nil)
	if in := sam.signIn(mailbox("sam"), good); in["next"] != "enrol" {
		t.Errorf("%v", in)
	}
	var kinds strings.Builder
	for range 5 {
		kinds.WriteString(w.letter(mailbox("sam")).Kind + " ")
	}
	for _, want := range []string{"identity.factor-reset-asked", "identity.factor-reset "} {
		if !strings.Contains(kinds.String(), want) {
			t.Errorf("letters %s", kinds.String())
		}
	}
	if r := w.kit.Recorded("identity.factors-removed"); len(r) != 1 {
		t.Errorf("%v", r)
	}
}

// A customer's admin starts, another agrees, or three days pass.
func TestFactorResetOfCustomers(t *testing.T) {
	w := open(t)
	boss, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("boss"), Password: secret.NewText(good), TeamName: "Orchard"})
	if err != nil {
		t.Fatal(err)
	}
	add := func(name, role string) browser {
		if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox(name), Password: secret.NewText(good), Team: boss.Team, Role: role}); err != nil {
			t.Fatal(err)
		}
		b := w.browser()
		b.signIn(mailbox(name), good)
		return b
	}
	maria, second := add("maria", "member"), add("second", "admin")
	maria.enrol()
	chief := w.browser()
	chief.signIn(mailbox("boss"), good)
	_, email := w.customer("stranger")
	stranger := w.browser()
	stranger.signIn(email, good)
	why := map[string]any{"reason": "She sits at the next desk."}
	stranger.api(403, "POST", "people/"+mailbox("maria")+"/factor-reset", why)
	maria.api(403, "POST", "people/"+mailbox("second")+"/factor-reset", why)
	chief.api(201, "POST", "people/"+mailbox("maria")+"/factor-reset", why)
	chief.api(403, "POST", "people/"+mailbox("maria")+"/factor-reset/agree", nil)
	second.api(204, "DELETE", "people/"+mailbox("maria")+"/factor-reset", nil)
	chief.api(201, "POST", "people/"+mailbox("maria")+"/factor-reset", why)
	second.api(204, "POST", "people/"+mailbox("maria")+"/factor-reset/agree", nil)
	if in := maria.signIn(mailbox("maria"), good); in["next"] != "done" {
		t.Errorf("%v", in)
	}
	p := maria.enrol()
	chief.api(200, "POST", "step-up", map[string]any{"kind": "password", "code": good})
	if out := chief.api(201, "POST", "people/"+mailbox("maria")+"/factor-reset", why); out["waits"] == nil {
		t.Errorf("%v", out)
	}
	for _, wait := range []time.Duration{72*time.Hour - time.Minute, time.Minute} {
		if in := maria.signIn(mailbox("maria"), good); in["next"] != "factor" {
			t.Errorf("too early: %v", in)
		}
		w.kit.Clock.Advance(wait)
		for _, err := range w.svc.Housekeeping(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if in := maria.signIn(mailbox("maria"), good); in["next"] != "done" {
		t.Errorf("after three days: %v", in)
	}
	_ = p
}

// Two owners who can sign in are always left.
func TestTwoOwnersStay(t *testing.T) {
	w := open(t)
	_, ana, _ := w.staff("ana", "owner")
	w.staff("ben", "owner")
	ana.api(201, "POST", "people", map[string]any{"email": mailbox("cara"), "name": "C", "handle": "cara", "roles": []string{"owner"}})
	if a := ana.ask("POST", "people/ben/disable", nil); a.Status != 409 || !strings.Contains(a.Body, "last_owner") {
		t.Errorf("with an owner who cannot sign in yet: %d %s", a.Status, a.Body)
	}
	ana.api(200, "POST", "people/cara/disable", nil) // never came
	w.staff("dora", "owner")
	ana.api(200, "POST", "people/ben/disable", nil)
	ana.api(409, "POST", "people/dora/disable", nil)
}
