package console_test

import (
	"net/url"
	"strings"
	"testing"

	"writ/internal/incident/status"
)

// Parts and maintenance of the public page are kept in the console, by those who may.
func TestStatusPageInTheConsole(t *testing.T) { // breaks: inc.public-notice
	w := newWorld(t)
	const at = "/-/console/status"
	w.status.Asks = true
	w.get("dev", at).want(200, "No maintenance is announced", "Announce it")
	if body := w.get("emil", at).want(200, "No parts are listed yet").Body.String(); strings.Contains(body, "Announce it") {
		t.Error("an auditor is offered to announce maintenance")
	}
	w.get("customer", at).want(403)
	if !strings.Contains(w.get("emil", "/-/console/incidents").want(200).Body.String(), `href="`+at+`"`) {
		t.Error("no way leads there")
	}
	for _, act := range []string{"/parts", "/parts/state", "/parts/retire", "/parts/covers", "/windows", "/windows/begin", "/windows/extend", "/windows/end"} {
		w.post("emil", at+act, url.Values{"of": {"x"}}).want(403)
	}
	w.post("dev", at+"/parts", url.Values{"name": {"Sign-in"}}).want(303)
	cs, err := w.status.Components(t.Context())
	if err != nil || len(cs) != 1 {
		t.Fatal(cs, err)
	}
	w.post("dev", at+"/parts/covers", url.Values{"of": {cs[0].ID}, "on": {"upstream/a upstream/b"}}).want(303)
	w.post("dev", at+"/parts/state", url.Values{"of": {cs[0].ID}, "state": {status.Degraded}}).want(303)
	w.post("dev", at+"/windows", url.Values{"title": {"New disks"}, "starts": {"soon"}, "lasts": {"60"}}).want(422, "begins within the next year")
	w.post("dev", at+"/windows", url.Values{"title": {"New disks"}, "starts": {"30"}, "lasts": {"60"}, "of": {cs[0].ID}}).want(303)
	w.get("dev", at).want(200, "upstream/a upstream/b", "New disks", "Degraded performance", "It may begin", "stays as it is")
	ws, err := w.status.Windows(t.Context())
	if err != nil || len(ws) != 1 || len(ws[0].Touched) != 1 {
		t.Fatal(ws, err)
	}
	of := url.Values{"of": {ws[0].ID}}
	w.post("dev", at+"/windows/begin", of).want(303)
	w.post("dev", at+"/windows/begin", of).want(409, "does not wait for a word")
	w.post("dev", at+"/windows/extend", url.Values{"of": {ws[0].ID}, "lasts": {"300"}}).want(303)
	w.post("dev", at+"/windows/end", of).want(303)
	w.post("dev", at+"/parts/retire", url.Values{"of": {cs[0].ID}}).want(303)
	w.get("dev", at).want(200, "No maintenance is announced", "No parts are listed yet")
}
