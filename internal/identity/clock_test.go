package identity_test

import (
	"testing"
	"time"
)

// A clock that ran ahead and was set back left counters that refused for a year, and
// sessions and links that outlived what the policy gives them.
func TestClockSetBackRegression(t *testing.T) { // breaks: auth.best-practice, auth.reset-link-lifetime
	w := open(t)
	_, email := w.customer("otto")
	wrong := func(b browser) int {
		return b.ask("POST", "sign-in", map[string]any{"email": email, "password": "wrong"}).Status
	}
	ahead := 365 * 24 * time.Hour
	w.kit.Clock.Advance(ahead)
	late, tired, known := w.browser(), w.browser(), w.browser()
	late.signIn(email, good)
	known.signIn(email, good)
	for range 6 {
		wrong(tired)
	}
	for range 12 {
		wrong(known)
		w.kit.Clock.Advance(time.Second)
	}
	late.api(202, "POST", "recovery", map[string]any{"email": email})
	token := tokenOf(t, w.letter(email).Text)
	w.kit.Clock.Advance(-ahead)

	late.api(401, "GET", "session", nil)
	late.api(410, "POST", "recovery/"+token, map[string]any{"new": "a fine new phrase 12"})
	tired.signIn(email, good)
	known.signIn(email, good)
	anew := w.browser()
	for i := range 6 { // and the limit holds as ever
		want := 401
		if i == 5 {
			want = 429
		}
		if got := wrong(anew); got != want {
			t.Errorf("try %d: %d, want %d", i, got, want)
		}
	}
}

// A step within the slack changes nothing.
func TestClockSlack(t *testing.T) {
	w := open(t)
	_, email := w.customer("paul")
	b := w.browser()
	b.signIn(email, good)
	w.kit.Clock.Advance(-4 * time.Minute)
	b.api(200, "GET", "session", nil)
}
