package identity

import (
	"errors"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// signInPage is what the sign-in page shows beside its form.
type signInPage struct {
	Form    web.Form
	Passkey *passkeyForm // nil where there can be none
	Join    bool         // sign-up is open
	Ways    []web.Link   // through other providers
}

// signIn shows the form; somebody who is signed in goes where they wanted.
func (p *pages) signIn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	to := r.URL.Query().Get("to")
	if who.SignedIn() && r.URL.Query().Get("again") == "" { // again: an application wants it shown anew
		return web.Redirect(w, r, web.ReturnPath(to))
	}
	if who.Kind == actor.Enrolling {
		return web.Redirect(w, r, withTo(atFactors, to))
	}
	return p.showSignIn(w, r, http.StatusOK, "", to, nil)
}

func (p *pages) doSignIn(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	as, err := p.SignInFrom(w, r, v.Get("email"), secretOf(v, "password"))
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error {
			return p.showSignIn(w, r, status, v.Get("email"), v.Get("to"), f)
		})
	}
	return onward(w, r, as, v.Get("to"))
}

func (p *pages) showSignIn(w http.ResponseWriter, r *http.Request, status int, email, to string, f error) error {
	form := web.Form{Action: "/-/sign-in", Act: "Sign in", Fault: f, Other: &web.Link{Text: "I forgot my password", Href: "/-/forgot"},
		Fields: []web.Field{emailField(email), {Name: "password", Label: "Password", Type: "password", Complete: "current-password", Required: true}}}
	form.Fields[0].Focus = f == nil
	if to = web.ReturnPath(to); to != "/" {
		form.Hidden = []web.Pair{{Name: "to", Value: to}}
	}
	v := web.View{Title: "Sign in"}
	d := signInPage{Form: form, Passkey: p.signInPasskey(to, f), Join: p.Rules.Get().Open != "off"}
	if d.Passkey != nil {
		form.Fields[0].Complete, v.Scripts = "username webauthn", []string{passkeyScript}
	}
	if p.Ways != nil {
		d.Ways = p.Ways(to)
	}
	v.Data = d
	return p.plain(w, r, status, "sign-in", v)
}

// signOut asks before it ends the session, because a link must have no effect.
func (p *pages) signOut(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if !who.SignedIn() && who.Kind != actor.Enrolling {
		return web.Redirect(w, r, "/-/sign-in")
	}
	return p.plain(w, r, http.StatusOK, "sign-out", web.View{Title: "Sign out", Lead: "This ends the session in this browser.",
		Data: web.Form{Action: "/-/sign-out", Act: "Sign out", Other: &web.Link{Text: "Stay signed in", Href: "/"}}})
}

func (p *pages) doSignOut(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	err := p.SignOut(r.Context(), who)
	if err != nil && !errors.Is(err, fault.NotFound) { // one that has ended meanwhile is ended
		return err
	}
	web.ClearCookie(w, SessionCookie)
	web.Tell(w, web.Notice{Says: "You are signed out."})
	return web.Redirect(w, r, "/-/sign-in")
}
