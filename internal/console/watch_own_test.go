package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
)

const ownID = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01"

// owned are the rules of one's own that the pages show: one that watches, with the next version
// of it under way, and a draft.
func owned(now time.Time) []watch.Version {
	res := &watch.BackTest{From: now.Add(-30 * 24 * time.Hour), Until: now, Events: 81_213, Hits: 20, Fires: 14, InIncidents: 3, Incidents: []string{"I-3"}, Sees: []string{"I-3"}, Loses: []string{"I-2"}, Before: 1, Weighed: true, Warnings: []string{"Exports: nothing here has the field cs-user-agent; what asks for it never matches"},
		Examples: []watch.Example{{At: now.Add(-time.Hour), About: "p:5f1c", Entry: 7, Says: "identity.token-issued"}, {At: now.Add(-2 * time.Hour), About: "s:0760", Entry: -1, Says: "GET /export/ answered 200"}}}
	return []watch.Version{
		{Rule: ownID, N: 2, Title: "A token at night", Text: "title: A token at night\n", State: watch.Tested, Author: "operator/0", Made: now, Tested: now, Result: res},
		{Rule: ownID, N: 1, Title: "A token at night", Text: "title: A token\n", State: watch.Enabled, Author: "operator/0", Approver: "person/dev", Made: now, Approved: now, Enabled: now, Problem: ""},
	}
}

func (a *alarmed) OwnRules(context.Context, actor.Actor) ([]watch.Version, error) {
	return a.own, nil
}

func (a *alarmed) OwnRule(_ context.Context, _ actor.Actor, id string) ([]watch.Version, error) {
	if id != ownID {
		return nil, fault.New(fault.NotFound, "rule_unknown", fault.Public{Problem: "There is no such rule of your own."})
	}
	return a.own, nil
}

func (a *alarmed) Lessons(context.Context, actor.Actor) ([]watch.Lesson, error) {
	at := a.own[0].Made
	return []watch.Lesson{{Incident: "i3", Name: "I-3", At: at, From: at.Add(-2 * time.Hour), Until: at, Alarms: []string{ownID, "password-spray"}, Events: 2000, Missed: 7, Seen: []watch.Rule{{ID: ownID, Title: "A token at night"}}},
		{Incident: "i2", Name: "I-2", At: at, Events: 1, Erased: true}}, nil
}

func (a *alarmed) AddRule(_ context.Context, _ actor.Actor, text string) (watch.Version, []string, error) {
	if !strings.Contains(text, "title") {
		return watch.Version{}, nil, fault.New(fault.Invalid, "watch_text", fault.Public{Problem: "The rule is not read.", Fields: []fault.Field{{Name: "text", Code: "watch_text", Problem: "A rule of Sigma 2.1."}}})
	}
	a.did = append(a.did, "add "+text)
	return a.own[0], nil, nil
}

func (a *alarmed) TestRule(_ context.Context, _ actor.Actor, text string, _ time.Duration) (watch.BackTest, int64, error) {
	a.did = append(a.did, "test "+text)
	return *a.own[0].Result, 2, nil
}

func (a *alarmed) step(act, id string) (watch.Version, error) {
	a.did = append(a.did, act+" "+id[:4])
	return a.own[0], nil
}

func (a *alarmed) ApproveRule(_ context.Context, _ actor.Actor, id string) (watch.Version, error) {
	return a.step("approve", id)
}

func (a *alarmed) EnableRule(_ context.Context, _ actor.Actor, id string) (watch.Version, error) {
	if a.own[0].State == watch.Approved {
		return watch.Version{}, fault.New(fault.Conflict, "rule_loses", fault.Public{Problem: "Nothing would see I-2 any more."})
	}
	return a.step("enable", id)
}

func (a *alarmed) RetireRule(_ context.Context, _ actor.Actor, id, reason string) (watch.Version, error) {
	if reason == "" {
		return watch.Version{}, fault.New(fault.Invalid, "watch_reason", fault.Public{Problem: "The end of a rule has a reason.", Fields: []fault.Field{{Name: "reason", Code: "watch_reason", Problem: "10 to 500 bytes."}}})
	}
	return a.step("retire", id)
}

// The pages of one's own rules show the state, the back-test with links to its entries, and the
// step that is next, to those who may.
func TestOwnRulesInTheConsole(t *testing.T) { // breaks: mon.alarms
	w, a := watched(t)
	const at = "/-/console/watch/own"
	w.get("dev", at).want(200, "A token at night", "watches", "tested, not yet approved", "would have fired 14 times in 30 days, 3 inside known incidents (I-3)", "Keep it as a draft")
	if body := w.get("emil", at).want(200, "A token at night").Body.String(); strings.Contains(body, "Keep it as a draft") {
		t.Error("an auditor is offered to write a rule")
	}
	w.get("dev", at+"/"+ownID).want(200, "Approve it", "would have fired 14 times", "81,213 events", "an access record", "cs-user-agent", "title: A token at night", "This text is no rule any more")
	for _, link := range []string{`href="/-/console/journal/7"`, "object=rule/" + ownID} {
		if !strings.Contains(w.get("dev", at+"/"+ownID).Body.String(), link) {
			t.Errorf("there is no %s", link)
		}
	}
	if body := w.get("emil", at+"/"+ownID).want(200, "A token at night").Body.String(); strings.Contains(body, "Approve it") {
		t.Error("an auditor is offered to approve")
	}
	a.own[0].Author = w.as("dev").String()
	if body := w.get("dev", at+"/"+ownID).want(200).Body.String(); strings.Contains(body, "Approve it") {
		t.Error("its author is offered to approve")
	}
	w.get("dev", at+"/other").want(404)
	w.get("customer", at).want(403)
	for _, act := range []string{"", "/" + ownID + "/test", "/" + ownID + "/approve", "/" + ownID + "/enable", "/" + ownID + "/retire"} {
		w.post("emil", at+act, url.Values{"text": {"title: x"}, "reason": {"it is gone by now"}}).want(403)
	}
	w.post("dev", at, url.Values{"text": {"nothing"}}).want(422, "A rule of Sigma 2.1", "nothing")
	w.post("dev", at, url.Values{"text": {"title: x"}}).want(303)
	w.post("dev", at+"/"+ownID+"/test", url.Values{}).want(303)
	w.post("dev", at+"/"+ownID+"/approve", url.Values{}).want(303)
	w.post("dev", at+"/"+ownID+"/enable", url.Values{}).want(303)
	w.post("dev", at+"/"+ownID+"/retire", url.Values{}).want(422, "10 to 500 bytes").cameBack("End the rule")
	w.post("dev", at+"/"+ownID+"/retire", url.Values{"reason": {"it is gone by now"}}).want(303)
	if got, want := strings.Join(a.did, "; "), "add title: x; test title: A token at night\n; approve 7d3b; enable 7d3b; retire 7d3b"; got != want {
		t.Errorf("did %s\nwant %s", got, want)
	}
}

// What is kept of incidents is shown with the rules that see it, and a change that would lose one
// says so on the page of its rule.
func TestLessonsInTheConsole(t *testing.T) { // breaks: mon.alarms
	w, a := watched(t)
	const at = "/-/console/watch/own"
	if !strings.Contains(w.get("emil", at).want(200).Body.String(), `href="/-/console/watch/lessons"`) {
		t.Error("no way leads to what is kept")
	}
	w.get("emil", "/-/console/watch/lessons").want(200, "I-3", "7 more found no room", "One password is tried on many accounts", "A token at night", "erased", "no alarm")
	w.get("customer", "/-/console/watch/lessons").want(403)
	w.get("dev", at+"/"+ownID).want(200, "It fires on I-3.", "nothing of your own would see I-2")
	a.own[0].State = watch.Approved
	w.post("dev", at+"/"+ownID+"/enable", url.Values{}).want(409, "Nothing would see I-2 any more.", "Let it watch")
}
