package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// supportPages are the page of looks, for staff and for who looks just now, and that of
// the terms.
func (p *pages) supportPages() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/support", Who: web.SignedIn, Support: true, Handle: p.support},
		{Pattern: "POST /-/support", Who: web.SignedIn, Handle: p.doLook},
		{Pattern: "POST /-/support/end", Who: web.SignedIn, Support: true, Handle: p.doEndLook},
		{Pattern: "POST /-/support/agree", Who: web.SignedIn, Handle: p.doAgreeLook},
		{Pattern: "GET /-/terms", Who: web.Agreeing, Handle: p.terms},
		{Pattern: "POST /-/terms", Who: web.Agreeing, Handle: p.doTerms},
	}
}

const atSupport = "/-/support"

// supportPage is what staff see of looks.
type supportPage struct {
	Now   *Look // the one that the reader is in
	End   web.Form
	New   *web.Form // nil for who may only agree
	Looks []lookRow
	Lasts string
}

type lookRow struct {
	Look
	Live, CanAgree, CanEnd bool
}

func (p *pages) support(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if who.Kind == actor.Support {
		return p.showLooking(w, r, who)
	}
	return p.showLooks(w, r, who, http.StatusOK, url.Values{"person": {r.URL.Query().Get("person")}}, nil)
}

// showLooking says as whom the reader looks, and lets them end it.
func (p *pages) showLooking(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	l, err := p.CurrentLook(r.Context(), who)
	if err != nil {
		return err
	}
	return p.plain(w, r, http.StatusOK, "looking", web.View{Title: "You look as " + l.As, Lead: fmt.Sprintf("You look as %s, until %s.", l.As, stamp(l.Until)),
		Data: supportPage{Now: &l, End: web.Form{Action: atSupport + "/end", Act: "End the look", Hidden: []web.Pair{{Name: "id", Value: l.ID}}, Other: &web.Link{Text: "To the application", Href: "/"}}}})
}

func (p *pages) showLooks(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, typed url.Values, f error) error {
	list, err := p.Looks(r.Context(), who)
	if err != nil {
		return err
	}
	rules := p.Rules.Get()
	d := supportPage{Lasts: web.Duration(rules.lookTime())}
	agree, now := p.Access.May(who, access.SupportAgree), p.Now()
	for _, l := range list {
		row := lookRow{Look: l, Live: l.Ended.IsZero() && now.Before(l.ends(rules))}
		row.CanAgree = row.Live && agree && l.Asked && !l.Writes() && l.Staff != who.ID
		row.CanEnd = row.Live && (agree || p.Access.May(who, access.SessionsEnd))
		d.Looks = append(d.Looks, row)
	}
	if p.Access.May(who, access.SupportLook) {
		d.New = &web.Form{Action: atSupport, Act: "Begin to look", Fault: f, Fields: []web.Field{
			{Name: "person", Label: "Customer", Value: typed.Get("person"), Hint: "Address, handle or id of one person.", Required: true, Max: 300, Complete: "off"},
			{Name: "ticket", Label: "Ticket", Value: typed.Get("ticket"), Required: true, Max: 64, Complete: "off"},
			{Name: "reason", Label: "Reason", Value: typed.Get("reason"), Hint: "The customer reads it.", Required: rules.LookReason == required, Max: maxReason, Complete: "off"},
			{Name: "write", Label: "Ask a second person for the right to change things", Type: "checkbox", Value: "yes"},
		}}
	}
	return p.set.Render(w, r, status, "support", web.View{Title: "Look as a customer", Frame: web.Document, Data: d})
}

func (p *pages) doLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, err = p.BeginLookFrom(w, r, who, NewLook{Person: v.Get("person"), Reason: v.Get("reason"), Ticket: v.Get("ticket"), Writes: v.Get("write") != ""})
	if errors.Is(err, fault.NotFound) {
		_, pub := fault.PublicOf(err)
		err = fault.New(fault.Invalid, "no_person", fault.Public{Problem: pub.Problem, Fields: []fault.Field{{Name: "person", Code: "no_person", Problem: pub.Problem}}})
	}
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showLooks(w, r, who, status, v, f) })
	}
	return web.Redirect(w, r, atSupport)
}

func (p *pages) doEndLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	says := "The look is ended."
	if err := p.EndLookFrom(w, r, who, v.Get("id")); errors.Is(err, fault.NotFound) {
		says = "There was no such look any more."
	} else if err != nil {
		return err
	}
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, atSupport)
}

func (p *pages) doAgreeLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if _, err := p.AgreeLook(r.Context(), who, v.Get("id")); err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showLooks(w, r, who, status, nil, f) })
	}
	web.Tell(w, web.Notice{Says: "The look may change things until it ends. The customer is told."})
	return web.Redirect(w, r, atSupport)
}

// termsPageData is the page of the terms.
type termsPageData struct {
	Terms
	Owes bool
	Form web.Form
}

func (p *pages) terms(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showTerms(w, r, who, http.StatusOK, r.URL.Query().Get("to"), nil)
}

func (p *pages) showTerms(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, to string, f error) error {
	t, err := p.Terms(r.Context(), who)
	if err != nil {
		return err
	}
	d := termsPageData{Terms: t, Owes: t.Asked && t.Accepted < t.Version}
	d.Form = web.Form{Action: "/-/terms", Act: "Accept the terms", Fault: f, Hidden: append([]web.Pair{{Name: "version", Value: strconv.Itoa(t.Version)}}, toHidden(to)...),
		Other: &web.Link{Text: "Sign out", Href: "/-/sign-out"}}
	v := web.View{Title: "Terms of service", Data: d}
	if d.Owes && t.Accepted > 0 {
		v.Lead = "The terms have changed since you accepted them."
	}
	return p.plain(w, r, status, "terms", v)
}

func (p *pages) doTerms(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := p.AcceptTerms(r.Context(), who, number(v.Get("version"))); err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showTerms(w, r, who, status, v.Get("to"), f) })
	}
	return web.Redirect(w, r, web.ReturnPath(v.Get("to")))
}

// number reads a version from a form; what is none is 0.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
