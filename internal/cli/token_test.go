package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someToken = "writ_svc_0000000000000000000000000000000000000000000000000"

// With a token a command speaks to a server elsewhere, and signs nothing in.
func TestToken(t *testing.T) {
	f, as := public(t)
	f.onDo("GET check", func(r *http.Request) any {
		if got := r.Header.Get("Authorization"); got != "Bearer "+someToken {
			t.Errorf("the server saw %q", got)
		}
		return strings.ReplaceAll(report, "OUTCOME", "pass")
	})
	elsewhere := as[:4]
	if status, _, errs := try(append(elsewhere, "check")...); status != 2 || !strings.Contains(errs, "or a token") {
		t.Errorf("without one: %d %s", status, errs)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(someToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := try(append(elsewhere, "check", "--token", file)...); status != 0 || errs != "" {
		t.Errorf("from a file: %d %s", status, errs)
	}
	if status, _, errs := try(append(elsewhere, "check", "--token", someToken)...); status != 0 || !strings.Contains(errs, "can read a token") {
		t.Errorf("on the command line: %d %s", status, errs)
	}
	t.Setenv("WRIT_TOKEN", someToken)
	if status, out, errs := try(append(elsewhere, "check")...); status != 0 || strings.Contains(out+errs, someToken) {
		t.Errorf("from the environment: %d %s", status, errs)
	}
	if f.asked("POST /-/api/v1/sign-in") || f.asked("POST /-/api/v1/sign-out") {
		t.Error("a token signed in")
	}
	if status, _, _ := try(append(as, "check", "--token", file)...); status != 2 {
		t.Errorf("with --as too: %d", status)
	}
	t.Setenv("WRIT_TOKEN", "not a token")
	if status, _, errs := try(append(elsewhere, "check")...); status != 2 || !strings.Contains(errs, "begins with") || strings.Contains(errs, "not a token") {
		t.Errorf("something else: %d %s", status, errs)
	}
}

func TestTokenCommands(t *testing.T) {
	f := serve(t)
	f.on("GET tokens", `{"tokens":[{"id":"t1","kind":"service","name":"nightly","service_name":"export","scopes":["orders:read"],"networks":[],"issued":"2026-03-01T10:00:00Z","ends":"2026-06-01T10:00:00Z","suspended":true}]}`)
	f.on("POST tokens", `{"token":"`+someToken+`","about":{"id":"t2","ends":"2026-06-01T10:00:00Z"}}`)
	f.on("DELETE tokens/t1", nil)
	f.on("GET services", `{"services":[{"id":"s1","name":"export","roles":["auditor"],"tokens":2}]}`)
	f.on("POST services", `{"id":"s2","name":"job"}`)
	f.on("DELETE services/export", nil)
	t.Setenv("WRIT_TOKEN", someToken) // on a folder the socket says who it is
	f.must(0, []string{"token", "list"}, "nightly", "export", "suspended")
	f.must(0, []string{"token", "list", "--of", "all"})
	if !f.asked("GET /-/api/v1/tokens?of=all") {
		t.Error("--of was not asked")
	}
	out := f.must(0, []string{"token", "issue", "nightly", "--service", "export", "--scope", "orders:read,orders:write", "--days", "30", "--network", "10.0.0.0/8"}, "this once", "writ token revoke t2")
	if strings.TrimSpace(out) != someToken {
		t.Errorf("stdout is %q, not the token alone", out)
	}
	if !f.asked("POST /-/api/v1/tokens", `"service":"export"`, `"scopes":["orders:read","orders:write"]`, `"days":30`, `"networks":["10.0.0.0/8"]`) {
		t.Errorf("%q", f.seen)
	}
	f.must(2, []string{"token", "issue", "nightly"}, "scope")
	f.must(0, []string{"token", "revoke", "t1"}, "ended")
	f.must(0, []string{"token", "services"}, "export", "the team")
	f.must(0, []string{"token", "service", "job", "--role", "auditor"}, "--service job")
	if !f.asked("POST /-/api/v1/services", `"owner":"team"`, `"roles":["auditor"]`) {
		t.Errorf("%q", f.seen)
	}
	f.must(0, []string{"token", "service", "export", "--end"}, "ended")
}
