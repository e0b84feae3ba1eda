package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

const corsRoutes = `
- {path: /api/, who: signed-in, methods: [GET, POST], cors: {origins: ["https://shop.example.com", "http://localhost:5173"], headers: [Content-Type, X-Step], expose: [X-Total], credentials: true, max_age: 1h}}
- {path: /open/all/, who: anyone, cors: {origins: ["*"]}}
- {path: /open/own/, who: anyone}
- {path: /open/Both/, who: anyone, cors: {origins: ["*"]}}
- {path: /open/files/, who: anyone, cache: images, cors: {origins: ["https://shop.example.com"]}}
`

// corsApp says to everybody what only the routes may say.
func corsApp(reached *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != "Writ-Health" {
			reached.Add(1)
		}
		w.Header().Set("Access-Control-Allow-Origin", "https://evil.example")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		if strings.HasPrefix(r.URL.Path, "/open/files/") {
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Content-Type", "image/png")
		}
		io.WriteString(w, "app")
	}
}

func allowed(a answer) string {
	h := a.Header
	return strings.TrimRight(h.Get("Access-Control-Allow-Origin")+" "+h.Get("Access-Control-Allow-Credentials"), " ")
}

// The gate itself answers a browser that asks whether another site's page may make a request.
func TestPreflight(t *testing.T) { // breaks: use.no-automation
	var reached atomic.Int64
	k := open(t, options{routes: corsRoutes, upstream: corsApp(&reached)})
	c := k.client()
	const asks = "Access-Control-Request-Method: "
	a := k.do(c, "OPTIONS", "/api/x", "Origin: https://shop.example.com", asks+"POST", "Access-Control-Request-Headers: x-step")
	h := a.Header
	if a.StatusCode != 204 || allowed(a) != "https://shop.example.com true" || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Headers") != "Content-Type, X-Step" ||
		h.Get("Access-Control-Max-Age") != "3600" || !strings.Contains(strings.Join(h["Vary"], ","), "Origin") || a.body != "" {
		t.Errorf("%d %v", a.StatusCode, h)
	}
	if a := k.do(c, "OPTIONS", "/open/all/x", "Origin: https://anybody.example", asks+"GET"); a.StatusCode != 204 || allowed(a) != "*" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	for name, ask := range map[string][]string{
		"403 another site":         {"/api/x", "Origin: https://evil.example", asks + "GET"},
		"403 its name in capitals": {"/api/x", "Origin: https://Shop.example.com", asks + "GET"},
		"403 in clear":             {"/api/x", "Origin: http://shop.example.com", asks + "GET"},
		"403 a longer name":        {"/api/x", "Origin: https://shop.example.com.evil.example", asks + "GET"},
		"403 no site":              {"/api/x", "Origin: null", asks + "GET"},
		"405 a method of none":     {"/api/x", "Origin: https://shop.example.com", asks + "DELETE"},
		"403 in other capitals":    {"/open/both/x", "Origin: https://anybody.example", asks + "GET"}, // the application may take it for another path
	} {
		a := k.do(c, "OPTIONS", ask[0], ask[1:]...)
		if want := map[string]int{"403": 403, "405": 405}[name[:3]]; name == "403 in other capitals" {
			if a.Header.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%s: %d %v", name, a.StatusCode, a.Header)
			}
		} else if a.StatusCode != want || allowed(a) != "" {
			t.Errorf("%s: %d %s", name, a.StatusCode, allowed(a))
		}
	}
	if before := reached.Load(); before > 1 { // the one in other capitals may pass as a plain request
		t.Errorf("the application was asked %d times", before)
	}
	reached.Store(0)
	if a := k.do(c, "OPTIONS", "/open/own/x", "Origin: https://evil.example", asks+"GET"); a.StatusCode != 200 || reached.Load() != 1 {
		t.Errorf("a route that says nothing: %d, asked %d times", a.StatusCode, reached.Load())
	}
}

// What the answers say to browsers is what the route says, refusals too.
func TestAnswersToOtherSites(t *testing.T) { // breaks: use.no-automation
	var reached atomic.Int64
	k := open(t, options{routes: corsRoutes, upstream: corsApp(&reached)})
	c := k.client()
	shop := "Origin: https://shop.example.com"
	for name, x := range map[string]struct {
		path, want string
		status     int
		head       []string
	}{
		"a listed site":               {"/api/x", "https://shop.example.com true", 200, []string{asAna, shop}},
		"a listed site, a stranger":   {"/api/x", "https://shop.example.com true", 401, []string{shop, "Accept: application/json"}},
		"another site":                {"/api/x", "", 200, []string{asAna, "Origin: https://evil.example"}},
		"no site":                     {"/api/x", "", 200, []string{asAna}},
		"every site":                  {"/open/all/x", "*", 200, []string{"Origin: https://anybody.example"}},
		"the application's own words": {"/open/own/x", "https://evil.example true", 200, []string{shop}},
		"a file":                      {"/open/files/x", "https://shop.example.com", 200, []string{shop}},
		"a file from memory":          {"/open/files/x", "https://shop.example.com", 200, []string{shop}},
		"a file for another site":     {"/open/files/x", "", 200, []string{"Origin: https://evil.example"}},
	} {
		a := k.do(c, "GET", x.path, x.head...)
		if a.StatusCode != x.status || allowed(a) != x.want {
			t.Errorf("%s: %d %q, want %q", name, a.StatusCode, allowed(a), x.want)
		}
		if vary := strings.Join(a.Header["Vary"], ","); strings.HasPrefix(x.path, "/api/") && strings.Count(vary, "Origin") != 1 {
			t.Errorf("%s: Vary: %s", name, vary)
		}
	}
	if a := k.do(c, "GET", "/api/x", asAna, shop); a.Header.Get("Access-Control-Expose-Headers") != "X-Total" {
		t.Errorf("exposed: %q", a.Header.Get("Access-Control-Expose-Headers"))
	}
	// A page of a listed site may act with the session; others, and sites where a route lists none, may not.
	for origin, want := range map[string]int{"https://shop.example.com": 200, "https://evil.example": 403} {
		if a := k.do(c, "POST", "/api/x", asAna, "Origin: "+origin, "Sec-Fetch-Site: same-site", "Content-Type: application/json"); a.StatusCode != want {
			t.Errorf("%s acts: %d", origin, a.StatusCode)
		}
	}
	if a := k.do(c, "POST", "/open/all/x", asAna, "Origin: https://anybody.example", "Sec-Fetch-Site: cross-site"); a.StatusCode != 403 {
		t.Errorf("any site acts with the session: %d", a.StatusCode)
	}
}

func TestCORSIsChecked(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	for _, bad := range []string{
		`{origins: ["*"], credentials: true}`, `{origins: []}`, `{origins: ["https://shop.example.com", "*"]}`, `{origins: ["https://*.example.com"]}`, `{origins: ["http://shop.example.com"]}`, `{origins: ["https://shop.example.com/"]}`,
		`{origins: ["https://shop.example.com:443"]}`, `{origins: ["https://Shop.example.com"]}`, `{origins: ["null"]}`, `{origins: ["https://a@b.example"]}`,
		`{origins: ["https://shop.example.com"], headers: [Writ-Assertion]}`, `{origins: ["https://shop.example.com"], headers: [X-Forwarded-For]}`, `{origins: ["https://shop.example.com"], headers: ["a b"]}`,
		`{origins: ["https://shop.example.com"], max_age: 48h}`, `{origins: ["https://shop.example.com"], max_age: soon}`,
	} {
		k.write("- {path: /api/, who: signed-in, cors: " + bad + "}\n")
		if err := k.g.Reload(t.Context(), k.engineer()); err == nil || !strings.Contains(err.Error(), "cors") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	k.write("- {path: /api/, who: signed-in, cors: {origins: [\"https://[2001:db8::1]:8443\", \"http://127.0.0.1:3000\"]}}\n")
	if err := k.g.Reload(t.Context(), k.engineer()); err != nil {
		t.Error(err)
	}
}

// BenchmarkPreflight is the gate's whole answer to a browser's question.
func BenchmarkPreflight(b *testing.B) {
	k := open(b, options{routes: corsRoutes})
	front := k.g.Front(http.NotFoundHandler(), func(*http.Request) bool { return false })
	r := httptest.NewRequest("OPTIONS", "/api/x", nil)
	r.Host, r.RequestURI, r.RemoteAddr = strings.TrimPrefix(k.base, "https://"), "/api/x", "127.0.0.1:1"
	r.Header = http.Header{"Origin": {"https://shop.example.com"}, "Access-Control-Request-Method": {"POST"}}
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		if front.ServeHTTP(rec, r); rec.Code != http.StatusNoContent {
			b.Fatal(rec.Code)
		}
	}
}
