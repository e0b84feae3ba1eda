package identity_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
)

// remembering is a reader whose browser skips the second factor, and the app they show.
func (s *site) remembering(name string) (r *reader, email string) {
	s.t.Helper()
	s.set(clause.Values{"auth.best-practice/remember_device": 48 * time.Hour})
	_, email = s.customer(name)
	r = s.reader()
	r.open("/-/sign-in?to=/-/account/factors")
	r.press("Sign in", "email", email, "password", good)
	r.press("Set up an app")
	seed := r.seedOn()
	r.press("Turn it on", "code", r.codeOf(seed), "name", "Phone")
	for _, b := range []*reader{r, s.reader()} {
		b.open("/-/sign-out")
		if b == r {
			b.press("Sign out")
		}
		b.open("/-/sign-in?to=/-/account/security")
		b.press("Sign in", "email", email, "password", good).want(s.t, 200, "Do not ask in this browser for 2 days")
		b.press("Go on", "code", b.codeOf(seed), "remember", "on").want(s.t, 200, "Remembered browsers")
	}
	return r, email
}

// Remembered browsers are listed by name, since, last use and end, and forgotten one by
// one or all at once, without JavaScript.
func TestRememberedBrowsersPage(t *testing.T) { // breaks: auth.best-practice
	s := openSite(t)
	r, email := s.remembering("cleo")
	r.open("/-/account").want(t, 200, "2 browsers are remembered.")
	page := r.open("/-/account/browsers").want(t, 200, "Firefox on Linux", "Until", "Forget all of them")
	until := s.kit.Clock.Now().Add(48 * time.Hour).UTC().Format("2 January 2006, 15:04")
	if page.path != "/-/account/security" || !strings.Contains(page.body, until) {
		t.Errorf("%s does not say until %s", page.path, until)
	}
	ids := regexp.MustCompile(`name="browser" value="([0-9a-z]{16,})"`).FindAllStringSubmatch(page.body, -1)
	if len(ids) != 2 {
		t.Fatalf("%d browsers", len(ids))
	}
	r.do(http.MethodPost, "/-/account/browsers", url.Values{"browser": {ids[1][1]}}, nil).want(t, 200, "1 browser is forgotten")
	r.do(http.MethodPost, "/-/account/browsers", url.Values{"browser": {ids[1][1]}}, nil).want(t, 200, "There was no such browser any more.")
	r.do(http.MethodPost, "/-/account/browsers", url.Values{}, nil).want(t, 422)
	r.open("/-/sign-out") // the newest comes first: this browser was the second
	r.press("Sign out")
	r.open("/-/sign-in?to=/-/account/security")
	r.press("Sign in", "email", email, "password", good).want(t, 200, "Enter the code")
	other, _ := s.remembering("cora")
	other.open("/-/account/security")
	other.press("Forget all of them").want(t, 200, "2 browsers are forgotten", "No browser skips the second factor.")
}

// Each part marks itself in the navigation, and no other.
func TestAccountTabs(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good)
	here := regexp.MustCompile(`<a href="([^"]+)" aria-current="page">`)
	for path, tab := range map[string]string{"/-/account": "/-/account", "/-/account/security": "/-/account/security", "/-/account/factors": "/-/account/security", "/-/account/sessions": "/-/account/sessions",
		"/-/account/access": "/-/account/access", "/-/account/tokens": "/-/account/access", "/-/account/data": "/-/account/data", "/-/account/profile": "/-/account/profile"} {
		m := here.FindAllStringSubmatch(r.open(path).want(t, 200, `aria-label="Parts"`).body, -1)
		if len(m) != 1 || m[0][1] != tab {
			t.Errorf("%s marks %v", path, m)
		}
	}
	// Older letters name places on the one page that there was.
	body := r.open("/-/account").body
	for _, id := range []string{"password", "factors", "sessions", "address", "tokens", "applications", "looks", "data", "leave", "teams"} {
		if !strings.Contains(body, `id="`+id+`"`) {
			t.Errorf("a letter that leads to #%s leads nowhere", id)
		}
	}
}

// A person gives themselves another name, and takes it away.
func TestOwnName(t *testing.T) {
	s := openSite(t)
	id, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account/profile")
	r.press("Sign in", "email", to, "password", good)
	r.press("Keep this name", "name", "Ana\tMeyer").want(t, 422, "control character")
	r.press("Keep this name", "name", "Ana Meyer").want(t, 200, "Your name is kept.", `value="Ana Meyer"`)
	if got := s.svc.Name(t.Context(), id); got != "Ana Meyer" {
		t.Errorf("the name is %q", got)
	}
	b := s.browser()
	b.signIn(to, good)
	b.api(204, "POST", "account/name", map[string]any{"name": ""})
	if p, err := s.svc.Show(t.Context(), operator, to); err != nil || p.Name != "" {
		t.Errorf("%+v %v", p, err)
	}
	if n := s.one(`SELECT CAST(COUNT(*) AS TEXT) FROM ledger_pending WHERE name = 'identity.name-changed'`); n != "2" {
		t.Errorf("%s entries", n)
	}
}

// Letters that went out before lead to the places they named.
func TestLettersLead(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account/tokens")
	r.press("Sign in", "email", to, "password", good)
	r.press("Make the token", "name", "laptop", "scopes", "orders:read", "days", "30")
	m := s.letterOf(to, "token-issued")
	link := regexp.MustCompile(`https://[^\s]+(/-/account[^\s#]*)`).FindStringSubmatch(m.Text)
	if link == nil {
		t.Fatalf("no link in %s", m.Text)
	}
	r.open(link[1]).want(t, 200, "laptop")
}

// partStates opens the parts of the account in states of their own.
func (s *site) partStates(keep func(name string, status int, p *sheet)) {
	s.t.Helper()
	r, _ := s.remembering("iris")
	s.kit.Clock.Advance(7 * time.Minute)
	keep("security-browsers", 200, r.open("/-/account/security"))
	keep("account-calm", 200, r.open("/-/account"))
}
