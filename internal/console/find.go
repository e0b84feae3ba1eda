package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

const mostHits = 30

type findPage struct {
	Form  web.Filter
	Table web.Table
}

// find answers the command palette in JSON and everybody else with a page.
func (c *Console) find(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	if len(q) > 200 {
		q = q[:200]
	}
	hits, err := c.hits(r.Context(), who, q)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		return web.WriteJSON(w, http.StatusOK, web.Hits{Hits: hits})
	}
	p := findPage{Table: web.Table{Columns: []web.Column{{Name: "Found"}, {Name: "What it is"}}, Empty: web.Empty{Says: "Nothing is called that.", Next: web.Link{Text: "Read the document", Href: atPolicy}},
		Filter: &web.Filter{Action: "/-/console/find", Fields: []web.Field{{Name: "q", Label: "Page, person, clause, entry", Type: "search", Value: q}}}}}
	for _, h := range hits {
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{{Text: h.Text, Href: h.Href}, {Text: h.Kind}}})
	}
	return c.show(w, r, "find", web.View{Title: "Find", Data: p})
}

// hits are what the reader may see and q names, pages first.
func (c *Console) hits(ctx context.Context, who actor.Actor, q string) ([]web.Hit, error) {
	out := []web.Hit{}
	low := strings.ToLower(strings.TrimPrefix(q, "/"))
	if low == "" {
		return out, nil
	}
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), low) }
	add := func(text, kind, href string) {
		if len(out) < mostHits {
			out = append(out, web.Hit{Text: text, Kind: kind, Href: href})
		}
	}
	for _, p := range places {
		if has(p.text) && c.Access.May(who, p.need) {
			add(p.text, "page", p.href)
		}
	}
	if c.Access.May(who, access.JournalRead) {
		if e, ok := c.entryNamed(ctx, q); ok {
			add(e, "entry", atJournal+"/"+url.PathEscape(e))
		}
	}
	l, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	for _, cl := range l.moment.Policy.Each() {
		if has(cl.ID) || has(cl.Title) || l.number[cl.ID] == low {
			add(l.number[cl.ID]+" "+cl.ID, "clause", "/-/console/clauses/"+cl.ID)
		}
	}
	if c.Access.May(who, access.PeopleRead) {
		people, err := c.Identity.List(ctx, who, "")
		if err != nil {
			return nil, err
		}
		for i := range people {
			if p := &people[i]; has(p.Name) || has(p.Handle) || has(p.Email) {
				add(called(p), "person", personHref(p.ID))
			}
		}
	}
	for _, rev := range c.Policy.Revisions() {
		if rev.Version.String() == low || has("revision "+rev.Version.String()) {
			add("Revision "+rev.Version.String(), "revision", atRevisions+"/"+rev.Version.String())
		}
	}
	for _, cl := range l.moment.Policy.Each() {
		if len(low) > 3 && !has(cl.ID) && !has(cl.Title) && has(cl.Plain(l.moment.Values)) {
			add(l.number[cl.ID]+" "+cut(cl.Plain(l.moment.Values), 70), "clause", "/-/console/clauses/"+cl.ID)
		}
	}
	return out, nil
}

// entryNamed finds an entry by number ("48,112" too) or id.
func (c *Console) entryNamed(ctx context.Context, q string) (string, bool) {
	s := strings.ReplaceAll(q, ",", "")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && len(s) < 16 {
		_, err := c.Journal.Entry(ctx, n)
		return s, err == nil
	}
	if len(s) < 16 || len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
		return "", false
	}
	_, err := c.Journal.ByID(ctx, s)
	return s, err == nil
}
