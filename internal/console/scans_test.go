package console_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/leak"
	"writ/internal/parcel"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/bundle"
)

// Places, hits with masks alone, and what became of them.
func TestScansInTheConsole(t *testing.T) { // breaks: vault.secret-home
	w := newWorld(t)
	const at = "/-/console/secrets/scans"
	w.get("emil", at).want(200, "/srv/shop", "not yet", "Nothing that is open")
	w.found = leak.Report{Files: 1204, Hits: []leak.Hit{{ID: "0123456789abcdef", Rule: "github-token", Says: "A token of GitHub", File: "deploy/<conf>", Line: 7, Commit: strings.Repeat("ab", 20), Masked: "ghp_… (40 characters)"}}}
	if err := w.scans.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.get("dev", "/-/console/secrets").want(200, "Where secrets should not be", "Bundles of machines")
	if body := w.get("emil", at).want(200, "A token of GitHub", "deploy/<conf>:7", "in /srv/shop, in the history since abababababab", "ghp_… (40 characters)", "1,204").Body.String(); strings.Contains(body, at+"/hit") {
		t.Error("an auditor is offered to decide")
	}
	places, err := w.scans.Scans(t.Context(), w.as("dev"))
	if err != nil {
		t.Fatal(err)
	}
	one := url.Values{"place": {places[0].ID}, "hit": {"0123456789abcdef"}}
	w.get("dev", at+"/hit?"+one.Encode()).want(200, "A token of GitHub", "Excepted until")
	w.get("dev", at+"/hit?place=x&hit=y").want(404)
	say := func(reason, until string) url.Values {
		return url.Values{"place": one["place"], "hit": one["hit"], "reason": {reason}, "until": {until}}
	}
	w.post("dev", at+"/hit", say("short", "")).want(422, "8 to 300 characters")
	w.post("dev", at+"/hit", say("a key of the manual", "never")).want(422, "within a year")
	w.post("emil", at+"/hit", say("a key of the manual", "")).want(403)
	w.post("dev", at+"/hit", say("a key of the manual", w.kit.Clock.Now().AddDate(0, 1, 0).Format(time.DateOnly))).want(303)
	w.get("dev", at).want(200, "excepted until", "a key of the manual", "Dev Patel")
	w.post("dev", at+"/hit", say("revoked and removed", "")).want(303)
	w.get("dev", at).want(200, "Nothing that is open")
}

func TestBundlesInTheConsole(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/secrets/bundles"
	w.get("emil", at).want(200, "No machine carries values")
	if _, err := w.vault.Put(t.Context(), w.as("dev"), vault.Put{Name: "/shop/db", Value: secret.NewText("planted"), Type: vault.SecureString}); err != nil {
		t.Fatal(err)
	}
	server, err := w.bundles.Server(t.Context(), w.as("dev"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := parcel.NewKey(server)
	if err != nil {
		t.Fatal(err)
	}
	_, made, err := w.bundles.Issue(t.Context(), w.as("dev"), bundle.Wish{Names: []string{"/shop/db"}, Machine: key.Machine().String(), Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if body := w.get("emil", at).want(200, "/shop/db:1", made.Machine, "Dev Patel").Body.String(); strings.Contains(body, "Revoke it") || strings.Contains(body, "planted") {
		t.Error("an auditor is offered to revoke, or a value is shown")
	}
	w.post("emil", at+"/revoke", url.Values{"bundle": {made.ID}}).want(403)
	w.post("dev", at+"/revoke", url.Values{"bundle": {made.ID}}).want(303)
	w.get("dev", at).want(200, "revoked")
}
