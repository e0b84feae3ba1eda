package console_test

import (
	"net/url"
	"testing"

	"writ/internal/actor"
	"writ/internal/gateway"
)

// The list of destinations is read by staff and changed by who runs the gate.
func TestEgressPages(t *testing.T) { // breaks: use.no-private-use
	w := newWorld(t)
	const at = "/-/console/gate/egress"
	w.get("ana", at).want(200, "not set up", "No destination is listed")
	good := url.Values{"name": {"api.partner.example"}, "port": {"8443"}, "inside": {"10.9.0.0/16"}, "reason": {"Orders go there."}, "until": {w.kit.Clock.Now().AddDate(0, 1, 0).Format("2006-01-02")}}
	with := func(key, value string) url.Values {
		f := url.Values{}
		for k, v := range good {
			f[k] = v
		}
		f.Set(key, value)
		return f
	}
	w.post("ana", at+"/new", with("name", "10.0.0.1")).want(422, "That is no name of a host.")
	w.post("ana", at+"/new", with("port", "http")).want(422, "That is no port.")
	w.post("ana", at+"/new", with("inside", "169.254.0.0/16")).want(422, "no private network")
	w.post("ana", at+"/new", with("reason", "")).want(422, "It is not said why.")
	w.post("ana", at+"/new", with("until", "soon")).want(422, "within a year")
	w.post("emil", at+"/new", good).want(403)
	w.post("ana", at+"/new", good).want(303)
	w.get("ana", at).want(200, "api.partner.example:8443", "Orders go there.", "may lie in 10.9.0.0/16", "not in 90 days")
	all, err := w.gate.Destinations(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	w.post("emil", at+"/remove", url.Values{"destination": {all[0].ID}}).want(403)
	w.post("ana", at+"/remove", url.Values{"destination": {all[0].ID}}).want(303)
	w.get("ana", at).want(200, "ended")
	for _, p := range []gateway.Past{{Service: "billing", Tried: 2, Reached: []string{"1.1.1.1:443"}}, {Service: "reports", Tried: 2}} {
		if err := w.gate.TellPast(t.Context(), actor.Actor{Kind: actor.Machine, ID: "m", Token: "t", TeamKind: "staff", Scopes: []string{"gateway:egress"}}, p); err != nil {
			t.Fatal(err)
		}
	}
	w.get("ana", at).want(200, "billing reached 1.1.1.1:443", "reports reached nothing")
}
