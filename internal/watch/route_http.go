package watch

import (
	"cmp"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

type (
	routeWire struct {
		Name   string   `json:"name"`
		When   []string `json:"when"` // matchers; empty = any alarm
		People string   `json:"people"`
		By     []string `json:"by"`    // channels; empty = all
		Waits  []string `json:"waits"` // such as 5m; empty = the usual ones
	}
	routeGroupWire struct {
		Name   string   `json:"name"`
		Roles  []string `json:"roles"`
		People []string `json:"people"` // who would be told now
	}
	routesOut struct {
		Routes []routeWire      `json:"routes"`
		Groups []routeGroupWire `json:"groups"`
		Left   bool             `json:"left"` // alarms are left over, which go as without a route
	}
	levelWire struct {
		Level  int      `json:"level"`
		After  string   `json:"after"` // the level before; of the first, after the alarm fired
		People []string `json:"people"`
	}
	takenOut struct {
		Alarm     string      `json:"alarm,omitzero"`
		Rule      string      `json:"rule,omitzero"`
		Clause    string      `json:"clause,omitzero"`
		Component string      `json:"component,omitzero"`
		Severity  string      `json:"severity,omitzero"`
		Route     string      `json:"route"`           // empty: none takes it
		May       []string    `json:"may"`             // rows before it that might, by what is not known
		Nobody    string      `json:"nobody,omitzero"` // the route's group, in which nobody can be told now
		Times     string      `json:"times"`           // the severity whose times these are
		Levels    []levelWire `json:"levels"`
		Channels  []string    `json:"channels"`
		Again     string      `json:"again,omitzero"` // after the last level; empty: it is told once
	}
)

func handles(ps []Person) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, cmp.Or(p.Handle, p.ID))
	}
	return out
}

func clocks(ds []time.Duration) []string {
	out := []string{}
	for _, d := range ds {
		out = append(out, clock(d))
	}
	return out
}

func (s *Service) getRoutes(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.RoutesFor(r.Context(), who)
	if err != nil {
		return err
	}
	out := routesOut{Routes: []routeWire{}, Groups: []routeGroupWire{}, Left: all.Left}
	for _, x := range all.Routes {
		out.Routes = append(out.Routes, routeWire{x.Name, append([]string{}, x.When...), x.People, append([]string{}, x.By...), clocks(x.Waits)})
	}
	for _, g := range all.Groups {
		out.Groups = append(out.Groups, routeGroupWire{g.Name, g.Roles, handles(g.People)})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getRouteTest(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	t, err := s.TryRoute(r.Context(), who, RouteQuestion{Alarm: q.Get("alarm"), Rule: q.Get("rule"), Clause: q.Get("clause"), Component: q.Get("component"), Severity: q.Get("severity")})
	if err != nil {
		return err
	}
	out := takenOut{t.Alarm, t.Rule, t.Clause, t.Component, t.Severity, t.Route, append([]string{}, t.May...), t.Nobody, t.Times, []levelWire{}, append([]string{}, t.Channels...), ""}
	for i, l := range t.Levels {
		out.Levels = append(out.Levels, levelWire{i, clock(l.After), handles(l.People)})
	}
	if t.Again > 0 {
		out.Again = clock(t.Again)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
