package gateway_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/gateway"
	"writ/internal/gateway/openapi"
	"writ/internal/ledger/ledgertest"
)

const ordersAPI = `{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "security": [{"key": []}],
"components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}, "o": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://x.invalid", "scopes": {"orders:deep": "d"}}}}}},
"paths": {
 "/orders/list": {"get": {"parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}], "responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"type": "object", "properties": {"card": {"type": "string", "x-writ-mask": "last4"}}}}}}}}},
 "/orders/{id}": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
  "get": {"security": [{"o": ["orders:deep"]}], "responses": {"200": {"description": "d"}}},
  "put": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "t": {"type": "string", "maxLength": 9}}}}}}, "responses": {"200": {"description": "d"}}}},
 "/open/data": {"get": {"security": [], "responses": {"200": {"description": "d"}}}},
 "/open/keyed": {"get": {"responses": {"200": {"description": "d"}}}}}}`

const ordersRoutes = `
- {path: /orders/, who: signed-in, scopes: ["orders:read"]}
- {path: /people/, who: signed-in}
`

// described is a gate with the description above and two programs.
func described(t testing.TB, o options) *gate {
	t.Helper()
	if o.api == "" {
		o.api = ordersAPI
	}
	o.routes = ordersRoutes + o.routes
	k := open(t, o)
	k.program("writ_svc_read", machine("read", []string{"member"}, "orders:read"))
	k.program("writ_svc_deep", machine("deep", []string{"member"}, "orders:read", "orders:deep"))
	return k
}

const (
	byRead = "Authorization: Bearer writ_svc_read"
	byDeep = "Authorization: Bearer writ_svc_deep"
)

// sendBody is do with a body; length -1 sends it in pieces.
func (k *gate) sendBody(c *http.Client, method, target, kind, body string, length int64, head ...string) answer {
	k.t.Helper()
	req, err := http.NewRequest(method, k.base+target, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		k.t.Fatal(err)
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", kind)
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	res, err := c.Do(req)
	if err != nil {
		k.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return answer{res, string(b)}
}

// Programs reach what the description names, as it names it, and nothing else.
func TestProgramsKeepToTheDescription(t *testing.T) { // breaks: use.public-api
	k := described(t, options{})
	c := k.client()
	for name, x := range map[string]struct {
		method, target, code string
		status               int
		head                 []string
	}{
		"described":                        {"GET", "/orders/list", "", 200, []string{byRead}},
		"with its parameter":               {"GET", "/orders/list?page=2", "", 200, []string{byRead}},
		"HEAD goes with GET":               {"HEAD", "/orders/list", "", 200, []string{byRead}},
		"another address":                  {"GET", "/orders/list/x", "not_described", 404, []string{byRead}},
		"a public page":                    {"GET", "/open/other", "not_described", 404, []string{byRead}},
		"in other capitals":                {"GET", "/Orders/list", "not_described", 404, []string{byRead}},
		"with a slash":                     {"GET", "/orders/list/", "not_described", 404, []string{byRead}},
		"escaped":                          {"GET", "/orders/%6cist", "path_escape", 400, []string{byRead}},
		"another method":                   {"DELETE", "/orders/list", "method_not_described", 405, []string{byRead}},
		"a scope of the operation":         {"GET", "/orders/1", "scope", 403, []string{byRead}},
		"with that scope":                  {"GET", "/orders/1", "", 200, []string{byDeep}},
		"parameter nobody named":           {"GET", "/orders/list?x=1", "not_as_described", 422, []string{byRead}},
		"parameter twice":                  {"GET", "/orders/list?page=1&page=2", "not_as_described", 422, []string{byRead}},
		"parameter of another type":        {"GET", "/orders/list?page=x", "not_as_described", 422, []string{byRead}},
		"path of another type":             {"GET", "/orders/x", "not_as_described", 422, []string{byDeep}},
		"cookie nobody named":              {"GET", "/orders/list", "not_as_described", 422, []string{byRead, "Cookie: a=b"}},
		"accepts what is not answered":     {"GET", "/orders/list", "not_acceptable", 406, []string{byRead, "Accept: text/csv"}},
		"a person, parameter nobody named": {"GET", "/orders/list?x=1", "not_as_described", 422, []string{asAna}},
		"a person, in other capitals":      {"GET", "/orders/LIST?x=1", "not_as_described", 422, []string{asAna}},
		"a person, with a slash":           {"GET", "/orders/list/?x=1", "not_as_described", 422, []string{asAna}},
		"a person, their own cookie":       {"GET", "/orders/list", "", 200, []string{asAna + "; a=b"}},
		"a person, a page":                 {"GET", "/orders/page?x=1", "not_as_described", 422, []string{asAna}},
		"a person, elsewhere":              {"GET", "/people/x?x=1", "", 200, []string{asAna}},
		"nobody, a public operation":       {"GET", "/open/data", "", 200, nil},
		"nobody, an operation with a key":  {"GET", "/open/keyed", "key_needed", 401, nil},
		"nobody, a public page":            {"GET", "/open/page", "", 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := k.do(c, x.method, x.target, x.head...)
			if got.StatusCode != x.status || !strings.Contains(got.body, x.code) {
				t.Errorf("%d %s, want %d %s", got.StatusCode, got.body, x.status, x.code)
			}
			if reached := got.Header.Get("Seen-Host") != ""; reached != (x.status == 200) {
				t.Errorf("reached the application: %v", reached)
			}
			if x.status == 405 && got.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %s", got.Header.Get("Allow"))
			}
		})
	}
}

func TestBodiesOfPrograms(t *testing.T) { // breaks: use.public-api
	k := described(t, options{})
	c := k.client()
	const js = "application/json"
	for name, x := range map[string]struct {
		method, target, kind, body string
		length                     int64
		status                     int
		says                       string
	}{
		"good":                      {"PUT", "/orders/1", js, `{"n":1}`, 7, 200, `app:{"n":1}`},
		"good, in pieces":           {"PUT", "/orders/1", js, `{"n":1}`, -1, 200, `app:{"n":1}`},
		"byte for byte":             {"PUT", "/orders/1", js, "{ \"n\" : 1 ,\n\"t\":\"\\u0041\"}", -1, 200, "app:{ \"n\" : 1 ,\n\"t\":\"\\u0041\"}"},
		"none":                      {"PUT", "/orders/1", js, "", 0, 422, `"field":"body"`},
		"field nobody named":        {"PUT", "/orders/1", js, `{"n":1,"z":1}`, -1, 422, `"field":"body/z","code":"unknown"`},
		"of another type":           {"PUT", "/orders/1", js, `{"n":"4111111111111111"}`, -1, 422, `"field":"body/n","code":"type"`},
		"name twice":                {"PUT", "/orders/1", js, `{"n":1,"n":2}`, -1, 422, `"code":"duplicate"`},
		"another media type":        {"PUT", "/orders/1", "text/plain", `{"n":1}`, -1, 415, "media_not_described"},
		"none described":            {"GET", "/orders/list", js, `{}`, 2, 422, `"field":"body","code":"body"`},
		"none described, in pieces": {"GET", "/orders/list", js, `{}`, -1, 422, `"field":"body","code":"body"`},
		"too long to judge":         {"PUT", "/orders/1", js, `{"n":1,"t":"` + strings.Repeat("x", 1<<20) + `"}`, -1, 413, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, who := range []string{byDeep, asAna} {
				got := k.sendBody(c, x.method, x.target, x.kind, x.body, x.length, who)
				if got.StatusCode != x.status || !strings.Contains(got.body, x.says) {
					t.Errorf("%s: %d %.300s", who, got.StatusCode, got.body)
				}
				if strings.Contains(got.body, "4111") || x.status != 200 && got.Header.Get("Seen-Host") != "" {
					t.Errorf("the refusal repeats what was sent, or it reached the application")
				}
			}
		})
	}
}

// No path, method or spelling brings a program to what its rule refuses: whatever reaches
// the application is an operation of the description, with the scopes that route and
// operation ask for.
func TestNothingReachesPastTheDescription(t *testing.T) { // breaks: use.public-api
	reached := make(chan string, 1)
	k := described(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.Method + " " + r.RequestURI
	})})
	a, err := openapi.Load(t.Context(), openapi.Source{Name: "a", Text: []byte(ordersAPI)})
	if err != nil {
		t.Fatal(err)
	}
	c := k.client()
	parts := []string{"orders", "Orders", "order%73", "list", "LIST", "1", "01", "..", ".", "", "%2e%2e", "%2f", "orders%2Flist", "list;x", "list%00", "open", "data", "keyed", "people", "*", "list%20"}
	n := 0
	for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "get", "PROPFIND"} {
		for _, one := range parts {
			for _, two := range parts {
				for _, end := range []string{"", "/", "?page=1", "?x=1"} {
					target := "/" + one + "/" + two + end
					req, err := http.NewRequest(method, k.base, nil)
					if err != nil {
						continue
					}
					path, query, marked := strings.Cut(target, "?")
					req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = path, query, marked
					req.Header.Set("Authorization", "Bearer writ_svc_read")
					res, err := c.Do(req)
					if err != nil {
						continue
					}
					res.Body.Close()
					n++
					select {
					case got := <-reached:
						m := a.Find(method, path)
						if m.Op == nil || !m.Exact || !m.Op.Scoped([]string{"orders:read"}) || strings.Contains(query, "x=") || method == "PUT" {
							t.Fatalf("%s %s reached the application as %s", method, target, got)
						}
						if got != method+" "+target {
							t.Fatalf("%s %s was forwarded as %s", method, target, got)
						}
					default:
						if res.StatusCode < 400 {
							t.Fatalf("%s %s: %d, and the application saw nothing", method, target, res.StatusCode)
						}
					}
				}
			}
		}
	}
	if n < 10_000 {
		t.Errorf("only %d requests came to an answer", n)
	}
}

// A new description counts with the next request, a bad one leaves the former in force and
// says where, and at a start with a bad file what was adopted before counts.
func TestAdoption(t *testing.T) { // breaks: use.public-api
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := described(t, options{kit: kit})
		c := k.client()
		want := func(status int) {
			t.Helper()
			if got := k.do(c, "GET", "/orders/new", byDeep); got.StatusCode != status {
				t.Errorf("%d %s, want %d", got.StatusCode, got.body, status)
			}
		}
		want(422) // "new" is no number
		next := strings.Replace(ordersAPI, "/orders/list", "/orders/new", 1)
		k.describe(next)
		k.g.PollDescription(t.Context())
		want(200)
		k.describe(strings.Replace(next, `"type": "integer"`, `"type": "integer", "pattern": "(?=x)"`, 1))
		k.g.PollDescription(t.Context())
		want(200)
		d := k.g.Description()
		if !strings.HasPrefix(d.Problem, "api.json:4: at /paths/~1orders~1new/get/parameters/0/schema: ") || d.Hash == "" || d.Operations != 5 {
			t.Errorf("%+v", d)
		}
		mustFail(t, control(t, k, k.door(), "gateway.programs"), "not in force as it is now")
		if err := k.g.Reload(t.Context(), k.engineer()); err == nil || !strings.Contains(err.Error(), "api.json:4") {
			t.Errorf("reload: %v", err)
		}
		again := open(t, options{kit: kit, api: "{", routes: ordersRoutes})
		again.program("writ_svc_read", machine("read", []string{"member"}, "orders:read"))
		if got := again.do(again.client(), "GET", "/orders/new", byRead); got.StatusCode != 200 {
			t.Errorf("after a start with a broken file: %d %s", got.StatusCode, got.body)
		}
		if d := again.g.Description(); d.Problem == "" || d.Hash != k.g.Description().Hash {
			t.Errorf("%+v", d)
		}
		k.describe(ordersAPI)
		k.g.PollDescription(t.Context())
		if d := k.g.Description(); d.Problem != "" {
			t.Errorf("a mended file is still bad: %s", d.Problem)
		}
		if es := kit.Recorded("gateway.description-adopted"); len(es) != 3 || es[2].Fields["hash"] != k.g.Description().Hash {
			t.Errorf("entries: %v", es)
		}
	}, gateway.Schema())
}

// Where a description is named and none was ever good, programs reach nothing.
func TestNeverAGoodDescription(t *testing.T) { // breaks: use.public-api
	k := open(t, options{api: "{", routes: ordersRoutes})
	k.program("writ_svc_read", machine("read", []string{"member"}, "orders:read"))
	c := k.client()
	if got := k.do(c, "GET", "/orders/list", byRead); got.StatusCode != 404 {
		t.Errorf("a program: %d", got.StatusCode)
	}
	if got := k.do(c, "GET", "/orders/list", asAna); got.StatusCode != 200 {
		t.Errorf("a person: %d", got.StatusCode)
	}
}

// What is masked of an answer is there for the steps after.
func TestMasksOfAnswers(t *testing.T) {
	k := described(t, options{})
	var masks []openapi.Mask
	k.g.Judged(func(m []openapi.Mask) { masks = m })
	c := k.client()
	k.do(c, "GET", "/orders/list?page=1", byRead)
	if len(masks) != 1 || masks[0] != (openapi.Mask{Pointer: "/card", How: "last4"}) {
		t.Errorf("%v", masks)
	}
	k.do(c, "GET", "/people/x", asAna)
	if masks != nil {
		t.Errorf("a page has %v", masks)
	}
}

// A route may have longer bodies judged than the description's media type has by itself.
func TestRouteHasLongBodiesJudged(t *testing.T) {
	k := described(t, options{api: strings.Replace(ordersAPI, `"maxLength": 9`, `"maxLength": 9000000`, 1), routes: `
- {path: /orders/1, who: signed-in, body: 4MiB}`})
	for size, want := range map[int]int{2 << 20: 200, 5 << 20: 413} {
		if got := k.sendBody(k.client(), "PUT", "/orders/1", "application/json", `{"n":1,"t":"`+strings.Repeat("x", size)+`"}`, -1, asAna); got.StatusCode != want {
			t.Errorf("%d bytes: %d", size, got.StatusCode)
		}
	}
}

// Answers are compared beside the request, and only counted.
func TestAnswersAreCompared(t *testing.T) {
	body := `{"card":1}`
	k := described(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	})})
	if got := k.do(k.client(), "GET", "/orders/list", byRead); got.StatusCode != 200 || got.body != body {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	es := k.kit.Recorded("gateway.answers-compared")
	if len(es) != 1 || fmt.Sprintf("%v %v %v", es[0].Fields["operation"], es[0].Fields["compared"], es[0].Fields["differ"]) != "GET /orders/list 1 1" || strings.Contains(es[0].Body, "card") {
		t.Errorf("%v", es)
	}
}

func TestProgramControls(t *testing.T) { // breaks: use.public-api
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	good := described(t, options{upstream: app})
	good.do(good.client(), "GET", "/orders/list", byRead)
	for _, id := range []string{"gateway.programs", "gateway.undescribed"} {
		if r := control(t, good, good.door(), id); r.Outcome != clause.Pass {
			t.Errorf("%s: %s", id, r.Summary)
		}
	}
	if r := control(t, good, good.door(), "gateway.programs"); r.Population < 1 {
		t.Errorf("%+v", r)
	}

	loose := described(t, options{upstream: app}) // a gate that forgets to judge
	loose.g.WithoutSteps("schema")
	mustFail(t, control(t, loose, loose.door(), "gateway.undescribed"), "let through: ask as a program for an address outside")
	mustFail(t, control(t, loose, loose.door(), "gateway.programs"), "without being judged")

	unlimited := described(t, options{upstream: app})
	unlimited.g.WithoutSteps("rate-caller")
	mustFail(t, control(t, unlimited, unlimited.door(), "gateway.undescribed"), "read the token's limit")

	unscoped := described(t, options{upstream: app})
	unscoped.g.WithoutSteps("allow")
	mustFail(t, control(t, unscoped, unscoped.door(), "gateway.undescribed"), "let through: ask with a key of another scope")

	without := open(t, options{routes: ordersRoutes})
	mustFail(t, control(t, without, without.door(), "gateway.programs"), "no description of the interface is named")

	keyless := described(t, options{api: strings.Replace(ordersAPI, `"security": [{"key": []}],`, "", 1)})
	mustFail(t, control(t, keyless, keyless.door(), "gateway.programs"), "says nothing of security")

	through := tlsServer(t, &tls.Config{GetCertificate: good.ca.Certificate}, http.HandlerFunc(echo))
	mustFail(t, control(t, good, canary.New(canary.Deps{Base: good.base, Addr: through, Roots: good.ca.Roots()}), "gateway.undescribed"), "let through")
	shut := tlsServer(t, &tls.Config{GetCertificate: good.ca.Certificate}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(404)
		json.NewEncoder(w).Encode(map[string]string{"code": "not_described"})
	}))
	mustFail(t, control(t, good, canary.New(canary.Deps{Base: good.base, Addr: shut, Roots: good.ca.Roots()}), "gateway.undescribed"), "")
}

// A fault of the judge is a refusal and an entry, never a pass.
func TestFaultOfTheJudge(t *testing.T) { // breaks: use.public-api
	k := described(t, options{})
	k.g.BreakJudge()
	got := k.do(k.client(), "GET", "/orders/list?page=1", byRead)
	if got.StatusCode != 400 || !strings.Contains(got.body, "unjudged") || got.Header.Get("Seen-Host") != "" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if es := k.kit.Recorded("gateway.request-refused"); len(es) != 1 || es[0].Fields["code"] != "unjudged" || es[0].Clause != "use.public-api" {
		t.Errorf("%v", es)
	}
}
