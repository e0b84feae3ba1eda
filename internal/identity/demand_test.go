package identity_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// club is a customer's team with an admin and two members, each in a browser.
type club struct {
	w                *world
	team             string
	admin, ben, cleo browser
}

func (w *world) club() club {
	w.t.Helper()
	made, err := w.svc.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: mailbox("ada"), Password: secret.NewText(good), TeamName: "Orchard"})
	if err != nil {
		w.t.Fatal(err)
	}
	c := club{w: w, team: made.Team}
	enter := func(name string) browser {
		b := w.browser()
		b.signIn(mailbox(name), good)
		return b
	}
	for _, name := range []string{"ben", "cleo"} {
		if _, err := w.svc.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: mailbox(name), Password: secret.NewText(good), Team: made.Team, Role: identity.RoleMember}); err != nil {
			w.t.Fatal(err)
		}
	}
	c.admin, c.ben, c.cleo = enter("ada"), enter("ben"), enter("cleo")
	return c
}

func (c club) require(status int, b browser, demand string) obj {
	c.w.t.Helper()
	return b.api(status, "POST", "teams/"+c.team+"/require", obj{"demand": demand})
}

// A team's admin demands a factor of the team: who lacks it is counted before and told
// after, and no session goes on below it.
func TestTeamDemand(t *testing.T) { // breaks: access.mfa-by-technology
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, underName)
		c := w.club()
		p := c.ben.enrol()
		c.require(403, c.cleo, identity.DemandTwo) // a member
		c.require(422, c.admin, "sms")
		if got := c.require(409, c.admin, identity.DemandTwo); got["code"] != "own_factor_first" {
			t.Fatalf("asks what she does not do: %v", got)
		}
		hers := c.admin.enrol()
		w.kit.Clock.Advance(20 * time.Minute)
		if got := c.require(403, c.admin, identity.DemandTwo); got["code"] != "step_up_required" {
			t.Fatalf("on an old proof: %v", got)
		}
		c.admin.api(200, "POST", "step-up", obj{"kind": "totp", "code": hers.code()})
		look := c.admin.api(200, "POST", "teams/"+c.team+"/require", obj{"demand": identity.DemandTwo, "look": true})
		if look["saved"] != false || look["lacking"] != float64(1) || look["members"] != float64(3) {
			t.Errorf("before: %v", look)
		}
		c.cleo.api(200, "GET", "session", nil)
		if got := c.require(200, c.admin, identity.DemandTwo); got["saved"] != true || got["lacking"] != float64(1) || got["before"] != identity.DemandNone {
			t.Errorf("after: %v", got)
		}
		c.admin.api(200, "GET", "session", nil)
		c.ben.api(200, "GET", "session", nil)
		c.cleo.api(401, "GET", "session", nil)
		if in := c.cleo.signIn(mailbox("cleo"), good); in["next"] != "enrol" {
			t.Errorf("cleo: %v", in)
		}
		w.letterOf(mailbox("cleo"), "factor-demanded")
		if ev := w.kit.Recorded("identity.team-demand-set"); len(ev) != 1 {
			t.Errorf("%d events", len(ev))
		}
		if got := c.admin.api(200, "GET", "teams/"+c.team, nil); got["demand"] != identity.DemandTwo {
			t.Errorf("%v", got)
		}
		c.cleo.enrol()
		c.cleo.api(200, "GET", "session", nil)

		// A passkey: codes no longer do, the strictest wins, and milder opens again.
		d := newDevice(t)
		c.admin.enrolPasskey(d, "")
		c.require(200, c.admin, identity.PhishingResistant)
		c.ben.api(401, "GET", "session", nil)
		if in := c.ben.signInWith(mailbox("ben"), good, p); in["next"] != "enrol" {
			t.Errorf("ben with a code: %v", in)
		}
		if got := c.ben.api(403, "GET", "sessions", nil); !strings.Contains(got["expected"].(string), "passkey") {
			t.Errorf("%v", got)
		}
		c.require(200, c.admin, identity.DemandNone)
		if in := c.ben.signInWith(mailbox("ben"), good, p); in["next"] != "done" { // his own factor is asked all the same
			t.Errorf("ben: %v", in)
		}
	}, jobs.Schema(), identity.Schema())
}

// The grace of the policy counts for a team's demand: dated, once, and never renewed.
func TestTeamDemandGrace(t *testing.T) { // breaks: access.mfa-by-technology
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		w.set(clause.Values{"access.mfa-by-technology/grace": 48 * time.Hour})
		c := w.club()
		c.admin.enrol()
		got := c.require(200, c.admin, identity.DemandTwo)
		if got["grace"] == nil || got["ended"] != float64(0) {
			t.Errorf("%v", got)
		}
		c.cleo.api(200, "GET", "session", nil)
		if fs := c.cleo.api(200, "GET", "factors", nil); fs["needed"] != true || fs["grace"] == nil {
			t.Errorf("%v", fs)
		}
		w.kit.Clock.Advance(47 * time.Hour)
		c.cleo.api(200, "GET", "session", nil)
		if _, err := w.svc.Require(t.Context(), operator, c.team, identity.DemandNone); err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Require(t.Context(), operator, c.team, identity.DemandTwo); err != nil {
			t.Fatal(err)
		}
		w.kit.Clock.Advance(time.Hour)
		c.cleo.api(401, "GET", "session", nil)
		if in := c.cleo.signIn(mailbox("cleo"), good); in["next"] != "enrol" {
			t.Errorf("the grace was given twice: %v", in)
		}
	}, jobs.Schema(), identity.Schema())
}

// Staff keep two owners who can meet what is asked of them.
func TestStaffDemandKeepsOwners(t *testing.T) {
	w := open(t, underName)
	_, ana, _ := w.staff("ana", "owner")
	_, ben, _ := w.staff("ben", "owner")
	ana.enrolPasskey(newDevice(t), "")
	_, err := w.svc.Require(t.Context(), operator, "staff", identity.PhishingResistant)
	is(t, "one owner with a passkey", err, fault.Conflict, "last_owner")
	ben.enrolPasskey(newDevice(t), "")
	if _, err := w.svc.Require(t.Context(), operator, "staff", identity.PhishingResistant); err != nil {
		t.Error(err)
	}
	_, err = open(t).svc.Require(t.Context(), operator, "staff", identity.PhishingResistant)
	is(t, "a site without a name", err, fault.Invalid, "demand_unknown")
	_, err = w.svc.Require(t.Context(), operator, "nowhere", identity.DemandTwo)
	is(t, "no team", err, fault.NotFound, "no_team")
}

// The page says whom a demand meets before it is saved.
func TestTeamDemandPage(t *testing.T) {
	s := openSite(t)
	c := s.club()
	r := s.reader()
	r.open("/-/sign-in")
	r.press("Sign in", "email", mailbox("ada"), "password", good)
	r.open("/-/team").want(t, 200, "Second factor", "Two factors")
	r.press("See whom it meets", "demand", identity.DemandTwo).want(t, 409, "You have not set up a second factor yourself")
	r.open("/-/account/factors")
	r.press("Set up an app")
	r.press("Turn it on", "code", r.codeOf(r.seedOn()))
	r.open("/-/team")
	r.press("See whom it meets", "demand", identity.DemandTwo).want(t, 200, "2 of 3 members do not have a second factor yet")
	c.cleo.api(200, "GET", "session", nil) // nothing is saved
	r.press("Ask it of the team").want(t, 200, "Everybody in this team signs in with a second factor", "2 members who lack it were told")
	c.cleo.api(401, "GET", "session", nil)
}

// levelStates are the pages about what a team and a person may be asked.
func (s *site) levelStates(keep func(string, int, *sheet)) {
	t := s.t
	s.set(nil)
	mara := s.reader().in(mailbox("mara"))
	keep("step-up-missing", 200, mara.open("/-/step-up?level=2&to=/-/account"))
	mara.open("/-/team")
	keep("team-demand-refused", 409, mara.press("See whom it meets", "demand", identity.DemandTwo))
	mara.open("/-/account/factors")
	mara.press("Set up an app")
	mara.press("Turn it on", "code", mara.codeOf(mara.seedOn())).want(t, 200)
	mara.open("/-/team")
	keep("team-demand", 200, mara.press("See whom it meets", "demand", identity.DemandTwo))
	keep("team-demanded", 200, mara.press("Ask it of the team"))
}
