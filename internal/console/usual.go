package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/web"
)

// showUsual lists what is learned as usual, and what is unusual now.
func (c *Console) showUsual(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.usualPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) usualPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed map[string]string, failed error) error {
	us, g, err := c.Watch.Usuals(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "What is compared", Columns: []web.Column{{Name: "Of"}, {Name: "Stands"}, {Name: "Now", Figure: true}, {Name: "Expected", Figure: true}, {Name: "Usual", Figure: true}},
		Empty: web.Empty{Says: "Nothing was counted yet. The first minute shows here within two minutes of the start."}}
	options := []web.Option{}
	for i := range us[:min(len(us), mostUsual)] {
		u := &us[i]
		band := fmt.Sprintf("%s to %s", figure(u.Low, u.Unit), figure(u.High, u.Unit))
		if u.Hourly {
			band = "by the hour"
		}
		expected := figure(u.Expected, u.Unit)
		if !u.Hourly && !u.Known {
			expected, band = "not yet known", "not yet known"
		}
		m := usualMark(u)
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: c.seriesCalled(r.Context(), u.Series)}, {Mark: &m}, {Text: figure(u.Value, u.Unit)}, {Text: expected}, {Text: band}}})
		options = append(options, web.Option{Value: u.Series, Text: c.seriesCalled(r.Context(), u.Series), Chosen: u.Series == typed["series"]})
	}
	p := watchPage{Tables: []web.Table{t}, Head: "When it has changed for good", Facts: []fact{{Name: "Learned", Text: fmt.Sprintf("%d days of %d", min(g.Days, g.Need), g.Need), Sub: "of the requests, before they are judged"},
		{Name: "Habits known", Text: web.Count(g.People, "person"), Sub: "networks, browsers and hours, sealed under each one's key"}}}
	for _, what := range g.Unbound {
		p.Facts = append(p.Facts, fact{Name: "Not watched", Text: what})
	}
	if len(options) > 0 && c.Access.May(who, access.WatchAct) {
		p.Last = []web.Form{{Part: "accept", Action: atUsual, Act: "This is the new normal", Quiet: true, Fault: failed, Fields: []web.Field{
			{Name: "series", Label: "Of what", Type: "select", Options: options},
			{Name: "reason", Label: "What has changed", Value: typed["reason"], Required: true, Max: 300, Complete: "off", Hint: "It is recorded. To keep an alarm quiet for a while, make a silence."}}}}
	}
	lead := "Each minute is compared with the same hour of the weeks before."
	if g.Days < g.Need {
		lead = fmt.Sprintf("Learning, day %d of %d: nothing is judged by what is usual yet. Fixed bounds, and what is new about people, are watched already.", g.Days, g.Need)
	}
	if len(us) > mostUsual {
		lead += fmt.Sprintf(" These are the %d least usual of %d; writ watch baselines lists them all.", mostUsual, len(us))
	}
	return c.answer(w, r, st, "watch", web.View{Title: "What is usual", Lead: lead, Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

// seriesCalled is the name of a series, with the name of its team.
func (c *Console) seriesCalled(ctx context.Context, name string) string {
	if meter, id, ok := strings.Cut(name, " team "); ok {
		return meter + " team " + c.teamLabel(ctx, id)
	}
	return name
}

// teamLabel is a team as a label: its name, or what there is of its id.
func (c *Console) teamLabel(ctx context.Context, id string) string {
	if n := c.Identity.TeamName(ctx, id); n != "" {
		return n
	}
	return cutID(id)
}

const mostUsual = 40 // the least usual of them

func usualMark(u *watch.Usual) web.Mark {
	switch {
	case u.Above > 1:
		return web.Mark{State: web.Broken, Word: fmt.Sprintf("%.1f times the band above", u.Above)}
	case u.Below > 1:
		return web.Mark{State: web.Broken, Word: fmt.Sprintf("%.1f times the band below", u.Below)}
	case u.Drift > 2 || u.Drift < 0.5:
		return web.Mark{State: web.StaleNow, Word: fmt.Sprintf("%.1f times of four weeks ago", u.Drift)}
	case !u.Hourly && !u.Known:
		return web.Mark{State: web.Unproved, Word: fmt.Sprintf("learning, day %d", u.Days)}
	}
	return web.Mark{State: web.Holds, Word: "usual"}
}

// figure writes a number with its unit, as people read it.
func figure(v float64, unit string) string {
	switch {
	case math.IsInf(v, 0):
		return "any"
	case unit == "µs":
		v, unit = v/1000, "ms"
	case unit == "bytes" && v >= 1e6:
		v, unit = v/1e6, "MB"
	case unit == "bytes" && v >= 1000:
		v, unit = v/1e3, "kB"
	}
	s := strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	return strings.TrimSpace(s + " " + unit)
}

func (c *Console) acceptUsual(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.AcceptUsual(r.Context(), who, f.Get("series"), f.Get("reason")); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		return c.usualPage(w, r, who, status(err), map[string]string{"series": f.Get("series"), "reason": f.Get("reason")}, err)
	}
	return c.done(w, r, atUsual, "It is the new normal.")
}
