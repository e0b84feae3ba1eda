package status

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// API is what staff do with the page: its components and its maintenance.
func (s *Service) API() []web.Route {
	const v1 = "/-/api/v1/status"
	return []web.Route{
		{Pattern: "GET " + v1, Who: web.Staff, Handle: s.getPage, Doc: web.Doc{Summary: "Components and maintenance of the status page, and how many are told of updates", Out: pageOut{}}},
		{Pattern: "POST " + v1 + "/components", Who: web.Staff, Handle: s.postComponent, Doc: web.Doc{Summary: "Show a component", In: componentIn{}, Out: componentOut{}, Status: http.StatusCreated, Errors: []string{"component_name", "component_group"}}},
		{Pattern: "PUT " + v1 + "/components/{id}", Who: web.Staff, Handle: s.putComponent, Doc: web.Doc{Summary: "Say how a component is", In: stateIn{}, Errors: []string{"component_unknown", "component_state"}}},
		{Pattern: "DELETE " + v1 + "/components/{id}", Who: web.Staff, Handle: s.deleteComponent, Doc: web.Doc{Summary: "Show a component no more", Errors: []string{"component_unknown"}}},
		{Pattern: "GET " + v1 + "/subscribers", Who: web.Staff, Handle: s.getSubscribers, Doc: web.Doc{Summary: "Who is told of updates, shortened, a hundred at a time", Out: subscribersOut{}}},
		{Pattern: "DELETE " + v1 + "/subscribers/{id}", Who: web.Staff, Handle: s.deleteSubscriber, Doc: web.Doc{Summary: "End a subscription, with a reason", In: removeIn{}, Errors: []string{"subscriber_unknown", "reason"}}},
		{Pattern: "POST " + v1 + "/export", Who: web.Staff, Handle: s.postExport, Doc: web.Doc{Summary: "Make a copy of the page now", Out: takenOut{}}},
		{Pattern: "POST " + v1 + "/windows", Who: web.Staff, Handle: s.postWindow, Doc: web.Doc{Summary: "Announce maintenance", In: windowIn{}, Out: windowOut{}, Status: http.StatusCreated, Errors: []string{"window_title", "window_body", "window_starts", "window_overlap", "window_closes", "component_unknown"}}},
		{Pattern: "PUT " + v1 + "/windows/{id}", Who: web.Staff, Handle: s.putWindow, Doc: web.Doc{Summary: "Give maintenance another end", In: endsIn{}, Out: windowOut{}, Errors: []string{"window_unknown", "window_ends", "window_over", "window_overlap"}}},
		{Pattern: "PUT " + v1 + "/components/{id}/covers", Who: web.Staff, Handle: s.putCovers, Doc: web.Doc{Summary: "Say what a component stands on, as alarms name it: they are no news in its maintenance", In: coversIn{}, Errors: []string{"component_unknown", "component_covers"}}},
		{Pattern: "POST " + v1 + "/windows/{id}/begin", Who: web.Staff, Handle: s.postBegin, Doc: web.Doc{Summary: "Say that maintenance may begin", Errors: []string{"window_unknown", "window_early", "window_confirmed"}}},
		{Pattern: "DELETE " + v1 + "/windows/{id}", Who: web.Staff, Handle: s.deleteWindow, Doc: web.Doc{Summary: "Complete maintenance now, or take it back", Errors: []string{"window_over"}}},
	}
}

type (
	componentIn struct {
		Name  string `json:"name"`
		Group string `json:"group,omitempty"`
	}
	componentOut struct {
		ID     string    `json:"id"`
		Name   string    `json:"name"`
		Group  string    `json:"group,omitempty"`
		State  string    `json:"state"`
		Since  time.Time `json:"since"`
		Covers []string  `json:"covers,omitempty"`
	}
	stateIn struct {
		State string `json:"state"`
	}
	windowIn struct {
		Title      string    `json:"title"`
		Body       string    `json:"body,omitempty"`
		Components []string  `json:"components,omitempty"`
		Starts     time.Time `json:"starts"`
		Ends       time.Time `json:"ends"`
		Closes     bool      `json:"closes,omitempty"` // the gate, while it lasts
	}
	coversIn struct {
		Covers []string `json:"covers"`
	}
	endsIn struct {
		Ends time.Time `json:"ends"`
	}
	windowOut struct {
		ID         string    `json:"id"`
		Title      string    `json:"title"`
		State      string    `json:"state"`
		Components []string  `json:"components"`
		Starts     time.Time `json:"starts"`
		Ends       time.Time `json:"ends"`
		Closes     bool      `json:"closes"` // the gate
		Waits      bool      `json:"waits"`  // it is due, and waits for a person's word
	}
	pageOut struct {
		URL         string         `json:"url"`
		Says        string         `json:"says"`
		Components  []componentOut `json:"components"`
		Windows     []windowOut    `json:"windows"`
		Subscribers int64          `json:"subscribers"`           // addresses and webhooks
		Webhooks    int64          `json:"webhooks"`              // of them
		Suspended   int64          `json:"suspended"`             // refused too many messages, and are told nothing
		Waiting     int64          `json:"waiting"`               // notices to them that are not sent yet
		WaitsSince  *time.Time     `json:"waits_since,omitempty"` // the oldest of those
		Exported    *time.Time     `json:"exported,omitempty"`
		Promises    promisesOut    `json:"promises"`
	}
	promisesOut struct { // when service returns, in incidents that have ended
		Given  int     `json:"given"`
		Kept   int     `json:"kept"`
		Median float64 `json:"median_minutes"` // by how much they were off, either way
	}
)

func wireOf(c Component) componentOut {
	return componentOut{c.ID, c.Name, c.Group, c.State, c.Since, c.Covers}
}

func windowOf(w Window, now time.Time) windowOut {
	return windowOut{w.ID, w.Title, w.State, append([]string{}, w.Touched...), w.Starts, w.Ends, w.Closes, w.Waits(now)}
}

// Summary is the page for staff.
type Summary struct {
	Says        string
	Components  []Component
	Windows     []Window
	Subscribers Audience
	Exported    time.Time
	Kept        Kept
}

// Sum tells it, for who may read incidents.
func (s *Service) Sum(r *http.Request, who actor.Actor) (Summary, error) {
	if err := s.Access.Allow(r.Context(), who, access.IncidentRead, ""); err != nil {
		return Summary{}, err
	}
	out := Summary{Exported: s.Exported()}
	var err error
	if out.Components, err = s.Components(r.Context()); err != nil {
		return Summary{}, err
	}
	if out.Windows, err = s.Windows(r.Context()); err != nil {
		return Summary{}, err
	}
	if x := s.shown.Load(); x != nil {
		out.Says = x.world.Says()
	}
	if out.Kept, err = s.Kept(r.Context()); err != nil {
		return Summary{}, err
	}
	out.Subscribers, err = s.Subscribers(r.Context())
	return out, err
}

func (s *Service) getPage(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	x, err := s.Sum(r, who)
	if err != nil {
		return err
	}
	out := pageOut{URL: s.Origin + At, Says: x.Says, Components: []componentOut{}, Windows: []windowOut{}, Subscribers: x.Subscribers.Addresses + x.Subscribers.Hooks, Webhooks: x.Subscribers.Hooks, Suspended: x.Subscribers.Suspended, Waiting: x.Subscribers.Waiting, WaitsSince: known(x.Subscribers.Since), Exported: known(x.Exported), Promises: promisesOut{x.Kept.Given, x.Kept.Kept, x.Kept.Median.Minutes()}}
	for _, c := range x.Components {
		out.Components = append(out.Components, wireOf(c))
	}
	for _, y := range x.Windows {
		out.Windows = append(out.Windows, windowOf(y, s.Now()))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postComponent(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[componentIn](r)
	if err != nil {
		return err
	}
	c, err := s.Add(r.Context(), who, in.Name, in.Group)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireOf(c))
}

func (s *Service) putComponent(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[stateIn](r)
	if err != nil {
		return err
	}
	if err := s.Set(r.Context(), who, r.PathValue("id"), in.State); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) deleteComponent(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Retire(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postWindow(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[windowIn](r)
	if err != nil {
		return err
	}
	x, err := s.Schedule(r.Context(), who, Window{Title: in.Title, Body: in.Body, Touched: in.Components, Starts: in.Starts, Ends: in.Ends, Closes: in.Closes})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, windowOf(x, s.Now()))
}

func (s *Service) putWindow(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[endsIn](r)
	if err != nil {
		return err
	}
	x, err := s.Extend(r.Context(), who, r.PathValue("id"), in.Ends)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, windowOf(x, s.Now()))
}

func (s *Service) deleteWindow(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.End(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postBegin(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Begin(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) putCovers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[coversIn](r)
	if err != nil {
		return err
	}
	if err := s.Cover(r.Context(), who, r.PathValue("id"), in.Covers); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
