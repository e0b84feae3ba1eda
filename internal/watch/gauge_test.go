package watch_test

import (
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
)

var pusher = actor.Actor{Kind: actor.Machine, ID: "shop", Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}, Token: "shop-token", Scopes: []string{"watch.push"}, Via: "token"}

func orders() watch.Gauge {
	return watch.Gauge{Name: "own.orders", Kind: "count", Says: "Orders that were paid", Every: time.Minute}
}

func queue() watch.Gauge {
	return watch.Gauge{Name: "own.queue", Kind: "level", Unit: "jobs", Says: "Jobs that wait", Every: time.Minute,
		Bounds: []watch.Bound{{Way: watch.Above, At: 500, Clear: 300, For: 5 * time.Minute, Severity: "page"}, {Way: watch.Below, At: 1, Clear: 2}}}
}

func (w *world) declare(gs ...watch.Gauge) {
	w.t.Helper()
	for _, g := range gs {
		_, err := w.s.SetGauge(w.t.Context(), engineer, g)
		must(w.t, err)
	}
}

func (w *world) push(meter string, v float64) {
	w.t.Helper()
	must(w.t, w.s.Push(w.t.Context(), pusher, []watch.Sample{{Meter: meter, Value: v}}))
}

// What cannot be a meter is refused; a meter keeps its kind and unit for good, also when it was
// removed meanwhile.
func TestGaugesAreDeclared(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		for want, change := range map[string]func(*watch.Gauge){
			"watch_name":   func(g *watch.Gauge) { g.Name = "requests" },
			"watch_kind":   func(g *watch.Gauge) { g.Kind = "sum" },
			"watch_unit":   func(g *watch.Gauge) { g.Unit = strings.Repeat("m", 17) },
			"watch_says":   func(g *watch.Gauge) { g.Says = " " },
			"watch_every":  func(g *watch.Gauge) { g.Every = time.Second },
			"watch_bounds": func(g *watch.Gauge) { g.Bounds = []watch.Bound{{Way: watch.Above, At: 5, Clear: 6}} },
		} {
			g := orders()
			change(&g)
			if _, err := w.s.SetGauge(w.t.Context(), engineer, g); codeOf(err) != want {
				w.t.Errorf("%v, want %s", err, want)
			}
		}
		if _, err := w.s.SetGauge(w.t.Context(), support, orders()); fault.KindOf(err) != fault.Denied {
			w.t.Errorf("support declared a meter: %v", err)
		}
		w.declare(orders())
		must(w.t, w.s.RemoveGauge(w.t.Context(), engineer, "own.orders"))
		if err := w.s.RemoveGauge(w.t.Context(), engineer, "own.orders"); codeOf(err) != "meter_unknown" {
			w.t.Errorf("removed twice: %v", err)
		}
		other := orders()
		other.Kind = "level"
		if _, err := w.s.SetGauge(w.t.Context(), engineer, other); codeOf(err) != "meter_other" {
			w.t.Errorf("declared as another kind: %v", err)
		}
		w.declare(orders())
		w.again()
		gs, err := w.s.Gauges(w.t.Context(), engineer)
		if must(w.t, err); len(gs) != 1 || gs[0].Name != "own.orders" || gs[0].Every != time.Minute || !gs[0].Last.IsZero() {
			w.t.Errorf("after a restart: %+v", gs)
		}
	})
}

// Samples of the last hour count in their own minutes, apart by what they are of, and are seen in a view of
// their own; a month of what adds up can be planned.
func TestSamplesBecomeSeries(t *testing.T) { // breaks: mon.alarms, mon.drill-down
	both(t, func(w *world) {
		w.declare(orders(), queue())
		now := w.Clock.Now()
		must(w.t, w.s.Push(w.t.Context(), pusher, []watch.Sample{{Meter: "own.orders", Value: 12, Of: "shop"}, {Meter: "own.orders", Value: 3, Of: "phone", At: now.Add(-50 * time.Minute)}, {Meter: "own.orders", Of: "shop"}, {Meter: "own.queue", Value: 7.25}}))
		for range 13 {
			w.Clock.Advance(10 * time.Second)
			must(w.t, w.s.Sample(w.t.Context()))
		}
		w.again()
		must(w.t, w.s.Sample(w.t.Context()))
		look := func(meter string) watch.Picture {
			w.t.Helper()
			a, err := w.s.Look(w.t.Context(), engineer, watch.Question{Meter: meter, By: "of", From: now.Add(-time.Hour), Until: w.Clock.Now(), Step: time.Minute})
			must(w.t, err)
			return a
		}
		a := look("own.orders")
		sum := map[time.Time]float64{}
		for _, p := range a.Points {
			sum[p.At] += p.Value
		}
		if got := sum[now.Truncate(time.Minute)]; got != 12 {
			w.t.Errorf("%v orders in this minute, want 12", got)
		}
		if got := sum[now.Add(-50*time.Minute).Truncate(time.Minute)]; got != 3 {
			w.t.Errorf("%v orders in that minute, want 3", got)
		}
		if len(a.Groups) != 2 || a.Groups[0].Label != "shop" || a.Groups[0].Value != 12 {
			w.t.Errorf("groups %+v", a.Groups)
		}
		if q := look("own.queue"); len(q.Groups) != 0 || q.Of.Unit != "jobs" {
			w.t.Errorf("queue %+v", q.Groups)
		}
		vs := w.s.Views()
		if v := vs[len(vs)-1]; v.ID != "own" || strings.Join(v.Meters, " ") != "own.orders own.queue" {
			w.t.Errorf("the view is %+v", v)
		}
		if names := strings.Join(w.s.Plannable(), " "); !strings.HasSuffix(names, " own.orders") {
			w.t.Errorf("plannable: %s", names)
		}
	})
}

// A bound fires after its time, and clears at its clear value; one below fires below. Its
// alarm ends with the bound.
func TestBoundsOfGauges(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		w.declare(queue())
		w.push("own.queue", 501)
		w.on(time.Minute)
		if as := w.alarms("own.queue.above"); len(as) != 0 {
			w.t.Errorf("fired before its time: %+v", as)
		}
		w.push("own.queue", 600)
		w.on(5 * time.Minute)
		a := w.alarm("own.queue.above", watch.Firing)
		if a.Severity != "page" || a.Part != watch.Own || a.Clause != "mon.alarms" {
			w.t.Errorf("%+v", a)
		}
		w.push("own.queue", 400) // between the two nothing changes
		w.on(3 * time.Minute)
		w.alarm("own.queue.above", watch.Firing)
		w.push("own.queue", 300)
		w.on(3 * time.Minute)
		w.alarm("own.queue.above", watch.Cleared)

		w.push("own.queue", 0)
		w.on(time.Second)
		w.alarm("own.queue.below", watch.Firing)
		g := queue()
		g.Bounds = g.Bounds[:1]
		w.declare(g)
		w.on(3 * time.Minute)
		w.alarm("own.queue.below", watch.Cleared)
	})
}

// A sample that is older than three intervals is counted and not judged.
func TestOldSamplesFireNothing(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.declare(queue())
	must(t, w.s.Push(t.Context(), pusher, []watch.Sample{{Meter: "own.queue", Value: 0, At: w.Clock.Now().Add(-4 * time.Minute)}}))
	if as := w.alarms("own.queue.below"); len(as) != 0 {
		t.Errorf("%+v", as)
	}
}

// Three intervals without a sample are an alarm; removing the meter ends it.
func TestSilentGauges(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		w.declare(orders())
		w.push("own.orders", 1)
		pass := func(d time.Duration) {
			w.t.Helper()
			for range d / (10 * time.Second) {
				w.Clock.Advance(10 * time.Second)
				must(w.t, w.s.Sample(w.t.Context()))
			}
		}
		silent := func() (out []watch.Alarm) {
			for _, a := range w.alarms("source-silent") {
				if a.Labels["instance"] == "own.orders" {
					out = append(out, a)
				}
			}
			return out
		}
		pass(3 * time.Minute)
		if as := silent(); len(as) != 0 {
			w.t.Fatalf("an alarm within three intervals: %+v", as)
		}
		pass(4 * time.Minute)
		if as := silent(); len(as) != 1 || as[0].State != watch.Firing {
			w.t.Fatalf("no alarm after seven minutes: %+v", as)
		}
		must(w.t, w.s.RemoveGauge(w.t.Context(), engineer, "own.orders"))
		w.on(3 * time.Minute)
		if as := silent(); len(as) != 1 || as[0].State != watch.Cleared {
			w.t.Errorf("the meter is gone, and its alarm is %+v", as)
		}
	})
}

// After three intervals without a sample nobody knows, which is not zero.
func TestSilentGaugesAreGaps(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.declare(orders())
	began := w.Clock.Now().Truncate(time.Minute)
	w.push("own.orders", 1)
	for range 42 {
		w.Clock.Advance(10 * time.Second)
		w.s.NoteSilence()
	}
	must(t, w.s.Series().Flush(t.Context()))
	a, err := w.s.Look(t.Context(), engineer, watch.Question{Meter: "own.orders", From: began, Until: began.Add(7 * time.Minute), Step: time.Minute})
	must(t, err)
	var gaps []bool
	for _, p := range a.Points {
		gaps = append(gaps, p.Gap())
	}
	if got, want := fmt.Sprint(gaps), "[false false false true true true true]"; got != want {
		t.Errorf("gaps %s, want %s", got, want)
	}
}

// What is pushed badly is refused as a whole, with words and an entry; a token that goes too fast waits.
func TestSamplesAreRefused(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		w.declare(orders(), queue())
		now := w.Clock.Now()
		bad := func(x watch.Sample) []watch.Sample { return []watch.Sample{{Meter: "own.orders", Value: 1}, x} }
		for name, c := range map[string]struct {
			in     []watch.Sample
			code   string
			status int
			says   string
		}{
			"a meter nobody declared": {bad(watch.Sample{Meter: "own.weather", Value: 1}), "meter_unknown", 404, "Declare it first"},
			"one of Writ's own":       {bad(watch.Sample{Meter: "requests", Value: 1}), "meter_unknown", 404, ""},
			"no number":               {bad(watch.Sample{Meter: "own.queue", Value: math.NaN()}), "sample_value", 400, "finite"},
			"without end":             {bad(watch.Sample{Meter: "own.queue", Value: math.Inf(-1)}), "sample_value", 400, "finite"},
			"too large":               {bad(watch.Sample{Meter: "own.queue", Value: 2e12}), "sample_value", 400, "million million"},
			"half a count":            {bad(watch.Sample{Meter: "own.orders", Value: 0.5}), "sample_value", 400, "whole"},
			"less than nothing":       {bad(watch.Sample{Meter: "own.orders", Value: -1}), "sample_value", 400, "below zero"},
			"of what is too long":     {bad(watch.Sample{Meter: "own.orders", Of: strings.Repeat("x", 65)}), "sample_of", 400, ""},
			"of tomorrow":             {bad(watch.Sample{Meter: "own.orders", At: now.Add(5*time.Minute + time.Second)}), "sample_at", 400, now.Add(5 * time.Minute).UTC().Format(time.RFC3339)},
			"of yesterday":            {bad(watch.Sample{Meter: "own.orders", At: now.Add(-time.Hour - time.Second)}), "sample_at", 400, now.Add(-time.Hour).UTC().Format(time.RFC3339)},
			"none":                    {nil, "sample_samples", 400, ""},
			"1,001":                   {make([]watch.Sample, 1001), "samples_too_many", 413, "1000"},
		} {
			before := len(w.Recorded("watch.samples-refused"))
			err := w.s.Push(w.t.Context(), pusher, c.in)
			code, pub := fault.PublicOf(err)
			if code != c.code || fault.KindOf(err).Status() != c.status || !strings.Contains(pub.Problem+pub.Expected+pub.Next, c.says) {
				w.t.Errorf("%s: %v, want %s and %d with %q", name, err, c.code, c.status, c.says)
			}
			if n := len(w.Recorded("watch.samples-refused")); n != before+1 {
				w.t.Errorf("%s: %d entries, want one", name, n-before)
			}
		}
		if err := w.s.Push(w.t.Context(), clerk, bad(watch.Sample{Meter: "own.orders"})); fault.KindOf(err) != fault.Denied {
			w.t.Errorf("a token without the scope pushed: %v", err)
		}
		for range 13 {
			w.Clock.Advance(10 * time.Second)
			must(w.t, w.s.Sample(w.t.Context()))
		}
		if rows, err := w.s.Look(w.t.Context(), engineer, watch.Question{Meter: "own.orders", From: now.Add(-time.Hour), Until: w.Clock.Now()}); err != nil || total(rows) != 0 {
			w.t.Errorf("something of what was refused counts: %v, %v", total(rows), err)
		}
	})
}

func total(a watch.Picture) (sum float64) {
	for _, p := range a.Points {
		sum += p.Value
	}
	return sum
}

func TestSamplesTooFast(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.declare(orders())
	for range 120 {
		w.push("own.orders", 1)
	}
	before := len(w.Recorded("watch.samples-refused"))
	for range 3 {
		err := w.s.Push(t.Context(), pusher, []watch.Sample{{Meter: "own.orders"}})
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind.Status() != 429 || f.RetryAfter < time.Second || f.RetryAfter > time.Minute {
			t.Fatalf("the 121st request of a minute: %v", err)
		}
	}
	if n := len(w.Recorded("watch.samples-refused")) - before; n != 1 {
		t.Errorf("%d entries of one minute, want the first", n)
	}
	other := pusher
	other.Token = "another"
	must(t, w.s.Push(t.Context(), other, []watch.Sample{{Meter: "own.orders", Value: 1}}))
	w.Clock.Advance(time.Minute)
	w.push("own.orders", 1)
}

// Whatever bytes come, what is read of them are numbers, and what is no JSON is refused as such.
func FuzzSamples(f *testing.F) {
	for _, s := range []string{`{"samples":[{"meter":"own.a","value":1}]}`, `{"samples":[{"meter":"own.a","value":NaN}]}`, `{"samples":[{"meter":"own.a","value":1e999,"at":"2026-05-03T14:00:00Z","of":"x"}]}`, `[]`, `{"samples":[{"value":"Infinity"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := httptest.NewRequest("POST", "/-/api/v1/samples", strings.NewReader(string(b)))
		r.Header.Set("Content-Type", "application/json")
		in, err := watch.ReadSamples(r)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Malformed {
				t.Fatalf("%s: %v", k, err)
			}
			return
		}
		for _, x := range in {
			if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
				t.Fatalf("%+v", x)
			}
		}
	})
}
