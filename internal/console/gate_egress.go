package console

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/web"
)

const atEgress = atGate + "/egress"

// showEgress lists where private services may go, and who went or was refused.
func (c *Console) showEgress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Gateway.Destinations(r.Context())
	if err != nil {
		return err
	}
	moves, err := c.Gateway.Moves(r.Context())
	if err != nil {
		return err
	}
	past, err := c.Gateway.Pasts(r.Context())
	if err != nil {
		return err
	}
	may := c.Access.May(who, access.GateMaintain)
	p := findsPage{Facts: egressFacts(c.Gateway.EgressNow(), past, may), Tables: []web.Table{c.destinationTable(r, all, moves), c.moveTable(r, moves)}}
	if live := c.liveDestinations(all); may && len(live) > 0 {
		p.Form = &web.Form{Action: atEgress + "/remove", Act: "Remove it", Quiet: true, Fields: []web.Field{{Name: "destination", Label: "Destination to take off the list", Type: "select", Options: live}}}
	}
	return c.show(w, r, "finds", web.View{Title: "The way out", Lead: "Private services reach the outside over TLS, at the names on this list alone. What they say there is not seen.", Up: &web.Link{Text: "Gate", Href: atGate}, Data: p})
}

func egressFacts(s gateway.EgressState, past []gateway.Past, may bool) []fact {
	at := fact{Name: "The way out is", Mark: &web.Mark{State: web.Broken, Word: "not set up: gateway: egress: in writ.yaml"}}
	if s.Listen != "" {
		at = fact{Name: "The way out is at", Text: s.Listen, Code: true}
	}
	facts := []fact{at, {Name: "Connections open", Text: web.Number(s.Open)}}
	for _, k := range s.Callers {
		var from []string
		for _, p := range k.From {
			from = append(from, p.String())
		}
		facts = append(facts, fact{Name: "Known by its address", Text: k.Name + ", from " + strings.Join(from, ", ")})
	}
	for _, p := range past {
		m := &web.Mark{State: web.Holds, Word: p.Service + " reached nothing", At: p.Told}
		if len(p.Reached) > 0 {
			m.State, m.Word = web.Broken, p.Service+" reached "+strings.Join(p.Reached, ", ")
		}
		facts = append(facts, fact{Name: "Past the way out", Mark: m})
	}
	if may {
		facts = append(facts, fact{Name: "Another destination", Text: "list one", Href: atEgress + "/new"})
	}
	return facts
}

func hostPort(name string, port int) string { return net.JoinHostPort(name, strconv.Itoa(port)) }

func (c *Console) destinationTable(r *http.Request, all []gateway.Destination, moves []gateway.Move) web.Table {
	used := map[string]time.Time{}
	for _, m := range moves {
		if at := hostPort(m.Name, m.Port); m.Cause == "" && m.Last.After(used[at]) {
			used[at] = m.Last
		}
	}
	t := web.Table{Caption: "Destinations", Columns: []web.Column{{Name: "Destination"}, {Name: "Reason"}, {Name: "Last use"}, {Name: "State"}}, Empty: web.Empty{Says: "No destination is listed: private services reach nothing outside."}}
	for _, d := range all {
		state := web.Mark{State: web.Holds, Word: "until " + day(d.Until)}
		if !d.Ended.IsZero() || !c.Now().Before(d.Until) {
			state = web.Mark{State: web.Unproved, Word: "ended"}
		}
		last := web.Cell{At: used[hostPort(d.Name, d.Port)]}
		if last.At.IsZero() {
			last = web.Cell{Text: "not in 90 days"}
		}
		sub := "by " + c.acted(r.Context(), d.Owner)
		if len(d.Inside) > 0 {
			sub += "; may lie in " + strings.Join(d.Inside, ", ")
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: hostPort(d.Name, d.Port), Href: atJournal + "?object=egress/" + d.ID}, {Text: d.Reason, Sub: sub}, last, {Mark: &state}}})
	}
	return t
}

func (c *Console) moveTable(r *http.Request, moves []gateway.Move) web.Table {
	t := web.Table{Caption: "Who went out or was refused in the last 90 days, the newest first", Columns: []web.Column{{Name: "Who"}, {Name: "Where to"}, {Name: "Answer"}, {Name: "Times", Figure: true}, {Name: "KiB out", Figure: true}, {Name: "KiB in", Figure: true}, {Name: "Last"}},
		Empty: web.Empty{Says: "Nobody came. What happens for the first time appears here within a second."}}
	for _, m := range moves {
		who, to, state := "nobody known", "no plain name", web.Mark{State: web.StaleNow, Word: "refused: " + m.Cause}
		if m.Caller != "" {
			who = strings.TrimPrefix(c.acted(r.Context(), m.Caller), "service/")
		}
		if m.Name != "" {
			to = hostPort(m.Name, m.Port)
		}
		if m.Cause == "" {
			state = web.Mark{State: web.Holds, Word: "let out"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: who}, {Text: to, Code: m.Name != ""}, {Mark: &state}, {Text: web.Number(m.Count)}, {Text: web.Number(m.Sent >> 10)}, {Text: web.Number(m.Received >> 10)}, {At: m.Last}}})
	}
	return t
}

func (c *Console) liveDestinations(all []gateway.Destination) (live []web.Option) {
	for _, d := range all {
		if d.Ended.IsZero() && c.Now().Before(d.Until) {
			live = append(live, web.Option{Value: d.ID, Text: hostPort(d.Name, d.Port)})
		}
	}
	return live
}

// newDestination is the form to list one.
func (c *Console) newDestination(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.destinationForm(w, r, http.StatusOK, url.Values{}, nil)
}

func (c *Console) destinationForm(w http.ResponseWriter, r *http.Request, st int, f url.Values, fail error) error {
	until, port := f.Get("until"), f.Get("port")
	if until == "" {
		until = c.Now().AddDate(0, 0, 90).UTC().Format(time.DateOnly)
	}
	if port == "" {
		port = "443"
	}
	form := &web.Form{Action: atEgress + "/new", Act: "List it", Fault: fail, Other: &web.Link{Text: "Not now", Href: atEgress},
		Fields: []web.Field{{Name: "name", Label: "Name", Value: f.Get("name"), Required: true, Max: 253, Complete: "off", Hint: "A whole one such as api.example.com: no address and no *."},
			{Name: "port", Label: "Port", Value: port, Required: true, Mode: "numeric", Max: 5, Complete: "off"},
			{Name: "inside", Label: "Private networks in which it may lie", Value: f.Get("inside"), Max: 300, Complete: "off", Hint: "By spaces, such as 10.9.0.0/16. Empty: it must be at a public address."},
			{Name: "reason", Label: "What it is needed for", Value: f.Get("reason"), Required: true, Max: 300, Complete: "off"},
			{Name: "until", Label: "Until", Value: until, Required: true, Max: 10, Complete: "off", Hint: "A day at most a year ahead."}}}
	return c.answer(w, r, st, "finds", web.View{Title: "List a destination", Lead: "All private services that are known at the way out may reach it until that day.", Up: &web.Link{Text: "The way out", Href: atEgress}, Data: findsPage{Form: form}})
}

func (c *Console) listDestination(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	d := gateway.Destination{Name: strings.TrimSpace(f.Get("name")), Inside: strings.Fields(f.Get("inside")), Reason: f.Get("reason")}
	if d.Port, err = strconv.Atoi(strings.TrimSpace(f.Get("port"))); err != nil || d.Port == 0 {
		d.Port = -1 // no port: refused like others
	}
	if d.Until, err = time.Parse(time.DateOnly, strings.TrimSpace(f.Get("until"))); err != nil {
		d.Until = c.Now() // no day ahead: refused like others
	}
	if d, err = c.Gateway.ListDestination(r.Context(), who, d); err != nil {
		if !formed(err) {
			return err
		}
		return c.destinationForm(w, r, status(err), f, err)
	}
	return c.done(w, r, atEgress, "Private services may reach "+hostPort(d.Name, d.Port)+" until "+day(d.Until)+".")
}

func (c *Console) removeDestination(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Gateway.RemoveDestination(r.Context(), who, f.Get("destination")); err != nil {
		return err
	}
	return c.done(w, r, atEgress, "It is off the list. What is open to it goes on until it ends.")
}
