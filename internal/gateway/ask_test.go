package gateway_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"writ/internal/fault"
)

// The application is asked at its own place, with an assertion for that path and body alone;
// what is not answered is asked again, and nobody outside reaches the path.
func TestAsk(t *testing.T) { // breaks: net.private
	var asked, follow atomic.Int64
	how := atomic.Pointer[string]{}
	set := func(s string) { how.Store(&s); asked.Store(0) }
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			follow.Add(1)
		}
		if r.URL.Path != "/internal/whose" {
			echo(w, r)
			return
		}
		n := asked.Add(1)
		part := strings.Split(r.Header.Get("Writ-Assertion"), ".")
		if len(part) != 3 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		raw, _ := base64.RawURLEncoding.DecodeString(part[1])
		var c struct{ Kind, Route, Method, Target, Body string }
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(raw, &c); err != nil || c.Kind != "writ" || c.Route != "/internal/whose" || c.Method != "POST" || c.Target != sum64("/internal/whose") || c.Body != sum64(string(body)) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		switch *how.Load() {
		case "late":
			if n < 3 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
		case "redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		case "long":
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, strings.Repeat(" ", 5<<20))
			return
		case "page":
			w.Header().Set("Content-Type", "text/html")
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Write(body)
	})
	k := open(t, options{upstream: app, asks: "/internal/whose"})
	for name, want := range map[string]struct {
		n  int64
		ok bool
	}{"at once": {1, true}, "late": {3, true}, "redirect": {1, false}, "long": {1, false}, "page": {1, false}} {
		set(name)
		got, err := k.g.Ask(t.Context(), []byte(`{"records":[]}`))
		if (err == nil) != want.ok || want.ok && string(got) != `{"records":[]}` || !want.ok && fault.KindOf(err) != fault.Unavailable || asked.Load() != want.n {
			t.Errorf("%s: %q %v, asked %d times", name, got, err, asked.Load())
		}
	}
	if follow.Load() != 0 {
		t.Error("a redirect is followed")
	}
	set("at once")
	for _, who := range []string{asAna, asAdmin} {
		if got := k.do(k.client(), "POST", "/internal/whose", who); got.StatusCode != 404 || asked.Load() != 0 {
			t.Errorf("from outside: %d", got.StatusCode)
		}
	}
	if _, err := open(t, options{upstream: app}).g.Ask(t.Context(), nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("nothing is named: %v", err)
	}
}

func sum64(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
