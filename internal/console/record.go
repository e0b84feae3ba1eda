package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/web"
)

type recordsPage struct {
	Tables []recordGroup
}

type recordGroup struct {
	ID, Title, Says string
	Table           web.Table
}

// showRecords lists the clauses that records carry: expired, ending soon, missing, valid.
func (c *Console) showRecords(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ctx := r.Context()
	l, err := c.look(ctx)
	if err != nil {
		return err
	}
	newest, err := c.Policy.Newest(ctx, c.Now())
	if err != nil {
		return err
	}
	groups := []recordGroup{
		{ID: "expired", Title: "Expired", Says: "These counted once. Look again and sign anew."},
		{ID: "soon", Title: "Ending within 30 days", Says: "Still valid; sign a newer one in time."},
		{ID: "missing", Title: "Missing", Says: "Nobody has signed these yet, so they are unproved."},
		{ID: "valid", Title: "Valid"},
	}
	may := c.Access.May(who, access.RecordSign)
	for _, cl := range l.moment.Policy.Each() {
		v := l.clauses[cl.ID]
		if !attested(cl, v) {
			continue
		}
		title := cl.Title
		if title == "" {
			title = cl.ID
		}
		row := web.Row{Cells: []web.Cell{{Text: l.number[cl.ID] + "  " + title, Href: "/-/console/clauses/" + cl.ID, Sub: cl.ID}}}
		rec, ok := newest[cl.ID]
		at := 3
		switch {
		case !ok:
			at = 2
			row.Cells = append(row.Cells, web.Cell{Text: form(cl)}, attestCell(cl.ID, may, "Attest"))
		default:
			if !rec.ValidUntil.After(c.Now()) {
				at = 0
			} else if rec.ValidUntil.Sub(c.Now()) < soon {
				at = 1
			}
			row.Cells = append(row.Cells, web.Cell{Text: cut(rec.Statement, 120)}, web.Cell{Text: c.name(ctx, rec.Signer)}, web.Cell{At: rec.Signed}, web.Cell{At: rec.ValidUntil}, attestCell(cl.ID, may, "Attest anew"))
		}
		groups[at].Table.Rows = append(groups[at].Table.Rows, row)
	}
	var p recordsPage
	for i, g := range groups {
		if len(g.Table.Rows) == 0 {
			continue
		}
		g.Table.Columns = []web.Column{{Name: "Clause"}, {Name: "Statement"}, {Name: "Signed by"}, {Name: "Signed"}, {Name: "Counts until"}, {Name: "Act"}}
		if i == 2 {
			g.Table.Columns = []web.Column{{Name: "Clause"}, {Name: "Wants"}, {Name: "Act"}}
		}
		p.Tables = append(p.Tables, g)
	}
	return packed(w, r, func(w http.ResponseWriter) error {
		return c.show(w, r, "records", web.View{Title: "Records", Lead: "Some promises are kept by people. A record is a dated statement that one of them signs; it stops counting by itself.", Data: p})
	})
}

func attestCell(id string, may bool, act string) web.Cell {
	if !may {
		return web.Cell{}
	}
	return web.Cell{Text: act, Href: "/-/console/attest?clause=" + url.QueryEscape(id)}
}

// form is what record a clause wants, in words.
func form(cl *document.Clause) string {
	if cl.Record == nil {
		return "statement, yearly"
	}
	s := strings.ReplaceAll(cl.Record.Form, "-", " ")
	if cl.Record.SignedBy != "" {
		s += " by " + strings.TrimPrefix(cl.Record.SignedBy, "role/")
	}
	if d, err := document.ParseDuration(cl.Record.ValidFor.Text); err == nil {
		if d == 365*24*time.Hour {
			return s + ", yearly"
		}
		s += ", every " + web.Duration(d)
	}
	return s
}

type attestPage struct {
	Clause web.Clause
	Wants  string
	Ask    web.Form
	Sign   *signing
	Until  time.Time
}

// statement is what the two steps of the form carry.
func statement(v url.Values) (policy.Statement, error) {
	st := policy.Statement{Clause: v.Get("clause"), Statement: strings.TrimSpace(strings.ReplaceAll(v.Get("statement"), "\r\n", "\n"))}
	bad := func(field, problem string) error {
		return fault.New(fault.Invalid, field, fault.Public{Problem: "One thing is to be mended.", Fields: []fault.Field{{Name: field, Code: field, Problem: problem}}})
	}
	if s := strings.TrimSpace(v.Get("observed")); s != "" {
		t, err := policy.ParseTime(s)
		if err != nil {
			if t, err = time.Parse(time.RFC3339, s); err != nil {
				return st, bad("observed", "Write it such as 2026-11-23 or 2026-11-23T10:00Z.")
			}
		}
		st.Observed = t
	}
	if s := strings.TrimSpace(v.Get("valid_for")); s != "" {
		d, err := document.ParseDuration(s)
		if err != nil {
			return st, bad("valid_for", "Write a number with d or w, such as 90d.")
		}
		st.ValidFor = d
	}
	return st, nil
}

func (c *Console) showAttest(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.attestPage(w, r, who, r.URL.Query(), nil)
}

func (c *Console) attestPage(w http.ResponseWriter, r *http.Request, who actor.Actor, v url.Values, fail error) error {
	ctx := r.Context()
	l, err := c.look(ctx)
	if err != nil {
		return err
	}
	id := v.Get("clause")
	cl, ok := l.moment.Policy.Clause(id)
	if !ok {
		return fault.New(fault.NotFound, "no_clause", fault.Public{Problem: "The policy in force has no such clause.", Next: "Choose one from the records."})
	}
	p := attestPage{Clause: c.line(l, cl, l.clauses[id], who), Wants: form(cl)}
	p.Clause.Evidence = nil
	st, err := statement(v)
	asked := v.Has("statement")
	p.Ask = web.Form{Action: "/-/console/attest", Method: "get", Act: "Show what to sign", Hidden: []web.Pair{{Name: "clause", Value: id}}, Fields: []web.Field{
		{Name: "statement", Label: "What was seen or done", Type: "textarea", Rows: 4, Value: v.Get("statement"), Required: true, Max: 2000, Hint: "Public. Say it so that somebody who was not there can judge it."},
		{Name: "observed", Label: "When it was so", Value: v.Get("observed"), Hint: "Such as 2026-11-23. Empty: now."},
		{Name: "valid_for", Label: "Counts for", Value: v.Get("valid_for"), Hint: "Such as 90d. Empty: as long as the policy lets it."}}}
	if err == nil && asked {
		st.Signer = c.handle(ctx, who)
		var txt string
		if txt, st, err = c.Policy.RecordText(ctx, who, st); err == nil {
			p.Until = st.Observed.Add(st.ValidFor)
			keep := url.Values{"clause": {id}, "statement": {st.Statement}, "observed": {st.Observed.Format(time.RFC3339)}, "valid_for": {document.Cell(st.ValidFor)}}
			var hidden []web.Pair
			for _, k := range []string{"clause", "statement", "observed", "valid_for"} {
				hidden = append(hidden, web.Pair{Name: k, Value: keep.Get(k)})
			}
			g := sign(fileName("record", id), "/-/console/attest/text?"+keep.Encode(), "/-/console/attest", "Sign the record", hidden, fail)
			g.Mine, g.Text, g.Who = true, txt, c.name(ctx, st.Signer)
			p.Sign = &g
			p.Ask.Quiet, p.Ask.Act = true, "Change the statement"
		}
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		p.Ask.Fault = beside(err, map[string]string{"statement": "statement", "observed_at": "observed", "valid_for": "valid_for"})
		fail = err
	}
	code := http.StatusOK
	if fail != nil {
		code = status(fail)
	}
	return c.answer(w, r, code, "attest", web.View{Title: "Attest " + l.number[id], Up: &web.Link{Text: id, Href: "/-/console/clauses/" + id}, Data: p})
}

// recordText is the exact text to sign; the address holds all of it.
func (c *Console) recordText(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	st, err := statement(r.URL.Query())
	if err != nil {
		return err
	}
	st.Signer = c.handle(r.Context(), who)
	t, _, err := c.Policy.RecordText(r.Context(), who, st)
	if err != nil {
		return err
	}
	return text(w, fileName("record", st.Clause), t)
}

func (c *Console) attest(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	st, err := statement(f)
	if err == nil {
		var rec policy.Record
		if rec, err = c.Policy.Attest(r.Context(), who, st, []byte(pasted(f.Get("signature")))); err == nil {
			return c.done(w, r, "/-/console/clauses/"+url.PathEscape(rec.Clause), "Signed. The record counts until "+day(rec.ValidUntil)+".")
		}
	}
	if !formed(err) {
		return err
	}
	return c.attestPage(w, r, who, f, beside(err, signFields))
}
