package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sealed server answers with the last copy of the status page where it has one, at the page's
// own name with nothing else, and is sealed everywhere else.
func TestSealedPage(t *testing.T) { // breaks: inc.public-notice
	dir := t.TempDir()
	for name, text := range map[string]string{"page/index.html": "the page", "page/incidents/abc.html": "an incident", "root.key": "secret"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const own, other = "https://status.example.test", "https://app.example.test"
	for export, want := range map[string]map[string]string{
		"page": {own + "/": "200 the page", own + "/incidents/abc": "200 an incident", own + "/-/unseal": "404 ", own + "/root.key": "404 ", own + "/../root.key": "404 ",
			other + "/-/status/": "200 the page", other + "/-/status": "307 ", other + "/-/status/incidents/abc.html": "200 an incident", other + "/-/status/../../root.key": "404 ", other + "/": "200 sealed", other + "/-/unseal": "200 sealed"},
		"": {own + "/": "503 ", own + "/-/unseal": "503 ", other + "/-/status": "200 sealed", other + "/": "200 sealed"},
	} {
		a := &App{dir: dir, config: Config{Status: StatusConf{Export: export, Host: "status.example.test"}}}
		h := a.withCopy(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "sealed") }))
		for at, what := range want {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", at, nil))
			if got := fmt.Sprint(rec.Code, " ", rec.Body); !strings.HasPrefix(got, what) {
				t.Errorf("%q, %s: %s, want %s", export, at, got, what)
			}
		}
	}
}

// The page's own name is nobody else's, and the certificate is for it too.
func TestStatusHost(t *testing.T) {
	for host, good := range map[string]bool{"": true, "status.example.com": true, "app.example.com": false, "shop.example.com": false, "Status.example.com": false, "status.example.com:443": false, "https://status.example.com": false, "127.0.0.1": false, "*.example.com": false} {
		c := settings("Example")
		c.App, c.Hosts, c.TrustedProxies, c.Status.Host = "https://app.example.com", []string{"shop.example.com"}, []string{"10.0.0.1"}, host
		if err := c.check("writ.yaml"); (err == nil) != good {
			t.Errorf("%q: %v", host, err)
		}
		if got := strings.Join(c.names(), " "); host != "" && got != "app.example.com "+host || host == "" && got != "app.example.com" {
			t.Errorf("%q: %s", host, got)
		}
	}
}
