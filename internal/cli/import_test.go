package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/cli"
)

func files(t *testing.T, all map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUserImport(t *testing.T) {
	f := serve(t)
	var begun map[string]any
	f.onDo("POST imports", func(r *http.Request) any {
		begun = map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&begun); err != nil {
			t.Error(err)
		}
		return `{"id":"i1","spec":"{SALT}:{PASSWORD} salt=hex digest=hex"}`
	})
	var rows []map[string]any
	dry := false
	f.onDo("POST imports/i1/rows", func(r *http.Request) any {
		var in struct {
			Rows   []map[string]any `json:"rows"`
			DryRun bool             `json:"dry_run"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		rows, dry = append(rows, in.Rows...), in.DryRun
		out := []map[string]any{}
		for _, x := range in.Rows {
			o := map[string]any{"line": x["line"], "outcome": "made", "format": "sha256-salted"}
			if x["email"] == "bad" {
				o = map[string]any{"line": x["line"], "outcome": "refused", "code": "email_invalid", "problem": "This is no address."}
			}
			out = append(out, o)
		}
		return map[string]any{"rows": out}
	})
	f.on("POST imports/i1/end", `{"id":"i1"}`)
	dir := files(t, map[string]string{
		"people.csv":   "\ufeffEmail,hash,salt,name\nana@example.test,ab,cd,\"Ana\nMeyer\"\nbad,ab,cd,\n" + strings.Repeat("x@example.test,ab,cd,\n", 120),
		"people.jsonl": "{\"email\":\"ana@example.test\",\"hash\":\"ab\"}\n\n{\"email\":\"ben@example.test\"}\n",
		"pair.json":    `{"password":"known","hash":"ab","salt":"cd"}`,
		"odd.csv":      "email,password\na,b\n", "short.csv": "email,hash\na\n", "odd.jsonl": "{\"email\":\"a\",\"role\":\"owner\"}\n", "no.json": "[]", "people.xls": "x",
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	out := f.must(1, []string{"user", "import", at("people.csv"), "--test-pair", at("pair.json"), "--dry-run"}, "proved by the test pair", "line 4: This is no address.", "sha256-salted", "121", "Nothing was written")
	if strings.Contains(out, "known") || !dry || len(rows) != 122 || rows[0]["name"] != "Ana\nMeyer" || rows[0]["line"] != float64(2) || begun["pair"].(map[string]any)["password"] != "known" {
		t.Errorf("%v rows, dry %v, begun with %v: %s", len(rows), dry, begun, out)
	}
	rows = nil
	f.must(0, []string{"user", "import", at("people.jsonl"), "--template", "{SALT}:{PASSWORD}", "--salt", "hex", "--test-pair", at("pair.json"), "--team", "t1"}, "made")
	if dry || len(rows) != 2 || rows[1]["line"] != float64(3) || begun["template"] != "{SALT}:{PASSWORD}" || begun["salt"] != "hex" || begun["digest"] != "hex" || begun["team"] != "t1" || !f.asked("POST /-/api/v1/imports/i1/end") {
		t.Errorf("%v %v", rows, begun)
	}
	for name, words := range map[string]string{"odd.csv": "password", "short.csv": "short.csv:2", "odd.jsonl": "odd.jsonl:1", "people.xls": "neither", "none.csv": "none.csv"} {
		f.must(2, []string{"user", "import", at(name)}, words)
	}
	f.must(2, []string{"user", "import", at("people.jsonl"), "--test-pair", at("no.json")}, "no test pair")
}

func FuzzImportFile(f *testing.F) {
	f.Add("email,hash\na,b\n", true)
	f.Add("{\"email\":\"a\"}\n", false)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		name := "x.jsonl"
		if isCSV {
			name = "x.csv"
		}
		last := 0
		n, err := cli.ReadRows(strings.NewReader(text), name, func(line int) {
			if line <= last {
				t.Fatalf("line %d after %d in %q", line, last, text)
			}
			last = line
		})
		if err != nil && err != io.EOF && strings.Contains(err.Error(), "panic") || n > len(text)+1 {
			t.Fatalf("%d rows of %q, %v", n, text, err)
		}
	})
}
