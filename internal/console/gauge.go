package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/web"
)

const atGauges = atWatch + "/meters"

// gaugeRoutes are the page of meters that the company declares.
func (c *Console) gaugeRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/watch/meters", access.WatchRead, atViews, c.showGauges),
		staff("POST /-/console/watch/meters", access.WatchManage, atViews, c.setGauge),
		staff("POST /-/console/watch/meters/remove", access.WatchManage, atViews, c.removeGauge),
	}
}

func (c *Console) showGauges(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.gaugesPage(w, r, who, http.StatusOK, map[string]string{"kind": "level", "every": "1m", "severity": "ticket"}, nil)
}

func (c *Console) gaugesPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed map[string]string, failed error) error {
	gs, err := c.Watch.Gauges(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Meters of your own", Columns: []web.Column{{Name: "Meter"}, {Name: "Kind"}, {Name: "A sample comes"}, {Name: "Alarm"}, {Name: "Last sample"}},
		Empty: web.Empty{Says: "None is declared. Declare one here, and push its samples with writ watch sample push or the API."}}
	var names []web.Option
	for i := range gs {
		g := &gs[i]
		names = append(names, web.Option{Value: g.Name, Text: g.Name})
		last, bounds := web.Cell{At: g.Last}, []string{}
		if g.Last.IsZero() {
			last.Text = "none since the start"
		}
		for _, b := range g.Bounds {
			bounds = append(bounds, b.Way+" "+strconv.FormatFloat(b.At, 'g', -1, 64))
		}
		if len(bounds) == 0 {
			bounds = []string{"when it falls silent"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: g.Name, Href: atViews + "/own?meter=" + g.Name, Sub: g.Says}, {Text: strings.TrimSpace(g.Kind + " " + g.Unit)}, {Text: "each " + brief(g.Every)}, {Text: strings.Join(bounds, ", ")}, last}})
	}
	p := watchPage{Tables: []web.Table{t}, Head: "Declare a meter, or change one"}
	if c.Access.May(who, access.WatchManage) {
		p.Last = append(p.Last, gaugeForm(typed, failed))
		if len(names) > 0 {
			p.Last = append(p.Last, web.Form{Part: "remove", Fold: "Remove a meter", Action: atGauges + "/remove", Act: "Remove it", Quiet: true, Fields: []web.Field{{Name: "name", Label: "Meter", Type: "select", Options: names, Hint: "No sample of it is taken any more, and its alarms end. What was counted stays to be seen."}}})
		}
	}
	return c.answer(w, r, st, "watch", web.View{Title: "Meters of your own", Lead: "What only your application knows: declare it, push its samples, and be told when it is too high, too low or silent.", Up: &web.Link{Text: "What goes on", Href: atViews}, Data: p})
}

// brief writes an interval: 1m, 90s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func gaugeForm(typed map[string]string, failed error) web.Form {
	choose := func(name string, pairs ...string) (out []web.Option) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, web.Option{Value: pairs[i], Text: pairs[i+1], Chosen: typed[name] == pairs[i]})
		}
		return out
	}
	text := func(name, label, hint string, most int) web.Field {
		return web.Field{Name: name, Label: label, Value: typed[name], Max: most, Complete: "off", Hint: hint}
	}
	f := web.Form{Part: "set", Action: atGauges, Act: "Declare it", Fault: failed, Fields: []web.Field{
		text("name", "Name", "own. and then small letters, such as own.orders. One of this name is changed.", 44),
		text("says", "What it is of", "Such as: Orders that were paid.", 80),
		{Name: "kind", Label: "Kind", Type: "select", Options: choose("kind", "level", "level: how high it is", "count", "count: how often since the last sample", "spread", "spread: how much each time")},
		text("unit", "Unit", "Such as ms; empty for a count.", 16),
		text("every", "How often a sample comes", "Such as 1m. Three times as long without one is an alarm.", 10),
		text("above", "Alarm above", "Empty: never.", 24), text("above_clear", "It is over at, or below", "Empty: the same.", 24),
		text("below", "Alarm below", "Empty: never.", 24), text("below_clear", "It is over at, or above", "Empty: the same.", 24),
		text("for", "Alarm after how long beyond it", "Such as 5m. Empty: at once.", 10),
		{Name: "severity", Label: "How urgent", Type: "select", Options: choose("severity", "page", "page", "ticket", "ticket", "notice", "notice")}}}
	for _, i := range []int{0, 1, 4} {
		f.Fields[i].Required = true
	}
	return f
}

// gaugeOf reads the form.
func gaugeOf(typed map[string]string) (g watch.Gauge, err error) {
	wrong := func(field, problem, want string) error {
		return fault.New(fault.Invalid, "watch_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: field, Code: "watch_" + field, Problem: want}}})
	}
	g = watch.Gauge{Name: typed["name"], Kind: typed["kind"], Unit: typed["unit"], Says: typed["says"]}
	if g.Every, err = time.ParseDuration(typed["every"]); err != nil {
		return g, wrong("every", "The interval cannot be read.", "A time such as 1m.")
	}
	hold := time.Duration(0)
	if typed["for"] != "" {
		if hold, err = time.ParseDuration(typed["for"]); err != nil {
			return g, wrong("for", "How long it holds cannot be read.", "A time such as 5m.")
		}
	}
	for _, way := range []string{watch.Above, watch.Below} {
		if typed[way] == "" {
			continue
		}
		b := watch.Bound{Way: way, For: hold, Severity: typed["severity"]}
		if b.At, err = strconv.ParseFloat(typed[way], 64); err != nil {
			return g, wrong(way, "The bound is no number.", "A number such as 12.5.")
		}
		if b.Clear = b.At; typed[way+"_clear"] != "" {
			if b.Clear, err = strconv.ParseFloat(typed[way+"_clear"], 64); err != nil {
				return g, wrong(way+"_clear", "The value at which it is over is no number.", "A number such as 12.5.")
			}
		}
		g.Bounds = append(g.Bounds, b)
	}
	return g, nil
}

func (c *Console) setGauge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchManage, "watch/meters"); err != nil { // before what is wrong with it
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	typed := map[string]string{}
	for _, name := range []string{"name", "says", "kind", "unit", "every", "above", "above_clear", "below", "below_clear", "for", "severity"} {
		typed[name] = strings.TrimSpace(f.Get(name))
	}
	g, err := gaugeOf(typed)
	if err == nil {
		_, err = c.Watch.SetGauge(r.Context(), who, g)
	}
	if err != nil {
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.Conflict {
			return err
		}
		return c.gaugesPage(w, r, who, status(err), typed, err)
	}
	return c.done(w, r, atGauges, g.Name+" is declared.")
}

func (c *Console) removeGauge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchManage, "watch/meters"); err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.RemoveGauge(r.Context(), who, f.Get("name")); err != nil {
		return err
	}
	return c.done(w, r, atGauges, "The meter takes no samples any more.")
}
