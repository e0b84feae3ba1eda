package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// breachRule fires on what was read.
const breachRule = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e09"

// breaches leads exposed data from the first signal to the last letter by commands: the set is
// computed from what the gate and the journal recorded, runs again offline, and each of those
// concerned has one letter in the box. second is ben, who has signed in.
func (k *talker) breaches(t *testing.T, second *visitor) {
	t.Helper()
	const ben, chloe, gina = "ben@example.test", "chloe@example.test", "gina@grove.example"
	v := k.customer(gina)
	v.want(http.StatusOK, "GET", "session", nil)
	one := decode[struct{ Ref string }](t, k.ask(t, "incident", "declare", "records were read by a stranger")).Ref
	k.ask(t, "incident", "step", one, "acknowledge")
	k.ask(t, "incident", "role", one, "privacy-officer")
	for who, role := range map[string]string{chloe: "technical-lead", ben: "scribe"} {
		k.ask(t, "incident", "role", one, role, "--to", who)
	}
	must(t, 1, k.writ("incident", "breach", "show", one)) // its kind is not decided
	k.ask(t, "incident", "categorise", one, "breach", "--severity", "2")
	k.ask(t, "incident", "step", one, "confirm")
	first := k.visitor()
	k.enter(first, chloe, aPassword)
	type exposure struct {
		Scope struct {
			Hash   string
			Counts map[string]int64
			Signed []string
		}
		Papers []struct {
			Kind, Hash string
			Doc        struct {
				Kind, ID string
				Refused  bool
			}
		}
		Clocks []struct {
			Name string
			Void bool
		}
		Letters map[string]int64
		Tasks   []struct{ ID string }
	}
	show := func() exposure { return decode[exposure](t, k.ask(t, "incident", "breach", "show", one)) }
	sign := func(thing string) {
		hash := show().Scope.Hash
		for _, p := range show().Papers {
			if p.Kind == thing {
				hash = p.Hash
				break
			}
		}
		first.want(http.StatusOK, "POST", "incidents/"+one+"/breach/signatures", obj{"object": thing, "hash": hash})
		second.want(http.StatusOK, "POST", "incidents/"+one+"/breach/signatures", obj{"object": thing, "hash": hash})
	}
	k.ask(t, "incident", "breach", "scope", one, "--since", "1h", "--principal", gina, "--statement", "The server is younger than an hour, and its pages have no kind of data.")
	x := show()
	if x.Scope.Counts["obtained"] < 2 || len(x.Clocks) != 3 {
		t.Errorf("%+v", x)
	}
	sign("scope")
	k.ask(t, "incident", "breach", "lines", one, "--class", "obtained")
	bundle := filepath.Join(t.TempDir(), "breach.zip")
	k.ask(t, "incident", "breach", "scope", one, "--bundle", bundle)
	if out := k.ask(t, "incident", "breach", "check", bundle); !strings.Contains(out, x.Scope.Hash) {
		t.Errorf("offline: %s", out)
	}
	k.ask(t, "incident", "step", one, "scope")
	k.ask(t, "incident", "clock", one, "--name", "contract with Grove", "--within", "24h")
	must(t, 1, k.writ("incident", "clock", one, "--aware", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--reason", "their letter came before")) // the operator moves no time
	k.ask(t, "incident", "breach", "vendor", one, "name=Cloud Co", "contact=security@cloud.example", "case=C-9", "questions=Which of your people could read it?")
	k.ask(t, "incident", "breach", "task", one, "fill in their form 12", "--owner", ben)
	k.ask(t, "incident", "breach", "task", one, "--done", show().Tasks[0].ID)
	k.ask(t, "incident", "breach", "risk", one, "level=high", "reason=Addresses can be used to deceive customers.")
	must(t, 1, k.writ("incident", "breach", "sign", one, "risk", show().Papers[0].Hash)) // and signs nothing
	k.tried["incident breach sign"] = true
	first.want(http.StatusOK, "POST", "incidents/"+one+"/breach/signatures", obj{"object": "risk", "hash": show().Papers[0].Hash})
	k.ask(t, "incident", "step", one, "decide-risk")
	pack := decode[struct{ Hash string }](t, k.ask(t, "incident", "breach", "pack", one))
	k.ask(t, "incident", "breach", "paper", one, "receipt", "phase=first", "number=A-17", "pack="+pack.Hash)
	k.ask(t, "incident", "step", one, "report")
	body := "Dear {name},\n\nsomebody who had no right to it has seen data of yours in our service: {data}. It happened between {from} and {until}.\n\nWe have closed the way by which it happened. Questions: {contact}."
	for class := range x.Scope.Counts {
		if class == "cleared" {
			continue
		}
		k.ask(t, "incident", "breach", "paper", one, "letter", "subject=Your data at {company}", "body="+body, "--class", class)
		k.ask(t, "incident", "breach", "letter", one, "test", ben, "--class", class)
		sign("letter-" + class)
	}
	k.ask(t, "incident", "step", one, "notify")
	eventually(t, "everybody is told", func() bool {
		l := show().Letters
		var all int64
		for _, n := range l {
			all += n
		}
		return all > 0 && all == l["accepted"]
	})
	k.ask(t, "incident", "breach", "letters", one, "--state", "accepted")
	n := 0
	for _, l := range k.letters(gina) {
		if strings.Contains(l.Text, "somebody who had no right to it") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("she has %d letters", n)
	}
	own := decode[struct {
		Reports   []struct{ Reference, Text string }
		Exposures []struct{ Incident, Class, Letter string } `json:"exposed_data"`
	}](t, v.want(http.StatusOK, "POST", "account/export", obj{}).body)
	if len(own.Exposures) != 1 || own.Exposures[0].Incident != one || own.Exposures[0].Letter != "accepted" || own.Reports == nil {
		t.Errorf("her own copy says %+v", own)
	}
	k.ask(t, "incident", "step", one, "told")
	session := decode[struct{ Session struct{ ID string } }](t, v.want(http.StatusOK, "GET", "session", nil).body).Session.ID
	for kind, id := range map[string]string{"session": session + "x", "token": "nothing", "sessions": "nobody"} { // what never was is no evidence
		must(t, 1, k.writ("incident", "breach", "cut", one, kind, id), "no such")
	}
	k.ask(t, "incident", "breach", "cut", one, "session", session)
	v.want(http.StatusUnauthorized, "GET", "session", nil)
	key := decode[struct {
		ID string `json:"access_key_id"`
	}](t, k.ask(t, "vault", "key", "create", "--path", "/thief", "--read-only")).ID
	k.ask(t, "incident", "breach", "cut", one, "key", key)
	k.ask(t, "incident", "breach", "cut", one, "network", "198.51.100.9/24")
	if out := k.ask(t, "gateway", "block", "list"); !strings.Contains(out, `"198.51.100.0/24"`) || !strings.Contains(out, one) {
		t.Errorf("the network is not kept out: %s", out)
	}
	gone := k.customer("hugo@grove.example")
	hugo := decode[struct{ Person struct{ ID string } }](t, gone.want(http.StatusOK, "GET", "session", nil).body).Person.ID
	k.ask(t, "incident", "breach", "cut", one, "person", hugo)
	gone.want(http.StatusUnauthorized, "GET", "session", nil)
	gone.want(http.StatusUnauthorized, "POST", "sign-in", obj{"email": "hugo@grove.example", "password": aPassword})
	k.thief(t, one)
	must(t, 1, k.writ("incident", "breach", "lift", one, "person", hugo, "--reason", "his machine is clean again")) // the operator is no person
	k.tried["incident breach lift"] = true
	before := len(k.letters("hugo@grove.example"))
	for _, x := range []*visitor{first, second} {
		x.want(http.StatusOK, "POST", "incidents/"+one+"/breach/lifts", obj{"kind": "person", "id": hugo, "reason": "his machine is clean again"})
	}
	eventually(t, "he has a link", func() bool { return len(k.letters("hugo@grove.example")) > before })
	gone.want(http.StatusUnauthorized, "POST", "sign-in", obj{"email": "hugo@grove.example", "password": aPassword})
	for _, p := range show().Papers {
		if p.Kind == "cut" && !p.Doc.Refused {
			t.Errorf("tried again, it still works: %+v", p)
		}
	}
	now := time.Now().UTC()
	sees := filepath.Join(t.TempDir(), "sees.yml")
	if err := os.WriteFile(sees, []byte("title: Somebody is answered\nid: "+breachRule+"\nlogsource: {category: webserver}\ndetection:\n  s: {sc-status: 200}\n  condition: s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, 1, k.writ("incident", "breach", "paper", one, "research", "way=A session was taken over.", "first="+now.Add(-2*time.Hour).Format(time.RFC3339), "last="+now.Add(-time.Minute).Format(time.RFC3339), "cause=A laptop was left open.", "unseen=Nobody looks at night.", "rule="+breachRule)) // there is no such rule yet
	k.ask(t, "watch", "rule", "add", sees)
	k.ask(t, "incident", "breach", "paper", one, "research", "way=A session was taken over.", "first="+now.Add(-2*time.Hour).Format(time.RFC3339), "last="+now.Add(-time.Minute).Format(time.RFC3339), "cause=A laptop was left open.", "unseen=Nobody looks at night.", "rule="+breachRule)
	sign("research")
	first.want(http.StatusOK, "POST", "incidents/"+one+"/steps", obj{"event": "research"})
	k.ask(t, "incident", "breach", "paper", one, "measure", "what=Sessions end after ten minutes", "link=auth.best-practice", "test=TestIdle", "failed=run 17: failed", "passes=run 18: passed")
	sign("measure")
	first.want(http.StatusOK, "POST", "incidents/"+one+"/steps", obj{"event": "prevent"}) // and what was held is free
	k.ask(t, "incident", "breach", "register")
}

// thief is one of the staff with an access key of their own: it ends with them.
func (k *talker) thief(t *testing.T, incident string) {
	t.Helper()
	const email = "kim@example.test"
	added := decode[struct{ Handle, URL string }](t, must(t, 0, k.writ("user", "add", email, "--role", "engineer", "--format", "json")).out)
	k.owners[email] = added.URL[strings.LastIndexByte(added.URL, '/')+1:]
	k.owner(email)
	key := decode[struct {
		ID string `json:"access_key_id"`
	}](t, must(t, 0, k.as(email, "vault", "key", "create", "--path", "/kim", "--read-only", "--format", "json")).out).ID
	ended := func() bool {
		for _, x := range decode[struct {
			Keys []struct {
				ID    string
				Ended bool
			}
		}](t, k.ask(t, "vault", "key", "list")).Keys {
			if x.ID == key {
				return x.Ended
			}
		}
		t.Fatalf("there is no key %s", key)
		return false
	}
	if ended() {
		t.Error("the key has ended before")
	}
	k.ask(t, "incident", "breach", "cut", incident, "person", added.Handle)
	if !ended() {
		t.Error("somebody who is shut out has an access key that works")
	}
}
