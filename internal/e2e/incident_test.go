package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// incidents leads one from the first signal to its closed review by commands, beside a
// practice, and keeps the status page.
func (k *talker) incidents(t *testing.T) {
	t.Helper()
	const ben, chloe = "ben@example.test", "chloe@example.test"
	part := decode[struct{ ID string }](t, k.ask(t, "status", "add", "Sign-in", "--group", "Accounts"))
	k.ask(t, "status", "set", part.ID, "degraded_performance")
	plan := decode[struct{ ID string }](t, k.ask(t, "status", "plan", "New disks", "--starts", "24h", "--lasts", "2h", "--component", part.ID))
	k.ask(t, "status", "end", plan.ID)
	k.ask(t, "incident", "declare", "nobody can sign in", "--component", "Sign-in", "--since", "20m")
	k.ask(t, "incident", "list", "--open")
	k.json(t, 1, k.writ("incident", "status"))
	k.ask(t, "incident", "step", "I-1", "acknowledge")
	for _, r := range []string{"communications", "technical-lead"} {
		k.ask(t, "incident", "role", "I-1", r)
	}
	k.ask(t, "incident", "categorise", "I-1", "usability", "--severity", "2")
	k.ask(t, "incident", "severity", "I-1", "3", "--reason", "few are concerned")
	must(t, 1, k.writ("incident", "update", "I-1", "Some people cannot sign in.", "--title", "Sign-in fails")) // without an estimate
	k.ask(t, "incident", "update", "I-1", "Some people cannot sign in.", "--title", "Sign-in fails", "--next", "45m", "--component", part.ID+"=partial_outage")
	k.ask(t, "incident", "note", "I-1", "rang the provider")
	k.ask(t, "incident", "posted", "I-1", "social", "https://social.example.test/@harbour/1")
	k.ask(t, "incident", "fix", "I-1", "plan", "--what", "renew certificates by themselves", "--owner", ben, "--ends", "5d")
	k.ask(t, "incident", "update", "I-1", "We watch it.", "--state", "monitoring", "--next", "45m")
	k.ask(t, "incident", "step", "I-1", "mitigate")
	k.ask(t, "incident", "update", "I-1", "It works again.", "--state", "resolved", "--component", part.ID+"=operational")
	k.json(t, 0, k.as(chloe, "incident", "waive", "I-1", "L", "soaked", "--reason", "the cause is gone for good"))
	v := k.visitor()
	k.enter(v, ben, aPassword)
	v.want(http.StatusOK, "POST", "incidents/I-1/waivers", obj{"region": "L", "guard": "soaked", "reason": "I have seen it too"})
	k.ask(t, "incident", "step", "I-1", "resolve")
	eventually(t, "those affected are told, and the review begins", func() bool {
		x := decode[struct {
			State    string
			Audience []struct{ Team, State string }
		}](t, k.ask(t, "incident", "show", "I-1"))
		for _, a := range x.Audience {
			if a.State == "failed" {
				k.ask(t, "incident", "told", "I-1", a.Team, "--how", "rang them up")
			}
		}
		return x.State == "review"
	})
	must(t, 1, k.writ("incident", "told", "I-1", "nobody", "--how", "rang them up"))
	k.tried["incident told"] = true // nobody may be left to tell
	k.ask(t, "incident", "review", "I-1", "The certificate ended and nobody saw it.", "--cause", "nobody watched it", "--action", "1:"+ben+":14d:watch the end of certificates")
	k.json(t, 0, k.as(chloe, "incident", "approve", "I-1", "review"))
	k.ask(t, "incident", "close", "I-1")
	actions := decode[struct {
		Review struct{ Actions []struct{ ID string } }
	}](t, k.ask(t, "incident", "show", "I-1")).Review.Actions
	k.ask(t, "incident", "done", "I-1", actions[0].ID)
	k.ask(t, "incident", "reopen", "I-1", "--reason", "it came back")
	k.ask(t, "incident", "drill", "the database is gone")
	k.ask(t, "incident", "cancel", "D-1", "--reason", "enough practised")
	k.ask(t, "incident", "declare", "sign-in is slow")
	k.ask(t, "incident", "join", "I-2", "I-1", "--reason", "the same")
	if page := k.visitor().send("GET", "/-/status", nil, nil).body; !strings.Contains(page, "Sign-in fails") {
		t.Errorf("the status page: %s", tail(page, 2000))
	}
	k.ask(t, "status", "show")
	k.ask(t, "status", "retire", part.ID)
}
