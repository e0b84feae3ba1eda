package gateway_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/ledger/ledgertest"
)

const routes = `
- {path: /admin/, who: role, roles: [admin]}
- {path: /admin/help, who: signed-in}
- {path: /open/read, methods: [GET], who: anyone}
- {path: /Case/, who: role, roles: [admin]}
`

func TestWhoMayCome(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{routes: routes})
	c := k.client()
	cases := []struct {
		name, method, target string
		head                 []string
		status               int
	}{
		{"home page is public", "GET", "/", nil, 200},
		{"public subtree", "GET", "/open/x", nil, 200},
		{"public subtree without its slash", "GET", "/open", nil, 401},
		{"unknown path", "GET", "/things", nil, 401},
		{"unknown path, browser", "GET", "/things?a=b", []string{"Accept: text/html,*/*"}, 302},
		{"unknown path, browser posts", "POST", "/things", []string{"Accept: text/html,*/*"}, 401},
		{"unknown path, signed in", "GET", "/things", []string{asAna}, 200},
		{"dead cookie", "GET", "/things", []string{"Cookie: __Host-writ=dead"}, 401},
		{"dead cookie on a public page", "GET", "/open/x", []string{"Cookie: __Host-writ=dead"}, 200},
		{"cookie twice", "GET", "/things", []string{"Cookie: __Host-writ=ana; __Host-writ=adm"}, 401},
		{"role missing", "GET", "/admin/users", []string{asAna}, 403},
		{"role missing, no slash", "GET", "/admin", []string{asAna}, 403},
		{"role missing, capitals", "GET", "/ADMIN/users", []string{asAna}, 403},
		{"role there", "GET", "/admin/users", []string{asAdmin}, 200},
		{"role, nobody signed in", "GET", "/admin/users", nil, 401},
		{"longer match", "GET", "/admin/help", []string{asAna}, 200},
		{"longer match with slash", "GET", "/admin/help/", []string{asAna}, 200},
		{"below the longer match", "GET", "/admin/help/x", []string{asAna}, 403},
		{"route in capitals", "GET", "/case/x", []string{asAna}, 403},
		{"method not listed", "POST", "/open/read", nil, 405},
		{"HEAD goes with GET", "HEAD", "/open/read", nil, 200},
		{"escape spelled otherwise", "GET", "/admin%40", []string{asAna}, 200},
		{"TRACE", "TRACE", "/open/x", nil, 405},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			got := k.do(c, x.method, x.target, x.head...)
			if got.StatusCode != x.status {
				t.Errorf("%s %s: %d %s, want %d", x.method, x.target, got.StatusCode, got.body, x.status)
			}
			if reached := got.Header.Get("Seen-Host") != ""; reached != (x.status == 200) {
				t.Errorf("reached the application: %v", reached)
			}
		})
	}
	if got := k.do(c, "GET", "/things?a=b", "Accept: text/html"); got.Header.Get("Location") != "/-/sign-in?to=%2Fthings%3Fa%3Db" {
		t.Errorf("return path: %q", got.Header.Get("Location"))
	}
	if got := k.do(c, "POST", "/open/read"); got.Header.Get("Allow") != "GET, HEAD" || !strings.Contains(got.body, `"status":405`) {
		t.Errorf("405: Allow %q, body %s", got.Header.Get("Allow"), got.body)
	}
}

func TestSessionErrorsNeverMeanAnonymous(t *testing.T) {
	k := open(t, options{})
	k.sessions.errs["denied"], k.sessions.errs["sealed"], k.sessions.errs["broken"] = fault.Denied, fault.Sealed, errors.New("disk")
	c := k.client()
	for token, want := range map[string]int{"denied": 403, "sealed": 503, "broken": 503} {
		if got := k.do(c, "GET", "/open/x", "Cookie: __Host-writ="+token); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", token, got.StatusCode, want)
		}
	}
}

func TestForgedHeadersAreRemoved(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	forged := []string{"Writ-Assertion: x", "writ-team: x", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "X-Forwarded-Proto: http", "X-Forwarded-User: root",
		"Forwarded: for=1", "X-Real-Ip: 1", "X-Original-Url: /admin", "X-Rewrite-Url: /admin", "X-Http-Method-Override: DELETE", "Proxy: x", "X_Forwarded_For: 1",
		"Writ_Assertion: x", "X.Forwarded.For: 1", "True-Client-Ip: 1"}
	for name, cl := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		head := append(forged, "X-Mine: kept", "Cookie: a=1; __Host-writ=dead; __host-writ-device=d; b=2")
		if name == "HTTP/1.1" { // as if to have ours removed by the next hop
			head = append(head, "Connection: X-Forwarded-For, Writ-Assertion, X-Forwarded-Host")
		}
		got := k.do(cl, "GET", "/open/x", head...)
		if want := "X-Forwarded-For,X-Forwarded-Host,X-Forwarded-Proto,X-Mine"; !containsAll(got.Header.Get("Seen-Names"), want) {
			t.Errorf("names: %s", got.Header.Get("Seen-Names"))
		}
		for n := range strings.SplitSeq(got.Header.Get("Seen-Names"), ",") {
			switch n {
			case "Accept-Encoding", "User-Agent", "Cookie", "X-Mine", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
			default:
				t.Errorf("%s reached the application", n)
			}
		}
		if h := got.Header; h.Get("Seen-X-Forwarded-For") != "127.0.0.1" || h.Get("Seen-X-Forwarded-Proto") != "https" || "https://"+h.Get("Seen-X-Forwarded-Host") != k.base || h.Get("Seen-Cookie") != "a=1; b=2" {
			t.Errorf("set by us: %v %v %v, cookie %q", h["Seen-X-Forwarded-For"], h["Seen-X-Forwarded-Proto"], h["Seen-X-Forwarded-Host"], h["Seen-Cookie"])
		}
	}
}

func testAnswerHeaders(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Server", "App/1")
		h.Set("Writ-Rows", "5")
		h.Set("Strict-Transport-Security", "max-age=1")
		h.Add("Set-Cookie", "__Host-writ=stolen; Path=/; Secure")
		h.Add("Set-Cookie", "mine=1")
		h.Set("Content-Security-Policy", "default-src 'self'")
	})
	for host, hsts := range map[string]string{"localhost": "", "app.example.test": "max-age=31536000; includeSubDomains"} {
		k := open(t, options{host: host, upstream: app})
		c := k.client()
		h := k.do(c, "GET", "/billing/pay", asAna).Header
		if h.Get("Server") != "" || h.Get("Writ-Rows") != "" || fmt.Sprint(h["Set-Cookie"]) != "[mine=1]" {
			t.Errorf("%s: %v", host, h)
		}
		if got := fmt.Sprint(h["Content-Security-Policy"]); got != "[default-src 'self' upgrade-insecure-requests]" { // breaks: crypto.payment-pages
			t.Errorf("%s: payment page has %s", host, got)
		}
		for what, h := range map[string]http.Header{"app": h, "refusal": k.do(c, "GET", "/x").Header, "own page": k.do(c, "GET", "/-/jwks").Header} {
			if got := strings.Join(h["Strict-Transport-Security"], "|"); got != hsts { // breaks: crypto.tls-in-transit
				t.Errorf("%s, %s: HSTS %q, want %q", host, what, got, hsts)
			}
		}
	}
}

func TestAssertion(t *testing.T) {
	now := time.Now()
	k := open(t, options{routes: routes, now: func() time.Time { return now }})
	c := k.client()
	var keys struct {
		Keys []struct{ Kid, X, Alg string }
	}
	if err := json.Unmarshal([]byte(k.do(c, "GET", "/-/jwks").body), &keys); err != nil || len(keys.Keys) != 3 {
		t.Fatalf("jwks: %v %v", keys, err)
	}
	pub, err := base64.RawURLEncoding.DecodeString(keys.Keys[1].X)
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, target string) (token string, claims map[string]any) {
		token = k.do(c, method, target, asAdmin).Header.Get("Seen-Writ-Assertion")
		part := strings.Split(token, ".")
		if len(part) != 3 {
			t.Fatalf("%s: assertion %q", target, token)
		}
		sig, _ := base64.RawURLEncoding.DecodeString(part[2])
		if !ed25519.Verify(pub, []byte(part[0]+"."+part[1]), sig) {
			t.Fatal("the signature does not verify with the published key")
		}
		body, _ := base64.RawURLEncoding.DecodeString(part[1])
		if err := json.Unmarshal(body, &claims); err != nil {
			t.Fatal(err)
		}
		return token, claims
	}
	first, claims := get("GET", "/admin/users/17")
	for name, want := range map[string]any{"iss": k.base, "sub": "adm", "team": "team-1", "acr": 1.0, "method": "GET", "route": "/admin/", "auth_time": 1700000000.0} {
		if claims[name] != want {
			t.Errorf("%s = %v, want %v", name, claims[name], want)
		}
	}
	if life := claims["exp"].(float64) - float64(now.Unix()); life > 60 || life < 30 {
		t.Errorf("life %v s", life)
	}
	if strings.Contains(fmt.Sprint(claims), "s-adm") {
		t.Error("the session's id is in the assertion")
	}
	if again, _ := get("GET", "/admin/users/18"); again != first {
		t.Error("not used again for the same session and route")
	}
	if other, _ := get("POST", "/admin/users/18"); other == first {
		t.Error("used for another method")
	}
	k.sessions.set("adm", person("adm", "admin", "auditor"))
	if changed, claims := get("GET", "/admin/x"); changed == first || fmt.Sprint(claims["roles"]) != "[admin auditor]" {
		t.Error("an assertion with old roles was used again")
	}
	now = now.Add(31 * time.Second)
	if later, _ := get("GET", "/admin/x"); later == first {
		t.Error("used longer than half its life")
	}
	if got := k.do(c, "GET", "/open/x", "Writ-Assertion: "+first); got.Header.Get("Seen-Writ-Assertion") != "" {
		t.Error("a stranger's assertion reached the application")
	}
}

func TestCanonicalForm(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	c := http1(k)
	bad := []string{"/a/..%2fadmin", "/a/../b", "/a/./b", "/a/..", "/a/.", "/a//b", "/a;b", "/a%2e%2e/b", "/a%5cb", "/a%00", "/a%0d%0a", "/a%7f", "/a%41", "/a%", "/a%2", "/a%zz",
		"/a%252e%252e%252fb", "/a%2541", "/a%253Bb", "/a%2520b", "/a%ff", "/a?b;c", "/a?b=%zz", "/a?b=%00", "/a?" + strings.Repeat("x&", 1001)}
	for _, target := range bad {
		if got := k.do(c, "GET", target, asAna); got.StatusCode != 400 || got.Header.Get("Seen-Host") != "" {
			t.Errorf("%.60s: %d, want 400", target, got.StatusCode)
		}
	}
	if got := k.do(c, "GET", "/"+strings.Repeat("a", 9000), asAna); got.StatusCode != 414 {
		t.Errorf("long target: %d", got.StatusCode)
	}
	good := []string{"/", "/a", "/a/", "/a%20b", "/%C3%A9", "/%c3%a9", "/a%3Bb", "/a?b=c&d", "/a?", "/a?x=%2e%2e%2f", "/a/..b/c..", "/a/...", "/[slug]|^", "/a:b@c!$&'()*+,=", "/100%25", "/a?q=[]{}|"}
	for _, target := range good {
		if got := k.do(c, "GET", target, asAna); got.StatusCode != 200 || got.Header.Get("Seen-Target") != target {
			t.Errorf("%s: %d, the application saw %q", target, got.StatusCode, got.Header.Get("Seen-Target"))
		}
	}
	raw := func(text string) int {
		conn, err := tls.Dial("tcp", k.addr, &tls.Config{RootCAs: k.ca.Roots(), ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, text)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return res.StatusCode
	}
	host := strings.TrimPrefix(k.base, "https://")
	for text, want := range map[string]int{
		"GET /open/x HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                         421,
		"GET https://" + host + "/open/x HTTP/1.1\r\nHost: evil.example\r\n\r\n":                     200,
		"GET http://" + host + "/open/x HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                      400,
		"GET https://evil.example/open/x HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                     421,
		"GET //open/x HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                        400,
		"OPTIONS * HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                           400,
		"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                 421,
		"GET /open/\xc3\xa9 HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                  400,
		"GET /open/x HTTP/1.1\r\nHost: LOCALHOST.\r\n\r\n":                                           421,
		"GET /open/x HTTP/1.1\r\nHost: LocalHost:1\r\n\r\n":                                          200,
		"POST /open/x HTTP/1.1\r\nHost: " + host + "\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n": 417,
	} {
		if got := raw(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// What is authorised is byte for byte what is forwarded, for any target at all.
func TestAuthorisedIsForwarded(t *testing.T) {
	k := open(t, options{values: clause.Values{"use.no-automation/default": "anyone"}})
	c := http1(k)
	rnd := rand.New(rand.NewSource(1))
	parts := []string{"/", "a", "%2F", "%20", "%C3%A9", ".", "..", "?", "&", "=", "%", ";", "+", "%25", "b", "~", "@", ":", "%3f", "[", "/", "c"}
	passed := 0
	for range 2000 {
		var target strings.Builder
		target.WriteString("/")
		for range rnd.Intn(8) {
			target.WriteString(parts[rnd.Intn(len(parts))])
		}
		if strings.HasPrefix(target.String(), "//") {
			continue // the test's client would write an absolute form
		}
		got := k.do(c, "GET", target.String())
		switch {
		case got.StatusCode == 200 && got.Header.Get("Seen-Target") == target.String():
			passed++
		case got.StatusCode != 400:
			t.Fatalf("%q: %d, the application saw %q", target.String(), got.StatusCode, got.Header.Get("Seen-Target"))
		}
	}
	if passed < 200 {
		t.Errorf("only %d targets passed", passed)
	}
}

func TestRoutesMayOnlyTighten(t *testing.T) {
	cases := map[string]struct{ file, want string }{
		"looser than the policy": {"- {path: /x, who: signed-in}\n- {path: /y, who: anyone}", "[2:1] route 2"},
		"public subtree":         {"- {path: /open/a/, who: anyone}", ""},
		"wider than public":      {"- {path: /, who: anyone}", "looser"},
		"unknown key":            {"- {path: /x, who: role, role: [a]}", "[1:"},
		"unknown who":            {"\n- {path: /x, who: staff}", `[2:`},
		"not canonical":          {"- {path: /a/../b, who: role, roles: [a]}", "segment"},
		"roles missing":          {"- {path: /x, who: role}", "needs roles"},
		"method twice":           {"- {path: /x, methods: [GET], who: signed-in}\n- {path: /x, methods: [GET], who: role, roles: [a]}", "twice"},
		"only capitals differ":   {"- {path: /x, who: signed-in}\n- {path: /X, who: signed-in}", "capitals"},
		"not a list":             {"routes: []", "[1:1]"},
		"not YAML":               {"- {path: /x", "[1:"},
		"two documents":          {"- {path: /x, who: signed-in}\n---\n- {path: /y, who: signed-in}", "more than one"},
		"methods of one path":    {"- {path: /x, methods: [GET], who: signed-in}\n- {path: /x, methods: [POST], who: role, roles: [a]}", ""},
		"step-up no time":        {"- {path: /x, who: signed-in, step_up: soon}", "step_up is"},
		"step-up too short":      {"- {path: /x, who: signed-in, step_up: 1s}", "step_up is"},
		"step-up of anyone":      {"- {path: /open/a/, who: anyone, step_up: 15m}", "nothing to show"},
		"step-up of programs":    {"- {path: /x, who: signed-in, scopes: ['a:b'], step_up: 15m}", "nothing to show"},
		"comment only":           {"# nothing yet\n", ""},
		"empty":                  {"", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k := open(t, options{noStart: true})
			k.write(c.file)
			err := k.g.Start(t.Context())
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			_, pub := fault.PublicOf(err)
			if !errors.Is(err, fault.Invalid) || !strings.Contains(pub.Problem, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A revision that becomes tighter than adopted routes holds at once, and a restart works.
func TestPolicyBecomesTighter(t *testing.T) {
	k := open(t, options{routes: "- {path: /open/, who: anyone}\n"})
	c := k.client()
	if got := k.do(c, "GET", "/open/x"); got.StatusCode != 200 {
		t.Fatalf("before: %d", got.StatusCode)
	}
	if err := k.rules.Set([]clause.Period{{Values: values(clause.Values{"use.no-automation/public_paths": []string{}})}}); err != nil {
		t.Fatal(err)
	}
	if got := k.do(c, "GET", "/open/x"); got.StatusCode != 401 {
		t.Errorf("after: %d, want 401", got.StatusCode)
	}
	if err := k.g.Start(t.Context()); err != nil {
		t.Errorf("restart: %v", err)
	}
	if got := k.do(c, "GET", "/open/x"); got.StatusCode != 401 {
		t.Errorf("after the restart: %d, want 401", got.StatusCode)
	}
	if k.g.Table().Loose == nil {
		t.Error("the clamped route is not shown")
	}
}

// A server that was stopped before it set the mode sets it no more when a newer try has, also where that
// found the mode as it wanted it. A person is overtaken by nobody.
func TestOlderTrySetsNoMode(t *testing.T) { // breaks: inc.loss-reopen
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := open(t, options{kit: kit})
		ctx, system := t.Context(), actor.System("incident")
		set := func(who actor.Actor, mode string, epoch int64) error {
			return k.g.SetMode(ctx, who, gateway.Wish{Mode: mode, Reason: "I-1", Epoch: epoch})
		}
		for _, epoch := range []int64{2, 4} { // closed already
			if err := set(system, gateway.Maintenance, epoch); err != nil {
				t.Fatal(err)
			}
		}
		if err := set(k.engineer(), gateway.Normal, 0); err != nil {
			t.Fatal(err)
		}
		if err := set(system, gateway.Maintenance, 3); !errors.Is(err, fault.Conflict) {
			t.Errorf("an older try: %v", err)
		}
		if mode, _ := k.g.Mode(); mode != gateway.Normal {
			t.Errorf("the gate is %s", mode)
		}
		if err := set(system, gateway.Maintenance, 4); err != nil {
			t.Errorf("the same try: %v", err)
		}
		if err := set(system, gateway.Normal, -1); !errors.Is(err, fault.Invalid) {
			t.Errorf("no try at all: %v", err)
		}
	}, gateway.Schema())
}

func TestMaintenance(t *testing.T) {
	k := open(t, options{})
	c := k.client()
	ctx := t.Context()
	if err := k.g.SetMode(ctx, person("ana", "member"), gateway.Wish{Mode: gateway.Maintenance, Reason: "x"}); !errors.Is(err, fault.Denied) {
		t.Errorf("a member closed the gate: %v", err)
	}
	if err := k.g.SetMode(ctx, k.engineer(), gateway.Wish{Mode: gateway.Maintenance, Reason: "moving the database"}); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"text/html", "application/json"} {
		got := k.do(c, "GET", "/open/x", "Accept: "+accept, asAna)
		if got.StatusCode != 503 || got.Header.Get("Retry-After") != "120" || !strings.Contains(got.body, "maintenance") || got.Header.Get("Seen-Host") != "" {
			t.Errorf("%s: %d %v %s", accept, got.StatusCode, got.Header, got.body)
		}
	}
	if got := k.do(c, "GET", "/-/jwks"); got.StatusCode != 200 {
		t.Errorf("Writ's own pages are closed too: %d", got.StatusCode)
	}
	if err := k.g.SetMode(ctx, actor.Actor{Kind: actor.Operator, ID: "0"}, gateway.Wish{Mode: gateway.Normal, Reason: ""}); err != nil {
		t.Fatal(err)
	}
	if got := k.do(c, "GET", "/open/x"); got.StatusCode != 200 {
		t.Errorf("opened again: %d", got.StatusCode)
	}
	rec := k.kit.Recorded("gateway.mode-changed")
	if len(rec) != 2 || rec[0].Fields["to"] != "maintenance" || rec[0].Reason != "moving the database" {
		t.Errorf("recorded: %+v", rec)
	}
}

func TestUpstreamAway(t *testing.T) {
	k := open(t, options{url: "http://127.0.0.1:1"})
	c := k.client()
	got := k.do(c, "GET", "/open/x", "Accept: text/html")
	if got.StatusCode != 502 || !strings.Contains(got.body, "not answering") {
		t.Errorf("page: %d %s", got.StatusCode, got.body)
	}
	got = k.do(c, "GET", "/open/x")
	if got.StatusCode != 502 || !strings.Contains(got.body, `"status":502`) || !strings.Contains(got.body, `"code":"upstream_down"`) {
		t.Errorf("problem: %d %s", got.StatusCode, got.body)
	}
}

// A plain connection to a public address is never dialled (192.0.2.1 is TEST-NET-1).
func TestPublicUpstreamIsNotDialledInClear(t *testing.T) { // breaks: net.private
	k := open(t, options{url: "http://192.0.2.1"})
	began := time.Now()
	if got := k.do(k.client(), "GET", "/open/x"); got.StatusCode != 502 || time.Since(began) > 2*time.Second {
		t.Errorf("%d after %v", got.StatusCode, time.Since(began))
	}
}

func TestRecord(t *testing.T) {
	k := open(t, options{routes: routes})
	c := k.client()
	for range 5 {
		k.do(c, "GET", "/admin/x", asAna)
	}
	for range 3 {
		k.do(c, "GET", "/things", "User-Agent: x")
		k.do(c, "GET", "/things", "Accept: text/html")
		k.do(c, "GET", "/things", asAna)
	}
	k.g.Malformed(netip.Addr{})
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := map[string]string{}
	for _, r := range k.kit.Recorded("gateway.request-refused") {
		count[fmt.Sprint(r.Fields["code"], " ", r.Fields["route"], " ", r.Actor[:2])] += fmt.Sprint(r.Fields["count"], " ")
		if r.Clause != "use.no-automation" {
			t.Errorf("clause %q", r.Clause)
		}
	}
	if fmt.Sprint(count) != "map[role /admin/ p::1 4  sign_in_needed * s::1 2 ]" {
		t.Errorf("refusals: %v", count)
	}
	var totals []string
	for _, r := range k.kit.Recorded("gateway.requests-counted") {
		f := r.Fields
		totals = append(totals, fmt.Sprint(f["route"], " ", f["requests"], " ", f["refused"], " ", f["sent-away"]))
	}
	if fmt.Sprint(totals) != "[* 9 3 3 /admin/ 5 5 0]" {
		t.Errorf("totals: %v", totals)
	}
	if rec := k.kit.Recorded("gateway.malformed"); len(rec) != 1 {
		t.Errorf("malformed: %v", rec)
	}
	before := len(k.kit.Recorded())
	if err := k.g.Flush(t.Context()); err != nil || len(k.kit.Recorded()) != before {
		t.Errorf("a quiet minute made entries: %v", err)
	}
	for _, r := range k.kit.Recorded() {
		if strings.Contains(r.Body, "127.0.0") {
			t.Errorf("an address is in clear: %s", r.Body)
		}
	}
}

func TestNothingIsLostWhenTheLedgerIsAway(t *testing.T) {
	k := open(t, options{routes: routes})
	c := k.client()
	for range 5 {
		k.do(c, "GET", "/admin/x", asAna)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.g.Flush(dead); err == nil {
		t.Skip("the ledger recorded although its caller had gone")
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, r := range k.kit.Recorded("gateway.request-refused") {
		c, _ := r.Fields["count"].(json.Number).Int64()
		n += c
	}
	if n != 5 {
		t.Errorf("%d of 5 refusals recorded", n)
	}
}

func TestRunFollowsTheFile(t *testing.T) {
	k := open(t, options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.g.Run(ctx) }()
	k.write("- {path: /late/, who: role, roles: [admin]}\n")
	c := k.client()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if k.do(c, "GET", "/late/x", asAna).StatusCode == 403 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the new route is not in force after 5 s")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(k.kit.Recorded("gateway.requests-counted")) == 0 {
		t.Error("no totals at the end")
	}
}

func TestOperatorEndpoints(t *testing.T) {
	k := open(t, options{routes: routes})
	c := k.client()
	if got := k.do(c, "GET", "/-/api/v1/gateway"); got.StatusCode != 401 {
		t.Errorf("a stranger read the gate's state: %d", got.StatusCode)
	}
	got := k.do(c, "GET", "/-/api/v1/gateway", "Authorization: operator")
	var s gateway.State
	if err := json.Unmarshal([]byte(got.body), &s); err != nil || s.Mode != "normal" || len(s.Table.Routes) != 4 || s.Steps[0].Name != "admit" || s.Steps[len(s.Steps)-1].Name != "upstream" {
		t.Errorf("state: %s %v", got.body, err)
	}
}

func http1(k *gate) *http.Client {
	tr := k.transport()
	tr.ForceAttemptHTTP2 = false
	k.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func containsAll(have, want string) bool {
	for w := range strings.SplitSeq(want, ",") {
		if !strings.Contains(","+have+",", ","+w+",") {
			return false
		}
	}
	return true
}

// An upgrade to h2c would be a tunnel past every rule.
func TestOnlyWebSocketUpgrades(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	for _, proto := range []string{"h2c", "websocket, h2c", "TLS/1.0"} {
		got := k.do(http1(k), "GET", "/open/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+proto, "Http2-Settings: AAMAAABkAAQAAP__")
		if names := got.Header.Get("Seen-Names"); got.StatusCode != 200 || strings.Contains(names, "Upgrade") || strings.Contains(names, "Settings") {
			t.Errorf("%s: %d, the application saw %s", proto, got.StatusCode, names)
		}
	}
}

func TestStateOnBothEngines(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := open(t, options{kit: kit, routes: routes})
		if err := k.g.SetMode(t.Context(), k.engineer(), gateway.Wish{Mode: gateway.Maintenance, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		if got := k.do(k.client(), "GET", "/open/x"); got.StatusCode != 503 {
			t.Errorf("%d", got.StatusCode)
		}
		other := open(t, options{kit: kit, routes: routes}) // a second node, or a restart
		if mode, since := other.g.Mode(); mode != gateway.Maintenance || !since.Equal(ledgertest.Start) {
			t.Errorf("the other node is %s since %v", mode, since)
		}
		if err := k.g.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(kit.Recorded("gateway.routes-adopted")); n != 1 {
			t.Errorf("the same routes were recorded %d times", n)
		}
	}, gateway.Schema())
}
