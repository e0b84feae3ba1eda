package identity

import (
	"errors"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// invitePage is an invitation as whoever holds its link sees it.
type invitePage struct {
	Invite InvitationInfo
	Form   secretForm
	Mine   string // the address somebody is signed in with
	Terms  int    // version that a new account accepts
	URL    string // where it can be read
}

// invite shows the invitation behind the kept link, or the page for the first password
// when the link is one that an operator handed over.
func (p *pages) invite(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showInvite(w, r, who, http.StatusOK, "", nil)
}

func (p *pages) showInvite(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, name string, f error) error {
	if who.Kind != actor.Person {
		who = web.StrangerOf(r)
	}
	info, err := p.OpenInvitation(r.Context(), who, keptToken(r, OwnerLink))
	if errors.Is(err, errNoInvitation) {
		return p.askPassword(w, r, OwnerLink, status, f)
	}
	if err != nil {
		return p.dead(w, r, err, OwnerLink)
	}
	d := invitePage{Invite: info, Terms: p.Rules.Get().Terms, URL: p.TermsURL}
	v := web.View{Title: "Join a team"}
	if info.Team != "" {
		v.Title = "Join " + info.Team
	}
	form := web.Form{Action: linkPages[OwnerLink].path, Fault: f}
	switch info.Needs {
	case NeedsAccount:
		form.Act = "Make the account and join"
		form.Fields = []web.Field{{Name: "name", Label: "Your name, if you like", Value: name, Complete: "name", Max: 100, Focus: f == nil}, p.newPassword("password", "Password")}
	case NeedsYes:
		form.Act = "Join the team"
	case NeedsSignIn:
		form = web.Form{Action: "/-/sign-in", Method: "get", Act: "Sign in to accept", Hidden: []web.Pair{{Name: "to", Value: linkPages[OwnerLink].path}}, Fault: f}
	case NeedsOther:
		form = web.Form{Action: "/-/sign-out", Act: "Sign out", Quiet: true, Other: &web.Link{Text: "Stay signed in", Href: "/"}, Fault: f}
		d.Mine = p.Email(r.Context(), who.ID)
	}
	d.Form = secretForm{form, info.Email}
	v.Data = d
	return p.plain(w, r, status, "invite", v)
}

func (p *pages) doInvite(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	out, err := p.AcceptFrom(w, r, who, Accept{Token: keptToken(r, OwnerLink), Name: v.Get("name"), Password: secretOf(v, "password")})
	switch {
	case errors.Is(err, errNoInvitation):
		return p.usePasswordLink(w, r, OwnerLink, secretOf(v, "new"))
	case errors.Is(err, fault.Gone):
		return p.dead(w, r, err, OwnerLink)
	case err != nil:
		return p.refused(w, r, err, func(status int, f error) error { return p.showInvite(w, r, who, status, v.Get("name"), f) })
	}
	web.ClearCookie(w, FlowCookie)
	if out.New || who.Kind != actor.Person {
		web.Tell(w, web.Notice{Says: "You are in the team. Sign in to begin."})
		return web.Redirect(w, r, "/-/sign-in")
	}
	web.Tell(w, web.Notice{Says: "You are in the team."})
	return web.Redirect(w, r, atProfile+"#teams")
}
