package identity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/secret"
)

// Whoever hammers on an account is stopped; its owner is not.
func testThrottleCannotLockOut(t *testing.T) {
	w := open(t)
	_, email := w.customer("olga")
	owner := w.browser()
	owner.signIn(email, good)
	wrong := func(i int) error {
		_, err := w.svc.SignIn(t.Context(), stranger(i), identity.SignIn{Email: email, Password: secret.NewText("wrong")})
		return err
	}
	tries, limited := 0, 0
	for i := range 60 { // 60 networks, 7 tries each
		for range 7 {
			tries++
			if err := wrong(i); errors.Is(err, fault.Limited) {
				limited++
			} else if !errors.Is(err, fault.Unauthenticated) {
				t.Fatal(err)
			}
		}
	}
	if tries-limited != 30 {
		t.Errorf("%d guesses were answered, want 30 an hour", tries-limited)
	}
	owner.api(204, "POST", "sign-out", nil)
	owner.signIn(email, good) // the known browser
	fresh := w.browser()
	if a := fresh.ask("POST", "sign-in", map[string]any{"email": email, "password": good}); a.Status != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("an unknown browser: %d %v", a.Status, a.Header)
	}
	fresh.api(202, "POST", "recovery", map[string]any{"email": email})
	token := tokenOf(t, w.letter(email).Text)
	fresh.api(200, "POST", "recovery/"+token, map[string]any{"new": "a fine new phrase 12"})
	fresh.signIn(email, "a fine new phrase 12") // the mailbox made it known
	w.kit.Clock.Advance(time.Hour)
	w.browser().signIn(email, "a fine new phrase 12")
}

func TestThrottleLimits(t *testing.T) {
	w := open(t)
	_, email := w.customer("pia")
	status := func(b browser, email, pw string) int {
		return b.ask("POST", "sign-in", map[string]any{"email": email, "password": pw}).Status
	}
	t.Run("alike for unknown addresses", func(t *testing.T) {
		b := w.browser()
		for i := range 7 {
			want := 401
			if i >= 5 {
				want = 429
			}
			if got := status(b, mailbox("nobody"), "wrong"); got != want {
				t.Errorf("try %d: %d", i, got)
			}
		}
	})
	t.Run("parallel tries do not slip through", func(t *testing.T) {
		var let atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				_, err := w.svc.SignIn(t.Context(), stranger(99), identity.SignIn{Email: email, Password: secret.NewText("wrong")})
				if errors.Is(err, fault.Unauthenticated) {
					let.Add(1)
				}
			})
		}
		wg.Wait()
		if let.Load() != 5 {
			t.Errorf("%d of 32 were tried", let.Load())
		}
	})
	t.Run("window ends", func(t *testing.T) {
		b := w.browser()
		for range 6 {
			status(b, email, "wrong")
		}
		w.kit.Clock.Advance(15*time.Minute - time.Second)
		if got := status(b, email, good); got != 429 {
			t.Errorf("a second early: %d", got)
		}
		w.kit.Clock.Advance(time.Second)
		if got := status(b, email, good); got != 200 {
			t.Errorf("at its end: %d", got)
		}
	})
	t.Run("known browser waits, doubling", func(t *testing.T) {
		b := w.browser()
		b.signIn(email, good)
		for i := range 10 {
			if got := status(b, email, "wrong"); got != 401 {
				t.Fatalf("try %d: %d", i, got)
			}
		}
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			if got := status(b, email, "wrong"); got != 401 {
				t.Fatalf("before a wait of %s: %d", wait, got)
			}
			if a := b.ask("POST", "sign-in", map[string]any{"email": email, "password": good}); a.Status != 429 || a.Header.Get("Retry-After") != fmt.Sprint(int(wait/time.Second)) {
				t.Errorf("%d, Retry-After %q, want %s", a.Status, a.Header.Get("Retry-After"), wait)
			}
			w.kit.Clock.Advance(wait)
		}
		b.signIn(email, good)
	})
	t.Run("sign-ups per network", func(t *testing.T) {
		b := w.browser()
		for i := range 6 {
			want := 202
			if i == 5 {
				want = 429
			}
			b.api(want, "POST", "sign-up", map[string]any{"email": mailbox(fmt.Sprint("flood", i)), "password": good, "name": ""})
		}
	})
	t.Run("resets per address are silent", func(t *testing.T) {
		w.drain()
		_, to := w.customer("quin")
		for range 5 {
			w.browser().api(202, "POST", "recovery", map[string]any{"email": to})
			w.drain()
		}
		for range 3 {
			w.letter(to)
		}
		w.quiet(to)
	})
	t.Run("floods are folded", func(t *testing.T) {
		for range 40 {
			_, _ = w.svc.SignIn(t.Context(), stranger(123), identity.SignIn{Email: mailbox("x"), Password: secret.NewText("wrong")})
		}
		w.kit.Clock.Advance(time.Minute)
		for _, err := range w.svc.Housekeeping(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, r := range w.kit.Recorded("identity.refusals-folded") {
			if r.Fields["of"] == "identity.sign-ins-throttled" && r.Fields["network"] == "198.51.123.0/24" {
				c, _ := r.Fields["count"].(json.Number).Int64()
				n += int(c)
			}
		}
		if n != 25 { // 40 less 5 that were tried, less 10 with an entry each
			t.Errorf("%d folded", n)
		}
	})
}

// Refusals are alike to the byte and held to one time.
func testNoEnumeration(t *testing.T) {
	w := open(t)
	_, email := w.customer("rita")
	disabled, gone := w.customer("sven")
	if err := w.svc.Disable(t.Context(), operator, disabled); err != nil {
		t.Fatal(err)
	}
	staff, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("tom"), Roles: []string{"owner"}})
	if err != nil || staff.Handle != "tom" {
		t.Fatal(staff, err)
	}
	w.housekeeping() // measures
	var first string
	for name, to := range map[string]string{"known": email, "unknown": mailbox("nobody"), "disabled": gone, "no password": mailbox("tom"), "malformed": "no address", "empty": ""} {
		w.slept.Store(0)
		a := w.browser().ask("POST", "sign-in", map[string]any{"email": to, "password": "wrong wrong"})
		body := regexp.MustCompile(`"request_id":"[^"]*"`).ReplaceAllString(a.Body, "")
		if first == "" {
			first = body
		}
		if a.Status != 401 || body != first || !strings.Contains(body, "sign_in_refused") {
			t.Errorf("%s: %d %s", name, a.Status, body)
		}
		if got := time.Duration(w.slept.Load()); got != 50*time.Millisecond {
			t.Errorf("%s: held %s", name, got)
		}
	}
}

// A forgotten password and a sign-up are answered alike, after the same writing, whether
// the address is known or not: who is meant is found out after the answer.
func testAnswersBeforeTheAddressIsKnown(t *testing.T) { // breaks: auth.reset-link
	w := open(t)
	_, email := w.customer("rita")
	disabled, gone := w.customer("sven")
	if err := w.svc.Disable(t.Context(), operator, disabled); err != nil {
		t.Fatal(err)
	}
	w.drain()
	w.halt()
	var mu sync.Mutex
	var wrote []string
	w.kit.Seam.Statement = func(q string) error {
		mu.Lock()
		defer mu.Unlock()
		wrote = append(wrote, q)
		return nil
	}
	addresses := map[string]string{"known": email, "unknown": mailbox("nobody"), "disabled": gone}
	for path, in := range map[string]map[string]any{"recovery": {}, "sign-up": {"password": good, "name": ""}} {
		var first string
		for name, to := range addresses {
			mu.Lock()
			wrote = nil
			mu.Unlock()
			in["email"] = to
			a := w.browser().ask("POST", path, in)
			mu.Lock()
			said := fmt.Sprint(a.Status, " ", a.Body, "\n", strings.Join(wrote, "\n"))
			mu.Unlock()
			if first == "" {
				first = said
			}
			if a.Status != 202 || said != first || !strings.Contains(said, "INSERT") {
				t.Errorf("%s of an address that is %s: %s\nanother: %s", path, name, said, first)
			}
		}
	}
}

func TestRulesValidate(t *testing.T) {
	rules := clause.NewLive[identity.Rules](time.Now)
	if err := rules.Check(shipped()); err != nil {
		t.Fatalf("the shipped policy: %v", err)
	}
	for key, bad := range map[string]any{
		"auth.min-length/min": int64(11), "auth.min-length/min_with_factor": int64(7), "auth.signup-email/verify": false,
		"auth.signup-email/open": "maybe", "auth.reset-link-lifetime/ttl": 25 * time.Hour, "auth.reset-link/entropy": int64(64),
		"auth.hash/alg": "sha256", "auth.salt/bytes": int64(8), "auth.reset-sets-new/ends": []string{"nothing"},
		"auth.best-practice/staff_idle": 25 * time.Hour, "auth.unique-login/unique": "none",
	} {
		v := maps.Clone(shipped())
		v[key] = bad
		if err := rules.Check(v); err == nil {
			t.Errorf("%s = %v was taken", key, bad)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"ana@example.com": "ana@example.com", " Ana+tag@Example.COM ": "ana+tag@example.com", "STRASSE@example.com": "strasse@example.com",
		"straße@example.com": "strasse@example.com", "a.b@münchen.example": "a.b@xn--mnchen-3ya.example", "o'neil@example.com": "o'neil@example.com",
	} {
		a, err := identity.ParseAddress(in)
		if err != nil || a.Key != want {
			t.Errorf("%q: %q %v", in, a.Key, err)
		}
	}
	for _, in := range []string{"", "@", "ana", "ana@", "@example.com", "ana@localhost", "Ana <ana@example.com>", `"a b"@example.com`, "a b@example.com", "ana@exa mple.com",
		"ana@example.com\r\nBcc: x@example.com", "ana@[127.0.0.1]", "ana@127.0.0.1", "a@b@example.com", strings.Repeat("a", 65) + "@example.com", "ana@" + strings.Repeat("a.", 130) + "com",
		"ana@-x.com", "a\u200bb@example.com", "a\x00b@example.com", "ana@example.com,ben@example.com", "ana..b@example.com", ".a@example.com"} {
		if a, err := identity.ParseAddress(in); err == nil {
			t.Errorf("%q passed as %+v", in, a)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ana@example.com", "straße@münchen.example", "a\r\n@x.y", "İ@example.com", "ΐ@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := identity.ParseAddress(s)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if len(a.Text) > 254 || strings.ContainsAny(a.Text, "\r\n\x00 <>\",;") || strings.Count(a.Text, "@") != 1 {
			t.Fatalf("%q passed as %q", s, a.Text)
		}
		b, err := identity.ParseAddress(a.Text)
		if err != nil || b != a {
			t.Fatalf("%q is not stable: %+v, %+v, %v", s, a, b, err)
		}
		if c, err := identity.ParseAddress(strings.ToLower(a.Text)); err == nil && strings.ToLower(a.Text) == a.Text && c.Key != a.Key {
			t.Fatalf("%q has two keys", s)
		}
	})
}
