package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A second run changes nothing and says so; a wrong one leaves nothing.
func TestInit(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{owners: threeOwners})
	for o, u := range f.owners {
		if !strings.HasPrefix(u, f.origin+"/-/invite/") || len(u) < len(f.origin)+40 {
			t.Errorf("%s gets %q", o, u)
		}
	}
	before := snapshot(t, f.dir)
	again := []string{"init", "--dir", f.dir, "--app", "https://other.example.com", "--upstream", "http://127.0.0.1:9", "--owner", "eve@example.test"}
	must(t, 0, command{args: again}, "set up already", "Nothing was changed")
	r := must(t, 0, command{args: append(again, "--format", "json")})
	if got := decode[struct {
		Changed *bool
		Owners  []any
	}](t, r.out); got.Changed == nil || *got.Changed || len(got.Owners) != 0 {
		t.Errorf("the second run says %s", r.out)
	}
	if after := snapshot(t, f.dir); after != before {
		t.Errorf("the second run changed the folder:\n%s\n%s", before, after)
	}
	for name, mode := range map[string]os.FileMode{".": 0o700, "root.key": 0o400, "writ.yaml": 0o600, "writ.db": 0o600, "keys.db": 0o600, "mail": 0o700, "ca": 0o700} {
		i, err := os.Stat(filepath.Join(f.dir, name))
		if err != nil || i.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want %v", name, i.Mode(), err, mode)
		}
	}
	if link := f.owners["ben@example.test"]; len(holds(t, f.dir, link[strings.LastIndexByte(link, '/')+1:])) > 0 {
		t.Error("an owner's link lies in the folder")
	}
}

// snapshot is the names, sizes and times of a folder.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		i, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(e.Name() + " " + i.ModTime().String() + "\n")
	}
	return b.String()
}

func TestInitRefused(t *testing.T) {
	t.Parallel()
	good := map[string]string{"app": "https://app.example.com", "upstream": "http://127.0.0.1:9", "owner": "ana@example.test"}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, policy, "policy: nothing\n", 0o600)
	tests := []struct {
		name, flag, value string
		code              int
		says              []string
	}{
		{"no owner", "owner", "-", 2, []string{"owner"}},
		{"no app", "app", "-", 2, []string{"app"}},
		{"owner without a domain", "owner", "ana", 1, []string{"not an e-mail address", "ana@example.com"}},
		{"owner with a line", "owner", "ana@example.test\nx", 1, []string{"not an e-mail address"}},
		{"empty owner", "owner", "", 1, []string{"not an e-mail address"}},
		{"plain app", "app", "http://app.example.com", 1, []string{"app is", "https://app.example.com"}},
		{"app with a path", "app", "https://app.example.com/x", 1, []string{"app is"}},
		{"no URL", "app", "app.example.com", 1, []string{"app is"}},
		{"app with a password", "app", "https://u:p@app.example.com", 1, []string{"app is"}},
		{"unknown scheme", "upstream", "gopher://127.0.0.1", 1, []string{"upstream is", "http://10.0.1.10:3000"}},
		{"upstream without host", "upstream", "http://", 1, []string{"upstream is"}},
		{"upstream with a path", "upstream", "http://127.0.0.1:9/x", 1, []string{"upstream"}},
		{"upstream in clear over the world", "upstream", "http://203.0.113.7", 1, []string{"private network in clear"}},
		{"mail scheme", "mail", "gopher://127.0.0.1", 1, []string{"mail.url"}},
		{"mail password is not shown", "mail", "gopher://u:hunter22@127.0.0.1", 1, []string{"mail.url"}},
		{"author not an owner", "author", "eve@example.test", 1, []string{"none of the owners"}},
		{"policy file missing", "policy", policy + ".none", 1, []string{"policy file"}},
		{"policy file wrong", "policy", policy, 1, []string{"policy.yaml"}},
		{"address without port", "https", "localhost", 1, []string{"https is"}},
		{"unknown flag", "colour", "red", 2, []string{"colour"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "w")
			args := []string{"init", "--dir", dir}
			for k, v := range good {
				if k != tt.flag {
					args = append(args, "--"+k, v)
				}
			}
			if tt.value != "-" {
				args = append(args, "--"+tt.flag, tt.value)
			}
			r := must(t, tt.code, command{args: args}, tt.says...)
			if _, err := os.Lstat(dir); !os.IsNotExist(err) {
				t.Errorf("the refused run left %s", dir)
			}
			if strings.Contains(r.out+r.err, "hunter22") {
				t.Errorf("a password is shown: %v", r)
			}
		})
	}
}

// A folder that holds something else is left as it is, an empty one is used and, after a
// refusal, empty again.
func TestInitFolder(t *testing.T) {
	t.Parallel()
	args := func(dir string, more ...string) command {
		return command{args: append([]string{"init", "--dir", dir, "--app", "https://app.example.com", "--upstream", "http://127.0.0.1:9", "--owner", "ana@example.test"}, more...)}
	}
	full := t.TempDir()
	write(t, filepath.Join(full, "thesis.txt"), "years of work", 0o644)
	must(t, 1, args(full), "not empty", "--dir")
	if es, err := os.ReadDir(full); err != nil || len(es) != 1 {
		t.Errorf("the folder holds %v %v", es, err)
	}
	file := filepath.Join(full, "thesis.txt")
	must(t, 1, args(file))
	if b, err := os.ReadFile(file); err != nil || string(b) != "years of work" {
		t.Errorf("the file is %q %v", b, err)
	}
	empty := t.TempDir()
	must(t, 1, args(empty, "--mail", "gopher://x"))
	if es, err := os.ReadDir(empty); err != nil || len(es) != 0 {
		t.Errorf("a refused run left %v %v", es, err)
	}
	must(t, 0, args(empty, "--https", "127.0.0.1:8443"), "Start it with")
}
