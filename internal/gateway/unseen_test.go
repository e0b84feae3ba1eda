package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"writ/internal/actor"
)

// Staff who look as a customer do not see fields that the description tags, until a second
// person has agreed to more; the customer sees them, and what cannot be masked nobody of the
// staff sees.
func TestStaffSeeMaskedFields(t *testing.T) { // breaks: use.need-to-see
	body := `{"card":"AB-1234-5678","other":"AB-1234-5678"}`
	k := described(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("Accept-Encoding") != "" {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, packed(body))
			return
		}
		io.WriteString(w, body)
	})})
	look := actor.Actor{Kind: actor.Support, ID: "eva", For: "ana", Team: "team-1", Roles: []string{"member"}, Session: "look-1", ACR: 2, Via: "https"}
	k.sessions.set("look", look)
	look.Writes = true
	k.sessions.set("agreed", look)
	const masked = `{"card":"********5678","other":"AB-1234-5678"}`
	for cookie, want := range map[string]string{"look": masked, "agreed": body, "ana": body} {
		if a := k.do(k.client(), "GET", "/orders/list", "Cookie: __Host-writ="+cookie); a.body != want {
			t.Errorf("%s: %d %s", cookie, a.StatusCode, a.body)
		}
	}
	if a := k.do(k.client(), "GET", "/orders/list", "Cookie: __Host-writ=look", "Accept-Encoding: gzip"); a.body != masked || a.Header.Get("Cache-Control") != "no-store" || a.ContentLength != int64(len(masked)) {
		t.Errorf("packed: %s %v", a.body, a.Header)
	}
	body = `{"card":"AB-1234-5678"`
	if a := k.do(k.client(), "GET", "/orders/list", "Cookie: __Host-writ=look", "Accept: application/json"); a.StatusCode != 502 || strings.Contains(a.body, "1234") {
		t.Errorf("no document: %d %s", a.StatusCode, a.body)
	}
	body = `{"card":"AB-1234-5678","x":"` + strings.Repeat("x", 1<<20) + `"}`
	if a := k.do(k.client(), "GET", "/orders/list", "Cookie: __Host-writ=look", "Accept: application/json"); a.StatusCode != 502 {
		t.Errorf("too long to be masked: %d", a.StatusCode)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if es := k.kit.Recorded("gateway.sensitive-data-masked"); len(es) == 0 || es[0].Clause != "use.need-to-see" {
		t.Errorf("%+v", es)
	}
}
