package gateway

import (
	"net/http"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/gateway/cache"
	"writ/internal/gateway/pool"
	"writ/internal/web"
)

// Routes are the gate's own pages and endpoints.
func (g *Gateway) Routes() []web.Route {
	jwks := g.JWKS()
	return append(append(append(g.wafRoutes(), g.egressRoutes()...), g.blockRoutes()...), []web.Route{
		{Pattern: "GET /-/jwks", Who: web.Anyone, Handle: func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
			jwks.ServeHTTP(w, r)
			return nil
		}},
		{Pattern: "GET /-/maintenance", Who: web.Anyone, Handle: g.showMaintenance},
		{Pattern: "GET /-/api/v1/gateway", Who: web.Staff, Tokens: true, Handle: g.show,
			Doc: web.Doc{Summary: "Mode, routes and steps of the gate", Tag: "gateway", Out: State{}}},
		{Pattern: "PUT /-/api/v1/gateway/mode", Who: web.Staff, Tokens: true, Handle: g.putMode,
			Doc: web.Doc{Summary: "Close the gate to writes or to all, open it to a share of the teams, or to all", Tag: "gateway", In: modeWish{}, Out: State{}, Errors: []string{"mode", "share", "denied"}}},
		{Pattern: "POST /-/api/v1/gateway/cache/purge", Who: web.Staff, Tokens: true, Handle: g.purge,
			Doc: web.Doc{Summary: "Forget cached files by path, by tag, or all", Tag: "gateway", In: purgeWish{}, Out: purgeDone{}, Errors: []string{"purge", "denied"}}},
		{Pattern: "POST /-/api/v1/gateway/reload", Who: web.Staff, Tokens: true, Handle: g.reload,
			Doc: web.Doc{Summary: "Read routes.yaml and the descriptions of the interface again now", Tag: "gateway", Out: State{}, Errors: []string{"routes", "description", "denied"}}},
		{Pattern: "GET /-/api/v1/gateway/explain", Who: web.Staff, Tokens: true, Handle: g.explain,
			Doc: web.Doc{Summary: "Say step by step whether a request would be let through", Tag: "gateway", Query: []string{"method", "path", "as", "role", "scope"}, Out: Explanation{}, Errors: []string{"explain_path", "explain_caller", "denied"}}},
	}...)
}

// State is what the gate says of itself.
type State struct {
	Mode       string       `json:"mode"`
	Share      int          `json:"share,omitempty"` // per cent of the teams, when staged
	Since      time.Time    `json:"since"`
	Until      time.Time    `json:"until,omitzero"` // announced end, where something holds it closed for a time
	UnderWay   int          `json:"under_way"`      // requests that the application is at work on
	Upstream   string       `json:"upstream"`
	Steps      []Step       `json:"steps"`
	Table      Table        `json:"table"`
	Limits     LimitState   `json:"limits"`
	Described  *Description `json:"description,omitempty"`
	Operations []Operation  `json:"operations,omitempty"`

	Upstreams []pool.State `json:"upstreams"`

	Cache     []CacheClass `json:"cache"`
	CacheUsed int64        `json:"cache_used"` // bytes
	CacheMost int64        `json:"cache_most"`
}

// Step is one decision on a request's way, and the clause it upholds.
type Step struct {
	Name   string `json:"name"`
	Clause string `json:"clause,omitempty"`
}

// State returns mode, steps and routes in force.
func (g *Gateway) State() State {
	s := State{Table: g.Table(), Upstreams: g.pool.States(), Cache: g.CacheClasses(), UnderWay: g.UnderWay(), Limits: g.limits.state(), Described: g.Description(), Operations: g.operations()}
	s.CacheUsed, s.CacheMost = g.cache.Room()
	for _, u := range s.Upstreams {
		s.Upstream = strings.TrimPrefix(s.Upstream+", "+u.URL, ", ")
	}
	if m := g.mode.Load(); m != nil {
		s.Mode, s.Share, s.Since, s.Until = m.mode, m.share, m.since, m.until
	}
	for _, st := range g.steps {
		s.Steps = append(s.Steps, Step{st.name, st.clause})
	}
	return s
}

type modeWish struct {
	Mode   string `json:"mode"`
	Share  int    `json:"share,omitempty"`
	Reason string `json:"reason"`
}

func (g *Gateway) showMaintenance(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	switch mode, _ := g.Mode(); mode {
	case Normal, Frozen:
	case Staged:
		return refuseStaged.err
	default:
		return g.mode.Load().comeBack(refuseMaintenance, g.now())
	}
	return web.Redirect(w, r, "/")
}

func (g *Gateway) show(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.access.Allow(r.Context(), who, access.GateRead, "gateway/state"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	return web.WriteJSON(w, http.StatusOK, g.State())
}

func (g *Gateway) explain(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	e, err := g.Explain(r.Context(), who, Question{Method: q.Get("method"), Path: q.Get("path"), Person: q.Get("as"), Role: q.Get("role"), Scopes: q["scope"]})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, e)
}

func (g *Gateway) putMode(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	wish, err := web.ReadJSON[modeWish](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	if err := g.SetMode(r.Context(), who, Wish{Mode: wish.Mode, Share: wish.Share, Reason: wish.Reason}); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, g.State())
}

func (g *Gateway) reload(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.Reload(r.Context(), who); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, g.State())
}

type purgeWish struct {
	cache.Wish
	Reason string `json:"reason,omitempty"`
}

type purgeDone struct {
	Purged int `json:"purged"` // on this node
}

func (g *Gateway) purge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	wish, err := web.ReadJSON[purgeWish](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	n, err := g.Purge(r.Context(), who, wish.Wish, wish.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, purgeDone{n})
}
