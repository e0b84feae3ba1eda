package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/journal/verify"
	"writ/internal/policy/policytest"
	"writ/internal/watch"
)

const boundsKey = "mon.alarms/bounds"

// A bound that is none, or that would switch a rule off, is refused when it is proposed, with what may be.
func TestBoundsAreChecked(t *testing.T) { // breaks: mon.alarms
	for _, c := range []struct{ bound, value, says string }{ // says: in the refusal; "" = taken
		{"cpu-high above", "80", ""},
		{"cpu-high above", "66.5", ""},
		{"cpu-high for", "5m", ""},
		{"cert-expiry above", "-30", ""},
		{"signin-failures-network count", "20", ""},
		{"signin-failures-network within", "15m", ""},
		{"cpu-high above", "100", `cpu-high above is "100": expected 1 to 99 (shipped: 90)`},
		{"cpu-high above", "NaN", "expected 1 to 99"},
		{"cpu-high above", "much", "expected 1 to 99"},
		{"cpu-high clear", "95", "would clear at 95 and fire above 90"},
		{"cpu-high for", "5", `cpu-high for is "5": expected 0s to 4h (shipped: 15m)`},
		{"cpu-high for", "5h", "expected 0s to 4h"},
		{"cpu-high for", "-1m", "expected 0s to 4h"},
		{"cpu-high count", "5", `cpu-high has no bound "count": expected above, clear, for`},
		{"replication-lag above", "1000", "expected 1 to 100 (shipped: 10)"},
		{"signin-failures-network count", "301", "expected 3 to 300 (shipped: 30)"},
		{"signin-failures-network count", "20.5", "expected 3 to 300"},
		{"signin-failures-network within", "2h", "expected 1m to 1h (shipped: 10m)"},
		{"no-such-rule above", "5", `"no-such-rule above" names no rule and bound`},
		{"cpu-high", "5", `"cpu-high" names no rule and bound`},
		{"journal-waiting above", "500", "journal-waiting has no bound that a policy sets"},
		{"watch-behind above", "50", "has no bound that a policy sets"},
		{"lease-flap count", "30", "has no bound that a policy sets"},
		{"oom-kill above", "5", "has no bound that a policy sets"},
		{"traffic-spike above", "5", "has no bound that a policy sets"},
		{"password-spray count", "5", "has no bound that a policy sets"},
	} {
		t.Run(c.bound+"="+c.value, func(t *testing.T) {
			vals := policytest.Values()
			vals[boundsKey] = [][]string{{c.bound, c.value}}
			_, err := clause.Decode[watch.Rules](vals)
			if c.says == "" {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// A bound of the policy is obeyed by the next reading and the next entry, the rule says it, and without the
// row it is as shipped again.
func TestBoundsAreObeyed(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		says := func(rule string) watch.Standing {
			w.t.Helper()
			all, err := w.s.RulesFor(w.t.Context(), engineer)
			must(w.t, err)
			i := slices.IndexFunc(all, func(st watch.Standing) bool { return st.ID == rule })
			return all[i]
		}
		w.rule(boundsKey, [][]string{{"cpu-high above", "80"}, {"cpu-high for", "0s"}, {"token-failures count", "6"}})
		w.judge("host.cpu", "", 80)
		w.follow(many(5, entry("identity.token-refused", "n:1"))...)
		for _, rule := range []string{"cpu-high", "token-failures"} {
			if as := w.alarms(rule); len(as) != 0 {
				w.t.Errorf("%s fires at its bound: %+v", rule, as)
			}
		}
		w.judge("host.cpu", "", 80.5)
		w.follow(entry("identity.token-refused", "n:1"))
		w.alarm("cpu-high", watch.Firing)
		w.alarm("token-failures", watch.Firing)
		w.judge("host.cpu", "", 67) // it clears at 75 when it fires at 90: at 66.7
		w.on(time.Hour)
		w.alarm("cpu-high", watch.Firing)
		w.judge("host.cpu", "", 66)
		w.on(2 * time.Minute)
		w.alarm("cpu-high", watch.Cleared)

		st := says("cpu-high")
		if !strings.Contains(st.Says, "the policy says above 80 instead of 90, for 0s instead of 15m") {
			w.t.Errorf("%s", st.Says)
		}
		if ls := st.Limits(); len(ls) != 3 || !ls[0].Policy || ls[0].Value != "80" || ls[0].Shipped != "90" || ls[1].Policy || !ls[2].Policy {
			w.t.Errorf("%+v", ls)
		}
		if _, silent, err := w.s.Try(w.t.Context()); err != nil || len(silent) > 0 {
			w.t.Errorf("with other bounds these fire in no trial: %v %v", silent, err)
		}

		w.rule(boundsKey, [][]string(nil))
		w.Clock.Advance(time.Hour)
		w.judge("host.cpu", "", 89)
		w.follow(many(6, entry("identity.token-refused", "n:2"))...)
		w.on(time.Hour)
		if as := w.alarms("cpu-high"); len(as) != 1 {
			w.t.Errorf("%+v", as)
		}
		if as := w.alarms("token-failures"); len(as) != 1 {
			w.t.Errorf("%+v", as)
		}
		if st := says("cpu-high"); strings.Contains(st.Says, "policy") || st.Limits()[0].Policy {
			w.t.Errorf("%s", st.Says)
		}
	})
}

// Whoever checks the evidence of an alarm later asks the rule with the bounds of then.
func TestBoundsInTheEvidence(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.rule(boundsKey, [][]string{{"disk-full above", "50"}, {"disk-full for", "0s"}})
	w.judge("host.disk", "data", 60)
	w.recorded(1, operator, happened{name: "other.thing"})
	b, key := w.bundle(w.alarm("disk-full", watch.Firing).ID)
	w.rule(boundsKey, [][]string(nil))
	if r := checked(b, key); r.Code != verify.True || !said(r, "60 was read, and it fires above 50") {
		t.Error(r.Text())
	}
}
