package cli_test

import "testing"

// The rules are listed, and with --bounds at what they fire, who says so, and what else may be said.
func TestWatchRules(t *testing.T) {
	f := serve(t)
	f.on("GET watch/rules", `{"rules":[{"id":"cpu-high","part":"load","severity":"ticket","says":"More than 90 % busy","precision":1,
		"bounds":[{"name":"above","value":"80","from":"policy","shipped":"90","least":"1","most":"99"}]}]}`)
	f.must(0, []string{"watch", "rules"}, "cpu-high", "More than 90 % busy", "never")
	f.must(0, []string{"watch", "rules", "--bounds"}, "cpu-high above", "80", "policy", "90", "1 to 99")
	f.must(0, []string{"watch", "rules", "--bounds", "--format", "json"}, `"from":"policy"`)
}

// Routes are listed with what they leave over and with their groups.
func TestWatchRouteList(t *testing.T) { // breaks: mon.notify
	f := serve(t)
	f.on("GET watch/routes", `{"routes":[{"name":"10 budget","when":["clause=mon.budget","severity=ticket"],"people":"night","by":["mail","ops"],"waits":["4h","24h"]}],
		"groups":[{"name":"night","roles":["owner"],"people":["ana","ben"]},{"name":"desk","roles":["support"],"people":[]}],"left":true}`)
	f.must(0, []string{"watch", "route", "list"}, "10 budget", "clause=mon.budget severity=ticket", "mail ops", "4h 24h", "all others", "rota", "usual", "ana ben", "nobody: its alarms go as without a route")
	f.must(0, []string{"watch", "route", "list", "--format", "json"}, `"left":true`)
}

// It is said who would be told; the question goes out as it was asked.
func TestWatchRouteTest(t *testing.T) { // breaks: mon.notify
	f := serve(t)
	f.on("GET watch/routes/test", `{"rule":"cpu-high","route":"10 load","may":["05 pushed"],"nobody":"desk","times":"ticket","levels":[{"level":0,"after":"30s","people":["ana"]},{"level":1,"after":"4h","people":[]}],"channels":["mail","ops"],"again":"24h"}`)
	f.must(0, []string{"watch", "route", "test", "--rule", "cpu-high", "--clause", "mon.load", "--component", "load", "--severity", "ticket"}, "The row 10 load takes it", "the group desk, in which nobody can be told now", "05 pushed", "By mail, ops.", "30s", "ana", "nobody can be told", "Then again every 24h")
	if !f.asked("GET /-/api/v1/watch/routes/test?", "rule=cpu-high", "clause=mon.load", "component=load", "severity=ticket") {
		t.Error("the question went out otherwise")
	}
	f = serve(t)
	f.on("GET watch/routes/test", `{"route":"","may":[],"times":"notice","levels":[{"level":0,"after":"30s","people":["ana"]}],"channels":["mail"]}`)
	f.must(0, []string{"watch", "route", "test", "01JD3Z5Y3Q"}, "No row takes it", "It is told once.")
	f.must(0, []string{"watch", "route", "test", "01JD3Z5Y3Q", "--format", "json"}, `"times":"notice"`)
	f.must(2, []string{"watch", "route", "test", "one", "two"})
}
