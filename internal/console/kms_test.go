package console_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"writ/internal/access"
	"writ/internal/ledger"
	"writ/internal/vault/kms"
)

// Keys that programs encrypt with: made, named, renewed and disabled by who manages keys; who
// used one last stands on its page, for who may read the journal.
func TestKMSInTheConsole(t *testing.T) { // breaks: vault.access-logged
	w := newWorld(t)
	const at = "/-/console/secrets/kms"
	w.get("ana", at).want(200, "There is no key yet", "Make a key")
	if body := w.get("dev", at).want(200).Body.String(); strings.Contains(body, "Make a key") != w.access.May(w.as("dev"), access.VaultKeys) {
		t.Error("who is offered a key is not who may make one")
	}
	w.post("emil", at, url.Values{"alias": {"alias/shop"}}).want(403)
	w.post("ana", at, url.Values{"alias": {"shop"}}).want(422, "no name of a key")
	w.post("ana", at, url.Values{"path": {"shop"}}).want(422, "A path begins with /")
	to := w.post("ana", at, url.Values{"alias": {"alias/shop"}, "path": {"/shop"}, "description": {"Orders at rest"}}).want(303).Header().Get("Location")
	if !regexp.MustCompile(`^` + at + `/[0-9a-f-]{36}$`).MatchString(to) {
		t.Fatalf("made at %q", to)
	}
	w.post("ana", at, url.Values{"alias": {"alias/shop"}}).want(409, "already")
	w.get("ana", at).want(200, "alias/shop", "/shop", "enabled", "1 key")
	w.get("ana", to).want(200, "Orders at rest", "Nobody has used it", "Disable it", "Make another version")
	if body := w.get("emil", to).want(200, "alias/shop").Body.String(); strings.Contains(body, "<form") && strings.Contains(body, "Disable it") {
		t.Error("an auditor is offered to disable it")
	}
	for path, f := range map[string]url.Values{"/alias": {"alias": {"alias/x"}}, "/rotate": {}, "/state": {"state": {"Disabled"}}} {
		w.post("emil", to+path, f).want(403)
	}
	w.post("ana", to+"/alias", url.Values{"alias": {"alias/aws/x"}}).want(422, "are the provider")
	w.post("ana", to+"/alias", url.Values{"alias": {"alias/orders"}}).want(303)
	w.post("ana", to+"/rotate", url.Values{}).want(303)
	id := strings.TrimPrefix(to, at+"/")
	if _, err := w.kit.DB.Change(t.Context(), w.as("dev"), func(*ledger.Tx) (ledger.Event, error) {
		return kms.Used{Op: "Encrypt", Key: id, AccessKey: "AKIAQQQQQQQQQQQQQQQQ"}, nil
	}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.get("ana", to).want(200, "alias/orders", "Version 2", "Encrypt", "AKIAQQQQQQQQQQQQQQQQ", "destroy a key")
	if body := w.get("dev", to).want(200).Body.String(); strings.Contains(body, "AKIAQQQQQQQQQQQQQQQQ") != w.access.May(w.as("dev"), access.JournalRead) {
		t.Error("the journal is shown to who may not read it, or not to who may")
	}
	w.post("ana", to+"/state", url.Values{"state": {"Disabled"}}).want(303)
	w.get("ana", to).want(200, "disabled", "Enable it")
	w.get("ana", at).want(200, "disabled")
	w.post("ana", to+"/state", url.Values{"state": {"Enabled"}}).want(303)
	w.get("ana", to).want(200, "Disable it")
	w.get("ana", at+"/00000000-0000-4000-8000-000000000000").want(404)
}
