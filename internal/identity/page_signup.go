package identity

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// signUpPage is the form, or the word that sign-up is closed.
type signUpPage struct {
	Form   web.Form
	Closed bool
	Terms  int    // version that signing up accepts
	URL    string // where it can be read
}

func (p *pages) signUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if who.SignedIn() {
		return web.Redirect(w, r, "/")
	}
	return p.showSignUp(w, r, http.StatusOK, SignUp{}, nil)
}

func (p *pages) doSignUp(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	who := web.StrangerOf(r)
	in := SignUp{Email: v.Get("email"), Password: secretOf(v, "password"), Name: v.Get("name"), Network: who.ID, Agent: r.UserAgent(), Terms: number(v.Get("terms"))}
	flow, err := p.SignUp(r.Context(), who, in)
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showSignUp(w, r, status, in, f) })
	}
	web.SetCookie(w, FlowCookie, flow, p.Rules.Get().ConfirmTTL)
	tellAddress(w, in.Email)
	return web.Redirect(w, r, "/-/sign-up/sent")
}

func (p *pages) showSignUp(w http.ResponseWriter, r *http.Request, status int, in SignUp, f error) error {
	rules := p.Rules.Get()
	view := web.View{Title: "Sign up"}
	if rules.Open == "off" {
		return p.plain(w, r, status, "sign-up", web.View{Title: "Sign-up is closed", Data: signUpPage{Closed: true}})
	}
	email := emailField(in.Email)
	email.Focus = f == nil
	email.Hint = "We write to it once, to see that it is yours."
	if rules.Open == "domains" && len(rules.Domains) <= 5 {
		email.Hint = fmt.Sprintf("An address at %s. We write to it once, to see that it is yours.", orList(rules.Domains))
	}
	view.Data = signUpPage{Terms: rules.Terms, URL: p.TermsURL, Form: web.Form{Action: "/-/sign-up", Act: "Sign up", Fault: f, Hidden: []web.Pair{{Name: "terms", Value: strconv.Itoa(rules.Terms)}}, Other: &web.Link{Text: "I have an account", Href: "/-/sign-in"},
		Fields: []web.Field{
			email,
			{Name: "name", Label: "Your name, if you like", Value: in.Name, Complete: "name", Max: 100},
			p.newPassword("password", "Password"),
		}}}
	return p.plain(w, r, status, "sign-up", view)
}

// signUpSent is the same page for every address.
func (p *pages) signUpSent(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return p.plain(w, r, http.StatusOK, "sent", web.View{Title: "Check your mail", Data: sentPage{
		Says:  "A letter is on its way to the address you gave. Open the link in it to go on.",
		Lasts: spell(p.Rules.Get().ConfirmTTL), Again: web.Link{Text: "sign up again", Href: "/-/sign-up"}, Most: signUpMail.max}})
}

// sentPage says that a letter was sent, without saying which.
type sentPage struct {
	Says  string
	Lasts string   // how long its link works
	Again web.Link // for a letter that did not come
	Most  int64    // letters an hour to one address
}

// tellAddress repeats the address as typed on the next page, where a slip is seen.
func tellAddress(w http.ResponseWriter, email string) {
	if a, err := ParseAddress(email); err == nil {
		web.Tell(w, web.Notice{Says: "The address you gave: " + a.Text})
	}
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// confirmPage is a sign-up that waits for its confirmation.
type confirmPage struct {
	Form  secretForm
	NotMe web.Form
	Link  LinkInfo
}

func (p *pages) confirm(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return p.showConfirm(w, r, http.StatusOK, nil)
}

func (p *pages) doConfirm(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	who := web.StrangerOf(r)
	token := secret.NewText(r.PathValue("token"))
	if v.Get("act") == "decline" {
		if err := p.Decline(r.Context(), who, token); err != nil {
			return p.dead(w, r, err, ConfirmLink)
		}
		web.Tell(w, web.Notice{Says: "The sign-up was cancelled. No account was made."})
		return web.Redirect(w, r, "/-/sign-in")
	}
	err = p.Confirm(r.Context(), who, Confirm{Token: token, Password: secretOf(v, "password"), Flow: web.Cookie(r, FlowCookie)})
	switch {
	case errors.Is(err, fault.Gone):
		return p.dead(w, r, err, ConfirmLink)
	case err != nil:
		return p.refused(w, r, err, func(status int, f error) error { return p.showConfirm(w, r, status, f) })
	}
	web.ClearCookie(w, FlowCookie)
	web.Tell(w, web.Notice{Says: "Your address is confirmed. Sign in to begin."})
	return web.Redirect(w, r, "/-/sign-in")
}

// showConfirm asks for the password chosen at sign-up, unless this browser chose it.
func (p *pages) showConfirm(w http.ResponseWriter, r *http.Request, status int, f error) error {
	token := secret.NewText(r.PathValue("token"))
	info, err := p.ConfirmLink(r.Context(), web.StrangerOf(r), token, web.Cookie(r, FlowCookie))
	if err != nil {
		return p.dead(w, r, err, ConfirmLink)
	}
	here := "/-/confirm/" + token.Reveal()
	form := web.Form{Action: here, Act: "Confirm this address", Fault: f}
	if !info.Flow {
		form.Fields = []web.Field{{Name: "password", Label: "The password you chose", Type: "password", Complete: "current-password", Required: true, Focus: f == nil,
			Hint: "We ask because this is not the browser that signed up."}}
	}
	return p.plain(w, r, status, "confirm", web.View{Title: "Confirm your address", Data: confirmPage{Form: secretForm{form, info.Email}, Link: info,
		NotMe: web.Form{Action: here, Act: "It was not me", Quiet: true, Hidden: []web.Pair{{Name: "act", Value: "decline"}}}}})
}
