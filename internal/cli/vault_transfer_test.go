package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportCommand(t *testing.T) {
	f := serve(t)
	f.on("POST vault/imports", `{"done":false,"rows":[{"key":"A","name":"/shop/a","does":"new","version":1},{"key":"B","name":"/shop/b","does":"refused","problem":"It is there already."}]}`)
	name := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(name, []byte("a: planted"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := f.must(1, []string{"vault", "import", name, "--path", "/shop", "--overwrite", "--dry-run"}, "It is there already.", "1 row cannot be taken")
	if strings.Contains(out, "planted") || !f.asked("POST /-/api/v1/vault/imports", `"form":"yaml"`, `"path":"/shop"`, `"overwrite":true`, `"dry_run":true`) {
		t.Error(out)
	}
	f.must(2, []string{"vault", "import", name + "x", "--path", "/shop"})
}

// What is exported as dotenv is what an import reads back.
func TestExportCommands(t *testing.T) {
	f := serve(t)
	f.on("POST vault/exports", `{"id":"e1"}`)
	f.on("POST vault/exports/e1/approve", nil)
	f.on("POST vault/exports/e1/take", `{"values":[{"name":"/shop/db-url","value":"a\"b\\c\nd"}]}`)
	f.on("GET vault/exports", `{"exports":[{"id":"e1","path":"/shop","reason":"a move","asker":"person/eli"}]}`)
	f.must(0, []string{"vault", "export", "ask", "/shop", "--reason", "a move elsewhere"}, "approve e1")
	f.must(0, []string{"vault", "export", "approve", "e1"})
	if out := f.must(0, []string{"vault", "export", "take", "e1", "--as-form", "dotenv"}); out != `DB_URL="a\"b\\c\nd"`+"\n" {
		t.Errorf("%q", out)
	}
	f.must(0, []string{"vault", "export", "take", "e1"}, `"/shop/db-url": "a\"b\\c\nd"`)
	f.must(2, []string{"vault", "export", "take", "e1", "--as-form", "xml"})
	f.must(0, []string{"vault", "export", "list"}, "e1", "person/eli", "a move")
}
