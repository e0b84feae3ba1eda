package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A whole life through the JSON API over HTTPS, with the statuses that the design names.
func TestLife(t *testing.T) {
	t.Parallel()
	app := newApplication(t)
	s := start(t, setup{upstream: app.url})
	v := s.visitor()
	const maria = "maria@orchard.example"

	v.want(401, "GET", "session", nil)
	a := v.want(202, "POST", "sign-up", obj{"email": maria, "password": aPassword, "name": "Maria"})
	if c := a.cookie("__Host-writ-flow"); c == nil || !c.Secure || !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("the flow cookie is %v", c)
	}
	v.want(401, "POST", "sign-in", obj{"email": maria, "password": aPassword}) // nothing is confirmed yet
	confirm := s.letter(maria, 1)
	v.want(410, "POST", "confirm", obj{"token": strings.Repeat("A", len(confirm.token()))})
	v.want(200, "POST", "confirm", obj{"token": confirm.token()})
	v.want(410, "POST", "confirm", obj{"token": confirm.token()})
	v.want(401, "POST", "sign-in", obj{"email": maria, "password": anotherPassword})

	a = v.want(200, "POST", "sign-in", obj{"email": maria, "password": aPassword})
	c := a.cookie("__Host-writ")
	if c == nil || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("the session cookie is %v", c)
	}
	if a.field("next") != "done" || a.field("person") == "" {
		t.Errorf("sign-in answers %s", a.body)
	}
	me := v.want(200, "GET", "session", nil)
	if me.field("person.email") != maria || me.field("person.name") != "Maria" || me.header.Get("Cache-Control") != "no-store" {
		t.Errorf("session: %v", me)
	}
	checkAssertion(t, v, app, a.field("person"))
	passwords(t, s, v, maria)
}

// checkAssertion visits the application and reads what it was told about the caller.
func checkAssertion(t *testing.T, v *visitor, app *application, person string) {
	t.Helper()
	forged := http.Header{"Writ-Assertion": {"forged"}, "X-Forwarded-For": {"8.8.8.8"}, "X-Real-Ip": {"8.8.8.8"}, "X_forwarded_for": {"8.8.8.8"}, "Remote-User": {"root"}}
	a := v.send("POST", "/orders/7?x=1", strings.NewReader("body"), forged)
	if a.status != 200 {
		t.Fatalf("the application is not reached: %v", a)
	}
	h := app.last(t, "/orders/7?x=1")
	if h.Method != "POST" || h.Target != "/orders/7?x=1" || h.Body != "body" {
		t.Errorf("the application got %s %s %q", h.Method, h.Target, h.Body)
	}
	for name, vs := range h.Header {
		if strings.Contains(strings.Join(vs, " "), "8.8.8.8") || name == "Remote-User" || strings.Contains(strings.Join(vs, " "), "__Host-writ") {
			t.Errorf("the application got %s: %v", name, vs)
		}
	}
	claims := verifyJWT(t, v, h.Header.Get("Writ-Assertion"))
	if claims["sub"] != person {
		t.Errorf("the assertion is about %v, want %v", claims["sub"], person)
	}
	iat, _ := claims["iat"].(float64)
	exp, _ := claims["exp"].(float64)
	if exp-iat <= 0 || exp-iat > 60 {
		t.Errorf("the assertion lives %v seconds", exp-iat)
	}
}

// verifyJWT checks the signature with the keys that Writ publishes.
func verifyJWT(t *testing.T, v *visitor, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion is %q", token)
	}
	var keys struct {
		Keys []struct{ Kid, Kty, Crv, X string }
	}
	if err := json.Unmarshal([]byte(v.send("GET", "/-/jwks", nil, nil).body), &keys); err != nil {
		t.Fatal(err)
	}
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := false
	for _, k := range keys.Keys {
		good = good || k.Crv == "Ed25519" && ed25519.Verify(raw(k.X), []byte(parts[0]+"."+parts[1]), raw(parts[2]))
	}
	if !good {
		t.Errorf("no published key verifies the assertion")
	}
	var claims map[string]any
	if err := json.Unmarshal(raw(parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// passwords changes it, forgets it, and sets it through a link.
func passwords(t *testing.T, s *server, v *visitor, email string) {
	t.Helper()
	v.want(403, "POST", "password", obj{"current": "wrong " + aPassword, "new": anotherPassword})
	v.want(422, "POST", "password", obj{"current": aPassword, "new": "short"})
	before := v.session()
	v.want(200, "POST", "password", obj{"current": aPassword, "new": anotherPassword})
	if v.session() == before {
		t.Error("the session kept its token over a change of the password")
	}
	v.want(200, "GET", "session", nil)

	fresh := s.visitor() // somebody else, or the same person at another desk
	fresh.want(202, "POST", "recovery", obj{"email": "nobody-here@orchard.example"})
	eventually(t, "the letter about the change of the password", func() bool {
		return slices.ContainsFunc(s.letters(email), func(l letter) bool { return strings.Contains(l.Text, "was changed by somebody") })
	})
	sent := len(s.letters(email))
	fresh.want(202, "POST", "recovery", obj{"email": email})
	reset := s.letter(email, sent+1)
	if !strings.Contains(reset.Text, "for 24 hours") && !strings.Contains(reset.Text, "for 1 day") {
		t.Errorf("the letter does not say how long its link works: %s", reset.Text)
	}
	fresh.want(422, "POST", "recovery/"+reset.token(), obj{"new": "password1"})
	fresh.want(200, "POST", "recovery/"+reset.token(), obj{"new": thirdPassword})
	fresh.want(410, "POST", "recovery/"+reset.token(), obj{"new": aPassword})
	v.want(401, "GET", "session", nil) // the old session is over
	if a := v.send("GET", "/orders/7", nil, nil); a.status != 401 {
		t.Errorf("the application is reached with an ended session: %v", a)
	}
	v.want(401, "POST", "sign-in", obj{"email": email, "password": anotherPassword})
	fresh.want(200, "POST", "sign-in", obj{"email": email, "password": thirdPassword})
	fresh.want(204, "POST", "sign-out", nil)
	fresh.want(401, "GET", "session", nil)
	if len(s.letters("nobody-here")) != 0 {
		t.Error("an unknown address was written to")
	}
}

// An owner's link works once, and what it opens is the console's staff.
func TestOwnerLink(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	u := s.owners["ana@example.test"]
	token := u[strings.LastIndexByte(u, '/')+1:]
	v := s.visitor()
	browser := s.visitor() // the token moves from the address into a cookie, so that it is in no history
	a := browser.page("/-/invite/" + token)
	if a.status != 303 || strings.Contains(a.header.Get("Location"), token) {
		t.Errorf("the owner's link: %v", a)
	}
	if a = browser.page(a.header.Get("Location")); a.status != 200 || !strings.Contains(a.body, "password") {
		t.Errorf("the owner's page: %v", a)
	}
	v.want(422, "POST", "invitations/"+token+"/accept", obj{"name": "Ana", "password": "ana"})
	v.want(200, "POST", "invitations/"+token+"/accept", obj{"name": "Ana", "password": aPassword})
	v.want(410, "POST", "invitations/"+token+"/accept", obj{"name": "Ana", "password": aPassword})
	a = s.enter(v, "ana@example.test", aPassword)
	if !strings.Contains(a.body, `"owner"`) {
		t.Errorf("Ana is no owner: %s", a.body)
	}
	v.want(200, "GET", "policy", nil)

	stranger := s.visitor()
	stranger.want(401, "GET", "policy", nil)
	cust := s.customer("noor@harbour.example")
	cust.want(403, "GET", "policy", nil)
	cust.want(403, "GET", "people", nil)

	sessions := v.want(200, "GET", "sessions", nil)
	if !strings.Contains(sessions.body, `"current":true`) {
		t.Errorf("sessions: %v", sessions)
	}
	id := v.want(200, "GET", "session", nil).field("session.id")
	v.want(404, "GET", "sessions/0000000000000000", nil)
	v.want(200, "GET", "sessions/"+id, nil)
	cust.want(404, "GET", "sessions/"+id, nil)
	cust.want(404, "DELETE", "sessions/"+id, nil)
	v.want(204, "DELETE", "sessions/"+id, nil)
	v.want(401, "GET", "session", nil)
}

// The sixth sign-up from one network within an hour is refused with the time to wait; so
// is the sixth wrong password for one account.
func TestTooMany(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	s.signUp("lea@orchard.example")
	v := s.visitor()
	for i := range 5 {
		v.want(202, "POST", "sign-up", obj{"email": "a" + string(rune('a'+i)) + "@flood.example", "password": aPassword, "name": ""})
	}
	a := v.want(429, "POST", "sign-up", obj{"email": "af@flood.example", "password": aPassword, "name": ""})
	wait, err := time.ParseDuration(a.header.Get("Retry-After") + "s")
	if err != nil || wait < time.Second || wait > time.Hour {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	if a.header.Get("Content-Type") != "application/problem+json" || a.code() != "too_many" {
		t.Errorf("the refusal is %v", a)
	}
	for range 5 {
		v.want(401, "POST", "sign-in", obj{"email": "lea@orchard.example", "password": anotherPassword})
	}
	if a := v.want(429, "POST", "sign-in", obj{"email": "lea@orchard.example", "password": anotherPassword}); a.header.Get("Retry-After") == "" {
		t.Errorf("the refusal is %v", a)
	}
	s.visitor().want(200, "POST", "sign-in", obj{"email": "lea@orchard.example", "password": aPassword}) // its owner elsewhere
}
