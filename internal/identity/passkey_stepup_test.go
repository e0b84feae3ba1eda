package identity_test

import (
	"testing"
	"time"
)

// stepUp shows the passkey within a session.
func (b browser) stepUp(status int, q asked, credential any) obj {
	b.w.t.Helper()
	return b.api(status, "POST", "step-up", obj{"kind": "passkey", "flow": q.flow, "credential": credential})
}

func (b browser) askStepUp() asked {
	b.w.t.Helper()
	return askedOf(b.w.t, b.api(200, "POST", "step-up/passkey", obj{}))
}

// What asks for a fresh proof takes a passkey for one, if it is the person's own and
// answers the question of this session.
func TestPasskeyStepUp(t *testing.T) {
	// breaks: auth.best-practice
	w := open(t, underName)
	_, ana := w.customer("ana")
	_, ben := w.customer("ben")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	other, his := w.browser(), newDevice(t)
	other.signIn(ben, good)
	other.enrolPasskey(his, "")
	w.kit.Clock.Advance(20 * time.Minute)

	if got := b.api(403, "POST", "factors/passkey/options", obj{}); got["code"] != "step_up_required" {
		t.Fatalf("a passkey is added on an old proof: %v", got)
	}
	q := b.askStepUp()
	b.stepUp(401, q, his.prove(q))               // another person's
	b.stepUp(401, other.askStepUp(), d.prove(q)) // another session's question
	open := b.askPasskey("")
	b.stepUp(401, open, d.prove(open)) // a question for signing in
	d.auth.Options.UserNotVerified = true
	b.stepUp(401, q, d.prove(q))
	d.auth.Options.UserNotVerified = false
	b.api(403, "POST", "factors/passkey/options", obj{})
	right := d.prove(q)
	if got := b.stepUp(200, q, right); got["acr"] != float64(3) {
		t.Errorf("after a passkey: %v", got)
	}
	b.stepUp(401, q, right) // once
	b.enrolPasskey(newDevice(t), "second")
	w.browser().api(401, "POST", "step-up/passkey", obj{})
}
