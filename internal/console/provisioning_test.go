package console_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A directory is connected, shown with what it may, given another token, and ended; each
// token is shown once, by no cookie and no address.
func TestProvisioning(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/provisioning"
	token := regexp.MustCompile(`writ_svc_[0-9A-Za-z]{49}`)
	w.get("ana", at).want(200, "No directory is connected", "/-/scim/v2")
	w.get("ana", "/-/console/people").want(200, "Directories")
	w.post("ana", at, url.Values{"name": {"entra"}, "roles": {"owner"}}).want(422, "engineer, support, auditor")
	w.post("ana", at, url.Values{"name": {"entra"}, "roles": {"engineer"}, "groups": {"Engineers"}}).want(422, "may not give")
	made := w.post("ana", at, url.Values{"name": {"entra"}, "roles": {"engineer, auditor"}, "domains": {"Example.test"}, "groups": {"Engineers = engineer\n\nA=B = auditor\n"}}).want(200, "Engineers = engineer", "A=B = auditor", "example.test")
	first := token.FindString(made.Body.String())
	if first == "" || strings.Contains(made.Header().Get("Set-Cookie"), first) {
		t.Error("the token is not shown, or kept in a cookie")
	}
	w.post("ana", at, url.Values{"name": {"other"}}).want(409, "already")
	page := w.get("ana", at).want(200, "engineer").Body.String()
	if token.MatchString(page) {
		t.Error("a token is shown again")
	}
	id := regexp.MustCompile(at + `/([0-9A-Za-z_-]+)/end`).FindStringSubmatch(page)
	if id == nil {
		t.Fatal(page)
	}
	second := token.FindString(w.post("ana", at+"/"+id[1]+"/token", nil).want(200).Body.String())
	if second == "" || second == first {
		t.Error("no other token")
	}
	w.post("dev", at+"/"+id[1]+"/end", nil).want(403)
	w.post("ana", at+"/"+id[1]+"/end", nil).want(303)
	w.post("ana", at+"/"+id[1]+"/end", nil).want(404)
	w.get("ana", at).want(200, "No directory is connected")
}
