package identity_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/journal"
	"writ/internal/secret"
)

// staffReader is a member of staff with an app, at a page.
func (s *site) staffReader(handle, name, at string, roles ...string) *reader {
	s.t.Helper()
	made, err := s.svc.AddStaff(s.t.Context(), operator, identity.AddStaff{Email: mailbox(handle), Name: name, Handle: handle, Roles: roles})
	if err != nil {
		s.t.Fatal(err)
	}
	r := s.reader()
	r.open(strings.TrimPrefix(made.URL.Reveal(), s.srv.URL))
	r.press("Set the password", "new", good)
	r.open("/-/sign-in")
	r.press("Sign in", "email", mailbox(handle), "password", good)
	r.open("/-/account/factors")
	r.setUp().want(s.t, 200, "Keep these recovery codes")
	r.open(at)
	return r
}

// A look, from its beginning to the customer's account, on pages alone.
func TestSupportPages(t *testing.T) { // breaks: use.need-to-see
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.staffReader("eva", "Eva Sommer", "/-/support?person="+to, "support")
	if r.now.want(t, 200, "Look as a customer", "Nobody has looked."); !strings.Contains(r.now.body, to) {
		t.Error("the address of the link is not in the form")
	}
	r.press("Begin to look", "person", "nobody@example.test", "ticket", "T-1", "reason", why).want(t, 422, "There is no such person.")
	r.press("Begin to look", "person", to, "ticket", "", "reason", "").want(t, 422, "2 fields need another look.", "Say why you need to look.", "Name the ticket")
	r.press("Begin to look", "person", to, "ticket", "T-1", "reason", why, "write", "yes").want(t, 200, "You look as ANA", "You look as ANA, until", "T-1", why, "a second person must agree to changes")
	r.open("/-/account").want(t, 403, "closed to you until you end the look")
	r.open("/-/sign-in").want(t, 403, "closed to you")

	o := s.staffReader("olga", "Olga Brandt", "/-/support", "owner")
	o.now.want(t, 200, "Eva Sommer", "asked for", why)
	o.press("Agree that Eva Sommer may change things as ANA").want(t, 200, "may change things until it ends", "Olga Brandt agreed")
	r.open("/-/support").want(t, 200, "to look and to change things; Olga Brandt agreed")
	r.press("End the look").want(t, 200, "The look is ended.", "Look as a customer")
	r.press("Begin to look", "person", to, "ticket", "T-2", "reason", why)
	o.open("/-/support")
	o.press("End the look of Eva Sommer as ANA").want(t, 200, "The look is ended.")
	if r.open("/-/support"); !strings.HasPrefix(r.now.path, "/-/sign-in") {
		t.Errorf("a look that another ended leads to %s", r.now.path)
	}
	s.record.entries = []journal.Entry{{N: 107, Act: "identity.impersonated", Object: "support/" + s.one(`SELECT id FROM identity_support WHERE ticket = 'T-1'`), Subject: s.one(`SELECT DISTINCT person FROM identity_support`)}}
	c := s.reader()
	c.open("/-/sign-in?to=/-/account")
	c.press("Sign in", "email", to, "password", good).want(t, 200, "Our staff looked twice")
	c.open("/-/account/looks").want(t, 200, "Who looked", "Eva Sommer", why, "ticket T-1", "107", "soon")
}

// The terms are asked for before anything else, and the page leads back.
func TestTermsPage(t *testing.T) { // breaks: use.terms
	s := openSite(t, func(d *identity.Deps) { d.TermsURL = "https://www.example.test/terms" })
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-up").want(t, 200, "By signing up you accept version 1 of the", "https://www.example.test/terms")
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good).want(t, 200, "Your account")
	r.open("/-/account/data").want(t, 200, "version 1")
	r.open("/-/terms").want(t, 200, "You accepted version 1")
	s.set(clause.Values{"use.terms/version": int64(2)})
	if p := r.open("/-/account").want(t, 200, "Version 2 of the", "You accepted version 1", "have changed"); p.path != "/-/terms?to=%2F-%2Faccount" {
		t.Errorf("at %s", p.path)
	}
	if p := r.open("/-/sign-in?to=/-/account"); p.path != "/-/terms?to=%2F-%2Faccount" {
		t.Errorf("signing in again leads to %s", p.path)
	}
	r.open("/-/terms?to=/-/account")
	s.set(clause.Values{"use.terms/version": int64(3)})
	r.press("Accept the terms").want(t, 409, "Version 2 of the terms is not the one in force.", "Version 3 of the")
	if p := r.press("Accept the terms").want(t, 200, "Your account"); p.path != "/-/account" {
		t.Errorf("at %s", p.path)
	}
	s.set(clause.Values{"use.terms/version": int64(4)})
	r.open("/-/sign-out").want(t, 200, "This ends the session")
	r.press("Sign out").want(t, 200, "You are signed out.")
}

// supportStates adds the pages of looks and terms to the golden ones.
func (s *site) supportStates(keep func(name string, status int, p *sheet)) {
	s.t.Helper()
	s.set(nil)
	if _, err := s.svc.CreateCustomer(s.t.Context(), operator, identity.NewCustomer{Email: mailbox("cleo.hart"), Name: "Cleo Hart", Password: secret.NewText(good), TeamName: "Northwind"}); err != nil {
		s.t.Fatal(err)
	}
	to := mailbox("cleo.hart")
	r := s.staffReader("eva-s", "Eva Sommer", "/-/support", "engineer")
	keep("support", 200, r.now)
	keep("support-refused", 422, r.press("Begin to look", "person", to, "ticket", "see mail", "reason", ""))
	keep("looking", 200, r.press("Begin to look", "person", to, "ticket", "T-4711", "reason", why, "write", "yes"))
	keep("looking-closed", 403, r.open("/-/account"))
	s.kit.Clock.Advance(3 * time.Minute)
	o := s.staffReader("otto-l", "Otto Lang", "/-/support", "owner")
	keep("support-list", 200, o.now)
	keep("support-agreed", 200, o.press("Agree that Eva Sommer may change things as Cleo Hart"))
	keep("looking-agreed", 200, r.open("/-/support"))
	s.kit.Clock.Advance(20 * time.Minute)
	keep("support-ended", 200, r.press("End the look"))
	s.record.entries = []journal.Entry{{N: 4107, Act: "identity.impersonated", Object: "support/" + s.one(`SELECT id FROM identity_support WHERE ticket = 'T-4711'`), Subject: s.one(`SELECT person FROM identity_support WHERE ticket = 'T-4711'`)}}
	c := s.reader()
	c.open("/-/sign-in?to=/-/account")
	c.press("Sign in", "email", to, "password", good)
	keep("account-looks", 200, c.open("/-/account/data"))
	s.set(clause.Values{"use.terms/version": int64(2)})
	keep("terms-changed", 200, c.open("/-/account"))
	keep("terms-late", 409, c.press("Accept the terms", "version", "1"))
	c.press("Accept the terms")
	keep("terms", 200, c.open("/-/terms"))
}
