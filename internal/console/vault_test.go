package console_test

import (
	"net/url"
	"strings"
	"testing"

	"writ/internal/journal"
)

// TestParametersInTheConsole: an engineer writes, looks with a reason, goes back and
// removes; an auditor sees names and who knows what; nobody sees a value unasked.
func TestParametersInTheConsole(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/secrets"
	show := at + "/show?name=%2Fshop%2Fdb"
	w.get("dev", at).want(200, "There is nothing here yet.", "Where secrets should not be", "Bundles of machines")
	w.post("dev", at, url.Values{"new": {"yes"}, "name": {"shop//db"}, "value": {"x"}, "kind": {"SecureString"}}).want(422, "A level of the name is empty")
	w.post("dev", at, url.Values{"new": {"yes"}, "name": {"/shop/db"}, "value": {""}, "kind": {"SecureString"}}).want(422, "at least one character")
	w.post("dev", at, url.Values{"new": {"yes"}, "name": {"/shop/db"}, "value": {"first\r\nvalue"}, "kind": {"SecureString"}, "description": {"The shop's database"}}).want(303)
	w.post("dev", at, url.Values{"new": {"yes"}, "name": {"/shop/db"}, "value": {"other"}, "kind": {"SecureString"}}).want(409, "already exists")
	w.get("dev", at+"?q=db").want(200, "/shop/db", "The shop's database", "Dev Patel", "secret")
	w.post("dev", at, url.Values{"name": {"/shop/db"}, "value": {"second value"}}).want(303)

	if body := w.get("emil", show).want(200).Body.String(); strings.Contains(body, "Look at it") || strings.Contains(body, "Replace it") {
		t.Error("an auditor is offered what only engineers do")
	}
	for _, who := range []string{"dev", "emil"} {
		if body := w.get(who, show).want(200, "Versions, the newest first").Body.String(); strings.Contains(body, "second value") {
			t.Errorf("%s is shown the value unasked", who)
		}
	}
	w.post("dev", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {" "}}).want(422, "Say why you need it.")
	w.post("emil", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {"curious"}}).want(403)
	p := w.post("dev", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {"ticket 42"}}).want(200, "second value", "Version 2")
	if cc := p.Header().Get("Cache-Control"); cc != "no-store" {
		t.Errorf("a revealed value may be kept: %q", cc)
	}
	w.settle()
	if es, err := w.journal.List(t.Context(), journal.Query{Act: "vault.param-read", Actor: w.ids["dev"]}); err != nil || len(es) != 1 {
		t.Errorf("recorded %+v %v", es, err)
	}
	w.post("dev", at+"/back", url.Values{"name": {"/shop/db"}, "version": {"1"}}).want(303)
	w.post("dev", at+"/back", url.Values{"name": {"/shop/db"}, "version": {"9"}}).want(404, "could not find version 9")
	w.post("dev", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {"ticket 42"}}).want(200, "first value", "Version 3")

	w.get("emil", show).want(200, "Who knows the value as it is now", "Dev Patel")
	w.get("emil", at+"/seen?who=person/"+w.ids["dev"]).want(200, "What Dev Patel knows", "/shop/db", "1 secret")
	w.get("emil", "/-/console/people/"+w.ids["dev"]).want(200, "What secrets they know")
	w.get("dev", at+"/seen").want(200, "/shop/db")
	w.get("dev", at+"/seen?who=person/"+w.ids["ana"]).want(403)

	w.post("dev", at+"/remove", url.Values{"name": {"/shop/db"}, "typed": {"/shop"}}).want(422, "Type exactly /shop/db.")
	w.post("dev", at+"/remove", url.Values{"name": {"/shop/db"}, "typed": {"/shop/db"}}).want(303)
	w.get("dev", show).want(404)
	w.get("emil", at+"/seen?who=person/"+w.ids["dev"]).want(200, "There is none")
}

// TestKeysAndGrantsInTheConsole: an owner makes an access key, shown once, and lends a path.
func TestKeysAndGrantsInTheConsole(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/secrets"
	w.post("operator", at, url.Values{"new": {"yes"}, "name": {"/shop/db"}, "value": {"the value"}, "kind": {"SecureString"}}).want(303)
	w.post("ana", at+"/keys", url.Values{"path": {"/shop"}, "reads": {"yes"}}).want(403) // who manages keys does not read by one
	w.post("dev", at+"/keys", url.Values{"path": {"shop"}, "reads": {"yes"}}).want(422, "A path begins with /")
	w.post("dev", at+"/keys", url.Values{"path": {"/shop"}, "reads": {"yes"}, "days": {"soon"}}).want(422, "whole number")
	body := w.post("dev", at+"/keys", url.Values{"path": {"/shop"}, "reads": {"yes"}, "days": {"7"}}).want(200, "AWS_SECRET_ACCESS_KEY=", "shown this once").Body.String()
	id := body[strings.Index(body, "AWS_ACCESS_KEY_ID=")+len("AWS_ACCESS_KEY_ID="):][:20]
	if body := w.get("ana", at+"/keys").want(200, id, "to read", "Dev Patel", "live").Body.String(); strings.Contains(body, "AWS_SECRET") {
		t.Error("the secret is shown again")
	}
	w.post("ana", at+"/keys/end", url.Values{"key": {id}}).want(303)
	w.get("ana", at+"/keys").want(200, "ended", "is over")

	w.post("emil", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {"audit"}}).want(403)
	give := url.Values{"handle": {"emil"}, "path": {"/shop"}, "rights": {"reader"}, "reason": {"a look at the rotation"}, "days": {"2"}}
	w.post("ana", at+"/grants", url.Values{"handle": {"nobody"}, "path": {"/shop"}, "rights": {"reader"}, "reason": {"r"}}).want(422, "no active person")
	w.post("ana", at+"/grants", url.Values{"handle": {"ana"}, "path": {"/shop"}, "rights": {"reader"}, "reason": {"r"}}).want(403, "Nobody gives rights to themselves")
	w.post("ana", at+"/grants", give).want(303)
	w.get("emil", at+"/grants").want(200, "Emil Strand", "may read under", "Ana Lind")
	w.post("emil", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {"audit"}}).want(200, "the value")
	w.post("emil", at+"/reveal", url.Values{"name": {"/shop/db"}}).want(422, "Say why you need it.")
	list := w.get("ana", at+"/grants").want(200).Body.String()
	grant := list[strings.Index(list, `name="grant" value="`)+len(`name="grant" value="`):]
	w.post("ana", at+"/grants/end", url.Values{"grant": {grant[:strings.IndexByte(grant, '"')]}}).want(303)
	w.post("emil", at+"/reveal", url.Values{"name": {"/shop/db"}, "reason": {"audit"}}).want(403)
}
