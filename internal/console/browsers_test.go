package console_test

import (
	"net/url"
	"testing"
)

// Forgetting a person's browsers needs a reason, and the right to end sessions.
func TestForgetBrowsers(t *testing.T) {
	w := newWorld(t)
	at := "/-/console/people/" + w.ids["cem"] + "/browsers/forget"
	w.post("ana", at, url.Values{"browser": {""}, "reason": {""}}).want(422, "Say why, in 3 to 300 characters.")
	w.post("ana", at, url.Values{"browser": {""}, "reason": {"a stolen phone"}}).want(404, "There is no such browser, or it is forgotten already.")
	w.post("emil", at, url.Values{"browser": {""}, "reason": {"curious"}}).want(403)
}
