package watch_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch"
)

const (
	tokenID = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01"
	burstID = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e02"
	pathID  = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e03"
)

// tokens is a rule over entries; who is left out of it.
func tokens(who string) string {
	return "title: A token at night\nid: " + tokenID + "\nlogsource: {product: writ, service: identity}\nlevel: high\nfalsepositives: [a release]\ndetection:\n  s: {writ.event: identity.token-issued}\n  known: {name: " + who + "}\n  condition: s and not known\n"
}

// burst is a correlation over entries.
const burst = `title: Login failed
name: failed
logsource: {category: authentication}
detection:
  s: {eventType: user.session.start, outcome.result: FAILURE}
  condition: s
---
title: Many failures and then none
id: ` + burstID + `
level: medium
correlation:
  type: value_count
  rules: [failed]
  group-by: [actor.id]
  timespan: 10m
  condition: {field: door, gte: 3}
`

// paths is a rule over access records.
const paths = `title: Exports
id: ` + pathID + `
logsource: {category: webserver}
level: medium
detection:
  s: {cs-method: GET, cs-uri-stem|startswith: /export, sc-status: 200}
  agent: {cs-user-agent|contains: curl}
  condition: s and not agent
`

var second = actor.Actor{Kind: actor.Person, ID: "ana", Team: "staff", TeamKind: "staff", Roles: []string{"owner"}, Session: "s", ACR: 2, FactorAt: engineer.FactorAt, Via: "https"}

// enable takes a text through its whole life.
func (w *world) enable(text string) watch.Version {
	w.t.Helper()
	v, _, err := w.s.AddRule(w.t.Context(), engineer, text)
	must(w.t, err)
	_, kept, err := w.s.TestRule(w.t.Context(), engineer, text, 0)
	must(w.t, err)
	if kept != v.N {
		w.t.Fatalf("version %d was tested, want %d", kept, v.N)
	}
	_, err = w.s.ApproveRule(w.t.Context(), second, v.Rule)
	must(w.t, err)
	v, err = w.s.EnableRule(w.t.Context(), engineer, v.Rule)
	must(w.t, err)
	return v
}

// points is how many events count towards correlations.
func (w *world) points() (n int64) {
	w.t.Helper()
	must(w.t, ledger.One(w.t.Context(), w.DB, `SELECT COUNT(*) FROM watch_point`, []any{&n}))
	return n
}

func refusedAs(t *testing.T, err error, code string) {
	t.Helper()
	got, _ := fault.PublicOf(err)
	if err == nil || got != code {
		t.Errorf("%v (%s), want %s", err, got, code)
	}
}

// A rule of one's own watches after a back-test and a second person, and not before; what is
// refused is recorded.
func TestOwnRuleLives(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		issued := entry("identity.token-issued", "p:ana", field("name", "deploy"))
		w.follow(issued)
		v, warns, err := w.s.AddRule(ctx, engineer, tokens("nightly"))
		must(t, err)
		if v.N != 1 || v.State != watch.Draft || len(warns) != 0 {
			t.Fatalf("%+v %v", v, warns)
		}
		_, _, err = w.s.AddRule(ctx, engineer, tokens("nightly"))
		refusedAs(t, err, "rule_known")
		_, err = w.s.EnableRule(ctx, engineer, tokenID)
		refusedAs(t, err, "rule_untested")
		_, err = w.s.ApproveRule(ctx, second, tokenID)
		refusedAs(t, err, "rule_untested")
		w.past.Known = []watch.Case{{Name: "I-1", From: w.Clock.Now().Add(-time.Hour)}}
		res, kept, err := w.s.TestRule(ctx, engineer, tokens("nightly"), 30*24*time.Hour)
		must(t, err)
		if kept != 1 || res.Fires != 1 || res.InIncidents != 1 || res.Says() != "would have fired once in 30 days, 1 inside known incidents (I-1)" || res.Examples[0].Entry != 10 || res.Examples[0].About != "p:ana" {
			t.Errorf("%d %+v", kept, res)
		}
		_, err = w.s.EnableRule(ctx, engineer, tokenID)
		refusedAs(t, err, "rule_unapproved")
		_, err = w.s.ApproveRule(ctx, engineer, tokenID)
		refusedAs(t, err, "own_rule")
		_, err = w.s.ApproveRule(ctx, operator, tokenID)
		refusedAs(t, err, "person_needed")
		_, err = w.s.ApproveRule(ctx, support, tokenID)
		if fault.KindOf(err) != fault.Denied {
			t.Error(err)
		}
		if as := w.alarms(tokenID); len(as) != 0 {
			t.Errorf("a rule that is not enabled fires: %+v", as)
		}
		_, err = w.s.ApproveRule(ctx, second, tokenID)
		must(t, err)
		w.follow(issued)
		if as := w.alarms(tokenID); len(as) != 0 {
			t.Errorf("a rule that is approved alone fires: %+v", as)
		}
		_, err = w.s.EnableRule(ctx, engineer, tokenID)
		must(t, err)
		w.follow(issued, entry("identity.token-issued", "p:ana", field("name", "nightly")), entry("identity.token-revoked", "p:ana"))
		a := w.alarm(tokenID, watch.Firing)
		d, err := w.s.Alarm(ctx, engineer, a.ID)
		must(t, err)
		if a.Severity != "page" || a.Labels["instance"] != "p:ana" || a.Part != watch.Own || a.Count != 1 || fmt.Sprint(d.Evidence) != "[12]" {
			t.Errorf("%+v %v", a, d.Evidence)
		}
		w.on(0)
		if l := w.send(1)[0]; !strings.Contains(l.Subject, "PAGE: A token at night") || !strings.Contains(l.Text, "a release") {
			t.Errorf("%s\n%s", l.Subject, l.Text)
		}
		must(t, w.s.Close(ctx, engineer, a.ID, watch.VerdictFalse, ""))
		all, err := w.s.Standings(ctx)
		must(t, err)
		if st := all[len(all)-1]; st.ID != tokenID || st.Verdicts != 1 || st.Precision != 0 {
			t.Errorf("%+v", st)
		}

		// Another version takes its place when it is enabled, and not before.
		_, _, err = w.s.AddRule(ctx, second, tokens("deploy"))
		must(t, err)
		w.follow(issued)
		if n := len(w.alarms(tokenID)); n != 2 {
			t.Errorf("%d alarms while a draft is there", n)
		}
		w.quiet(`DELETE FROM watch_alarm`)
		_, _, err = w.s.TestRule(ctx, second, tokens("deploy"), 0)
		must(t, err)
		_, err = w.s.ApproveRule(ctx, engineer, tokenID)
		must(t, err)
		_, err = w.s.EnableRule(ctx, second, tokenID)
		must(t, err)
		w.follow(issued)
		if n := len(w.alarms(tokenID)); n != 0 {
			t.Errorf("%d alarms of the version before", n)
		}
		_, err = w.s.RetireRule(ctx, engineer, tokenID, "short")
		refusedAs(t, err, "watch_reason")
		_, err = w.s.RetireRule(ctx, engineer, tokenID, "tokens end by themselves now")
		must(t, err)
		w.follow(entry("identity.token-issued", "p:ana", field("name", "other")))
		if n := len(w.alarms(tokenID)); n != 0 {
			t.Errorf("%d alarms of a retired rule", n)
		}
		_, err = w.s.EnableRule(ctx, engineer, tokenID)
		refusedAs(t, err, "rule_unknown")
		var codes []string
		for _, e := range w.Recorded("watch.rule-refused") {
			codes = append(codes, fmt.Sprint(e.Fields["code"]))
		}
		if want := "rule_untested rule_untested rule_unapproved own_rule person_needed"; strings.Join(codes, " ") != want {
			t.Errorf("recorded as refused: %v, want %s", codes, want)
		}
		if n := len(w.Recorded("watch.rule-proposed", "watch.rule-back-tested", "watch.rule-approved", "watch.rule-enabled", "watch.rule-retired")); n != 2+2+2+2+1 {
			t.Errorf("%d steps are recorded", n)
		}
		vs, err := w.s.OwnRule(ctx, engineer, tokenID)
		must(t, err)
		if len(vs) != 2 || vs[0].State != watch.Retired || vs[1].Text != tokens("nightly") {
			t.Errorf("%+v", vs)
		}
	})
}

func field(name string, v any) journal.Field {
	return journal.Field{Name: name, State: journal.Public, Value: v}
}

// Texts that make no rule are refused with what is wrong.
func TestOwnRuleTexts(t *testing.T) {
	w := lite(t)
	for name, c := range map[string]struct{ text, want string }{
		"modifier":   {strings.Replace(tokens("x"), "name:", "name|foo:", 1), `modifier "foo" is not part of Sigma 2.1`},
		"no id":      {strings.Replace(tokens("x"), "id: "+tokenID, "", 1), "The rule has no id"},
		"two":        {tokens("x") + "---\n" + strings.Replace(tokens("x"), tokenID, pathID, 1), "2 rules of this file fire"},
		"elsewhere":  {burst[strings.Index(burst, "---")+4:], `names "failed"`},
		"both kinds": {strings.Replace(burst, "category: authentication", "product: writ", 1), "at once"},
	} {
		_, _, err := w.s.AddRule(t.Context(), engineer, c.text)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error()+public(err), c.want) {
			t.Errorf("%s: %v %s", name, err, public(err))
		}
	}
	if _, _, err := w.s.AddRule(t.Context(), support, tokens("x")); fault.KindOf(err) != fault.Denied {
		t.Error(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"field":    {paths, "cs-user-agent"},
		"log":      {strings.Replace(paths, "category: webserver", "category: proxy", 1), "category proxy"},
		"identity": {strings.Replace(burst, "category: authentication", "product: okta", 1), ""},
		"header":   {strings.Replace(tokens("x"), "writ.event", "writ.events", 1), "writ.events"},
	} {
		_, warns, err := w.s.AddRule(t.Context(), engineer, c.text)
		must(t, err)
		if all := strings.Join(warns, "; "); (c.want == "") != (all == "") || !strings.Contains(all, c.want) {
			t.Errorf("%s: %q, want %q", name, all, c.want)
		}
	}
}

func public(err error) string {
	_, p := fault.PublicOf(err)
	return p.Problem + p.Expected
}

// Access records are looked at within a second; canaries and what no rule is about are not.
func TestOwnRuleOfRecords(t *testing.T) {
	both(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		ask := watch.Handled{At: w.Clock.Now(), Kind: "stranger", Network: "198.51.100.0/24", Route: "/export/", Method: "GET", Status: 200}
		w.past.Requests = []watch.Handled{ask, {At: w.Clock.Now(), Network: "127.77.3.0/24", Route: "/export/", Method: "GET", Status: 200}}
		if w.s.WantsRecords() {
			t.Error("records are wanted, and no rule is about them")
		}
		if _, err := w.Ring.Ensure(ctx, keyring.Strangers(w.Clock.Now())); err != nil {
			t.Fatal(err)
		}
		w.enable(paths)
		must(t, w.s.LoadOwn(ctx))
		if vs, err := w.s.OwnRule(ctx, engineer, pathID); err != nil || vs[0].Result.Fires != 1 || vs[0].Result.Examples[0].Entry != -1 || len(vs[0].Result.Warnings) != 1 || !strings.HasPrefix(vs[0].Result.Examples[0].About, "s:") {
			t.Errorf("%+v %v", vs[0].Result, err)
		}
		w.s.Record(w.past.Requests[1])
		ask.Route = "/other/"
		w.s.Record(ask)
		must(t, w.s.DrainRecords(ctx))
		if n := len(w.alarms(pathID)); n != 0 {
			t.Errorf("%d alarms of what the rule is not about", n)
		}
		for range 3 {
			w.s.Record(w.past.Requests[0])
		}
		must(t, w.s.DrainRecords(ctx))
		if a := w.alarm(pathID, watch.Firing); a.Count != 3 || !strings.HasPrefix(a.Labels["instance"], "s:") {
			t.Errorf("%+v", a)
		}
		for range 65_537 {
			w.s.Record(ask)
		}
		must(t, w.s.Sample(ctx))
		if a := w.alarm("own-rules-missed", watch.Firing); a.Value != "1.0" {
			t.Errorf("%+v", a)
		}
		if es := w.Recorded("watch.events-dropped"); len(es) != 1 || es[0].Fields["source"] != "own-rules" || fmt.Sprint(es[0].Fields["count"]) != "1" {
			t.Errorf("what was dropped is not an entry: %+v", es)
		}
	})
}

// A file that cannot be read any more stops no other: it is an alarm, and mon.alarms fails.
func TestBrokenOwnRule(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.enable(tokens("x"))
	w.enable(burst)
	w.quiet(`UPDATE watch_rule_version SET text = 'title: [' WHERE rule = $1`, burstID)
	w.again()
	must(t, w.s.Sample(t.Context()))
	a := w.alarm("rule-error", watch.Firing)
	if a.Labels["instance"] != burstID {
		t.Errorf("%+v", a)
	}
	w.follow(entry("identity.token-issued", "p:ana"))
	w.alarm(tokenID, watch.Firing)
	var found clause.Result
	for _, c := range w.s.Controls() {
		if c.ID == "watch.rules-stand" {
			_, _, err := w.s.Try(t.Context())
			must(t, err)
			found, err = c.Run(t.Context())
			must(t, err)
		}
	}
	if found.Outcome != clause.Fail || !strings.Contains(found.Summary, burstID) {
		t.Errorf("%+v", found)
	}
	vs, err := w.s.OwnRules(t.Context(), engineer)
	must(t, err)
	if len(vs) != 2 || vs[1].Problem == "" && vs[0].Problem == "" {
		t.Errorf("%+v", vs)
	}
	w.quiet(`UPDATE watch_rule_version SET text = $2 WHERE rule = $1`, burstID, burst)
	w.again()
	w.Clock.Advance(time.Minute)
	must(t, w.s.Sample(t.Context()))
	w.on(3 * time.Minute)
	w.alarm("rule-error", watch.Cleared)
}

// The same history gives the same alarms, however it is cut, wherever the process begins anew,
// and whatever comes twice.
func TestOwnReplayIsTheSame(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		t := w.t
		w.enable(tokens("x"))
		w.enable(burst)
		rnd := rand.New(rand.NewPCG(7, 7))
		var past []journal.Entry
		for i := range 120 {
			e := entry("identity.sign-in-refused", fmt.Sprintf("s:%d", rnd.IntN(6)), field("door", fmt.Sprint(rnd.IntN(4))))
			if rnd.IntN(15) == 0 {
				e = entry("identity.token-issued", "p:ana", field("name", "y"))
			}
			e.N, e.At, e.Happened = int64(1000+i), w.Clock.Now(), w.Clock.Now().Add(time.Duration(i)*20*time.Second)
			past = append(past, e)
		}
		run := func(step func() int, restart, twice bool) []string {
			w.quiet(`DELETE FROM watch_alarm`)
			w.quiet(`DELETE FROM watch_evidence`)
			w.quiet(`DELETE FROM watch_point`)
			w.quiet(`UPDATE watch_cursor SET n = 0`)
			w.again()
			for from := 0; from < len(past); {
				to := min(from+step(), len(past))
				if restart {
					w.again()
				}
				must(t, w.s.Follow(t.Context(), past[from:to]))
				if twice {
					must(t, w.s.Follow(t.Context(), past[max(0, from-5):to]))
				}
				from = to
			}
			var out []string
			for _, id := range []string{tokenID, burstID} {
				for _, a := range w.alarms(id) {
					d, err := w.s.Alarm(t.Context(), engineer, a.ID)
					must(t, err)
					out = append(out, fmt.Sprint(id, a.Labels["instance"], a.Count, d.Evidence))
				}
			}
			slices.Sort(out)
			return out
		}
		want := run(func() int { return len(past) }, false, false)
		if len(want) < 4 {
			t.Fatalf("the history is too quiet: %v", want)
		}
		for name, got := range map[string][]string{
			"one by one":          run(func() int { return 1 }, false, false),
			"anew each time":      run(func() int { return 1 + rnd.IntN(9) }, true, false),
			"anew, and twice":     run(func() int { return 1 + rnd.IntN(9) }, true, true),
			"twice, in one go":    run(func() int { return 1 + rnd.IntN(30) }, false, true),
			"as it came at first": run(func() int { return len(past) }, false, false),
		} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v\nwant %v", name, got, want)
			}
		}
	})
}

// A change that fails counts nothing, and what comes again counts once.
func TestOwnRuleCountsOnceAfterAFault(t *testing.T) {
	w := lite(t)
	w.enable(strings.NewReplacer("value_count", "event_count", "{field: door, gte: 3}", "{gte: 4}").Replace(burst))
	refused := func(door string) journal.Entry {
		return entry("identity.sign-in-refused", "s:1", field("door", door))
	}
	w.follow(refused("a"))
	w.quiet(`ALTER TABLE watch_point RENAME TO watch_point_away`)
	both := []journal.Entry{refused("b"), entry("identity.person-erased", "writ/identity")}
	both[1].Object = "person/zoe"
	for i := range both {
		both[i].N, both[i].At, both[i].Happened = w.n+int64(i), w.Clock.Now(), w.Clock.Now()
	}
	if err := w.s.Follow(t.Context(), both); err == nil {
		t.Fatal("a point was kept nowhere")
	}
	w.quiet(`ALTER TABLE watch_point_away RENAME TO watch_point`)
	w.quiet(`ALTER TABLE watch_principal RENAME TO watch_principal_away`) // and then after it counted in memory
	if err := w.s.Follow(t.Context(), both); err == nil {
		t.Fatal("a person was erased from nowhere")
	}
	w.quiet(`ALTER TABLE watch_principal_away RENAME TO watch_principal`)
	w.follow(refused("b"), refused("b"))
	if n := len(w.alarms(burstID)); n != 0 {
		t.Errorf("%d alarms of three events, want none", n)
	}
	w.follow(refused("c"))
	if n := w.points(); n != 4 {
		t.Errorf("%d points are kept, want 4", n)
	}
	if a := w.alarm(burstID, watch.Firing); a.Value != "4 in 10 min" || a.Labels["instance"] != "s:1" || a.Severity != "ticket" {
		t.Errorf("%+v", a)
	}
}
