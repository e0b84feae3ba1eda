package console_test

import (
	"context"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"writ/internal/console"
	"writ/internal/journal"
	"writ/internal/keyring"
)

// certificate is what stands in the box of the page.
func (w *world) pasted(page string) string {
	w.t.Helper()
	m := regexp.MustCompile(`(?s)<textarea[^>]*name="certificate"[^>]*>(.*?)</textarea>`).FindStringSubmatch(page)
	if m == nil {
		w.t.Fatalf("there is no box for a certificate: %s", page)
	}
	return html.UnescapeString(m[1])
}

// back is a server whose destroyed keys answer.
type back struct{ console.Encryption }

func (back) StillGone(context.Context, []string) (bool, error) { return false, nil }

// Whoever holds a certificate checks it without an account: a true one holds, each altered
// one does not, and one whose key is back is called out.
//
// breaks: data.crypto-erase
func TestErasedPage(t *testing.T) {
	w := newWorld(t)
	const at = "/-/erased"
	w.get("", at).want(200, "Check an erasure", "writ verify certificate.json", "Check it")
	sub := keyring.Subject{Kind: "backup", ID: "2026-10"}
	if _, err := w.kit.Ring.Ensure(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	const keysAt = "/-/console/encryption"
	w.post("ana", keysAt+"/shreds", url.Values{"target": {"backup/2026-10"}, "reason": {"it is past its time"}}).want(303)
	id := shredID(t, w.get("ben", keysAt).Body.String())
	w.post("ben", keysAt+"/shreds/agree", url.Values{"id": {id}}).want(303)
	w.settle()
	file := w.get("emil", keysAt+"/certificates/"+id).want(200).Body.String()
	check := func(text string) page { return w.post("", at, url.Values{"certificate": {text}}) }
	check(file).want(200, "This certificate is true", "to the letter", "What this proves", "What it cannot prove", "a set of backups", id, "Last copy of a key")
	check("  \n"+file+"\n").want(200, "to the letter") // as it comes out of a mail
	for _, alter := range []struct{ from, to string }{{"backup", "bakcup"}, {"person/", "persom/"}, {`"entry": `, `"entry": 1`}, {`"sampled": `, `"sampled": 1`}, {"index ", "index 1"}, {"erase-certified", "erase-certifies"}} {
		forged := strings.Replace(file, alter.from, alter.to, 1)
		if forged == file {
			t.Fatalf("%s is not in the file", alter.from)
		}
		page := check(forged).want(200, "not true", "Do not rely on it").Body.String()
		if strings.Contains(page, "What this proves") {
			t.Errorf("%s instead of %s proves something", alter.to, alter.from)
		}
	}
	// Signed by a key of one's own: the file's word for its key does not count.
	other := newWorld(t)
	if _, err := other.kit.Ring.Ensure(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	other.post("ana", keysAt+"/shreds", url.Values{"target": {"backup/2026-10"}, "reason": {"it is past its time"}}).want(303)
	foreign := shredID(t, other.get("ben", keysAt).Body.String())
	other.post("ben", keysAt+"/shreds/agree", url.Values{"id": {foreign}}).want(303)
	other.settle()
	check(other.get("emil", keysAt+"/certificates/"+foreign).want(200).Body.String()).want(200, "not true")
	for _, text := range []string{"", "hello", "{}", `{"certificate":{}}`, strings.Repeat("{", 100_000), `<script>`} {
		check(text).want(422, "This is no certificate of an erasure")
	}
	check(strings.Repeat("x", 2<<20)).want(413)
	w.console.Encryption = back{w.sealing}
	check(file).want(200, "A key is back", "Tell us")
}

// The last letter's link shows the certificate of a person, ready to be checked; it names
// nobody, and nobody else's id tells anything.
//
// breaks: data.crypto-erase
func TestErasedPageOfALetter(t *testing.T) {
	w := newWorld(t)
	person := w.ids["dev"]
	w.get("", "/-/erased?person="+person).want(404, "Nothing was erased under this link") // is there, and alive
	if _, err := w.people.Erase(t.Context(), operator, "dev", "dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	text := w.pasted(w.get("", "/-/erased?person="+person).want(200, "Check it").Body.String())
	if strings.Contains(text, "dev") || !strings.Contains(text, "person/"+person) {
		t.Errorf("the certificate: %s", text)
	}
	w.post("", "/-/erased", url.Values{"certificate": {text}}).want(200, "to the letter", "what we held about a person", "none is there", "Destroyed 2 November 2026", "until 2 December 2026")
	w.post("", "/-/erased", url.Values{"certificate": {strings.Replace(text, "person-erased", "person-eraser", 1)}}).want(200, "not true")
	for _, id := range []string{"none", "../x", strings.Repeat("a", 500), w.ids["ana"]} {
		w.get("", "/-/erased?person="+url.QueryEscape(id)).want(404, "Nothing was erased under this link")
	}
}

// Sixty an hour from a network, and the refusal is recorded.
func TestErasedPageIsLimited(t *testing.T) { // breaks: data.crypto-erase
	w := newWorld(t)
	for i := range 60 {
		w.get("", fmt.Sprintf("/-/erased?person=%08d", i)).want(404)
	}
	w.post("", "/-/erased", url.Values{"certificate": {"x"}}).want(429, "sixty an hour")
	w.get("", "/-/erased?person=00000000").want(429)
	w.get("", "/-/erased").want(200)
	w.settle()
	if es, err := w.journal.List(t.Context(), journal.Query{Act: "identity.erasure-check-refused"}); err != nil || len(es) == 0 {
		t.Errorf("the refusal is not recorded: %v", err)
	}
}
