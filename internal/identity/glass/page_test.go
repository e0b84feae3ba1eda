package glass_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"writ/internal/canary"
	"writ/internal/identity"
	"writ/internal/identity/glass"
	"writ/internal/identity/totp"
	"writ/internal/secret"
)

func has(t *testing.T, what string, a canary.Answer, status int, words ...string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("%s: %d\n%s", what, a.Status, a.Body)
	}
	for _, s := range words {
		if !strings.Contains(a.Body, s) {
			t.Errorf("%s does not say %q", what, s)
		}
	}
}

// The page works without a session and without scripts, never shows a share again, and
// gives the last holder's browser the session, which every page then says.
func TestPages(t *testing.T) {
	w := open(t)
	shares := w.live()
	first, last := w.browser(), w.browser()
	has(t, "the page", first.form("GET", "/-/break-glass", nil), 200, "Break the glass", "All owners are told", `name="share"`, `autocomplete="off"`)
	has(t, "a drill", first.form("GET", "/-/break-glass?drill=1", nil), 200, "Practise", "Begin the drill")
	has(t, "an unknown code", first.form("GET", "/-/break-glass?code=0000-0000", nil), 410, "no opening with this code")
	bad := first.form("POST", "/-/break-glass", url.Values{"share": {shares["ana"].Reveal() + "7"}, "reason": {why}})
	has(t, "a typing error", bad, 422, "A share has 64 characters, and these are 65", why)
	if strings.Contains(bad.Body, shares["ana"].Reveal()) {
		t.Error("a share comes back in the page")
	}
	a := first.form("POST", "/-/break-glass", url.Values{"share": {shares["ana"].Reveal()}, "reason": {why}})
	to := a.Header.Get("Location")
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(to, "/-/break-glass?code=") {
		t.Fatalf("%d to %q", a.Status, to)
	}
	code := strings.TrimPrefix(to, "/-/break-glass?code=")
	has(t, "what was given", first.form("GET", to, nil), 200, "<strong>1 of 2</strong> shares is given", code)
	a = last.form("POST", "/-/break-glass", url.Values{"share": {shares["eve"].Reveal()}, "code": {strings.ToLower(code)}})
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/-/console/people" || !strings.Contains(a.Header.Get("Set-Cookie"), "__Host-writ=glass.") {
		t.Fatalf("the last share: %d %v", a.Status, a.Header)
	}
	for _, page := range []string{"/-/break-glass", "/-/sign-out", "/-/forgot"} {
		has(t, page, last.form("GET", page, nil), 200, "Break-glass session", "/-/break-glass/end")
		if other := first.form("GET", page, nil); strings.Contains(other.Body, "Break-glass session") {
			t.Errorf("%s says so to others", page)
		}
	}
	has(t, "an account", last.form("GET", "/-/account", nil), 403, "This page is for people")
	has(t, "a share of its own", last.form("GET", "/-/break-glass/share", nil), 403, "handed to its holder alone")
	has(t, "the rights of a person", last.form("GET", "/-/account/tokens", nil), 403)
	if a = last.form("POST", "/-/break-glass/end", url.Values{}); a.Status != http.StatusSeeOther {
		t.Errorf("ended: %d", a.Status)
	}
	has(t, "after its end", last.form("POST", "/-/break-glass/end", url.Values{}), 401)
	if len(w.post.to("identity.glass-ended")) != 2 {
		t.Error("the owners are not told of the end")
	}
}

// What a command is given opens the session in a browser: opening the address has no
// effect, the button works once.
func TestEnterByLink(t *testing.T) {
	w := open(t)
	g := w.broken(w.live())
	at := "/-/break-glass/enter/" + g.Enter.Reveal()
	b := w.browser()
	for range 2 {
		has(t, "the way in", b.form("GET", at, nil), 200, "Enter")
	}
	if a := b.form("POST", at, url.Values{}); a.Status != http.StatusSeeOther || !strings.Contains(a.Header.Get("Set-Cookie"), "__Host-writ=glass.") {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	has(t, "a second time", w.browser().form("POST", at, url.Values{}), 410, "does not work")
}

// A holder's page: the share waits, is shown once after a step-up, and is gone.
func TestSharePage(t *testing.T) {
	w := open(t)
	b, id := w.holder("gus")
	w.prepare(2, "ana", "dev", id)
	has(t, "before", b.form("GET", "/-/break-glass/share", nil), 200, "share 3 of 3 of set 1", "Show my share, once")
	a := b.form("POST", "/-/break-glass/share", url.Values{})
	has(t, "shown", a, 200, "Share 3 of 3 of break-glass set 1 of Quorvex", "Holder", "gus")
	text := a.Body[strings.Index(a.Body, "<code"):]
	text = text[strings.Index(text, ">")+1:]
	text = text[:strings.Index(text, "<")]
	if n, _, err := glass.Read(secret.NewText(text)); err != nil || n != 1 {
		t.Errorf("%q is no share: %v", text, err)
	}
	has(t, "after", b.form("GET", "/-/break-glass/share", nil), 404, "No share waits for you")
	has(t, "a stranger", w.browser().form("GET", "/-/break-glass/share", nil), 302)
}

// holder is a member of staff with a session and a second factor.
func (w *world) holder(name string) (browser, string) {
	w.t.Helper()
	a, err := w.people.AddStaff(w.t.Context(), operator, identity.AddStaff{Email: name + "@example.test", Name: name, Handle: name, Roles: []string{"engineer"}})
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	link := a.URL.Reveal()
	b.api("invitations/"+link[strings.LastIndex(link, "/")+1:]+"/accept", map[string]any{"name": "", "password": customer.Password.Reveal()})
	b.api("sign-in", map[string]any{"email": name + "@example.test", "password": customer.Password.Reveal()})
	begun := b.api("factors/totp", nil)
	seed, err := totp.Parse(begun["uri"].(string))
	if err != nil {
		w.t.Fatal(err)
	}
	code, err := seed.Code(totp.Step(w.kit.Clock.Now()))
	if err != nil {
		w.t.Fatal(err)
	}
	b.api("factors/totp/confirm", map[string]any{"id": begun["id"], "code": code, "name": "Phone"})
	return b, a.ID
}

// api posts JSON, which must work.
func (b browser) api(path string, in any) map[string]any {
	b.w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		b.w.t.Fatal(err)
	}
	a, err := b.Do(b.w.t.Context(), "POST", "/-/api/v1/"+path, string(body))
	if err != nil || a.Status >= 300 {
		b.w.t.Fatalf("%s: %d %s %v", path, a.Status, a.Body, err)
	}
	var out map[string]any
	_ = json.Unmarshal([]byte(a.Body), &out) // some say nothing
	return out
}
