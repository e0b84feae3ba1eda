package console_test

import (
	"net/url"
	"testing"
)

// Blocked networks are read by staff and changed by who runs the gate.
func TestBlockPages(t *testing.T) { // breaks: inc.breach-research
	w := newWorld(t)
	const at = "/-/console/gate/blocks"
	w.get("ana", at).want(200, "No network is blocked")
	with := func(key, value string) url.Values {
		f := url.Values{"network": {"198.51.100.9/24"}, "reason": {"It tried passwords."}, "incident": {"I-3"}, "until": {w.kit.Clock.Now().AddDate(0, 1, 0).Format("2006-01-02")}}
		f.Set(key, value)
		return f
	}
	w.post("ana", at+"/new", with("network", "everybody")).want(422, "That is no network.")
	w.post("ana", at+"/new", with("network", "198.0.0.0/8")).want(422, "too wide")
	w.post("ana", at+"/new", with("network", "192.0.2.7")).want(422, "You come from that network yourself.")
	w.post("ana", at+"/new", with("reason", "")).want(422, "It is not said why.")
	w.post("ana", at+"/new", with("until", "soon")).want(422, "within a year")
	w.post("emil", at+"/new", with("incident", "")).want(403)
	w.post("ana", at+"/new", with("incident", "I-3")).want(303)
	w.get("ana", at).want(200, "198.51.100.0/24", "It tried passwords.", "I-3", "blocked until")
	all, err := w.gate.Blocks(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	w.post("emil", at+"/remove", url.Values{"block": {all[0].ID}}).want(403)
	w.post("ana", at+"/remove", url.Values{"block": {all[0].ID}}).want(303)
	w.get("ana", at).want(200, "let in again")
}
