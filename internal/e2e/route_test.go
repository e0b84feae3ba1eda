package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A group tells those of its roles that may read alarms and acknowledge them, and nobody else; one of
// nobody who may loses no alarm.
func TestGroupsOfRoutes(t *testing.T) { // breaks: mon.notify
	t.Parallel()
	first := start(t, setup{})
	text := first.exported(t)
	first.stop()
	file := edited(t, text, "mon.notify", "value: []", "value: [[desk, support auditor], [leads, auditor owner]]")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	file = edited(t, string(b), "mon.notify", "value: []", `value: [["1", "rule=cpu-high", desk, all, usual], ["2", "rule=mem-high", leads, all, usual]]`)
	s := start(t, setup{more: []string{"--policy", file}})
	s.owner("ana@example.test")
	for _, role := range []string{"auditor", "support"} {
		link := decode[struct{ URL string }](t, must(t, 0, s.writ("user", "add", role+"@example.test", "--role", role, "--format", "json")).out).URL
		s.visitor().want(200, "POST", "invitations/"+link[strings.LastIndexByte(link, '/')+1:]+"/accept", obj{"name": role, "password": aPassword})
	}

	type group struct {
		Name          string
		Roles, People []string
	}
	got := decode[struct{ Groups []group }](t, must(t, 0, s.writ("watch", "route", "list", "--format", "json")).out).Groups
	if len(got) != 2 || got[0].Name != "desk" || len(got[0].People) != 0 || got[1].Name != "leads" || !slices.Equal(got[1].People, []string{"ana"}) {
		t.Errorf("groups: %+v", got)
	}
	must(t, 0, s.writ("watch", "route", "test", "--rule", "mem-high"), "The row 2 takes it.", "ana")
	must(t, 0, s.writ("watch", "route", "test", "--rule", "cpu-high"), "the group desk, in which nobody can be told now", "ana")
	must(t, 1, s.writ("watch", "route", "test", "--rule", "cpu-hihg"), "There is no such rule", "writ watch rules")
	must(t, 1, s.writ("watch", "route", "test"), "It does not say which alarm is meant")

	alarm := decode[struct{ Alarm string }](t, must(t, 0, s.writ("watch", "fire", "cpu-high", "--format", "json")).out).Alarm
	eventually(t, "an alarm of the group of nobody is told", func() bool {
		return strings.Contains(must(t, 0, s.writ("watch", "show", alarm)).out, "told")
	})
	must(t, 1, s.writ("policy", "lint", edited(t, string(b), "mon.notify", "value: []", `value: [["1", any, nightwatch, all, usual]]`), "--server"), `tells "nightwatch", who is nobody here`)
}
