package incident_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/breach"
)

// A drill of exposed data goes the whole way, played by a person with the sandbox beside them:
// the planted set, real letters to invented people and to nobody else, a score.
func TestBreachDrill(t *testing.T) { // breaks: inc.breach-notify, inc.prepared
	w := open(t)
	box := &exposed{people: []string{"person/drill-ada", "person/drill-bela", "person/drill-cora"}, alive: map[string]bool{incident.DrillSession: true}}
	now := w.kit.Clock.Now()
	for i, who := range []string{"drill-ada", "drill-bela"} {
		box.records = append(box.records, breach.Record{At: now.Add(-time.Duration(i+1) * time.Minute), Who: incident.DrillThief, For: who, Staff: true, Session: incident.DrillSession, Route: incident.DrillRoute, Method: "GET", Status: 200, Out: 9})
	}
	w.svc.Sandbox = incident.World{Reads: box, Concerned: box, Post: box, Cuts: box, Detectors: box}
	c, err := w.svc.Drill(t.Context(), w.as("dev"), incident.NewDrill{Kind: "breach", Play: true})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for range 120 {
		p, err := w.svc.Play(t.Context(), w.as("dev"), c.Ref())
		if err != nil {
			t.Fatalf("%v after %s", err, strings.Join(said, "; "))
		}
		if p.Done {
			break
		}
		if said = append(said, p.Says); p.Waits {
			t.Fatalf("it waits: %s", p.Says)
		}
		w.worked()
		w.sendAll()
		w.tend()
		w.kit.Clock.Advance(time.Second)
	}
	v := w.show(c.Ref())
	if v.Open() || v.States["B"] != "B8" {
		t.Fatalf("it stands at %v after %s", v.States, strings.Join(said, "; "))
	}
	if len(box.sent) != 2 || box.sent["drill-ada@example.test"] != 1 || len(w.breach.sent) != 0 {
		t.Errorf("letters in the sandbox %v, outside %v", box.sent, w.breach.sent)
	}
	if _, words, err := w.svc.Own(t.Context(), "drill-ada"); err != nil || len(words) != 0 {
		t.Errorf("a drill is in a person's own copy: %+v %v", words, err)
	}
	w.tend()
	scores, err := w.svc.Scores(t.Context(), w.as("ana"))
	if err != nil || len(scores) != 1 || !scores[0].Passed || scores[0].Kind != "breach" {
		t.Errorf("%+v %v", scores, err)
	}
	if held, _ := w.svc.HoldStands(t.Context()); held {
		t.Error("a drill holds what is real")
	}
}
