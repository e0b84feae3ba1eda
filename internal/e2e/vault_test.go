package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vault keeps a secret, shows it, and hands it to nobody without a record.
func (k *talker) vault(t *testing.T) {
	t.Helper()
	put := k.writ("vault", "put", "/shop/db-password")
	put.stdin = "correct horse"
	k.json(t, 0, put)
	k.json(t, 0, put)
	if got := decode[struct{ Value string }](t, k.ask(t, "vault", "get", "/shop/db-password", "--reason", "a look")).Value; got != "correct horse" {
		t.Errorf("the vault keeps %q", got)
	}
	k.ask(t, "vault", "list", "/shop")
	if got := decode[struct{ Seen []struct{ Name string } }](t, k.ask(t, "vault", "seen", "operator/uid-"+strconv.Itoa(os.Getuid()))).Seen; len(got) != 1 || got[0].Name != "/shop/db-password" {
		t.Errorf("who read it knows %v", got)
	}
	k.ask(t, "vault", "history", "/shop/db-password")
	k.ask(t, "vault", "rollback", "/shop/db-password", "1")
	ana := decode[struct{ ID string }](t, k.ask(t, "user", "show", "ana@example.test")).ID
	grant := decode[struct{ ID string }](t, k.ask(t, "vault", "grant", "give", "person/"+ana, "/shop", "reader", "--reason", "on call")).ID
	k.ask(t, "vault", "grant", "list")
	if got := decode[struct{ Names []string }](t, k.ask(t, "vault", "plant", "/backup/root")).Names; len(got) != 1 || got[0] != "/backup/root" {
		t.Errorf("planted: %v", got)
	}
	k.ask(t, "vault", "grant", "end", grant)
	key := decode[struct {
		ID string `json:"access_key_id"`
	}](t, k.ask(t, "vault", "key", "create", "--path", "/shop", "--read-only"))
	k.ask(t, "vault", "key", "list")
	k.ask(t, "vault", "key", "end", key.ID)
	k.vaultMore(t)
	must(t, 3, k.writ("run", "/shop", "--", "sh", "-c", `[ "$DB_PASSWORD" = "correct horse" ] && exit 3`))
	must(t, 3, k.writ("run", "/shop", "--restart", "--", "sh", "-c", `[ "$DB_PASSWORD" = "correct horse" ] && exit 3`))
	k.template(t)
	k.scan(t)
	k.bundle(t)
	k.rotation(t)
	k.carry(t)
	k.ask(t, "vault", "delete", "/shop/db-password")
	must(t, 1, k.writ("vault", "get", "/shop/db-password"), "There is no parameter")
}

// vaultMore says things about names, looks for them, compares and goes back, and makes a key
// that programs encrypt with.
func (k *talker) vaultMore(t *testing.T) {
	t.Helper()
	k.ask(t, "vault", "mark", "/shop", "--sensitive", "--critical", "--rotation-days", "90", "--clause", "vault.secret-home", "--owner", "operator/"+strconv.Itoa(os.Getuid()))
	plain := k.writ("vault", "put", "/shop/plain", "--plain")
	plain.stdin = "a setting"
	must(t, 1, plain, "sensitive")
	if a := decode[struct {
		Sensitive bool
		Days      int `json:"rotation_days"`
	}](t, k.ask(t, "vault", "about", "/shop/db-password")); !a.Sensitive || a.Days != 90 {
		t.Errorf("%+v", a)
	}
	found := decode[struct{ Params []struct{ Name string } }](t, k.ask(t, "vault", "find", "PASSWORD", "--path", "/shop", "--type", "SecureString", "--clause", "vault.secret-home", "--changed-days", "1", "--newer-days", "1"))
	if unread := decode[struct{ Params []any }](t, k.ask(t, "vault", "find", "--path", "/shop", "--unread-days", "1")); len(unread.Params) != 0 {
		t.Errorf("of today's names %d were not read for a day", len(unread.Params))
	}
	if len(found.Params) != 1 || found.Params[0].Name != "/shop/db-password" {
		t.Errorf("%+v", found)
	}
	if d := decode[struct{ Same bool }](t, k.ask(t, "vault", "diff", "/shop/db-password", "1", "2")); !d.Same {
		t.Errorf("%+v", d)
	}
	before := time.Now().UTC().Format(time.RFC3339Nano)
	ends := k.writ("vault", "put", "/shop/db-password", "--expires", "2090-01-31", "--warn-days", "7", "--stale-days", "30")
	ends.stdin = "another"
	k.json(t, 0, ends)
	if b := decode[struct{ Changed []struct{ From int } }](t, k.ask(t, "vault", "rollback", "/shop", "--to", before)); len(b.Changed) != 1 {
		t.Errorf("%+v", b)
	}
	made := decode[struct{ ID string }](t, k.ask(t, "vault", "kms", "create", "--alias", "alias/shop/data", "--path", "/shop"))
	k.ask(t, "vault", "kms", "disable", "alias/shop/data")
	k.ask(t, "vault", "kms", "enable", made.ID)
	k.ask(t, "vault", "kms", "rotate", "alias/shop/data")
	k.ask(t, "vault", "kms", "alias", made.ID, "alias/else")
	if l := decode[struct {
		Keys []struct{ Aliases []string }
	}](t, k.ask(t, "vault", "kms", "list")); len(l.Keys) != 1 || len(l.Keys[0].Aliases) != 2 {
		t.Errorf("%+v", l)
	}
}

// scan finds a value of the vault in a file, and says what became of it.
func (k *talker) scan(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte("password: correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.json(t, 1, k.writ("vault", "scan", dir))
	must(t, 1, k.writ("vault", "scan", dir), "The value of /shop/db-password", "corr… (13 characters)")
	must(t, 0, k.writ("vault", "scan", dir, "--local"), "0 hits")
	ps := decode[struct {
		Places []struct {
			ID   string
			Open []struct{ ID string }
		}
	}](t, k.ask(t, "vault", "scans")).Places
	i := slices.IndexFunc(ps, func(p struct {
		ID   string
		Open []struct{ ID string }
	}) bool {
		return len(p.Open) == 1
	})
	if i < 0 {
		t.Fatalf("%+v", ps)
	}
	until := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	k.ask(t, "vault", "hit", "except", ps[i].ID, ps[i].Open[0].ID, "--until", until, "--reason", "a trial of the scan")
	k.ask(t, "vault", "hit", "mend", ps[i].ID, ps[i].Open[0].ID, "--reason", "a trial of the scan")
	must(t, 0, k.writ("vault", "scan", dir, "--until", until, "--reason", "a trial of the scan"), "1 excepted")
	must(t, 0, k.writ("vault", "scan", dir), "0 hits", "1 excepted")
}

// carry brings values in, and out again under a reason and with a second person.
func (k *talker) carry(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "old.env")
	if err := os.WriteFile(file, []byte("OLD_KEY=\"brought over\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.ask(t, "vault", "import", file, "--as", "dotenv", "--path", "/old", "--dry-run")
	must(t, 1, k.writ("vault", "get", "/old/old-key"), "There is no parameter")
	k.ask(t, "vault", "import", file, "--path", "/old")
	must(t, 0, k.writ("vault", "get", "/old/old-key"), "brought over")
	e := decode[identified](t, k.ask(t, "vault", "export", "ask", "/old", "--reason", "a move elsewhere"))
	must(t, 1, k.writ("vault", "export", "take", e.ID), "Nobody else has agreed")
	k.json(t, 0, k.as("chloe@example.test", "vault", "export", "approve", e.ID))
	if out := k.ask(t, "vault", "export", "take", e.ID); !strings.Contains(out, "brought over") {
		t.Errorf("it exports %s", out)
	}
	k.ask(t, "vault", "export", "list")
	must(t, 1, k.writ("vault", "export", "take", e.ID), "This export is over")
}

// rotation has an access key replaced by itself, tried at the server's own door.
func (k *talker) rotation(t *testing.T) {
	t.Helper()
	type key struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	value := func() key {
		return decode[key](t, must(t, 0, k.writ("vault", "get", "/robot/writ-key")).out)
	}
	r := decode[struct {
		State, Fresh string
		Problem      *struct{ Code string }
	}](t, k.ask(t, "vault", "rotation", "add", "/robot/writ-key", "--path", "/robot", "--read-only", "--days", "30", "--grace", "1h"))
	first := value()
	if r.State != "promoted" || r.Fresh != first.ID || r.Problem != nil {
		t.Errorf("%+v", r)
	}
	must(t, 0, k.writ("vault", "rotation", "now", "/robot/writ-key", "--exposed"), "is in use, the next one on")
	must(t, 0, k.writ("vault", "rotation", "now", "/robot/writ-key", "--exposed"), "is in use, the next one on")
	if second := value(); second.ID == first.ID || second.Secret == first.Secret {
		t.Error("it is not replaced")
	}
	k.ask(t, "vault", "rotation", "list")
	k.ask(t, "vault", "rotation", "known", "person/nobody")
	k.ask(t, "vault", "rotation", "now", "/robot/writ-key")
	k.json(t, 0, k.writ("prove", "crypto.key-rotation"))
	must(t, 1, k.writ("vault", "rotation", "end", "/robot/writ-key"), "would stay open")
	k.ask(t, "vault", "rotation", "now", "/robot/writ-key", "--exposed")
	k.ask(t, "vault", "rotation", "end", "/robot/writ-key")
}

// bundle lets a machine start a program while the server is away, which is told later.
func (k *talker) bundle(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	key, file := filepath.Join(dir, "machine.key"), filepath.Join(dir, "shop.bundle")
	public := decode[struct{ Public string }](t, k.ask(t, "vault", "machine-key", key)).Public
	made := decode[identified](t, k.ask(t, "vault", "bundle", "create", file, "--name", "/shop/db-password", "--for", public, "--ttl", "2d"))
	offline := func(dir string) command {
		return command{args: []string{"run", "/shop", "--dir", dir, "--offline", file, "--machine-key", key, "--", "sh", "-c", `[ "$DB_PASSWORD" = "correct horse" ] && exit 3`}}
	}
	must(t, 3, offline(dir), "The server cannot be reached", "1 value") // no server runs there
	must(t, 3, offline(k.dir))
	bs := decode[struct {
		Bundles []struct {
			ID   string
			Used int
		}
	}](t, k.ask(t, "vault", "bundle", "list")).Bundles
	if len(bs) != 1 || bs[0].ID != made.ID || bs[0].Used != 1 {
		t.Errorf("%+v", bs)
	}
	k.ask(t, "vault", "bundle", "revoke", made.ID)
	must(t, 3, offline(k.dir))
	must(t, 1, offline(dir), "revoked")
}

// template writes a file with a value in it, and nothing where one is missing.
func (k *talker) template(t *testing.T) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	write := func(text string) {
		if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`password: {{param "/shop/db-password:1" | json}}`)
	k.ask(t, "vault", "template", in, out, "--reason", "a start")
	write(`{{param "/shop/none"}}`)
	must(t, 3, k.writ("vault", "template", in, out), "/shop/none")
	if b, err := os.ReadFile(out); err != nil || string(b) != `password: "correct horse"` {
		t.Errorf("%s %v", b, err)
	}
}

// care is what the operator does for a customer who asks.
func (k *talker) care(t *testing.T) {
	t.Helper()
	const carl = "carl@orchard.example"
	k.customer(carl)
	k.ask(t, "user", "export", carl, "--reason", "asked by telephone")
	k.ask(t, "user", "reset", carl, "--reason", "asked by telephone")
	const ana, ben = "ana@example.test", "ben@example.test"
	k.json(t, 0, k.as(ana, "support", "look", carl, "--reason", "an order is missing", "--ticket", "T-1", "--for", "15m", "--get", "/"))
	v := k.visitor()
	k.enter(v, ana, aPassword)
	id := v.want(http.StatusCreated, "POST", "support", obj{"person": carl, "reason": "an order is wrong", "ticket": "T-2", "write": true}).field("id")
	k.json(t, 0, k.as(ben, "support", "agree", id))
	k.json(t, 0, k.as(ben, "support", "list"))
	k.json(t, 0, k.as(ben, "support", "end", id))
	k.ask(t, "user", "looks", carl)
}
