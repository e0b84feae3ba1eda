package console_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/journal"
	"writ/internal/vault"
)

// TestParametersInTheConsole: an engineer writes, looks with a reason, goes back and
// removes; an auditor sees names and who knows what; nobody sees a value unasked.
func TestParametersInTheConsole(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/secrets"
	show := at + "/show?name=%2Fshop%2Fdb"
	if body := w.get("dev", at).want(200, "There is nothing here yet.", "Where secrets should not be", "Bundles of machines").Body.String(); strings.Count(body, `href="/-/console/secrets/scans"`) != 1 || strings.Count(body, `href="/-/console/secrets/bundles"`) != 1 {
		t.Error("a way leads twice to the same place")
	}
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

// Whoever manages keys plants a parameter that nobody should read; its page tells nobody else.
func TestPlantedInTheConsole(t *testing.T) { // breaks: vault.access-logged
	w := newWorld(t)
	const at, show = "/-/console/secrets", "/-/console/secrets/show?name=%2Fbackup%2Froot"
	name := url.Values{"name": {"/backup/root"}}
	w.post("dev", at+"/plant", name).want(403)
	w.post("ana", at+"/plant", name).want(303)
	w.get("ana", show).want(200, "nobody should read it, and each read is a page", "Plant it no more")
	for _, who := range []string{"dev", "emil"} {
		if body := w.get(who, show).want(200).Body.String(); strings.Contains(body, "nobody should read") || strings.Contains(body, "A trap") {
			t.Errorf("%s is told that it is planted", who)
		}
	}
	w.post("dev", at+"/reveal", url.Values{"name": {"/backup/root"}, "reason": {"curious"}}).want(200)
	w.settle()
	if es, err := w.journal.List(t.Context(), journal.Query{Act: "vault.planted-read", Actor: w.ids["dev"]}); err != nil || len(es) != 1 {
		t.Errorf("recorded %+v %v", es, err)
	}
	name.Set("remove", "yes")
	w.post("dev", at+"/plant", name).want(403)
	w.post("ana", at+"/plant", name).want(303)
	w.get("ana", show).want(200, "raises a page. Plant it Who knows it")
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

// The filters above the list: by the last read, the last change, the age, and what is said.
func TestParameterFilters(t *testing.T) { // breaks: vault.access-logged
	w := newWorld(t)
	const at = "/-/console/secrets"
	put := func(name string, more ...string) {
		t.Helper()
		f := url.Values{"name": {name}, "value": {"x"}, "kind": {"SecureString"}}
		if len(more) == 0 {
			f.Set("new", "yes")
		}
		w.post("dev", at, f).want(303)
	}
	read := func(name string) {
		t.Helper()
		w.post("dev", at+"/reveal", url.Values{"name": {name}, "reason": {"a look"}}).want(200)
	}
	for _, name := range []string{"/app/never", "/app/old", "/app/recent", "/app/changed"} {
		put(name)
	}
	read("/app/old")
	w.kit.Clock.Advance(60 * 24 * time.Hour)
	read("/app/recent")
	put("/app/changed", "again")
	w.kit.Clock.Advance(35 * 24 * time.Hour)
	put("/app/young")
	rotation, yes := int64(30), true
	for name, to := range map[string]vault.AboutChange{"/app/old": {Critical: &yes}, "/app/recent": {Sensitive: &yes}, "/app/changed": {Rotation: &rotation}} {
		if _, err := w.vault.SetAbout(t.Context(), w.as("dev"), name, to); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"":                          "changed never old recent young",
		"unread=30":                 "changed never old recent", // young was made since
		"unread=90":                 "changed never old",
		"unread=365":                "",
		"unchanged=30":              "changed never old recent",
		"unchanged=90":              "never old recent",
		"unchanged=365":             "",
		"older=90":                  "changed never old recent",
		"older=30":                  "changed never old recent",
		"only=critical":             "old",
		"only=sensitive":            "recent",
		"only=due":                  "changed",
		"only=sensitive&unread=90":  "",
		"unread=90&unchanged=90":    "never old",
		"unread=soon&unchanged=-1":  "changed never old recent young",
		"q=old&unread=90&older=90":  "old",
		"path=%2Fapp%2Fx&unread=30": "",
	} {
		body := w.get("dev", at+"?"+query).want(200).Body.String()
		var got []string
		for _, name := range []string{"changed", "never", "old", "recent", "young"} {
			if strings.Contains(body, ">/app/"+name+"<") {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	w.get("dev", at+"?unread=90&only=critical").want(200, "Not read for", "90 days")
	if body := w.get("dev", at+"?unread=90").Body.String(); !strings.Contains(body, `<option value="90" selected>90 days</option>`) {
		t.Error("the filter forgets what was chosen")
	}
}
