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
	const ana, ivo, jon = "ana@example.test", "ivo@example.test", "jon@example.test"
	for _, e := range []string{ivo, jon} { // each sign-in by the command costs a recovery code, so they are people of their own
		added := decode[struct{ URL string }](t, must(t, 0, k.writ("user", "add", e, "--role", "engineer", "--format", "json")).out)
		k.owners[e] = added.URL[strings.LastIndexByte(added.URL, '/')+1:]
		k.owner(e)
	}
	fresh := k.writ("vault", "item", "new", "--title", "Bank portal", "--address", "https://portal.elmbank.example", "--user", "treasury", "--sensitive", "--owner", ivo, "--owner", jon)
	fresh.stdin = "correct horse plum 71\n"
	id := decode[itemSaid](t, k.json(t, 0, fresh)).ID
	must(t, 1, k.writ("vault", "item", "reveal", id, "--reason", "the operator is curious"), "does not allow")
	must(t, 1, k.writ("vault", "item", "share", id, "--with", "team"), "not shared with you")
	seed := k.as(jon, "vault", "item", "edit", id, "--field", "totp")
	seed.stdin = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	k.json(t, 0, seed)
	if got := decode[struct{ Value string }](t, k.json(t, 0, k.as(jon, "vault", "item", "reveal", id, "--reason", "ticket 42"))).Value; got != "correct horse plum 71" {
		t.Errorf("revealed %q", got)
	}
	if got := decode[struct{ Code string }](t, k.json(t, 0, k.as(ivo, "vault", "item", "code", id, "--reason", "ticket 42"))).Code; len(got) != 6 {
		t.Errorf("code %q", got)
	}
	if r := must(t, 1, k.as(ivo, "vault", "item", "reveal", id, "--field", "totp", "--reason", "ticket 42"), "handed out to nobody"); strings.Contains(r.out, "JBSW") {
		t.Error("a seed was printed")
	}
	k.json(t, 0, k.as(jon, "vault", "item", "checkout", id, "--reason", "transfer of July", "--for", "30m"))
	k.json(t, 0, k.as(jon, "vault", "item", "checkin", id))
	k.json(t, 1, k.writ("vault", "item", "report")) // it is to be replaced now
	k.json(t, 0, k.as(ivo, "vault", "item", "share", id, "--with", "role:engineer"))
	k.json(t, 0, k.as(ivo, "vault", "item", "unshare", id, "--from", "role:engineer"))
	link := decode[struct{ URL string }](t, k.json(t, 0, k.as(ivo, "vault", "item", "link", id, "--for", "1h", "--reason", "for the auditor"))).URL
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
	k.ask(t, "vault", "item", "generate", "--words", "6")
	k.json(t, 0, k.as(ivo, "vault", "item", "delete", id))
	k.json(t, 0, k.as(ivo, "vault", "item", "restore", id))
	k.ask(t, "vault", "item", "list")
	k.ask(t, "vault", "item", "show", id)
	file := filepath.Join(t.TempDir(), "logins.csv")
	if err := os.WriteFile(file, []byte("name,url,username,password\nElm,https://elm.example,mail,plum 72 horse\nCard,https://c.example,x,4111111111111111\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.json(t, 1, k.writ("vault", "item", "import", file, "--yes", "--owner", ana))
	k.json(t, 0, k.writ("vault", "item", "import", file, "--yes", "--some", "--owner", ana))
}
