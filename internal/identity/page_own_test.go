package identity_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestNotMePage(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ina")
	ana, thief := s.reader(), s.reader()
	for _, r := range []*reader{ana, thief} {
		r.open("/-/sign-in?to=/-/account")
		r.press("Sign in", "email", to, "password", good).want(t, 200, "Your account")
	}
	token := tokenOf(t, s.letterOf(to, "new-browser").Text)
	box := s.reader()
	p := box.open("/-/not-me/" + token)
	p.want(t, 200, "Was this not you?", to)
	if p.path != "/-/not-me" || strings.Contains(p.body, token) {
		t.Errorf("the token stays in the address or the page: %s", p.path)
	}
	thief.open("/-/account").want(t, 200, "Your account") // opening a link has no effect
	box.press("It was not me: end everything").want(t, 200, "Every session has ended", "Set a new password")
	for _, r := range []*reader{ana, thief} {
		r.open("/-/account").want(t, 200, "Sign in")
	}
	s.reader().open("/-/not-me/"+token).want(t, http.StatusGone, "does not work", "Set a new password")
	s.reader().open("/-/not-me").want(t, http.StatusGone, "your browser must keep cookies")
}

func TestAddressPages(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ada")
	fresh := mailbox("ada.new")
	ana := s.reader()
	ana.open("/-/sign-in?to=/-/account")
	ana.press("Sign in", "email", to, "password", good).want(t, 200, "Your account")
	ana.open("/-/account/profile")
	ana.press("Send the letters", "email", fresh, "current", "not it").want(t, 403, "This is not your present password.", `value="`+fresh+`"`)
	ana.open("/-/account/address").want(t, 200, "Both mailboxes")
	ana.press("Send the letters", "email", fresh, "current", good).want(t, 200, "We have sent a letter to both addresses", "has not agreed yet")
	old, next := s.letterOf(to, "address-old"), s.letterOf(fresh, "address-new")
	box := s.reader()
	box.open("/-/address/"+tokenOf(t, old.Text)).want(t, 200, "Change the address", fresh)
	box.press("Agree to the change").want(t, 200, "This mailbox has agreed")
	ana.open("/-/account").want(t, 200, "A change of your address to "+fresh+" waits until")
	ana.open("/-/account/profile").want(t, 200, "The present mailbox has agreed; the new one has not agreed yet")
	box.open("/-/address/"+tokenOf(t, next.Text)).want(t, 200, "Confirm your new address", fresh)
	box.press("Confirm this address").want(t, 200, "The address is changed")
	ana.open("/-/account/profile").want(t, 200, fresh)
	box.open("/-/address/"+tokenOf(t, next.Text)).want(t, http.StatusGone)

	ana.press("Send the letters", "email", to, "current", good).want(t, 200, "waits until")
	ana.press("Keep the present address").want(t, 200, "Your address stays as it is.")
}

func TestDataAndLeavePages(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("udo")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good)
	r.open("/-/account/data")
	file := r.press("Get a copy")
	if file.status != 200 || !strings.Contains(file.body, `"email": "`+to+`"`) {
		t.Errorf("copy: %d %.300s", file.status, file.body)
	}
	r.open("/-/account/leave")
	r.press("End my account", "current", "not it").want(t, 403, "This is not your present password.")
	r.open("/-/account/data")
	r.press("End my account", "current", good).want(t, 200, "Your account ends on "+s.kit.Clock.Now().Add(14*24*time.Hour).UTC().Format("2 January 2006"))
	r.press("Keep the account").want(t, 200, "Your account stays.", "End my account")
}

// ownStates opens the pages of one's own account in every state.
func (s *site) ownStates(keep func(name string, status int, p *sheet)) {
	s.t.Helper()
	_, to := s.customer("bea")
	r, other := s.reader(), s.reader()
	for _, b := range []*reader{r, other} {
		b.open("/-/sign-in?to=/-/account")
		b.press("Sign in", "email", to, "password", good)
	}
	box := s.reader()
	box.open("/-/not-me/" + tokenOf(s.t, s.letterOf(to, "new-browser").Text))
	keep("not-me", 200, box.open("/-/not-me"))
	r.open("/-/account/profile")
	keep("account-address-refused", 422, r.press("Send the letters", "email", "bea@", "current", good))
	r.open("/-/account/profile")
	r.press("Send the letters", "email", mailbox("bea.new"), "current", good)
	keep("account-wishes", 200, r.open("/-/account"))
	keep("account-address-waits", 200, r.open("/-/account/profile"))
	old, fresh := s.letterOf(to, "address-old"), s.letterOf(mailbox("bea.new"), "address-new")
	keep("address-old", 200, box.open("/-/address/"+tokenOf(s.t, old.Text)))
	keep("address-agreed", 200, box.press("Agree to the change"))
	keep("address-new", 200, box.open("/-/address/"+tokenOf(s.t, fresh.Text)))
	r.open("/-/account/profile")
	r.press("Keep the present address")
	r.open("/-/account/data")
	keep("address-dead", http.StatusGone, box.open("/-/address"))
	keep("not-me-dead", http.StatusGone, s.reader().open("/-/not-me/none"))
	keep("factors-others", 200, r.open("/-/account/factors"))
	r.open("/-/account/data")
	keep("account-leave-refused", 403, r.press("End my account", "current", "not it"))
	r.open("/-/account/data")
	keep("account-leaving", 200, r.press("End my account", "current", good))
}
