package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/web"
)

func exceptionMark(e *policy.Exception, live bool) *web.Mark {
	m := web.Mark{State: web.Unproved, Word: e.State}
	switch {
	case live:
		m = web.Mark{State: web.Excepted, Word: "holds until " + day(e.Ends)}
	case e.State == policy.ExceptionOpen:
		m = web.Mark{State: web.StaleNow, Word: "waits for an owner"}
	case e.State == policy.ExceptionRefused:
		m.Word = "refused"
	}
	return &m
}

type exceptionsPage struct {
	Table  web.Table
	Waived web.Table // in incidents, by those who lead them
}

func (c *Console) showExceptions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t := web.Table{Caption: "Deviations from the policy, newest first", Columns: []web.Column{{Name: "Parameter"}, {Name: "Becomes"}, {Name: "State"}, {Name: "Why"}, {Name: "Asked for by"}, {Name: "Ends"}},
		Empty: web.Empty{Says: "Nobody has asked for an exception: the policy holds as it is written."}}
	if c.Access.May(who, access.ExceptionRequest) {
		t.Empty.Next = web.Link{Text: "Choose a value in the document to ask for one.", Href: atPolicy}
	}
	for _, e := range slices.Backward(c.Policy.Exceptions()) {
		ends := e.Until
		if !e.Ends.IsZero() {
			ends = e.Ends
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: e.Param, Href: atExceptions + "/" + e.ID}, {Text: literalWords(e.Value), Sub: levelWords(e.Level)},
			{Mark: exceptionMark(&e, e.Live(c.Now()))}, {Text: cut(e.Reason, 100)}, {Text: c.name(r.Context(), e.Requester)}, {At: ends}}})
	}
	waived, err := c.waivedTable(r.Context())
	if err != nil {
		return err
	}
	return c.show(w, r, "exceptions", web.View{Title: "Exceptions", Lead: "An owner signs each one, somebody else than who asked. Every one ends by itself.", Data: exceptionsPage{t, waived}})
}

// waivedTable is what people let pass in incidents, where the night leaves no time for an owner.
func (c *Console) waivedTable(ctx context.Context) (web.Table, error) {
	t := web.Table{Caption: "Let pass in incidents, newest first", Columns: []web.Column{{Name: "What"}, {Name: "Clause"}, {Name: "State"}, {Name: "Asked for by"}, {Name: "Agreed"}, {Name: "Ends"}}}
	all, err := c.Policy.Waived(ctx)
	for _, x := range all {
		m := web.Mark{State: web.Unproved, Word: "over"}
		if x.Live {
			m = web.Mark{State: web.Excepted, Word: "holds"}
		}
		agreed := "nobody: one person alone"
		if x.Approver != "" {
			agreed = c.name(ctx, x.Approver)
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: x.What, Href: waivedAt(x), Sub: cut(x.Reason, 100)}, {Text: x.Clause, Href: "/-/console/clauses/" + x.Clause}, {Mark: &m}, {Text: c.name(ctx, x.Requester)}, {Text: agreed}, {At: x.Ends}}})
	}
	return t, err //nolint:wrapcheck // a fault for the reader
}

// waivedAt is the page on which it shows.
func waivedAt(x policy.Waived) string {
	if ref, ok := strings.CutPrefix(x.Object, "incident/"); ok {
		return atIncidents + "/" + url.PathEscape(ref) + "#exceptions"
	}
	return ""
}

type exceptionPage struct {
	Clause *web.Clause
	Param  *paramRow
	Form   *web.Form
	Facts  []fact
	Sign   *signing
	Others []signing
	Revoke *web.Form
}

func (c *Console) newException(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.askException(w, r, r.URL.Query(), nil)
}

// askException is the form for one parameter.
func (c *Console) askException(w http.ResponseWriter, r *http.Request, v url.Values, fail error) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	key := v.Get("param")
	a, ok := l.moment.Policy.Param(key)
	id, _, _ := strings.Cut(key, "/")
	cl, found := l.moment.Policy.Clause(id)
	if !ok || !found {
		return fault.New(fault.NotFound, "no_param", fault.Public{Problem: "The policy has no such parameter.", Next: "Choose a value in the document."})
	}
	p := exceptionPage{Clause: &web.Clause{Number: l.number[id], Says: spans(cl, nil, "", true)}}
	p.Param = c.paramOf(cl, l, a.Name)
	value := valueField(a, v.Get("value"))
	value.Label = "Value instead, for a while"
	p.Form = &web.Form{Action: atExceptions, Act: "Ask for this exception", Fault: fail, Hidden: []web.Pair{{Name: "param", Value: key}}, Other: &web.Link{Text: "Cancel", Href: "/-/console/clauses/" + id},
		Fields: []web.Field{value, {Name: "until", Label: "Ends", Value: v.Get("until"), Required: true, Hint: "Such as 2027-01-15 or 2027-01-15T18:00Z. At most " + c.longest(l) + " from now."},
			{Name: "reason", Label: "Why, and what is done about it", Type: "textarea", Rows: 4, Value: v.Get("reason"), Required: true, Max: 1000, Hint: "An owner reads it before signing; all staff can read it afterwards."}}}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "exception", web.View{Title: "Ask for an exception", Lead: "It holds only after an owner has signed it, and ends by itself.", Up: &web.Link{Text: id, Href: "/-/console/clauses/" + id}, Data: p})
}

func (c *Console) longest(l *look) string {
	if a, ok := l.moment.Policy.Param("gov.exceptions/max"); ok {
		return a.Words(l.moment.Values["gov.exceptions/max"])
	}
	return "90 days"
}

func (c *Console) requestException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := policy.ExceptionRequest{Param: f.Get("param"), Value: strings.ReplaceAll(f.Get("value"), "\r\n", "\n"), Reason: strings.ReplaceAll(strings.TrimSpace(f.Get("reason")), "\r\n", "\n")}
	if in.Until, err = policy.ParseTime(strings.TrimSpace(f.Get("until"))); err != nil {
		err = fault.New(fault.Invalid, "until", fault.Public{Problem: "The end could not be read. Write it such as 2027-01-15."})
	} else {
		if who.Kind != actor.Person {
			if l, lerr := c.look(r.Context()); lerr == nil {
				in.Requester = l.moment.Policy.Author
			}
		}
		var e policy.Exception
		if e, err = c.Policy.RequestException(r.Context(), who, in); err == nil {
			return c.done(w, r, atExceptions+"/"+url.PathEscape(e.ID), "Asked for. An owner other than you must sign it before it holds.")
		}
	}
	if !formed(err) {
		return err
	}
	return c.askException(w, r, f, beside(err, map[string]string{"value": "value", "never": "value", "overlap": "value", "until": "until", "reason": "reason", "unbindable": "value"}))
}

// exception finds one and the texts its approvers would sign.
func (c *Console) exception(ctx context.Context, id string) (*policy.Exception, policy.Moment, error) {
	l, err := c.look(ctx)
	if err != nil {
		return nil, policy.Moment{}, err
	}
	m := l.moment
	for _, e := range c.Policy.Exceptions() {
		if e.ID == id {
			return &e, m, nil
		}
	}
	return nil, m, fault.New(fault.NotFound, "no_exception", fault.Public{Problem: "There is no such exception.", Next: "Look at the list of exceptions."})
}

func (c *Console) showException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.exceptionPage(w, r, who, tries{})
}

func (c *Console) exceptionPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t tries) error {
	ctx := r.Context()
	e, m, err := c.exception(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	at := atExceptions + "/" + url.PathEscape(e.ID)
	p := exceptionPage{Facts: c.exceptionFacts(ctx, e, m)}
	if cl, ok := m.Policy.Clause(e.Clause()); ok {
		p.Clause = &web.Clause{Number: numbers(m.Policy)[cl.ID], Href: "/-/console/clauses/" + cl.ID, Says: spans(cl, nil, "", true)}
	}
	if e.State == policy.ExceptionOpen {
		own := c.handle(ctx, who)
		for _, o := range m.Policy.Owners {
			if o == e.Requester {
				continue
			}
			file := fileName("exception", strings.TrimPrefix(o, "person/"))
			g := sign(file, at+"/text?"+url.Values{"approver": {o}}.Encode(), at+"/sign#sign", "Count this signature", nil, t.sign)
			g.Who, g.Mine, g.Text, g.HasKey = c.name(ctx, o), o == own, string(e.Text(m.Policy.ID, o)), true
			if g.Mine {
				p.Sign = &g
			} else {
				p.Others = append(p.Others, g)
			}
		}
		if p.Sign == nil && len(p.Others) > 0 {
			p.Sign, p.Others = &p.Others[0], p.Others[1:]
		}
	}
	if c.Access.May(who, access.ExceptionRevoke) && (e.State == policy.ExceptionOpen || e.Live(c.Now())) {
		p.Revoke = &web.Form{Action: at + "/revoke", Act: "End it now", Quiet: true, Fault: t.revoke, Fields: []web.Field{{Name: "reason", Label: "Why", Max: 1000}}}
	}
	return c.answer(w, r, t.status(), "exception", web.View{Title: "Exception from " + e.Param, Up: &web.Link{Text: "Exceptions", Href: atExceptions}, Data: p})
}

func (c *Console) exceptionFacts(ctx context.Context, e *policy.Exception, m policy.Moment) []fact {
	signed := ""
	if a, ok := m.Policy.Param(e.Param); ok {
		signed = a.Literal.String()
	}
	becomes := fact{Name: "Value", Text: literalWords(signed) + " becomes " + literalWords(e.Value)}
	if e.Level != document.Same {
		becomes.Sub = levelWords(e.Level) + " than the policy"
		if e.Level == document.Incomparable {
			becomes.Sub = levelWords(e.Level)
		}
	}
	out := []fact{{Name: "State", Mark: exceptionMark(e, e.Live(c.Now()))}, becomes, {Name: "Why", Text: e.Reason},
		{Name: "Asked for by", Text: c.name(ctx, e.Requester), Time: e.Requested}}
	if e.Approver != "" {
		out = append(out, fact{Name: "Signed by", Text: c.name(ctx, e.Approver), Time: e.Starts, Sub: "key " + e.Fingerprint})
	}
	if !e.Ends.IsZero() {
		return append(out, fact{Name: "Ends", Time: e.Ends})
	}
	return append(out, fact{Name: "Would end", Time: e.Until})
}

func (c *Console) exceptionText(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	e, m, err := c.exception(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	o := r.URL.Query().Get("approver")
	if !slices.Contains(m.Policy.Owners, o) {
		return fault.New(fault.NotFound, "no_text", fault.Public{Problem: "This person does not sign exceptions.", Next: "Look at the exception again."})
	}
	return text(w, fileName("exception", strings.TrimPrefix(o, "person/")), string(e.Text(m.Policy.ID, o)))
}

func (c *Console) signException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	e, err := c.Policy.ApproveException(r.Context(), who, r.PathValue("id"), []byte(pasted(f.Get("signature"))))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.exceptionPage(w, r, who, tries{sign: beside(err, signFields)})
	}
	return c.done(w, r, atExceptions+"/"+url.PathEscape(e.ID), "Signed. The exception holds until "+day(e.Ends)+" and then ends by itself.")
}

func (c *Console) revokeException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if _, err := c.Policy.RevokeException(r.Context(), who, r.PathValue("id"), strings.TrimSpace(f.Get("reason"))); err != nil {
		if !formed(err) {
			return err
		}
		return c.exceptionPage(w, r, who, tries{revoke: beside(err, reasonFields)})
	}
	return c.done(w, r, atExceptions+"/"+url.PathEscape(r.PathValue("id")), "The exception is over: the policy holds as it is written.")
}
