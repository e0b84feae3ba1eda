package gateway

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// WAFState is what the rules that look for attacks say of themselves.
type WAFState struct {
	Mode       string         `json:"mode"`
	Paranoia   int            `json:"paranoia"`
	Ready      bool           `json:"ready"`    // the rules are loaded
	Unlooked   int64          `json:"unlooked"` // bodies that were too large to be looked at and passed, since the start
	Finds      []Find         `json:"finds"`
	Exceptions []WAFException `json:"exceptions"`
}

// WAFNow is the mode in force and whether the rules are loaded.
func (g *Gateway) WAFNow() WAFState {
	s := WAFState{Mode: g.watch.Mode, Paranoia: g.watch.Paranoia, Unlooked: g.watch.unlooked.Load()}
	if s.Mode == "" {
		s.Mode = WAFOff
	}
	select {
	case <-g.watch.ready:
		s.Ready = g.watch.broken == nil
	default:
	}
	return s
}

func (g *Gateway) wafRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/api/v1/gateway/waf", Who: web.Staff, Tokens: true, Handle: g.showWAF,
			Doc: web.Doc{Summary: "What the rules that look for attacks found, and the exceptions from them", Tag: "gateway", Out: WAFState{}}},
		{Pattern: "POST /-/api/v1/gateway/waf/exceptions", Who: web.Staff, Tokens: true, Handle: g.postException,
			Doc: web.Doc{Summary: "Except one field of one route from some rules, for at most 90 days", Tag: "gateway", In: exceptionWish{}, Out: WAFException{}, Errors: []string{"rules", "field", "reason", "until", "route", "waf_off", "denied"}}},
		{Pattern: "DELETE /-/api/v1/gateway/waf/exceptions/{id}", Who: web.Staff, Tokens: true, Handle: g.deleteException,
			Doc: web.Doc{Summary: "End an exception", Tag: "gateway", Errors: []string{"no_row", "denied"}}},
	}
}

type exceptionWish struct {
	Rules  []int     `json:"rules"`
	Route  string    `json:"route"`
	Field  string    `json:"field"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

func (g *Gateway) showWAF(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.access.Allow(r.Context(), who, access.GateRead, "gateway/waf"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	s := g.WAFNow()
	var err error
	if s.Finds, err = g.Finds(r.Context()); err != nil {
		return err
	}
	if s.Exceptions, err = g.WAFExceptions(r.Context()); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s)
}

func (g *Gateway) postException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	wish, err := web.ReadJSON[exceptionWish](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	x, err := g.Except(r.Context(), who, WAFException{Rules: wish.Rules, Route: wish.Route, Field: wish.Field, Reason: wish.Reason, Until: wish.Until})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, x)
}

func (g *Gateway) deleteException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.EndException(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
