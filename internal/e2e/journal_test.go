package e2e

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Evidence is verified where no server is; what was changed in it is named.
func TestEvidence(t *testing.T) { // breaks: log.tamper-evident
	t.Parallel()
	f := newFolder(t, setup{})
	s := f.serve()
	s.customer("maria@orchard.example")
	tmp := t.TempDir()
	in := func(name string) string { return filepath.Join(tmp, name) }
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	eventually(t, "the sign-in has an entry", func() bool {
		list := decode[struct{ Entries []struct{ Act string } }](t, must(t, 0, f.writ("journal", "entries", "--format", "json", "--limit", "200")).out)
		return slices.ContainsFunc(list.Entries, func(e struct{ Act string }) bool { return e.Act == "identity.signed-in" })
	})
	eventually(t, "the journal has signed something", func() bool { return f.writ("journal", "checkpoint").run(t).code == 0 })
	key := must(t, 0, f.writ("journal", "checkpoint", "--key")).out
	write(t, in("journal.key"), key, 0o600)
	kept := decode[struct {
		Size int64
		Note string
	}](t, must(t, 0, f.writ("journal", "checkpoint", "--format", "json")).out)
	write(t, in("checkpoint.txt"), kept.Note, 0o600)
	must(t, 0, f.writ("journal", "prove", "3", "--key", in("journal.key"), "--out", in("entry-3")), "Entry 3 stands in the tree")
	must(t, 0, f.writ("journal", "export", in("all.zip"), "--reason", "audit", "--since", strconv.FormatInt(kept.Size, 10)), "writ verify")
	must(t, 2, f.writ("journal", "export", in("all.zip"), "--reason", "audit"), "there already")
	must(t, 0, f.writ("journal", "export", in("some.zip"), "--reason", "sample", "--object", "folder/none", "--closed"))
	s.stop()
	must(t, 3, f.writ("journal", "verify"), "No server runs")

	offline := func(code int, words ...string) {
		t.Helper()
		must(t, code, command{args: []string{"verify", in("all.zip"), "--key", in("journal.key"), "--since", in("checkpoint.txt")}}, words...)
	}
	offline(0, "True:")
	must(t, 0, command{args: []string{"verify", in("all.zip")}}, "Only the bundle vouches for its key")
	must(t, 0, command{args: []string{"verify", in("some.zip")}}, "a selection: the journal may hold other entries")
	whole, err := os.ReadFile(in("all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, 1, command{args: []string{"verify", in("all.zip"), "--key", otherKey(t)}}, "False")
	spoilt(t, whole, in("all.zip"), offline)
}

// otherKey is the verifier key of another journal.
func otherKey(t *testing.T) string {
	t.Helper()
	s := start(t, setup{})
	defer s.stop()
	eventually(t, "the journal has signed something", func() bool { return s.writ("journal", "checkpoint").run(t).code == 0 })
	return strings.TrimSpace(must(t, 0, s.writ("journal", "checkpoint", "--key")).out)
}

// spoilt changes the bundle in one place after another.
func spoilt(t *testing.T, whole []byte, name string, verify func(code int, words ...string)) {
	t.Helper()
	flip := func(at int) {
		b := bytes.Clone(whole)
		b[at] ^= 1
		write(t, name, string(b), 0o600)
	}
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range z.File { // one byte in the middle of a file of each kind: the file is named
		kind, _, _ := strings.Cut(f.Name, "/")
		at, err := f.DataOffset()
		if err != nil || f.CompressedSize64 == 0 || seen[kind] {
			continue
		}
		seen[kind] = true
		flip(int(at) + int(f.CompressedSize64)/2)
		r := command{args: []string{"verify", name}}.run(t)
		index := f.Name == "manifest.json" || f.Name == "SHA256SUMS" // without them it is no bundle
		if r.code != 1 && (!index || r.code != 2) || !strings.Contains(r.out, f.Name) {
			t.Errorf("one byte of %s changed: %v", f.Name, r)
		}
	}
	write(t, name, string(whole[:len(whole)/2]), 0o600)
	verify(2, "no evidence bundle")
	write(t, name, "PK", 0o600)
	verify(2)
	write(t, name, string(whole), 0o600)
	verify(0)
}

// Whichever byte of a bundle is changed, be it of the archive's own headers, it is not
// true any longer and the reader is told where.
func TestEvidenceAnyByte(t *testing.T) { // breaks: log.tamper-evident
	t.Parallel()
	s := start(t, setup{})
	eventually(t, "the journal has signed something", func() bool { return s.writ("journal", "checkpoint").run(t).code == 0 })
	name := filepath.Join(t.TempDir(), "all.zip")
	must(t, 0, s.writ("journal", "export", name, "--reason", "audit"))
	s.stop()
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	places := []int{10, len(whole) - 3} // the time of the first file; the length of the archive's comment
	for n := range 20 {
		places = append(places, len(whole)*(n+1)/21)
	}
	for _, at := range places {
		b := bytes.Clone(whole)
		b[at] ^= 1
		write(t, name, string(b), 0o600)
		if r := (command{args: []string{"verify", name}}).run(t); r.code != 1 && r.code != 2 || !strings.Contains(r.out, "✕") { // 2: no archive any more
			t.Errorf("byte %d of %d changed: exit %d, %s", at, len(whole), r.code, tail(r.out, 200))
		}
	}
}

// An erased person is found nowhere, and the evidence that was given out before stays true.
func TestErase(t *testing.T) { // breaks: data.crypto-erase
	t.Parallel()
	f := newFolder(t, setup{})
	s := f.serve()
	const email, name = "wilhelmina@vanishing.example", "Wilhelmina Vanish"
	v := s.visitor()
	v.want(202, "POST", "sign-up", obj{"email": email, "password": aPassword, "name": name})
	v.want(200, "POST", "confirm", obj{"token": s.letter(email, 1).token()})
	v.want(200, "POST", "sign-in", obj{"email": email, "password": aPassword})
	person := decode[struct{ ID, Handle, Email, Name string }](t, must(t, 0, f.writ("user", "show", email, "--format", "json")).out)
	if person.Name != name || person.Email != email {
		t.Fatalf("the person is %+v", person)
	}
	bundle := filepath.Join(t.TempDir(), "before.zip")
	must(t, 0, f.writ("journal", "export", bundle, "--reason", "before the erasure"))

	must(t, 2, f.writ("user", "erase", email)) // nobody to ask
	must(t, 1, f.writ("user", "erase", email, "--confirm", "somebody-else"))
	cert := must(t, 0, f.writ("user", "erase", email, "--confirm", person.Handle), "Erased.", "NIST SP 800-88", "keys destroyed")
	if strings.Contains(cert.out, email) || strings.Contains(cert.out, "Wilhelmina") {
		t.Errorf("the certificate names the person: %s", cert.out)
	}
	v.want(401, "GET", "session", nil)
	v.want(401, "POST", "sign-in", obj{"email": email, "password": aPassword})
	must(t, 1, f.writ("user", "show", email))
	if r := must(t, 0, f.writ("user", "list", "--format", "json")); strings.Contains(r.out, email) || strings.Contains(r.out, "Wilhelmina") {
		t.Errorf("the list of people: %s", r.out)
	}
	if r := must(t, 0, f.writ("journal", "entries", "--limit", "1000", "--format", "json")); strings.Contains(r.out, email) || strings.Contains(r.out, "Wilhelmina") {
		t.Error("the journal's entries name the person")
	}
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	s.stop()
	for _, needle := range []string{email, "wilhelmina", "Wilhelmina", "Vanish"} {
		for _, at := range holds(t, f.dir, needle) {
			if filepath.Dir(at) != "mail" { // letters are the mail server's; here they are files
				t.Errorf("%s holds %q", at, needle)
			}
		}
	}
	must(t, 0, command{args: []string{"verify", bundle}}, "True:")

	s = f.serve()                                           // and it stays so
	must(t, 0, f.writ("user", "show", person.ID), "erased") // the id alone stays, so that entries have an object
	w := s.visitor()
	w.want(202, "POST", "sign-up", obj{"email": email, "password": anotherPassword, "name": "A New One"}) // the address is free
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
}

// holds lists the files of a folder in which the bytes stand.
func holds(t *testing.T, dir, needle string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		if err == nil && bytes.Contains(b, []byte(needle)) {
			rel, _ := filepath.Rel(dir, p)
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
