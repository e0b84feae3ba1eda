package identity_test

import (
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
)

const nextPassword = "walnut harbour sextant 48"

// TestPagesWithoutScript is the whole life of a password: sign-up, letter, confirmation,
// sign-in, a forgotten password, a letter, a new one.
func TestPagesWithoutScript(t *testing.T) {
	s := openSite(t)
	ana, to := s.reader(), mailbox("ana")

	ana.open("/-/account").want(t, 200, "Sign in", `value="/-/account"`) // sent to sign in, and back afterwards
	ana.open("/-/sign-up")
	sent := ana.press("Sign up", "email", to, "name", "Ana Meyer", "password", good).want(t, 200, "Check your mail", "The address you gave: "+to)
	if !slices.Equal(sent.hops, []string{"/-/sign-up/sent"}) {
		t.Errorf("hops %v", sent.hops)
	}
	ana.open("/-/sign-in")
	ana.press("Sign in", "email", to, "password", good).want(t, 401, "The address or the password is not right.", `value="`+to+`"`)

	link := "/-/confirm/" + tokenOf(t, s.letter(to).Text)
	page := ana.open(link).want(t, 200, "Confirm your address", to, "Ana Meyer")
	if strings.Contains(page.body, `type="password"`) {
		t.Error("the browser that signed up was asked for the password")
	}
	ana.press("Confirm this address").want(t, 200, "Your address is confirmed.", "Sign in")
	ana.open(link).want(t, 410, "Ask for a new one")

	in := ana.open("/-/sign-in?to=/-/account")
	if f := in.forms[0]; f.kinds["email"]["autocomplete"] != "username" || f.kinds["password"]["autocomplete"] != "current-password" {
		t.Errorf("autocomplete hints: %v", f.kinds)
	}
	ana.press("Sign in", "email", to, "password", good).want(t, 200, "Your account", "Ana Meyer", to, "You are signed in here only.")
	ana.open("/-/sign-out").want(t, 200, "Sign out")
	ana.press("Sign out").want(t, 200, "You are signed out.")
	if to := ana.open("/-/account"); to.path != "/-/sign-in?to=%2F-%2Faccount" {
		t.Errorf("after signing out: %s", to.path)
	}

	ana.open("/-/forgot")
	ana.press("Send the link", "email", to).want(t, 200, "Check your mail", "If there is an account", "24 hours")
	token := tokenOf(t, s.letter(to).Text)
	page = ana.open("/-/recover/"+token).want(t, 200, "Set a new password", to)
	if !slices.Equal(page.hops, []string{"/-/recover"}) || strings.Contains(page.body, token) {
		t.Errorf("the token stands in the page or its address: %v", page.hops)
	}
	if f := page.forms[0]; f.kinds["new"]["autocomplete"] != "new-password" || f.kinds["username"]["autocomplete"] != "username" {
		t.Errorf("autocomplete hints: %v", f.kinds)
	}
	ana.press("Set the new password", "new", "short").want(t, 422, "it needs at least", "One field needs another look.")
	ana.press("Set the new password", "new", nextPassword).want(t, 200, "Your new password is set", "Sign in")
	s.letter(to) // "set through a link"
	ana.open("/-/recover/"+token).want(t, 410, "Ask for a new one")
	ana.open("/-/sign-in")
	ana.press("Sign in", "email", to, "password", good).want(t, 401)
	if p := ana.press("Sign in", "email", to, "password", nextPassword); p.path != "/" {
		t.Errorf("signed in, and led to %s: %d %s", p.path, p.status, p.body)
	}
}

// TestConfirmElsewhere: whoever opens the letter in another browser must know the password.
func TestConfirmElsewhere(t *testing.T) {
	s := openSite(t)
	ana, other, to := s.reader(), s.reader(), mailbox("ben")
	ana.open("/-/sign-up")
	ana.press("Sign up", "email", to, "password", good)
	link := "/-/confirm/" + tokenOf(t, s.letter(to).Text)
	other.open(link).want(t, 200, `type="password"`, "not the browser that signed up")
	other.press("Confirm this address").want(t, 422, "Type the password you chose")
	other.press("Confirm this address", "password", nextPassword).want(t, 403, "This is not the password chosen at sign-up.")
	other.press("It was not me").want(t, 200, "No account was made")
	other.open(link).want(t, 410)
	ana.open("/-/sign-in")
	ana.press("Sign in", "email", to, "password", good).want(t, 401)
}

// TestSameWords: known and unknown addresses get the same pages, byte by byte.
func TestSameWords(t *testing.T) {
	s := openSite(t)
	_, known := s.customer("cleo")
	unknown := mailbox("nino") // of the same length
	for _, act := range []struct {
		page, button string
		fields       []string
	}{
		{"/-/sign-in", "Sign in", []string{"password", "not it at all"}},
		{"/-/sign-up", "Sign up", []string{"password", nextPassword}},
		{"/-/forgot", "Send the link", nil},
	} {
		var got []string
		for _, email := range []string{known, unknown} {
			r := s.reader()
			r.open(act.page)
			p := r.press(act.button, append([]string{"email", email}, act.fields...)...)
			h := p.header.Clone()
			h.Del("X-Request-Id")
			h.Del("Date")
			delete(h, "Set-Cookie") // without its value it is held below
			var cookies []string
			for _, c := range (&http.Response{Header: p.header}).Cookies() {
				c.Value = "" // random, or the address again
				cookies = append(cookies, c.String())
			}
			got = append(got, strings.ReplaceAll(p.path+p.body, email, "*")+strings.Join(cookies, "; ")+headerLines(h))
		}
		if got[0] != got[1] {
			t.Errorf("%s tells known from unknown:\n%s\n%s", act.page, got[0], got[1])
		}
	}
}

func headerLines(h http.Header) string {
	var lines []string
	for k, v := range h {
		lines = append(lines, k+": "+strings.Join(v, ", "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestSignedInReaders(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	ana := s.reader()
	ana.open("/-/sign-in?to=https://evil.example/")
	if p := ana.press("Sign in", "email", to, "password", good); p.path != "/" {
		t.Errorf("led to %s", p.path)
	}
	for path, want := range map[string]string{
		"/-/sign-in": "/", "/-/sign-in?to=/-/account": "/-/account", "/-/sign-in?to=//evil.example": "/", "/-/sign-in?to=%2F%5Cevil.example": "/",
		"/-/sign-up": "/", "/.well-known/change-password": "/-/account/security", "/-/account/password": "/-/account/security", "/-/account/sessions": "/-/account/sessions",
		"/-/account/address": "/-/account/profile", "/-/account/team": "/-/account/profile", "/-/account/leave": "/-/account/data", "/-/account/export": "/-/account/data", "/-/account/looks": "/-/account/data",
	} {
		if p := ana.open(path); p.path != want {
			t.Errorf("%s led to %s, want %s", path, p.path, want)
		}
	}
	if p := s.reader().open("/-/sign-out"); p.path != "/-/sign-in" {
		t.Errorf("sign-out of a stranger led to %s", p.path)
	}
}

func TestWellKnown(t *testing.T) {
	s := openSite(t)
	q, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.pages.URL+"/.well-known/change-password", nil)
	a, err := s.reader().c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != 302 || a.Header.Get("Location") != "/-/account/security#password" {
		t.Errorf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
}

func TestAccountPage(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	_, ben := s.customer("ben")
	rs := []*reader{s.reader(), s.reader(), s.reader(), s.reader()}
	for i, r := range rs {
		r.open("/-/sign-in?to=/-/account")
		email := to
		if i == 3 {
			email = ben
		}
		r.press("Sign in", "email", email, "password", good).want(t, 200, "Your account")
		s.kit.Clock.Advance(time.Minute)
	}
	ana := rs[0]
	ana.open("/-/account/security")
	ana.press("Change the password", "current", "wrong one", "new", nextPassword).want(t, 403, "This is not your present password.", "Security")
	ana.press("Change the password", "current", good, "new", good).want(t, 422, "This is the password you have now.")
	ana.press("Change the password", "current", good, "new", "quorvex").want(t, 422, "needs at least")
	ana.open("/-/account/sessions").want(t, 200, "this session")
	ana.press("End the session of Firefox on Linux from 127.0.0.0/24").want(t, 200, "1 other session has ended.")
	ana.press("End the session of Firefox on Linux from 127.0.0.0/24").want(t, 200, "1 other session has ended.")
	if strings.Contains(ana.now.body, "End all others") {
		t.Error("offers to end sessions that are not there")
	}
	for i, path := range []string{"/-/account", "/-/sign-in?to=%2F-%2Faccount", "/-/sign-in?to=%2F-%2Faccount", "/-/account"} {
		if p := rs[i].open("/-/account"); p.path != path {
			t.Errorf("browser %d is at %s, want %s", i, p.path, path)
		}
	}

	// another person's session is not there to be ended
	theirs, err := s.svc.Show(t.Context(), operator, ben)
	if err != nil {
		t.Fatal(err)
	}
	xs, err := s.svc.Sessions(t.Context(), operator, theirs.ID)
	if err != nil || len(xs) != 1 {
		t.Fatal(err, xs)
	}
	ana.do(http.MethodPost, "/-/account/sessions", url.Values{"session": {xs[0].ID}}, nil).want(t, 200, "There was no such session any more.")
	rs[3].open("/-/account").want(t, 200, "Your account")

	rs[1].open("/-/sign-in?to=/-/account")
	rs[1].press("Sign in", "email", to, "password", good).want(t, 200)
	rs[2].open("/-/sign-in?to=/-/account")
	rs[2].press("Sign in", "email", to, "password", good).want(t, 200)
	ana.open("/-/account").want(t, 200, "You are signed in at 3 places.")
	ana.open("/-/account/sessions")
	ana.press("End all others").want(t, 200, "2 other sessions have ended.")

	rs[1].open("/-/sign-in?to=/-/account")
	rs[1].press("Sign in", "email", to, "password", good).want(t, 200)
	ana.open("/-/account/security")
	ana.press("Change the password", "current", good, "new", nextPassword).want(t, 200, "Your password is changed. 1 other session has ended. We have sent you a letter about it.")
	s.letterOf(to, "password-changed")
	ana.open("/-/account").want(t, 200, "Your account")
	if p := rs[1].open("/-/account"); p.path == "/-/account" {
		t.Error("a session outlived the password")
	}
}

func TestOwnerLinkPage(t *testing.T) {
	s := openSite(t)
	to := mailbox("olga")
	made, err := s.svc.EnsureOwner(t.Context(), operator, identity.AddStaff{Email: to, Name: "Olga Brandt", Handle: "olga"})
	if err != nil {
		t.Fatal(err)
	}
	link := strings.TrimPrefix(made.URL.Reveal(), s.srv.URL)
	olga := s.reader()
	page := olga.open(link).want(t, 200, "Choose a password", to)
	if page.path != "/-/invite" {
		t.Errorf("the token stayed in the address: %s", page.path)
	}
	if p := olga.open("/-/recover"); p.status != 410 {
		t.Errorf("an invitation served as a reset: %d", p.status)
	}
	olga.open(link)
	olga.press("Set the password", "new", good).want(t, 200, "Your password is set.")
	olga.open("/-/sign-in?to=/-/account")
	olga.press("Sign in", "email", to, "password", good).want(t, 200, "Set up a second factor")
	olga.setUp().want(t, 200, "Keep these recovery codes")
	olga.open("/-/account").want(t, 200, "Olga Brandt", "owner", "Staff", "One second factor is set up.")
	olga.open(link).want(t, 410, "whoever gave you the link")
}

func TestLinksThatAreNone(t *testing.T) {
	s := openSite(t)
	for _, path := range []string{"/-/recover", "/-/invite", "/-/confirm/x", "/-/recover/x", "/-/invite/x", "/-/recover/" + strings.Repeat("a", 300),
		"/-/recover/a%3Bb%22%0D%0Ac", "/-/confirm/%3Cscript%3E", "/-/invite/" + strings.Repeat("%F0%9F%98%80", 10)} {
		p := s.reader().open(path).want(t, 410, "This link does not work, or no longer")
		if strings.Contains(p.body, "<script>") {
			t.Errorf("%s: unescaped", path)
		}
	}
}

func TestLimitsOnPages(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in")
	for range 5 {
		r.press("Sign in", "email", to, "password", "no").want(t, 401)
	}
	p := r.press("Sign in", "email", to, "password", good).want(t, 429, "There were too many attempts.", "Try again in 15 minutes, at 10:15 UTC.")
	if p.header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
	}
	r.open("/-/sign-up")
	for i := range 5 {
		r.open("/-/sign-up")
		r.press("Sign up", "email", mailbox("x"+string(rune('a'+i))), "password", good).want(t, 200)
	}
	r.open("/-/sign-up")
	r.press("Sign up", "email", mailbox("y"), "password", good).want(t, 429, "Try again in 1 hour, at 11:00 UTC.")
}

// TestRecordAway: what cannot be recorded is refused, and says when to try again.
func TestRecordAway(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in")
	s.away.Store(true)
	p := r.press("Sign in", "email", to, "password", good)
	s.away.Store(false)
	p.want(t, 503, "Try again in", `value="`+to+`"`)
	if p.header.Get("Retry-After") == "" || strings.Contains(p.body, good) {
		t.Errorf("%v", p.header)
	}
	r.press("Sign in", "email", to, "password", good)
}

func TestSignUpRules(t *testing.T) {
	s := openSite(t)
	r := s.reader()
	r.open("/-/sign-up")
	r.press("Sign up", "email", "not one", "name", "Ana", "password", "short").want(t, 422, "2 fields need another look.", `href="#f-email"`, `href="#f-password"`, `value="not one"`, `value="Ana"`)
	r.open("/-/forgot")
	r.press("Send the link", "email", "not one").want(t, 422, "This is not an e-mail address we can use.")
	s.set(clause.Values{"auth.signup-email/open": "domains", "auth.signup-email/domains": []string{"example.com", "example.net"}})
	r.open("/-/sign-up").want(t, 200, "An address at example.com or example.net.")
	r.press("Sign up", "email", mailbox("ana"), "password", good).want(t, 422, "certain domains only")
	s.set(clause.Values{"auth.signup-email/open": "off"})
	r.open("/-/sign-up").want(t, 200, "Sign-up is closed")
	if p := r.open("/-/sign-in"); strings.Contains(p.body, "/-/sign-up") {
		t.Error("sign-up is offered while it is closed")
	}
	if p := r.do(http.MethodPost, "/-/sign-up", url.Values{"email": {mailbox("ana")}, "password": {good}}, nil); p.status != 422 {
		t.Errorf("%d", p.status)
	}
}

func testForeignForms(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	for _, path := range []string{"/-/sign-in", "/-/sign-up", "/-/sign-out", "/-/forgot", "/-/recover", "/-/invite", "/-/confirm/x", "/-/account/password", "/-/account/sessions",
		"/-/not-me", "/-/address", "/-/account/address", "/-/account/address/cancel", "/-/account/export", "/-/account/leave", "/-/account/stay", "/-/account/browsers", "/-/account/name", "/-/account/looks"} {
		q, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.pages.URL+path, strings.NewReader(url.Values{"email": {to}, "password": {good}}.Encode()))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("Sec-Fetch-Site", "cross-site")
		a, err := s.reader().c.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != 403 || len(a.Cookies()) > 0 {
			t.Errorf("%s from another site: %d", path, a.StatusCode)
		}
	}
}

var updatePages = flag.Bool("update", false, "write the golden files")

// moving is what differs from run to run.
var moving = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`/-/assets/[0-9a-f]{12}/`), "/-/assets/*/"},
	{regexp.MustCompile(`/-/confirm/[A-Za-z0-9_-]{43}`), "/-/confirm/*"},
	{regexp.MustCompile(`name="id" value="[0-9a-z]{16,}"`), `name="id" value="*"`},
	{regexp.MustCompile(`Request <span class="id">[A-Za-z0-9_-]+</span>`), `Request *`},
	{regexp.MustCompile(`name="(session|invitation|team|browser|look)" value="[0-9a-z]{16,}"`), `name="$1" value="*"`},
	{regexp.MustCompile(`/-/team/members/[0-9a-f]{32}`), "/-/team/members/*"},
}

func TestGoldenPages(t *testing.T) {
	for name, p := range states(t) {
		t.Run(name, func(t *testing.T) {
			got := p.body
			for _, m := range moving {
				got = m.re.ReplaceAllString(got, m.with)
			}
			if regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:`).MatchString(got) {
				t.Error("inline script or style")
			}
			if strings.Contains(got, good) || strings.Contains(got, nextPassword) {
				t.Error("a password stands in the page")
			}
			file := filepath.Join("testdata", "pages", name+".html")
			if *updatePages {
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s; run with -update and look at it", file)
			}
		})
	}
}

// states opens every page in every state.
func states(t testing.TB) map[string]*sheet {
	t.Helper()
	s := openSite(t)
	out := map[string]*sheet{}
	keep := func(name string, status int, p *sheet) { t.Helper(); out[name] = p.want(t, status) }
	r, to := s.reader(), mailbox("ana")

	keep("sign-in", 200, r.open("/-/sign-in?to=/contacts"))
	keep("sign-in-refused", 401, r.press("Sign in", "email", to, "password", "no"))
	keep("sign-up", 200, r.open("/-/sign-up"))
	keep("sign-up-refused", 422, r.press("Sign up", "email", "ana@", "name", "Ana Meyer", "password", "password1"))
	r.open("/-/sign-up")
	keep("sign-up-sent", 200, r.press("Sign up", "email", to, "name", "Ana Meyer", "password", good))
	link := "/-/confirm/" + tokenOf(t, s.letter(to).Text)
	keep("confirm", 200, r.open(link))
	far := s.reader()
	keep("confirm-elsewhere", 200, far.open(link))
	keep("confirm-refused", 403, far.press("Confirm this address", "password", "no"))
	keep("confirmed", 200, r.press("Confirm this address"))
	keep("confirm-dead", 410, r.open(link))

	keep("forgot", 200, r.open("/-/forgot"))
	keep("forgot-refused", 422, r.press("Send the link", "email", "ana"))
	r.open("/-/forgot")
	keep("forgot-sent", 200, r.press("Send the link", "email", to))
	token := tokenOf(t, s.letter(to).Text)
	keep("recover", 200, r.open("/-/recover/"+token))
	keep("recover-refused", 422, r.press("Set the new password", "new", "ana meyer"))
	keep("recovered", 200, r.press("Set the new password", "new", good+"!"))
	s.letter(to)
	keep("recover-dead", 410, r.open("/-/recover/"+token))
	keep("recover-lost", 410, s.reader().open("/-/recover"))

	owner, err := s.svc.EnsureOwner(t.Context(), operator, identity.AddStaff{Email: mailbox("olga"), Name: "Olga Brandt", Handle: "olga"})
	if err != nil {
		t.Fatal(err)
	}
	keep("invite", 200, r.open(strings.TrimPrefix(owner.URL.Reveal(), s.srv.URL)))
	keep("invite-dead", 410, s.reader().open("/-/invite/x"))

	s.kit.Clock.Advance(26 * time.Hour)
	for range 2 {
		s.kit.Clock.Advance(3 * time.Hour)
		far = s.reader()
		far.open("/-/sign-in?to=/-/account")
		far.press("Sign in", "email", to, "password", good+"!").want(t, 200)
	}
	s.kit.Clock.Advance(25 * time.Minute)
	r.open("/-/sign-in?to=/-/account")
	keep("account", 200, r.press("Sign in", "email", to, "password", good+"!"))
	keep("sessions", 200, r.open("/-/account/sessions"))
	keep("access", 200, r.open("/-/account/access"))
	keep("profile", 200, r.open("/-/account/profile"))
	keep("name-refused", 422, r.press("Keep this name", "name", strings.Repeat("a", 101)))
	keep("security", 200, r.open("/-/account/security"))
	keep("account-refused", 403, r.press("Change the password", "current", "no", "new", good))
	keep("account-changed", 200, r.press("Change the password", "current", good+"!", "new", nextPassword))
	keep("sign-out", 200, r.open("/-/sign-out"))
	keep("signed-out", 200, r.press("Sign out"))

	far = s.reader()
	far.open("/-/sign-in")
	for range 5 {
		far.press("Sign in", "email", mailbox("zoe"), "password", "no")
	}
	keep("sign-in-limited", 429, far.press("Sign in", "email", mailbox("zoe"), "password", "no"))
	s.away.Store(true)
	far.open("/-/forgot")
	keep("forgot-away", 503, far.press("Send the link", "email", to))
	s.away.Store(false)
	s.set(clause.Values{"auth.signup-email/open": "off"})
	keep("sign-up-closed", 200, far.open("/-/sign-up"))
	s.ownStates(keep)
	s.teamStates(keep)
	s.supportStates(keep)
	s.partStates(keep)
	s.levelStates(keep)
	return out
}
