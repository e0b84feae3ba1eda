package oidc_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

func (w *world) control(id string) clause.Control {
	w.t.Helper()
	for _, c := range w.op.Controls(w.door) {
		if c.ID == id {
			return c
		}
	}
	w.t.Fatalf("no control %s", id)
	return clause.Control{}
}

// The controls pass on the real server, twice in a row, and leave nothing behind.
func TestControlsPass(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		for range 2 {
			for _, c := range w.op.Controls(w.door) {
				r, err := c.Run(t.Context())
				if err != nil || r.Outcome != clause.Pass {
					t.Errorf("%s: %v %+v", c.ID, err, r)
				}
			}
		}
		cs, err := w.op.Clients(t.Context(), operator)
		if err != nil || len(cs) != 0 {
			t.Errorf("left behind: %+v %v", cs, err)
		}
		if n := w.one(`SELECT COUNT(*) || '' FROM identity_oidc_family WHERE ended IS NULL`); n != "0" {
			t.Errorf("%s families live on", n)
		}
	}, jobs.Schema(), identity.Schema())
}

// forgetful is a server that answers a second token request as it did the first.
func forgetful(grant string) func(http.Handler) http.Handler {
	var mu sync.Mutex
	kept := map[string]*httptest.ResponseRecorder{}
	return func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/-/oidc/token" || r.ParseForm() != nil || r.PostForm.Get("grant_type") != grant {
				real.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			key := r.PostForm.Encode()
			if kept[key] == nil {
				kept[key] = httptest.NewRecorder()
				again, err := http.NewRequestWithContext(r.Context(), "POST", r.URL.String(), strings.NewReader(key))
				if err != nil {
					panic(err)
				}
				again.Header, again.RemoteAddr, again.Host = r.Header, r.RemoteAddr, r.Host
				real.ServeHTTP(kept[key], again)
			}
			maps.Copy(w.Header(), kept[key].Header())
			w.WriteHeader(kept[key].Code)
			_, _ = w.Write(kept[key].Body.Bytes())
		})
	}
}

// breaks: auth.best-practice
func TestControlsSeeReuse(t *testing.T) {
	for id, grant := range map[string]string{"identity.code-reuse": "authorization_code", "identity.refresh-reuse": "refresh_token"} {
		w := open(t)
		f := forgetful(grant)
		w.front.Store(&f)
		r, err := w.control(id).Run(t.Context())
		if err != nil || r.Outcome != clause.Fail {
			t.Errorf("%s on a server that forgets: %v %+v", id, err, r)
		}
	}
}
