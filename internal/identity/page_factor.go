package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// factorPages are the second step of a sign-in and the pages on which people look after
// their factors. All work without JavaScript.
func (p *pages) factorPages() []web.Route {
	enrol := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Enrolling, Handle: h}
	}
	return []web.Route{
		{Pattern: "GET /-/sign-in/factor", Who: web.Anyone, Handle: p.factor},
		{Pattern: "POST /-/sign-in/factor", Who: web.Anyone, Handle: p.doFactor},
		{Pattern: "GET /-/step-up", Who: web.SignedIn, Handle: p.stepUp},
		{Pattern: "POST /-/step-up", Who: web.SignedIn, Handle: p.doStepUp},
		enrol("GET /-/account/factors", p.factors),
		enrol("GET /-/account/factors/totp", toFactors),
		enrol("POST /-/account/factors/totp", p.doTOTP),
		enrol("GET /-/account/factors/totp/confirm", toFactors),
		enrol("POST /-/account/factors/totp/confirm", p.doConfirmTOTP),
		enrol("GET /-/account/factors/picture/{name}", p.picture),
		{Pattern: "GET /-/account/factors/codes", Who: web.SignedIn, Handle: toFactors},
		{Pattern: "POST /-/account/factors/codes", Who: web.SignedIn, Handle: p.doCodes},
		{Pattern: "GET /-/account/factors/remove", Who: web.SignedIn, Handle: p.removeFactor},
		{Pattern: "POST /-/account/factors/remove", Who: web.SignedIn, Handle: p.doRemoveFactor},
	}
}

// toFactors leads from the address of a form's answer back to the page.
func toFactors(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return web.Redirect(w, r, atFactors)
}

const (
	atFactors = "/-/account/factors"
	atFactor  = "/-/sign-in/factor"
)

// withTo adds where to go in the end to the address of a step.
func withTo(path, to string) string {
	if to = web.ReturnPath(to); to == "/" {
		return path
	}
	return path + "?to=" + url.QueryEscape(to)
}

// factor asks for the second factor.
func (p *pages) factor(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if token, _ := flowCookie(r); token.IsZero() {
		return web.Redirect(w, r, withTo("/-/sign-in", r.URL.Query().Get("to")))
	}
	kind := FactorTOTP
	if r.URL.Query().Get("with") == FactorRecovery {
		kind = FactorRecovery
	}
	return p.showFactorForm(w, r, http.StatusOK, kind, r.URL.Query().Get("to"), nil)
}

func (p *pages) doFactor(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	token, bind := flowCookie(r)
	as, err := p.proceedFrom(w, r, token, bind, Shown{Kind: v.Get("kind"), Code: secretOf(v, "code")}, v.Get("remember") == "on")
	to := v.Get("to")
	switch {
	case errors.Is(err, fault.Conflict), errors.Is(err, fault.Gone):
		web.ClearCookie(w, FlowCookie)
		web.Tell(w, web.Notice{Says: "That took too long, or was tried too often. Sign in from the beginning."})
		return web.Redirect(w, r, withTo("/-/sign-in", to))
	case err != nil:
		return p.refused(w, r, err, func(status int, f error) error { return p.showFactorForm(w, r, status, v.Get("kind"), to, f) })
	}
	return onward(w, r, as, to)
}

// onward leads to what a step of a sign-in came to.
func onward(w http.ResponseWriter, r *http.Request, as SignedInAs, to string) error {
	switch as.Next {
	case NextFactor:
		return web.Redirect(w, r, withTo(atFactor, to))
	case NextSignIn:
		web.Tell(w, web.Notice{Says: "Your new password is set, and all sessions have ended. Sign in with it."})
		return web.Redirect(w, r, "/-/sign-in")
	case NextEnrol:
		return web.Redirect(w, r, withTo(atFactors, to))
	}
	return web.Redirect(w, r, web.ReturnPath(to))
}

func (p *pages) showFactorForm(w http.ResponseWriter, r *http.Request, status int, kind, to string, f error) error {
	form := web.Form{Action: atFactor, Act: "Go on", Fault: f, Hidden: []web.Pair{{Name: "kind", Value: kind}}}
	field := codeField(kind)
	field.Focus = f == nil
	form.Other = &web.Link{Text: "Use a recovery code", Href: withTo(atFactor, to) + sepOf(to) + "with=" + FactorRecovery}
	if kind == FactorRecovery {
		form.Other = &web.Link{Text: "Use the app", Href: withTo(atFactor, to)}
	}
	if to = web.ReturnPath(to); to != "/" {
		form.Hidden = append(form.Hidden, web.Pair{Name: "to", Value: to})
	}
	form.Fields = []web.Field{field}
	lead := "One more step: show that it is you."
	if token, bind := flowCookie(r); slices.Equal(p.kindsOfFlow(r.Context(), token, bind), []string{FactorPasskey}) {
		kind, form.Other = FactorPasskey, nil
		lead = "This account opens with a passkey only. If yours is lost, ask whoever looks after your account to take it away."
	}
	if age := p.Rules.Get().RememberDevice; age > 0 {
		form.Fields = append(form.Fields, web.Field{Name: "remember", Type: "checkbox", Label: "Do not ask in this browser for " + web.Duration(age), Hint: "Only in a browser that is yours alone. Staff are asked each time."})
	}
	step := p.factorStep(r, form, kind, to)
	return p.plain(w, r, status, "factor", web.View{Title: step.Title, Lead: lead, Fault: step.Fault, Data: step, Scripts: []string{passkeyScript}})
}

func sepOf(to string) string {
	if web.ReturnPath(to) == "/" {
		return "?"
	}
	return "&"
}

// factorsPage is what a person sees of their factors.
type factorsPage struct {
	Factors
	Enrolling bool
	First     bool // there is none yet
	To        string
	Add       web.Form
	Codes     web.Form
	Passkeys  string // where they are set up; "" where there can be none
	Left      string // of the grace
	Others    int    // other sessions, which may be ended now
}

// Passkey reports whether nothing but a passkey will do, and there is none yet.
func (d factorsPage) Passkey() bool { return d.Level >= phishingResistant && d.Lacking }

func (p *pages) factors(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	fs, err := p.MyFactors(r.Context(), who)
	if err != nil {
		return err
	}
	to := web.ReturnPath(r.URL.Query().Get("to"))
	d := factorsPage{Factors: fs, Enrolling: who.Kind == actor.Enrolling, First: len(fs.Factors) == 0, To: to}
	d.Add = web.Form{Action: atFactors + "/totp", Act: "Set up an app", Quiet: !d.First, Hidden: toHidden(to)}
	if p.Passkeys() {
		d.Passkeys = withTo(atPasskeys, to)
	}
	d.Codes = web.Form{Action: atFactors + "/codes", Act: "Make new recovery codes", Quiet: true}
	if !fs.Grace.IsZero() {
		d.Left = web.Duration(fs.Grace.Sub(p.Now()).Truncate(time.Minute))
	}
	if d.Others, err = p.others(r, who); err != nil {
		return err
	}
	v := ownView("Second factor", atSecurity, d)
	if d.Enrolling {
		v.Frame, v.Tabs, v.Title = web.Plain, nil, "Set up a second factor"
		if d.Passkey() {
			v.Title = "Set up a passkey"
		}
	}
	return p.set.Render(w, r, http.StatusOK, "factors", v)
}

func toHidden(to string) []web.Pair {
	if to = web.ReturnPath(to); to == "/" {
		return nil
	}
	return []web.Pair{{Name: "to", Value: to}}
}

// totpPage shows a seed, as a picture and as text, and asks for its first code.
type totpPage struct {
	Picture string
	Secret  string
	Form    web.Form
}

func (p *pages) doTOTP(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	g, err := p.BeginTOTP(r.Context(), who)
	if err != nil {
		return err
	}
	return p.showTOTP(w, r, http.StatusOK, g, v.Get("to"), "", nil)
}

func (p *pages) showTOTP(w http.ResponseWriter, r *http.Request, status int, g Generator, to, name string, f error) error {
	d := totpPage{Picture: atFactors + "/picture/" + g.Picture.Reveal(), Secret: g.Secret.Reveal()}
	d.Form = web.Form{Action: atFactors + "/totp/confirm", Act: "Turn it on", Fault: f, Hidden: append(toHidden(to), web.Pair{Name: "id", Value: g.ID}),
		Other: &web.Link{Text: "Not now", Href: withTo(atFactors, to)}, Fields: []web.Field{
			{Name: "code", Label: "Code that the app shows", Complete: "one-time-code", Mode: "numeric", Required: true, Max: 16, Focus: f == nil},
			{Name: "name", Label: "Name of the app or device", Hint: "So that you know it again. You may leave it empty.", Value: name, Max: 100},
		}}
	return p.plain(w, r, status, "totp", web.View{Title: "Set up an authenticator app", Data: d})
}

func (p *pages) doConfirmTOTP(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := confirmTOTPIn{ID: v.Get("id"), Code: secretOf(v, "code"), Name: v.Get("name")}
	c, err := p.confirmFrom(w, r, who, in)
	switch {
	case errors.Is(err, fault.Conflict):
		web.Tell(w, web.Notice{Says: "That took longer than 10 minutes. Begin once more."})
		return web.Redirect(w, r, withTo(atFactors, v.Get("to")))
	case err != nil:
		return p.refused(w, r, err, func(status int, f error) error {
			g, err := p.AgainTOTP(r.Context(), who, in.ID)
			if err != nil {
				return err
			}
			return p.showTOTP(w, r, status, g, v.Get("to"), in.Name, f)
		})
	case len(c.Codes) > 0:
		return p.showCodes(w, r, who, c.Codes, v.Get("to"), "The app is set up.")
	}
	web.Tell(w, web.Notice{Says: "The app is set up. We have sent you a letter about it."})
	return web.Redirect(w, r, atFactors)
}

// picture is the QR code, once.
func (p *pages) picture(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	b, err := p.PictureTOTP(r.Context(), who, secret.NewText(r.PathValue("name")))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/png")
	_, err = w.Write(b)
	return err
}

// codesPage shows recovery codes, this once.
type codesPage struct {
	Codes  []string
	To     string
	Says   string
	Others int
}

func (p *pages) showCodes(w http.ResponseWriter, r *http.Request, who actor.Actor, codes []secret.Text, to, says string) error {
	n, err := p.others(r, who)
	if err != nil {
		return err
	}
	return p.plain(w, r, http.StatusOK, "codes", web.View{Title: "Keep these recovery codes", Data: codesPage{revealed(codes), web.ReturnPath(to), says, n}})
}

func (p *pages) doCodes(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	codes, err := p.NewRecoveryCodes(r.Context(), who, askingFrom(r))
	if err != nil {
		return err
	}
	return p.showCodes(w, r, who, codes, atFactors, "The former codes do not work any more.")
}

// removeFactor asks before it takes a factor away.
func (p *pages) removeFactor(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showRemove(w, r, who, http.StatusOK, r.URL.Query().Get("id"), nil)
}

func (p *pages) showRemove(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, id string, f error) error {
	fs, err := p.MyFactors(r.Context(), who)
	if err != nil {
		return err
	}
	for _, x := range fs.Factors {
		if x.ID == id {
			return p.plain(w, r, status, "remove-factor", web.View{Title: "Remove a factor", Data: web.Form{Action: atFactors + "/remove", Act: "Remove it", Fault: f,
				Hidden: []web.Pair{{Name: "id", Value: id}}, Loses: fmt.Sprintf("“%s” no longer works for signing in.", x.Name), Other: &web.Link{Text: "Keep it", Href: atFactors}}})
		}
	}
	return web.Redirect(w, r, atFactors)
}

func (p *pages) doRemoveFactor(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := p.RemoveFactor(r.Context(), who, v.Get("id"), askingFrom(r)); err != nil && !errors.Is(err, fault.NotFound) {
		return p.refused(w, r, err, func(status int, f error) error { return p.showRemove(w, r, who, status, v.Get("id"), f) })
	}
	web.Tell(w, web.Notice{Says: "The factor is removed. We have sent you a letter about it."})
	return web.Redirect(w, r, atFactors)
}

// factorWords says in a sentence how an account stands with factors.
func (p *pages) factorWords(fs Factors) string {
	switch n := len(fs.Factors); {
	case n > 0 && fs.Lacking && !fs.Grace.IsZero():
		return fmt.Sprintf("A passkey is not set up yet. This account needs one within %s.", web.Duration(fs.Grace.Sub(p.Now()).Truncate(time.Minute)))
	case n == 1:
		return "One is set up. It is asked for at each sign-in."
	case n > 1:
		return fmt.Sprintf("%d are set up. One of them is asked for at each sign-in.", n)
	case !fs.Grace.IsZero():
		return fmt.Sprintf("None is set up yet. This account needs one within %s.", web.Duration(fs.Grace.Sub(p.Now()).Truncate(time.Minute)))
	}
	return "None is set up. With one, a stolen password is not enough."
}
