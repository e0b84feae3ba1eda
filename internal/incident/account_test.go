package incident_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/journal/verify"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
)

// adminOf is the admin of a customer's team.
func (w *world) adminOf(team string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: "admin-" + team, Team: team, TeamKind: "customer", Roles: []string{"admin"}, Session: "s-" + team, ACR: 3, FactorAt: w.kit.Clock.Now(), Via: "https"}
}

// accounts are those that a team's admin sees, by the incident.
func (w *world) accounts(team string) map[string]incident.Account {
	w.t.Helper()
	all, err := w.svc.Accounts(w.t.Context(), w.adminOf(team))
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]incident.Account{}
	for _, a := range all {
		out[a.Ref] = a
	}
	return out
}

func (w *world) account(team, ref string) incident.Account {
	w.t.Helper()
	a, err := w.svc.Account(w.t.Context(), w.adminOf(team), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// minutes pass, and somebody is there to see them.
func (w *world) minutes(n int) {
	w.t.Helper()
	for range n {
		w.kit.Clock.Advance(time.Minute)
		if err := w.page.Tend(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A team's admins read what an incident did to their team: while it lasts what everybody knows, then
// whether they were affected, for how long, and their letters with the entries. Nobody else reads it,
// and a team that was not affected reads nothing.
func TestAccountOfAnOutage(t *testing.T) { // breaks: inc.tell-affected
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		ctx := t.Context()
		part := w.component("Sign-in", "")
		other := w.component("Search", "")
		if err := w.page.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		c := w.active()
		w.customers.teams = []incident.Team{{ID: "t1", Reach: []string{"a@example.test", "b@example.test"}}}
		if got := w.accounts("t1"); len(got) != 0 {
			t.Errorf("before anybody was told: %+v", got)
		}
		if _, err := w.svc.Account(ctx, w.adminOf("t1"), c.Ref()); fault.KindOf(err) != fault.NotFound {
			t.Errorf("before anybody was told: %v", err)
		}
		p := w.update(status.Investigating)
		p.Touched = map[string]string{part.ID: status.MajorOutage}
		w.ok(w.svc.Update(ctx, w.as("dev"), c.Ref(), p, 0))
		for _, x := range []string{part.ID, other.ID} { // what happens to another part is another matter
			if err := w.page.Set(ctx, w.as("dev"), x, status.MajorOutage); err != nil {
				t.Fatal(err)
			}
		}
		w.minutes(12)
		if err := w.page.Set(ctx, w.as("dev"), part.ID, status.PartialOutage); err != nil {
			t.Fatal(err)
		}
		w.minutes(5)
		if a := w.accounts("t2")[c.Ref()]; !a.Shown || a.Affected != "unknown" || a.Title != "Sign-in fails" || a.State != "Investigating" || !a.Until.IsZero() || a.Out.Down != 12*time.Minute {
			t.Errorf("while it lasts: %+v", a)
		}
		p = w.update(status.Monitoring)
		p.Touched = map[string]string{part.ID: status.Operational}
		w.fixed(c.Ref())
		w.ok(w.svc.Update(ctx, w.as("dev"), c.Ref(), p, 0))
		w.step("dev", c.Ref(), "mitigate", "")
		w.minutes(int(incident.Soak / time.Minute))
		w.says(c.Ref(), status.Resolved)
		w.step("dev", c.Ref(), "resolve", "")
		w.worked()
		w.tend()
		w.numbered()
		if got := w.accounts("t2"); len(got) != 0 {
			t.Errorf("who was not affected reads %+v", got)
		}
		a := w.account("t1", c.Ref())
		want := status.Outage{Down: 12 * time.Minute, Partial: 5 * time.Minute}
		if a.Affected != "yes" || a.Out != want || len(a.Messages) != 1 || a.Messages[0].Letters != 2 || a.Messages[0].State != "handed-over" || len(a.Messages[0].Entries) != 2 || len(a.Entries) != 2 || len(a.Lost)+len(a.Data) != 0 {
			t.Errorf("%+v", a)
		}
		for _, n := range slices.Concat(a.Messages[0].Entries, a.Entries) {
			if e, err := w.journal.Entry(ctx, n); err != nil || !strings.HasPrefix(e.Act, "incident.") {
				t.Errorf("entry %d: %+v %v", n, e, err)
			}
		}
		if w.entries("account-read") != 1 {
			t.Error("that it was read is not recorded")
		}
		member := w.adminOf("t1")
		member.Roles = []string{"member"}
		look := w.adminOf("t1")
		look.Kind = actor.Support
		for what, who := range map[string]actor.Actor{"a member": member, "a look as one of them": look, "staff": w.as("dev"), "the operator": operator, "nobody": stranger} {
			if _, err := w.svc.Accounts(ctx, who); fault.KindOf(err) != fault.Denied && fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := w.svc.Account(ctx, who, c.Ref()); fault.KindOf(err) != fault.Denied && fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := w.svc.Accounts(ctx, w.as("ana")); fault.KindOf(err) != fault.Conflict { // an owner may manage the team of staff
			t.Errorf("an owner: %v", err)
		}
		d, _, err := w.svc.Declare(ctx, w.as("ana"), incident.Signal{Title: "A drill", Drill: true})
		w.ok(d, err)
		if _, err := w.svc.Account(ctx, w.adminOf("t1"), d.Ref()); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a drill: %v", err)
		}
		if _, err := w.svc.AccountOf(ctx, w.as("ana"), d.Ref(), "t1"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a drill: %v", err)
		}
	}, tables...)
}

// Time that nobody saw is not time in which all was well, and each moment counts once.
func TestOutageOfTheUnseen(t *testing.T) { // breaks: inc.tell-affected
	w := open(t)
	a, b := w.component("Sign-in", ""), w.component("Search", "")
	w.minutes(1)
	from := w.kit.Clock.Now()
	for _, x := range []string{a.ID, b.ID} {
		if err := w.page.Set(t.Context(), w.as("dev"), x, status.MajorOutage); err != nil {
			t.Fatal(err)
		}
	}
	w.minutes(10)
	if err := w.page.Set(t.Context(), w.as("dev"), a.ID, status.PartialOutage); err != nil {
		t.Fatal(err)
	}
	w.kit.Clock.Advance(20 * time.Minute) // nobody is there
	w.minutes(5)
	for what, x := range map[string]struct {
		parts []string
		shut  []status.Period
		want  status.Outage
	}{
		"one":    {[]string{a.ID}, nil, status.Outage{Down: 10 * time.Minute, Partial: 4 * time.Minute, Unseen: 21 * time.Minute}},
		"both":   {[]string{a.ID, b.ID}, nil, status.Outage{Down: 14 * time.Minute, Unseen: 21 * time.Minute}},
		"none":   {nil, nil, status.Outage{Unseen: 21 * time.Minute}},
		"closed": {nil, []status.Period{{From: from.Add(-time.Hour), Until: from.Add(2 * time.Minute)}, {From: from.Add(15 * time.Minute), Until: from.Add(16 * time.Minute)}}, status.Outage{Down: 3 * time.Minute, Unseen: 20 * time.Minute}},
	} {
		got, err := w.page.Outage(t.Context(), x.parts, status.Period{From: from, Until: w.kit.Clock.Now()}, x.shut)
		if err != nil || got != x.want {
			t.Errorf("%s: %+v %v, want %+v", what, got, err, x.want)
		}
	}
}

// No account tells of exposed data before its letters have gone out: not at any step of the way, not
// while one is to be sent, not of a later version, and not of a class that nobody was told of. Then a
// team reads its own part, and staff without a role in it do not.
func TestNoAccountBeforeTheLetters(t *testing.T) { // breaks: inc.breach-notify
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		ctx, now := t.Context(), w.kit.Clock.Now()
		w.breach.teams = map[string][]string{"ann": {"t1"}, "bob": {"t1", "t2"}}
		w.breach.burst(now)
		for i, name := range []string{"contact=1", "contact=2", "contact=2"} {
			w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, Team: []string{"t1", "t1", "t4"}[i], Route: "/contacts/", Method: "GET", Status: 200, Out: 9, Resource: []string{name}})
		}
		w.breached()
		hidden := func(when string) {
			t.Helper()
			for _, team := range []string{"t1", "t2", "t3", "t4"} {
				if a := w.accounts(team); len(a) != 0 {
					t.Errorf("%s %s reads %+v", when, team, a)
				}
			}
		}
		hidden("when it was decided")
		w.scoped("I-1")
		hidden("when the set is signed")
		w.notifying("I-1")
		hidden("when letters are to go out")
		w.breach.answers = func(to string) (mail.Answer, error) {
			if to == "ann@example.test" {
				return mail.Answer{Code: 450}, fault.Newf(fault.Unavailable, "busy", "later")
			}
			return mail.Answer{Code: 250}, nil
		}
		w.sendAll()
		hidden("when one is to be sent again")
		w.breach.answers = nil
		w.kit.Clock.Advance(10 * time.Minute)
		w.sendAll()
		w.numbered()
		a := w.account("t1", "I-1")
		want := []incident.Exposed{{Class: "obtained", Records: 2, People: 3, Data: []string{"contact"}}}
		if !a.Shown || a.Affected != "yes" || a.Title != "" || !reflect.DeepEqual(a.Data, want) {
			t.Errorf("%+v", a)
		}
		if len(a.Messages) != 1 || a.Messages[0].Letters != 3 || a.Messages[0].Class != "obtained" || a.Messages[0].State != "accepted" || len(a.Messages[0].Entries) != 3 {
			t.Errorf("%+v", a.Messages)
		}
		if a := w.account("t2", "I-1"); len(a.Data) != 1 || a.Data[0].People != 1 || a.Data[0].Records != 0 {
			t.Errorf("%+v", a.Data)
		}
		if a := w.account("t3", "I-1"); len(a.Data) != 1 || a.Data[0].Class != "accessed" || a.Data[0].Whole != 1 {
			t.Errorf("%+v", a.Data)
		}
		if got := w.accounts("t5"); len(got) != 0 {
			t.Errorf("whom it does not concern reads %+v", got)
		}
		if a, err := w.svc.AccountOf(ctx, w.as("ben"), "I-1", "t1"); err != nil || !a.Held || len(a.Data)+len(a.Messages) != 0 {
			t.Errorf("who has no role in it reads %+v %v", a, err)
		}
		seen := w.entries("breach-seen")
		if a, err := w.svc.AccountOf(ctx, w.as("eve"), "I-1", "t1"); err != nil || a.Held || !reflect.DeepEqual(a.Data, want) || w.entries("breach-seen") != seen+1 {
			t.Errorf("who has one reads %+v %v", a, err)
		}
		w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: "dora", Team: "t1", Route: "/contacts/", Method: "GET", Status: 200, Out: 9, Resource: []string{"contact=3"}})
		w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector()}))
		w.signs("I-1", "scope")
		w.breach.answers = func(string) (mail.Answer, error) {
			return mail.Answer{Code: 450}, fault.Newf(fault.Unavailable, "busy", "later")
		}
		w.sendAll()
		if a := w.account("t1", "I-1"); !reflect.DeepEqual(a.Data, want) {
			t.Errorf("of the later version: %+v", a.Data)
		}
		w.breach.answers = nil
		w.kit.Clock.Advance(10 * time.Minute)
		w.sendAll()
		if a := w.account("t1", "I-1"); len(a.Data) != 1 || a.Data[0].Records != 3 {
			t.Errorf("once it was told: %+v", a.Data)
		}
		w.exec(`UPDATE incident_letter SET state = 'stopped' WHERE class = ` + fmt.Sprint(int(breach.Accessed)))
		if got := w.accounts("t3"); len(got) != 0 {
			t.Errorf("of a class that nobody was told of: %+v", got)
		}
		w.exec(`UPDATE incident_letter SET placed = FALSE WHERE person = 'ann'`)
		hidden("while it is not known whose a letter is")
	}, tables...)
}

// Where the record is not whole, a team of which nothing in it speaks reads that this cannot be known.
func TestAccountOverAHole(t *testing.T) { // breaks: inc.breach-scope
	w := open(t)
	now := w.kit.Clock.Now()
	w.breach.burst(now)
	w.breach.holes = []breach.Hole{{From: now.Add(-2 * time.Hour), Until: now.Add(-90 * time.Minute), Why: "records were dropped"}}
	w.breached()
	w.step("eve", "I-1", "confirm", "")
	w.ok(w.svc.FreezeScope(t.Context(), w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Statement: "Nobody knows what was read within that half hour."}))
	w.signs("I-1", "scope")
	w.step("eve", "I-1", "scope", "")
	w.notifying("I-1")
	w.sendAll()
	if a := w.account("t2", "I-1"); !reflect.DeepEqual(a.Data, []incident.Exposed{{Class: "cannot-know", Whole: 1, People: 1, Data: []string{}}}) {
		t.Errorf("%+v", a.Data)
	}
	if a := w.account("t3", "I-1"); len(a.Data) != 1 || a.Data[0].Class != "accessed" {
		t.Errorf("%+v", a.Data)
	}
}

// A published incident tells nobody that data was exposed, before its letters went out.
func TestPublishedBreach(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	w.breach.teams = map[string][]string{"ann": {"t1"}}
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	w.ok(w.svc.TakeRole(t.Context(), w.as("dev"), "I-1", engine.Communications, ""))
	w.says("I-1", status.Investigating)
	w.scoped("I-1")
	w.notifying("I-1")
	site, _ := w.api(w.adminOf("t1"))
	before := read(t, site, "GET", "/-/api/v1/team/incidents/I-1").Body.String()
	for _, bad := range []string{"breach", "obtained", "exposed", "contact"} {
		if strings.Contains(before, bad) {
			t.Errorf("it says %s: %s", bad, before)
		}
	}
	if a := w.account("t1", "I-1"); !a.Shown || a.Affected != "unknown" || len(a.Data)+len(a.Messages) != 0 {
		t.Errorf("%+v", a)
	}
	w.sendAll()
	if a := w.account("t1", "I-1"); a.Affected != "yes" || len(a.Data) != 1 {
		t.Errorf("%+v", a)
	}
}

func read(t *testing.T, site http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://app.example.test"+path, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	a := httptest.NewRecorder()
	site.ServeHTTP(a, r)
	return a
}

// A team that lost something reads which changes are gone; they add up, and its time out is that in
// which the gate was closed. Anybody checks the account without this server, and a word of it that
// was changed is found.
func TestAccountOfLostData(t *testing.T) { // breaks: inc.loss-restore
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, nil)
		l.harm()
		l.sorted()
		l.to("R12")
		l.closed()
		ctx := t.Context()
		a := l.account("t1", l.ref)
		loss := l.show(l.ref).Loss
		if len(a.Lost) == 0 || int64(len(a.Lost)) != a.Writes || a.Affected != "yes" || a.Out.Down != loss.Up.Sub(loss.Down) {
			t.Errorf("%+v, down for %s", a, loss.Up.Sub(loss.Down))
		}
		for _, x := range a.Lost {
			if x.Team != "t1" {
				t.Errorf("a change of another team: %+v", x)
			}
		}
		sum := a.Writes + l.account("t2", l.ref).Writes
		tot, teams, err := l.svc.AccountTotals(ctx, operator, l.ref)
		if err != nil || tot.Writes != sum || !slices.Equal(teams, []string{"t1", "t2"}) || tot.Out.Down != 2*a.Out.Down {
			t.Errorf("%+v %v %v, want %d writes", tot, teams, err, sum)
		}
		l.numbered()
		run, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- l.journal.Run(run) }()
		defer func() { stop(); <-done }()
		var zip bytes.Buffer
		if err := l.svc.ProveAccount(ctx, l.adminOf("t1"), l.ref, &zip); err != nil {
			t.Fatal(err)
		}
		key, err := l.journal.Key(ctx)
		if err != nil {
			t.Fatal(err)
		}
		opt := verify.Options{Keys: []string{key}}
		if r := verify.Bundle(bytes.NewReader(zip.Bytes()), int64(zip.Len()), opt); r.Code != verify.True || !slices.ContainsFunc(r.Steps, func(s string) bool { return strings.HasPrefix(s, "1 files under incident/") }) {
			t.Fatalf("%s", r.Text())
		}
		files := unpacked(t, zip.Bytes())
		var said struct {
			Lost []incident.Write
		}
		if err := json.Unmarshal(files["incident/account.json"], &said); err != nil || len(said.Lost) != len(a.Lost) {
			t.Errorf("%s %v", files["incident/account.json"], err)
		}
		for name, b := range files {
			if bytes.Contains(b, []byte(`"t2"`)) {
				t.Errorf("%s names another team: %s", name, b)
			}
			if bytes.Contains(b, []byte("incident.account-proved=")) || name == "totals.json" && string(b) != "{}" {
				t.Errorf("%s says how much others did: %s", name, b)
			}
		}
		changed := maps.Clone(files)
		changed["incident/account.json"] = bytes.Replace(files["incident/account.json"], []byte(`"lost_writes": `), []byte(`"lost_writes": 9`), 1)
		b := packed(t, changed)
		if r := verify.Bundle(bytes.NewReader(b), int64(len(b)), opt); r.Code == verify.True {
			t.Error("a word that was changed is not found")
		}
	}, tables...)
}

// A team that is let in before the others reads for how long it was shut out itself, and one that was
// let in and shut out again reads both times.
func TestAccountOfWhoWasLetInEarly(t *testing.T) { // breaks: inc.tell-affected
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, nil)
		l.gate.first = []string{"t1"}
		l.harm()
		l.sorted()
		opened := func(event string) time.Time {
			t.Helper()
			l.kit.Clock.Advance(10 * time.Minute)
			l.step("dev", l.ref, event, "")
			l.worked()
			return l.kit.Clock.Now()
		}
		down := l.to("R10").Loss.Down
		first := opened("open-some")
		l.kit.Clock.Advance(5 * time.Minute)
		for team, want := range map[string]time.Duration{"t1": first.Sub(down), "t2": l.kit.Clock.Now().Sub(down)} {
			if a, err := l.svc.AccountOf(t.Context(), operator, l.ref, team); err != nil || a.Out.Down != want {
				t.Errorf("while it lasts %s was shut out for %s, want %s; %v", team, a.Out.Down, want, err)
			}
		}
		again := opened("red")
		l.to("R10")
		second := opened("open-some")
		all := opened("open-all")
		l.to("R12")
		l.closed()
		one, two := l.account("t1", l.ref).Out.Down, l.account("t2", l.ref).Out.Down
		if want := first.Sub(down) + second.Sub(again); one != want {
			t.Errorf("who was let in early was shut out for %s, want %s", one, want)
		}
		if want := all.Sub(down); two != want {
			t.Errorf("who was let in last was shut out for %s, want %s", two, want)
		}
		if tot, _, err := l.svc.AccountTotals(t.Context(), operator, l.ref); err != nil || tot.Out.Down != one+two {
			t.Errorf("%+v %v, want %s", tot.Out, err, one+two)
		}
	}, tables...)
}

// whatever is what one random incident did.
type whatever struct {
	audience, lost map[string]int64 // letters; writes, with a letter each
	records        map[string]map[string]int64
	letters        []randomLetter
	told           int64 // version
}

type randomLetter struct {
	person  string
	teams   []string
	class   string
	version int64
	state   string
}

var (
	someTeams = []string{"t1", "t2", "t3", "t4", "t5"}
	someWords = []string{"obtained", "accessed", "possibly", "cannot-know"}
	codeOf    = map[string]breach.Class{"obtained": breach.Obtained, "accessed": breach.Accessed, "possibly": breach.Possibly, "cannot-know": breach.Possibly}
)

// happens makes a random incident, and says what it did.
func (w *world) happens(r *rand.Rand) (ref string, x whatever) {
	w.t.Helper()
	c := w.declared()
	x = whatever{audience: map[string]int64{}, lost: map[string]int64{}, records: map[string]map[string]int64{}}
	now := w.kit.Clock.Now().UnixMicro()
	for _, team := range someTeams {
		if r.IntN(3) == 0 {
			x.audience[team] = int64(r.IntN(3) + 1)
			w.exec(`INSERT INTO incident_audience (case_id, round, team, state, letters, at) VALUES ($1, 1, $2, 'handed-over', $3, $4)`, c.ID, team, strings.Repeat("j ", int(x.audience[team])), now)
		}
		if r.IntN(4) == 0 {
			x.lost[team] = int64(r.IntN(9) + 1)
			w.exec(`INSERT INTO incident_lost (case_id, round, team, writes, hash, box, letters, at) VALUES ($1, 1, $2, $3, '', $4, 'j', $5)`, c.ID, team, x.lost[team], []byte{0}, now)
		}
	}
	versions := int64(r.IntN(3))
	for v := int64(1); v <= versions; v++ {
		scope := fmt.Sprintf("%s-%d", c.ID, v)
		w.exec(`INSERT INTO incident_scope (id, case_id, version, hash, obtained, accessed, possibly, stated, parts, filled, author, at, box, placed) VALUES ($1, $2, $3, '', 0, 0, 0, TRUE, 0, TRUE, '', $4, $5, TRUE)`, scope, c.ID, v, now, []byte{0})
		for range r.IntN(6) {
			id := w.kit.DB.ID()
			l := randomLetter{person: fmt.Sprint("p", r.IntN(4)), class: someWords[r.IntN(4)], version: v, state: []string{"accepted", "accepted", "accepted", "told", "refused", "stopped", "queued"}[r.IntN(7)]}
			if slices.ContainsFunc(x.letters, func(o randomLetter) bool { return o.person == l.person && o.version == v }) {
				continue
			}
			for _, team := range someTeams {
				if r.IntN(3) == 0 {
					l.teams = append(l.teams, team)
				}
			}
			w.exec(`INSERT INTO incident_letter (id, case_id, version, person, class, text, state, tries, next, code, body, at, box, placed) VALUES ($1, $2, $3, $4, $5, '', $6, 0, 0, '', '', $7, $8, TRUE)`, id, c.ID, v, l.person, int64(codeOf[l.class]), l.state, now, []byte{0})
			in := l.teams
			if len(in) == 0 {
				in = []string{""}
			}
			for _, team := range in {
				w.exec(`INSERT INTO incident_letter_team (letter_id, team, case_id, class, data) VALUES ($1, $2, $3, $4, '')`, id, team, c.ID, l.class)
			}
			x.letters = append(x.letters, l)
		}
		x.records[fmt.Sprint(v)] = map[string]int64{}
		for _, team := range someTeams {
			for _, class := range someWords {
				if r.IntN(3) == 0 {
					n := int64(r.IntN(50) + 1)
					x.records[fmt.Sprint(v)][team+" "+class] = n
					w.exec(`INSERT INTO incident_scope_team (scope_id, team, class, case_id, records, whole, data) VALUES ($1, $2, $3, $4, $5, 0, 'contact')`, scope, team, class, c.ID, n)
				}
			}
		}
	}
	x.told = versions
	for _, l := range x.letters {
		if l.state == "queued" {
			x.told = min(x.told, l.version-1)
		}
	}
	return c.Ref(), x
}

// tells are the classes that somebody was told of.
func (x whatever) tells(class string) bool {
	return slices.ContainsFunc(x.letters, func(l randomLetter) bool {
		return l.version <= x.told && (l.state == "accepted" || l.state == "told") && codeOf[l.class] == codeOf[class]
	})
}

// of is what a team must read, counted by hand: by class records and people, and all letters.
func (x whatever) of(team string) (records, people map[string]int64, letters int64) {
	records, people, letters = map[string]int64{}, map[string]int64{}, x.audience[team]
	if x.lost[team] > 0 {
		letters++
	}
	for key, n := range x.records[fmt.Sprint(x.told)] {
		if t, class, _ := strings.Cut(key, " "); t == team && x.tells(class) {
			records[class] = n
		}
	}
	worst := map[string]int{}
	for _, l := range x.letters {
		if l.version > x.told || !x.tells(l.class) || !slices.Contains(l.teams, team) {
			continue
		}
		letters++
		if rank, ok := worst[l.person]; !ok || slices.Index(someWords, l.class) < rank {
			worst[l.person] = slices.Index(someWords, l.class)
		}
	}
	for _, rank := range worst {
		people[someWords[rank]]++
	}
	return records, people, letters
}

// What the teams read adds up to what the incident did, and each reads its own part alone: of random
// incidents, held against a count by hand.
func TestAccountsAddUp(t *testing.T) { // breaks: inc.tell-affected, inc.loss-restore, inc.breach-scope
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 2))
		ctx := t.Context()
		exposed, some := 0, 0
		for range 25 {
			ref, x := w.happens(r)
			tot, teams, err := w.svc.AccountTotals(ctx, operator, ref)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			var writes, letters int64
			records, people := map[string]int64{}, map[string]int64{}
			for _, team := range someTeams {
				a, err := w.svc.AccountOf(ctx, operator, ref, team)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				wantRecords, wantPeople, wantLetters := x.of(team)
				gotRecords, gotPeople, gotLetters := map[string]int64{}, map[string]int64{}, int64(0)
				for _, d := range a.Data {
					if d.Records > 0 {
						gotRecords[d.Class] = d.Records
					}
					if d.People > 0 {
						gotPeople[d.Class] = d.People
					}
				}
				for _, m := range a.Messages {
					gotLetters += m.Letters
				}
				if a.Writes != x.lost[team] || gotLetters != wantLetters || !maps.Equal(gotRecords, wantRecords) || !maps.Equal(gotPeople, wantPeople) {
					t.Errorf("seed %d: %s of %s: %+v, want %d writes, %d letters, records %v, people %v", seed, ref, team, a, x.lost[team], wantLetters, wantRecords, wantPeople)
				}
				mine := a.Writes+gotLetters+int64(len(a.Data)) > 0
				if a.Shown != mine || slices.Contains(teams, team) != mine {
					t.Errorf("seed %d: %s is shown to %s: %v, in the totals: %v", seed, ref, team, a.Shown, teams)
				}
				if _, seen := w.accounts(team)[ref]; seen != mine {
					t.Errorf("seed %d: %s reads %s: %v", seed, team, ref, seen)
				}
				writes, letters = writes+a.Writes, letters+gotLetters
				for class, n := range gotRecords {
					records[class] += n
				}
				for class, n := range gotPeople {
					people[class] += n
				}
				if len(a.Data) > 0 {
					exposed++
				}
				if mine {
					some++
				}
			}
			gotRecords, gotPeople := map[string]int64{}, map[string]int64{}
			for _, d := range tot.Data {
				if d.Records > 0 {
					gotRecords[d.Class] = d.Records
				}
				if d.People > 0 {
					gotPeople[d.Class] = d.People
				}
			}
			if tot.Writes != writes || tot.Letters != letters || !maps.Equal(gotRecords, records) || !maps.Equal(gotPeople, people) || tot.Teams != int64(len(teams)) {
				t.Errorf("seed %d: %s: %+v, the accounts have %d writes, %d letters, records %v, people %v", seed, ref, tot, writes, letters, records, people)
			}
		}
		if exposed < 5 || some < 25 {
			t.Errorf("seed %d: too little happened: %d accounts, %d with exposed data", seed, some, exposed)
		}
	}, tables...)
}

// The pages say it in words, to the team's admin.
func TestAccountPages(t *testing.T) {
	w := open(t)
	w.breach.teams = map[string][]string{"ann": {"t1"}}
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	w.numbered()
	site, _ := w.api(w.adminOf("t1"))
	if body := read(t, site, "GET", "/-/account/incidents").Body.String(); !strings.Contains(body, `<a href="/-/account/incidents/I-1">Incident I-1</a>`) || strings.Contains(body, "Nobody can sign in") {
		t.Errorf("%s", body)
	}
	body := read(t, site, "GET", "/-/account/incidents/I-1").Body.String()
	for _, want := range []string{"Taken by somebody who had no right to it", "taken by the mail host", "contact", "Get the proof", "What I-1 did to your team."} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q: %s", want, body)
		}
	}
	if strings.Contains(body, "Nobody can sign in") {
		t.Error("it has the title that staff gave it")
	}
	other, _ := w.api(w.adminOf("t5"))
	for _, path := range []string{"/-/account/incidents/I-1", "/-/api/v1/team/incidents/I-1"} {
		if a := read(t, other, "GET", path); a.Code != http.StatusNotFound {
			t.Errorf("%s of another team: %d", path, a.Code)
		}
	}
	if body := read(t, other, "GET", "/-/account/incidents").Body.String(); !strings.Contains(body, "No incident has affected your team.") {
		t.Errorf("%s", body)
	}
}
