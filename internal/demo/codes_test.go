package demo

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/identity/totp"
)

// The page shows the code that the server expects.
func TestCodes(t *testing.T) {
	at := time.Unix(1_800_000_003, 0)
	box := newMailboxAt(t.TempDir(), func() time.Time { return at })
	seed := totp.New()
	ask := func(method string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://127.0.0.1:8482/codes", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		box.ServeHTTP(w, r)
		return w
	}
	if w := ask("GET", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "Paste the key") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("POST", url.Values{"key": {"nonsense"}}); w.Code != 422 || !strings.Contains(w.Body.String(), "no key") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, key := range []string{seed.URI("Fernhill", "ana@example.test").Reveal(), totp.New().Spaced().Reveal()} {
		if w := ask("POST", url.Values{"key": {key}, "name": {"Ana"}}); w.Code != 303 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	code, err := seed.Code(totp.Step(at))
	if err != nil {
		t.Fatal(err)
	}
	if w := ask("GET", nil); !strings.Contains(w.Body.String(), code) || !strings.Contains(w.Body.String(), "27 seconds") || strings.Contains(w.Body.String(), seed.Text().Reveal()) {
		t.Errorf("%s", w.Body)
	}
}
