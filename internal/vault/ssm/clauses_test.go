package ssm_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"writ/internal/clause"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
)

func (w *world) controls() []clause.Control {
	return append(w.vault.Controls(), w.wire.Controls(w.door)...)
}

// run runs one control.
func (w *world) run(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.controls() {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			if err != nil {
				w.t.Fatalf("%s: %v", id, err)
			}
			return r
		}
	}
	w.t.Fatalf("no control %s", id)
	return clause.Result{}
}

// The controls pass on the real server, twice, and leave nothing behind.
func TestControlsPass(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		c.good("PutParameter", `{"Name":"/a/b","Value":"x","Type":"String"}`)
		for range 2 {
			for _, k := range w.controls() {
				if r := w.run(k.ID); r.Outcome != clause.Pass {
					t.Errorf("%s: %+v", k.ID, r)
				}
			}
		}
		if s := c.good("DescribeParameters", `{}`); len(s.at("Parameters").([]any)) != 1 {
			t.Error(s.raw)
		}
		if ks, err := w.vault.AccessKeys(t.Context(), operator); err != nil || len(ks) != 1 {
			t.Errorf("%v %v", ks, err)
		}
	})
}

// breaks: vault.access-logged
func TestControlsSeeReadsWithoutAKey(t *testing.T) {
	w := open(t, ledgertest.Open(t, vault.Schema()))
	w.front = func(real http.Handler) http.Handler { // answers whatever nobody may read
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
				_, _ = io.WriteString(rw, `{"Parameter":{}}`)
				return
			}
			real.ServeHTTP(rw, r)
		})
	}
	if r := w.run("vault.read-needs-key"); r.Outcome != clause.Fail {
		t.Errorf("%+v", r)
	}
}

// breaks: crypto.at-rest
func TestControlsSeeValuesInTheClear(t *testing.T) {
	w := open(t, ledgertest.Open(t, vault.Schema()))
	w.front = func(real http.Handler) http.Handler { // writes a log of what it is sent
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			var in struct{ Value string }
			_ = json.Unmarshal(b, &in)
			w.stored = append(w.stored, in.Value...)
			r.Body = io.NopCloser(bytes.NewReader(b))
			real.ServeHTTP(rw, r)
		})
	}
	if r := w.run("vault.value-nowhere"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "let through") {
		t.Errorf("%+v", r)
	}
}

// breaks: vault.encrypted-store, vault.access-logged
func TestProbesSeeWhatIsNotSealed(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		c.good("PutParameter", `{"Name":"/a/b","Value":"x","Type":"SecureString"}`)
		if _, err := w.vault.SetAbout(t.Context(), operator, "/a", vault.AboutChange{Sensitive: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		w.exec(`UPDATE vault_param SET type = 'String'`)
		if r := w.run("vault.values-sealed"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "1 sensitive") {
			t.Errorf("%+v", r)
		}
		w.exec(`UPDATE vault_param SET type = 'SecureString'`)
		if r := w.run("vault.values-sealed"); r.Outcome != clause.Pass {
			t.Errorf("%+v", r)
		}
		w.exec(`UPDATE vault_version SET value = 'x'`)
		if r := w.run("vault.values-sealed"); r.Outcome != clause.Fail || r.Population != 1 {
			t.Errorf("%+v", r)
		}
		w.exec(`UPDATE vault_access_key SET secret = 'x'`)
		if r := w.run("vault.reads-have-readers"); r.Outcome != clause.Fail {
			t.Errorf("%+v", r)
		}
	})
}

// A vault that takes the address of a public database, or lies in one, is told.
//
// breaks: vault.db-private
func TestControlsSeePublicDatabases(t *testing.T) {
	each(t, func(t *testing.T, w *world, _ client) {
		own := func(url string) clause.Result {
			t.Helper()
			was := w.vault.Database
			defer func() { w.vault.Database = was }()
			w.vault.Database = secret.NewText(url)
			return w.run("vault.own-database-private")
		}
		for url, want := range map[string]clause.Outcome{"postgres://writ@203.0.113.7/writ?sslmode=verify-full": clause.Fail, "postgres://writ@10.0.0.9/writ?sslmode=disable": clause.Fail,
			"postgres://writ@10.0.0.9/writ?sslmode=verify-full": clause.Pass, "postgres://writ@127.0.0.1/writ?sslmode=disable": clause.Pass} {
			if r := own(url); r.Outcome != want {
				t.Errorf("%s: %+v", url, r)
			}
		}
		values := policytest.Values()
		values["vault.db-private/public"] = true // as if nothing were refused
		if err := w.vault.Rules.Set([]clause.Period{{Values: values}}); err != nil {
			t.Fatal(err)
		}
		if r := w.run("vault.public-database-refused"); r.Outcome != clause.Fail {
			t.Errorf("%+v", r)
		}
	})
}
