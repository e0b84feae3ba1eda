package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
)

const tokenRoutes = `
- {path: /orders/, methods: [GET], who: signed-in, scopes: ["orders:read"]}
- {path: /orders/, methods: [POST], who: role, roles: [admin], scopes: ["orders:read", "orders:write"]}
- {path: /people/, who: signed-in}
- {path: /Mixed/, who: signed-in, scopes: ["mixed:read"]}
`

func machine(id string, roles []string, scopes ...string) actor.Actor {
	return actor.Actor{Kind: actor.Machine, ID: id, Team: "team-1", Roles: roles, Token: "t-" + id, Scopes: scopes, Via: "token"}
}

// Programs come where routes.yaml expects them, and nowhere else.
func TestPrograms(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{routes: tokenRoutes})
	k.sessions.programs = map[string]actor.Actor{
		"writ_svc_read": machine("read", []string{"member"}, "orders:read"), "writ_svc_write": machine("write", []string{"admin"}, "orders:read", "orders:write"),
		"writ_svc_poor": machine("poor", []string{"member"}, "orders:read", "orders:write"), "writ_svc_stranger": {Kind: actor.Stranger, ID: "x", Token: "t"},
		"writ_pat_mine": {Kind: actor.Person, ID: "ana", Token: "p", Scopes: []string{"mixed:read"}, Roles: []string{"member"}},
	}
	k.sessions.errs["writ_svc_many"], k.sessions.errs["writ_svc_sealed"], k.sessions.errs["writ_svc_broken"] = fault.Limited, fault.Sealed, fault.Internal
	c := k.client()
	bearer := func(s string) []string { return []string{"Authorization: Bearer " + s} }
	for name, x := range map[string]struct {
		method, target string
		head           []string
		status         int
	}{
		"scope there":              {"GET", "/orders/1", bearer("writ_svc_read"), 200},
		"one of two scopes":        {"POST", "/orders/1", bearer("writ_svc_read"), 403},
		"both, with the role":      {"POST", "/orders/1", bearer("writ_svc_write"), 200},
		"both, without the role":   {"POST", "/orders/1", bearer("writ_svc_poor"), 403},
		"a route for people":       {"GET", "/people/1", bearer("writ_svc_write"), 403},
		"no route":                 {"GET", "/things", bearer("writ_svc_write"), 403},
		"a public page":            {"GET", "/open/x", bearer("writ_svc_write"), 200},
		"other capitals":           {"GET", "/mixed/x", bearer("writ_svc_read"), 403},
		"personal":                 {"GET", "/Mixed/x", bearer("writ_pat_mine"), 200},
		"a person needs no scope":  {"GET", "/orders/1", []string{asAna}, 200},
		"unknown token":            {"GET", "/orders/1", bearer("writ_svc_none"), 401},
		"unknown, public page":     {"GET", "/open/x", bearer("writ_svc_none"), 401},
		"unknown, beside a cookie": {"GET", "/orders/1", append(bearer("writ_svc_none"), asAna), 401},
		"unknown, asks for a page": {"GET", "/orders/1", append(bearer("writ_svc_none"), "Accept: text/html"), 401},
		"twice":                    {"GET", "/orders/1", append(bearer("writ_svc_read"), bearer("writ_svc_read")...), 401},
		"as Basic":                 {"GET", "/orders/1", []string{"Authorization: Basic writ_svc_read"}, 401},
		"in the address":           {"GET", "/orders/1?access_token=writ_svc_read", nil, 400},
		"in the path":              {"GET", "/open/writ_svc_read", nil, 400},
		"in the cookie":            {"GET", "/orders/1", []string{"Cookie: __Host-writ=writ_svc_read"}, 401},
		"in another header":        {"GET", "/orders/1", []string{"X-Api-Key: writ_svc_read"}, 401},
		"nobody by token":          {"GET", "/open/x", bearer("writ_svc_stranger"), 401},
		"too many":                 {"GET", "/orders/1", bearer("writ_svc_many"), 429},
		"sealed":                   {"GET", "/open/x", bearer("writ_svc_sealed"), 503},
		"broken":                   {"GET", "/open/x", bearer("writ_svc_broken"), 503},
		"another's token, public":  {"GET", "/open/x", bearer("somebody-elses"), 200},
		"another's token":          {"GET", "/orders/1", bearer("somebody-elses"), 401},
	} {
		t.Run(name, func(t *testing.T) {
			got := k.do(c, x.method, x.target, x.head...)
			if got.StatusCode != x.status {
				t.Errorf("%d %s, want %d", got.StatusCode, got.body, x.status)
			}
			if reached := got.Header.Get("Seen-Host") != ""; reached != (x.status == 200) {
				t.Errorf("reached the application: %v", reached)
			}
			seen := got.Header.Get("Seen-Authorization")
			if strings.Contains(seen, "writ_") || x.status == 200 && strings.HasPrefix(name, "another") && seen == "" {
				t.Errorf("the application saw the header %q", seen)
			}
		})
	}
}

func TestAssertionOfPrograms(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{routes: tokenRoutes})
	k.sessions.programs = map[string]actor.Actor{"writ_svc_one": machine("job", []string{"member"}, "orders:read"), "writ_svc_two": machine("job", []string{"member"}, "orders:read", "x:y")}
	two := k.sessions.programs["writ_svc_two"]
	two.Token = "t-other"
	k.sessions.programs["writ_svc_two"] = two
	c := k.client()
	claims := func(token string) map[string]any {
		got := k.do(c, "GET", "/orders/1", "Authorization: Bearer "+token)
		parts := strings.Split(got.Header.Get("Seen-Writ-Assertion"), ".")
		if len(parts) != 3 {
			t.Fatalf("%d, no assertion", got.StatusCode)
		}
		b, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, b := claims("writ_svc_one"), claims("writ_svc_two")
	if a["kind"] != "machine" || a["via"] != "token" || a["sub"] != "job" || fmt.Sprint(a["scopes"]) != "[orders:read]" || a["acr"] != float64(0) || a["auth_time"] != nil {
		t.Errorf("%v", a)
	}
	if fmt.Sprint(b["scopes"]) != "[orders:read x:y]" || a["sid"] == b["sid"] {
		t.Errorf("two tokens of one service share an assertion: %v", b)
	}
}

func TestScopesInRoutes(t *testing.T) {
	k := open(t, options{})
	for text, part := range map[string]string{
		`- {path: /x, who: anyone, scopes: ["a:b"]}`:    "scopes are for",
		`- {path: /x, who: signed-in, scopes: ["*"]}`:   "not written as",
		`- {path: /x, who: signed-in, scopes: ["a.b"]}`: "not written as",
	} {
		k.write(text)
		if err := k.g.Reload(t.Context(), actor.Actor{Kind: actor.Operator, ID: "0"}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What comes in clear is redirected as ever, and is in the record: who was between has read it.
func TestCredentialsInClear(t *testing.T) { // breaks: crypto.tls-in-transit
	k := open(t, options{})
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(path string, head ...string) {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+k.plain+path, nil)
		for _, h := range head {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 308 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	seen := func() (n int64) {
		t.Helper()
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range k.kit.Recorded("gateway.request-refused") {
			if e.Fields["code"] == "credential_in_clear" && e.Clause == "crypto.tls-in-transit" {
				n += count(e)
			}
		}
		return n
	}
	ask("/", "Authorization: Bearer of-the-application", "Cookie: theirs=1")
	if n := seen(); n != 0 {
		t.Errorf("%d are recorded of what is not ours", n)
	}
	ask("/", "Authorization: Bearer writ_svc_read")
	ask("/", asAna)
	ask("/x?key=writ_pat_mine")
	if n := seen(); n != 3 {
		t.Errorf("%d are recorded, want 3", n)
	}
}
