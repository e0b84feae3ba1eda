package watch_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/watch"
)

// What is read of the database fires its rules at their bounds; a rule whose readings the database
// does not have says that it is unbound, until they come.
func TestDatabaseRules(t *testing.T) { // breaks: mon.load
	w := lite(t)
	var lag []watch.Reading
	w.sources = []watch.Source{{Name: "database", Every: 10 * time.Second, Read: func(context.Context) ([]watch.Reading, error) { return lag, nil }}}
	w.again()
	says := func(rule string) string {
		t.Helper()
		all, err := w.s.RulesFor(t.Context(), engineer)
		must(t, err)
		for _, st := range all {
			if st.ID == rule {
				return st.Says
			}
		}
		t.Fatalf("no rule %s", rule)
		return ""
	}
	unbound := func() (out []string) {
		for _, id := range []string{"fsync-slow", "conn-saturation", "replication-lag", "replication-far", "replication-late", "wal-archive-late", "clock-offset"} {
			if strings.HasPrefix(says(id), "Unbound") {
				out = append(out, id)
			}
		}
		return out
	}
	must(t, w.s.Sample(t.Context()))
	if got := strings.Join(unbound(), " "); got != "replication-lag replication-far replication-late wal-archive-late clock-offset" {
		t.Errorf("unbound: %s", got)
	}
	lag = []watch.Reading{{Meter: "db.lag", Label: "standby", Value: 1}, {Meter: "db.lag-bytes", Label: "standby", Value: 1}}
	w.Clock.Advance(10 * time.Second)
	must(t, w.s.Sample(t.Context()))
	if got := strings.Join(unbound(), " "); got != "wal-archive-late clock-offset" {
		t.Errorf("with a replica, unbound: %s", got)
	}
	lag = []watch.Reading{{Meter: "host.clock-off", Label: "database", Value: 0.1}}
	w.Clock.Advance(10 * time.Second)
	must(t, w.s.Sample(t.Context()))
	if got := unbound(); slices.Contains(got, "clock-offset") {
		t.Errorf("with a clock elsewhere, unbound: %s", got)
	}
	for rule, c := range map[string]struct {
		meter    string
		at, over float64
		hold     time.Duration
	}{
		"fsync-slow":       {"db.commit", 100, 101, 5 * time.Minute},
		"conn-saturation":  {"db.connections", 80, 81, time.Minute},
		"replication-late": {"db.lag", 60, 61, 0},
		"replication-far":  {"db.lag-bytes", 64 << 20, 64<<20 + 1, time.Minute},
		"wal-archive-late": {"db.archive", 300, 301, 0},
		"clock-offset":     {"host.clock-off", 1, 1.1, 2 * time.Minute},
	} {
		w.judge(c.meter, "x", c.at)
		w.on(c.hold + time.Second)
		if as := w.alarms(rule); len(as) != 0 {
			t.Errorf("%s fires at its bound: %+v", rule, as)
		}
		w.judge(c.meter, "x", c.over)
		w.on(c.hold + time.Second)
		w.alarm(rule, watch.Firing)
	}
	w.judge("db.lag", "x", 61) // the table's order is another each time: its last may have been this meter's first minute
	w.on(time.Minute + time.Second)
	w.alarm("replication-lag", watch.Firing)
}
