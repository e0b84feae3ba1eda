package gateway_test

import (
	"net/http"
	"testing"
)

// Other sites do not frame a page that does not say who may, and a route may leave its
// answers to the application.
func TestFramesAndOwnHeaders(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{routes: "- {path: /open/as-is/, who: anyone, own_headers: true}\n- {path: /open/Mixed/, who: anyone, own_headers: true}\n- {path: /open/mixed/x/, who: anyone}\n", upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/open/data":
			w.Header().Set("Content-Type", "application/json")
			return
		case "/open/policy":
			w.Header().Set("Content-Security-Policy", "default-src 'self'; Frame-Ancestors https://partner.example")
		case "/open/says":
			w.Header().Set("X-Frame-Options", "DENY")
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	})})
	c := k.client()
	for target, want := range map[string][2]string{
		"/open/page": {"SAMEORIGIN", "nosniff"}, "/open/data": {"", "nosniff"}, "/open/policy": {"", "nosniff"}, "/open/says": {"DENY", "nosniff"},
		"/open/as-is/page": {"", ""}, "/open/Mixed/x/page": {"SAMEORIGIN", "nosniff"}, // the application may take the last for the other route
	} {
		if h := k.do(c, "GET", target).Header; [2]string{h.Get("X-Frame-Options"), h.Get("X-Content-Type-Options")} != want {
			t.Errorf("%s: %q %q, want %q", target, h["X-Frame-Options"], h["X-Content-Type-Options"], want)
		}
	}
}
