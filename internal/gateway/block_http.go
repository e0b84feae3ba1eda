package gateway

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/web"
)

// NetworkBlocked says that a network reaches nothing here for a while.
type NetworkBlocked struct {
	Network  string    `class:"public"` // not finer than /24, or /48 of IPv6; the row has all of it
	Bits     int       `class:"public"` // of the network itself
	Until    time.Time `class:"public"`
	Incident string    `class:"public"` // "" = none
	id       string
	reason   string
}

// About implements ledger.Event.
func (e NetworkBlocked) About() ledger.About {
	return ledger.About{Name: "gateway.network-blocked", Clause: breachResearch, Object: "block/" + e.id, Reason: e.reason}
}

// NetworkUnblocked says that such a network is let in again.
type NetworkUnblocked struct {
	Network string `class:"public"`
	How     string `class:"public"` // removed, replaced, or time is over
	id      string
}

// About implements ledger.Event.
func (e NetworkUnblocked) About() ledger.About {
	return ledger.About{Name: "gateway.network-unblocked", Clause: breachResearch, Object: "block/" + e.id}
}

type blocksOut struct {
	Blocks []Block `json:"blocks"`
}

type blockWish struct {
	Network  string    `json:"network"`
	Reason   string    `json:"reason"`
	Incident string    `json:"incident,omitempty"`
	Until    time.Time `json:"until"`
}

type unblockWish struct {
	Block string `json:"block"` // its id, or the network
}

func (g *Gateway) blockRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/api/v1/gateway/blocks", Who: web.Staff, Tokens: true, Handle: g.showBlocks,
			Doc: web.Doc{Summary: "Networks that are kept out, and those that were", Tag: "gateway", Out: blocksOut{}}},
		{Pattern: "POST /-/api/v1/gateway/blocks", Who: web.Staff, Tokens: true, Handle: g.postBlock,
			Doc: web.Doc{Summary: "Keep a network out, for at most a year; a block of the same network is replaced", Tag: "gateway", In: blockWish{}, Out: Block{}, Errors: []string{"network", "wide", "loopback", "proxy", "own", "reason", "incident", "until", "many", "denied"}}},
		{Pattern: "POST /-/api/v1/gateway/blocks/remove", Who: web.Staff, Tokens: true, Handle: g.postUnblock,
			Doc: web.Doc{Summary: "Let a network in again, by the id of its block or by its name", Tag: "gateway", In: unblockWish{}, Errors: []string{"no_row", "denied"}}},
	}
}

func (g *Gateway) showBlocks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.access.Allow(r.Context(), who, access.GateRead, "gateway/blocks"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	all, err := g.Blocks(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, blocksOut{append([]Block{}, all...)})
}

func (g *Gateway) postBlock(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.access.Allow(r.Context(), who, access.GateMaintain, "gateway/blocks"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	wish, err := web.ReadJSON[blockWish](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	b, err := g.BlockNetwork(r.Context(), who, Block{Network: wish.Network, Reason: wish.Reason, Incident: wish.Incident, Until: wish.Until}, web.RemoteIP(r))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, b)
}

func (g *Gateway) postUnblock(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := g.access.Allow(r.Context(), who, access.GateMaintain, "gateway/blocks"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	wish, err := web.ReadJSON[unblockWish](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	if err := g.Unblock(r.Context(), who, wish.Block); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
