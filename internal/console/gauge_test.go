package console_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/watch/series"
)

func (a *alarmed) Gauges(context.Context, actor.Actor) ([]watch.Gauge, error) {
	return []watch.Gauge{{Name: "own.orders", Kind: "count", Says: "Orders that were paid", Every: time.Minute, Bounds: []watch.Bound{{Way: watch.Below, At: 5, Clear: 10, Severity: "page"}}}}, nil
}

func (a *alarmed) SetGauge(_ context.Context, _ actor.Actor, g watch.Gauge) (watch.Gauge, error) {
	if !strings.HasPrefix(g.Name, "own.") {
		return g, fault.New(fault.Invalid, "watch_name", fault.Public{Problem: "The name of the meter is not good.", Fields: []fault.Field{{Name: "name", Code: "watch_name", Problem: "own. and then letters."}}})
	}
	a.did = append(a.did, fmt.Sprintf("meter %s %s %s %v", g.Name, g.Kind, g.Every, g.Bounds))
	return g, nil
}

func (a *alarmed) RemoveGauge(_ context.Context, _ actor.Actor, name string) error {
	a.did = append(a.did, "no meter "+name)
	return nil
}

func (a *alarmed) Views() []watch.View {
	return append(watch.Views(), watch.View{ID: "own", Title: "Your own", Says: "What is pushed.", Meters: []string{"own.orders"}, By: []string{"of"}, Rare: true})
}

func (a *alarmed) Catalogue() []series.Meter {
	return append(watch.Meters(), series.Meter{Name: "own.orders", Source: "pushed/own.orders", Says: "Orders that were paid", Dimensions: []string{"of"}})
}

// Meters of one's own are listed, declared with bounds and removed by those who may, and have a view.
func TestGaugesInTheConsole(t *testing.T) { // breaks: mon.alarms
	w, a := watched(t)
	const at = "/-/console/watch/meters"
	if !strings.Contains(w.get("emil", "/-/console/watch/views").want(200, "Your own").Body.String(), `href="`+at+`"`) {
		t.Error("no way leads there")
	}
	w.get("dev", "/-/console/watch/views/own").want(200, "Your own")
	w.get("dev", at).want(200, "own.orders", "Orders that were paid", "below 5", "each 1m", "none since the start", "Declare it", "Remove it")
	if closed, open := w.get("dev", at).folds(); !slices.Equal(closed, []string{"Remove a meter"}) || len(open) != 0 {
		t.Errorf("folded are %q, open %q", closed, open)
	}
	if body := w.get("emil", at).want(200, "own.orders").Body.String(); strings.Contains(body, "Declare it") {
		t.Error("an auditor is offered to declare some")
	}
	w.get("customer", at).want(403)
	for _, act := range []string{"", "/remove"} {
		w.post("emil", at+act, url.Values{"name": {"own.orders"}}).want(403)
	}
	wish := url.Values{"name": {"orders"}, "says": {"Orders"}, "kind": {"level"}, "every": {"1m"}, "above": {"9"}, "above_clear": {"4.5"}, "for": {"5m"}, "severity": {"page"}}
	if body := w.post("dev", at, wish).want(422, "own. and then letters").Body.String(); !strings.Contains(body, `value="4.5"`) {
		t.Error("what was typed is gone")
	}
	wish.Set("name", "own.queue")
	w.post("dev", at, wish).want(303)
	wish.Set("above", "many")
	w.post("dev", at, wish).want(422, "no number")
	w.post("dev", at+"/remove", url.Values{"name": {"own.queue"}}).want(303)
	if got, want := strings.Join(a.did, "; "), "meter own.queue level 1m0s [{above 9 4.5 5m0s page}]; no meter own.queue"; got != want {
		t.Errorf("did %s, want %s", got, want)
	}
}
