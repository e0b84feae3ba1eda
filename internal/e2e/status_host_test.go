package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With a name of its own in writ.yaml the status page is at / of that name, under a certificate
// that names it, and nothing else is there.
func TestStatusHost(t *testing.T) { // breaks: inc.public-notice
	t.Parallel()
	f := newFolder(t, setup{})
	f.edit(func(text string) string { return text + "status:\n  host: status.example.test\n" })
	must(t, 1, f.writ("serve"), "may not speak for status.example.test") // the authority is older than the name
	if err := os.RemoveAll(filepath.Join(f.dir, "ca")); err != nil {
		t.Fatal(err)
	}
	s := f.serve()
	v := s.visitor()
	v.base = "https://status.example.test:" + f.port
	if a := v.page("/"); a.status != 200 || !strings.Contains(a.body, `href="/status.css"`) || !strings.Contains(a.body, s.origin+"/-/status/subscribe") || a.header.Get("Set-Cookie") != "" {
		t.Errorf("the page: %v", a)
	}
	if a := v.page("/api/v2/summary.json"); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("its API: %v", a)
	}
	for _, path := range []string{"/-/sign-in", "/-/status", "/-/livez", "/orders", "/.well-known/writ"} {
		if a := v.page(path); a.status != 404 || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", path, a)
		}
	}
	if a := s.visitor().page("/-/status"); a.status != 200 || !strings.Contains(a.body, `href="/-/status/subscribe"`) {
		t.Errorf("at the application's name: %v", a)
	}
}
