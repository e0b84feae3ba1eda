package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/journal"
	"writ/internal/mail"
	"writ/internal/web"
)

type gatePage struct {
	Facts    []fact
	Links    []web.Link
	Mode     *web.Form
	Steps    []web.Link
	Routes   web.Table
	API      *apiPart
	Places   web.Table
	Cache    web.Table
	Room     string
	Purge    *web.Form
	Totals   web.Table
	Refusals web.Table
}

func (c *Console) showGate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.gatePage(w, r, who, nil, false)
}

func (c *Console) gatePage(w http.ResponseWriter, r *http.Request, who actor.Actor, fail error, purging bool) error {
	s := c.Gateway.State()
	mode := &web.Mark{State: web.StaleNow, Word: modeWords(s.Mode, s.Share)}
	if s.Mode == gateway.Normal {
		mode.State = web.Holds
	}
	if s.Since.Unix() > 0 { // it was never changed
		mode.At = s.Since
	}
	p := gatePage{Facts: []fact{{Name: "The gate is", Mark: mode}, {Name: "Leads to", Text: s.Upstream, Code: true}, {Name: "Requests under way", Text: web.Number(int64(s.UnderWay))}, {Name: "Where no route matches", Text: s.Table.Least}, {Name: "Public paths", Text: listed(s.Table.Public)}, {Name: "Attacks", Text: "what the rules found", Href: atFinds}, {Name: "Private services", Text: "where they may go outside", Href: atEgress}, {Name: "Networks", Text: "which are blocked", Href: atBlocks}}}
	for _, st := range s.Steps {
		l := web.Link{Text: st.Name}
		if st.Clause != "" {
			l.Href = "/-/console/clauses/" + st.Clause
		}
		p.Steps = append(p.Steps, l)
	}
	if c.Access.May(who, access.GateMaintain) {
		p.Mode, p.Purge = modeForm(s, fail), purgeForm(nil)
		if purging {
			p.Mode, p.Purge = modeForm(s, nil), purgeForm(fail)
		}
	}
	p.API = described(s)
	p.Facts = append(p.Facts, limitFact(s.Limits))
	p.Routes, p.Places, p.Cache = routes(s.Table), placesTable(s), cacheTable(s)
	p.Room = web.Number(s.CacheUsed>>20) + " of " + web.Number(s.CacheMost>>20) + " MiB are used."
	if c.Access.May(who, access.JournalRead) {
		if err := c.traffic(r.Context(), &p); err != nil {
			return err
		}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	if c.Access.May(who, access.JournalRead) {
		p.Links = append(p.Links, web.Link{Text: "Search the requests", Href: atRequests})
	}
	return c.answer(w, r, st, "gate", web.View{Title: "Gate", Lead: "What stands between the public and the application.", Data: p})
}

func listed(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

func modeWords(mode string, share int) string {
	switch {
	case mode == gateway.Normal:
		return "open"
	case mode == gateway.Frozen:
		return "frozen: it can be read, and nothing can be changed"
	case mode == gateway.Staged && share == 0:
		return "open to staff alone"
	case mode == gateway.Staged:
		return fmt.Sprintf("open to staff and %d %% of the teams", share)
	}
	return "closed for maintenance"
}

// modeForm offers every mode but the one there is. A share that opens step by step is the
// reader's to type.
func modeForm(s gateway.State, fail error) *web.Form {
	f := &web.Form{Action: atGate + "/mode", Act: "Set it", Fault: fail, Loses: "Closed, the application gets no request until the gate is opened again: visitors see the maintenance page, and these pages work on. What is under way has half a minute to end."}
	var modes []web.Option
	for _, m := range []web.Option{{Value: gateway.Normal, Text: "Open"}, {Value: gateway.Frozen, Text: "Frozen: it can be read, and nothing can be changed"}, {Value: gateway.Maintenance, Text: "Closed for maintenance"},
		{Value: gateway.Staged, Text: "Open to staff, and to a share of the teams"}} {
		if m.Value != s.Mode || m.Value == gateway.Staged {
			modes = append(modes, m)
		}
	}
	f.Fields = []web.Field{{Name: "mode", Label: "The gate is to be", Type: "radio", Required: true, Options: modes},
		{Name: "share", Label: "Share of the teams, in per cent", Mode: "numeric", Max: 3, Complete: "off", Hint: "For the last choice. Empty: staff alone."},
		{Name: "reason", Label: "Reason", Required: true, Max: 300, Hint: "Recorded; not shown to customers."}}
	return f
}

func routes(t gateway.Table) web.Table {
	out := web.Table{Caption: "Routes in force; the longest match counts", Columns: []web.Column{{Name: "Path"}, {Name: "Methods"}, {Name: "Who"}, {Name: "Tokens with"}, {Name: "Asks too"}, {Name: ""}},
		Empty: web.Empty{Says: "No route tightens the policy: everything asks for " + t.Least + ", except the public paths."}}
	for _, r := range t.Routes {
		methods := "all"
		if len(r.Methods) > 0 {
			methods = strings.Join(r.Methods, ", ")
		}
		who := r.Who
		if len(r.Roles) > 0 {
			who = "role " + strings.Join(r.Roles, " or ")
		}
		row := web.Row{Cells: []web.Cell{{Text: r.Path, Code: true}, {Text: methods}, {Text: who}, {Text: strings.Join(r.Scopes, " ")}, {Text: asksToo(r)}, {}}}
		if slices.Contains(t.Loose, r.Path) {
			row.Cells[5] = web.Cell{Mark: &web.Mark{State: web.StaleNow, Word: "the policy is tighter and holds"}}
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// traffic reads totals of the last hour and the newest refusals from the journal.
func (c *Console) traffic(ctx context.Context, p *gatePage) error {
	es, err := c.Journal.List(ctx, journal.Query{Act: gateway.RequestTotals{}.About().Name, Limit: 500})
	if err != nil {
		return err
	}
	type total struct{ requests, refused, away, failed int64 }
	sums := map[string]*total{}
	var order []string
	for _, e := range es {
		if c.Now().Sub(e.Happened) > time.Hour {
			break
		}
		route := str(e, "route")
		if sums[route] == nil {
			sums[route] = &total{}
			order = append(order, route)
		}
		t := sums[route]
		t.requests, t.refused, t.away, t.failed = t.requests+num(e, "requests"), t.refused+num(e, "refused"), t.away+num(e, "sent-away"), t.failed+num(e, "failed")
	}
	slices.SortFunc(order, func(a, b string) int { return int(sums[b].requests - sums[a].requests) })
	p.Totals = web.Table{Caption: "Requests of the last hour, by route", Columns: []web.Column{{Name: "Route"}, {Name: "Requests", Figure: true}, {Name: "Refused", Figure: true}, {Name: "Sent to sign in", Figure: true}, {Name: "Failed", Figure: true}},
		Empty: web.Empty{Says: "No request was counted in the last hour."}}
	for _, r := range order {
		t := sums[r]
		p.Totals.Rows = append(p.Totals.Rows, web.Row{Cells: []web.Cell{{Text: r, Code: true}, {Text: web.Number(t.requests)}, {Text: web.Number(t.refused)}, {Text: web.Number(t.away)}, {Text: web.Number(t.failed)}}})
	}
	act := gateway.RequestRefused{}.About().Name
	if es, err = c.Journal.List(ctx, journal.Query{Act: act, Limit: 20}); err != nil {
		return err
	}
	p.Refusals = web.Table{Caption: "Newest refusals", Columns: []web.Column{{Name: "Entry"}, {Name: "When"}, {Name: "Refused at"}, {Name: "Route"}, {Name: "Answer", Figure: true}, {Name: "Times", Figure: true}, {Name: "Who"}},
		Empty: web.Empty{Says: "Nothing was refused since the journal began."}}
	for _, e := range es {
		p.Refusals.Rows = append(p.Refusals.Rows, web.Row{Cells: []web.Cell{{Text: web.Number(e.N), Href: entryHref(e.N)}, {At: e.Happened}, {Text: str(e, "step"), Sub: str(e, "code")},
			{Text: str(e, "method") + " " + str(e, "route"), Code: true}, {Text: strconv.FormatInt(num(e, "status"), 10)}, {Text: web.Number(max(1, num(e, "count")))}, {Text: actorWords(e)}}})
	}
	if len(es) == 20 {
		p.Refusals.Older = atJournal + "?act=" + act
	}
	return nil
}

func str(e journal.Entry, name string) string {
	v, _ := e.Field(name)
	s, _ := v.(string)
	return s
}

func num(e journal.Entry, name string) int64 {
	v, _ := e.Field(name)
	n, _ := v.(int64)
	return n
}

func (c *Console) setMode(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	wish := gateway.Wish{Mode: f.Get("mode"), Reason: strings.TrimSpace(f.Get("reason"))}
	if wish.Reason == "" || len(wish.Reason) > 300 {
		return c.gatePage(w, r, who, needReason(), false)
	}
	if text := strings.TrimSpace(f.Get("share")); text != "" && wish.Mode == gateway.Staged {
		if wish.Share, err = strconv.Atoi(text); err != nil {
			wish.Share = -1 // no share: the gate says what one is
		}
	}
	if err := c.Gateway.SetMode(r.Context(), who, wish); err != nil {
		if !formed(err) {
			return err
		}
		return c.gatePage(w, r, who, err, false)
	}
	return c.done(w, r, atGate, "The gate is "+modeWords(wish.Mode, wish.Share)+".")
}

type mailPage struct {
	Table web.Table
}

func (c *Console) showMail(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	queue, err := c.Jobs.Queue(r.Context())
	if err != nil {
		return err
	}
	t := web.Table{Caption: "What waits or has failed, the oldest first", Columns: []web.Column{{Name: "Letter"}, {Name: "State"}, {Name: "Written"}, {Name: "Tries", Figure: true}, {Name: "Next try"}, {Name: "Problem"}},
		Empty: web.Empty{Says: "Nothing waits: every letter has left.", Next: web.Link{Text: "Look at the journal", Href: atJournal}}}
	for _, q := range queue {
		m := &web.Mark{State: web.Unproved, Word: "waits"}
		next := web.Cell{At: q.Due}
		if q.State == "failed" {
			m, next = &web.Mark{State: web.Broken, Word: "failed"}, web.Cell{Text: "none"}
		} else if q.Tries > 0 {
			m = &web.Mark{State: web.StaleNow, Word: "tries again"}
		}
		name := "letter"
		if q.Kind != mail.JobKind {
			name = q.Kind
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: name, Sub: "…" + q.ID[max(0, len(q.ID)-8):]}, {Mark: m}, {At: q.Made}, {Text: strconv.Itoa(q.Tries)}, next, {Text: q.Problem}}})
	}
	return c.show(w, r, "mail", web.View{Title: "Mail", Lead: "Letters are queued with the change that causes them, and tried until they leave.", Data: mailPage{t}})
}
