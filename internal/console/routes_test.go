package console_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/notify"
	"writ/internal/watch"
)

func (a *alarmed) RoutesFor(context.Context, actor.Actor) (watch.Routing, error) {
	return a.routing, nil
}

func (a *alarmed) TryRoute(_ context.Context, _ actor.Actor, q watch.RouteQuestion) (watch.Taken, error) {
	t := a.taken
	if q.Rule == "cpu-hihg" {
		return t, fault.New(fault.Invalid, "watch_rule", fault.Public{Problem: "There is no such rule.", Expected: "An id of writ watch rules."})
	}
	t.RouteQuestion = q
	a.did = append(a.did, "try "+q.Rule+q.Alarm)
	return t, nil
}

// routed gives the console routes, a group and one of nobody.
func (w *world) routed(a *alarmed) {
	ana, dev := watch.Person{ID: w.ids["ana"]}, watch.Person{ID: w.ids["dev"]}
	a.routing = watch.Routing{Left: true, Usual: map[string][]time.Duration{notify.Page: {5 * time.Minute, 10 * time.Minute, 15 * time.Minute}, notify.Ticket: {4 * time.Hour, 24 * time.Hour}},
		Routes: []watch.Route{{Name: "10 budget", When: []string{"clause=mon.budget", "rule=~cost-.*"}, People: "builders", By: []string{"mail", "ops"}, Waits: []time.Duration{4 * time.Hour, 24 * time.Hour}},
			{Name: "20 trust", When: []string{"component=trust"}, People: "everybody"}, {Name: "30 load", When: []string{"component=load"}, People: "second"}},
		Groups: []watch.Group{{Name: "builders", Roles: []string{"engineer", "owner"}, People: []watch.Person{dev, ana}}, {Name: "desk", Roles: []string{"support"}}}}
	a.taken = watch.Taken{Route: "10 budget", May: []string{"05 pushed"}, Times: notify.Ticket, Channels: []string{"mail", "ops"}, Again: 24 * time.Hour,
		Levels: []watch.Level{{After: 30 * time.Second, People: []watch.Person{dev}}, {After: 4 * time.Hour, People: []watch.Person{dev, ana}}, {After: 24 * time.Hour}}}
}

// The routes stand there in words, with what they leave over, and what would become of an alarm is tried.
func TestRoutesPage(t *testing.T) { // breaks: mon.notify
	w, a := watched(t)
	w.routed(a)
	const at = "/-/console/watch/routes"
	if !strings.Contains(w.get("emil", "/-/console/watch").want(200).Body.String(), `href="`+at+`"`) {
		t.Error("no way leads there from the alarms")
	}
	if !strings.Contains(w.get("emil", "/-/console/watch/a1").want(200).Body.String(), `href="`+at+`?alarm=a1#try"`) {
		t.Error("no way leads there from an alarm")
	}
	body := w.get("emil", at).want(200, "clause mon.budget, rule like cost-.*", "the group builders", "mail, ops", "after 4 hours, then every 24 hours", "everybody who is told of alarms", "the second at once",
		"All others", "what no row above takes", "a page after 5 minutes, then 10 minutes, then every 15 minutes; a ticket after 4 hours", "engineer, owner", "Dev Patel, Ana Lind", "nobody can be told", "its alarms go as without a route", "Choose a rule").Body.String()
	if strings.Contains(body, "Change the routes") {
		t.Error("an auditor is led to change them")
	}
	if body := w.get("dev", at).want(200, "Change the groups").Body.String(); !strings.Contains(body, `href="/-/console/propose?param=mon.notify%2Froutes"`) {
		t.Error("an engineer is not led to change them")
	}
	w.get("customer", at).want(403)

	body = w.get("emil", at+"?rule=cpu-high").want(200, "The row 10 budget takes it", "After 30 seconds", "After 4 hours more", "nobody can be told", "Then again every 24 hours", "05 pushed").Body.String()
	if strings.Contains(body, "Choose a rule") || strings.Count(body, " selected") != 1 {
		t.Error("the answer does not say what was asked")
	}
	a.taken.Nobody, a.taken.Again = "desk", 0
	w.get("emil", at+"?alarm=a1").want(200, "in its group desk nobody can be told now", "It is told once.")
	w.get("emil", at+"?rule=cpu-hihg").want(422, "There is no such rule.", "An id of writ watch rules.")
	if got, want := strings.Join(a.did, "; "), "try cpu-high; try a1"; got != want {
		t.Errorf("did %s, want %s", got, want)
	}

	a.routing = watch.Routing{Left: true, Usual: a.routing.Usual}
	if body := w.get("emil", at).want(200, "every alarm, for the policy has no routes").Body.String(); strings.Contains(body, "Told now") {
		t.Error("a table of no groups")
	}
	a.routing = watch.Routing{Routes: []watch.Route{{Name: "1", People: "rota"}}}
	if body := w.get("emil", at).want(200, "Nothing is left over").Body.String(); strings.Contains(body, "All others") {
		t.Error("something is left over")
	}
}
