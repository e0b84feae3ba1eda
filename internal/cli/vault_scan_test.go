package cli_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/leak"
	"writ/internal/secret"
)

// A scan compares words by their marks, files its report without a secret in it, and ends
// with 1 while something is open.
func TestScan(t *testing.T) { // breaks: vault.secret-home
	f := serve(t)
	raw := secret.Random(32)
	key, err := envelope.NewKey("scan", raw)
	if err != nil {
		t.Fatal(err)
	}
	const value = "tangerine7boat"
	mark := leak.MarkOf(key, value)
	f.on("POST vault/scans/comparisons", map[string]string{"id": "c1", "key": base64.StdEncoding.EncodeToString(raw.Reveal())})
	f.onDo("POST vault/scans/comparisons/c1", func(r *http.Request) any {
		var in struct{ Marks []string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Marks) == 0 {
			t.Errorf("%v %v", in, err)
		}
		return map[string]any{"names": map[string]string{base64.RawStdEncoding.EncodeToString(mark[:]): "/shop/smtp"}}
	})
	f.on("POST vault/scans", `{"entry":"e","open":1}`)
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("conf", "smtp: "+value+"\n")
	sarif := filepath.Join(t.TempDir(), "hits.sarif")
	out := f.must(1, []string{"vault", "scan", dir, "--sarif", sarif}, "conf:1", "The value of /shop/smtp", "1 hit")
	b, err := os.ReadFile(sarif)
	if err != nil || !strings.Contains(string(b), "known-value") {
		t.Errorf("%s %v", b, err)
	}
	f.mu.Lock()
	said := strings.Join(f.seen, "\n") + out + string(b)
	f.mu.Unlock()
	if strings.Contains(said, value) || !f.asked("POST /-/api/v1/vault/scans", `"comparison":"c1"`, `"rule":"known-value"`) {
		t.Errorf("the value was told, or the report was not filed: %s", said)
	}
	until := time.Now().AddDate(0, 2, 0).Format(time.DateOnly)
	f.must(2, []string{"vault", "scan", dir, "--until", until}, "belong together")
	f.must(2, []string{"vault", "scan", dir, "--until", "2099-01-01", "--reason", "for ever and ever"}, "within a year")
	f.must(0, []string{"vault", "scan", dir, "--until", until, "--reason", "a sample of the manual"}, "1 excepted")
	f.must(0, []string{"vault", "scan", dir}, "0 hits", "1 excepted")
	f.must(0, []string{"vault", "scan", dir, "--local"}, "not recorded")

	put("rules", "[[rules]]\nid='ours'\ndescription='Ours'\nregex='shop-[0-9]{4}'\n")
	put("code", "x shop-1234\n")
	f.must(1, []string{"vault", "scan", dir, "--local", "--rules", filepath.Join(dir, "rules")}, "code:1", "Ours")
	f.must(2, []string{"vault", "scan", dir, "--local", "--rules", filepath.Join(dir, "code")}, "rules cannot be read")
	f.must(2, []string{"vault", "scan", filepath.Join(dir, "none"), "--local"})
	put(leak.IgnoreFile, "nonsense\n")
	f.must(2, []string{"vault", "scan", dir, "--local"}, "Line 1 of the ignore file")
}

// A server that is away is said, and nothing counts as searched.
func TestScanWithoutServer(t *testing.T) {
	f := serve(t)
	f.on("POST vault/scans/comparisons", refusal{503, `{"code":"unavailable","detail":"Away."}`})
	f.must(3, []string{"vault", "scan", t.TempDir()})
}
