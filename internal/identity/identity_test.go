package identity_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

func TestSignUpToSession(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		b := w.browser()
		to := mailbox("ana")
		b.api(202, "POST", "sign-up", map[string]any{"email": " Ana@EXAMPLE.canary.invalid", "password": good, "name": "Ana"})
		m := w.letter("Ana@example.canary.invalid")
		if m.Subject != "Confirm your address" || !strings.Contains(m.Text, "24 hours") || !strings.Contains(m.Text, "127.77.") || !strings.Contains(m.Text, "If it was not you") {
			t.Errorf("letter: %s\n%s", m.Subject, m.Text)
		}
		if a := b.ask("POST", "sign-in", map[string]any{"email": to, "password": good}); a.Status != 401 {
			t.Fatalf("sign-in before confirming: %d", a.Status)
		}
		b.api(200, "POST", "confirm", map[string]any{"token": tokenOf(t, m.Text)})
		b.api(401, "GET", "session", nil) // confirming does not sign in
		b.signIn(to, good)
		s := b.api(200, "GET", "session", nil)
		if p := s["person"].(map[string]any); p["email"] != "Ana@example.canary.invalid" || p["name"] != "Ana" {
			t.Errorf("session: %v", s)
		}
		if team := s["team"].(map[string]any); team["roles"].([]any)[0] != "admin" {
			t.Errorf("team: %v", team)
		}
		b.api(410, "POST", "confirm", map[string]any{"token": tokenOf(t, m.Text)})
		b.api(204, "POST", "sign-out", nil)
		b.api(401, "GET", "session", nil)
		for _, name := range []string{"identity.sign-up-requested", "identity.sign-up-decided", "identity.address-confirmed", "identity.signed-in", "identity.session-ended", "identity.sign-in-refused"} {
			if len(kit.Recorded(name)) == 0 {
				t.Errorf("no entry %s", name)
			}
		}
	}, jobs.Schema(), identity.Schema())
}

func TestRecovery(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("ben")
		b, other := w.browser(), w.browser()
		other.signIn(email, good)
		b.api(202, "POST", "recovery", map[string]any{"email": email})
		first := tokenOf(t, w.letter(email).Text)
		b.api(202, "POST", "recovery", map[string]any{"email": email})
		second := tokenOf(t, w.letter(email).Text)
		b.api(410, "POST", "recovery/"+first, map[string]any{"new": "a fine new phrase 12"}) // a newer link replaces it
		b.api(422, "POST", "recovery/"+second, map[string]any{"new": "short"})
		b.api(422, "POST", "recovery/"+second, map[string]any{"new": good}) // the present one
		b.api(200, "POST", "recovery/"+second, map[string]any{"new": "a fine new phrase 12"})
		b.api(410, "POST", "recovery/"+second, map[string]any{"new": "another new phrase 13"})
		other.api(401, "GET", "session", nil)
		if m := w.letter(email); !strings.Contains(m.Subject, "was set through a link") {
			t.Errorf("letter %q", m.Subject)
		}
		b.api(401, "GET", "session", nil)
		b.signIn(email, "a fine new phrase 12")
		w.browser().api(401, "POST", "sign-in", map[string]any{"email": email, "password": good})
		w.browser().api(202, "POST", "recovery", map[string]any{"email": mailbox("nobody")})
		w.quiet(mailbox("nobody"))
	}, jobs.Schema(), identity.Schema())
}

func testChangePassword(t *testing.T) {
	w := open(t)
	_, email := w.customer("cleo")
	b, other := w.browser(), w.browser()
	b.signIn(email, good)
	other.signIn(email, good)
	w.kit.Clock.Advance(time.Minute)
	b.api(403, "POST", "password", map[string]any{"current": "wrong wrong wrong", "new": "a fine new phrase 12"})
	b.api(403, "POST", "password", map[string]any{"current": "", "new": "a fine new phrase 12"})
	p := b.api(422, "POST", "password", map[string]any{"current": good, "new": "password"})
	if es := p["errors"].([]any); len(es) != 2 {
		t.Errorf("errors %v: want too short and banned together", es)
	}
	out := b.api(200, "POST", "password", map[string]any{"current": good, "new": "a fine new phrase 12"})
	if out["ended"].(float64) != 1 {
		t.Errorf("ended %v", out)
	}
	b.api(200, "GET", "session", nil)
	other.api(401, "GET", "session", nil)
	w.letterOf(email, "password-changed")
}

// breaks: auth.reset-link-lifetime
func testResetLinkDiesAtTheSecond(t *testing.T) {
	for _, c := range []struct {
		name string
		age  time.Duration
		ttl  time.Duration // in force when it is used
		want int
	}{
		{"a microsecond before", 24*time.Hour - time.Microsecond, 24 * time.Hour, 200},
		{"at the end", 24 * time.Hour, 24 * time.Hour, 410},
		{"a second after", 24*time.Hour + time.Second, 24 * time.Hour, 410},
		{"tightened meanwhile", time.Hour, time.Hour, 410},
		{"tightened, a microsecond before", time.Hour - time.Microsecond, time.Hour, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := open(t)
			_, email := w.customer("dora")
			b := w.browser()
			b.api(202, "POST", "recovery", map[string]any{"email": email})
			token := tokenOf(t, w.letter(email).Text)
			w.kit.Clock.Advance(c.age)
			w.set(clause.Values{"auth.reset-link-lifetime/ttl": c.ttl})
			a := b.ask("POST", "recovery/"+token, map[string]any{"new": "a fine new phrase 12"})
			if a.Status != c.want {
				t.Errorf("%d %s, want %d", a.Status, a.Body, c.want)
			}
			if c.want == 410 && !strings.Contains(a.Body, `"link_dead"`) {
				t.Errorf("body %s", a.Body)
			}
		})
	}
	t.Run("loosened meanwhile", func(t *testing.T) {
		w := open(t)
		w.set(clause.Values{"auth.reset-link-lifetime/ttl": time.Hour})
		_, email := w.customer("dora")
		b := w.browser()
		b.api(202, "POST", "recovery", map[string]any{"email": email})
		token := tokenOf(t, w.letter(email).Text)
		w.set(nil)
		w.kit.Clock.Advance(time.Hour)
		b.api(410, "POST", "recovery/"+token, map[string]any{"new": "a fine new phrase 12"})
	})
}

// breaks: auth.signup-email
func TestConfirmLinkDiesAtTheSecond(t *testing.T) {
	w := open(t)
	b := w.browser()
	b.api(202, "POST", "sign-up", map[string]any{"email": mailbox("eva"), "password": good, "name": ""})
	token := tokenOf(t, w.letter(mailbox("eva")).Text)
	w.kit.Clock.Advance(24 * time.Hour)
	b.api(410, "POST", "confirm", map[string]any{"token": token})
}

// Whoever signs up first with somebody's address gains nothing.
func TestPreHijack(t *testing.T) {
	w := open(t)
	attacker, owner := w.browser(), w.browser()
	to := mailbox("fay")
	attacker.api(202, "POST", "sign-up", map[string]any{"email": to, "password": "attackers choice 99", "name": ""})
	theirs := tokenOf(t, w.letter(to).Text)
	owner.api(202, "POST", "sign-up", map[string]any{"email": to, "password": good, "name": ""})
	mine := tokenOf(t, w.letter(to).Text)
	owner.api(422, "POST", "confirm", map[string]any{"token": theirs})
	owner.api(403, "POST", "confirm", map[string]any{"token": theirs, "password": good})
	owner.api(200, "POST", "confirm", map[string]any{"token": mine})
	attacker.api(410, "POST", "confirm", map[string]any{"token": theirs})
	attacker.api(401, "POST", "sign-in", map[string]any{"email": to, "password": "attackers choice 99"})
	owner.signIn(to, good)
	// A third sign-up is told to the owner, not refused to the asker.
	w.browser().api(202, "POST", "sign-up", map[string]any{"email": to, "password": "attackers choice 99", "name": ""})
	if m := w.letter(to); m.Kind != "identity.already-here" {
		t.Errorf("letter %s", m.Kind)
	}
}

func TestDecline(t *testing.T) {
	w := open(t)
	b := w.browser()
	b.api(202, "POST", "sign-up", map[string]any{"email": mailbox("gil"), "password": good, "name": ""})
	token := tokenOf(t, w.letter(mailbox("gil")).Text)
	stranger := actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24", Via: "https"}
	info, err := w.svc.ConfirmLink(t.Context(), stranger, secret.NewText(token), secret.Text{})
	if err != nil || info.Email != mailbox("gil") || info.Flow {
		t.Errorf("%+v %v", info, err)
	}
	if err := w.svc.Decline(t.Context(), stranger, secret.NewText(token)); err != nil {
		t.Fatal(err)
	}
	b.api(410, "POST", "confirm", map[string]any{"token": token})
}

// breaks: auth.reset-sets-new
func TestOneWinnerPerLink(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("hal")
		w.browser().api(202, "POST", "recovery", map[string]any{"email": email})
		reset := tokenOf(t, w.letter(email).Text)
		b := w.browser()
		b.api(202, "POST", "sign-up", map[string]any{"email": mailbox("ida"), "password": good, "name": ""})
		confirm := tokenOf(t, w.letter(mailbox("ida")).Text)
		for name, act := range map[string]func(i int) error{
			"reset": func(i int) error {
				_, err := w.svc.SetPassword(t.Context(), stranger(i), identity.SetByLink{Kind: identity.ResetLink, Token: secret.NewText(reset), New: secret.NewText(fmt.Sprintf("a fine new phrase %d", i))})
				return err
			},
			"confirm": func(i int) error {
				return w.svc.Confirm(t.Context(), stranger(0), identity.Confirm{Token: secret.NewText(confirm), Flow: b.cookie(t, "__Host-writ-flow")})
			},
		} {
			var won, dead atomic.Int64
			var wg sync.WaitGroup
			for i := range 32 {
				wg.Go(func() {
					switch err := act(i); {
					case err == nil:
						won.Add(1)
					case errors.Is(err, fault.Gone):
						dead.Add(1)
					default:
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || dead.Load() != 31 {
				t.Errorf("%s: %d winners, %d dead", name, won.Load(), dead.Load())
			}
		}
	}, jobs.Schema(), identity.Schema())
}

func stranger(i int) actor.Actor {
	return actor.Actor{Kind: actor.Stranger, ID: fmt.Sprintf("198.51.%d.0/24", i), Via: "https"}
}

func (b browser) cookie(t testing.TB, name string) secret.Text {
	t.Helper()
	u, err := url.Parse(b.Base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.HTTP.Jar.Cookies(u) {
		if c.Name == name {
			return secret.NewText(c.Value)
		}
	}
	t.Fatalf("no cookie %s", name)
	return secret.Text{}
}

func TestClosedSignUp(t *testing.T) {
	w := open(t)
	in := func(email string) map[string]any { return map[string]any{"email": email, "password": good, "name": ""} }
	w.set(clause.Values{"auth.signup-email/open": "domains", "auth.signup-email/domains": []string{"example.canary.invalid"}})
	w.browser().api(202, "POST", "sign-up", in(mailbox("uma")))
	w.browser().api(422, "POST", "sign-up", in("uma@elsewhere.canary.invalid"))
	w.browser().api(422, "POST", "sign-up", in("uma@sub.example.canary.invalid"))
	w.set(clause.Values{"auth.signup-email/open": "off"})
	p := w.browser().api(422, "POST", "sign-up", in(mailbox("vic")))
	if p["code"] != "domain_closed" {
		t.Errorf("%v", p)
	}
	all := w.browser().api(422, "POST", "sign-up", map[string]any{"email": "not one", "password": "password", "name": "a\nb"})
	if n := len(all["errors"].([]any)); n != 4 {
		t.Errorf("%d faults told together: %v", n, all)
	}
}

func TestRehash(t *testing.T) {
	w := open(t)
	id, email := w.customer("wim")
	w.set(clause.Values{"auth.hash/alg": "pbkdf2-hmac-sha256", "auth.salt/bytes": int64(32)})
	w.browser().api(401, "POST", "sign-in", map[string]any{"email": email, "password": "wrong"})
	if got := w.one(`SELECT scheme FROM identity_password WHERE person = $1`, id); got != "argon2id" {
		t.Errorf("scheme %s after a wrong password", got)
	}
	w.browser().signIn(email, good)
	if got := w.one(`SELECT scheme FROM identity_password WHERE person = $1`, id); got != "pbkdf2-hmac-sha256" {
		t.Errorf("scheme %s", got)
	}
	w.browser().signIn(email, good)
	w.wants("identity.schemes", clause.Pass)
	w.wants("identity.salts", clause.Pass)
}

// A letter never carries the words of whoever asked for it.
func TestLettersCarryNobodysWords(t *testing.T) {
	w := open(t)
	evil := "Visit https://evil.example now"
	if _, err := w.svc.SignUp(t.Context(), stranger(1), identity.SignUp{Email: mailbox("mark"), Password: secret.NewText(good), Name: evil, Network: "198.51.1.0/24", Agent: evil}); err != nil {
		t.Fatal(err)
	}
	if m := w.letter(mailbox("mark")); strings.Contains(m.Text+m.HTML+m.Subject, "evil") {
		t.Errorf("letter: %s", m.Text)
	}
}
