package cli_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/cli"
)

const anItem = `{"id":"i1","kind":"login","title":"Bank portal","folder":"Finance","vendor":"Elm","version":2,"critical":true,"rotate_days":90,"due":"2026-03-01T10:00:00Z","changed":"2026-01-01T10:00:00Z",
	"fields":[{"id":"username","label":"User","value":"treasury"},{"id":"password","label":"Password","secret":true},{"id":"own-1","label":"PIN","secret":true}],"holders":[{"name":"Ana Lind","level":"owner"}],"checked_out":{"name":"Ben","until":"2026-03-01T10:00:00Z"}}`

func TestItemCommands(t *testing.T) {
	f := serve(t)
	f.on("GET vault/items", `{"items":[`+anItem+`]}`)
	f.on("GET vault/items/i1", `{"item":`+anItem+`,"history":[{"version":2,"at":"2026-01-01T10:00:00Z","fields":["Password"]}]}`)
	for _, p := range []string{"POST vault/items", "PUT vault/items/i1", "POST vault/items/i1/restore", "POST vault/items/i1/shares", "POST vault/items/i1/checkout"} {
		f.on(p, anItem)
	}
	f.on("POST vault/items/i1/reveal", `{"field":"password","value":"the value"}`)
	f.on("POST vault/items/i1/code", `{"code":"123456","seconds_left":12}`)
	f.on("POST vault/items/i1/links", `{"url":"https://app.example.test/-/once/abc","link":{"until":"2026-03-01T10:00:00Z"}}`)
	for _, p := range []string{"vault/items/i1", "vault/items/i1/shares", "vault/items/i1/checkout", "vault/items/i1/links/l1"} {
		f.on("DELETE "+p, nil)
	}
	f.on("POST vault/generate", `{"password":"plum","bits":78}`)
	f.on("GET vault/item-report", `{"looked_at":2,"found":[{"id":"i1","title":"Bank portal","what":["weak","old"]}]}`)

	f.must(0, []string{"vault", "item", "list", "--text", "bank"}, "Bank portal", "Ana Lind", "Finance")
	f.must(0, []string{"vault", "item", "show", "i1"}, "treasury", "(hidden: --field password)", "Ana Lind (owner)", "Ben until", "Version 2")
	if status, out, _ := f.say("", cli.Server{}, "vault", "item", "reveal", "i1", "--reason", "ticket 42"); status != 0 || out != "the value" || !f.asked("POST /-/api/v1/vault/items/i1/reveal", `"field":"password"`, "ticket 42") {
		t.Errorf("reveal: %d %q", status, out)
	}
	if status, out, errs := f.say("", cli.Server{}, "vault", "item", "code", "i1"); status != 0 || out != "123456" || !strings.Contains(errs, "12 s") {
		t.Errorf("code: %d %q %q", status, out, errs)
	}
	// Secrets come from standard input alone.
	if status, _, errs := f.say("plum\n", cli.Server{}, "vault", "item", "new", "--kind", "api-key", "--title", "Mail", "--address", "https://a.example", "--owner", "ben@example.test"); status != 0 || !f.asked("POST /-/api/v1/vault/items", `"key":"plum"`, `"url":"https://a.example"`, "ben@example.test") {
		t.Errorf("new: %d %s", status, errs)
	}
	if status, _, _ := f.say("", cli.Server{}, "vault", "item", "new", "--title", "Mail"); status != 2 {
		t.Errorf("new without a secret: %d", status)
	}
	f.must(0, []string{"vault", "item", "new", "--title", "Mail", "--empty"})
	f.must(2, []string{"vault", "item", "new"}, "title")
	// What is not given stays.
	if status, _, errs := f.say("horse", cli.Server{}, "vault", "item", "edit", "i1", "--field", "password", "--folder", "Money"); status != 0 ||
		!f.asked("PUT /-/api/v1/vault/items/i1", `"title":"Bank portal"`, `"folder":"Money"`, `"vendor":"Elm"`, `"password":"horse"`, `"critical":true`, `"rotate_days":90`, `"version":2`, `{"id":"own-1","label":"PIN","secret":true}`) {
		t.Errorf("edit: %d %s", status, errs)
	}
	f.must(0, []string{"vault", "item", "delete", "i1"}, "30 days")
	f.must(0, []string{"vault", "item", "restore", "i1", "1"}, "version 2")
	f.must(2, []string{"vault", "item", "restore", "i1", "x"}, "number")
	f.must(0, []string{"vault", "item", "share", "i1", "--with", "role:engineer"})
	f.must(0, []string{"vault", "item", "unshare", "i1", "--from", "ben"}, "writ vault seen")
	f.must(0, []string{"vault", "item", "link", "i1", "--for", "1h"}, "https://app.example.test/-/once/abc")
	f.must(2, []string{"vault", "item", "link", "i1", "--for", "1s"}, "--for")
	f.must(0, []string{"vault", "item", "link", "i1", "--end", "l1"})
	f.must(0, []string{"vault", "item", "checkout", "i1", "--reason", "transfer"})
	f.must(0, []string{"vault", "item", "checkin", "i1"}, "Replace its secret")
	f.must(0, []string{"vault", "item", "generate", "--words", "6"}, "plum")
	f.must(1, []string{"vault", "item", "report"}, "weak, old")
}

func TestItemImport(t *testing.T) {
	f := serve(t)
	file := filepath.Join(t.TempDir(), "logins.csv")
	if err := os.WriteFile(file, []byte("url,password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.on("POST vault/item-import", `{"source":"browser-csv","rows":[{"row":1,"title":"Elm","kind":"login"},{"row":2,"title":"Card","kind":"login","problem":"a card"}],"good":1,"pass":"p1"}`)
	f.must(1, []string{"vault", "item", "import", file}, "Elm", "comes over", "left out: a card")
	f.must(1, []string{"vault", "item", "import", file, "--yes"}, "left out")
	if f.asked("POST /-/api/v1/vault/item-import", `"pass":"p1"`) {
		t.Error("an import that is not whole was done")
	}
	f.must(1, []string{"vault", "item", "import", file, "--yes", "--some"}) // the fake never says that it is done
	if !f.asked("POST /-/api/v1/vault/item-import", `"pass":"p1"`, `"some":true`) {
		t.Error("the pass of the try was not given")
	}
	f.must(1, []string{"vault", "item", "import", file + ".none"}, "Read the export")
}

// A database of KeePass is opened here: the server gets what is in it, and neither password nor key file.
func TestItemImportDatabase(t *testing.T) { // breaks: vault.company-creds
	f := serve(t)
	dir := t.TempDir()
	const db, key = "../kdbx/testdata/argon2id-keyfile.kdbx", "any file may be a key"
	for name, text := range map[string]string{"password": "correct horse\n", "key": key, "wrong": "correct\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.on("POST vault/item-import", `{"source":"keepass-xml","rows":[{"row":1,"title":"Elm Bank","kind":"login"}],"good":1,"pass":"p1"}`)
	f.must(2, []string{"vault", "item", "import", db}, "--db-password-file")
	f.must(1, []string{"vault", "item", "import", db, "--db-password-file", filepath.Join(dir, "wrong"), "--key-file", filepath.Join(dir, "key")}, "is not the database's")
	f.must(1, []string{"vault", "item", "import", db, "--db-password-file", filepath.Join(dir, "password")}, "is not the database's")
	if f.asked("POST /-/api/v1/vault/item-import") {
		t.Error("what could not be opened was sent")
	}
	f.must(0, []string{"vault", "item", "import", db, "--db-password-file", filepath.Join(dir, "password"), "--key-file", filepath.Join(dir, "key")}, "Elm Bank")
	_, sent, _ := strings.Cut(strings.Join(f.seen, " "), `"file":"`)
	sent, _, _ = strings.Cut(sent, `"`)
	text, err := base64.StdEncoding.DecodeString(sent)
	if err != nil || !strings.Contains(string(text), "<Value>plum &amp; 71 &lt;ü&gt;</Value>") {
		t.Errorf("sent: %s %v", text, err)
	}
	if f.asked("POST", "correct horse") || f.asked("POST", key) || f.asked("POST", "password") || !f.asked("POST", `"source":"keepass-xml"`) {
		t.Error("the password or the key went to the server")
	}
}
