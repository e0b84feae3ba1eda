package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

// A dry run says what happens to whom, what was looked at in vain and what was not looked
// at; a part that could not be counted is a no.
func TestDryRun(t *testing.T) {
	s, err := sshsig.Generate()
	if err != nil {
		t.Fatal(err)
	}
	f := proposed(t, s.Key(), nil)
	now, next := shipped(t, nil), shipped(t, map[string]string{ttl: "1h"})
	file := filepath.Join(t.TempDir(), "next.yaml")
	if err := os.WriteFile(file, document.Print(next), 0o600); err != nil {
		t.Fatal(err)
	}
	var failed []string
	f.onDo("POST policy/dry-run", func(*http.Request) any {
		return map[string]any{"changes": "1 tighter", "needs": 1, "diff": document.Compare(now, next), "forecast": map[string]any{
			"at": "2026-05-01T10:00:00Z", "effects": []any{
				map[string]any{"params": []string{ttl}, "count": 3, "says": "3 reset links stop working at once", "within": "7 days"},
				map[string]any{"params": []string{"auth.best-practice/token_default"}, "count": 0, "says": "no token that is there already"}},
			"not_counted": []string{"access.roles/roles"}, "failed": failed}}
	})
	want := []string{"3 reset links stop working at once (" + ttl + ")", "touching nobody: auth.best-practice/token_default", "Not counted by this version: access.roles/roles"}
	f.must(0, []string{"policy", "propose", file, "--dry-run"}, append(want, "24h → 1h", "Nothing was stored", "1 owner")...)
	f.must(0, []string{"policy", "diff", "1.0", file, "--dry-run"}, append(want, "24h → 1h")...)
	f.must(0, []string{"policy", "propose", file, "--dry-run", "--format", "json"}, `"forecast":{`, `"count":3`)
	f.must(0, []string{"policy", "diff", "1.0", file, "--dry-run", "--format", "json"}, `"forecast"`, `"needs_loosen"`)
	f.must(2, []string{"policy", "propose", file}, "summary", "--dry-run")
	if f.asked("POST /-/api/v1/policy/proposals") {
		t.Errorf("a dry run proposes: %q", f.seen)
	}
	failed = []string{"identity: the table is away"}
	for _, args := range [][]string{{"policy", "propose", file, "--dry-run"}, {"policy", "diff", "1.0", file, "--dry-run"}, {"policy", "propose", file, "--dry-run", "--format", "json"}, {"policy", "diff", "1.0", file, "--dry-run", "--format", "json"}} {
		f.must(1, args, "the table is away", "could not be counted")
	}
}
