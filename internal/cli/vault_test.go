package cli_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"writ/internal/cli"
)

// say runs a command on the fake's folder with something on standard input.
func (f *fake) say(in string, s cli.Server, args ...string) (status int, out, errs string) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	status = cli.Main(context.Background(), append([]string{"--dir", f.dir}, args...), strings.NewReader(in), &stdout, &stderr, s)
	return status, stdout.String(), stderr.String()
}

func TestVaultCommands(t *testing.T) {
	f := serve(t)
	f.on("POST vault/params", `{"name":"/shop/db","version":3}`)
	f.on("POST vault/read", `{"name":"/shop/db","type":"SecureString","version":3,"value":"the value"}`)
	f.on("GET vault/params", `{"params":[{"name":"/shop/db","type":"SecureString","version":3,"changed":"2026-03-01T10:00:00Z","by":"operator/0"}]}`)
	f.on("GET vault/versions", `{"versions":[{"name":"/shop/db","version":3,"labels":["prod"],"changed":"2026-03-01T10:00:00Z","by":"operator/0"}]}`)
	f.on("POST vault/rollback", `{"name":"/shop/db","version":4}`)
	f.on("DELETE vault/params", nil)
	f.on("GET vault/keys", `{"keys":[{"id":"AKIAX","owner":"operator/0","path":"/shop","read_only":true,"ends":"2026-06-01T10:00:00Z"}]}`)
	f.on("POST vault/keys", `{"access_key_id":"AKIAX","secret_access_key":"once","about":{"ends":"2026-06-01T10:00:00Z"}}`)
	f.on("DELETE vault/keys/AKIAX", nil)
	f.on("GET vault/seen", `{"who":"person/ana","seen":[{"thing":"param/01X","name":"/shop/db","version":3,"at":"2026-03-01T10:00:00Z"}]}`)

	if status, out, errs := f.say("the value\n", cli.Server{}, "vault", "put", "/shop/db"); status != 0 || !strings.Contains(out, "version 3") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if !f.asked("POST /-/api/v1/vault/params", `"value":"the value"`, `"type":"SecureString"`, `"overwrite":true`) {
		t.Error("the value was not sent as it is")
	}
	if status, _, errs := f.say("", cli.Server{}, "vault", "put", "/shop/db"); status != 2 || !strings.Contains(errs, "standard input") {
		t.Errorf("without a value: %d %s", status, errs)
	}
	if status, _, _ := f.say(strings.Repeat("x", 17<<10), cli.Server{}, "vault", "put", "/shop/db"); status != 2 {
		t.Errorf("a long value: %d", status)
	}
	if status, out, _ := f.say("", cli.Server{}, "vault", "get", "/shop/db", "--reason", "ticket 42"); status != 0 || out != "the value" || !f.asked("POST /-/api/v1/vault/read", "ticket 42") {
		t.Errorf("%d %q", status, out)
	}
	f.must(0, []string{"vault", "list", "/shop"}, "/shop/db", "SecureString", "operator/0")
	f.must(0, []string{"vault", "list", "--format", "json"}, `"name": "/shop/db"`)
	f.must(0, []string{"vault", "history", "/shop/db"}, "prod")
	f.must(0, []string{"vault", "rollback", "/shop/db", "2"}, "version 4")
	f.must(2, []string{"vault", "rollback", "/shop/db", "x"}, "no number")
	f.must(0, []string{"vault", "delete", "/shop/db"})
	f.on("GET vault/planted", `{"names":[]}`)
	f.on("POST vault/planted", `{"names":["/backup/root"]}`)
	f.on("DELETE vault/planted", `{"names":[]}`)
	f.must(0, []string{"vault", "plant"}, "None is planted")
	f.must(0, []string{"vault", "plant", "/backup/root"}, "/backup/root is planted")
	f.must(0, []string{"vault", "plant", "/backup/root", "--format", "json"}, `"/backup/root"`)
	f.must(0, []string{"vault", "plant", "/backup/root", "--remove"}, "None is planted")
	f.must(0, []string{"vault", "key", "list"}, "AKIAX", "read", "/shop")
	f.must(0, []string{"vault", "key", "create", "--path", "/shop", "--read-only"}, "AWS_ACCESS_KEY_ID=AKIAX", "AWS_SECRET_ACCESS_KEY=once", "shown this once")
	f.must(0, []string{"vault", "key", "create", "--path", "/shop", "--format", "json"}, `"secret_access_key"`)
	f.must(2, []string{"vault", "key", "create"}, "path")
	f.must(0, []string{"vault", "key", "end", "AKIAX"})
	f.on("POST vault/grants", `{"id":"01G","who":"person/ana","path":"/shop","rights":"reader","until":"2026-06-01T10:00:00Z"}`)
	f.on("GET vault/grants", `{"grants":[{"id":"01G","who":"person/ana","path":"/shop","rights":"reader","by":"operator/0","until":"2026-06-01T10:00:00Z"}]}`)
	f.on("DELETE vault/grants/01G", nil)
	f.must(0, []string{"vault", "grant", "give", "person/ana", "/shop", "reader", "--reason", "on call"}, "reader of /shop", "01G")
	f.must(2, []string{"vault", "grant", "give", "person/ana", "/shop", "reader"}, "reason")
	f.must(0, []string{"vault", "grant", "list"}, "person/ana", "/shop", "operator/0")
	f.must(0, []string{"vault", "grant", "end", "01G"}, "ended")
	f.must(0, []string{"vault", "seen", "person/ana"}, "/shop/db", "param/01X")
	f.must(2, []string{"vault", "seen"})
}

// A program is started with the values in its environment and nowhere else.
func TestRun(t *testing.T) {
	f := serve(t)
	f.on("POST vault/run", `{"values":[{"name":"/shop/db-url","value":"a=b"},{"name":"/shop/smtp/pass.word","value":"two\nlines"}]}`)
	t.Setenv("WRIT_TOKEN", someToken)
	t.Setenv("DB_URL", "of before")
	var bin string
	var args, env []string
	started := cli.Server{Exec: func(b string, a, e []string) error { bin, args, env = b, a, e; return nil }}
	if status, _, errs := f.say("", started, "run", "/shop", "--", "sh", "-c", "exit 3"); status != 0 {
		t.Fatalf("%d %s", status, errs)
	}
	if !strings.HasSuffix(bin, "/sh") || !slices.Equal(args, []string{"sh", "-c", "exit 3"}) {
		t.Errorf("%s %q", bin, args)
	}
	for _, want := range []string{"DB_URL=a=b", "PASS_WORD=two\nlines"} {
		if !slices.Contains(env, want) {
			t.Errorf("no %q in the environment", want)
		}
	}
	if slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "WRIT_TOKEN=") || kv == "DB_URL=of before" }) {
		t.Error("what let us in, or what was replaced, is in the environment")
	}
	if status, _, errs := f.say("", started, "run", "/shop", "sh"); status != 2 || !strings.Contains(errs, "--") {
		t.Errorf("without --: %d %s", status, errs)
	}
	if status, _, _ := f.say("", started, "run", "/shop", "--", "no-such-command-here"); status != 2 {
		t.Errorf("a command that is not there: %d", status)
	}
	failing := cli.Server{Exec: func(string, []string, []string) error { return errors.New("exec format error") }}
	if status, _, errs := f.say("", failing, "run", "/shop", "--", "sh"); status == 0 || !strings.Contains(errs, "sh") {
		t.Errorf("%d %s", status, errs)
	}
	g := serve(t)
	g.on("POST vault/run", `{"values":[{"name":"/a/b-c","value":"1"},{"name":"/a/x/b.c","value":"2"}]}`)
	if status, _, errs := g.say("", started, "run", "/a", "--", "sh"); status != 1 || !strings.Contains(errs, "/a/b-c") || !strings.Contains(errs, "/a/x/b.c") || !strings.Contains(errs, "B_C") {
		t.Errorf("a collision: %d %s", status, errs)
	}
}
