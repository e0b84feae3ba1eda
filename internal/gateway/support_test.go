package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"writ/internal/actor"
)

func claimsIn(t *testing.T, token string) map[string]any {
	t.Helper()
	part := strings.Split(token, ".")
	if len(part) != 3 {
		t.Fatalf("assertion %q", token)
	}
	body, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Staff who look as a customer come with the customer's rights, read only, and the
// application is told who acts.
func TestSupportAtTheGate(t *testing.T) { // breaks: use.need-to-see
	k := open(t, options{routes: routes})
	look := actor.Actor{Kind: actor.Support, ID: "eva", For: "ana", Team: "team-1", Roles: []string{"member"}, Session: "look-1", ACR: 2, Via: "https"}
	k.sessions.set("look", look)
	c := http1(k)
	const cookie = "Cookie: __Host-writ=look"
	got := k.do(c, "GET", "/x", cookie)
	if got.StatusCode != 200 {
		t.Fatalf("a look: %d %s", got.StatusCode, got.body)
	}
	claims := claimsIn(t, got.Header.Get("Seen-Writ-Assertion"))
	if act, _ := claims["act"].(map[string]any); claims["sub"] != "ana" || claims["kind"] != "person" || claims["team"] != "team-1" || len(act) != 1 || act["sub"] != "eva" {
		t.Errorf("%v", claims)
	}
	if got := k.do(c, "GET", "/admin/users", cookie); got.StatusCode != 403 {
		t.Errorf("more than the customer may: %d", got.StatusCode)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PURGE"} {
		if got := k.do(c, method, "/x", cookie); got.StatusCode != 403 || !strings.Contains(got.body, "support_read_only") {
			t.Errorf("%s: %d %s", method, got.StatusCode, got.body)
		}
	}
	if got := k.do(c, "GET", "/x", cookie, "Connection: Upgrade", "Upgrade: websocket"); got.StatusCode != 403 || !strings.Contains(got.body, "support_read_only") {
		t.Errorf("a protocol that is open to writes: %d %s", got.StatusCode, got.body)
	}
	for _, method := range []string{"HEAD", "OPTIONS"} {
		if got := k.do(c, method, "/x", cookie); got.StatusCode != 200 {
			t.Errorf("%s: %d", method, got.StatusCode)
		}
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, e := range k.kit.Recorded("gateway.request-refused") {
		if e.Fields["code"] == "support_read_only" && e.Clause == "use.need-to-see" {
			recorded++
		}
	}
	if recorded == 0 {
		t.Error("the refusal is not recorded")
	}
	look.Writes = true
	k.sessions.set("look", look)
	if got := k.do(c, "POST", "/x", cookie); got.StatusCode != 200 {
		t.Errorf("agreed: %d %s", got.StatusCode, got.body)
	}
	// The same member of staff as another customer never gets the former's assertion.
	look.For = "cem"
	k.sessions.set("look", look)
	if claims := claimsIn(t, k.do(c, "GET", "/x", cookie).Header.Get("Seen-Writ-Assertion")); claims["sub"] != "cem" {
		t.Errorf("%v", claims)
	}
	if claims := claimsIn(t, k.do(c, "GET", "/admin/users", asAdmin).Header.Get("Seen-Writ-Assertion")); claims["act"] != nil {
		t.Errorf("a person with an actor: %v", claims)
	}
}

// A customer who must accept the terms first reaches what anyone may read, as nobody.
func TestTermsAtTheGate(t *testing.T) { // breaks: use.terms
	k := open(t, options{routes: routes})
	k.sessions.set("owes", actor.Actor{Kind: actor.Agreeing, ID: "ana", Session: "s-1", Via: "https"})
	c := http1(k)
	const cookie = "Cookie: __Host-writ=owes"
	if got := k.do(c, "GET", "/x", cookie); got.StatusCode != 403 || !strings.Contains(got.body, "terms_required") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := k.do(c, "GET", "/x?a=1", cookie, "Accept: text/html"); got.StatusCode != 302 || got.Header.Get("Location") != "/-/terms?to=%2Fx%3Fa%3D1" {
		t.Errorf("a browser: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
	if got := k.do(c, "GET", "/open/terms", cookie); got.StatusCode != 200 || got.Header.Get("Seen-Writ-Assertion") != "" {
		t.Errorf("what anyone may read: %d %v", got.StatusCode, got.Header)
	}
}
