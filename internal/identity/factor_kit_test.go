package identity_test

import (
	"net/http"
	"net/url"

	"writ/internal/identity"
	"writ/internal/identity/totp"
)

// phone is somebody's authenticator app, with the recovery codes they kept.
type phone struct {
	w     *world
	id    string
	seed  totp.Seed
	step  int64
	codes []string
}

// code is a code that was not shown before. It moves the clock on when it must wait.
func (p *phone) code() string {
	p.w.t.Helper()
	for totp.Step(p.w.kit.Clock.Now()) <= p.step {
		p.w.kit.Clock.Advance(totp.Period)
	}
	p.step = totp.Step(p.w.kit.Clock.Now())
	return p.at(p.step)
}

func (p *phone) at(step int64) string {
	p.w.t.Helper()
	c, err := p.seed.Code(step)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return c
}

// enrol sets up an authenticator app for whoever is signed in.
func (b browser) enrol() *phone {
	b.w.t.Helper()
	p := &phone{w: b.w}
	begun := b.api(200, "POST", "factors/totp", nil)
	p.id = begun["id"].(string)
	var err error
	if p.seed, err = totp.Parse(begun["uri"].(string)); err != nil {
		b.w.t.Fatal(err)
	}
	done := b.api(200, "POST", "factors/totp/confirm", map[string]any{"id": p.id, "code": p.code(), "name": "Phone"})
	if codes, ok := done["codes"].([]any); ok {
		for _, c := range codes {
			p.codes = append(p.codes, c.(string))
		}
	}
	return p
}

// signInWith signs in with the password and a code of the phone.
func (b browser) signInWith(email, password string, p *phone) map[string]any {
	b.w.t.Helper()
	first := b.signIn(email, password)
	if first["next"] != "factor" {
		b.w.t.Fatalf("no factor was asked for: %v", first)
	}
	return b.api(200, "POST", "sign-in/factor", map[string]any{"flow": first["flow"], "kind": "totp", "code": p.code()})
}

// staff makes a member of staff with a password, an app and a full session in a browser.
func (w *world) staff(name string, roles ...string) (id string, b browser, p *phone) {
	w.t.Helper()
	a, err := w.svc.AddStaff(w.t.Context(), operator, identity.AddStaff{Email: mailbox(name), Name: name, Handle: name, Roles: roles})
	if err != nil {
		w.t.Fatal(err)
	}
	b = w.browser()
	p = b.first(mailbox(name), a.URL.Reveal())
	return a.ID, b, p
}

// first accepts a first link, signs in and sets up an app.
func (b browser) first(email, link string) *phone {
	b.w.t.Helper()
	b.api(200, "POST", "invitations/"+tokenOf(b.w.t, link)+"/accept", map[string]any{"name": "", "password": good})
	if in := b.signIn(email, good); in["next"] != "enrol" {
		b.w.t.Fatalf("a member of staff without a factor: %v", in)
	}
	return b.enrol()
}

// session is the value of the session cookie in the jar.
func (b browser) session() string {
	b.w.t.Helper()
	u, err := url.Parse(b.Base)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, c := range b.HTTP.Jar.Cookies(u) {
		if c.Name == "__Host-writ" {
			return c.Value
		}
	}
	return ""
}

// withSession asks who is signed in with a token, and returns the status.
func (w *world) withSession(token string) int {
	w.t.Helper()
	b := w.browser()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, b.Base+"/-/api/v1/session", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "__Host-writ", Value: token})
	a, err := b.Send(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Status
}
