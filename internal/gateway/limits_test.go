package gateway_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/gateway"
	"writ/internal/gateway/limit"
	"writ/internal/ledger/ledgertest"
)

// watch is a clock that goes when it is told to.
type watch struct{ at atomic.Int64 }

func newWatch() *watch {
	w := &watch{}
	w.at.Store(time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixNano())
	return w
}

func (w *watch) now() time.Time       { return time.Unix(0, w.at.Load()).UTC() }
func (w *watch) pass(d time.Duration) { w.at.Add(int64(d)) }

func rate(s string) limit.Rate {
	r, err := limit.ParseRate(s)
	if err != nil {
		panic(err)
	}
	return r
}

// count asks until it is refused and returns how often it was not, and the refusal.
func (k *gate) count(most int, target string, head ...string) (int, answer) {
	k.t.Helper()
	c := k.client()
	for n := 0; ; n++ {
		got := k.do(c, "GET", target, head...)
		if got.StatusCode != 200 || n == most {
			return n, got
		}
	}
}

// Each limit holds for its caller alone, with the headers that say so, and time gives back.
func TestLimits(t *testing.T) { // breaks: use.public-api
	w := newWatch()
	k := described(t, options{now: w.now, proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		programs: gateway.Programs{Limits: gateway.Limits{Address: rate("20/m"), Subject: rate("6/m"), Team: rate("9/m"), Token: rate("5/m")}},
		routes: `
- {path: /slow/, who: signed-in, limit: 3/m}
- {path: /open/slow, who: anyone, limit: 2/h}`})
	from := func(ip string) string { return "X-Forwarded-For: " + ip }
	other := person("bo", "member")
	other.Team = "team-2"
	k.sessions.set("bo", other)
	third := person("cy", "member") // of the first team
	k.sessions.set("cy", third)

	n, got := k.count(9, "/orders/list", byRead, from("127.0.0.9"))
	if n != 5 || got.StatusCode != 429 || got.Header.Get("Retry-After") != "12" {
		t.Errorf("token: %d, then %d after %s", n, got.StatusCode, got.Header.Get("Retry-After"))
	}
	if p, r := got.Header.Get("Ratelimit-Policy"), got.Header.Get("Ratelimit"); p != `"token";q=5;w=60` || r != `"token";r=0;t=60` {
		t.Errorf("%s | %s", p, r)
	}
	if strings.Contains(got.body, "127.0.0.9") || !strings.Contains(got.body, "one token") {
		t.Errorf("%s", got.body)
	}
	w.pass(12 * time.Second)
	if n, _ := k.count(9, "/orders/list", byRead, from("127.0.0.9")); n != 1 {
		t.Errorf("after 12 s: %d", n)
	}
	w.pass(time.Hour)
	if n, got := k.count(9, "/people/x", asAna, from("203.0.113.2")); n != 6 || !strings.Contains(got.body, "one person") {
		t.Errorf("person: %d %s", n, got.body)
	}
	if n, got := k.count(9, "/people/x", "Cookie: __Host-writ=cy", from("203.0.113.2")); n != 3 || !strings.Contains(got.body, "one team") {
		t.Errorf("the rest of the team: %d %s", n, got.body)
	}
	if n, _ := k.count(9, "/people/x", "Cookie: __Host-writ=bo", from("203.0.113.2")); n != 6 {
		t.Errorf("another team's: %d", n)
	}
	w.pass(time.Hour)
	if n, got := k.count(9, "/slow/x", asAna, from("203.0.113.3")); n != 3 || got.Header.Get("Ratelimit") != `"route";r=0;t=60` {
		t.Errorf("route: %d %s", n, got.Header.Get("Ratelimit"))
	}
	if n, _ := k.count(9, "/slow/another", asAna, from("203.0.113.3")); n != 0 {
		t.Errorf("another page of the same route: %d", n)
	}
	if n, _ := k.count(9, "/people/x", asAna, from("203.0.113.3")); n != 3 { // what the route refused cost the person nothing
		t.Errorf("the person has %d left of 6", n)
	}
	if n, _ := k.count(9, "/open/slow", from("203.0.113.4")); n != 2 {
		t.Errorf("a stranger at a route: %d", n)
	}
	if n, _ := k.count(9, "/open/slow", from("203.0.113.5")); n != 2 {
		t.Errorf("another stranger: %d", n)
	}
	w.pass(time.Hour)
	if n, got := k.count(30, "/open/x", from("2001:db8:1:2::5")); n != 20 || !strings.Contains(got.body, "one address") {
		t.Errorf("address: %d %s", n, got.body)
	}
	if n, _ := k.count(30, "/open/x", from("2001:db8:1:2:ffff::7")); n != 0 {
		t.Errorf("another address of the same /64: %d", n)
	}
	if n, _ := k.count(3, "/open/x", from("2001:db8:1:3::5")); n != 3 {
		t.Errorf("another network: %d", n)
	}
}

// What is let through says what is left, where the caller has a limit of their own.
func TestLimitHeaders(t *testing.T) {
	k := described(t, options{now: newWatch().now, programs: gateway.Programs{Limits: gateway.Limits{Token: rate("5/m"), Quota: 100}}})
	got := k.do(k.client(), "GET", "/orders/list", byRead)
	if p, r := got.Header.Get("Ratelimit-Policy"), got.Header.Get("Ratelimit"); p != `"token";q=5;w=60, "quota";q=100;w=86400` || r != `"token";r=4;t=12, "quota";r=99;t=43200` {
		t.Errorf("%s | %s", p, r)
	}
	if got := k.do(k.client(), "GET", "/people/x", asAna); got.Header.Get("Ratelimit") != "" {
		t.Error("a browser is told of limits it does not meet")
	}
	free := described(t, options{values: clause.Values{"use.public-api/limits": "optional"}, programs: gateway.Programs{Limits: gateway.Limits{Token: rate("2/m")}}})
	if n, _ := free.count(5, "/orders/list", byRead); n != 5 {
		t.Errorf("a policy that asks for no limits stops after %d", n)
	}
}

// Two nodes enforce one limit together, and one does when the other is gone. A token's day
// is one number, whatever node it comes to, and over a restart.
func TestOneMeaningOnSeveralNodes(t *testing.T) { // breaks: use.public-api
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := newWatch()
		o := options{kit: kit, now: w.now, routes: `
- {path: /orders/day, who: signed-in, scopes: ["orders:read"], quota: 4/d}`,
			api:      strings.Replace(ordersAPI, "/orders/list", "/orders/day", 1),
			programs: gateway.Programs{Limits: gateway.Limits{Token: rate("20/m")}}}
		one, two := described(t, o), described(t, o)
		for _, k := range []*gate{one, two, one} {
			if err := k.g.Share(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		n, _ := one.count(9, "/orders/day", byRead)
		if n != 4 {
			t.Errorf("of 4 a day: %d", n)
		}
		if err := errors.Join(one.g.Share(t.Context()), two.g.Share(t.Context())); err != nil {
			t.Fatal(err)
		}
		two.count(0, "/orders/day", byRead) // it learns with the first that it counts
		if err := two.g.Share(t.Context()); err != nil {
			t.Fatal(err)
		}
		n, got := two.count(9, "/orders/day", byRead)
		if n != 0 || !strings.Contains(got.body, "in a day") || got.Header.Get("Retry-After") != fmt.Sprint(12*60*60) {
			t.Errorf("on the other node, later: %d %s after %s", n, got.body, got.Header.Get("Retry-After"))
		}
		again := described(t, o) // a node that starts anew
		again.count(1, "/orders/day", byRead)
		if err := again.g.Share(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := again.count(9, "/orders/day", byRead); n != 0 {
			t.Errorf("after a restart: %d more", n)
		}
		w.pass(24 * time.Hour)
		if n, _ := again.count(9, "/orders/day", byRead); n != 4 {
			t.Errorf("the next day: %d", n)
		}
		w.pass(48 * time.Hour)
		if err := one.g.ForgetDays(t.Context()); err != nil {
			t.Fatal(err)
		}
	}, gateway.Schema())
}

func TestNodesComeAndGo(t *testing.T) { // breaks: use.public-api
	kit := ledgertest.With(t, "postgres", nil, gateway.Schema())
	w := newWatch()
	o := options{kit: kit, now: w.now, programs: gateway.Programs{Limits: gateway.Limits{Token: rate("20/m")}}}
	one, two := described(t, o), described(t, o)
	share := func(ks ...*gate) {
		t.Helper()
		for _, k := range ks {
			if err := k.g.Share(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	share(one, two, one)
	if one.g.Nodes() != 2 || two.g.Nodes() != 2 {
		t.Fatalf("%d and %d nodes", one.g.Nodes(), two.g.Nodes())
	}
	a, _ := one.count(30, "/orders/list", byRead)
	b, _ := two.count(30, "/orders/list", byRead)
	if a != 10 || b != 10 {
		t.Errorf("%d and %d of 20", a, b)
	}
	w.pass(4 * time.Second)
	share(one, two, one)
	if one.g.Nodes() != 2 {
		t.Error("a node that is slow is taken for gone")
	}
	w.pass(10 * time.Second) // two says nothing any more
	share(one)
	if one.g.Nodes() != 1 {
		t.Errorf("%d nodes after one is gone", one.g.Nodes())
	}
	w.pass(time.Minute)
	if n, _ := one.count(30, "/orders/list", byRead); n != 20 {
		t.Errorf("alone: %d of 20", n)
	}
	share(two, one)
	if one.g.Nodes() != 2 {
		t.Error("a node that came back is not counted")
	}
	if err := two.g.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	share(one)
	if one.g.Nodes() != 1 {
		t.Error("a node that left in order is counted on")
	}
}

// While the database is away each node goes on as is declared.
func TestStoreLoss(t *testing.T) { // breaks: use.public-api
	for _, x := range []struct {
		loss, limits string
		status       int
		quota        bool // still enforced
	}{{"local", "required", 200, true}, {"closed", "required", 503, true}, {"open", "required", 200, true}, {"open", "optional", 200, false}} {
		t.Run(x.loss+" "+x.limits, func(t *testing.T) {
			w := newWatch()
			k := described(t, options{now: w.now, values: clause.Values{"use.public-api/limits": x.limits}, programs: gateway.Programs{Limits: gateway.Limits{OnStoreLoss: x.loss, Quota: 5}}})
			if err := k.g.Share(t.Context()); err != nil {
				t.Fatal(err)
			}
			k.count(2, "/orders/list", byRead) // 3 of 5
			if err := k.kit.DB.Close(); err != nil {
				t.Fatal(err)
			}
			defer k.kit.Reopen()
			if err := k.g.Share(t.Context()); err == nil {
				t.Fatal("the store is not away")
			}
			w.pass(5 * time.Second)
			if got := k.do(k.client(), "GET", "/orders/list", byRead); got.StatusCode != 200 {
				t.Errorf("at first: %d", got.StatusCode)
			}
			w.pass(6 * time.Second)
			got := k.do(k.client(), "GET", "/orders/list", byRead)
			if got.StatusCode != x.status || x.status == 503 && (!strings.Contains(got.body, "limits_unknown") || got.Header.Get("Retry-After") == "") {
				t.Errorf("later: %d %s", got.StatusCode, got.body)
			}
			if x.status == 200 {
				if n, _ := k.count(9, "/orders/list", byRead); n == 9 == x.quota {
					t.Errorf("%d more, of 5 a day", n)
				}
			}
			if got := k.do(k.client(), "GET", "/people/x", asAna); got.StatusCode != 200 {
				t.Errorf("a person: %d", got.StatusCode)
			}
		})
	}
}

func TestLimitsInRoutes(t *testing.T) {
	k := open(t, options{})
	for text, part := range map[string]string{
		`- {path: /x, who: anyone, limit: 5}`:                             "limit: ",
		`- {path: /x, who: signed-in, quota: 5/m, scopes: ["a:b"]}`:       "quota is",
		`- {path: /x, who: signed-in, quota: 5/d}`:                        "routes with scopes",
		`- {path: /x, who: signed-in, limit: 0/m, scopes: ["a:b"]}`:       "limit: ",
		`- {path: /x, who: signed-in, limit: 1/m, quota: x, scopes: [a]}`: "not written as",
	} {
		k.write(text)
		if err := k.g.Reload(t.Context(), k.engineer()); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
