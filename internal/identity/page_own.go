package identity

import (
	"net/http"

	"writ/internal/actor"
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
		own("GET /-/account/address", to(atProfile+"#address")),
		own("POST /-/account/address", p.doAddress),
		own("POST /-/account/address/cancel", p.doCancelAddress),
		own("POST /-/account/export", p.doExport),
		own("GET /-/account/export", to(atData+"#data")),
		own("GET /-/account/leave", to(atData+"#leave")),
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
		return web.Redirect(w, r, atProfile+"#address")
	}
	return web.Redirect(w, r, "/-/sign-in")
}
