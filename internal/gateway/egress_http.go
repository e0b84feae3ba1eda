package gateway

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// EgressState is what the way out says of itself.
type EgressState struct {
	Listen       string         `json:"listen,omitempty"` // "" = there is none
	Callers      []EgressCaller `json:"callers"`
	Open         int64          `json:"open"` // connections
	Destinations []Destination  `json:"destinations"`
	Moves        []Move         `json:"moves"` // of the last 90 days, the newest first
	Past         []Past         `json:"past"`  // what services reached when they tried to leave past the gate
}

// EgressNow is where the way out is, who is known there and how many are on it.
func (g *Gateway) EgressNow() EgressState {
	s := EgressState{Callers: g.out.Callers, Open: g.out.moves.open.Load()}
	if g.out.Listener != nil {
		s.Listen = g.out.Listener.Addr().String()
	}
	return s
}

func (g *Gateway) egressRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/api/v1/gateway/egress", Who: web.Staff, Tokens: true, Handle: g.showEgress,
			Doc: web.Doc{Summary: "The way out for private services: destinations, and who went or was refused", Tag: "gateway", Out: EgressState{}}},
		{Pattern: "POST /-/api/v1/gateway/egress/destinations", Who: web.Staff, Tokens: true, Handle: g.postDestination,
			Doc: web.Doc{Summary: "Let private services reach a name outside, for at most a year", Tag: "gateway", In: destinationWish{}, Out: Destination{}, Errors: []string{"name", "port", "reason", "until", "inside", "many", "listed", "denied"}}},
		{Pattern: "POST /-/api/v1/gateway/egress/past", Who: web.Staff, Tokens: true, Handle: g.postPast,
			Doc: web.Doc{Summary: "Tell what a private service reached when it tried to leave past the gate; with a token of the scope gateway:egress", Tag: "gateway", In: pastTold{}, Errors: []string{"service", "tried", "reached", "denied"}}},
		{Pattern: "DELETE /-/api/v1/gateway/egress/destinations/{id}", Who: web.Staff, Tokens: true, Handle: g.deleteDestination,
			Doc: web.Doc{Summary: "Take a destination off the list, by its id, its name or name:port", Tag: "gateway", Errors: []string{"no_row", "denied"}}},
	}
}

type destinationWish struct {
	Name   string    `json:"name"`
	Port   int       `json:"port,omitempty"` // 443 without
	Inside []string  `json:"inside,omitempty"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

func (g *Gateway) showEgress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.access.Allow(r.Context(), who, access.GateRead, "gateway/egress"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	s := g.EgressNow()
	var err error
	if s.Destinations, err = g.Destinations(r.Context()); err != nil {
		return err
	}
	if s.Moves, err = g.Moves(r.Context()); err != nil {
		return err
	}
	if s.Past, err = g.Pasts(r.Context()); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s)
}

func (g *Gateway) postDestination(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	wish, err := web.ReadJSON[destinationWish](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	d, err := g.ListDestination(r.Context(), who, Destination{Name: wish.Name, Port: wish.Port, Inside: wish.Inside, Reason: wish.Reason, Until: wish.Until})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, d)
}

func (g *Gateway) deleteDestination(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.RemoveDestination(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
