package identity_test

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/web"
)

const why = "The export of invoices stops at March"

// looking is a member of staff who looks as a customer.
type looking struct {
	*world
	staff, customer string // ids
	email           string // of the customer
	b               browser
	phone           *phone
	id              string // of the look
	token           secret.Text
}

var sessionCookie = regexp.MustCompile(`__Host-writ=([^;]+);`)

func cookieOf(t testing.TB, a canary.Answer) secret.Text {
	t.Helper()
	m := sessionCookie.FindStringSubmatch(strings.Join(a.Header.Values("Set-Cookie"), "\n"))
	if m == nil {
		t.Fatalf("no session cookie: %d %v %s", a.Status, a.Header, a.Body)
	}
	return secret.NewText(m[1])
}

// look begins one.
func (w *world) look(writes bool) *looking {
	w.t.Helper()
	l := &looking{world: w}
	l.staff, l.b, l.phone = w.staff("eva", "engineer")
	l.customer, l.email = w.customer("cleo")
	l.begin(writes)
	return l
}

func (l *looking) begin(writes bool) {
	l.t.Helper()
	a := l.b.ask("POST", "support", map[string]any{"person": l.email, "reason": why, "ticket": "T-12", "write": writes})
	if a.Status != http.StatusCreated {
		l.t.Fatalf("begin: %d %s", a.Status, a.Body)
	}
	l.token, l.id = cookieOf(l.t, a), l.one(`SELECT id FROM identity_support WHERE ended IS NULL`)
}

// goesOn reports whether the look still stands.
func (l *looking) goesOn() bool {
	l.t.Helper()
	who, err := l.svc.Lookup(l.t.Context(), l.token)
	if err != nil && !errors.Is(err, fault.Unauthenticated) {
		l.t.Fatal(err)
	}
	on := err == nil && who.Kind == actor.Support
	now, err := l.svc.Standing(l.t.Context(), actor.Actor{Kind: actor.Support, Session: l.id})
	if err != nil && !errors.Is(err, fault.Unauthenticated) || on != (err == nil) || on && now.For != who.For {
		l.t.Errorf("what is under way stands otherwise: %+v, %v", now, err)
	}
	return on
}

// Staff look as a customer with the customer's rights, under a token of its own, and get
// their session back under another.
func TestLook(t *testing.T) { // breaks: use.need-to-see
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		l := w.look(false)
		stored := func() string { return w.one(`SELECT token FROM identity_session WHERE person = $1`, l.staff) }
		parked := stored()
		who, err := w.svc.Lookup(t.Context(), l.token)
		if err != nil {
			t.Fatal(err)
		}
		if who.Kind != actor.Support || who.ID != l.staff || who.For != l.customer || who.Team == "staff" || !slices.Equal(who.Roles, []string{"admin"}) || who.Session != l.id || who.Writes || who.SignedIn() || who.ACR < 2 {
			t.Errorf("%+v", who)
		}
		for _, key := range []string{why, "T-12"} {
			if got := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_support WHERE CAST(reason AS TEXT) = $1`, key); got != "0" {
				t.Errorf("%q lies in the table as it was typed", key)
			}
		}
		m := w.letter(l.email)
		if m.Kind != "identity.look" || !strings.Contains(m.Text, "eva") || !strings.Contains(m.Text, "T-12") || strings.Contains(m.Text, why) {
			t.Errorf("letter: %s\n%s", m.Kind, m.Text)
		}
		l.b.api(204, "DELETE", "support/"+l.id, nil)
		if l.goesOn() {
			t.Error("the look goes on after its end")
		}
		l.b.api(200, "GET", "session", nil)
		if now := stored(); now == parked || now == "" {
			t.Error("the session came back under the token it waited with")
		}
		l.begin(false) // and may look again
		if got := l.b.ask("POST", "support", map[string]any{"person": l.email, "reason": why, "ticket": "T"}); got.Status != 403 {
			t.Errorf("a look within a look: %d", got.Status)
		}

		entries := kit.Recorded("identity.impersonated", "identity.support-ended")
		if len(entries) != 3 || entries[0].Fields["asks"] != "required" || entries[0].Reason != why {
			t.Fatalf("%+v", entries)
		}
		w.record.entries = []journal.Entry{{N: 41, Act: "identity.impersonated", Object: "support/" + l.id, Subject: l.customer}, {N: 42, Act: "identity.support-ended", Object: "support/" + l.id, Subject: l.customer}}
		c := w.browser()
		c.signIn(l.email, good)
		looks := c.api(200, "GET", "account/looks", nil)["looks"].([]any)
		first := looks[0].(map[string]any)
		if len(looks) != 2 || first["by"] != "eva" || first["reason"] != why || first["ticket"] != "T-12" || first["writes"] != false || first["entry"] != 41.0 {
			t.Errorf("%v", looks)
		}
		copied := c.api(200, "POST", "account/export", map[string]any{})
		if n := len(copied["looks"].([]any)); n != 2 || len(copied["terms"].([]any)) != 1 || len(copied["tokens"].([]any)) != 0 {
			t.Errorf("in the copy: %v %v %v", copied["looks"], copied["terms"], copied["tokens"])
		}
	}, jobs.Schema(), identity.Schema())
}

// Nobody begins without all that it takes, and each refusal is recorded.
// A look is over when the time is that was asked for, before that of the policy.
func TestLookInItsBox(t *testing.T) { // breaks: use.need-to-see
	w := open(t)
	l := &looking{world: w}
	l.staff, l.b, l.phone = w.staff("eva", "engineer")
	l.customer, l.email = w.customer("cleo")
	a := l.b.ask("POST", "support", map[string]any{"person": l.email, "reason": why, "ticket": "T-12", "for": "10m"})
	if a.Status != http.StatusCreated {
		t.Fatalf("begin: %d %s", a.Status, a.Body)
	}
	l.token, l.id = cookieOf(t, a), w.one(`SELECT id FROM identity_support`)
	w.kit.Clock.Advance(9 * time.Minute)
	if !l.goesOn() {
		t.Error("over before its time")
	}
	w.kit.Clock.Advance(2 * time.Minute)
	if l.goesOn() {
		t.Error("goes on after the time that was asked for")
	}
}

func TestLookRefused(t *testing.T) { // breaks: use.need-to-see
	w := open(t)
	staff, b, phone := w.staff("eva", "support")
	_, _, _ = w.staff("olga", "owner")
	_, aud, _ := w.staff("adi", "auditor")
	id, email := w.customer("cleo")
	gone, _ := w.customer("gus")
	if err := w.svc.Disable(t.Context(), operator, gone); err != nil {
		t.Fatal(err)
	}
	c := w.browser()
	c.signIn(email, good)
	for _, x := range []struct {
		name   string
		b      browser
		body   map[string]any
		status int
		code   string
	}{
		{"no reason", b, map[string]any{"person": id, "reason": " \n", "ticket": "T-1"}, 422, "reason_needed"},
		{"a reason of a word too short", b, map[string]any{"person": id, "reason": "no", "ticket": "T-1"}, 422, "reason_needed"},
		{"a reason without end", b, map[string]any{"person": id, "reason": strings.Repeat("a", 501), "ticket": "T-1"}, 422, "reason_invalid"},
		{"no ticket", b, map[string]any{"person": id, "reason": why, "ticket": ""}, 422, "ticket_needed"},
		{"a ticket of free words", b, map[string]any{"person": id, "reason": why, "ticket": "see mail"}, 422, "ticket_needed"},
		{"a time beyond the policy", b, map[string]any{"person": id, "reason": why, "ticket": "T-1", "for": "61m"}, 422, "for_invalid"},
		{"a time of no use", b, map[string]any{"person": id, "reason": why, "ticket": "T-1", "for": "5s"}, 422, "for_invalid"},
		{"an unknown person", b, map[string]any{"person": "nobody", "reason": why, "ticket": "T-1"}, 404, "no_person"},
		{"staff", b, map[string]any{"person": "olga", "reason": why, "ticket": "T-1"}, 403, "support_refused"},
		{"oneself", b, map[string]any{"person": staff, "reason": why, "ticket": "T-1"}, 403, "support_refused"},
		{"another team's", b, map[string]any{"person": id, "team": "staff", "reason": why, "ticket": "T-1"}, 403, "support_refused"},
		{"a disabled person", b, map[string]any{"person": gone, "reason": why, "ticket": "T-1"}, 403, "support_refused"},
		{"an auditor", aud, map[string]any{"person": id, "reason": why, "ticket": "T-1"}, 403, "denied"},
		{"a customer", c, map[string]any{"person": id, "reason": why, "ticket": "T-1"}, 403, "denied"},
		{"a stranger", w.browser(), map[string]any{"person": id, "reason": why, "ticket": "T-1"}, 401, "sign_in_needed"},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := len(w.kit.Recorded("identity.support-refused", "access.refused"))
			if got := x.b.ask("POST", "support", x.body); got.Status != x.status || !strings.Contains(got.Body, `"`+x.code+`"`) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			if x.code == "no_person" || x.code == "sign_in_needed" {
				return
			}
			if len(w.kit.Recorded("identity.support-refused", "access.refused")) != before+1 {
				t.Error("the refusal is not recorded")
			}
			w.kit.Clock.Advance(20 * time.Second) // refusals of one minute fold
		})
	}
	w.kit.Clock.Advance(15 * time.Minute)
	ok := map[string]any{"person": id, "reason": why, "ticket": "T-1"}
	if got := b.ask("POST", "support", ok); got.Status != 403 || !strings.Contains(got.Body, "step_up_required") {
		t.Errorf("an old factor: %d %s", got.Status, got.Body)
	}
	b = w.browser()
	b.signInWith(mailbox("eva"), good, phone)
	b.api(201, "POST", "support", ok)
	w.quiet(mailbox("gus"))
}

// A person in two worlds is staff.
func TestLookNeverAtStaffInATeam(t *testing.T) { // breaks: use.need-to-see
	w := open(t)
	_, b, _ := w.staff("eva", "engineer")
	olga, _, _ := w.staff("olga", "owner")
	cleo, _ := w.customer("cleo")
	team := w.one(`SELECT team FROM identity_member WHERE person = $1`, cleo)
	w.exec(`INSERT INTO identity_member (team, person, roles, since) VALUES ($1, $2, 'member', 1)`, team, olga)
	if got := b.ask("POST", "support", map[string]any{"person": olga, "team": team, "reason": why, "ticket": "T-1"}); got.Status != 403 || !strings.Contains(got.Body, "support_refused") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	w.exec(`UPDATE identity_member SET roles = 'engineer' WHERE person = $1`, cleo)
	if got := b.ask("POST", "support", map[string]any{"person": cleo, "reason": why, "ticket": "T-1"}); got.Status != 403 || !strings.Contains(got.Body, "support_refused") {
		t.Errorf("a role of staff in a customer's team: %d %s", got.Status, got.Body)
	}
}

// A look is over in time, and with everything it rests on.
func TestLookEnds(t *testing.T) { // breaks: use.need-to-see
	for _, c := range []struct {
		name string
		end  func(l *looking)
	}{
		{"after an hour", func(l *looking) { l.kit.Clock.Advance(time.Second) }},
		{"a policy that allows less", func(l *looking) { l.set(clause.Values{"use.need-to-see/ttl": 30 * time.Minute}) }},
		{"a clock set back", func(l *looking) { l.kit.Clock.Advance(-2 * time.Hour) }},
		{"the staff's session ended", func(l *looking) {
			if _, err := l.svc.EndSessions(l.t.Context(), operator, l.staff); err != nil {
				l.t.Fatal(err)
			}
		}},
		{"the staff disabled", func(l *looking) { l.disable(l.staff) }},
		{"the customer disabled", func(l *looking) { l.disable(l.customer) }},
		{"the customer no longer active", func(l *looking) {
			l.exec(`UPDATE identity_person SET state = 'disabled' WHERE id = $1`, l.customer)
		}},
		{"the staff no longer active", func(l *looking) {
			l.exec(`UPDATE identity_person SET state = 'disabled' WHERE id = $1`, l.staff)
		}},
		{"the customer erased", func(l *looking) {
			if _, err := l.svc.Erase(l.t.Context(), operator, l.customer, l.one(`SELECT handle FROM identity_person WHERE id = $1`, l.customer)); err != nil {
				l.t.Fatal(err)
			}
			if n := l.one(`SELECT CAST(COUNT(reason) AS TEXT) FROM identity_support`); n != "0" {
				l.t.Error("the reason outlives the customer")
			}
		}},
		{"the customer ends their sessions", func(l *looking) {
			c := l.browser()
			c.signIn(l.email, good)
			c.api(200, "DELETE", "sessions", nil)
		}},
		{"a policy that asks more of the staff's session", func(l *looking) {
			l.set(clause.Values{"access.mfa-by-technology/min_factor": identity.PhishingResistant})
		}},
		{"the right gone", func(l *looking) {
			l.exec(`UPDATE identity_member SET roles = 'auditor' WHERE person = $1`, l.staff)
			l.exec(`UPDATE identity_session SET change = (SELECT n + 1 FROM identity_counter WHERE one = 1) WHERE person = $1`, l.staff)
			l.exec(`UPDATE identity_counter SET n = n + 1 WHERE one = 1`)
			if err := l.svc.Load(l.t.Context()); err != nil {
				l.t.Fatal(err)
			}
		}},
		{"the customer out of the team", func(l *looking) { l.exec(`DELETE FROM identity_member WHERE person = $1`, l.customer) }},
		{"signed out", func(l *looking) { l.b.api(204, "POST", "sign-out", map[string]any{}) }},
		{"ended by another", func(l *looking) {
			_, o, _ := l.world.staff("olga", "owner")
			o.api(204, "DELETE", "support/"+l.id, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := open(t).look(false)
			l.t = t
			l.kit.Clock.Advance(time.Hour - time.Minute)
			if !l.goesOn() {
				t.Fatal("it is over before its time")
			}
			l.kit.Clock.Advance(time.Minute - time.Second)
			c.end(l)
			if l.goesOn() {
				t.Fatal("it goes on")
			}
			l.b.api(401, "GET", "session", nil) // nor does the session that waited
		})
	}
}

func (l *looking) disable(id string) {
	l.t.Helper()
	if err := l.svc.Disable(l.t.Context(), operator, id); err != nil {
		l.t.Fatal(err)
	}
}

// A look may change things once another person has agreed, and never by one's own word.
func TestLookAgreed(t *testing.T) { // breaks: use.need-to-see
	w := open(t)
	l := w.look(true)
	w.letter(l.email)
	_, other, _ := w.staff("olga", "owner")
	_, third, _ := w.staff("sue", "support")
	self := w.browser()
	self.signInWith(mailbox("eva"), good, l.phone)
	if got := self.ask("POST", "support/"+l.id+"/agree", nil); got.Status != 403 || !strings.Contains(got.Body, "support_self") {
		t.Errorf("oneself: %d %s", got.Status, got.Body)
	}
	if got := third.ask("POST", "support/"+l.id+"/agree", nil); got.Status != 403 {
		t.Errorf("support: %d %s", got.Status, got.Body)
	}
	if got := l.b.ask("POST", "support/"+l.id+"/agree", nil); got.Status != 403 {
		t.Errorf("the look itself: %d %s", got.Status, got.Body)
	}
	if who, err := w.svc.Lookup(t.Context(), l.token); err != nil || who.Writes {
		t.Fatalf("before anybody agreed: %+v %v", who, err)
	}
	if got := other.api(200, "POST", "support/"+l.id+"/agree", nil); got["write"] != "agreed" {
		t.Errorf("%v", got)
	}
	if who, err := w.svc.Lookup(t.Context(), l.token); err != nil || !who.Writes {
		t.Fatalf("agreed: %+v %v", who, err)
	}
	if m := w.letter(l.email); m.Kind != "identity.look-writes" || !strings.Contains(m.Text, "olga agreed") {
		t.Errorf("letter: %s\n%s", m.Kind, m.Text)
	}
	other.api(409, "POST", "support/"+l.id+"/agree", nil)
	list := third.api(200, "GET", "support", nil)["looks"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["reason"] != why {
		t.Errorf("%v", list)
	}
	l.b.api(204, "DELETE", "support/"+l.id, nil)
	other.api(404, "POST", "support/"+l.id+"/agree", nil)
	l.begin(false)
	other.api(409, "POST", "support/"+l.id+"/agree", nil) // nobody asked
	if who, err := w.svc.Lookup(t.Context(), l.token); err != nil || who.Writes {
		t.Fatalf("what was not asked for: %+v %v", who, err)
	}
}

// A policy may leave out the reason and the letter; the account shows the look all the same.
func TestLookWhereThePolicyAsksLess(t *testing.T) {
	w := open(t)
	w.set(clause.Values{"use.need-to-see/reason": "optional", "use.need-to-see/notify": "optional", "use.need-to-see/ttl": 2 * time.Hour})
	_, b, _ := w.staff("eva", "support")
	id, email := w.customer("cleo")
	until := b.api(201, "POST", "support", map[string]any{"person": id, "reason": "", "ticket": "T-1"})["until"].(string)
	if at, err := time.Parse(time.RFC3339, until); err != nil || at.Sub(w.kit.Clock.Now()) > time.Hour {
		t.Errorf("until %s, now %s", until, w.kit.Clock.Now())
	}
	if es := w.kit.Recorded("identity.impersonated"); len(es) != 1 || es[0].Fields["asks"] != "optional" || es[0].Reason != "" {
		t.Errorf("%+v", es)
	}
	w.quiet(email)
	c := w.browser()
	c.signIn(email, good)
	if looks := c.api(200, "GET", "account/looks", nil)["looks"].([]any); len(looks) != 1 {
		t.Errorf("%v", looks)
	}
}

// hole fills the wildcards of a pattern.
var hole = regexp.MustCompile(`\{[^}]*\}`)

// A look reaches no route of identity but its own end.
func TestLookReachesNothingElse(t *testing.T) { // breaks: use.need-to-see
	l := open(t).look(true)
	ends := []string{"DELETE /-/api/v1/support/{id}", "POST /-/api/v1/sign-out", "GET /-/support", "POST /-/support/end", "GET /-/sign-out", "POST /-/sign-out"}
	open := 0
	for _, rt := range append(l.svc.Routes(), l.svc.Pages()...) {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if rt.Support {
			if open++; !slices.Contains(ends, rt.Pattern) {
				t.Errorf("%s is open to a look", rt.Pattern)
			}
			continue
		}
		body := ""
		if method != http.MethodGet {
			body = "{}"
		}
		a, err := l.b.Do(t.Context(), method, hole.ReplaceAllString(path, "x"), body)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != 403 || !strings.Contains(a.Body, web.SupportOnly.Code) {
			t.Errorf("%s: %d %.200s", rt.Pattern, a.Status, a.Body)
		}
	}
	if open != len(ends) {
		t.Errorf("%d routes are open, want %d", open, len(ends))
	}
	if !l.goesOn() {
		t.Error("the look ended meanwhile")
	}
	// Nor do the methods behind them take it for a person.
	who, err := l.svc.Lookup(t.Context(), l.token)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, act := range map[string]func() error{
		"copy": func() error { _, err := l.svc.OwnData(ctx, who); return err },
		"password": func() error {
			_, err := l.svc.ChangePassword(ctx, who, identity.Change{Current: secret.NewText(good), New: secret.NewText("another phrase 77")})
			return err
		},
		"sessions of staff":    func() error { _, err := l.svc.Sessions(ctx, who, who.ID); return err },
		"sessions of customer": func() error { _, err := l.svc.Sessions(ctx, who, who.For); return err },
		"end sessions":         func() error { _, err := l.svc.EndSessions(ctx, who, who.For); return err },
		"token": func() error {
			_, err := l.svc.IssueToken(ctx, who, identity.NewToken{Name: "x", Scopes: []string{"a:b"}})
			return err
		},
		"leave":  func() error { _, err := l.svc.Leave(ctx, who, secret.NewText(good)); return err },
		"terms":  func() error { return l.svc.AcceptTerms(ctx, who, 1) },
		"people": func() error { _, err := l.svc.List(ctx, who, ""); return err },
		"looks":  func() error { _, err := l.svc.Looks(ctx, who); return err },
	} {
		if err := act(); !errors.Is(err, fault.Denied) && !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What nobody ended is ended by the server, with the session that waits for it.
func TestLooksAreSwept(t *testing.T) {
	l := open(t).look(false)
	l.kit.Clock.Advance(time.Hour + time.Minute)
	if err := l.svc.EndOverdueLooks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := l.one(`SELECT cause FROM identity_support`); c != "over" {
		t.Errorf("cause %q", c)
	}
	if c := l.one(`SELECT cause FROM identity_session WHERE person = $1`, l.staff); c != "support-over" {
		t.Errorf("the session that waits: %q", c)
	}
	l.wants("identity.look-reasons", clause.Pass)
}

func TestSupportControlsSeeTheirBreach(t *testing.T) {
	for _, c := range []struct {
		name, control string
		front         func(http.Handler) http.Handler
	}{
		// breaks: use.need-to-see
		{"a look without a reason", "identity.looks", swap(func(r *http.Request, b string) bool {
			return strings.HasSuffix(r.URL.Path, "/support") && strings.Contains(b, `"reason":""`)
		}, status(201, `{}`))},
		// breaks: use.need-to-see
		{"a look that changes", "identity.looks", swap(func(r *http.Request, _ string) bool { return r.URL.Path == "/" && r.Method == "POST" }, status(200, `{}`))},
		// breaks: use.need-to-see
		{"one's own word", "identity.looks", swap(func(r *http.Request, _ string) bool { return strings.HasSuffix(r.URL.Path, "/agree") }, status(200, `{}`))},
		// breaks: use.terms
		{"older terms will do", "identity.terms-first", swap(func(r *http.Request, _ string) bool {
			return !strings.HasPrefix(r.URL.Path, "/-/") && strings.Contains(r.Header.Get("Cookie"), identity.SessionCookie+"=")
		}, status(200, `{}`))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			w.breakFront(c.front)
			w.wants(c.control, clause.Fail)
		})
	}
	for _, c := range []struct {
		name, control, spoil string
	}{
		// breaks: use.need-to-see
		{"no reason", "identity.look-reasons", `UPDATE identity_support SET reason = NULL`},
		// breaks: use.need-to-see
		{"too long", "identity.look-reasons", `UPDATE identity_support SET until = until + 1000000`},
		// breaks: use.need-to-see
		{"never ended", "identity.look-reasons", `UPDATE identity_support SET began = began - 7200000000, until = until - 7200000000`},
		// breaks: use.need-to-see
		{"agreed to by who looks", "identity.look-reasons", `UPDATE identity_support SET agreed_by = staff`},
		// breaks: use.terms
		{"no acceptance in the table", "identity.terms-accepted", `DELETE FROM identity_terms`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			l := w.look(false)
			l.browser().signIn(l.email, good)
			l.wants(c.control, clause.Pass)
			l.exec(c.spoil)
			l.wants(c.control, clause.Fail)
		})
	}
}
