package identity_test

import (
	"bytes"
	"image/png"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/totp"
)

var (
	keyOnPage  = regexp.MustCompile(`<span class="id">((?:[A-Z2-7]{4} ?)+)</span>`)
	pictureAt  = regexp.MustCompile(`src="(/-/account/factors/picture/[^"]+)"`)
	codeOnPage = regexp.MustCompile(`<span class="id">([a-z2-7-]{20,})</span>`)
)

// seedOn reads the key that a page shows.
func (r *reader) seedOn() totp.Seed {
	r.s.t.Helper()
	m := keyOnPage.FindStringSubmatch(r.now.body)
	if m == nil {
		r.s.t.Fatalf("no key on %s:\n%s", r.now.path, r.now.body)
	}
	seed, err := totp.Parse(m[1])
	if err != nil {
		r.s.t.Fatal(err)
	}
	return seed
}

// codeOf is a code of a step not used before: the clock moves on.
func (r *reader) codeOf(seed totp.Seed) string {
	r.s.t.Helper()
	r.s.kit.Clock.Advance(totp.Period)
	code, err := seed.Code(totp.Step(r.s.kit.Clock.Now()))
	if err != nil {
		r.s.t.Fatal(err)
	}
	return code
}

// setUp sets up an app on the page that is open.
func (r *reader) setUp() *sheet {
	r.s.t.Helper()
	r.press("Set up an app").want(r.s.t, 200, "Set up an authenticator app")
	return r.press("Turn it on", "code", r.codeOf(r.seedOn()))
}

// Without JavaScript: set up, sign in, use a recovery code, remove.
func TestFactorPages(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good).want(t, 200, "No second factor is set up.")
	r.open("/-/account/factors")
	page := r.press("Set up an app").want(t, 200, "Set up an authenticator app")
	seed := r.seedOn()
	picture := pictureAt.FindStringSubmatch(page.body)[1]
	for i, want := range []int{200, 404} {
		res := s.get(r.c, picture)
		if res.status != want {
			t.Fatalf("the picture, for the %d. time: %d", i+1, res.status)
		}
		if want != 200 {
			continue
		}
		if _, err := png.Decode(bytes.NewReader([]byte(res.body))); err != nil || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v %v", err, res.header)
		}
	}
	page = r.press("Turn it on", "code", "000000").want(t, 422, "This code is not right")
	if again := pictureAt.FindStringSubmatch(page.body)[1]; again == picture || r.seedOn().Text().Reveal() != seed.Text().Reveal() {
		t.Error("the page does not go on with the same key and a new picture")
	}
	if res := s.get(s.reader().c, pictureAt.FindStringSubmatch(page.body)[1]); res.status == 200 {
		t.Error("a stranger sees the picture")
	}
	page = r.press("Turn it on", "code", r.codeOf(seed), "name", "Ana's phone").want(t, 200, "Keep these recovery codes")
	codes := codeOnPage.FindAllStringSubmatch(page.body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d codes", len(codes))
	}
	r.open("/-/account/factors").want(t, 200, "Ana's phone", "10 are left")

	r.open("/-/sign-out")
	r.press("Sign out")
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good).want(t, 200, "Enter the code")
	if r.now.path != "/-/sign-in/factor?to=%2F-%2Faccount" {
		t.Errorf("at %s", r.now.path)
	}
	r.press("Go on", "code", "000000").want(t, 401, "This code is not right")
	if p := r.press("Go on", "code", r.codeOf(seed)).want(t, 200, "Your account"); p.path != "/-/account" {
		t.Errorf("at %s", p.path)
	}
	far := s.reader()
	far.open("/-/sign-in")
	far.press("Sign in", "email", to, "password", good)
	far.open("/-/sign-in/factor?with=recovery").want(t, 200, "Recovery code")
	far.press("Go on", "code", " "+strings.ToUpper(codes[4][1]))
	far.open("/-/account/factors").want(t, 200, "9 are left")
	far.press("Make new recovery codes").want(t, 200, "Keep these recovery codes", "do not work any more")

	far.open("/-/account/factors")
	id := regexp.MustCompile(`/remove\?id=(\w+)`).FindStringSubmatch(far.now.body)[1]
	far.open("/-/account/factors/remove?id="+id).want(t, 200, "Ana's phone")
	far.press("Remove it").want(t, 200, "The factor is removed.")
	// A flow that is over leads back to the beginning.
	late := s.reader()
	late.open("/-/sign-in/factor").want(t, 200, "Sign in")
}

// A flow that took too long begins anew, with a word.
func TestFactorPageTooLate(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in")
	r.press("Sign in", "email", to, "password", good)
	r.open("/-/account/factors")
	r.press("Set up an app")
	seed := r.seedOn()
	r.press("Turn it on", "code", r.codeOf(seed))
	far := s.reader()
	far.open("/-/sign-in")
	far.press("Sign in", "email", to, "password", good).want(t, 200, "Enter the code")
	s.kit.Clock.Advance(11 * time.Minute)
	if p := far.press("Go on", "code", r.codeOf(seed)).want(t, 200, "Sign in from the beginning"); p.path != "/-/sign-in" {
		t.Errorf("at %s", p.path)
	}
}

// Somebody who must enrol is led to the page from everywhere, and sees how long they have.
func TestEnrolPages(t *testing.T) {
	s := openSite(t)
	made, err := s.svc.EnsureOwner(t.Context(), operator, identity.AddStaff{Email: mailbox("olga"), Name: "Olga Brandt", Handle: "olga"})
	if err != nil {
		t.Fatal(err)
	}
	r := s.reader()
	r.open(strings.TrimPrefix(made.URL.Reveal(), s.srv.URL))
	r.press("Set the password", "new", good)
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", mailbox("olga"), "password", good).want(t, 200, "Until there is one, nothing else opens.")
	for _, path := range []string{"/-/account", "/-/sign-in?to=/-/account"} {
		if p := r.open(path); p.path != "/-/account/factors?to=%2F-%2Faccount" {
			t.Errorf("%s leads to %s", path, p.path)
		}
	}
	if res := s.get(r.c, "/-/account/factors/codes"); res.status != http.StatusFound {
		t.Errorf("codes without a factor: %d", res.status)
	}
	r.open("/-/sign-out").want(t, 200, "Stay signed in")
	s.set(clause.Values{"access.mfa-by-technology/grace": 50 * time.Hour})
	r.open("/-/sign-out")
	r.press("Sign out")
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", mailbox("olga"), "password", good).want(t, 200, "This account needs a second factor within 50 hours")
	r.open("/-/account/factors").want(t, 200, "Set one up within 50 hours", "cannot be made longer")
}
