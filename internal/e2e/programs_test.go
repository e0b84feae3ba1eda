package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// programs makes a service and its token, ends both, and brings somebody over.
func (k *talker) programs(t *testing.T) {
	t.Helper()
	k.ask(t, "token", "service", "export", "--role", "auditor")
	made := decode[struct{ About struct{ ID string } }](t, k.ask(t, "token", "issue", "nightly", "--service", "export", "--scope", "journal.read"))
	k.ask(t, "token", "list")
	k.ask(t, "token", "services")
	k.ask(t, "token", "revoke", made.About.ID)
	file := filepath.Join(t.TempDir(), "people.jsonl")
	if err := os.WriteFile(file, []byte(`{"email":"cem@example.test","hash":"$5$abcdefgh$sYjQ4vynYsNAnM.JMipLH1IMXSipuA8cURgfc3GsHo."}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.ask(t, "user", "import", file)
}
