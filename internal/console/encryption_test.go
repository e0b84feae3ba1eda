package console_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"writ/internal/journal/verify"
	"writ/internal/keyring"
	"writ/internal/secret"
	"writ/internal/vault"
)

// One owner asks, another agrees, the key is gone and the certificate is a file; an auditor
// sees it all and changes nothing.
func TestEncryptionPage(t *testing.T) { // breaks: data.crypto-erase, crypto.key-rotation
	w := newWorld(t)
	const at = "/-/console/encryption"
	w.get("ana", at).want(200, "keys lie under the newest one", "in use", "Nothing is held", "Nothing was destroyed", "Replace the key now", "Ask for the destruction")
	emil := w.get("emil", at).want(200, "Nothing is held").Body.String()
	if strings.Contains(emil, "<button class=\"quiet\">Replace") || strings.Contains(emil, "Ask for the destruction") {
		t.Error("an auditor is offered to act")
	}
	w.get("suna", at).want(403)
	w.post("dev", at+"/rotate", nil).want(303)
	w.get("ana", at).want(200, "retired")
	w.post("ana", at+"/rotate", url.Values{"reason": {"why"}}).want(422, "5 to 500 characters")

	if _, err := w.kit.Ring.Ensure(t.Context(), keyring.Subject{Kind: "backup", ID: "2026-10"}); err != nil {
		t.Fatal(err)
	}
	w.post("dev", at+"/shreds", url.Values{"target": {"backup/2026-10"}, "reason": {"it is past its time"}}).want(403)
	w.post("ana", at+"/shreds", url.Values{"target": {"moon"}, "reason": {"it is past its time"}}).want(422, "moon", "no key of its own")
	w.post("ana", at+"/shreds", url.Values{"target": {"backup/2026-10"}, "reason": {"it is past its time <b>"}}).want(303)
	id := shredID(t, w.get("ben", at).want(200, "Waiting for others", "Ana Lind wants the key of backup/2026-10 destroyed: 1 of 2", "Destroy it for ever", "Refuse").Body.String())
	if strings.Contains(w.get("ana", at).Body.String(), "Destroy it for ever") {
		t.Error("who asked is offered to agree")
	}
	w.post("ana", at+"/shreds/agree", url.Values{"id": {id}}).want(409, "counts once")

	w.post("ana", at+"/holds", url.Values{"target": {"backup/2026-10"}, "reason": {"a lawsuit"}}).want(303)
	w.post("ben", at+"/shreds/agree", url.Values{"id": {id}}).want(409, "legal hold")
	page := w.get("ben", at).want(200, "a lawsuit", "Kept since").Body.String()
	hold := regexp.MustCompile(`holds/end"><input type="hidden" name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if hold == nil {
		t.Fatalf("no hold to end on the page")
	}
	w.post("ben", at+"/holds/end", url.Values{"id": {hold[1]}}).want(303)
	w.get("ana", at).want(200, "Ben Okoro has asked for its end")
	w.post("ben", at+"/holds/end", url.Values{"id": {hold[1]}}).want(409, "Two people end a hold")
	w.post("ana", at+"/holds/end", url.Values{"id": {hold[1]}}).want(303)

	w.post("ben", at+"/shreds/agree", url.Values{"id": {id}}).want(303)
	if page := w.get("emil", at).want(200, "done", "2 of 2").Body.String(); !strings.Contains(page, "/certificates/"+id) {
		t.Error("the page leads to no certificate")
	}
	file := w.get("emil", at+"/certificates/"+id).want(200).Body.Bytes()
	if r := verify.Certificate(file, verify.Options{}); r.Code != verify.True {
		t.Errorf("the certificate of the page: %s", r.Text())
	}
	w.post("ben", at+"/shreds/refuse", url.Values{"id": {id}}).want(409, "done")
}

// After an exposure the page says that values are being sealed anew, until they are.
func TestEncryptionPageAfterAnExposure(t *testing.T) { // breaks: crypto.key-rotation
	w := newWorld(t)
	const at, says = "/-/console/encryption", "The values under 1 key are being sealed anew after an exposure, 0 so far"
	if _, err := w.vault.Put(t.Context(), w.as("dev"), vault.Put{Name: "/shop/db", Value: secret.NewText("planted"), Type: vault.SecureString}); err != nil {
		t.Fatal(err)
	}
	w.post("ana", at+"/rotate", url.Values{"reason": {"a laptop is gone"}}).want(303)
	w.get("emil", at).want(200, says)
	if err := w.sealing.Reseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.get("emil", at).want(200).Body.String(), "sealed anew") {
		t.Error("it is done, and the page says that it is on its way")
	}
}

func shredID(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`shreds/agree"><input type="hidden" name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("no request to agree to on the page")
	}
	return m[1]
}
