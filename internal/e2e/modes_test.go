package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// Whatever the gate's mode, the status page and Writ's other pages answer, people sign in and
// out, and programs are told who they are; only the application's part is closed.
func TestOwnPagesInEveryMode(t *testing.T) { // breaks: inc.loss-maintenance, inc.loss-freeze, inc.public-notice
	t.Parallel()
	s := start(t, setup{})
	stranger, maria := s.visitor(), s.customer("maria@orchard.example")
	pages := map[string]int{"/-/status": 200, "/-/status/api/v2/summary.json": 200, "/-/status/status.css": 200, "/-/trust": 200, "/-/sign-in": 200, "/-/sign-up": 200, "/-/forgot": 200, "/-/livez": 200, "/-/readyz": 200,
		"/-/jwks": 200, "/.well-known/security.txt": 200, "/-/api/v1/session": 401, "/-/account": 302, "/-/console": 302, "/-/no-such-page": 404}
	for _, m := range []struct {
		mode       string
		command    []string
		read, sent int // by a customer, at the application
	}{
		{"normal", nil, 200, 200},
		{"frozen", []string{"freeze", "on", "--reason", "a test"}, 200, 503},
		{"normal again", []string{"freeze", "off"}, 200, 200},
		{"maintenance", []string{"maintenance", "on", "--reason", "a test"}, 503, 503},
		{"staged", []string{"maintenance", "on", "--let", "staff", "--reason", "a test"}, 503, 503},
		{"open to all", []string{"maintenance", "on", "--let", "100%", "--reason", "a test"}, 200, 200},
		{"normal at last", []string{"maintenance", "off"}, 200, 200},
	} {
		if m.command != nil {
			must(t, 0, s.writ(append([]string{"gateway"}, m.command...)...))
		}
		for path, want := range pages {
			accept := "text/html"
			if strings.Contains(path, "/api/") {
				accept = "application/json"
			}
			if a := stranger.send("GET", path, nil, http.Header{"Accept": {accept}}); a.status != want {
				t.Errorf("%s: %s: %v, want %d", m.mode, path, a, want)
			}
		}
		v := s.visitor()
		v.want(200, "POST", "sign-in", obj{"email": "maria@orchard.example", "password": aPassword})
		v.want(200, "GET", "session", nil)
		v.want(204, "POST", "sign-out", nil)
		if a := maria.send("GET", "/orders", nil, nil); a.status != m.read {
			t.Errorf("%s: reading the application: %v, want %d", m.mode, a, m.read)
		}
		if a := maria.send("POST", "/orders", nil, nil); a.status != m.sent {
			t.Errorf("%s: changing it: %v, want %d", m.mode, a, m.sent)
		}
	}
}
