package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/cache"
	"writ/internal/ledger/ledgertest"
	"writ/internal/listen"
)

// cachedRoutes serve each class of the policy.
const cachedRoutes = `
- {path: /open/audio/, who: anyone, cache: audio}
- {path: /open/images/, who: anyone, cache: images}
- {path: /open/logos/, who: anyone, cache: logos}
- {path: /open/templates/, who: anyone, cache: templates, cache_vary: [accept-language]}
- {path: /open/video/, who: anyone, cache: video}
`

// mirror answers with what it was asked, for a minute.
func mirror(asked *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprint(w, n, " ", r.Method, " ", r.RequestURI, " ", r.Header)
	}
}

// What the application is told on a cached route holds nothing of who asks.
func TestCachedRouteHasNoFace(t *testing.T) { // breaks: host.cdn
	var asked atomic.Int64
	k := open(t, options{upstream: mirror(&asked), routes: cachedRoutes})
	c := k.client()
	mine := []string{asAna, "Cookie: app=secret", "User-Agent: mark-1", "X-Custom: mark-2", "Referer: https://mark-3/", "Origin: https://mark-4", "Accept-Language: pt", "X-Forwarded-For: 9.9.9.9"}
	first := k.do(c, "GET", "/open/templates/a", mine...)
	for _, mark := range []string{"secret", "mark-", "Assertion", "9.9.9.9", "127.0.0.1", "User-Agent"} {
		if strings.Contains(first.body, mark) {
			t.Errorf("the application saw %s: %s", mark, first.body)
		}
	}
	if first.StatusCode != 200 || !strings.Contains(first.body, "Accept-Language:[pt]") || first.Header.Get("Cache-Status") != "Writ; fwd=uri-miss; stored" {
		t.Errorf("%d %s %v", first.StatusCode, first.body, first.Header)
	}
	if again := k.do(c, "GET", "/open/templates/a", "Accept-Language: pt"); again.body != first.body || !strings.HasPrefix(again.Header.Get("Cache-Status"), "Writ; hit; ttl=") || again.Header.Get("Age") == "" {
		t.Errorf("a stranger got %q %v", again.body, again.Header)
	}
	if other := k.do(c, "GET", "/open/templates/a"); other.body == first.body {
		t.Error("another language got the same answer")
	}
	if part := k.do(c, "GET", "/open/templates/b", append(mine, "Range: bytes=3-5", "Sec-Fetch-Dest: video")...); strings.Contains(part.body, "mark-") || strings.Contains(part.body, "Assertion") || !strings.Contains(part.body, "Range:[bytes=3-5]") {
		t.Errorf("a part was asked for with %s", part.body)
	}
	if n := k.g.State().Cache; n[3].Class != "templates" || n[3].Hits != 1 || n[3].Misses != 2 || n[3].Passed != 1 || n[3].Rate != 25 || len(n[3].Routes) != 1 {
		t.Errorf("numbers: %+v", n)
	}
}

// Routes that are not for everybody, payment pages and routes without a class are never cached.
func TestOnlyPublicRoutesAreCached(t *testing.T) { // breaks: host.cdn
	var asked atomic.Int64
	k := open(t, options{upstream: mirror(&asked), routes: cachedRoutes + "- {path: /open/pay/, who: anyone, cache: templates}\n- {path: /open/PAY/x, who: anyone}\n- {path: /open/templates/own, who: signed-in}\n",
		values: clause.Values{"crypto.payment-pages/paths": []string{"/open/templates/billing"}}})
	c := k.client()
	for _, path := range []string{"/open/else", "/open/templates/billing/a", "/open/templates/own", "/open/pay/x"} {
		for range 2 {
			before := asked.Load()
			if a := k.do(c, "GET", path, asAna); a.StatusCode != 200 || asked.Load() != before+1 || a.Header.Get("Cache-Status") != "" {
				t.Errorf("%s: %d, asked %d times, %q", path, a.StatusCode, asked.Load()-before, a.Header.Get("Cache-Status"))
			}
		}
	}
}

func TestCacheRoutesAreChecked(t *testing.T) {
	for text, says := range map[string]string{
		"- {path: /open/a/, who: signed-in, cache: images}":                             "who: anyone",
		"- {path: /open/a/, who: anyone, cache: pictures}":                              "no class",
		"- {path: /open/a/, who: anyone, cache: fonts}":                                 "is no class of the policy",
		"- {path: /open/a/, who: anyone, cache: images, methods: [POST]}":               "with GET",
		"- {path: /open/a/, who: anyone, cache: images, cache_vary: [Cookie]}":          "cannot be handed on",
		"- {path: /open/a/, who: anyone, cache: images, cache_vary: [X-Forwarded-For]}": "cannot be handed on",
		"- {path: /open/a/, who: anyone, cache: images, cache_vary: [\"Bad Name\"]}":    "cannot be handed on",
		"- {path: /open/a/, who: anyone, cache_vary: [Foo]}":                            "is for a route with cache",
		"- {path: /open/a/, who: anyone, cache: images, customer_data: true}":           "customer_data",
		"- {path: /closed/, who: anyone, cache: images}":                                "looser than the policy",
	} {
		k := open(t, options{noStart: true, routes: text})
		err := k.g.Start(t.Context())
		if _, pub := fault.PublicOf(err); !errors.Is(err, fault.Invalid) || !strings.Contains(pub.Problem, says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is served under a name of the class and is of another type is not kept: a private
// page under the name of a picture.
func TestTypeMustFit(t *testing.T) { // breaks: host.cdn
	n := 0
	k := open(t, options{routes: cachedRoutes, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "answer ", n)
	})})
	c := k.client()
	for kind, kept := range map[string]bool{"image/png": true, "image/svg%2Bxml": true, "text/html": false, "application/json": false, "": false, "image": false} {
		first := k.do(c, "GET", "/open/images/a.png?type="+kind)
		if again := k.do(c, "GET", "/open/images/a.png?type="+kind); (again.body == first.body) != kept {
			t.Errorf("%q was kept = %v", kind, !kept)
		}
	}
}

func TestUnsafeActsInvalidate(t *testing.T) {
	var asked atomic.Int64
	app := mirror(&asked)
	k := open(t, options{routes: cachedRoutes, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Location", "b")
			w.WriteHeader(map[string]int{"/open/templates/a": 201}[r.URL.Path] + map[string]int{"/open/templates/c": 409}[r.URL.Path])
			return
		}
		app(w, r)
	})})
	c := k.client()
	bodies := map[string]string{}
	for _, p := range []string{"a", "b", "c"} {
		bodies[p] = k.do(c, "GET", "/open/templates/"+p).body
	}
	k.do(c, "POST", "/open/templates/a")
	k.do(c, "POST", "/open/templates/c") // refused by the application: nothing has changed
	for p, kept := range map[string]bool{"a": false, "b": false, "c": true} {
		if got := k.do(c, "GET", "/open/templates/"+p).body; (got == bodies[p]) != kept {
			t.Errorf("%s is kept = %v", p, !kept)
		}
	}
}

// A purge is recorded, and each node does it.
func TestPurgeOnAllNodes(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var asked atomic.Int64
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Tag", "tag-"+r.URL.Path[len("/open/templates/"):])
			mirror(&asked)(w, r)
		})
		now := kit.Clock.Now
		one, two := open(t, options{upstream: app, routes: cachedRoutes, kit: kit, now: now}), open(t, options{upstream: app, routes: cachedRoutes, kit: kit, now: now})
		c := one.client()
		seen := func(k *gate, path string) string { return k.do(k.client(), "GET", "/open/templates/"+path).body }
		for _, wish := range []string{`{"path":"/open/templates/a","reason":"new text"}`, `{"tag":"tag-a"}`, `{"all":true}`} {
			before := map[*gate]string{one: seen(one, "a"), two: seen(two, "a")}
			req, _ := http.NewRequest("POST", one.base+"/-/api/v1/gateway/cache/purge", strings.NewReader(wish))
			req.Header.Set("Authorization", "operator")
			req.Header.Set("Content-Type", "application/json")
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			var done struct{ Purged int }
			if err := json.Unmarshal(b, &done); err != nil || res.StatusCode != 200 || done.Purged == 0 {
				t.Fatalf("%s: %d %s", wish, res.StatusCode, b)
			}
			if seen(one, "a") == before[one] {
				t.Errorf("%s: still there", wish)
			}
			if seen(two, "a") != before[two] {
				t.Fatalf("%s: the other node was faster than its clock", wish)
			}
			again := seen(one, "a")
			for _, k := range []*gate{one, two} {
				if err := k.g.ReadPurges(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if seen(two, "a") == before[two] {
				t.Errorf("%s: still on the other node", wish)
			}
			if seen(one, "a") != again {
				t.Errorf("%s: done twice on this one", wish)
			}
		}
		events := kit.Recorded("gateway.cache-purged")
		if len(events) != 3 {
			t.Errorf("%d entries", len(events))
		}
		for name, bad := range map[string]cache.Wish{"nothing": {}, "two": {Path: "/a", Tag: "b"}, "no path": {Path: "a"}, "no tag": {Tag: "a b"}} {
			if _, err := one.g.Purge(t.Context(), actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}, bad, ""); !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := one.g.Purge(t.Context(), person("ana", "member"), cache.Wish{All: true}, ""); !errors.Is(err, fault.Denied) {
			t.Errorf("a member purged: %v", err)
		}
	}, gateway.Schema())
}

// in front puts something between the public and the gate.
func (k *gate) inFront(h http.Handler) *canary.Door {
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- listen.Serve(ctx, slog.New(slog.DiscardHandler), listen.Door{Name: "front", Listener: l, TLS: listen.TLSConfig(k.ca, nil, false, k.now), Handler: h})
	}()
	k.t.Cleanup(func() { cancel(); <-done })
	return canary.New(canary.Deps{Base: k.base, Addr: l.Addr().String(), Roots: k.ca.Roots()})
}

// A cache in front that keeps what it must not is seen, because the canary comes through the door.
func TestPrivateControlSeesACacheThatKeepsAll(t *testing.T) { // breaks: host.cdn
	k := open(t, options{routes: cachedRoutes})
	if r := control(t, k, k.door(), "gateway.cache-private"); r.Outcome != clause.Pass {
		t.Fatalf("%+v", r)
	}
	var mu sync.Mutex
	kept := map[string]answer{}
	c := k.client()
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		a, ok := kept[r.RequestURI]
		if !ok {
			var head []string
			for name, vs := range r.Header {
				head = append(head, name+": "+vs[0])
			}
			a = k.do(c, r.Method, r.RequestURI, head...)
			kept[r.RequestURI] = a
		}
		for name, vs := range a.Header {
			w.Header()[name] = vs
		}
		w.WriteHeader(a.StatusCode)
		io.Copy(w, bytes.NewReader([]byte(a.body)))
	})
	mustFail(t, control(t, k, k.inFront(front), "gateway.cache-private"), "private")
}

func TestCacheControlsSeeWhatIsNotServed(t *testing.T) { // breaks: host.cdn
	k := open(t, options{routes: strings.ReplaceAll(cachedRoutes, "cache: logos", "cache: images")})
	mustFail(t, control(t, k, k.door(), "gateway.cache-classes"), "logos")

	k = open(t, options{routes: cachedRoutes})
	c := k.client()
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // asks for all of it anew
		a := k.do(c, r.Method, r.RequestURI, "Cache-Control: no-cache")
		w.Header()["Cache-Status"] = a.Header["Cache-Status"]
		w.WriteHeader(a.StatusCode)
	})
	mustFail(t, control(t, k, k.inFront(front), "gateway.cache-hits"), "not served from the cache the second time")
	for range 1000 {
		k.do(c, "GET", "/open/video/a", "Range: bytes=5-")
	}
	mustFail(t, control(t, k, k.door(), "gateway.cache-hits"), "0 % of 1")
}

// An answer in which the guard has masked something is not kept.
func TestMaskedAnswerIsNotCached(t *testing.T) { // breaks: host.cdn
	n := 0
	for path, kept := range map[string]bool{"/open/templates/plain": true, "/open/templates/card": false} {
		app := "nothing"
		if !kept {
			app = "4111 1111 1111 1111"
		}
		k := open(t, options{routes: cachedRoutes, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, n, " paid with ", app)
		})})
		c := k.client()
		first := k.do(c, "GET", path)
		if again := k.do(c, "GET", path); (again.body == first.body) != kept || strings.Contains(first.body, "1111 1111 1111") {
			t.Errorf("%s: kept = %v: %q", path, !kept, first.body)
		}
	}
}
