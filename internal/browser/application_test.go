package browser

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// An application signs somebody in: the sign-in form, the question, and on to the
// application. Browsers hold a form's policy against the redirects that follow it, and no
// page of ours may name other sites: only a browser can say that the way is open.
func TestApplicationSignsIn(t *testing.T) {
	t.Parallel()
	h := theHouse(t)
	f := h.filled(t)
	arrived := func(b *tab) url.Values {
		t.Helper()
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if at := b.at(); strings.HasPrefix(at, f.redirect+"?") {
				u, err := url.Parse(at)
				if err != nil {
					t.Fatal(err)
				}
				return u.Query()
			}
		}
		t.Fatalf("the browser stays at %s:\n%s", b.at(), cut(b.text()))
		return nil
	}
	for _, scripts := range []bool{true, false} {
		b := h.tab(t)
		b.open("/")
		b.forgetMe()
		b.open(f.authorize())
		b.wants("/-/sign-in", "Sign in")
		b.fill("email", "noor@harbour.example.test")
		b.fill("password", aPassword)
		b.script(scripts)
		b.press("Sign in")
		b.wants("/-/oidc/authorize", "Harvest diary", "see your e-mail address")
		b.leaveFor("Refuse")
		if q := arrived(b); q.Get("error") != "access_denied" || q.Get("state") != "s" || q.Get("iss") != h.origin {
			t.Errorf("refused: %v", q)
		}
		b.open(f.authorize())
		b.leaveFor("Allow")
		if q := arrived(b); q.Get("code") == "" || q.Get("iss") != h.origin {
			t.Errorf("allowed: %v", q)
		}
		b.script(true)
		b.open("/-/account/access") // the modules beside identity are wired in
		b.wants("/-/account/access", "Harvest diary")
		if s := h.app.Identity(); s.Proof == nil {
			t.Error("there are no receipts of looks")
		}
		b.open("/-/account/applications")
		b.wants("/-/account/applications", "Harvest diary")
		b.press("Withdraw from Harvest diary")
	}
}

// leaveFor clicks a button that leads to another site.
func (b *tab) leaveFor(words string) {
	b.t.Helper()
	eval[bool](b, `(() => { const e = [...document.querySelectorAll("button")].find(x => x.innerText.trim() === "`+words+`"); e.click(); return true })()`)
}
