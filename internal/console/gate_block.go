package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/web"
)

const atBlocks = atGate + "/blocks"

func (c *Console) blockRoutes(staff func(pattern string, need access.Action, at string, h web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/gate/blocks", access.GateRead, atGate, c.showBlocks),
		staff("GET /-/console/gate/blocks/new", access.GateMaintain, atGate, c.newBlock),
		staff("POST /-/console/gate/blocks/new", access.GateMaintain, atGate, c.blockNetwork),
		staff("POST /-/console/gate/blocks/remove", access.GateMaintain, atGate, c.unblock),
	}
}

// showBlocks lists the networks that are kept out, and those that were.
func (c *Console) showBlocks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Gateway.Blocks(r.Context())
	if err != nil {
		return err
	}
	p := findsPage{Tables: []web.Table{c.blockTable(r, all)}}
	if c.Access.May(who, access.GateMaintain) {
		p.Facts = []fact{{Name: "Another network", Text: "block one", Href: atBlocks + "/new"}}
		if live := c.liveBlocks(all); len(live) > 0 {
			p.Form = &web.Form{Action: atBlocks + "/remove", Act: "Let it in again", Quiet: true, Fields: []web.Field{{Name: "block", Label: "Network to let in again", Type: "select", Options: live}}}
		}
	}
	return c.show(w, r, "finds", web.View{Title: "Blocked networks", Lead: "Requests from these networks reach neither the application nor a page of this server. This machine itself is never kept out.", Up: &web.Link{Text: "Gate", Href: atGate}, Data: p})
}

func (c *Console) blockTable(r *http.Request, all []gateway.Block) web.Table {
	t := web.Table{Caption: "Networks", Columns: []web.Column{{Name: "Network"}, {Name: "Reason"}, {Name: "Incident"}, {Name: "State"}}, Empty: web.Empty{Says: "No network is blocked."}}
	for _, b := range all {
		state := web.Mark{State: web.StaleNow, Word: "blocked until " + day(b.Until)}
		if !c.blocks(b) {
			state = web.Mark{State: web.Unproved, Word: "let in again"}
		}
		incident := web.Cell{Text: "–"}
		if b.Incident != "" {
			incident = web.Cell{Text: b.Incident, Href: atIncidents + "/" + b.Incident}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: b.Network, Code: true, Href: atJournal + "?object=block/" + b.ID}, {Text: b.Reason, Sub: "by " + c.acted(r.Context(), b.Owner)}, incident, {Mark: &state}}})
	}
	return t
}

func (c *Console) blocks(b gateway.Block) bool { return b.Ended.IsZero() && c.Now().Before(b.Until) }

func (c *Console) liveBlocks(all []gateway.Block) (live []web.Option) {
	for _, b := range all {
		if c.blocks(b) {
			live = append(live, web.Option{Value: b.ID, Text: b.Network})
		}
	}
	return live
}

// newBlock is the form to block one.
func (c *Console) newBlock(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.blockForm(w, r, http.StatusOK, url.Values{}, nil)
}

func (c *Console) blockForm(w http.ResponseWriter, r *http.Request, st int, f url.Values, fail error) error {
	until := f.Get("until")
	if until == "" {
		until = c.Now().AddDate(0, 0, 30).UTC().Format(time.DateOnly)
	}
	form := &web.Form{Action: atBlocks + "/new", Act: "Block it", Fault: fail, Other: &web.Link{Text: "Not now", Href: atBlocks}, Loses: "Everybody who comes from there is turned away, and what they are doing now is cut off.",
		Fields: []web.Field{{Name: "network", Label: "Network or address", Value: f.Get("network"), Required: true, Max: 60, Complete: "off", Hint: "Such as 198.51.100.0/24 or 2001:db8::/48; not wider than /16, or /32 for IPv6."},
			{Name: "reason", Label: "Why", Value: f.Get("reason"), Required: true, Max: 300, Complete: "off"},
			{Name: "incident", Label: "Incident", Value: f.Get("incident"), Max: 12, Complete: "off", Hint: "Such as I-3. Empty: none."},
			{Name: "until", Label: "Until", Value: until, Required: true, Max: 10, Complete: "off", Hint: "A day at most a year ahead."}}}
	return c.answer(w, r, st, "finds", web.View{Title: "Block a network", Lead: "It is kept out from the next request on.", Up: &web.Link{Text: "Blocked networks", Href: atBlocks}, Data: findsPage{Form: form}})
}

func (c *Console) blockNetwork(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	b := gateway.Block{Network: f.Get("network"), Reason: f.Get("reason"), Incident: f.Get("incident")}
	if b.Until, err = time.Parse(time.DateOnly, strings.TrimSpace(f.Get("until"))); err != nil {
		b.Until = c.Now() // no day ahead: refused like others
	}
	if b, err = c.Gateway.BlockNetwork(r.Context(), who, b, web.RemoteIP(r)); err != nil {
		if !formed(err) {
			return err
		}
		return c.blockForm(w, r, status(err), f, err)
	}
	return c.done(w, r, atBlocks, b.Network+" is blocked until "+day(b.Until)+".")
}

func (c *Console) unblock(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Gateway.Unblock(r.Context(), who, f.Get("block")); err != nil {
		return err
	}
	return c.done(w, r, atBlocks, "It is let in again.")
}
