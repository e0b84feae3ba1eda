package demo

import (
	"net/http/httptest"
	"testing"
)

// A site that points its own name at 127.0.0.1 could read one-time links.
func TestMailboxIsForThisMachineRegression(t *testing.T) {
	box := newMailbox(t.TempDir())
	for host, want := range map[string]int{"127.0.0.1:8482": 200, "localhost:8482": 200, "[::1]:8482": 200, "localhost": 200, "evil.example:8482": 421, "127.0.0.1.evil.example": 421, "": 421} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		box.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
	}
}
