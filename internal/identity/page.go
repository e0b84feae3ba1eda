package identity

import (
	"embed"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

// pages are the HTML pages. They ask the same methods of Service as the JSON API and
// decide nothing themselves; each form is a POST, a redirect, and the page that says
// what happened.
type pages struct {
	*Service
	set *web.Pages
}

// Pages are the routes of the HTML pages: all of them work without JavaScript, and none
// says whether an address has an account.
func (s *Service) Pages() []web.Route {
	set, err := web.NewPages(pageFS, web.Funcs{Now: s.Now})
	if err != nil {
		panic(err) // the templates are embedded
	}
	p := &pages{Service: s, set: set}
	open := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Anyone, Handle: h}
	}
	return slices.Concat([]web.Route{
		open("GET /-/sign-in", p.signIn),
		open("POST /-/sign-in", p.doSignIn),
		{Pattern: "GET /-/sign-out", Who: web.Anyone, Support: true, Handle: p.signOut},
		{Pattern: "POST /-/sign-out", Who: web.Anyone, Support: true, Handle: p.doSignOut},
		open("GET /-/sign-up", p.signUp),
		open("POST /-/sign-up", p.doSignUp),
		open("GET /-/sign-up/sent", p.signUpSent),
		open("GET /-/confirm/{token}", p.confirm),
		open("POST /-/confirm/{token}", p.doConfirm),
		open("GET /-/forgot", p.forgot),
		open("POST /-/forgot", p.doForgot),
		open("GET /-/forgot/sent", p.forgotSent),
		open("GET /-/recover/{token}", p.keepToken(ResetLink)),
		open("GET /-/recover", p.showLink(ResetLink)),
		open("POST /-/recover", p.doLink(ResetLink)),
		open("GET /-/invite/{token}", p.keepToken(OwnerLink)),
		open("GET /-/invite", p.invite),
		open("POST /-/invite", p.doInvite),
		open("GET /.well-known/change-password", changePassword),
	},
		p.accountPages(),
		p.ownPages(),
		p.tokenPages(),
		p.factorPages(),
		p.supportPages(),
		p.passkeyPages(),
		p.teamPages(),
	)
}

// typed is a refusal to show beside its form, or nil where err is for the general page.
func (p *pages) typed(w http.ResponseWriter, r *http.Request, err error) *fault.Error {
	kind := fault.KindOf(err)
	if _, up := errors.AsType[*web.StepUp](err); up {
		return nil // leads to the page that asks for the proof
	}
	switch kind {
	case fault.Invalid, fault.Unauthenticated, fault.Denied, fault.Conflict, fault.Limited:
	case fault.Unavailable, fault.Sealed:
		p.Log.Error("refused on a page", "request_id", web.RequestID(r.Context()), "route", r.Pattern, "err", err)
	default:
		return nil
	}
	code, pub := fault.PublicOf(err)
	f := fault.New(kind, code, pub)
	f.Public.Expected = ""   // for programs; the labels and hints say it to people
	if len(pub.Fields) > 0 { // the fields say it all
		f.Public = fault.Public{Problem: "One field needs another look.", Fields: byField(pub.Fields)}
		if n := len(f.Public.Fields); n > 1 {
			f.Public.Problem = strconv.Itoa(n) + " fields need another look."
		}
	}
	if kind.Status() == http.StatusTooManyRequests || kind.Status() == http.StatusServiceUnavailable {
		f.RetryAfter = waitOf(err, kind)
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		f.Public.Next = p.when(f.RetryAfter)
	}
	if kind == fault.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="writ"`) // RFC 9110 §15.5.2 wants one; browsers pass over it
	}
	return f
}

// byField joins all that is wrong with a field, since one line stands beside it.
func byField(all []fault.Field) []fault.Field {
	var out []fault.Field
	for _, f := range all {
		i := slices.IndexFunc(out, func(o fault.Field) bool { return o.Name == f.Name })
		if i < 0 {
			out = append(out, f)
			continue
		}
		out[i].Problem += " " + f.Problem
	}
	return out
}

// waitOf is how long the client should wait, in whole seconds.
func waitOf(err error, kind fault.Kind) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.RetryAfter > 0 {
		return time.Duration(math.Ceil(e.RetryAfter.Seconds())) * time.Second
	}
	if kind == fault.Limited {
		return time.Minute
	}
	return 10 * time.Second
}

// when says when to try again, to the minute once it is more than one.
func (p *pages) when(wait time.Duration) string {
	if wait <= time.Minute {
		return fmt.Sprintf("Try again in %s.", web.Duration(wait))
	}
	wait = (wait + time.Minute - 1).Truncate(time.Minute)
	return fmt.Sprintf("Try again in %s, at %s UTC.", web.Duration(wait), p.Now().Add(wait).UTC().Format("15:04"))
}

// refused renders a form once more with what was wrong; an error that no form can show
// goes to the general page.
func (p *pages) refused(w http.ResponseWriter, r *http.Request, err error, render func(status int, f error) error) error {
	if f := p.typed(w, r, err); f != nil {
		return render(f.Kind.Status(), f)
	}
	return err
}

// plain renders a page of one column.
func (p *pages) plain(w http.ResponseWriter, r *http.Request, status int, name string, v web.View) error {
	v.Frame = web.Plain
	return p.set.Render(w, r, status, name, v)
}

// secretOf is a form value as a secret, so that it is never printed.
func secretOf(v url.Values, name string) secret.Text { return secret.NewText(v.Get(name)) }

// passwordHint says what a new password needs.
func (p *pages) passwordHint() string {
	return fmt.Sprintf("At least %d characters; a few words in a row are good.", max(p.Rules.Get().Min, 8))
}

// secretForm is template "secret-form": a form with a password, and the address that
// password managers keep it under.
type secretForm struct {
	Form  web.Form
	Email string
}

// newPassword is the field of every form that takes a new password.
func (p *pages) newPassword(name, label string) web.Field {
	return web.Field{Name: name, Label: label, Type: "password", Complete: "new-password", Required: true, Hint: p.passwordHint()}
}

// emailField is the address as somebody types it.
func emailField(value string) web.Field {
	return web.Field{Name: "email", Label: "E-mail address", Type: "email", Value: value, Complete: "username", Required: true, Max: maxAddress}
}

// changePassword is where password managers look (W3C "A Well-Known URL for Changing Passwords").
func changePassword(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
	w.Header().Set("Location", atSecurity+"#password")
	w.WriteHeader(http.StatusFound)
	return nil
}
