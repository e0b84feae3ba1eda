package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
	"writ/internal/watch"
	"writ/internal/watch/series"
)

var clerk = actor.Actor{Kind: actor.Machine, ID: "bot", Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}, Token: "t", Scopes: []string{"watch.read"}, Via: "token"}

// visited has some requests answered, now, and lets watch count them.
func (w *world) visited(n int) {
	w.t.Helper()
	for range n {
		w.s.Answered(watch.Request{At: w.Clock.Now(), Who: person("ben", "acme"), Route: "/orders/{id}", Status: 200, Took: 5 * time.Millisecond, Out: 2000})
	}
	must(w.t, w.s.DrainRequests(w.t.Context()))
	in := entry("identity.signed-in", "s:home", journal.Field{Name: "method", State: journal.Public, Value: "password"})
	in.Subject = "p:ben"
	w.follow(in)
	for range 7 {
		must(w.t, w.s.Sample(w.t.Context()))
		w.Clock.Advance(10 * time.Second)
	}
}

// Each view stands on meters that there are, and is grouped along what they are counted along.
func TestViewsStandOnMeters(t *testing.T) { // breaks: mon.drill-down
	meters := map[string]series.Meter{}
	for _, m := range watch.Meters() {
		meters[m.Name] = m
	}
	seen := map[string]bool{}
	for _, v := range watch.Views() {
		if v.ID == "" || seen[v.ID] || v.Title == "" || v.Says == "" || len(v.Meters) == 0 || len(v.By) == 0 {
			t.Errorf("%+v", v)
		}
		seen[v.ID] = true
		for i, name := range v.Meters {
			m, ok := meters[name]
			if !ok || i == 0 && !slices.Contains(m.Dimensions, v.By[0]) {
				t.Errorf("%s: the meter %s is not there, or not counted by %s", v.ID, name, v.By[0])
			}
		}
		for _, by := range v.By {
			if !slices.ContainsFunc(v.Meters, func(m string) bool { return slices.Contains(meters[m].Dimensions, by) }) {
				t.Errorf("%s: nothing is counted by %s", v.ID, by)
			}
		}
	}
	for _, id := range []string{"traffic", "endpoints", "teams", "people", "networks", "latency", "errors", "saturation", "sign-ins", "staff-views", "secret-reads", "detections", "delivery", "health"} {
		if !seen[id] {
			t.Errorf("there is no view of %s", id)
		}
	}
}

// A look shows points, groups and one group; by person it is for whoever may read the journal,
// and an entry.
func TestLook(t *testing.T) { // breaks: mon.drill-down, use.need-to-see
	both(t, func(w *world) {
		w.visited(12)
		now := w.Clock.Now()
		ask := func(who actor.Actor, by, label string) (watch.Picture, error) {
			return w.s.Look(w.t.Context(), who, watch.Question{Meter: "requests", By: by, Label: label, From: now.Add(-time.Hour), Until: now})
		}
		a, err := ask(engineer, "route", "")
		must(w.t, err)
		sum, gaps := 0.0, 0
		for _, p := range a.Points {
			if sum += p.Value; p.Gap() {
				gaps++
			}
		}
		if sum != 12 || gaps < 50 || a.Step != time.Minute || len(a.Groups) != 1 || a.Groups[0].Label != "/orders/{id}" || a.Groups[0].Value != 12 {
			w.t.Errorf("%v in %d points, %d gaps, %+v", sum, len(a.Points), gaps, a.Groups)
		}
		if a, err := ask(engineer, "route", "/nothing"); err != nil || len(a.Groups) != 0 || slices.ContainsFunc(a.Points, func(p series.Point) bool { return p.Value != 0 }) {
			w.t.Errorf("another route: %v %+v", err, a)
		}
		if n := len(w.Recorded("watch.series-looked")); n != 0 {
			w.t.Errorf("a look at routes made %d entries", n)
		}
		a, err = ask(engineer, "person", "")
		must(w.t, err)
		if len(a.Groups) != 1 || strings.Contains(a.Groups[0].Label, "ben") {
			w.t.Errorf("%+v", a.Groups)
		}
		_, err = ask(engineer, "person", a.Groups[0].Label)
		must(w.t, err)
		es := w.Recorded("watch.series-looked")
		if len(es) != 2 || es[0].Fields["dimension"] != "person" || es[1].Fields["label"] != a.Groups[0].Label {
			w.t.Errorf("%+v", es)
		}
		for _, by := range []string{"person", "network"} { // whose token has no right to the journal
			if _, err := ask(clerk, by, ""); !errors.Is(err, fault.Denied) {
				w.t.Errorf("%s: %v", by, err)
			}
		}
		_, err = ask(clerk, "route", "")
		must(w.t, err)
		if _, err := ask(support, "route", ""); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support: %v", err)
		}
		for _, q := range []watch.Question{{Meter: "weather"}, {Meter: "requests", Label: "x"}, {Meter: "requests", By: "weather"}, {Meter: "requests", Top: 5000}, {Meter: "requests", Step: time.Nanosecond}} {
			if q.From, q.Until = now.Add(-time.Hour), now; true {
				if _, err := w.s.Look(w.t.Context(), engineer, q); fault.KindOf(err) == fault.Internal || err == nil {
					w.t.Errorf("%+v: %v", q, err)
				}
			}
		}
	})
}

func TestQuestionOf(t *testing.T) {
	now := ledgertest.Start
	for text, want := range map[string][2]time.Time{
		"":                                       {now.Add(-24 * time.Hour), now},
		"from=2h":                                {now.Add(-2 * time.Hour), now},
		"until=2h":                               {now.Add(-26 * time.Hour), now.Add(-2 * time.Hour)},
		"from=2026-05-01&until=2026-05-02 12:30": {time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 2, 12, 30, 0, 0, time.UTC)},
		"from=2026-05-01T10:00&until=2026-05-01T14:00:00%2B02:00": {time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)},
		"from=yesterday": {}, "from=2h&until=3h": {}, "step=fast": {}, "step=-1h": {}, "until=-1h": {},
	} {
		v, err := url.ParseQuery(text)
		must(t, err)
		q, err := watch.QuestionOf(v, now)
		if (err == nil) != (!want[0].IsZero()) || err == nil && (!q.From.Equal(want[0]) || !q.Until.Equal(want[1])) {
			t.Errorf("%q: %v to %v, %v", text, q.From, q.Until, err)
		}
	}
}

// The control wants a view for each part of the policy, a source that is there, and something
// to see.
func TestViewsControl(t *testing.T) { // breaks: mon.drill-down
	both(t, func(w *world) {
		w.want("watch.views-answer", clause.Unknown, "nothing happened")
		w.visited(3)
		w.want("watch.views-answer", clause.Pass, "6 parts")
		w.rule("mon.drill-down/coverage", []string{"traffic", "weather"})
		w.want("watch.views-answer", clause.Fail, "no view shows weather")
		w.rule("mon.drill-down/coverage", []string{"errors", "traffic"}) // no error at all is no wonder
		w.want("watch.views-answer", clause.Pass, "2 parts")
		w.Clock.Advance(2 * time.Hour)
		w.want("watch.views-answer", clause.Fail, "nothing was counted for an hour")
	})
}

// BenchmarkLook is the mark of a view: 28 days, with groups, of a month of a busy place.
func BenchmarkLook(b *testing.B) {
	k := ledgertest.Open(b, watch.Schema())
	from := k.Clock.Now()
	s, err := series.New(series.Deps{DB: k.DB, Meters: watch.Meters(), Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	const routes = 100
	for range 28 * 24 {
		for i := range routes {
			s.Add(series.Event{At: k.Clock.Now(), Meter: "latency", N: int64(1 + i), Value: float64(1000 * (1 + i)), Labels: []series.Label{{Dimension: "route", Value: fmt.Sprint("/r", i)}}})
		}
		s.Seen("requests")
		k.Clock.Advance(time.Hour)
		if err := s.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	}
	for _, step := range []time.Duration{time.Hour, 6 * time.Hour} {
		b.Run(step.String(), func(b *testing.B) {
			for b.Loop() {
				q := series.Query{Meter: "latency", From: from, Until: k.Clock.Now(), Step: step}
				ps, err := s.Range(ctx, q)
				if err != nil || len(ps) < 100 {
					b.Fatal(len(ps), err)
				}
				q.Dimension = "route"
				if rs, err := s.Top(ctx, q, 20); err != nil || len(rs) != 20 {
					b.Fatal(len(rs), err)
				}
			}
		})
	}
}
