package gateway_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
)

// A route may ask for a fresh proof: programs are told what to show, browsers are led to
// the page that asks for it.
func TestRouteAsksForAFreshFactor(t *testing.T) { // breaks: auth.best-practice
	k := open(t, options{routes: "- {path: /admin/, who: signed-in, step_up: 15m}\n- {path: /admin/keys, who: role, roles: [admin], step_up: 5m}\n"})
	c := k.client()
	for age, want := range map[time.Duration]map[string]int{
		time.Minute:      {"/admin/x": 200, "/ADMIN/x": 200, "/admin/keys": 200},
		10 * time.Minute: {"/admin/x": 200, "/admin/keys": 403, "/things": 200},
		20 * time.Minute: {"/admin/x": 403, "/ADMIN/x": 403, "/admin/keys": 403, "/things": 200},
	} {
		who := person("adm", "admin")
		who.FactorAt = time.Now().Add(-age)
		k.sessions.set("adm", who)
		for path, status := range want {
			if got := k.do(c, "GET", path, asAdmin); got.StatusCode != status {
				t.Errorf("%s after %s: %d %s, want %d", path, age, got.StatusCode, got.body, status)
			}
		}
	}
	old := person("adm", "admin")
	old.FactorAt = time.Now().Add(-time.Hour)
	k.sessions.set("adm", old)
	got := k.do(c, "POST", "/admin/x", asAdmin)
	if got.StatusCode != 403 || !strings.Contains(got.body, `"code":"step_up_required"`) || !strings.Contains(got.body, `"max_age":900`) || !strings.Contains(got.Header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
		t.Errorf("%d %v %s", got.StatusCode, got.Header, got.body)
	}
	if got := k.do(c, "GET", "/admin/x?a=b", asAdmin, "Accept: text/html"); got.StatusCode != 303 || got.Header.Get("Location") != "/-/step-up?level=2&to=%2Fadmin%2Fx%3Fa%3Db" {
		t.Errorf("a browser: %d %q", got.StatusCode, got.Header.Get("Location"))
	}
}

// A session that may only set up a factor opens nothing of the application.
func TestEnrollingSessionStaysOutside(t *testing.T) { // breaks: access.mfa-by-technology
	k := open(t, options{routes: "- {path: /x, who: signed-in}\n"})
	k.sessions.set("enrol", actor.Actor{Kind: actor.Enrolling, ID: "ana", Session: "s-ana", Roles: []string{"admin"}, Via: "https"})
	c := k.client()
	for _, path := range []string{"/", "/x", "/open/x", "/things"} {
		if got := k.do(c, "GET", path, "Cookie: __Host-writ=enrol"); got.StatusCode != 403 || !strings.Contains(got.body, "enrol_required") || got.Header.Get("Seen-Host") != "" {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
	}
	if got := k.do(c, "GET", "/x", "Cookie: __Host-writ=enrol", "Accept: text/html"); got.StatusCode != 302 || got.Header.Get("Location") != "/-/account/factors?to=%2Fx" {
		t.Errorf("a browser: %d %q", got.StatusCode, got.Header.Get("Location"))
	}
}

// A route that opens by a hosting role alone asks for a second factor of at most the
// policy's age; by another role it asks for none.
func TestRouteByAHostingRole(t *testing.T) { // breaks: access.mfa-hosting
	k := open(t, options{routes: "- {path: /admin/, who: role, roles: [engineer, auditor]}\n"})
	c := k.client()
	for name, x := range map[string]struct {
		roles []string
		acr   int
		age   time.Duration
		want  int
	}{
		"just shown":                 {[]string{"engineer"}, 2, time.Minute, 200},
		"within its time":            {[]string{"engineer"}, 2, 11 * time.Hour, 200},
		"too old":                    {[]string{"engineer"}, 2, 13 * time.Hour, 403},
		"a password lately":          {[]string{"engineer"}, 1, time.Minute, 403},
		"by another role":            {[]string{"auditor"}, 2, 13 * time.Hour, 200},
		"another role beside it":     {[]string{"auditor", "engineer"}, 2, 13 * time.Hour, 200},
		"a role that is not allowed": {[]string{"support"}, 2, time.Minute, 403},
	} {
		who := person("adm", x.roles...)
		who.ACR, who.FactorAt = x.acr, time.Now().Add(-x.age)
		k.sessions.set("adm", who)
		got := k.do(c, "GET", "/admin/x", asAdmin)
		if got.StatusCode != x.want {
			t.Errorf("%s: %d %s, want %d", name, got.StatusCode, got.body, x.want)
		}
		if old := strings.Contains(got.body, `"code":"step_up_required"`); old != (x.want == 403 && x.roles[0] == "engineer") {
			t.Errorf("%s: %s", name, got.body)
		}
	}
}
