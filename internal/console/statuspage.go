package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	page "writ/internal/incident/status"
	"writ/internal/incident/wording"
	"writ/internal/web"
)

const atStatus = "/-/console/status"

// statusRoutes are what staff do with the public page: its parts and its maintenance.
func (c *Console) statusRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/status", access.IncidentRead, atStatus, c.showStatus),
		staff("POST /-/console/status/parts", access.IncidentAct, atStatus, c.onStatus("It is shown.", c.addPart)),
		staff("POST /-/console/status/parts/state", access.IncidentAct, atStatus, c.onStatus("The page says so.", c.setPart)),
		staff("POST /-/console/status/parts/retire", access.IncidentAct, atStatus, c.onStatus("It is shown no more.", c.retirePart)),
		staff("POST /-/console/status/parts/covers", access.WatchManage, atStatus, c.onStatus("It is noted.", c.coverPart)),
		staff("POST /-/console/status/windows", access.IncidentAct, atStatus, c.onStatus("It is announced.", c.planWindow)),
		staff("POST /-/console/status/windows/begin", access.IncidentAct, atStatus, c.onStatus("It may begin.", c.beginWindow)),
		staff("POST /-/console/status/windows/extend", access.IncidentAct, atStatus, c.onStatus("It ends at that time.", c.extendWindow)),
		staff("POST /-/console/status/windows/end", access.IncidentAct, atStatus, c.onStatus("It is over.", c.endWindow)),
	}
}

func (c *Console) showStatus(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.statusPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) statusPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed url.Values, failed error) error {
	x, err := c.Status.Sum(r, who)
	if err != nil {
		return err
	}
	parts := web.Table{Caption: "Parts of the service", Columns: []web.Column{{Name: "Part"}, {Name: "How it is"}, {Name: "Since"}, {Name: "Stands on"}}, Empty: web.Empty{Says: "No parts are listed yet."}}
	var each, states []web.Option
	for _, y := range x.Components {
		each = append(each, web.Option{Value: y.ID, Text: y.Name})
		parts.Rows = append(parts.Rows, web.Row{Cells: []web.Cell{{Text: y.Name, Sub: y.Group}, {Text: page.Word(y.State)}, {At: y.Since}, {Text: strings.Join(y.Covers, " "), Code: true}}})
	}
	for _, s := range page.States() {
		states = append(states, web.Option{Value: s, Text: page.Word(s)})
	}
	plans := web.Table{Caption: "Maintenance", Columns: []web.Column{{Name: "What"}, {Name: "State"}, {Name: "Begins"}, {Name: "Ends"}, {Name: "Gate"}}, Empty: web.Empty{Says: "No maintenance is announced."}}
	var open, unsaid []web.Option
	for i := range x.Windows {
		y := &x.Windows[i]
		o := web.Option{Value: y.ID, Text: y.Title}
		open = append(open, o)
		m := web.Mark{State: web.ByRecord, Word: page.Word(y.State)}
		if y.State == page.Scheduled && y.Confirmed.IsZero() && c.Status.Asks {
			unsaid = append(unsaid, o)
		}
		if y.Waits(c.Now()) {
			m = web.Mark{State: web.StaleNow, Word: "waits for a word"}
		}
		gate := "stays as it is"
		if y.Closes {
			gate = "closes"
		}
		plans.Rows = append(plans.Rows, web.Row{Cells: []web.Cell{{Text: y.Title, Href: page.At + "#maintenance"}, {Mark: &m}, {At: y.Starts}, {At: y.Ends}, {Text: gate}}})
	}
	p := watchPage{Acts: []web.Link{{Text: "The page", Href: page.At}, {Text: "Texts of notices", Href: atTexts}}, Tables: []web.Table{plans, parts}}
	if c.Access.May(who, access.IncidentAct) {
		one := func(label string, os []web.Option) web.Field {
			return web.Field{Name: "of", Label: label, Type: "select", Required: true, Options: os}
		}
		ends := web.Field{Name: "lasts", Label: "From now, it lasts how many minutes", Mode: "numeric", Required: true, Max: 5, Complete: "off"}
		if len(unsaid) > 0 {
			p.Forms = append(p.Forms, web.Form{Part: "begin", Action: atStatus + "/windows/begin", Act: "It may begin", Fields: []web.Field{one("Maintenance that waits for a word", unsaid)}})
		}
		begins, err := c.Incidents.TextVersions(r.Context(), who, wording.Maintenance, wording.Scheduled)
		if err != nil {
			return err
		}
		plan := web.Form{Part: "plan", Fold: "Announce maintenance", Action: atStatus + "/windows", Act: "Announce it", Quiet: true, Fields: []web.Field{
			{Name: "title", Label: "What is done", Required: true, Max: 120, Complete: "off", Hint: "The public reads it, and subscribers are told at once."},
			{Name: "body", Label: "What it means for those who use the service", Type: "textarea", Rows: 3, Max: 4000, Value: begins[0].Body, Hint: "{starts:time} and {parts:components} are filled when it is announced."},
			{Name: "starts", Label: "It begins in how many minutes", Mode: "numeric", Required: true, Max: 6, Complete: "off"},
			{Name: "lasts", Label: "It lasts how many minutes", Mode: "numeric", Required: true, Max: 5, Complete: "off"},
			{Name: "of", Label: "Which part it touches", Type: "select", Options: append([]web.Option{{Value: "", Text: "None of those listed"}}, each...)}}}
		if c.Access.May(who, access.GateMaintain) {
			plan.Fields = append(plan.Fields, web.Field{Name: "closes", Label: "Nobody gets to the application while it lasts", Type: "checkbox"})
		}
		p.Last = append(p.Last, plan)
		if len(open) > 0 {
			p.Last = append(p.Last, web.Form{Part: "extend", Fold: "Give maintenance another end", Action: atStatus + "/windows/extend", Act: "Give it another end", Quiet: true, Fields: []web.Field{one("Maintenance", open), ends}},
				web.Form{Part: "end", Fold: "Complete maintenance, or take it back", Action: atStatus + "/windows/end", Act: "Complete it, or take it back", Quiet: true, Fields: []web.Field{one("Maintenance", open)}})
		}
		p.Last = append(p.Last, web.Form{Part: "add", Fold: "Show another part", Action: atStatus + "/parts", Act: "Show this part", Quiet: true, Fields: []web.Field{{Name: "name", Label: "Name of the part", Required: true, Max: 60, Complete: "off"}, {Name: "group", Label: "Group", Max: 60, Complete: "off"}}})
		if len(each) > 0 {
			p.Last = append(p.Last, web.Form{Part: "state", Fold: "Say how a part is", Action: atStatus + "/parts/state", Act: "Say how it is", Quiet: true, Fields: []web.Field{one("Part", each), {Name: "state", Label: "How it is", Type: "select", Options: states}}},
				web.Form{Part: "retire", Fold: "Show a part no more", Action: atStatus + "/parts/retire", Act: "Show it no more", Quiet: true, Fields: []web.Field{one("Part", each)}})
			if c.Access.May(who, access.WatchManage) {
				p.Last = append(p.Last, web.Form{Part: "covers", Fold: "Say what a part stands on", Action: atStatus + "/parts/covers", Act: "It stands on these", Quiet: true, Fields: []web.Field{one("Part", each), {Name: "on", Label: "Instances of alarms", Max: 2000, Complete: "off", Hint: "Such as upstream/unzoned, with spaces between. Alarms of load and traffic about them are no news while maintenance of the part is under way."}}})
			}
		}
	}
	failed = again(r, typed, failed, slices.Concat(allOf(p.Forms), allOf(p.Last)))
	lead := x.Says + ". " + web.Count(x.Subscribers.Addresses+x.Subscribers.Hooks, "subscriber") + "."
	return c.answer(w, r, st, "watch", web.View{Title: "Status page", Lead: lead, Up: &web.Link{Text: "Incidents", Href: atIncidents}, Fault: failed, Data: p})
}

// onStatus does one act of a form, and shows the page with what was wrong in that form.
func (c *Console) onStatus(says string, act func(*http.Request, actor.Actor, statusForm) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		err = act(r, who, statusForm{f.Get, c.Now()})
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Conflict {
			return c.statusPage(w, r, who, k.Status(), f, err)
		}
		if err != nil {
			return err
		}
		return c.done(w, r, atStatus, says)
	}
}

// statusForm is what was typed.
type statusForm struct {
	get func(string) string
	now time.Time
}

// after is so many minutes, as typed in a field; the zero time where that is no number.
func (f statusForm) after(t time.Time, field string) time.Time {
	n, err := strconv.Atoi(strings.TrimSpace(f.get(field)))
	if err != nil || n < 1 || n > 600_000 {
		return time.Time{}
	}
	return t.Add(time.Duration(n) * time.Minute)
}

func (c *Console) addPart(r *http.Request, who actor.Actor, f statusForm) error {
	_, err := c.Status.Add(r.Context(), who, f.get("name"), f.get("group"))
	return err
}

func (c *Console) setPart(r *http.Request, who actor.Actor, f statusForm) error {
	return c.Status.Set(r.Context(), who, f.get("of"), f.get("state"))
}

func (c *Console) retirePart(r *http.Request, who actor.Actor, f statusForm) error {
	return c.Status.Retire(r.Context(), who, f.get("of"))
}

func (c *Console) coverPart(r *http.Request, who actor.Actor, f statusForm) error {
	return c.Status.Cover(r.Context(), who, f.get("of"), strings.Fields(f.get("on")))
}

func (c *Console) planWindow(r *http.Request, who actor.Actor, f statusForm) error {
	x := page.Window{Title: f.get("title"), Body: f.get("body"), Closes: f.get("closes") != "", Starts: f.after(f.now, "starts"), Touched: slices.DeleteFunc([]string{f.get("of")}, func(v string) bool { return v == "" })}
	x.Ends = f.after(x.Starts, "lasts")
	_, err := c.Status.Schedule(r.Context(), who, x)
	return err
}

func (c *Console) beginWindow(r *http.Request, who actor.Actor, f statusForm) error {
	return c.Status.Begin(r.Context(), who, f.get("of"))
}

func (c *Console) extendWindow(r *http.Request, who actor.Actor, f statusForm) error {
	_, err := c.Status.Extend(r.Context(), who, f.get("of"), f.after(f.now, "lasts"))
	return err
}

func (c *Console) endWindow(r *http.Request, who actor.Actor, f statusForm) error {
	return c.Status.End(r.Context(), who, f.get("of"))
}
