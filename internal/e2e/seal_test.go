package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// holders makes the three owners holders of the root key, each with a key file.
func (c *council) holders(t *testing.T) {
	t.Helper()
	must(t, 0, c.writ(append([]string{"vault", "holders", "appoint"}, threeOwners...)...), "They are asked")
	for i, o := range threeOwners {
		file := c.key(i)
		must(t, 0, command{args: []string{"vault", "holder-key", file}}, "writ-holder-1 ")
		must(t, 0, c.as(o, "vault", "holders", "enrol", "--holder", file), "You are enrolled")
	}
}

func (c *council) key(i int) string {
	return filepath.Join(c.dir, "..", []string{"a", "b", "c"}[i]+".holder")
}

// unseals gives the shares of these holders to a sealed server, and waits until it is ready.
func (s *server) unseals(t *testing.T, keys ...string) {
	t.Helper()
	for i, k := range keys {
		words := "shares are given"
		if i == len(keys)-1 {
			words = "The vault opens"
		}
		must(t, 0, s.writ("vault", "unseal", "--holder", k), words)
	}
	eventually(t, "the server opens", func() bool { return s.writ("vault", "holders", "list").run(t).code == 0 })
}

// sealed waits until a server says that it is, and looks at what it answers then.
func (s *server) sealed(t *testing.T, times int) {
	t.Helper()
	eventually(t, "the server is sealed", func() bool { return strings.Count(s.log.String(), "msg=sealed") == times })
	v := s.visitor()
	for path, want := range map[string]struct {
		status int
		words  string
	}{
		"/-/unseal": {200, "The vault is sealed"}, "/-/livez": {200, `"ok"`}, "/-/readyz": {503, `"sealed"`}, "/": {503, "closed for a moment"}, "/-/sign-in": {503, "closed for a moment"},
		"/-/console": {503, "closed for a moment"}, "/-/api/v1/session": {503, `"code":"sealed"`}, "/-/aws/": {503, `{"__type":"ServiceUnavailable"`}, "/-/jwks": {503, "closed"}, "/-/trust": {503, "closed"}, "/-/status": {503, "closed for a moment"}, "/-/status/api/v2/summary.json": {503, `"code":"sealed"`},
	} {
		accept := "text/html"
		if strings.Contains(path, "/api/") {
			accept = "application/json"
		}
		a := v.send("GET", path, nil, http.Header{"Accept": {accept}})
		if a.status != want.status || !strings.Contains(a.body, want.words) {
			t.Errorf("%s: %v, want %d %s", path, a, want.status, want.words)
		}
		if a.status == 503 && !strings.Contains(path, "readyz") && a.header.Get("Retry-After") == "" {
			t.Errorf("%s does not say when to come back", path)
		}
	}
	must(t, 3, s.writ("check"), "closed for a moment")
	must(t, 3, s.writ("vault", "get", "/x"))
}

// The whole way from root.key to shares alone: holders enrol, the server starts sealed and
// is opened by two of three, new shares of a new root are made, tried, and root.key goes.
func TestSharesAlone(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{owners: threeOwners})
	s := f.serve()
	c := newCouncil(t, s)
	must(t, 1, c.writ("vault", "seal", "--reason", "to see it"), "nobody could open the vault again")
	c.holders(t)
	must(t, 0, c.writ("vault", "holders", "list"), "2 of 3 open the vault", "root.key", "in use")
	must(t, 0, c.writ("vault", "holders", "drill"), "The drill is on")
	must(t, 0, c.writ("vault", "unseal"), "no share is given yet")
	must(t, 0, c.writ("vault", "unseal", "--holder", c.key(0)), "1 of 2 shares are given")
	must(t, 1, c.writ("vault", "unseal", "--holder", c.key(0)), "One holder counts once")
	must(t, 0, c.writ("vault", "unseal", "--holder", c.key(2), "--url", f.origin, "--ca", filepath.Join(f.dir, "ca", "ca.pem")), "The shares fit")
	must(t, 1, c.writ("vault", "holders", "drop-file"), "opens by itself")
	s.stop()

	f.edit(func(text string) string { return text + "vault:\n  unseal:\n    kind: shares\n" })
	s = f.launch("serve", "--dir", f.dir)
	s.sealed(t, 1)
	c.server = s
	stranger := filepath.Join(f.dir, "..", "stranger.holder")
	must(t, 0, command{args: []string{"vault", "holder-key", stranger}})
	must(t, 1, s.writ("vault", "unseal", "--holder", stranger), "No share of the set in use")
	s.unseals(t, c.key(1), c.key(2))
	must(t, 0, s.writ("vault", "holders", "list"), "the root key also lies in root.key", "At a start the holders open it")
	must(t, 1, s.writ("vault", "holders", "drop-file"), "of the root key in this file")
	must(t, 0, s.writ("vault", "holders", "reshare"))
	must(t, 1, s.writ("vault", "holders", "drop-file"), "not tried yet")
	must(t, 0, s.writ("vault", "holders", "drill"))
	for _, k := range []string{c.key(0), c.key(1)} {
		must(t, 0, s.writ("vault", "unseal", "--holder", k))
	}
	must(t, 0, s.writ("vault", "holders", "drop-file"), "Only holders open the vault now")
	if _, err := os.Stat(filepath.Join(f.dir, "root.key")); err == nil {
		t.Error("root.key is there still")
	}
	must(t, 0, s.writ("vault", "seal", "--reason", "an intruder on the machine"), "The vault is sealed")
	s.sealed(t, 2)
	s.unseals(t, c.key(2), c.key(0))
	if r := s.writ("check", "--clause", "people.no-sole-holder", "--live").run(t); r.code != 0 || !strings.Contains(r.out, "in no other way") {
		t.Errorf("the clause: %v", r)
	}
	s.kill() // as a power cut does
	s = f.launch("serve", "--dir", f.dir)
	s.sealed(t, 1)
	s.unseals(t, c.key(0), c.key(1))
	for _, act := range []string{"vault.unsealed", "vault.share-given", "vault.share-refused", "vault.seal-asked", "vault.root-file-dropped", "vault.drill-done", "vault.auto-unsealed"} {
		if !strings.Contains(s.entries(t, act), act) {
			t.Errorf("no entry of %s", act)
		}
	}
	s.stop()
}

// entries are those of an act.
func (s *server) entries(t *testing.T, act string) string {
	t.Helper()
	return must(t, 0, s.writ("journal", "entries", "--act", act)).out
}

// A server that opens by itself does so in the declared way, and says so; a key file that
// others may read, or none, keeps it closed.
func TestOpensByItself(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{})
	key := filepath.Join(f.dir, "..", "the.key")
	if err := os.Rename(filepath.Join(f.dir, "root.key"), key); err != nil {
		t.Fatal(err)
	}
	must(t, 3, f.writ("serve"), "root.key")
	f.edit(func(text string) string {
		return text + "vault:\n  unseal:\n    kind: key-file\n    path: " + key + "\n"
	})
	if err := os.Chmod(key, 0o440); err != nil {
		t.Fatal(err)
	}
	must(t, 3, f.writ("serve"), "Mode 0400")
	if err := os.Chmod(key, 0o400); err != nil {
		t.Fatal(err)
	}
	s := f.serve()
	must(t, 0, s.writ("vault", "holders", "list"), "a key file on this machine", "No shares are out")
	if r := s.writ("check", "--clause", "people.no-sole-holder", "--live").run(t); !strings.Contains(r.out, "no shares of the root key are out") {
		t.Errorf("the clause: %v", r)
	}
	s.stop()
	f.edit(func(text string) string { return strings.Replace(text, "kind: key-file", "kind: shares", 1) })
	must(t, 3, f.writ("serve"), "there are none")
	f.edit(func(text string) string { return strings.Replace(text, "kind: shares", "kind: paper", 1) })
	must(t, 1, f.writ("serve"), "vault.unseal.kind")
}

// seal tries every command of the root key's holders with --format json; the server is
// sealed by it and opened again.
func (k *talker) seal(t *testing.T) {
	t.Helper()
	k.ask(t, append([]string{"vault", "holders", "appoint"}, threeOwners...)...)
	for i, o := range threeOwners {
		made := decode[struct{ Line string }](t, k.json(t, 0, command{args: []string{"vault", "holder-key", k.key(i)}}))
		if !strings.HasPrefix(made.Line, "writ-holder-1 ") {
			t.Errorf("the key's line is %q", made.Line)
		}
		enrol := k.writ("vault", "holders", "enrol", "--holder", k.key(i), "--as", o)
		enrol.password, enrol.code = aPassword, k.phone(o).code(t) // of the app: the others have used up the recovery codes
		k.json(t, 0, enrol)
	}
	k.ask(t, "vault", "holders", "list")
	k.ask(t, "vault", "holders", "drill")
	k.ask(t, "vault", "unseal")
	k.ask(t, "vault", "unseal", "--holder", k.key(0))
	k.ask(t, "vault", "holders", "reshare")
	must(t, 1, k.writ("vault", "holders", "drop-file"), "opens by itself")
	k.tried["vault holders drop-file"] = true // done in TestSharesAlone
	k.ask(t, "vault", "holders", "remove", threeOwners[2])
	k.ask(t, "vault", "seal", "--reason", "to see it")
	eventually(t, "the server is sealed", func() bool { return strings.Contains(k.log.String(), `"msg":"sealed"`) })
	for i := range 2 {
		k.ask(t, "vault", "unseal", "--holder", k.key(i))
	}
	eventually(t, "the server opens", func() bool { return k.writ("vault", "holders", "list").run(t).code == 0 })
}
