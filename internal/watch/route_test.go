package watch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/watch"
)

const routesKey = "mon.notify/routes"

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
		{"unknown people", `"nightwatch", who is nobody here: expected rota, second or everybody`, 2, [][]string{row("1", "any", "nightwatch", "all", "usual")}},
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
