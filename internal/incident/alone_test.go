package incident_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// At a name of its own the page is at /, with all that belongs to it, for reading: no form, no
// cookie, no other page of this server. A sealed server reads the last copy to whoever asks.
func TestPageAlone(t *testing.T) { // breaks: inc.public-notice
	w := with(t, ledgertest.Open(t, tables...), nil)
	if _, ok := w.page.Alone(); ok {
		t.Error("without a name it is somewhere")
	}
	d := w.page.Deps
	d.Host, d.Jobs = "status.example.test", handless{w.queue}
	var err error
	if w.page, err = status.New(d); err != nil {
		t.Fatal(err)
	}
	w.svc.Page = w.page
	site, ok := w.page.Alone()
	if !ok {
		t.Fatal("it is nowhere")
	}
	ask := func(h http.Handler, method, path string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, "https://status.example.test"+path, nil)
		r.Header.Set("Cookie", "__Host-writ=abc")
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		if a.Header().Get("Set-Cookie") != "" || !strings.Contains(a.Header().Get("Content-Security-Policy"), "form-action 'none'") || a.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", method, path, a.Header())
		}
		return a
	}
	if a := ask(site, "GET", "/"); a.Code != http.StatusServiceUnavailable {
		t.Errorf("before it was made: %d", a.Code)
	}
	c := w.active()
	w.says(c.Ref(), status.Investigating)
	if err := w.published(); err != nil {
		t.Fatal(err)
	}
	id := w.show(c.Ref()).Posts[0].Public
	for path, want := range map[string]string{"/": `href="/incidents/` + id + `"`, "/incidents/" + id: `href="/status.css"`, "/api/v2/summary.json": `"incidents":[{"id":"` + id, "/history.atom": "<feed", "/history.rss": "<rss", "/feed.json": id, "/maintenance.ics": "BEGIN:VCALENDAR", "/status.css": "body", "/icon.svg": "<svg"} {
		if a := ask(site, "GET", path); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), want) || a.Header().Get("ETag") == "" {
			t.Errorf("%s: %d %.300s", path, a.Code, a.Body)
		}
		if strings.HasPrefix(path, "/incidents") {
			path += ".html"
		}
		copied := ask(status.Copy(os.DirFS(w.page.Folder)), "GET", path)
		if copied.Code != http.StatusOK || copied.Body.Len() == 0 {
			t.Errorf("the copy of %s: %d", path, copied.Code)
		}
	}
	if body := ask(site, "GET", "/").Body.String(); !strings.Contains(body, `href="https://app.example.test/-/status/subscribe"`) || strings.Contains(body, `"/-/`) {
		t.Errorf("subscribing: %s", body)
	}
	if a := ask(status.Copy(os.DirFS(w.page.Folder)), "GET", "/incidents/"+id); a.Code != http.StatusOK {
		t.Errorf("an address of the page that was made: %d", a.Code)
	}
	for _, path := range []string{"/-/status", "/-/sign-in", "/-/console", "/subscribe", "/status.html", "//", "/../page_test.go", "/%2e%2e/alone_test.go", "/incidents", "/.hidden"} {
		for name, h := range map[string]http.Handler{"page": site, "copy": status.Copy(os.DirFS(w.page.Folder))} {
			if a := ask(h, "GET", path); a.Code != http.StatusNotFound {
				t.Errorf("%s, %s: %d", name, path, a.Code)
			}
			if a := ask(h, "POST", path); a.Code != http.StatusMethodNotAllowed || a.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s, POST %s: %d", name, path, a.Code)
			}
		}
	}
}
