package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A site with a name of its own answers there, and neither our pages nor the application do; it
// answers nowhere else.
func TestAside(t *testing.T) {
	k := open(t, options{})
	say := func(what string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, what, " ", r.URL.Path) })
	}
	front := k.g.Front(say("ours"), func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/-/") })
	ask := func(host, path string) string {
		rec := httptest.NewRecorder()
		front.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "https://"+host+path, nil))
		return rec.Body.String()
	}
	name := strings.TrimPrefix(k.base, "https://")
	if got := ask("status.example.test", "/-/sign-in"); strings.Contains(got, "ours") || strings.Contains(got, "site") {
		t.Errorf("a name that nobody has: %s", got)
	}
	k.g.Aside("status.example.test", say("site"))
	for _, host := range []string{"status.example.test", "STATUS.example.test:8443"} {
		for _, path := range []string{"/", "/-/sign-in", "/orders"} {
			if got := ask(host, path); got != "site "+path {
				t.Errorf("%s%s: %s", host, path, got)
			}
		}
	}
	if got := ask(name, "/-/sign-in"); got != "ours /-/sign-in" {
		t.Errorf("our own name: %s", got)
	}
	for _, host := range []string{"evil.status.example.test", "status.example.test.evil.example", name} {
		if got := ask(host, "/"); strings.HasPrefix(got, "site") {
			t.Errorf("%s: %s", host, got)
		}
	}
}
