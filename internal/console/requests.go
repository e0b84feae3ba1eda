package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/gateway/trail"
	"writ/internal/web"
)

// Trail is the access records; *trail.Trail.
type Trail interface {
	Search(ctx context.Context, who actor.Actor, q trail.Query) ([]trail.Found, error)
}

type requestsPage struct {
	Table  web.Table
	Export *web.Form
}

const requestsAPage = 40

// showRequests searches access records. The search is an entry, as every other is.
func (c *Console) showRequests(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v := r.URL.Query()
	for k, s := range v { // a form sends what was left empty too
		if v[k] = []string{strings.TrimSpace(s[0])}; v[k][0] == "" {
			delete(v, k)
		}
	}
	q, err := trail.QueryOf(v, c.Now())
	if err != nil {
		return err
	}
	q.Limit = requestsAPage + 1
	found, err := c.Trail.Search(r.Context(), who, q)
	if err != nil {
		return err
	}
	p := requestsPage{Table: web.Table{Caption: "Requests, the newest first", Empty: web.Empty{Says: "No request matches."},
		Columns: []web.Column{{Name: "When"}, {Name: "Who"}, {Name: "Team"}, {Name: "Request"}, {Name: "Answer", Figure: true}, {Name: "Took", Figure: true}, {Name: "From"}},
		Filter: &web.Filter{Action: atRequests, Fields: []web.Field{{Name: "person", Label: "Person", Value: v.Get("person")}, {Name: "team", Label: "Team", Value: v.Get("team")}, {Name: "route", Label: "Route", Value: v.Get("route")},
			{Name: "resource", Label: "Record", Value: v.Get("resource")}, {Name: "status", Label: "Answer", Value: v.Get("status")}, {Name: "from", Label: "Since", Value: v.Get("from")}}}}}
	for _, f := range []web.Field{{Name: "network", Label: "Network", Value: v.Get("network")}, {Name: "until", Label: "Until", Value: v.Get("until")}} {
		if f.Value != "" { // somebody came from where these were chosen
			p.Table.Filter.Fields = append(p.Table.Filter.Fields, f)
		}
	}
	more := len(found) > requestsAPage
	for _, f := range found[:min(len(found), requestsAPage)] {
		answer := web.Cell{Text: strconv.Itoa(f.Status)}
		if f.Code != "" {
			answer.Sub = f.Code
		}
		from := web.Cell{Text: f.Network, Code: true}
		if f.Address != "" {
			from.Text = f.Address
		}
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{c.recordAt(f), recordWho(f), {Text: cutID(f.Team), Code: true}, {Text: f.Method + " " + f.Route, Code: true, Sub: strings.Join(f.Resource, ", ")},
			answer, {Text: strconv.FormatInt(f.TookUS/1000, 10) + " ms"}, from}})
	}
	if more {
		next := url.Values{}
		for k, s := range v {
			next[k] = s
		}
		next.Set("until", found[requestsAPage].At.Format("2006-01-02T15:04:05.999999Z07:00"))
		if v.Get("from") == "" {
			next.Set("from", q.From.Format("2006-01-02T15:04:05Z07:00"))
		}
		p.Table.Older = atRequests + "?" + next.Encode()
	}
	if c.Access.May(who, access.JournalExport) {
		p.Export = &web.Form{Action: "/-/api/v1/gateway/records/export", Method: "get", Act: "Download these records", Quiet: true,
			Fields: []web.Field{{Name: "format", Label: "As", Type: "radio", Required: true, Options: []web.Option{{Value: trail.JSONLines, Text: "Lines of JSON", Chosen: true}, {Value: trail.OCSF, Text: "Events of OCSF"}}}}}
		for k, s := range v {
			if k != "until" {
				p.Export.Hidden = append(p.Export.Hidden, web.Pair{Name: k, Value: s[0]})
			}
		}
		slices.SortFunc(p.Export.Hidden, func(a, b web.Pair) int { return strings.Compare(a.Name, b.Name) })
	}
	return c.show(w, r, "requests", web.View{Title: "Requests", Lead: "Who asked the application for what, in the last day or since an age such as 2h. A record is written contact=17, an answer 404 or 4 for all of them. Persons stand here as in the journal; that you searched is an entry.", Up: &web.Link{Text: "Gate", Href: atGate}, Data: p})
}

// closed is when the segment that a record lies in has its entry at the latest.
const closed = 11 * time.Minute

// recordAt is when it was, and leads to the entry that makes the record evidence: that of its
// segment, with the hash of it and a proof of inclusion.
func (c *Console) recordAt(f trail.Found) web.Cell {
	if c.Now().Sub(f.At) < closed {
		return web.Cell{At: f.At}
	}
	return web.Cell{Text: f.At.UTC().Format("2 Jan 15:04:05"), Href: atJournal + "?object=" + url.QueryEscape("segment/"+f.Segment)}
}

func recordWho(f trail.Found) web.Cell {
	switch actor.Kind(f.Kind) {
	case actor.Support:
		return web.Cell{Text: "person " + cutID(f.Who), Sub: "as " + cutID(f.For)}
	case actor.Stranger:
		return web.Cell{Text: "stranger"}
	}
	c := web.Cell{Text: f.Kind + " " + cutID(f.Who)}
	if f.Token != "" {
		c.Sub = "token " + cutID(f.Token)
	} else if f.Staff {
		c.Sub = "staff"
	}
	return c
}
