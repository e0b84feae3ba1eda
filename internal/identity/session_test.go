package identity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// A session that begins with the former password while a reset is under way does not
// outlive the reset.
func TestSignInDuringReset(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("jon")
		for round := range 5 {
			old := good
			if round > 0 {
				old = fmt.Sprintf("a fine new phrase %d", round-1)
			}
			if err := w.svc.RequestRecovery(t.Context(), stranger(round), identity.Forgotten{Email: email}); err != nil {
				t.Fatal(err)
			}
			kit.Clock.Advance(time.Hour)
			token := tokenOf(t, w.letter(email).Text)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					_, _ = w.svc.SignIn(t.Context(), stranger(10+i), identity.SignIn{Email: email, Password: secret.NewText(old)})
				})
			}
			wg.Go(func() {
				if _, err := w.svc.SetPassword(t.Context(), stranger(round), identity.SetByLink{Kind: identity.ResetLink, Token: secret.NewText(token), New: secret.NewText(fmt.Sprintf("a fine new phrase %d", round))}); err != nil && !errors.Is(err, fault.Gone) {
					t.Error(err)
				} else if err != nil { // a sign-in came first and cancelled the link
					old = ""
				}
			})
			wg.Wait()
			if old == "" {
				return
			}
			w.letter(email)
			if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE ended IS NULL`); n != "0" {
				t.Fatalf("%s sessions outlived the reset", n)
			}
		}
	}, jobs.Schema(), identity.Schema())
}

func asvsIdle(t *testing.T) {
	w := open(t)
	_, email := w.customer("kim")
	b := w.browser()
	b.signIn(email, good)
	w.kit.Clock.Advance(7*24*time.Hour - time.Microsecond)
	b.api(200, "GET", "session", nil)
	w.kit.Clock.Advance(7 * 24 * time.Hour)
	b.api(401, "GET", "session", nil)

	_, staff, _ := w.staff("sam", "engineer")
	w.kit.Clock.Advance(time.Hour)
	staff.api(401, "GET", "session", nil)
	w.kit.Clock.Advance(2 * time.Minute) // the row keeps minutes
	w.noneLives()
}

func asvsAbsolute(t *testing.T) {
	w := open(t)
	_, email := w.customer("kim")
	b := w.browser()
	b.signIn(email, good)
	for range 4 {
		w.kit.Clock.Advance(7*24*time.Hour - time.Second)
		b.api(200, "GET", "session", nil)
	}
	w.kit.Clock.Advance(2*24*time.Hour + 3*time.Second)
	b.api(200, "GET", "session", nil)
	w.kit.Clock.Advance(time.Second)
	b.api(401, "GET", "session", nil)

	_, staff, _ := w.staff("sam", "engineer") // theirs ends after a day
	for range 47 {
		w.kit.Clock.Advance(30 * time.Minute)
		staff.api(200, "GET", "session", nil)
	}
	w.kit.Clock.Advance(30*time.Minute - time.Microsecond)
	staff.api(200, "GET", "session", nil)
	w.kit.Clock.Advance(time.Microsecond)
	staff.api(401, "GET", "session", nil)
	w.noneLives()
}

// noneLives wants every session ended in its row too, once the sweeper came by.
func (w *world) noneLives() {
	w.t.Helper()
	w.housekeeping()
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE ended IS NULL`); n != "0" {
		w.t.Errorf("%s rows are not ended", n)
	}
}

// A tighter revision takes hold of sessions that are there.
func TestSessionObeysTheRulesInForce(t *testing.T) {
	w := open(t)
	_, email := w.customer("lea")
	b := w.browser()
	b.signIn(email, good)
	w.kit.Clock.Advance(time.Hour)
	w.set(clause.Values{"auth.best-practice/customer_idle": time.Hour})
	b.api(401, "GET", "session", nil)
}

func testSessionsListAndEnd(t *testing.T) {
	w := open(t)
	mia, email := w.customer("mia")
	a, b, c := w.browser(), w.browser(), w.browser()
	for _, x := range []browser{a, b, c} {
		x.signIn(email, good)
		w.kit.Clock.Advance(time.Minute)
	}
	xs := a.api(200, "GET", "sessions", nil)["sessions"].([]any)
	if len(xs) != 3 {
		t.Fatalf("%d sessions", len(xs))
	}
	newest := xs[0].(map[string]any)
	if newest["current"] != false || !strings.HasPrefix(newest["network"].(string), "127.77.") || xs[2].(map[string]any)["current"] != true {
		t.Errorf("%v", xs)
	}
	a.api(204, "DELETE", "sessions/"+newest["id"].(string), nil)
	c.api(401, "GET", "session", nil)
	for id, want := range map[string]bool{newest["id"].(string): true, xs[1].(map[string]any)["id"].(string): false} {
		if person, ended, err := w.svc.SessionOf(t.Context(), id); err != nil || ended != want || person != mia {
			t.Errorf("%s of %s ended %v: %v", id, person, ended, err)
		}
	}
	if _, _, err := w.svc.SessionOf(t.Context(), "nothing"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a session that there never was: %v", err)
	}
	if _, err := w.svc.TokenEnded(t.Context(), "nothing"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a token that there never was: %v", err)
	}
	a.api(404, "DELETE", "sessions/"+newest["id"].(string), nil)
	_, other := w.customer("noa")
	d := w.browser()
	d.signIn(other, good)
	d.api(404, "DELETE", "sessions/"+xs[2].(map[string]any)["id"].(string), nil) // somebody else's
	if n := b.api(200, "DELETE", "sessions", nil)["ended"].(float64); n != 2 {
		t.Errorf("%v ended", n)
	}
	a.api(401, "GET", "session", nil)
	d.api(200, "GET", "session", nil)
}

// What one node does to a session, another sees.
func TestTwoNodes(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		a := with(t, kit)
		b := with(t, kit)
		_, email := a.customer("two")
		v := a.browser()
		v.signIn(email, good)
		token := v.cookie(t, "__Host-writ")
		if _, err := b.svc.Lookup(t.Context(), token); kit.DB.Engine() == "postgres" && err != nil { // it asks before it says that there is nobody
			t.Fatalf("the other node, at once: %v", err)
		}
		b.housekeeping()
		if _, err := b.svc.Lookup(t.Context(), token); err != nil {
			t.Fatalf("the other node: %v", err)
		}
		v.api(204, "POST", "sign-out", nil)
		b.housekeeping()
		if _, err := b.svc.Lookup(t.Context(), token); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("after sign-out: %v", err)
		}
		// A restart forgets nothing.
		v.signIn(email, good)
		c := with(t, kit)
		if _, err := c.svc.Lookup(t.Context(), v.cookie(t, "__Host-writ")); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}, jobs.Schema(), identity.Schema())
}

func (w *world) housekeeping() {
	w.t.Helper()
	for _, err := range w.svc.Housekeeping(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestCookiesAndTokens(t *testing.T) {
	w := open(t)
	_, email := w.customer("abe")
	for _, token := range []string{"", "x", strings.Repeat("a", 43), strings.Repeat("a", 10000)} {
		if _, err := w.svc.Lookup(t.Context(), secret.NewText(token)); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("token of %d: %v", len(token), err)
		}
	}
	b := w.browser()
	b.signIn(email, good)
	device := b.cookie(t, "__Host-writ-device")
	b.signIn(email, good)
	if !device.Equal(b.cookie(t, "__Host-writ-device")) {
		t.Error("a known browser got another device cookie")
	}
	_, second := w.customer("bob")
	b.signIn(second, good)
	if !device.Equal(b.cookie(t, "__Host-writ-device")) {
		t.Error("a second person in one browser made it unknown to the first")
	}
	token := b.cookie(t, "__Host-writ")
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE token = $1`, token.Reveal()); n != "0" {
		t.Error("a token is kept in clear")
	}
}

// BenchmarkLookup is the session check. The mark is on the slowest of a hundred, so each
// is timed by itself, which adds the clock's own time.
func BenchmarkLookup(b *testing.B) {
	w := open(b)
	id, email := w.customer("bench")
	_ = id
	as, err := w.svc.SignIn(b.Context(), stranger(1), identity.SignIn{Email: email, Password: secret.NewText(good)})
	if err != nil {
		b.Fatal(err)
	}
	w.svc.Fill(100_000)
	var mu sync.Mutex
	var took []time.Duration
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		mine := make([]time.Duration, 0, b.N)
		for pb.Next() {
			begin := time.Now()
			if _, err := w.svc.Lookup(b.Context(), as.Token); err != nil {
				b.Error(err)
				return
			}
			mine = append(mine, time.Since(begin))
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, mine...)
	})
	if b.Failed() {
		return
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-µs")
}
