package e2e

import (
	"net/http"
	"os"
	"strconv"
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
	k.ask(t, "vault", "grant", "end", grant)
	key := decode[struct {
		ID string `json:"access_key_id"`
	}](t, k.ask(t, "vault", "key", "create", "--path", "/shop", "--read-only"))
	k.ask(t, "vault", "key", "list")
	k.ask(t, "vault", "key", "end", key.ID)
	k.vaultMore(t)
	must(t, 3, k.writ("run", "/shop", "--", "sh", "-c", `[ "$DB_PASSWORD" = "correct horse" ] && exit 3`))
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
	found := decode[struct{ Params []struct{ Name string } }](t, k.ask(t, "vault", "find", "PASSWORD", "--path", "/shop", "--type", "SecureString", "--clause", "vault.secret-home", "--changed-days", "1"))
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
