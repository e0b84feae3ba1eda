package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"writ/internal/actor"
)

const asEva = "Cookie: __Host-writ=eva"

// A session that has come to stand for more gets its new token with the application's
// answer, which no cache keeps, and acts with all of it in that request.
func TestRenewAtTheGate(t *testing.T) { // breaks: auth.best-practice
	k := open(t, options{routes: routes})
	k.sessions.set("eva", person("eva", "member"))
	k.sessions.gained = map[string]actor.Actor{"eva": person("eva", "member", "admin")}
	for name, c := range map[string]*http.Client{"HTTP/1.1": http1(k), "HTTP/2": k.client()} {
		got := k.do(c, "GET", "/admin/users", asEva)
		if got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Set-Cookie"), "__Host-writ=renewed;") || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, cookie %q, %q", name, got.StatusCode, got.Header.Get("Set-Cookie"), got.Header.Get("Cache-Control"))
		}
		if roles, _ := claimsIn(t, got.Header.Get("Seen-Writ-Assertion"))["roles"].([]any); len(roles) != 2 {
			t.Errorf("%s: the application hears of %v", name, roles)
		}
	}
	got := k.do(http1(k), "GET", "/x", asAna)
	if got.Header.Get("Set-Cookie") != "" {
		t.Error("a session that stands for what it stood for got a cookie")
	}
}

// An answer to another proxy sets no cookie: a browser fetches the new token from a page
// of ours, and what is no page goes on as before.
func TestRenewBehindAProxy(t *testing.T) { // breaks: auth.best-practice
	k := open(t, options{routes: tokenRoutes + "- {path: /admin/, who: role, roles: [admin]}\n", proxies: loopback})
	k.sessions.set("eva", person("eva", "member"))
	k.sessions.gained = map[string]actor.Actor{"eva": person("eva", "member", "admin")}
	host := strings.TrimPrefix(k.base, "https://")
	ask := func(path string, more ...string) answer {
		return k.do(k.client(), "GET", askPath, append([]string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: " + host, "X-Forwarded-Uri: " + path, asEva}, more...)...)
	}
	for _, path := range []string{"/things", "/admin/x"} {
		got := ask(path, "Accept: text/html")
		if got.StatusCode != 302 || !strings.HasPrefix(got.Header.Get("Location"), "https://"+host+"/-/sign-in?to=") || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("a page %s: %d to %q", path, got.StatusCode, got.Header.Get("Location"))
		}
	}
	if got := ask("/things"); got.StatusCode != 200 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("no page: %d", got.StatusCode)
	}
	if got := ask("/admin/x"); got.StatusCode != 403 {
		t.Errorf("no page, with a role that is only gained: %d", got.StatusCode)
	}
}
