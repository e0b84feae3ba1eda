package console

import (
	"net/http"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/web"
)

const atMutes = atWatch + "/mutes"

// muteRoutes are the page of hours in which tickets wait.
func (c *Console) muteRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/watch/mutes", access.WatchRead, atSilences, c.showMutes),
		staff("POST /-/console/watch/mutes", access.WatchManage, atSilences, c.setMute),
		staff("POST /-/console/watch/mutes/remove", access.WatchManage, atSilences, c.removeMute),
	}
}

func (c *Console) showMutes(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.mutesPage(w, r, who, http.StatusOK, watch.MuteWish{Zone: "UTC"}, nil)
}

func (c *Console) mutesPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed watch.MuteWish, failed error) error {
	ms, err := c.Watch.Mutes(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Hours in which tickets wait", Columns: []web.Column{{Name: "Name"}, {Name: "Days"}, {Name: "Hours"}, {Name: "Set by"}}, Empty: web.Empty{Says: "Tickets are told at any hour."}}
	var names []web.Option
	for i := range ms {
		m := &ms[i]
		names = append(names, web.Option{Value: m.Name, Text: m.Name})
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: m.Name, Href: atJournal + "?object=mute/" + m.Name, Sub: "its reason is in its entry"}, {Text: strings.Join(m.DayNames(), " ")}, {Text: m.Clock(), Sub: m.Zone}, {Text: c.acted(r.Context(), m.MadeBy)}}})
	}
	p := watchPage{Tables: []web.Table{t}, Head: "Let tickets wait"}
	if c.Access.May(who, access.WatchManage) {
		p.Last = append(p.Last, web.Form{Part: "set", Action: atMutes, Act: "Let tickets wait then", Fault: failed, Fields: []web.Field{
			{Name: "name", Label: "Name", Value: typed.Name, Required: true, Max: 40, Complete: "off", Hint: "Such as nights. One of this name is changed."},
			{Name: "days", Label: "Days on which it begins", Value: strings.Join(typed.Days, " "), Max: 80, Complete: "off", Hint: "Such as mon tue wed. Empty: every day."},
			{Name: "from", Label: "From", Value: typed.From, Required: true, Max: 5, Complete: "off", Hint: "Such as 20:00."},
			{Name: "to", Label: "To", Value: typed.To, Required: true, Max: 5, Complete: "off", Hint: "At or before the hour above: on the next day."},
			{Name: "zone", Label: "Time zone", Value: typed.Zone, Max: 64, Complete: "off", Hint: "Such as Europe/Berlin."},
			{Name: "reason", Label: "Why nobody need hear then", Value: typed.Reason, Required: true, Max: 300, Complete: "off"}}})
		if len(names) > 0 {
			p.Last = append(p.Last, web.Form{Part: "remove", Fold: "Remove hours", Action: atMutes + "/remove", Act: "Remove it", Quiet: true, Fields: []web.Field{{Name: "name", Label: "Hours", Type: "select", Options: names}}})
		}
	}
	return c.answer(w, r, st, "watch", web.View{Title: "Hours in which tickets wait", Lead: "Pages are told at any hour, and so is what watches trust or watch itself. Twenty hours of each week stay open for tickets.", Up: &web.Link{Text: "Silences", Href: atSilences}, Data: p})
}

func (c *Console) setMute(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchManage, "watch/mutes"); err != nil { // before what is wrong with it
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	wish := watch.MuteWish{Name: strings.TrimSpace(f.Get("name")), Days: strings.Fields(f.Get("days")), From: strings.TrimSpace(f.Get("from")), To: strings.TrimSpace(f.Get("to")), Zone: strings.TrimSpace(f.Get("zone")), Reason: f.Get("reason")}
	if _, err := c.Watch.SetMute(r.Context(), who, wish); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		return c.mutesPage(w, r, who, status(err), wish, err)
	}
	return c.done(w, r, atMutes, "Tickets wait then.")
}

func (c *Console) removeMute(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchManage, "watch/mutes"); err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.RemoveMute(r.Context(), who, f.Get("name")); err != nil {
		return err
	}
	return c.done(w, r, atMutes, "Tickets are told then. What waited is told now.")
}
