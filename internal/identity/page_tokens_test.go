package identity_test

import (
	"regexp"
	"strings"
	"testing"
)

// A person makes a token on the page, sees it once, and ends it there.
func TestTokensPage(t *testing.T) {
	s := openSite(t)
	_, email := s.customer("una")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account/tokens")
	r.press("Sign in", "email", email, "password", good).want(t, 200, "Tokens for programs", "No program acts for you.")
	r.press("Make the token", "name", "laptop", "scopes", "orders:read *", "days", "400", "networks", "home").want(t, 422, "3 fields need another look.", "laptop", "365 days")
	r.press("Make the token", "name", "laptop", "scopes", "orders:read", "days", "30", "networks", "127.0.0.0/8").want(t, 200, "It is shown this once")
	token := regexp.MustCompile(`writ_pat_[0-9A-Za-z]{49}`).FindString(r.now.body)
	if _, err := s.lookup(token, "127.0.0.1"); err != nil {
		t.Fatalf("%q: %v", token, err)
	}
	if p := r.open("/-/account/tokens").want(t, 200, "laptop", "never", "127.0.0.0/8"); strings.Contains(p.body, token) {
		t.Error("the token is shown twice")
	}
	r.press("End the token laptop").want(t, 200, "The token is ended", "No program acts for you.")
	if _, err := s.lookup(token, "127.0.0.1"); err == nil {
		t.Error("the token goes on")
	}
	r.open("/-/account/access").want(t, 200, "/-/account/tokens", "No program acts for you.")
}
