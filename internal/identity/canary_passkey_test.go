package identity_test

import (
	"net/http"
	"strings"
	"testing"

	"writ/internal/clause"
)

// The control of passkeys attacks through the public door, and sees a server that lets
// one of its lies through.
func TestPasskeyControls(t *testing.T) {
	// breaks: access.mfa-by-technology
	w := open(t, underName)
	_, ana := w.customer("ana")
	b := w.browser()
	b.signIn(ana, good)
	b.enrolPasskey(newDevice(t), "")
	w.wants("identity.passkeys", clause.Pass)
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_passkey`); n != "1" {
		t.Errorf("%s passkeys after the control", n)
	}

	seen := map[string]bool{}
	twice := func(r *http.Request, body string) bool {
		again := strings.HasSuffix(r.URL.Path, "/sign-in/factor") && seen[body]
		seen[body] = true
		return again
	}
	w.breakFront(swap(twice, status(200, `{"next":"done"}`)))
	w.wants("identity.passkeys", clause.Fail) // an answer counts twice
	made := false
	w.breakFront(swap(func(r *http.Request, _ string) bool {
		first := strings.HasSuffix(r.URL.Path, "/factors/passkey") && !made
		made = made || first
		return first
	}, status(200, `{"id":"x","name":"x"}`)))
	w.wants("identity.passkeys", clause.Fail) // a passkey of another site is taken
	w.breakFront(func(real http.Handler) http.Handler { return real })
	w.wants("identity.passkeys", clause.Pass)
}

// A passkey in another person's row is found.
func TestPasskeysBelongToTheirPeople(t *testing.T) {
	// breaks: auth.unique-credentials
	w := open(t, underName)
	_, ana := w.customer("ana")
	ben, _ := w.customer("ben")
	b := w.browser()
	b.signIn(ana, good)
	d := newDevice(t)
	b.enrolPasskey(d, "")
	w.wants("identity.own-passkeys", clause.Pass)
	w.exec(`UPDATE identity_passkey SET person = $1`, ben)
	w.wants("identity.own-passkeys", clause.Fail)
	c := w.browser()
	q := c.askPasskey("")
	if a := c.ask("POST", "sign-in/factor", obj{"flow": q.flow, "kind": "passkey", "credential": d.prove(q)}); a.Status == 200 {
		t.Error("a passkey that was moved to somebody else lets in")
	}
}
