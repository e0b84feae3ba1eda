package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/notify"
	"writ/internal/watch"
	"writ/internal/web"
)

const atRoutes = atWatch + "/routes"

type routesPage struct {
	Acts   []web.Link
	Routes web.Table
	Groups *web.Table // nil: there are none
	Try    web.Table
}

// showRoutes are the routes in force in words, and a form that says what becomes of an alarm.
func (c *Console) showRoutes(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Watch.RoutesFor(r.Context(), who)
	if err != nil {
		return err
	}
	rules, err := c.Watch.RulesFor(r.Context(), who)
	if err != nil {
		return err
	}
	p := routesPage{Acts: []web.Link{{Text: "The clause", Href: "/-/console/clauses/mon.notify"}}, Routes: routeTable(&all), Groups: c.groupTable(r.Context(), &all)}
	if c.Access.May(who, access.PolicyPropose) {
		for _, name := range []string{"routes", "groups"} {
			p.Acts = append(p.Acts, web.Link{Text: "Change the " + name, Href: "/-/console/propose?param=" + url.QueryEscape("mon.notify/"+name)})
		}
	}
	v := web.View{Title: "Routes", Lead: "Which alarms go to whom. The first row that takes an alarm decides. The table is part of the policy: it changes by a revision that owners sign.", Up: &web.Link{Text: "Alarms", Href: atWatch}}
	q := watch.RouteQuestion{Rule: strings.TrimSpace(r.URL.Query().Get("rule")), Alarm: strings.TrimSpace(r.URL.Query().Get("alarm"))}
	p.Try = web.Table{Columns: []web.Column{{Name: "When"}, {Name: "Told"}, {Name: "By"}}, Filter: tryFilter(rules, q.Rule),
		Empty: web.Empty{Says: "Choose a rule: here stands who would be told now of an alarm of it, and when again. Nobody is told anything."}}
	st := http.StatusOK
	if q != (watch.RouteQuestion{}) {
		t, err := c.Watch.TryRoute(r.Context(), who, q)
		switch {
		case err == nil:
			c.taken(r.Context(), &p.Try, &t)
		case !formed(err):
			return err
		default:
			_, pub := fault.PublicOf(err)
			st, p.Try.Empty = status(err), web.Empty{Says: strings.Join(trimmed(pub.Problem, pub.Expected), " ")}
		}
	}
	v.Data = p
	return c.answer(w, r, st, "routes", v)
}

func tryFilter(rules []watch.Standing, chosen string) *web.Filter {
	f := web.Field{Name: "rule", Label: "An alarm of the rule", Type: "select"}
	for i := range rules {
		f.Options = append(f.Options, web.Option{Value: rules[i].ID, Text: rules[i].Title + " (" + rules[i].ID + ")", Chosen: rules[i].ID == chosen})
	}
	return &web.Filter{Action: atRoutes + "#try", Act: "Who would be told", Fields: []web.Field{f}}
}

func routeTable(all *watch.Routing) web.Table {
	t := web.Table{Caption: "Routes in force", Columns: []web.Column{{Name: "Row"}, {Name: "Takes"}, {Name: "Tells"}, {Name: "By"}, {Name: "Again"}}}
	for i := range all.Routes {
		x := &all.Routes[i]
		by, again := "every channel", "as usual"
		if len(x.By) > 0 {
			by = strings.Join(x.By, ", ")
		}
		if len(x.Waits) > 0 {
			again = waitsText(x.Waits)
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: x.Name}, {Text: whenText(x.When)}, {Text: tellsText(x.People)}, {Text: by}, {Text: again}}})
	}
	if !all.Left {
		t.Count = "Nothing is left over: the last row takes every other alarm."
		return t
	}
	takes := "what no row above takes"
	if len(all.Routes) == 0 {
		takes = "every alarm, for the policy has no routes"
	}
	var usual []string
	for _, s := range []string{notify.Page, notify.Ticket} {
		usual = append(usual, "a "+s+" "+waitsText(all.Usual[s]))
	}
	t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: "All others"}, {Text: takes}, {Text: tellsText("rota")}, {Text: "every channel"}, {Text: strings.Join(usual, "; ")}}})
	return t
}

// whenText says in words what a row asks of an alarm.
func whenText(ms []string) string {
	if len(ms) == 0 {
		return "every alarm"
	}
	var out []string
	for _, m := range ms {
		name, v, _ := strings.Cut(m, "=")
		if like, ok := strings.CutPrefix(v, "~"); ok {
			out = append(out, name+" like "+like)
		} else {
			out = append(out, name+" "+v)
		}
	}
	return strings.Join(out, ", ")
}

func tellsText(people string) string {
	switch people {
	case "rota":
		return "whose turn it is, and more people until somebody acknowledges"
	case "second":
		return "whose turn it is and the second at once, then the owners"
	case "everybody":
		return "everybody who is told of alarms, at once"
	}
	return "the group " + people + ", and until somebody acknowledges those too who are told without a route"
}

func waitsText(ds []time.Duration) string {
	var out []string
	for i, d := range ds {
		s := web.Duration(d)
		if i == len(ds)-1 {
			s = "every " + s
		}
		out = append(out, s)
	}
	return "after " + strings.Join(out, ", then ")
}

// groupTable lists the groups with who of each would be told now; nil where there are none.
func (c *Console) groupTable(ctx context.Context, all *watch.Routing) *web.Table {
	if len(all.Groups) == 0 {
		return nil
	}
	t := web.Table{Caption: "Groups", Columns: []web.Column{{Name: "Group"}, {Name: "Roles"}, {Name: "Told now"}}}
	for _, g := range all.Groups {
		told := web.Cell{Text: c.namesOf(ctx, g.People)}
		if len(g.People) == 0 {
			told = web.Cell{Mark: &web.Mark{State: web.Broken, Word: "nobody can be told"}, Sub: "its alarms go as without a route"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: g.Name}, {Text: strings.Join(g.Roles, ", ")}, told}})
	}
	return &t
}

func (c *Console) namesOf(ctx context.Context, people []watch.Person) string {
	var out []string
	for _, p := range people {
		out = append(out, c.Identity.Name(ctx, p.ID))
	}
	return strings.Join(out, ", ")
}

// taken shows what would become of an alarm.
func (c *Console) taken(ctx context.Context, into *web.Table, t *watch.Taken) {
	into.Caption = "The row " + t.Route + " takes it"
	switch {
	case t.Nobody != "":
		into.Caption += ", but in its group " + t.Nobody + " nobody can be told now: it goes as without a route"
	case t.Route == "":
		into.Caption = "No row takes it"
	}
	for i, l := range t.Levels {
		when := "At once"
		if i > 0 {
			when = "After " + web.Duration(l.After) + " more"
		} else if l.After > 0 {
			when = "After " + web.Duration(l.After)
		}
		told := web.Cell{Text: c.namesOf(ctx, l.People)}
		if len(l.People) == 0 {
			told = web.Cell{Mark: &web.Mark{State: web.Broken, Word: "nobody can be told"}}
		}
		into.Rows = append(into.Rows, web.Row{Cells: []web.Cell{{Text: when}, told, {Text: strings.Join(t.Channels, ", ")}}})
	}
	into.Count = "It is told once."
	if t.Again > 0 {
		into.Count = "Then again every " + web.Duration(t.Again) + ", until somebody acknowledges."
	}
	if len(t.May) > 0 {
		into.Count += " Before that, by what the alarm brings: " + strings.Join(t.May, ", ") + "."
	}
	into.Count += " Silences, hours without tickets and maintenance are not looked at here."
}
