package console_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/ledger"
)

// A closed incident is played again by a button on its page; the drill shows what was known by now, and
// in the end both times of each step. Whoever may not act is offered nothing.
func TestPlayItAgain(t *testing.T) { // breaks: inc.prepared
	w := newWorld(t)
	const at = "/-/console/incidents"
	w.post("dev", at, url.Values{"title": {"Nobody can sign in"}, "minutes": {"20"}}).want(303)
	w.get("dev", at+"/I-1").lacks("Play it again as a drill")
	w.post("dev", at+"/I-1/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.post("dev", at+"/I-1/note", url.Values{"text": {"rang the <provider>"}}).want(303)
	if err := w.kit.DB.Quiet(t.Context(), ledger.WatchState, func(tx *ledger.Tx) error { // as if it had been led to its end
		_, err := tx.Exec(t.Context(), `UPDATE incident_case SET l = 'L6', severity = 2, categories = 'usability', closed = $1`, tx.Now().UnixMicro())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.kit.Clock.Advance(time.Hour)
	w.get("dev", at+"/I-1").want(200, "Play it again as a drill", "How many times as fast")
	w.get("emil", at+"/I-1").lacks("Play it again as a drill")
	w.post("emil", "/-/console/drills", url.Values{"from": {"I-1"}, "speed": {"10"}}).want(403)
	w.post("dev", "/-/console/drills", url.Values{"from": {"I-1"}, "speed": {"fast"}}).want(422, "1 to 100 times as fast")
	w.post("dev", "/-/console/drills", url.Values{"from": {"I-1"}, "speed": {"10"}}).want(303)
	page := w.get("dev", at+"/D-1").want(200, "Drill of I-1: Nobody can sign in", "Known by now in I-1, played 10 times as fast", "rang the <provider>").Body.String()
	if strings.Contains(page, "Then and now") {
		t.Error("it is compared before it is over")
	}
	w.post("dev", at+"/D-1/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.kit.Clock.Advance(time.Minute)
	w.post("dev", at+"/D-1/step", url.Values{"event": {"cancel"}, "reason": {"enough for today"}}).want(303)
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) { // until the journal has its end
		if err := w.incident.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(must[[]incident.Scored](t)(w.incident.Scores(t.Context(), w.as("dev")))) > 0 {
			break
		}
	}
	w.get("dev", at+"/D-1").want(200, "Then and now", "Lifecycle: triage", "not taken")
}
