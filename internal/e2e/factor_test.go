package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"writ/internal/identity/totp"
)

// phone is an authenticator app with the recovery codes that came with it.
type phone struct {
	seed  totp.Seed
	step  int64
	mu    sync.Mutex
	codes []string
}

// recovery is a recovery code that was not used.
func (p *phone) recovery(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.codes) == 0 {
		t.Fatal("all recovery codes are used")
	}
	c := p.codes[0]
	p.codes = p.codes[1:]
	return c
}

// code is a code of the app that was not used.
func (p *phone) code(t testing.TB) string {
	t.Helper()
	p.step = max(p.step+1, totp.Step(time.Now()))
	c, err := p.seed.Code(p.step)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enrol sets up an app for whoever is signed in.
func (v *visitor) enrol() *phone {
	v.t.Helper()
	begun := v.want(http.StatusOK, "POST", "factors/totp", nil)
	seed, err := totp.Parse(begun.field("uri"))
	if err != nil {
		v.t.Fatal(err)
	}
	p := &phone{seed: seed}
	done := v.want(http.StatusOK, "POST", "factors/totp/confirm", obj{"id": begun.field("id"), "code": p.code(v.t)})
	p.codes = decode[struct{ Codes []string }](v.t, done.body).Codes
	return p
}

// enter signs in a member of staff: with the password and the app, which is set up where
// there is none yet.
func (s *folder) enter(v *visitor, email, password string) answer {
	s.t.Helper()
	a := v.want(http.StatusOK, "POST", "sign-in", obj{"email": email, "password": password})
	switch a.field("next") {
	case "enrol":
		s.phones.Store(email, v.enrol())
		return v.want(http.StatusOK, "GET", "session", nil)
	case "factor":
		return v.want(http.StatusOK, "POST", "sign-in/factor", obj{"flow": a.field("flow"), "kind": "recovery", "code": s.phone(email).recovery(s.t)})
	}
	s.t.Fatalf("%s signed in without a second factor: %v", email, a)
	return a
}

// phone is that of somebody who has signed in here.
func (s *folder) phone(email string) *phone {
	s.t.Helper()
	p, ok := s.phones.Load(email)
	if !ok {
		s.t.Fatalf("%s has no phone", email)
	}
	return p.(*phone)
}

// another is a recovery code of somebody that was not used. With the last one they come in and
// have new ones made.
func (s *folder) another(email, password string) string {
	s.t.Helper()
	p := s.phone(email)
	p.mu.Lock()
	last := len(p.codes) == 1
	p.mu.Unlock()
	if last {
		v := s.visitor()
		s.enter(v, email, password)
		codes := decode[struct{ Codes []string }](s.t, v.want(http.StatusOK, "POST", "factors/recovery-codes", nil).body).Codes
		p.mu.Lock()
		p.codes = codes
		p.mu.Unlock()
	}
	return p.recovery(s.t)
}

// Staff set up a second factor before anything else opens; the application, the console
// and the API are shut until then, and a password alone is not enough afterwards.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	s := start(t, setup{owners: []string{"ana@example.test"}})
	v := s.visitor()
	u := s.owners["ana@example.test"]
	v.want(200, "POST", "invitations/"+u[len(u)-43:]+"/accept", obj{"name": "Ana", "password": aPassword})
	if a := v.want(200, "POST", "sign-in", obj{"email": "ana@example.test", "password": aPassword}); a.field("next") != "enrol" {
		t.Fatalf("%v", a)
	}
	for _, path := range []string{"/", "/orders", "/-/console", "/-/account"} { // breaks: access.mfa-by-technology
		if a := v.page(path); a.status != 302 || a.header.Get("Location")[:len("/-/account/factors")] != "/-/account/factors" {
			t.Errorf("%s: %v", path, a)
		}
		if a := v.send("POST", path, nil, nil); a.status != 403 && a.status != 405 {
			t.Errorf("POST %s: %v", path, a)
		}
	}
	v.want(403, "GET", "policy", nil)
	p := v.enrol()
	v.want(200, "GET", "policy", nil)
	w := s.visitor()
	a := w.want(200, "POST", "sign-in", obj{"email": "ana@example.test", "password": aPassword})
	w.want(401, "GET", "policy", nil)
	w.want(401, "POST", "sign-in/factor", obj{"flow": a.field("flow"), "kind": "totp", "code": "000000"})
	w.want(200, "POST", "sign-in/factor", obj{"flow": a.field("flow"), "kind": "totp", "code": p.code(t)})
	w.want(200, "GET", "policy", nil)
	v.want(200, "GET", "policy", nil)
	must(t, 0, s.writ("prove", "access.mfa-by-technology"))
}
