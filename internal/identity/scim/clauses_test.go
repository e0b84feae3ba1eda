package scim_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/scim"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// The control of directories passes twice on a good server, leaves nothing behind, and
// fails where the server is broken.
//
// breaks: access.need-ends
func TestDirectoryControl(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		for range 2 {
			r, err := w.svc.DirectoryControls(w.door)[0].Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != clause.Pass {
				t.Fatalf("%s %s %+v", r.Outcome, r.Summary, r.Steps)
			}
		}
		for _, table := range []string{"identity_person", "identity_scim", "identity_scim_user", "identity_service", "identity_token"} {
			if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM ` + table); n != "0" {
				t.Errorf("%s rows of %s are left behind", n, table)
			}
		}
	}, jobs.Schema(), identity.Schema())

	atUser := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, scim.Base+"/Users/") }
	answer := func(rw http.ResponseWriter, status int) {
		rw.Header().Set("Content-Type", "application/scim+json")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, `{}`)
	}
	for name, front := range map[string]func(real http.Handler, rw http.ResponseWriter, r *http.Request){
		"active=false ends nothing": func(real http.Handler, rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPatch {
				real.ServeHTTP(rw, r)
				return
			}
			b, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(b, []byte("false"), []byte("true"), 1)))
			real.ServeHTTP(rw, r)
		},
		"any token sees any team": func(real http.Handler, rw http.ResponseWriter, r *http.Request) {
			rec := &noted{ResponseWriter: rw, swap: map[int]int{404: 200}}
			if atUser(r) {
				real.ServeHTTP(rec, r)
				return
			}
			real.ServeHTTP(rw, r)
		},
		"nobody asks for a token": func(real http.Handler, rw http.ResponseWriter, r *http.Request) {
			if atUser(r) && r.Header.Get("Authorization") == "" {
				answer(rw, 200)
				return
			}
			real.ServeHTTP(rw, r)
		},
		"a dead token works": func(real http.Handler, rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == scim.Base+"/Users" {
				answer(rw, 200)
				return
			}
			real.ServeHTTP(rw, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			real := w.srv.Config.Handler
			w.srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { front(real, rw, r) })
			r, err := w.svc.DirectoryControls(w.door)[0].Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != clause.Fail {
				t.Errorf("a broken server: %s %+v", r.Outcome, r.Steps)
			}
		})
	}
}

// noted answers other statuses than the server says.
type noted struct {
	http.ResponseWriter
	swap map[int]int
}

func (n *noted) WriteHeader(status int) {
	if to, ok := n.swap[status]; ok {
		status = to
	}
	n.ResponseWriter.WriteHeader(status)
}
