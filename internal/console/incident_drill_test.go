package console_test

import (
	"net/url"
	"testing"

	"writ/internal/actor"
	"writ/internal/incident"
)

// A drill in which nobody took part says so, and asks whoever followed it to say it by one
// button; once somebody has, it shows who.
func TestDrillPages(t *testing.T) { // breaks: inc.prepared
	w := newWorld(t)
	operator := actor.Actor{Kind: actor.Operator, ID: "uid-0", Via: "socket"}
	ref := must[incident.Case](t)(w.incident.Drill(t.Context(), operator, incident.NewDrill{Kind: "outage", Play: true})).Ref()
	for n := 0; ; n++ {
		p := must[incident.Played](t)(w.incident.Play(t.Context(), operator, ref))
		if p.Done {
			break
		}
		if n > 100 {
			t.Fatalf("it does not end: %s", p.Says)
		}
		w.settled()
	}
	const at, one = "/-/console/incidents", "/-/console/incidents/D-1"
	w.get("ana", at).want(200, "passed", "nobody took part: it does not count")
	w.get("ana", one).want(200, "Nobody took part", "I followed it")
	w.get("emil", one).lacks("I followed it")
	w.post("emil", one+"/loss", url.Values{"act": {"followed"}}).want(403)
	w.post("ana", one+"/loss", url.Values{"act": {"followed"}}).want(303)
	w.get("ana", one).lacks("I followed it")
	w.get("dev", one).want(200, "took part", "I followed it")
	w.post("ana", one+"/loss", url.Values{"act": {"followed"}}).want(409, "already")
	w.get("ana", at).lacks("nobody took part")
}
