package gateway_test

import (
	"strings"
	"testing"

	"writ/internal/actor"
)

// A session that shares opened does not reach the application, whose data is the
// customers'; what is open to everybody it sees as nobody.
func TestEmergencyAtTheGate(t *testing.T) { // breaks: access.least-privilege
	k := open(t, options{routes: routes})
	k.sessions.set("glass", actor.Actor{Kind: actor.BreakGlass, ID: "g-1", Team: "staff", TeamKind: "staff", Roles: []string{"owner"}, Session: "g-1", Via: "https"})
	c := http1(k)
	const cookie = "Cookie: __Host-writ=glass"
	for _, method := range []string{"GET", "POST"} {
		if got := k.do(c, method, "/x", cookie); got.StatusCode != 403 || !strings.Contains(got.body, "emergency_closed") {
			t.Errorf("%s: %d %s", method, got.StatusCode, got.body)
		}
	}
	if got := k.do(c, "GET", "/admin/users", cookie); got.StatusCode != 403 {
		t.Errorf("an owner's place in the application: %d", got.StatusCode)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, e := range k.kit.Recorded("gateway.request-refused") {
		if e.Fields["code"] == "emergency_closed" && e.Clause == "access.least-privilege" {
			recorded++
		}
	}
	if recorded == 0 {
		t.Error("the refusal is not recorded")
	}
}
