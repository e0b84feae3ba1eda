package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// begun waits for the incident that the alarm of a rule has begun, says that it was nothing,
// and sees the alarm judged so.
func (k *talker) begun(t *testing.T, rule string) {
	t.Helper()
	alarms := func() (id, verdict string) {
		x := decode[struct {
			Alarms []struct{ ID, Verdict string }
		}](t, k.writ("watch", "alarms", "--rule", rule, "--all", "--format", "json").run(t).out) // exit 1 while it fires
		if len(x.Alarms) == 0 {
			return "", ""
		}
		return x.Alarms[0].ID, x.Alarms[0].Verdict
	}
	var ref, signal string
	eventually(t, "the alarm begins an incident", func() bool {
		id, _ := alarms()
		list := decode[struct {
			Incidents []struct{ Ref string }
		}](t, k.ask(t, "incident", "list", "--signal", "alarm/"+id))
		if id != "" && len(list.Incidents) == 1 {
			ref, signal = list.Incidents[0].Ref, "alarm/"+id
		}
		return ref != ""
	})
	must(t, 1, k.writ("incident", "split", ref, "alarm/none", "--reason", "another matter"))
	if told := k.ask(t, "incident", "show", ref); !strings.Contains(told, signal) {
		t.Errorf("%s does not name its alarm: %s", ref, told)
	}
	k.ask(t, "incident", "cancel", ref, "--reason", "it was a test of ours")
	eventually(t, "the alarm was false", func() bool { _, verdict := alarms(); return verdict == "false" })
}

// incidents leads one from the first signal to its closed review by commands, beside a
// practice, and keeps the status page.
func (k *talker) incidents(t *testing.T) {
	t.Helper()
	k.begun(t, "break-glass-used")
	k.tried["incident answer"] = true // nobody outside has reported anything
	k.tried["incident split"] = true  // there is one alarm to split off, and it is alone
	const ben, chloe = "ben@example.test", "chloe@example.test"
	part := decode[struct{ ID string }](t, k.ask(t, "status", "add", "Sign-in", "--group", "Accounts"))
	k.ask(t, "status", "set", part.ID, "degraded_performance")
	plan := decode[struct{ ID string }](t, k.ask(t, "status", "plan", "New disks", "--starts", "24h", "--lasts", "2h", "--component", part.ID))
	k.ask(t, "status", "extend", plan.ID, "--ends", "27h")
	k.ask(t, "status", "covers", part.ID, "upstream/unzoned")
	must(t, 1, k.writ("status", "begin", plan.ID), "too early")
	soon := decode[struct {
		ID     string
		Closes bool
	}](t, k.ask(t, "status", "plan", "New wires", "--starts", "30m", "--lasts", "1h", "--close-gate"))
	if !soon.Closes {
		t.Error("the plan does not close the gate")
	}
	k.ask(t, "status", "begin", soon.ID)
	k.ask(t, "status", "end", soon.ID)
	k.ask(t, "status", "end", plan.ID)
	// An alarm of this machine may have begun one before.
	one := decode[struct{ Ref string }](t, k.ask(t, "incident", "declare", "nobody can sign in", "--component", "Sign-in", "--since", "20m")).Ref
	k.ask(t, "status", "template", "list")
	if x := decode[struct{ Version int64 }](t, k.ask(t, "status", "template", "set", "usability", "identified", "--text", "Since {since:time} it is slow.")); x.Version != 1 {
		t.Errorf("%+v", x)
	}
	must(t, 1, k.writ("status", "template", "set", "usability", "identified", "--text", "Since {since:number} it is slow."), "at character 7 is of the kind time")
	k.ask(t, "status", "template", "reset", "usability", "identified")
	k.ask(t, "status", "template", "show", "usability", "identified")
	k.ask(t, "incident", "draft", one)
	k.ask(t, "incident", "update", one, "Some people cannot sign in.", "--title", "Sign-in fails", "--preview")
	k.ask(t, "incident", "list", "--open")
	sheet := filepath.Join(t.TempDir(), "incidents.csv")
	if err := os.WriteFile(sheet, []byte("id,title,status\nINC-1,Invoices are late,closed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.ask(t, "incident", "import", sheet, "--dry-run")
	k.ask(t, "incident", "import", sheet)
	shot := filepath.Join(t.TempDir(), "shot.txt")
	if err := os.WriteFile(shot, []byte("what it looked like"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.ask(t, "incident", "attach", one, shot)
	k.ask(t, "incident", "files", one)
	whole := filepath.Join(t.TempDir(), "whole.zip")
	k.ask(t, "incident", "bundle", one, "--out", whole)
	k.ask(t, "verify", whole)
	k.json(t, 1, k.writ("incident", "status"))
	k.ask(t, "incident", "step", one, "acknowledge")
	for _, r := range []string{"communications", "technical-lead"} {
		k.ask(t, "incident", "role", one, r)
	}
	k.ask(t, "incident", "categorise", one, "usability", "--severity", "2")
	k.ask(t, "incident", "promise", one)
	k.json(t, 1, k.writ("incident", "frozen"))
	k.ask(t, "incident", "severity", one, "3", "--reason", "few are concerned")
	k.ask(t, "incident", "frozen")
	must(t, 1, k.writ("incident", "update", one, "Some people cannot sign in.", "--title", "Sign-in fails")) // without an estimate
	k.ask(t, "incident", "update", one, "Some people cannot sign in.", "--title", "Sign-in fails", "--next", "45m", "--component", part.ID+"=partial_outage")
	k.ask(t, "incident", "note", one, "rang the provider")
	k.ask(t, "incident", "posted", one, "social", "https://social.example.test/@harbour/1")
	k.ask(t, "incident", "fix", one, "plan", "--what", "renew certificates by themselves", "--owner", ben, "--ends", "5d")
	k.ask(t, "incident", "update", one, "We watch it.", "--state", "monitoring", "--next", "45m")
	k.ask(t, "incident", "step", one, "mitigate")
	k.ask(t, "incident", "update", one, "It works again.", "--state", "resolved", "--component", part.ID+"=operational")
	k.json(t, 0, k.as(chloe, "incident", "waive", one, "L", "soaked", "--reason", "the cause is gone for good"))
	must(t, 1, k.writ("incident", "alone", one, "plan-signed", "--reason", "nobody else answers"), "signed in") // the operator is no person
	k.tried["incident alone"] = true
	v := k.visitor()
	k.enter(v, ben, aPassword)
	v.want(http.StatusOK, "POST", "incidents/"+one+"/waivers", obj{"region": "L", "guard": "soaked", "reason": "I have seen it too"})
	k.ask(t, "incident", "step", one, "resolve")
	eventually(t, "those affected are told, and the review begins", func() bool {
		x := decode[struct {
			State    string
			Audience []struct{ Team, State string }
		}](t, k.ask(t, "incident", "show", one))
		for _, a := range x.Audience {
			if a.State == "failed" {
				k.ask(t, "incident", "told", one, a.Team, "--how", "rang them up")
			}
		}
		return x.State == "review"
	})
	must(t, 1, k.writ("incident", "told", one, "nobody", "--how", "rang them up"))
	must(t, 1, k.writ("incident", "drill", "--from", one)) // it is not closed
	for _, team := range decode[struct{ Teams []string }](t, k.ask(t, "incident", "account", one)).Teams {
		if x := decode[struct {
			Shown    bool
			Affected string
		}](t, k.ask(t, "incident", "account", one, "--team", team)); !x.Shown || x.Affected != "yes" {
			t.Errorf("%s reads %+v", team, x)
		}
	}
	k.tried["incident told"] = true // nobody may be left to tell
	k.ask(t, "incident", "review", one, "The certificate ended and nobody saw it.", "--cause", "nobody watched it", "--action", "1:"+ben+":14d:watch the end of certificates")
	k.json(t, 0, k.as(chloe, "incident", "approve", one, "review"))
	k.ask(t, "incident", "close", one)
	actions := decode[struct {
		Review struct{ Actions []struct{ ID string } }
	}](t, k.ask(t, "incident", "show", one)).Review.Actions
	k.ask(t, "incident", "done", one, actions[0].ID)
	k.ask(t, "incident", "reopen", one, "--reason", "it came back")
	drill := decode[struct{ Ref string }](t, k.ask(t, "incident", "drill", "the database is gone")).Ref
	k.ask(t, "incident", "cancel", drill, "--reason", "enough practised")
	must(t, 1, k.as(ben, "incident", "followed", drill), "is no drill of a kind") // those are in TestDemo
	k.tried["incident followed"] = true
	k.losses(t)
	two := decode[struct{ Ref string }](t, k.ask(t, "incident", "declare", "sign-in is slow")).Ref
	k.ask(t, "incident", "link", two, "caused-by", one, "--reason", "the same certificate")
	if page := k.ask(t, "incident", "show", one); !strings.Contains(page, `"causes"`) || !strings.Contains(page, two) {
		t.Errorf("the cause does not show what it caused: %s", page)
	}
	k.ask(t, "incident", "join", two, one, "--reason", "the same")
	if page := k.visitor().send("GET", "/-/status", nil, nil).body; !strings.Contains(page, "Sign-in fails") {
		t.Errorf("the status page: %s", tail(page, 2000))
	}
	k.ask(t, "status", "show")
	k.statusCopy(t)
	k.ask(t, "status", "retire", part.ID)
	k.breaches(t, v)
}

// losses has an incident in which data may be lost, and asks for what cannot be done in it yet.
func (k *talker) losses(t *testing.T) {
	t.Helper()
	ref := decode[struct{ Ref string }](t, k.ask(t, "incident", "declare", "orders are gone")).Ref
	k.ask(t, "incident", "step", ref, "acknowledge")
	k.ask(t, "incident", "role", ref, "recovery-operator")
	k.ask(t, "incident", "categorise", ref, "data-loss", "--severity", "2")
	k.ask(t, "incident", "loss", "show", ref)
	for _, args := range [][]string{{"plan", ref, "--at", "2h", "--point", "nightly-3", "--target", "db.internal/app", "--how", "by hand"}, {"record", ref, "restored", "it was restored by hand"}, {"sign", ref, "nothing"}, {"again", ref, "rehearse"}, {"list", ref, "nobody"}} {
		must(t, 1, k.writ(append([]string{"incident", "loss"}, args...)...))
		k.tried["incident loss "+args[0]] = true // the application is not taken down for it
	}
	for until := time.Now().Add(30 * time.Second); len(decode[struct{ Onsets []struct{} }](t, k.ask(t, "incident", "loss", "show", ref)).Onsets) == 0 && time.Now().Before(until); { // found by the server, once
		time.Sleep(100 * time.Millisecond)
	}
	k.ask(t, "incident", "loss", "onsets", ref)
	k.ask(t, "incident", "cancel", ref, "--reason", "they were archived")
}

// statusCopy subscribes a stranger, sees and removes it, and takes a copy that proves itself.
func (k *talker) statusCopy(t *testing.T) {
	t.Helper()
	const address = "reader@example.test"
	v := k.visitor()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}}
	v.send("POST", "/-/status/subscribe", strings.NewReader(url.Values{"email": {address}}.Encode()), form)
	_, token, _ := strings.Cut(k.letter(address, 1).Text, "/-/status/confirm/")
	token, _, _ = strings.Cut(token, "\n")
	if a := v.send("POST", "/-/status/confirm/"+strings.TrimSpace(token), nil, form); a.status != 200 {
		t.Fatalf("confirmed: %v", a)
	}
	type one struct{ ID, Where, State string }
	told := decode[struct{ Subscribers []one }](t, k.ask(t, "status", "subscribers", "list")).Subscribers
	if len(told) != 1 || told[0].Where != "r…@example.test" || told[0].State != "told" {
		t.Fatalf("told are %+v", told)
	}
	must(t, 1, k.writ("status", "subscribers", "remove", told[0].ID, "--reason", ""), "Say why")
	k.ask(t, "status", "subscribers", "remove", told[0].ID, "--reason", "asked for by post")
	must(t, 0, k.writ("status", "subscribers", "list"), "Nobody has subscribed")
	folder := filepath.Join(t.TempDir(), "copy")
	if x := decode[struct{ Files int }](t, k.ask(t, "status", "export", folder)); x.Files < 15 {
		t.Errorf("%d files", x.Files)
	}
	must(t, 0, command{args: []string{"verify", folder}})
}
