package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type itemSaid struct{ ID string }

// items keeps a login, lets others use it, and gives nobody a seed.
func (k *talker) items(t *testing.T) {
	t.Helper()
	const ana, ben = "ana@example.test", "ben@example.test"
	fresh := k.as(ana, "vault", "item", "new", "--title", "Bank portal", "--address", "https://portal.elmbank.example", "--user", "treasury", "--sensitive")
	fresh.stdin = "correct horse plum 71\n"
	id := decode[itemSaid](t, k.json(t, 0, fresh)).ID
	seed := k.as(ana, "vault", "item", "edit", id, "--field", "totp")
	seed.stdin = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	k.json(t, 0, seed)
	must(t, 1, k.as(ana, "vault", "item", "reveal", id), "Say why")
	if got := decode[struct{ Value string }](t, k.json(t, 0, k.as(ana, "vault", "item", "reveal", id, "--reason", "ticket 42"))).Value; got != "correct horse plum 71" {
		t.Errorf("revealed %q", got)
	}
	if r := must(t, 1, k.as(ana, "vault", "item", "reveal", id, "--field", "totp", "--reason", "ticket 42"), "handed out to nobody"); strings.Contains(r.out, "JBSW") {
		t.Error("a seed was printed")
	}
	if got := decode[struct{ Code string }](t, k.json(t, 0, k.as(ana, "vault", "item", "code", id, "--reason", "ticket 42"))).Code; len(got) != 6 {
		t.Errorf("code %q", got)
	}
	must(t, 1, k.writ("vault", "item", "reveal", id, "--reason", "the operator is curious"), "does not allow")
	must(t, 1, k.as(ben, "vault", "item", "reveal", id, "--reason", "a look"), "not shared with you")
	k.json(t, 0, k.as(ana, "vault", "item", "share", id, "--with", ben))
	k.json(t, 0, k.as(ben, "vault", "item", "checkout", id, "--reason", "transfer of July", "--for", "30m"))
	must(t, 1, k.as(ana, "vault", "item", "code", id, "--reason", "ticket 42"), "checked the item out")
	k.json(t, 0, k.as(ben, "vault", "item", "checkin", id))
	k.json(t, 1, k.as(ana, "vault", "item", "report"))
	must(t, 1, k.as(ana, "vault", "item", "unshare", id, "--from", ana), "Somebody must answer")
	k.json(t, 0, k.as(ana, "vault", "item", "unshare", id, "--from", ben))
	link := decode[struct{ URL string }](t, k.json(t, 0, k.as(ana, "vault", "item", "link", id, "--for", "1h", "--reason", "for the auditor"))).URL
	path := link[strings.Index(link, "/-/once/"):]
	guest := k.visitor()
	if a := guest.send(http.MethodGet, path, nil, nil); a.status != 200 || strings.Contains(string(a.body), "correct horse") {
		t.Errorf("looking at a link: %d %s", a.status, a.body)
	}
	if a := guest.send(http.MethodPost, path, nil, nil); a.status != 200 || !strings.Contains(string(a.body), "correct horse") {
		t.Errorf("opening a link: %d %s", a.status, a.body)
	}
	if a := guest.send(http.MethodPost, path, nil, nil); a.status != http.StatusGone || strings.Contains(string(a.body), "correct horse") {
		t.Errorf("opening a link twice: %d %s", a.status, a.body)
	}
	k.json(t, 0, k.as(ana, "vault", "item", "generate", "--words", "6"))
	k.json(t, 0, k.as(ana, "vault", "item", "restore", id, "1"))
	k.json(t, 0, k.as(ana, "vault", "item", "delete", id))
	k.json(t, 0, k.as(ana, "vault", "item", "restore", id))
	k.ask(t, "vault", "item", "list")
	k.ask(t, "vault", "item", "show", id)
	file := filepath.Join(t.TempDir(), "logins.csv")
	if err := os.WriteFile(file, []byte("name,url,username,password\nElm,https://elm.example,mail,plum 72 horse\nCard,https://c.example,x,4111111111111111\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.json(t, 1, k.as(ana, "vault", "item", "import", file, "--yes"))
	k.json(t, 0, k.as(ana, "vault", "item", "import", file, "--yes", "--some"))
}
