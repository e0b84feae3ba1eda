package gateway_test

import (
	"net/http"
	"testing"
)

// Where the application says nothing of them, its answers carry the headers that every page
// should have; what it says itself stays.
func TestAnswersAreHardened(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/open/own" {
			w.Header().Set("X-Content-Type-Options", "own")
			w.Header().Set("Referrer-Policy", "no-referrer")
		}
	})})
	for target, want := range map[string][2]string{
		"/open/none": {"nosniff", "strict-origin-when-cross-origin"}, "/open/own": {"own", "no-referrer"}, "/refused": {"nosniff", "no-referrer"},
	} {
		for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
			got := k.do(c, "GET", target)
			if h := got.Header; len(h["X-Content-Type-Options"]) != 1 || [2]string{h.Get("X-Content-Type-Options"), h.Get("Referrer-Policy")} != want {
				t.Errorf("%s %s: %v %v, want %v", name, target, h["X-Content-Type-Options"], h["Referrer-Policy"], want)
			}
		}
	}
}
