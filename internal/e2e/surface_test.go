package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// What strangers may read is there, says what is in force, and tells no address but the contact.
func TestPublicSurface(t *testing.T) {
	t.Parallel()
	s := start(t, setup{owners: threeOwners})
	maria := s.customer("maria@orchard.example")
	maria.want(200, "GET", "session", nil)
	v := s.visitor()
	trust := v.page("/-/trust")
	for _, want := range []string{"A reset link stops working", "24 hours"} {
		if trust.status != 200 || !strings.Contains(trust.body, want) {
			t.Errorf("the trust page does not say %q: %d", want, trust.status)
		}
	}
	data := v.send("GET", "/-/trust.json", nil, nil)
	if data.status != 200 || !json.Valid([]byte(data.body)) || !strings.Contains(data.body, "auth.reset-link-lifetime") {
		t.Errorf("the trust page as JSON: %v", data)
	}
	for _, private := range []string{"maria@", "ben@example.test", "127.0.0.1", s.dir} {
		if strings.Contains(trust.body+data.body, private) {
			t.Errorf("the trust page holds %q", private)
		}
	}
	for path, want := range map[string]string{"/.well-known/security.txt": "Contact:", "/.well-known/writ": "{", "/-/jwks": `"Ed25519"`, "/-/livez": "ok", "/-/readyz": "ok"} {
		if a := v.send("GET", path, nil, nil); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %v", path, a)
		}
	}
	if a := v.page("/.well-known/change-password"); a.status != 302 && a.status != 303 || !strings.Contains(a.header.Get("Location"), "/-/account") {
		t.Errorf("change-password: %v", a)
	}
}

// The API's own document is there for everybody and holds each act that the design names.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	doc := decode[struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}](t, s.visitor().send("GET", "/-/api/v1/openapi.json", nil, nil).body)
	if !strings.HasPrefix(doc.OpenAPI, "3.") {
		t.Errorf("OpenAPI %q", doc.OpenAPI)
	}
	for _, act := range []string{"POST sign-up", "POST confirm", "POST sign-in", "POST sign-out", "GET session", "GET sessions", "GET sessions/{id}", "DELETE sessions/{id}",
		"POST password", "POST recovery", "POST recovery/{token}", "POST invitations/{token}/accept", "GET check", "POST prove"} {
		method, path, _ := strings.Cut(act, " ")
		if doc.Paths["/-/api/v1/"+path][strings.ToLower(method)] == nil {
			t.Errorf("the document has no %s", act)
		}
	}
	for path, acts := range doc.Paths { // what it lists is mounted: nothing of it reaches the application
		if strings.Contains(path, "{") || acts["get"] == nil {
			continue
		}
		a := s.visitor().send("GET", path, nil, http.Header{"Accept": {"application/json"}})
		if a.status == 404 || a.status >= 500 {
			t.Errorf("%s: %v", path, a)
		}
	}
}
