package cli_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/cli"
	"writ/internal/parcel"
	"writ/internal/secret"
)

// cutOff is a machine with a key, and a server that signs bundles for it.
type cutOff struct {
	*fake
	sign ed25519.PrivateKey
	key  string // file
	to   parcel.Machine
	env  []string // of the program that was started
}

func newCutOff(t *testing.T) *cutOff {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutOff{fake: serve(t), sign: priv, key: filepath.Join(t.TempDir(), "machine.key")}
	c.on("GET vault/bundles/key", map[string]string{"key": parcel.Server(pub)})
	c.on("POST vault/run", `{"values":[{"name":"/shop/key","value":"from the server"}]}`)
	c.on("POST vault/bundles/uses", `{"revoked":["b-revoked"]}`)
	if c.to, err = parcel.ParseMachine(strings.TrimSpace(c.must(0, []string{"vault", "machine-key", c.key}))); err != nil {
		t.Fatal(err)
	}
	return c
}

// bundle writes one that was made a while ago.
func (c *cutOff) bundle(id string, ago, life time.Duration) string {
	c.t.Helper()
	at := time.Now().Add(-ago)
	text, _, err := parcel.Seal(parcel.Head{ID: id, Issued: at, Ends: at.Add(life), Names: []string{"/shop/key:1", "/shopping/x:1", "/else/y:1"}},
		[]parcel.Value{{Name: "/shop/key", Text: secret.NewText("from the bundle")}, {Name: "/shopping/x", Text: secret.NewText("x")}, {Name: "/else/y", Text: secret.NewText("y")}}, c.to, c.sign)
	if err != nil {
		c.t.Fatal(err)
	}
	name := filepath.Join(c.t.TempDir(), "bundle")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// start runs a program in a folder, with the bundle at hand.
func (c *cutOff) start(dir, bundle string) (status int, errs string) {
	c.t.Helper()
	c.env = nil
	f := &fake{t: c.t, dir: dir}
	status, _, errs = f.say("", cli.Server{Exec: func(_ string, _, env []string) error { c.env = env; return nil }}, "run", "/shop", "--offline", bundle, "--machine-key", c.key, "--", "sh")
	return status, errs
}

func (c *cutOff) notes() (n struct {
	Seen    time.Time
	Uses    []struct{ Bundle, Path string }
	Revoked []string
}) {
	c.t.Helper()
	b, err := os.ReadFile(c.key + ".state")
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	return n
}

// A bundle is used while the server cannot be reached, and only then; each use is noted
// before the program starts, and told when the server is back.
func TestOffline(t *testing.T) { // breaks: vault.secret-home
	c := newCutOff(t)
	if i, err := os.Stat(c.key); err != nil || i.Mode() != 0o400 {
		t.Errorf("%v %v", i.Mode(), err)
	}
	nowhere, good := t.TempDir(), c.bundle("b1", time.Hour, parcel.MaxLife)
	if status, errs := c.start(c.dir, good); status != 0 || !slices.Contains(c.env, "KEY=from the server") {
		t.Errorf("the server is there: %d %s", status, errs)
	}
	if n := c.notes(); len(n.Uses) != 0 || len(n.Revoked) != 1 {
		t.Errorf("%+v", n)
	}
	for range 2 {
		if status, errs := c.start(nowhere, good); status != 0 || !slices.Contains(c.env, "KEY=from the bundle") || !strings.Contains(errs, "1 value") {
			t.Errorf("the server is away: %d %s", status, errs)
		}
	}
	if slices.Contains(c.env, "X=x") || slices.Contains(c.env, "Y=y") {
		t.Error("values outside the path are in the environment")
	}
	if n := c.notes(); len(n.Uses) != 2 || n.Uses[0].Bundle != "b1" || n.Uses[0].Path != "/shop" {
		t.Errorf("%+v", n)
	}
	if status, errs := c.start(c.dir, good); status != 0 || !c.asked("POST /-/api/v1/vault/bundles/uses", `"bundle":"b1"`, `"path":"/shop"`) {
		t.Errorf("%d %s", status, errs)
	}
	if n := c.notes(); len(n.Uses) != 0 {
		t.Errorf("what was told is noted still: %+v", n)
	}
}

// A server that refuses is there: no bundle goes around its answer.
func TestOfflineIsNoWayAround(t *testing.T) { // breaks: vault.access-logged
	c := newCutOff(t)
	g := serve(t)
	g.on("POST vault/run", refusal{403, `{"code":"not_allowed","detail":"You may not read this."}`})
	if status, errs := c.start(g.dir, c.bundle("b1", time.Hour, parcel.MaxLife)); status != 1 || c.env != nil || !strings.Contains(errs, "may not") {
		t.Errorf("%d %s %q", status, errs, c.env)
	}
}

// Each way in which a bundle is not good.
func TestOfflineRefuses(t *testing.T) { // breaks: vault.secret-home
	c := newCutOff(t)
	nowhere, good := t.TempDir(), c.bundle("b1", time.Hour, parcel.MaxLife)
	no := func(what, bundle, says string) {
		t.Helper()
		if status, errs := c.start(nowhere, bundle); status == 0 || c.env != nil || !strings.Contains(errs, says) {
			t.Errorf("%s: %d %s", what, status, errs)
		}
	}
	no("one that has ended", c.bundle("b2", 3*time.Hour, 2*time.Hour), "has ended")
	no("one of the future", c.bundle("b3", -time.Hour, 2*time.Hour), "begins after")
	other := newCutOff(t)
	no("another server's, for another machine", other.bundle("b4", 0, time.Hour), "signed")
	other.sign = c.sign
	no("another machine's", other.bundle("b5", 0, time.Hour), "another machine")
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	altered := filepath.Join(t.TempDir(), "altered")
	if err := os.WriteFile(altered, []byte(strings.Replace(string(b), "/shop/key:1", "/shop/kex:1", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	no("an altered one", altered, "signed")
	if status, errs := c.start(c.dir, good); status != 0 { // which tells what is revoked
		t.Fatal(errs)
	}
	no("a revoked one", c.bundle("b-revoked", 0, time.Hour), "revoked")
	state := c.key + ".state"
	if err := os.WriteFile(state, []byte(`{"seen":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	no("a clock that was put back", good, "put back")
	if err := os.WriteFile(state, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	no("notes that cannot be read", good, "notes")
	if err := errors.Join(os.Remove(state), os.Chmod(c.key, 0o440)); err != nil {
		t.Fatal(err)
	}
	no("a key that others may read", good, "chmod 0400")
	if status, _, errs := c.say("", cli.Server{}, "run", "/shop", "--offline", good, "--", "sh"); status != 2 || !strings.Contains(errs, "belong together") {
		t.Errorf("without a key: %d %s", status, errs)
	}
}

func TestBundleCommands(t *testing.T) {
	c := newCutOff(t)
	c.on("POST vault/bundles", `{"bundle":"the text","about":{"id":"b1","machine":"f00d","names":["/shop/key:1"],"ends":"2026-03-08T10:00:00Z"}}`)
	c.on("GET vault/bundles", `{"bundles":[{"id":"b1","machine":"f00d","names":["/shop/key:1"],"ends":"2026-03-08T10:00:00Z","revoked":"2026-03-02T10:00:00Z","used":2}]}`)
	c.on("DELETE vault/bundles/b1", nil)
	dir := t.TempDir()
	pub, out := filepath.Join(dir, "pub"), filepath.Join(dir, "out")
	if err := os.WriteFile(pub, []byte(c.to.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(0, []string{"vault", "bundle", "create", out, "--name", "/shop/key", "--for", pub, "--ttl", "3d"}, "1 value", "f00d")
	if b, err := os.ReadFile(out); err != nil || string(b) != "the text" || !c.asked("POST /-/api/v1/vault/bundles", `"hours":72`, c.to.String()) {
		t.Errorf("%s %v", b, err)
	}
	c.must(2, []string{"vault", "bundle", "create", out, "--name", "/shop/key", "--for", pub}, "there already")
	c.must(2, []string{"vault", "bundle", "create", out, "--name", "/shop/key", "--for", pub, "--ttl", "x"}, "--ttl")
	c.must(0, []string{"vault", "bundle", "list"}, "b1", "revoked", "/shop/key:1")
	c.must(0, []string{"vault", "bundle", "revoke", "b1"})
	c.must(2, []string{"vault", "machine-key", c.key}, "there already")
}
