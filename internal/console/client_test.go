package console_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var secretOf = regexp.MustCompile(`writ_ocs_[A-Za-z0-9_-]{43}`)

// An application is registered, gets a second secret, loses the first, and goes.
func TestApplications(t *testing.T) {
	w := newWorld(t)
	w.get("ana", "/-/console/applications").want(200, "No application signs people in here yet.", "Register one")
	w.get("dev", "/-/console/applications/add").want(200, "Redirects")
	form := url.Values{"name": {"Wiki"}, "redirects": {"https://wiki.example.test/cb"}, "audience": {"staff"}, "trust": {"first-party"}, "kind": {"confidential"}}
	bad := url.Values{"name": {"Wiki"}, "redirects": {"http://wiki.example.test/cb"}, "audience": {"staff"}, "trust": {"first-party"}, "kind": {"confidential"}}
	w.post("dev", "/-/console/applications", bad).want(422, "is not https")
	made := w.post("dev", "/-/console/applications", form).want(200, "Its secret", "must be pushed", "https://app.example.test").Body.String()
	if len(secretOf.FindAllString(made, -1)) != 1 {
		t.Fatalf("the secret is not shown once: %s", made)
	}
	at := regexp.MustCompile(`/-/console/applications/[0-9a-f]{32}`).FindString(made)
	if b := w.get("dev", at).want(200, "Wiki").Body.String(); secretOf.MatchString(b) {
		t.Error("the secret is shown again")
	}
	if b := w.get("emil", at).want(200, "Wiki").Body.String(); strings.Contains(b, "Remove Wiki") || strings.Contains(b, "new secret") {
		t.Error("an auditor is offered what they may not do")
	}
	w.post("dev", at+"/secret", nil).want(200, "Its secret")
	id := regexp.MustCompile(`name="secret" value="([0-9a-f]+)"`).FindStringSubmatch(w.get("dev", at).Body.String())
	w.post("dev", at+"/secret/end", url.Values{"secret": {id[1]}}).want(303)
	w.post("dev", at+"/secret/end", url.Values{"secret": {id[1]}}).want(409)
	w.post("dev", at+"/remove", url.Values{"name": {"wiki"}}).want(422, "Type exactly Wiki.")
	w.post("dev", at+"/remove", url.Values{"name": {"Wiki"}}).want(303)
	w.get("dev", at).want(404)
}
