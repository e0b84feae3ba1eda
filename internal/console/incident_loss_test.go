package console_test

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/demo/rescue"
	"writ/internal/demo/sample"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/policy/policytest"
)

// openDoor is a gate that does what it is told.
type openDoor struct {
	now  func() time.Time
	shut time.Time
}

func (d *openDoor) Close(context.Context, actor.Actor, incident.Order) (time.Time, error) {
	d.shut = d.now()
	return d.shut, nil
}

func (d *openDoor) Look(context.Context, time.Time) (incident.Shut, error) {
	return incident.Shut{Closed: !d.shut.IsZero(), Tried: 1}, nil
}

func (d *openDoor) Open(context.Context, actor.Actor, int, incident.Order) error {
	d.shut = time.Time{}
	return nil
}

func (*openDoor) Lets(string, int) bool { return false }

// before is what happened before data was lost.
type before struct{ at time.Time }

func (b before) Onsets(context.Context, time.Time, time.Time) ([]incident.Onset, error) {
	return []incident.Onset{{From: b.at, To: b.at.Add(time.Second), Kind: incident.OnsetMass, Says: "90 times DELETE /contacts/"}, {From: b.at, To: b.at, Kind: incident.OnsetAlarm, Says: "an alarm fired", Entry: 17}}, nil
}

// settled lets the server do what is due.
func (w *world) settled() {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.jobs.Run(ctx) }()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); w.jobs.Nudge() {
		q, err := w.jobs.Queue(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		busy := false
		for _, j := range q {
			busy = busy || j.State == "waiting" && !j.Due.After(w.kit.Clock.Now()) // its clock stands still
		}
		if !busy {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	stop()
	<-done
}

// Lost data at three in the morning: one clear button at each state, the plan with what it
// costs before it is signed, each check with its result, and what is red in words.
func TestLossPages(t *testing.T) { // breaks: inc.loss-restore, inc.prepared
	w := newWorld(t)
	clock := w.kit.Clock
	app := must[*sample.App](t)(sample.New(t.Context(), sample.Options{File: filepath.Join(t.TempDir(), "sample.db"), Verifier: &sample.Verifier{}, Now: clock.Now}))
	defer app.Close()
	for range 4 {
		must[sample.Contact](t)(app.Store().Add(t.Context(), sample.By{Team: "t1"}, sample.Contact{Name: "Ilse", Email: "i@brandt.example"}))
	}
	must[sample.Backup](t)(app.Store().Backup(t.Context()))
	clock.Advance(10 * time.Minute)
	must[sample.Contact](t)(app.Store().Add(t.Context(), sample.By{Team: "t1"}, sample.Contact{Name: "Late", Email: "l@brandt.example"}))
	must[int64](t)(app.Store().Damage(t.Context()))
	w.incident.SetWorlds(func(x incident.World) incident.World {
		x.Gate, x.Recovery = &openDoor{now: clock.Now}, rescue.New(app, clock.Now)
		return x
	}, func(x incident.World) incident.World { return x }, nil)
	const at, one = "/-/console/incidents", "/-/console/incidents/I-1"
	w.get("emil", at).want(200, "Nothing was practised yet")
	w.post("dev", at, url.Values{"title": {"Contacts are gone"}}).want(303)
	w.post("dev", one+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.post("dev", one+"/kind", url.Values{"kinds": {"data-loss"}, "severity": {"1"}}).want(303)
	w.get("dev", one).want(200, "Lost data", "Data may be lost", "Take the application down")
	w.post("dev", one+"/role", url.Values{"role": {string(engine.Recovery)}}).want(303)
	tend := func() {
		t.Helper()
		if err := w.incident.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tend()
	step := func(event, next string) {
		t.Helper()
		w.post("dev", one+"/step", url.Values{"event": {event}}).want(303)
		w.settled()
		page := w.get("dev", one).want(200, "Next: "+next).Body.String()
		if n := strings.Count(page, `class="primary"`); n != 1 {
			t.Errorf("after %s: %d clear buttons", event, n)
		}
	}
	w.get("dev", one).want(200, "What may have damaged the data", "copies", "rows are gone that nobody erased")
	w.incident.Real.Past = before{clock.Now().Add(-5 * time.Minute)}
	w.post("ana", one+"/loss", url.Values{"act": {"onsets"}}).want(403)
	w.post("dev", one+"/loss", url.Values{"act": {"onsets"}, "audits": {"nothing"}}).want(404)
	w.post("dev", one+"/loss", url.Values{"act": {"onsets"}}).want(303)
	if body := w.get("dev", one).want(200, "mass change", "90 times DELETE", "alarm").Body.String(); !strings.Contains(body, `href="/-/console/journal/17"`) {
		t.Error("the entry of a candidate is not linked")
	}
	step("take-down", "Prove that nothing is written")
	step("certify", "Keep the damaged state")
	step("preserve", "Make the plan")
	w.get("ana", one).want(200, "Next: Make the plan")
	w.post("dev", one+"/loss", url.Values{"act": {"nothing"}}).want(422)
	w.post("dev", one+"/loss", url.Values{"act": {"plan"}, "minutes": {"999999"}}).want(422, "within the last year")
	w.get("dev", one).want(200, "What damaged it")
	w.post("dev", one+"/loss", url.Values{"act": {"plan"}, "since": {"yesterday"}}).want(422, "none of the times")
	w.post("dev", one+"/loss", url.Values{"act": {"plan"}, "since": {clock.Now().Add(-time.Minute).Format(time.RFC3339Nano)}}).want(303)
	w.get("dev", one).want(200, "Damaged since", clock.Now().Add(-time.Minute).UTC().Format("15:04:05 UTC"))
	w.post("dev", one+"/loss", url.Values{"act": {"plan"}, "minutes": {"0"}}).want(303)
	w.get("dev", one).want(200, "A second person signs the plan", "Acknowledged writes that are lost", "Signed now by")
	w.post("dev", one+"/alone", url.Values{"guard": {"plan-signed"}, "reason": {"nobody answers"}}).want(403, "The policy lets nobody go on alone")
	values := policytest.Values()
	values["inc.process/solo_after"] = "15m"
	if err := w.incident.Rules.Set([]clause.Period{{Values: values}}); err != nil {
		t.Fatal(err)
	}
	w.get("dev", one).want(200, "Ask all others, or go on alone")
	w.post("dev", one+"/alone", url.Values{"guard": {"plan-signed"}, "reason": {"nobody answers"}}).want(303)
	w.get("dev", one).want(200, "Exceptions in this round", "all others are asked; alone from ")
	w.post("dev", one+"/alone", url.Values{"guard": {"plan-signed"}, "reason": {"nobody answers"}}).want(409, "The others were asked at")
	page := w.get("ana", one).want(200, "Next: Sign the plan", "Rows that will be there", "write 4", "10 minutes").Body.String()
	if strings.Index(page, "Acknowledged writes that are lost") > strings.Index(page, ">Sign the plan</button>") {
		t.Error("what is lost stands below the signature")
	}
	w.post("emil", one+"/loss", url.Values{"act": {"sign-plan"}}).want(403)
	w.post("ana", one+"/loss", url.Values{"act": {"sign-plan"}, "hash": {strings.Repeat("0", 64)}}).want(409, "The plan has changed")
	w.post("ana", one+"/loss", url.Values{"act": {"sign-plan"}}).want(303)
	step("choose", "Rehearse the restore")
	step("rehearse", "Restore")
	w.get("dev", one).want(200, "Each check with its result", "SQLite finds each page", "holds")
	step("restore", "Check the restored data")
	for _, event := range []string{"verify", "dry-run", "reconcile", "open", "open-some", "open-all", "tell-customers"} {
		w.post("dev", one+"/step", url.Values{"event": {event}}).want(303)
		w.settled()
	}
	if page := w.get("dev", one).want(200, "What each team lost", "of data lost", "Make a fresh backup").Body.String(); !strings.Contains(page, `href="/-/api/v1/incidents/I-1/loss/lost/t1"`) {
		t.Error("the list of a team is not linked")
	}
	w.post("dev", "/-/console/drills", url.Values{"kind": {"outage"}}).want(409, "A real incident is open")
	w.post("emil", "/-/console/drills", url.Values{"kind": {"outage"}}).want(403)
}
