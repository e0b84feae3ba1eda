package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// encryption says in JSON what the commands of keys say; the story is below.
func (k *talker) encryption(t *testing.T) {
	t.Helper()
	k.ask(t, "vault", "rotate", "--status")
	k.ask(t, "vault", "shred", "--list")
	k.ask(t, "vault", "keys", "backup")
	k.ask(t, "vault", "keys", "backups")
	k.tried["vault keys restore"] = true // the server must be stopped: the story below says it in JSON
	hold := decode[struct{ ID string }](t, k.ask(t, "vault", "hold", "add", "everything", "--reason", "a lawsuit")).ID
	k.ask(t, "vault", "hold", "list")
	k.json(t, 0, k.as("chloe@example.test", "vault", "hold", "end", hold))
}

// The key is replaced; a hold keeps somebody until two people end it; two people destroy a
// person's key, and the certificate verifies without the server. A backup of the keys from
// before, put back, brings nobody back.
//
// breaks: data.crypto-erase, crypto.key-rotation
func TestEndOfKeys(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{owners: threeOwners})
	k := &talker{newCouncil(t, f.serve()), map[string]bool{}}
	keys := filepath.Join(f.dir, "keys.db")
	const ana, ben, zoe = "ana@example.test", "ben@example.test", "zoe@quince.example"
	k.ask(t, "vault", "rotate", "--status")
	k.ask(t, "vault", "rotate", "--now")
	v := k.customer(zoe)
	v.want(http.StatusOK, "GET", "session", nil)
	hold := decode[struct{ ID string }](t, k.json(t, 0, k.as(ana, "vault", "hold", "add", "person/"+zoe, "--reason", "a lawsuit"))).ID
	k.ask(t, "vault", "hold", "list")
	must(t, 1, k.as(ana, "vault", "shred", "person/"+zoe, "--reason", "she asked for it"))
	k.json(t, 0, k.as(ana, "vault", "hold", "end", hold))
	k.json(t, 0, k.as(ben, "vault", "hold", "end", hold))
	backup := decode[struct{ File string }](t, k.ask(t, "vault", "keys", "backup")).File
	id := decode[struct{ ID string }](t, k.json(t, 0, k.as(ana, "vault", "shred", "person/"+zoe, "--reason", "she asked for it"))).ID
	must(t, 1, k.as(ana, "vault", "shred", "--agree", id)) // who asked counts once
	v.want(http.StatusOK, "GET", "session", nil)
	if x := decode[struct{ State string }](t, k.json(t, 0, k.as(ben, "vault", "shred", "--agree", id))); x.State != "done" {
		t.Errorf("two people agreed, and it is %s", x.State)
	}
	v.want(http.StatusUnauthorized, "GET", "session", nil)
	k.ask(t, "vault", "shred", "--list")
	file := filepath.Join(t.TempDir(), "certificate.json")
	eventually(t, "the certificate is proved", func() bool {
		return k.writ("vault", "shred", "--certificate", id, "--out", file).run(t).code == 0
	})
	k.ask(t, "verify", file)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "zoe") || !strings.Contains(string(b), "hidden values of journal entries") {
		t.Errorf("the certificate: %s", b)
	}
	forged := filepath.Join(t.TempDir(), "forged.json")
	if err := os.WriteFile(forged, []byte(strings.Replace(string(b), "person", "persom", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	k.json(t, 1, k.writ("verify", forged))
	k.stop()
	restore := k.writ("vault", "keys", "restore", backup)
	must(t, 1, restore, "exists already")
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	k.json(t, 0, restore)
	k.server = f.serve()
	eventually(t, "the journal says that it was destroyed again", func() bool {
		return strings.Contains(k.writ("journal", "entries", "--act", "vault.erasures-replayed").run(t).out, "vault.erasures-replayed")
	})
	for _, c := range []string{"crypto.key-rotation", "data.crypto-erase"} {
		k.ask(t, "prove", c)
		k.ask(t, "check", "--clause", c)
	}
}
