package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// A service's token is replaced by itself, tried at the server's own door: what the vault holds
// works, and the former one does not any more.
func TestTokenReplacesItself(t *testing.T) { // breaks: crypto.key-rotation, auth.best-practice
	t.Parallel()
	s := start(t, setup{})
	v := s.owner("ana@example.test") // somebody stands behind the service
	must(t, 0, s.writ("token", "service", "exporter", "--role", "auditor"))
	value := func() string {
		return strings.TrimSpace(must(t, 0, s.writ("vault", "get", "/shop/writ-token")).out)
	}
	let := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.origin+"/-/api/v1/token", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		a, err := v.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	must(t, 0, s.writ("vault", "rotation", "add", "/shop/writ-token", "--service", "exporter", "--scope", "journal.read", "--days", "30", "--grace", "1h"), "is in use")
	first := value()
	if st := let(first); st != http.StatusOK || !strings.HasPrefix(first, "writ_svc_") {
		t.Fatalf("the first one: %d", st)
	}
	must(t, 0, s.writ("vault", "rotation", "now", "/shop/writ-token", "--exposed"), "is in use, the next one on") // the first round is whole
	must(t, 0, s.writ("vault", "rotation", "now", "/shop/writ-token"), "works until")
	second := value()
	if a, b := let(first), let(second); first == second || a != http.StatusOK || b != http.StatusOK { // through the grace
		t.Errorf("the former one %d, the one that programs read %d", a, b)
	}
	must(t, 0, s.writ("vault", "rotation", "now", "/shop/writ-token", "--exposed"), "is in use, the next one on")
	if a, b := let(first), let(second); a != http.StatusUnauthorized || b != http.StatusOK || value() != second {
		t.Errorf("after the grace: the former one %d, the one that programs read %d", a, b)
	}
	put := s.writ("vault", "put", "/shop/by-hand")
	put.stdin = "no token of ours"
	must(t, 0, put)
	must(t, 1, s.writ("vault", "rotation", "add", "/shop/by-hand", "--service", "exporter", "--scope", "journal.read"), "of neither slot")
}
