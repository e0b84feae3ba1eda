package browser

import (
	"regexp"
	"sync"
	"testing"
	"time"

	"writ/internal/identity/totp"
)

// phone is somebody's authenticator app, with the recovery codes they kept.
type phone struct {
	seed  totp.Seed
	step  int64
	mu    sync.Mutex
	codes []string
}

// recovery is a recovery code that was not used.
func (p *phone) recovery(t *testing.T) string {
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
func (p *phone) code(t *testing.T) string {
	t.Helper()
	p.step = max(p.step+1, totp.Step(time.Now()))
	c, err := p.seed.Code(p.step)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// phone is that of somebody who has set one up here.
func (h *house) phone(t *testing.T, address string) *phone {
	t.Helper()
	p, ok := h.phones.Load(address)
	if !ok {
		t.Fatalf("%s has no phone", address)
	}
	return p.(*phone)
}

// enter signs in a member of staff: with the password and the app, which is set up where
// there is none yet.
func (h *house) enter(c *client, address string) {
	c.t.Helper()
	var in struct{ Next, Flow string }
	c.call("POST", "sign-in", obj{"email": address, "password": aPassword}, &in)
	switch in.Next {
	case "enrol":
		var begun struct{ ID, URI string }
		c.call("POST", "factors/totp", nil, &begun)
		seed, err := totp.Parse(begun.URI)
		if err != nil {
			c.t.Fatal(err)
		}
		p := &phone{seed: seed}
		var done struct{ Codes []string }
		c.call("POST", "factors/totp/confirm", obj{"id": begun.ID, "code": p.code(c.t)}, &done)
		p.codes = done.Codes
		h.phones.Store(address, p)
	case "factor":
		c.call("POST", "sign-in/factor", obj{"flow": in.Flow, "kind": "recovery", "code": h.phone(c.t, address).recovery(c.t)}, nil)
	default:
		c.t.Fatalf("%s signed in without a second factor", address)
	}
}

var keyOnPage = regexp.MustCompile(`\b(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}\b`)

// setUp sets up an app on the page that is open, and keeps the recovery codes.
func (b *tab) setUp(address string) {
	b.t.Helper()
	b.press("Set up an app")
	p := b.seedOn()
	b.fill("code", p.code(b.t))
	b.press("Turn it on")
	b.keepCodes(address, p)
}

// seedOn reads the key that the page shows.
func (b *tab) seedOn() *phone {
	b.t.Helper()
	seed, err := totp.Parse(keyOnPage.FindString(b.text()))
	if err != nil {
		b.t.Fatalf("no key at %s:\n%s", b.at(), cut(b.text()))
	}
	return &phone{seed: seed}
}

func (b *tab) keepCodes(address string, p *phone) {
	b.t.Helper()
	b.wants(b.at(), "Keep these recovery codes")
	p.codes = eval[[]string](b, `[...document.querySelectorAll(".codes li")].map(e => e.innerText.trim())`)
	if len(p.codes) != 10 {
		b.t.Fatalf("%d recovery codes", len(p.codes))
	}
	b.h.phones.Store(address, p)
}

// latecomer is an owner who signs in for the first time among the pages.
const latecomer = "late@example.test"

// newcomer signs the latecomer in, who has no second factor yet.
func (h *house) newcomer(b *tab) {
	b.t.Helper()
	b.forgetMe()
	b.open(h.staff(b.t, latecomer, "Lena Torv"))
	b.fill("new", aPassword)
	b.press("Set the password")
	b.typePassword(latecomer)
}

// typePassword does the first step of a sign-in.
func (b *tab) typePassword(address string) {
	b.t.Helper()
	b.open("/-/sign-in")
	b.fill("email", address)
	b.fill("password", aPassword)
	b.press("Sign in")
}
