package identity

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

func (p *pages) forgot(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return p.showForgot(w, r, http.StatusOK, "", nil)
}

// doForgot answers alike for every address that is one.
func (p *pages) doForgot(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	email, who := v.Get("email"), web.StrangerOf(r)
	if _, err = ParseAddress(email); err == nil {
		err = p.RequestRecovery(r.Context(), who, Forgotten{Email: email, Network: who.ID, Agent: r.UserAgent()})
	}
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showForgot(w, r, status, email, f) })
	}
	tellAddress(w, email)
	return web.Redirect(w, r, "/-/forgot/sent")
}

func (p *pages) showForgot(w http.ResponseWriter, r *http.Request, status int, email string, f error) error {
	field := emailField(email)
	field.Focus = f == nil
	return p.plain(w, r, status, "forgot", web.View{Title: "Set a new password", Lead: "We send a link to your address. Your password stays as it is until you use it.",
		Data: web.Form{Action: "/-/forgot", Act: "Send the link", Fault: f, Fields: []web.Field{field}, Other: &web.Link{Text: "Back to sign-in", Href: "/-/sign-in"}}})
}

func (p *pages) forgotSent(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return p.plain(w, r, http.StatusOK, "sent", web.View{Title: "Check your mail", Data: sentPage{
		Says:  "If there is an account for this address, a letter is on its way. Open the link in it to set a new password.",
		Lasts: spell(p.Rules.Get().ResetTTL), Again: web.Link{Text: "ask for another link", Href: "/-/forgot"}, Most: resetMail.max}})
}

// linkPages says where the token of a one-time link is kept and used. The token stands
// in an address once; the mark keeps a cookie of one kind from serving another.
var linkPages = map[LinkKind]struct{ path, mark string }{
	ResetLink: {"/-/recover", "reset."},
	OwnerLink: {"/-/invite", "invite."},
	NotMeLink: {"/-/not-me", "not-me."},
	// one page for both mailboxes
	OldAddressLink: {"/-/address", "address."},
}

// keepFor is how long the flow cookie holds a token; the link itself may end sooner.
const keepFor = time.Hour

// keepToken moves the token out of the address into the flow cookie, so that no
// history, log or referrer keeps it. It looks nothing up: opening a link has no effect.
func (p *pages) keepToken(kind LinkKind) web.Handler {
	at := linkPages[kind]
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
		token := r.PathValue("token")
		if len(token) > maxToken || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			token = "" // not one of ours, nor fit for a cookie
		}
		web.SetCookie(w, FlowCookie, secret.NewText(at.mark+token), keepFor)
		return web.Redirect(w, r, at.path)
	}
}

// keptToken is the token that keepToken put away; empty when the cookie is not there or
// of another kind.
func keptToken(r *http.Request, kind LinkKind) secret.Text {
	token, ok := strings.CutPrefix(web.Cookie(r, FlowCookie).Reveal(), linkPages[kind].mark)
	if !ok {
		return secret.Text{}
	}
	return secret.NewText(token)
}

func (p *pages) showLink(kind LinkKind) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
		return p.askPassword(w, r, kind, http.StatusOK, nil)
	}
}

func (p *pages) doLink(kind LinkKind) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
		v, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		return p.usePasswordLink(w, r, kind, secretOf(v, "new"))
	}
}

func (p *pages) usePasswordLink(w http.ResponseWriter, r *http.Request, kind LinkKind, password secret.Text) error {
	as, err := p.SetPasswordFrom(w, r, kind, keptToken(r, kind), password)
	switch {
	case errors.Is(err, fault.Gone):
		return p.dead(w, r, err, kind)
	case err != nil:
		return p.refused(w, r, err, func(status int, f error) error { return p.askPassword(w, r, kind, status, f) })
	}
	if as.Next == NextFactor {
		return onward(w, r, as, "")
	}
	web.ClearCookie(w, FlowCookie)
	says := "Your new password is set, and all sessions have ended. Sign in with it."
	if kind == OwnerLink {
		says = "Your password is set. Sign in with it."
	}
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, "/-/sign-in")
}

// passwordPage asks for a new password; password managers learn the address with it.
type passwordPage struct {
	Form secretForm
	Link LinkInfo
}

func (p *pages) askPassword(w http.ResponseWriter, r *http.Request, kind LinkKind, status int, f error) error {
	info, err := p.PasswordLink(r.Context(), web.StrangerOf(r), kind, keptToken(r, kind))
	if err != nil {
		return p.dead(w, r, err, kind)
	}
	field := p.newPassword("new", "New password")
	field.Focus = f == nil
	view := web.View{Title: "Set a new password"}
	form := web.Form{Action: linkPages[kind].path, Act: "Set the new password", Fault: f, Fields: []web.Field{field}}
	if kind == OwnerLink {
		view.Title, form.Act, form.Fields[0].Label = "Choose a password", "Set the password", "Password"
	}
	view.Data = passwordPage{Form: secretForm{form, info.Email}, Link: info}
	return p.plain(w, r, status, "password", view)
}

// deadPage says that a link does not work and what to do.
type deadPage struct {
	Kind  LinkKind
	Lasts string
	Lost  bool // there was no cookie: perhaps the browser keeps none
}

// dead answers a link that does not work; any other error passes.
func (p *pages) dead(w http.ResponseWriter, r *http.Request, err error, kind LinkKind) error {
	if !errors.Is(err, fault.Gone) {
		return p.refused(w, r, err, func(_ int, f error) error { return f })
	}
	lost := kind != ConfirmLink && keptToken(r, kind).IsZero()
	if kind != ConfirmLink && !lost {
		web.ClearCookie(w, FlowCookie)
	}
	return p.plain(w, r, http.StatusGone, "dead", web.View{Title: "This link does not work, or no longer",
		Data: deadPage{Kind: kind, Lasts: spell(p.Rules.Get().ttl(kind)), Lost: lost}})
}
