package watch_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/watch"
)

const (
	routesKey = "mon.notify/routes"
	groupsKey = "mon.notify/groups"
)

// Routes by which an alarm could be lost are refused, with what is wrong and what is expected.
func TestRoutesAreChecked(t *testing.T) { // breaks: mon.notify
	row := func(cells ...string) []string { return cells }
	for _, c := range []struct {
		name, says string // says: in the refusal; "" = taken
		ways       int64  // that the policy wants
		rows       [][]string
	}{
		{"none", "", 2, nil},
		{"every column", "", 2, [][]string{row("1", "clause=mon.budget component=cost severity=ticket rule=~cost-.*", "second", "mail ops", "4h 24h"), row("2", "severity=page", "rota", "all", "5m 1h"), row("3", "any", "everybody", "all", "usual")}},
		{"columns", "4 columns", 2, [][]string{row("1", "any", "rota", "all")}},
		{"no name", "is no name", 2, [][]string{row("", "any", "rota", "all", "usual")}},
		{"unknown people", `"nightwatch", who is nobody here: expected rota, second, everybody or the name of a row of groups`, 2, [][]string{row("1", "any", "nightwatch", "all", "usual")}},
		{"one channel", "by 1 channels, expected 2 or more", 2, [][]string{row("1", "any", "rota", "mail", "usual")}},
		{"one channel twice", "by 1 channels", 2, [][]string{row("1", "any", "rota", "mail mail", "usual")}},
		{"fewer than the policy wants", "by 2 channels, expected 3 or more", 3, [][]string{row("1", "any", "rota", "mail ops", "usual")}},
		{"no mail", "leaves out mail", 2, [][]string{row("1", "any", "rota", "chat ops", "usual")}},
		{"when is empty", "does not say when", 2, [][]string{row("1", "", "rota", "all", "usual")}},
		{"unknown label", `"team=a" is no matcher`, 2, [][]string{row("1", "team=a", "rota", "all", "usual")}},
		{"unequal", "is no matcher", 2, [][]string{row("1", "severity!=page", "rota", "all", "usual")}},
		{"bad expression", `"rule=~(" is no matcher`, 2, [][]string{row("1", "rule=~(", "rota", "all", "usual")}},
		{"unknown severity", `no severity "loud"`, 2, [][]string{row("1", "severity=loud", "rota", "all", "usual")}},
		{"asked twice", "asks twice for rule", 2, [][]string{row("1", "rule=a rule=b", "rota", "all", "usual")}},
		{"after any", "nothing reaches 2, because 1 comes before", 2, [][]string{row("1", "any", "rota", "all", "usual"), row("2", "rule=a", "rota", "all", "usual")}},
		{"after the same", "nothing reaches 2", 2, [][]string{row("1", "severity=page rule=a", "rota", "all", "usual"), row("2", "rule=a severity=page", "rota", "all", "usual")}},
		{"after a wider one", "nothing reaches 2", 2, [][]string{row("1", "rule=~cost-.*", "rota", "all", "usual"), row("2", "rule=cost-jump severity=page", "rota", "all", "usual")}},
		{"after a narrower one", "", 2, [][]string{row("1", "rule=cost-jump severity=page", "rota", "all", "usual"), row("2", "rule=~cost-.*", "rota", "all", "usual")}},
		{"wait too short", `waits "59s", expected 1m0s to 1h0m0s`, 2, [][]string{row("1", "any", "rota", "all", "59s")}},
		{"wait too long for a page", "to 1h0m0s", 2, [][]string{row("1", "any", "rota", "all", "2h")}},
		{"wait too long", "to 24h0m0s", 2, [][]string{row("1", "severity=ticket", "rota", "all", "25h")}},
		{"wait is none", `waits "soon"`, 2, [][]string{row("1", "any", "rota", "all", "soon")}},
		{"no waits", "0 waits", 2, [][]string{row("1", "any", "rota", "all", "")}},
		{"too many rows", "51 rows", 2, slices.Repeat([][]string{row("1", "any", "rota", "all", "usual")}, 51)},
	} {
		t.Run(c.name, func(t *testing.T) {
			vals := policytest.Values()
			vals[routesKey], vals["mon.notify/channels"] = c.rows, c.ways
			_, err := clause.Decode[watch.Rules](vals)
			if c.says == "" {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// Groups by which an alarm could be lost, or of which nobody could say who they are, are refused.
func TestGroupsAreChecked(t *testing.T) { // breaks: mon.notify
	row := func(cells ...string) []string { return cells }
	night := row("night", "owner engineer")
	for _, c := range []struct {
		name, says string // says: in the refusal; "" = taken
		groups     [][]string
		people     string // of the route
	}{
		{"told", "", [][]string{night}, "night"},
		{"of every role", "", [][]string{row("all", "owner engineer support auditor owner")}, "all"},
		{"told by no route", "", [][]string{night}, "rota"},
		{"unknown", `tells "day", who is nobody here: expected rota, second, everybody or the name of a row of groups`, [][]string{night}, "day"},
		{"of nobody", "night is a group of nobody: expected one or several of owner, engineer, support, auditor", [][]string{row("night", " ")}, "rota"},
		{"unknown role", `night: there is no role "pilot" of the staff: expected one or several of owner`, [][]string{row("night", "owner pilot")}, "rota"},
		{"role of customers", `no role "admin" of the staff`, [][]string{row("night", "admin")}, "rota"},
		{"named rota", "rota means somebody else", [][]string{row("rota", "owner")}, "rota"},
		{"named second", "second means somebody else", [][]string{row("second", "owner")}, "rota"},
		{"named everybody", "everybody means somebody else", [][]string{row("everybody", "owner")}, "rota"},
		{"twice", "two groups night", [][]string{night, row("night", "support")}, "night"},
		{"no name", `"" is no name, expected 1 to 60 bytes`, [][]string{row("", "owner")}, "rota"},
		{"long name", "is no name", [][]string{row(strings.Repeat("n", 61), "owner")}, "rota"},
		{"columns", "3 columns, expected name and who", [][]string{row("night", "owner", "x")}, "rota"},
		{"too many", "51 rows, expected at most 50", slices.Repeat([][]string{night}, 51), "rota"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vals := policytest.Values()
			vals[groupsKey], vals[routesKey] = c.groups, [][]string{row("1", "any", c.people, "all", "usual")}
			_, err := clause.Decode[watch.Rules](vals)
			if c.says == "" {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// grouped routes an alarm to a group, in which the owner and somebody of support are.
func (w *world) grouped() {
	w.t.Helper()
	w.mu.Lock()
	w.holders = map[string][]watch.Person{"owner": w.people[1][1:], "support": {{ID: "sue", Handle: "sue", Email: "sue@example.test"}}}
	w.mu.Unlock()
	_, _, err := w.notify.AddChannel(w.t.Context(), operator, "spare", notify.File, secret.Text{})
	must(w.t, err)
	vals := policytest.Values()
	vals[groupsKey], vals[routesKey] = [][]string{{"night", "owner support"}}, [][]string{{"1", "rule=vault-sealed", "night", "mail spare", "2m"}}
	must(w.t, w.rules.Set([]clause.Period{{Values: vals}}))
}

func (w *world) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holders = nil
}

// An alarm of a route to a group goes to those of the group, and when nobody acknowledges to those too who
// would be told without a route. When nobody is left in the group it goes as without one, and that is found.
func TestGroupsAreTold(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.grouped()
		w.follow(entry("vault.sealed", "x"), entry("identity.breakglass-used", "y"))
		queued := func(rule string, want map[string]int) {
			w.t.Helper()
			if got := w.queued(w.alarm(rule, watch.Firing).ID); !maps.Equal(got, want) {
				w.t.Errorf("%s: %v, want %v", rule, got, want)
			}
		}
		w.on(time.Second)
		queued("vault-sealed", map[string]int{"mail": 2, "spare": 1}) // ana, sue
		queued("break-glass-used", map[string]int{"mail": 1, "spare": 1, "folder": 1})
		w.on(2 * time.Minute)
		queued("vault-sealed", map[string]int{"mail": 5, "spare": 2}) // and eli

		w.leave()
		w.want("watch.two-ways", clause.Fail, "in which nobody can be told, and their alarms go as without a route: night")
		w.on(2 * time.Minute)
		queued("vault-sealed", map[string]int{"mail": 7, "spare": 3, "folder": 1}) // eli, ana
		w.on(10 * time.Minute)
		queued("vault-sealed", map[string]int{"mail": 7, "spare": 3, "folder": 1})
		w.on(5 * time.Minute)
		queued("vault-sealed", map[string]int{"mail": 9, "spare": 4, "folder": 2}) // after the usual wait
		to := map[string]int{}
		for _, l := range w.send(9 + w.queued(w.alarm("break-glass-used", watch.Firing).ID)["mail"]) {
			if strings.Contains(l.Subject, "vault") {
				to[l.To]++
			}
		}
		if want := map[string]int{"sue@example.test": 2, "ana@example.test": 4, "eli@example.test": 3}; !maps.Equal(to, want) {
			w.t.Errorf("letters went to %v, want %v", to, want)
		}
	})
}

// An alarm that fires when nobody is in its group goes to those at work, by every way.
func TestAnEmptyGroupLosesNothing(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.grouped()
	w.leave()
	w.follow(entry("vault.sealed", "x"))
	w.on(time.Second)
	if got, want := w.queued(w.alarm("vault-sealed", watch.Firing).ID), map[string]int{"mail": 1, "spare": 1, "folder": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if to := w.send(1)[0].To; to != "eli@example.test" {
		t.Errorf("the letter went to %s", to)
	}
}

// Whoever is told as one of a group acknowledges by the link of their letter, and no more when the group
// is theirs no longer.
func TestLinkOfAGroup(t *testing.T) { // breaks: mon.notify
	stranger := actor.Actor{Kind: actor.Stranger, ID: "198.51.100.0/24", Via: "https"}
	for name, c := range map[string]struct {
		before func(w *world)
		state  string
	}{
		"one of it":      {func(*world) {}, watch.Acknowledged},
		"one who is out": {(*world).leave, watch.Firing},
	} {
		t.Run(name, func(t *testing.T) {
			w := lite(t)
			w.grouped()
			w.follow(entry("vault.sealed", "x"))
			w.on(time.Second)
			ls := w.send(2)
			i := slices.IndexFunc(ls, func(l mail.Message) bool { return l.To == "sue@example.test" })
			if i < 0 {
				t.Fatalf("%+v", ls)
			}
			c.before(w)
			err := w.s.AcknowledgeByLink(t.Context(), stranger, secret.NewText(linkIn(t, ls[i])))
			if got := w.alarm("vault-sealed", c.state); (err == nil) != (got.AckedBy == "person/sue") {
				t.Errorf("by %q: %v", got.AckedBy, err)
			}
		})
	}
}

// An alarm goes to the people, by the ways and after the waits of the first route that takes it;
// others go as without routes.
func TestRoutesAreObeyed(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		_, _, err := w.notify.AddChannel(t.Context(), operator, "spare", notify.File, secret.Text{})
		must(w.t, err)
		w.rule(routesKey, [][]string{{"1", "component=trust rule=~vault-.+ severity=page", "everybody", "mail spare", "1m 20m"}, {"2", "rule=vault-sealed", "rota", "all", "usual"}})
		w.follow(entry("vault.sealed", "x"), entry("identity.breakglass-used", "y"))
		queued := func(rule string, want map[string]int) {
			w.t.Helper()
			if got := w.queued(w.alarm(rule, watch.Firing).ID); !maps.Equal(got, want) {
				w.t.Errorf("%s: %v, want %v", rule, got, want)
			}
		}
		w.on(time.Second)
		queued("vault-sealed", map[string]int{"mail": 2, "spare": 1})
		queued("break-glass-used", map[string]int{"mail": 1, "spare": 1, "folder": 1})
		w.on(59 * time.Second)
		queued("vault-sealed", map[string]int{"mail": 2, "spare": 1})
		w.on(time.Second)
		queued("vault-sealed", map[string]int{"mail": 4, "spare": 2})
		w.on(19 * time.Minute)
		queued("vault-sealed", map[string]int{"mail": 4, "spare": 2})
		w.on(time.Minute)
		queued("vault-sealed", map[string]int{"mail": 6, "spare": 3})

		must(w.t, w.notify.RemoveChannel(t.Context(), operator, "spare"))
		w.want("watch.two-ways", clause.Fail, "not there: spare")
		w.on(20 * time.Minute)
		queued("vault-sealed", map[string]int{"mail": 8, "spare": 3, "folder": 1})
	})
}

// Alarms of one kind that take different routes go into messages of their own.
func TestRoutesPartMessages(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.rule(routesKey, [][]string{{"1", "rule=owner-added", "everybody", "all", "usual"}})
	for _, r := range watch.Pack() {
		if r.ID == "owner-added" || r.ID == "operator-added-owner" {
			es, _ := watch.FiredBy(&r)
			w.follow(es...)
		}
	}
	w.on(time.Second)
	for rule, mails := range map[string]int{"owner-added": 2, "operator-added-owner": 1} {
		if got := w.queued(w.alarm(rule, watch.Firing).ID); got["mail"] != mails {
			t.Errorf("%s: %v, want %d letters", rule, got, mails)
		}
	}
}

// The control finds that a route by one channel is refused.
func TestRoutesControl(t *testing.T) { // breaks: mon.notify
	lite(t).want("watch.routes-refused", clause.Pass, "were refused")
}

// It is said which row takes an alarm, who would be told by now at each level, how, and when again.
func TestRoutesAreTried(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.grouped()
	vals := policytest.Values()
	vals[groupsKey] = [][]string{{"day", "engineer"}, {"night", "owner support"}}
	vals[routesKey] = [][]string{{"1", "clause=mon.budget severity=ticket", "second", "all", "4h 24h"}, {"2", "rule=~vault-.+", "night", "mail spare", "2m 3m 4m 5m"},
		{"3", "component=trust severity=page", "day", "mail spare", "1m"}, {"4", "component=load", "everybody", "all", "1m 20m"}}
	must(t, w.rules.Set([]clause.Period{{Values: vals}}))
	w.follow(entry("vault.sealed", "x"))
	id := w.alarm("vault-sealed", watch.Firing).ID
	all := []string{"mail", "folder", "spare"}
	people := func(names ...string) string { return strings.Join(names, " ") }
	for _, c := range []struct {
		name     string
		q        watch.RouteQuestion
		route    string
		may      []string
		nobody   string
		channels []string
		people   []string // by level
		after    []time.Duration
		again    time.Duration
	}{
		{"a rule", watch.RouteQuestion{Rule: "vault-sealed"}, "2", nil, "", []string{"mail", "spare"}, []string{people("ana", "sue"), people("ana", "sue", "eli"), people("ana", "sue", "eli"), people("ana", "sue", "eli")}, []time.Duration{0, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute}, 5 * time.Minute},
		{"an alarm", watch.RouteQuestion{Alarm: id}, "2", nil, "", []string{"mail", "spare"}, []string{people("ana", "sue"), people("ana", "sue", "eli"), people("ana", "sue", "eli"), people("ana", "sue", "eli")}, []time.Duration{0, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute}, 5 * time.Minute},
		{"an empty group", watch.RouteQuestion{Rule: "break-glass-used"}, "3", nil, "day", all, []string{people("eli"), people("eli", "ana"), people("eli", "ana")}, []time.Duration{0, 5 * time.Minute, 10 * time.Minute}, 15 * time.Minute},
		{"what may be of an earlier row", watch.RouteQuestion{Component: watch.Trust, Severity: notify.Page}, "3", []string{"2"}, "day", all, []string{people("eli"), people("eli", "ana"), people("eli", "ana")}, []time.Duration{0, 5 * time.Minute, 10 * time.Minute}, 15 * time.Minute},
		{"a ticket", watch.RouteQuestion{Rule: "cpu-high", Severity: notify.Ticket}, "4", nil, "", all, []string{people("eli", "ana"), people("eli", "ana"), people("eli", "ana")}, []time.Duration{30 * time.Second, time.Minute, 20 * time.Minute}, 20 * time.Minute},
		{"many rules", watch.RouteQuestion{Clause: "mon.abnormal"}, "", []string{"2", "3", "4"}, "", all, nil, nil, 0},
		{"a notice", watch.RouteQuestion{Rule: "policy-changed"}, "", nil, "", all, []string{people("eli")}, []time.Duration{30 * time.Second}, 0},
		{"a pushed page", watch.RouteQuestion{Rule: "pushed-alert", Severity: notify.Page}, "", []string{"2"}, "", all, []string{people("eli"), people("eli", "ana"), people("eli", "ana")}, []time.Duration{0, 5 * time.Minute, 10 * time.Minute}, 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := w.s.TryRoute(t.Context(), engineer, c.q)
			must(t, err)
			slices.Sort(got.Channels)
			if want := slices.Sorted(slices.Values(c.channels)); got.Route != c.route || !slices.Equal(got.May, c.may) || got.Nobody != c.nobody || !slices.Equal(got.Channels, want) || c.people != nil && got.Again != c.again {
				t.Errorf("%+v", got)
			}
			if c.people == nil {
				return
			}
			var told []string
			var after []time.Duration
			for _, l := range got.Levels {
				var ids []string
				for _, p := range l.People {
					ids = append(ids, p.ID)
				}
				told, after = append(told, strings.Join(ids, " ")), append(after, l.After)
			}
			if !slices.Equal(told, c.people) || !slices.Equal(after, c.after) {
				t.Errorf("%q after %v", told, after)
			}
		})
	}
	if rs, err := w.s.RoutesFor(t.Context(), engineer); err != nil || len(rs.Routes) != 4 || !rs.Left || len(rs.Groups) != 2 || len(rs.Groups[0].People) != 0 || len(rs.Groups[1].People) != 2 {
		t.Errorf("%+v: %v", rs, err)
	}
}

// What is tried is what is done: an alarm goes out as was said of it before.
func TestWhatIsTriedIsDone(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.grouped()
	vals := policytest.Values()
	vals[groupsKey], vals[routesKey] = [][]string{{"night", "owner support"}}, [][]string{{"1", "rule=vault-sealed", "night", "mail spare", "2m 3m 4m 5m"}}
	must(t, w.rules.Set([]clause.Period{{Values: vals}}))
	w.follow(entry("vault.sealed", "x"))
	id := w.alarm("vault-sealed", watch.Firing).ID
	tried, err := w.s.TryRoute(t.Context(), engineer, watch.RouteQuestion{Alarm: id})
	must(t, err)
	letters, others := 0, 0
	for i, l := range tried.Levels {
		if i > 0 {
			w.on(l.After - time.Second)
			if got := w.queued(id); got["mail"] != letters {
				t.Errorf("level %d came before its time: %v", i, got)
			}
		}
		w.on(min(l.After, time.Second))
		letters, others = letters+len(l.People), others+1
		got := w.queued(id)
		want := map[string]int{}
		for _, c := range tried.Channels {
			want[c] = others
		}
		want["mail"] = letters
		if !maps.Equal(got, want) {
			t.Errorf("level %d: %v, want %v", i, got, want)
		}
	}
}

// Questions that name nothing there is are refused, with what is expected; others may not ask at all.
func TestRouteQuestionsAreChecked(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	for name, c := range map[string]struct {
		q    watch.RouteQuestion
		code string
	}{
		"nothing":                   {watch.RouteQuestion{}, "watch_route"},
		"an alarm and more":         {watch.RouteQuestion{Alarm: "x", Rule: "cpu-high"}, "watch_alarm"},
		"no such alarm":             {watch.RouteQuestion{Alarm: "x"}, "alarm_unknown"},
		"no such rule":              {watch.RouteQuestion{Rule: "cpu-hihg"}, "watch_rule"},
		"no such clause":            {watch.RouteQuestion{Clause: "mon.nothing"}, "watch_clause"},
		"a clause of another rule":  {watch.RouteQuestion{Rule: "cpu-high", Clause: "mon.budget"}, "watch_clause"},
		"no such component":         {watch.RouteQuestion{Component: "cellar"}, "watch_component"},
		"no such severity":          {watch.RouteQuestion{Severity: "loud"}, "watch_severity"},
		"a severity of another one": {watch.RouteQuestion{Rule: "cpu-high", Severity: notify.Page}, "watch_severity"},
	} {
		_, err := w.s.TryRoute(t.Context(), engineer, c.q)
		if code, _ := fault.PublicOf(err); code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.s.TryRoute(t.Context(), support, watch.RouteQuestion{Rule: "cpu-high"}); !errors.Is(err, fault.Denied) {
		t.Errorf("support tries a route: %v", err)
	}
	if _, err := w.s.RoutesFor(t.Context(), support); !errors.Is(err, fault.Denied) {
		t.Errorf("support reads routes: %v", err)
	}
}
