package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
)

// as sends a request with a token and nothing else.
func (w *world) as(token, method, path string) (int, map[string]any) {
	w.t.Helper()
	b := w.browser()
	var body *strings.Reader = strings.NewReader("")
	if method != http.MethodGet && method != http.MethodDelete {
		body = strings.NewReader("{}")
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, b.Base+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	a, err := b.Send(r)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]any{}
	_ = json.Unmarshal([]byte(a.Body), &out) // a page is none
	return a.Status, out
}

const selfPath = "/-/api/v1/token"

// issued makes a token through the API.
func (b browser) issued(body map[string]any) (token, id string) {
	b.w.t.Helper()
	out := b.api(201, "POST", "tokens", body)
	return out["token"].(string), out["about"].(map[string]any)["id"].(string)
}

func wish(over map[string]any) map[string]any {
	m := map[string]any{"name": "laptop", "scopes": []string{"orders:read"}}
	maps.Copy(m, over)
	return m
}

var shape = regexp.MustCompile(`^writ_(pat|svc)_[0-9A-Za-z]{49}$`)

// The life of a personal token: shown once, told of, used, listed, ended.
func TestPersonalToken(t *testing.T) { // breaks: auth.best-practice, auth.no-cleartext
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		id, email := w.customer("ana")
		b := w.browser()
		b.signIn(email, good)
		token, tid := b.issued(wish(nil))
		if !shape.MatchString(token) || !strings.HasPrefix(token, "writ_pat_") {
			t.Fatalf("a token is %q", token)
		}
		if m := w.letter(email); m.Kind != "identity.token-issued" || !strings.Contains(m.Text, "orders:read") || strings.Contains(m.Text, token) {
			t.Errorf("the letter: %s %s", m.Kind, m.Text)
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_token WHERE token LIKE 'writ%' OR token = $1`, token); n != "0" {
			t.Error("the token is kept in clear")
		}
		status, self := w.as(token, "GET", selfPath)
		if status != 200 || self["id"] != id || self["kind"] != "person" || fmt.Sprint(self["scopes"]) != "[orders:read]" {
			t.Fatalf("%d %v", status, self)
		}
		kit.Clock.Advance(90 * time.Minute)
		w.as(token, "GET", selfPath)
		for _, err := range w.svc.Housekeeping(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
		hour := kit.Clock.Now().Truncate(time.Hour)
		if got := w.one(`SELECT CAST(seen AS TEXT) FROM identity_token`); got != fmt.Sprint(hour.UnixMicro()) {
			t.Errorf("last use %s, want the hour %d", got, hour.UnixMicro())
		}
		list := b.api(200, "GET", "tokens", nil)["tokens"].([]any)
		one := list[0].(map[string]any)
		if len(list) != 1 || one["id"] != tid || one["name"] != "laptop" || one["seen"] == nil || strings.Contains(fmt.Sprint(list), token) {
			t.Errorf("the list: %v", list)
		}
		b.api(204, "DELETE", "tokens/"+tid, nil)
		if status, out := w.as(token, "GET", selfPath); status != 401 || out["code"] != "token_refused" {
			t.Errorf("after its end: %d %v", status, out)
		}
		b.api(404, "DELETE", "tokens/"+tid, nil)
		if n := len(kit.Recorded("identity.token-issued")) + len(kit.Recorded("identity.token-revoked")); n != 2 {
			t.Errorf("%d entries of issue and revocation", n)
		}
		for _, e := range kit.Recorded() {
			if strings.Contains(e.Body+fmt.Sprint(e.Fields), token) {
				t.Errorf("%s holds the token", e.Name)
			}
		}
	}, jobs.Schema(), identity.Schema())
}

// Where a token is never taken, and what is wrong with a wrong one.
func TestTokenPlaces(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("ben")
	b := w.browser()
	b.signIn(email, good)
	token, _ := b.issued(wish(nil))
	for _, p := range []string{"GET /-/account", "POST /-/account/password", "GET /-/api/v1/sessions", "DELETE /-/api/v1/sessions", "GET /-/api/v1/session", "POST /-/api/v1/password",
		"GET /-/api/v1/tokens", "POST /-/api/v1/tokens", "GET /-/api/v1/services", "POST /-/api/v1/services"} {
		method, path, _ := strings.Cut(p, " ")
		if status, out := w.as(token, method, path); status != 403 && status != 404 {
			t.Errorf("%s: %d %v", p, status, out)
		}
	}
	b.api(200, "GET", "session", nil) // nothing of the above ended it
	flip := "0"
	if token[20] == '0' {
		flip = "1"
	}
	for name, bad := range map[string]string{"a digit": token[:20] + flip + token[21:], "cut": token[:57], "longer": token + "0", "another kind": "writ_svc_" + token[9:], "none of ours": "abc", "empty": ""} {
		if status, out := w.as(bad, "GET", selfPath); status != 401 || out["code"] != "token_refused" {
			t.Errorf("%s: %d %v", name, status, out)
		}
		if status, _ := w.as(bad, "POST", "/-/api/v1/sign-in"); status != 401 {
			t.Errorf("%s at a door for anyone: %d", name, status)
		}
	}
	// Beside a good cookie the token alone counts.
	r, _ := http.NewRequestWithContext(t.Context(), "GET", b.Base+"/-/api/v1/session", nil)
	r.Header.Set("Authorization", "Bearer abc")
	if a, err := b.Send(r); err != nil || a.Status != 401 {
		t.Errorf("a wrong token beside a good session: %d %v", a.Status, err)
	}
	// A session's token is no token, and a token is no session.
	r, _ = http.NewRequestWithContext(t.Context(), "GET", b.Base+selfPath+"?access_token="+token+"&token="+token, nil)
	c := w.browser()
	r.AddCookie(&http.Cookie{Name: "__Host-writ", Value: token})
	if a, err := c.Send(r); err != nil || a.Status != 401 {
		t.Errorf("a token in cookie and address: %d %v", a.Status, err)
	}
	causes := map[string]bool{}
	for _, e := range w.kit.Recorded("identity.token-refused") {
		causes[fmt.Sprint(e.Fields["cause"])] = true
	}
	if !causes["malformed"] {
		t.Errorf("refusals recorded: %v", causes)
	}
}

// Wrong tokens from a network are slowed down, and never stop a right one.
func TestWrongTokensAreThrottled(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("cem")
	b := w.browser()
	b.signIn(email, good)
	token, _ := b.issued(wish(nil))
	who := actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24", Via: "https"}
	from := netip.MustParseAddr("203.0.113.9")
	limited := 0
	for range 80 {
		_, err := w.svc.LookupToken(t.Context(), who, secret.NewText("writ_pat_wrong"), from)
		switch {
		case errors.Is(err, fault.Limited):
			limited++
		case !errors.Is(err, fault.Unauthenticated):
			t.Fatal(err)
		}
	}
	if limited != 20 {
		t.Errorf("%d of 80 were limited", limited)
	}
	if _, err := w.svc.LookupToken(t.Context(), who, secret.NewText(token), from); err != nil {
		t.Errorf("the right token from there: %v", err)
	}
	if n := len(w.kit.Recorded("identity.token-refused")); n != 10 {
		t.Errorf("%d entries, want the first ten", n)
	}
}

func (w *world) lookup(token, from string) (actor.Actor, error) {
	return w.svc.LookupToken(context.Background(), actor.Actor{Kind: actor.Stranger, ID: "local", Via: "https"}, secret.NewText(token), netip.MustParseAddr(from))
}

func TestTokenLife(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("dan")
	b := w.browser()
	b.signIn(email, good)
	short, _ := b.issued(wish(nil))
	long, _ := b.issued(wish(map[string]any{"days": 365}))
	near, _ := b.issued(wish(map[string]any{"networks": []string{"198.51.100.7/24", "2001:db8::1"}}))
	for from, want := range map[string]bool{"198.51.100.200": true, "2001:db8::1": true, "198.51.101.1": false, "2001:db8::2": false} {
		if _, err := w.lookup(near, from); (err == nil) != want {
			t.Errorf("from %s: %v", from, err)
		}
	}
	w.kit.Clock.Advance(90*24*time.Hour - time.Microsecond)
	if _, err := w.lookup(short, "127.0.0.1"); err != nil {
		t.Error(err)
	}
	w.kit.Clock.Advance(time.Microsecond)
	if _, err := w.lookup(short, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("at its end: %v", err)
	}
	// A tighter policy shortens what is there, at once.
	w.set(clause.Values{"auth.best-practice/token_max": 90 * 24 * time.Hour, "auth.best-practice/token_default": 24 * time.Hour})
	if _, err := w.lookup(long, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("beyond the policy: %v", err)
	}
	w.set(nil)
	if _, err := w.lookup(long, "127.0.0.1"); err != nil {
		t.Error(err)
	}
	w.kit.Clock.Advance(276 * 24 * time.Hour)
	if _, err := w.lookup(long, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("after a year: %v", err)
	}
	w.kit.Clock.Advance(-366*24*time.Hour - 10*time.Minute) // a clock set back
	if _, err := w.lookup(long, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("issued in the future: %v", err)
	}
}

func TestTokenWishes(t *testing.T) {
	w := open(t)
	_, email := w.customer("eva")
	b := w.browser()
	b.signIn(email, good)
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("a:b%d", i)
	}
	for name, c := range map[string]struct {
		over map[string]any
		code string
	}{
		"no name":          {map[string]any{"name": ""}, "name_invalid"},
		"no scope":         {map[string]any{"scopes": []string{}}, "scopes_invalid"},
		"many scopes":      {map[string]any{"scopes": many}, "scopes_invalid"},
		"everything":       {map[string]any{"scopes": []string{"*"}}, "scopes_invalid"},
		"two in one":       {map[string]any{"scopes": []string{"a:b c:d"}}, "scopes_invalid"},
		"an act of people": {map[string]any{"scopes": []string{string(access.PeopleErase)}}, "scopes_invalid"},
		"an approval":      {map[string]any{"scopes": []string{string(access.PolicyApprove)}}, "scopes_invalid"},
		"beyond a year":    {map[string]any{"days": 366}, "life_invalid"},
		"negative":         {map[string]any{"days": -1}, "life_invalid"},
		"endless":          {map[string]any{"days": 1 << 40}, "life_invalid"},
		"no network":       {map[string]any{"networks": []string{"here"}}, "networks_invalid"},
	} {
		if out := b.api(422, "POST", "tokens", wish(c.over)); out["code"] != c.code {
			t.Errorf("%s: %v", name, out)
		}
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_token`); n != "0" {
		t.Errorf("%s tokens were made", n)
	}
}

// Everything that ends a person ends what acts for them, at once.
func TestTokensEndWithThePerson(t *testing.T) { // breaks: auth.reset-sets-new, auth.best-practice
	for name, end := range map[string]func(w *world, id, email string){
		"disabled": func(w *world, id, _ string) {
			if err := w.svc.Disable(w.t.Context(), operator, id); err != nil {
				w.t.Fatal(err)
			}
		},
		"erased": func(w *world, id, _ string) {
			h, _ := w.svc.Handle(w.t.Context(), id)
			if _, err := w.svc.Erase(w.t.Context(), operator, id, h); err != nil {
				w.t.Fatal(err)
			}
		},
		"reset": func(w *world, _, email string) {
			b := w.browser()
			b.api(202, "POST", "recovery", map[string]any{"email": email})
			var m string
			for m == "" {
				if l := w.letter(email); l.Kind == "identity.reset" {
					m = l.Text
				}
			}
			b.api(200, "POST", "recovery/"+tokenOf(w.t, m), map[string]any{"new": "a fine new phrase 12"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			id, email := w.customer("fay")
			b := w.browser()
			b.signIn(email, good)
			token, _ := b.issued(wish(nil))
			b.api(201, "POST", "services", map[string]any{"name": "export", "roles": []string{"member"}, "owner": "me"})
			service, _ := b.issued(wish(map[string]any{"service": "export"}))
			program := b.api(200, "GET", "services", nil)
			sid, _ := program["services"].([]any)[0].(map[string]any)["id"].(string)
			if v, kind, err := w.svc.ActiveService(t.Context(), sid); err != nil || kind != "customer" || !slices.Equal(v.Roles, []string{"member"}) {
				t.Errorf("%+v %s %v", v, kind, err)
			}
			for _, x := range []string{token, service} {
				if _, err := w.lookup(x, "127.0.0.1"); err != nil {
					t.Fatal(err)
				}
			}
			end(w, id, email)
			if _, _, err := w.svc.ActiveService(t.Context(), sid); name != "reset" && !errors.Is(err, fault.NotFound) { // a reset leaves the person
				t.Errorf("nobody stands behind the service any more: %v", err)
			}
			for _, x := range []string{token, service} {
				if _, err := w.lookup(x, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("%s goes on: %v", x[:9], err)
				}
			}
			if len(w.kit.Recorded("identity.tokens-ended")) != 1 {
				t.Error("not recorded")
			}
		})
	}
}

// A reset ends tokens because the policy says so, not by itself.
func TestResetLeavesTokensWhereThePolicyDoes(t *testing.T) {
	w := open(t)
	w.set(clause.Values{"auth.reset-sets-new/ends": []string{"links", "sessions"}})
	_, email := w.customer("gus")
	b := w.browser()
	b.signIn(email, good)
	token, _ := b.issued(wish(nil))
	w.letter(email)
	b.api(202, "POST", "recovery", map[string]any{"email": email})
	b.api(200, "POST", "recovery/"+tokenOf(t, w.letter(email).Text), map[string]any{"new": "a fine new phrase 12"})
	if _, err := w.lookup(token, "127.0.0.1"); err != nil {
		t.Error(err)
	}
}

func TestServices(t *testing.T) { // breaks: access.roles, auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("hal")
		team := w.one(`SELECT team FROM identity_member`)
		if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("ida"), Name: "Ida", Password: secret.NewText(good), Team: team, Role: identity.RoleMember}); err != nil {
			t.Fatal(err)
		}
		_, other := w.customer("jay")
		admin, member, stranger := w.browser(), w.browser(), w.browser()
		admin.signIn(email, good)
		member.signIn(mailbox("ida"), good)
		stranger.signIn(other, good)
		made := admin.api(201, "POST", "services", map[string]any{"name": "export", "roles": []string{"member"}, "owner": "team"})
		admin.api(409, "POST", "services", map[string]any{"name": "export", "roles": []string{"member"}, "owner": "team"})
		for _, bad := range []map[string]any{{"name": "x", "roles": []string{"member"}, "owner": "team"}, {"name": "job", "roles": []string{}, "owner": "team"},
			{"name": "job", "roles": []string{"owner"}, "owner": "team"}, {"name": "job", "roles": []string{"engineer"}, "owner": "team"}, {"name": "job", "roles": []string{"member"}, "owner": "ida"}} {
			admin.api(422, "POST", "services", bad)
		}
		member.api(403, "POST", "services", map[string]any{"name": "mine", "roles": []string{"member"}, "owner": "me"})
		member.api(403, "GET", "services", nil)
		member.api(403, "POST", "tokens", wish(map[string]any{"service": "export"}))
		stranger.api(404, "POST", "tokens", wish(map[string]any{"service": made["id"]}))
		stranger.api(404, "DELETE", "services/"+made["id"].(string), nil)
		token, id := admin.issued(wish(map[string]any{"service": "export"}))
		if !strings.HasPrefix(token, "writ_svc_") {
			t.Errorf("a token of a service is %q", token)
		}
		who, err := w.lookup(token, "127.0.0.1")
		if err != nil || who.Kind != actor.Machine || who.ID != made["id"] || who.Team != team || who.ACR != 0 || !who.FactorAt.IsZero() || who.Session != "" || !who.ByToken() {
			t.Fatalf("%+v %v", who, err)
		}
		stranger.api(403, "DELETE", "tokens/"+id, nil)
		if out := admin.api(200, "GET", "services/export/tokens", nil); len(out["tokens"].([]any)) != 1 {
			t.Errorf("%v", out)
		}
		// Nobody left in the team: nobody stands behind it, at once.
		for _, e := range []string{email, mailbox("ida")} {
			if err := w.svc.Disable(t.Context(), operator, e); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.lookup(token, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a service without a team: %v", err)
		}
	}, jobs.Schema(), identity.Schema())
}

// What a token may do here is what it was given and what its owner may now.
func TestScopesMeetRights(t *testing.T) { // breaks: access.roles
	w := open(t)
	id, b, _ := w.staff("kit", "owner")
	w.staff("lea", "owner")
	read, _ := b.issued(wish(map[string]any{"scopes": []string{"identity.read-people"}}))
	none, _ := b.issued(wish(map[string]any{"scopes": []string{"policy.read"}}))
	if status, out := w.as(read, "GET", "/-/api/v1/people"); status != 200 {
		t.Errorf("%d %v", status, out)
	}
	if status, _ := w.as(none, "GET", "/-/api/v1/people"); status != 403 {
		t.Errorf("without the scope: %d", status)
	}
	for _, p := range []string{"DELETE /-/api/v1/people/" + id + "/sessions", "POST /-/api/v1/people/kit/disable", "POST /-/api/v1/people", "GET /-/api/v1/people/kit/sessions"} {
		method, path, _ := strings.Cut(p, " ")
		if status, _ := w.as(read, method, path); status != 403 {
			t.Errorf("%s: %d", p, status)
		}
	}
	who, err := w.lookup(read, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	rights := policytest.Access(w.kit.DB, w.kit.Clock.Now)
	for _, a := range access.Actions() {
		if rights.May(who, a) != (a == access.PeopleRead) {
			t.Errorf("%s: %v", a, rights.May(who, a))
		}
	}
	if _, err := w.svc.EndSessions(t.Context(), who, id); !errors.Is(err, fault.Denied) {
		t.Errorf("a token ends its owner's sessions: %v", err)
	}
	// A right that is gone is gone for the token, even where nobody told the table.
	w.exec(`UPDATE identity_member SET roles = 'none' WHERE person = $1`, id)
	for _, err := range w.svc.Housekeeping(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if status, _ := w.as(read, "GET", "/-/api/v1/people"); status != 403 {
		t.Errorf("after the role ended: %d", status)
	}
}

// Another node follows within its poll.
func TestTokensFollowOtherNodes(t *testing.T) { // breaks: auth.best-practice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		one, two := with(t, kit), with(t, kit)
		_, email := one.customer("moe")
		b := one.browser()
		b.signIn(email, good)
		token, id := b.issued(wish(nil))
		follow := func() {
			t.Helper()
			for _, err := range two.svc.Housekeeping(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		follow()
		if _, err := two.lookup(token, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		b.api(204, "DELETE", "tokens/"+id, nil)
		// A look at the rights of all that live meets no row of what ended, and hides it from none who follows.
		if err := two.svc.RecheckTokens(t.Context()); err != nil {
			t.Fatal(err)
		}
		follow()
		if _, err := two.lookup(token, "127.0.0.1"); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("%v", err)
		}
	}, jobs.Schema(), identity.Schema())
}

// Random sequences of issue, revoke, read and disable never leave a dead token alive.
func TestRevokedStaysRevoked(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	_, email := w.customer("ned")
	b := w.browser()
	b.signIn(email, good)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					w.svc.Housekeeping(context.Background())
				}
			}
		})
	}
	for range 25 {
		token, id := b.issued(wish(nil))
		if _, err := w.lookup(token, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		b.api(204, "DELETE", "tokens/"+id, nil)
		for range 20 {
			if _, err := w.lookup(token, "127.0.0.1"); err == nil {
				t.Fatal("a revoked token came back")
			}
		}
	}
	close(stop)
	wg.Wait()
}

func TestTokenControls(t *testing.T) {
	for name, front := range map[string]func(http.Handler) http.Handler{
		// breaks: auth.best-practice
		"a page takes tokens": swap(func(r *http.Request, _ string) bool {
			return r.URL.Path == "/-/account" && r.Header.Get("Authorization") != ""
		}, status(200, `{}`)),
		// breaks: auth.best-practice
		"the address counts": swap(func(r *http.Request, _ string) bool { return r.URL.RawQuery != "" && r.URL.Path == selfPath }, status(200, `{}`)),
		// breaks: auth.best-practice
		"a token changes the password": swap(func(r *http.Request, _ string) bool {
			return r.URL.Path == "/-/api/v1/password" && r.Header.Get("Authorization") != ""
		}, status(200, `{}`)),
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.wants("identity.tokens", clause.Pass)
			w.breakFront(front)
			w.wants("identity.tokens", clause.Fail)
		})
	}
	w := open(t)
	id, email := w.customer("one")
	b := w.browser()
	b.signIn(email, good)
	b.issued(wish(nil))
	w.wants("identity.tokens-end", clause.Pass)
	for _, spoil := range []string{`UPDATE identity_token SET token = 'writ_pat_x'`, `UPDATE identity_token SET issued = issued - 40000000000000, expires = expires + 1`,
		`UPDATE identity_person SET state = 'disabled' WHERE id = '` + id + `'`} {
		w := open(t)
		_, email := w.customer("one")
		b := w.browser()
		b.signIn(email, good)
		b.issued(wish(nil))
		w.exec(strings.ReplaceAll(spoil, " WHERE id = '"+id+"'", ""))
		w.wants("identity.tokens-end", clause.Fail)
	}
}

func FuzzToken(f *testing.F) {
	f.Add("writ_pat_0000000000000000000000000000000000000000000000000")
	f.Add("writ_svc_")
	f.Add("writ_pat_" + strings.Repeat("z", 49))
	seen := map[string]bool{}
	f.Fuzz(func(t *testing.T, s string) {
		kind, ok := identity.TokenKindOf(secret.NewText(s))
		if ok && (!shape.MatchString(s) || !identity.LooksLikeToken(secret.NewText(s))) {
			t.Errorf("%q is taken for a %s token", s, kind)
		}
		made := identity.NewTokenText(identity.PersonalToken).Reveal()
		if k, ok := identity.TokenKindOf(secret.NewText(made)); !ok || k != identity.PersonalToken || !shape.MatchString(made) || seen[made] {
			t.Errorf("our own %q is not taken", made)
		}
		seen[made] = true
		if made != s && ok && len(s) == len(made) { // one digit of difference is always seen
			b := []byte(s)
			if b[30]++; b[30] <= 'z' {
				if _, ok := identity.TokenKindOf(secret.NewText(string(b))); ok {
					t.Errorf("%q and %q both pass", s, b)
				}
			}
		}
	})
}

func BenchmarkLookupToken(b *testing.B) {
	w := open(b)
	_, email := w.customer("pam")
	v := w.browser()
	v.signIn(email, good)
	token, _ := v.issued(wish(nil))
	w.svc.FillTokens(100_000)
	who, from, text := actor.Actor{Kind: actor.Stranger, ID: "local"}, netip.MustParseAddr("127.0.0.1"), secret.NewText(token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.svc.LookupToken(context.Background(), who, text, from); err != nil {
			b.Fatal(err)
		}
	}
}
