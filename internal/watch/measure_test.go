package watch_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch"
	"writ/internal/watch/series"
)

func person(id, team string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: team, TeamKind: "customer"}
}

// answered is a request of somebody.
func answered(at time.Time, who actor.Actor, network, agent string, records int, bytes int64) watch.Request {
	return watch.Request{At: at, Who: who, Network: network, Agent: agent, Route: "/orders/{id}", Status: 200, Took: 40 * time.Millisecond, In: 200, Out: bytes, Records: records}
}

// total is what a series came to in the last hour.
func (w *world) total(meter, dimension, label string) series.Point {
	w.t.Helper()
	now := w.Clock.Now()
	ps, err := w.s.Series().Range(w.t.Context(), series.Query{Meter: meter, Dimension: dimension, Label: label, From: now.Truncate(24 * time.Hour), Until: now.Truncate(24 * time.Hour).Add(24 * time.Hour), Step: 24 * time.Hour})
	must(w.t, err)
	return ps[0]
}

// A request counts in every meter that speaks of it, under names that are not people's.
func TestRequestsAreMeasured(t *testing.T) {
	both(t, func(w *world) {
		key, err := w.Ring.Ensure(w.t.Context(), keyring.Strangers(w.Clock.Now()))
		must(w.t, err)
		for i := range 10 {
			r := watch.Request{At: w.Clock.Now(), Who: person("ben", "acme"), Network: "203.0.113.0/24", Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Route: "/orders/{id}", Status: 200, Took: 5 * time.Millisecond, In: -1, Out: 2000, Records: 2}
			switch i {
			case 8:
				r.Status = 502
			case 9:
				r.Status, r.Refused, r.Who, r.Agent = 403, true, actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24"}, ""
			}
			w.s.Answered(r)
		}
		must(w.t, w.s.DrainRequests(w.t.Context()))
		w.Clock.Advance(time.Minute)
		must(w.t, w.s.Sample(w.t.Context()))
		ben := w.Ring.Pseudonym(keyring.Person("ben"))
		net := ledger.Pseudonym(key, "stranger", "203.0.113.0/24")
		for _, c := range []struct {
			meter, dimension, label string
			want                    float64
		}{
			{"requests", "", "", 10}, {"requests", "team", "acme", 9}, {"requests", "person", ben, 9}, {"requests", "network", net, 10}, {"requests", "agent", "Firefox on Linux", 9}, {"requests", "route", "/orders/{id}", 10},
			{"requests", "kind", "5xx", 1}, {"requests.failed", "team", "acme", 1}, {"requests.refused", "network", net, 1}, {"latency", "route", "/orders/{id}", 50_000}, {"bytes.out", "person", ben, 18_000}, {"bytes.in", "", "", 0}, {"records", "person", ben, 16},
		} {
			if p := w.total(c.meter, c.dimension, c.label); p.Value != c.want {
				w.t.Errorf("%s %s %s: %v, want %v", c.meter, c.dimension, c.label, p.Value, c.want)
			}
		}
		if p := w.total("host.memory", "", ""); p.Count != 1 || p.Value <= 0 {
			w.t.Errorf("readings make no series: %+v", p)
		}
		var labels []string
		must(w.t, w.DB.Each(w.t.Context(), `SELECT label FROM watch_series`, func(scan ledger.Scan) error {
			var l string
			err := scan(&l)
			labels = append(labels, l)
			return err
		}))
		if named := regexp.MustCompile(`203\.0|^ben$|Mozilla`); slices.ContainsFunc(labels, named.MatchString) {
			w.t.Errorf("something personal is a label: %q", labels)
		}
	})
}

// An entry counts in its meters once, however often it comes, and canaries not at all.
func TestEntriesAreMeasuredOnce(t *testing.T) {
	both(t, func(w *world) {
		public := func(name string, v any) journal.Field {
			return journal.Field{Name: name, State: journal.Public, Value: v}
		}
		in := entry("identity.signed-in", "s:home", public("method", "password"))
		in.Subject = "p:ben"
		read := entry("vault.param-read", "p:eli", public("count", int64(7)))
		read.Kind = "person"
		folded := entry("identity.refusals-folded", "s:x", public("of", "identity.sign-in-refused"), public("count", int64(40)))
		es := []journal.Entry{in, read, folded, entry("identity.sign-in-refused", "s:x"), entry("watch.alarm-opened", "writ/watch", public("rule", "cpu-high"), public("severity", "ticket")),
			entry("notify.accepted", "writ/notify", public("channel", "mail")), entry("gateway.records-searched", "p:eli", public("export", "")), entry("gateway.records-searched", "p:eli", public("export", "csv")),
			entry("vault.param-read", "machine/canary", public("count", int64(900)))}
		w.follow(es...)
		for _, n := range []int{len(es), 3} {
			must(w.t, w.s.Follow(w.t.Context(), es[len(es)-n:]))
			w.again()
		}
		for _, c := range []struct {
			meter, dimension, label string
			want                    int64
		}{
			{"entries", "", "", 8}, {"sign-ins", "person", "p:ben", 1}, {"sign-ins", "network", "s:home", 1}, {"sign-ins.refused", "network", "s:x", 41}, {"secret-reads", "", "", 7}, {"secret-reads", "person", "p:eli", 7},
			{"detections", "rule", "cpu-high", 1}, {"deliveries", "kind", "accepted", 1}, {"exports", "", "", 1}, {"refusals", "", "", 1},
		} {
			if p := w.total(c.meter, c.dimension, c.label); p.Count != c.want {
				w.t.Errorf("%s %s %s: %d, want %d", c.meter, c.dimension, c.label, p.Count, c.want)
			}
		}
	})
}

// Requests that find no room are lost to watch alone, and that is an entry, a page, and a hole.
func TestLostRequestsAreTold(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	for range 70_000 {
		w.s.Answered(watch.Request{At: w.Clock.Now(), Route: "/", Status: 200})
	}
	must(t, w.s.DrainRequests(t.Context()))
	es := w.Recorded("watch.events-dropped")
	if len(es) != 1 || fmt.Sprint(es[0].Fields["count"]) != fmt.Sprint(70_000-65_536) {
		t.Fatalf("%+v", es)
	}
	if p := w.total("requests", "", ""); p.Count != 65_536 {
		t.Errorf("%d counted", p.Count)
	}
	from := w.Clock.Now().Truncate(time.Minute)
	for range 13 { // as Sample does, but that this machine's own clock did not move
		w.s.Series().Seen("requests")
		w.Clock.Advance(10 * time.Second)
	}
	must(t, w.s.Series().Flush(t.Context()))
	lost, err := w.s.Series().Observed(t.Context(), "requests", from, from.Add(time.Minute))
	must(t, err)
	next, err := w.s.Series().Observed(t.Context(), "requests", from.Add(time.Minute), from.Add(2*time.Minute))
	must(t, err)
	if lost != 0 || next != 1 {
		t.Errorf("of the minute with a hole %v counts as observed, of the next %v", lost, next)
	}
}

func TestFamilies(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "curl/8.5.0": "curl", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0": "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1": "Chrome on iOS", "my-robot/1.0 <script>": "another",
	} {
		if got := watch.Family(header); got != want {
			t.Errorf("%q is %q, want %q", header, got, want)
		}
	}
}
