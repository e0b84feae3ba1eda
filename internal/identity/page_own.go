package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// ownPages are the pages of a person's own address, copy and end, and the page behind
// the letter about a new browser.
func (p *pages) ownPages() []web.Route {
	open := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Anyone, Handle: h}
	}
	own := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h}
	}
	return []web.Route{
		open("GET /-/not-me/{token}", p.keepToken(NotMeLink)),
		open("GET /-/not-me", p.showNotMe),
		open("POST /-/not-me", p.doNotMe),
		open("GET /-/address/{token}", p.keepToken(OldAddressLink)),
		open("GET /-/address", p.showAddress),
		open("POST /-/address", p.doAgree),
		own("GET /-/account/address", toAccount("#address")),
		own("POST /-/account/address", p.doAddress),
		own("POST /-/account/address/cancel", p.doCancelAddress),
		own("POST /-/account/export", p.doExport),
		own("GET /-/account/leave", toAccount("#leave")),
		own("POST /-/account/leave", p.doLeave),
		own("POST /-/account/stay", p.doStay),
	}
}

// askedPage asks for a yes to what a letter told.
type askedPage struct {
	Link LinkInfo
	Form web.Form
}

func (p *pages) showNotMe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	info, err := p.NotMeInfo(r.Context(), web.StrangerOf(r), keptToken(r, NotMeLink))
	if err != nil {
		return p.dead(w, r, err, NotMeLink)
	}
	return p.plain(w, r, http.StatusOK, "not-me", web.View{Title: "Was this not you?", Data: askedPage{info,
		web.Form{Action: "/-/not-me", Act: "It was not me: end everything", Other: &web.Link{Text: "It was me", Href: "/-/sign-in"}}}})
}

func (p *pages) doNotMe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if err := p.NotMe(r.Context(), web.StrangerOf(r), keptToken(r, NotMeLink)); err != nil {
		return p.dead(w, r, err, NotMeLink)
	}
	web.ClearCookie(w, FlowCookie)
	web.ClearCookie(w, SessionCookie)
	web.Tell(w, web.Notice{Says: "Every session has ended, and the password no longer signs in. Ask for a link to set a new one."})
	return web.Redirect(w, r, "/-/forgot")
}

func (p *pages) showAddress(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	info, err := p.AddressLink(r.Context(), web.StrangerOf(r), keptToken(r, OldAddressLink))
	if err != nil {
		return p.dead(w, r, err, OldAddressLink)
	}
	v := web.View{Title: "Change the address", Data: askedPage{info, web.Form{Action: "/-/address", Act: "Agree to the change"}}}
	if info.Kind == NewAddressLink {
		v.Title, v.Data = "Confirm your new address", askedPage{info, web.Form{Action: "/-/address", Act: "Confirm this address"}}
	}
	return p.plain(w, r, http.StatusOK, "address", v)
}

func (p *pages) doAgree(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	done, err := p.AgreeAddress(r.Context(), web.StrangerOf(r), keptToken(r, OldAddressLink))
	if err != nil {
		return p.dead(w, r, err, OldAddressLink)
	}
	web.ClearCookie(w, FlowCookie)
	says := "This mailbox has agreed. The address changes when the other one does."
	if done {
		says = "The address is changed. Sign in with the new one."
	}
	web.Tell(w, web.Notice{Says: says})
	if who.SignedIn() {
		return web.Redirect(w, r, "/-/account#address")
	}
	return web.Redirect(w, r, "/-/sign-in")
}

func (p *pages) doAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	c, err := p.AskAddress(r.Context(), who, NewAddress{Email: v.Get("email"), Current: secretOf(v, "current"), Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if err != nil {
		return p.accountRefused(w, r, who, refusedForm{part: partAddress, email: v.Get("email")}, err)
	}
	web.Tell(w, web.Notice{Says: fmt.Sprintf("We have sent a letter to both addresses. Yours becomes %s when both have agreed.", c.Email)})
	return web.Redirect(w, r, "/-/account#address")
}

func (p *pages) doCancelAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	err := p.CancelAddress(r.Context(), who)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.Tell(w, web.Notice{Says: "Your address stays as it is."})
	return web.Redirect(w, r, "/-/account#address")
}

// doExport answers with a file.
func (p *pages) doExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := p.OwnData(r.Context(), who)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode own data: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="my-data-`+d.Made.UTC().Format("2006-01-02")+`.json"`)
	_, err = w.Write(b)
	return err //nolint:wrapcheck // the reader went away
}

func (p *pages) doLeave(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	due, err := p.Leave(r.Context(), who, secretOf(v, "current"))
	if err != nil {
		return p.accountRefused(w, r, who, refusedForm{part: partLeave}, err)
	}
	web.Tell(w, web.Notice{Says: "Your account ends on " + stamp(due) + ". Until then you can keep it."})
	return web.Redirect(w, r, "/-/account#leave")
}

func (p *pages) doStay(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	err := p.Stay(r.Context(), who)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.Tell(w, web.Notice{Says: "Your account stays."})
	return web.Redirect(w, r, "/-/account#leave")
}

// accountRefused renders the account once more with what was wrong beside its form.
func (p *pages) accountRefused(w http.ResponseWriter, r *http.Request, who actor.Actor, again refusedForm, err error) error {
	if errors.Is(err, fault.Unauthenticated) {
		return err
	}
	return p.refused(w, r, err, func(status int, f error) error {
		again.fault = f
		return p.showAccount(w, r, who, status, again)
	})
}

// refusedForm is a form of the account page that is shown once more, with what was typed.
type refusedForm struct {
	part  string
	email string
	fault error
}

// The parts of the account page that hold a form.
const (
	partPassword = "password"
	partAddress  = "address"
	partLeave    = "leave"
)
