package identity

import (
	"errors"
	"net/http"
	"slices"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/passkey"
	"writ/internal/web"
)

const atPasskeys = "/-/account/passkeys"

// passkeyScript is the asset that talks to authenticators.
const passkeyScript = "passkey.js"

// passkeyForm is template "passkey-form": hidden until the script finds that the browser
// has passkeys.
type passkeyForm struct {
	Does    string // create, get
	Options string // where the script asks for the question
	Flow    string // of the sign-in it continues; "" = none
	Offer   bool   // offer passkeys where the address is typed
	Action  string
	Hidden  []web.Pair
	Fields  []web.Field
	Act     string
	Quiet   bool
}

// passkeyPages are the routes of passkeys.
func (p *pages) passkeyPages() []web.Route {
	own := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Enrolling, Handle: h}
	}
	return []web.Route{
		{Pattern: "POST /-/sign-in/passkey", Who: web.Anyone, Handle: p.doSignInPasskey},
		own("GET /-/account/passkeys", p.passkeyList),
		own("POST /-/account/passkeys", p.doAddPasskey),
		own("GET /-/account/passkeys/{id}", p.onePasskey),
		own("POST /-/account/passkeys/{id}", p.doRenamePasskey),
		own("POST /-/account/passkeys/{id}/remove", p.doRemovePasskey),
	}
}

// signInPasskey is the form beside that of the password; nil where there can be none.
// After a refusal the browser offers nothing by itself: it might offer the same again.
func (p *pages) signInPasskey(to string, refused error) *passkeyForm {
	if !p.Passkeys() {
		return nil
	}
	f := &passkeyForm{Does: "get", Options: "/-/api/v1/sign-in/passkey", Offer: refused == nil, Action: "/-/sign-in/passkey", Act: "Sign in with a passkey", Quiet: true}
	f.Hidden = toHidden(to)
	return f
}

func (p *pages) doSignInPasskey(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	token, to := secretOf(v, "flow"), v.Get("to")
	as, err := p.passkeyFrom(w, r, token, []byte(v.Get("credential")))
	if err == nil {
		return onward(w, r, as, to)
	}
	if errors.Is(err, fault.Conflict) {
		web.Tell(w, web.Notice{Says: "That took too long. Sign in from the beginning."})
		return web.Redirect(w, r, withTo("/-/sign-in", to))
	}
	return p.refused(w, r, err, func(status int, f error) error {
		if q, err := p.posed(r.Context(), token, toShow); err == nil && q.Flow != "" {
			return p.showFactorForm(w, r, status, FactorTOTP, to, f)
		}
		return p.showSignIn(w, r, status, "", to, f)
	})
}

// factorStep is the second step of a sign-in: a passkey where there is one, and the form
// for a code where there are codes.
type factorStep struct {
	Title   string
	Fault   error // where no form shows it
	Passkey *passkeyForm
	Form    *web.Form
	Other   *web.Link // where no form has it
}

// factorStep adds a passkey to the form that was made for the kind.
func (p *pages) factorStep(r *http.Request, form web.Form, kind, to string) factorStep {
	step := factorStep{Title: "Enter the code", Form: &form}
	token, bind := flowCookie(r)
	kinds := p.kindsOfFlow(r.Context(), token, bind)
	if kind == FactorRecovery || !slices.Contains(kinds, FactorPasskey) || !p.Passkeys() {
		return step
	}
	step.Title = "Use your passkey"
	return step.first(kinds, passkeyForm{Options: "/-/api/v1/sign-in/passkey", Flow: token.Reveal(), Action: "/-/sign-in/passkey", Hidden: toHidden(to)})
}

// first puts the passkey before the form for a code, or in its place where there is none.
func (step factorStep) first(kinds []string, f passkeyForm) factorStep {
	f.Does, f.Act = "get", "Use a passkey"
	step.Passkey = &f
	step.Form.Quiet, step.Form.Fields[0].Focus = true, false
	if !slices.Contains(kinds, FactorTOTP) {
		step.Other, step.Fault, step.Form = step.Form.Other, step.Form.Fault, nil
	}
	return step
}

const passkeyWords = "A passkey signs you in with your fingerprint, your face or a PIN. Your device keeps it, and it works at this site only, so nobody can trick you into giving it away."

// passkeysPage is the list and the form for one more.
type passkeysPage struct {
	List  []Passkey
	Add   *passkeyForm // nil when there are as many as there may be
	Most  int
	Site  bool // this site can have passkeys
	Alone bool // the session may do nothing else
	Says  string

	Others int // other sessions, which may be ended now
}

func (p *pages) passkeyList(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showPasskeys(w, r, who, http.StatusOK, typedPasskey{to: r.URL.Query().Get("to")})
}

// typedPasskey is what was typed of a new passkey, and what was wrong.
type typedPasskey struct {
	name, to string
	wrong    error
}

func (p *pages) showPasskeys(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, in typedPasskey) error {
	list, err := p.PasskeysOf(r.Context(), who)
	if err != nil {
		return err
	}
	d := passkeysPage{List: list, Most: passkey.MaxPerPerson, Site: p.Passkeys(), Alone: who.Kind == actor.Enrolling, Says: passkeyWords}
	if len(list) < d.Most && d.Site {
		d.Add = &passkeyForm{Does: "create", Options: "/-/api/v1/factors/passkey/options", Action: atPasskeys, Act: "Set up a passkey", Hidden: toHidden(in.to),
			Fields: fielded(in.wrong, web.Field{Name: "name", Label: "Name", Value: in.name, Complete: "off", Max: maxPasskeyName,
				Hint: "So that you know it again: “my phone”, “the blue key”. You may leave it empty."})}
	}
	if d.Others, err = p.others(r, who); err != nil {
		return err
	}
	v := ownView("Your passkeys", atSecurity, d)
	v.Fault, v.Scripts = in.wrong, []string{passkeyScript}
	if len(list) == 0 && d.Site {
		v.Lead = d.Says
	}
	if d.Alone {
		v.Title, v.Frame, v.Tabs, v.Up = "Set up a passkey", web.Plain, nil, &web.Link{Text: "Another factor", Href: withTo(atFactors, in.to)}
	}
	return p.set.Render(w, r, status, "passkeys", v)
}

// fielded gives a field what a fault says of it.
func fielded(err error, f web.Field) []web.Field {
	if err != nil {
		_, pub := fault.PublicOf(err)
		for _, x := range pub.Fields {
			if x.Name == f.Name {
				f.Error = x.Problem
			}
		}
	}
	return []web.Field{f}
}

func (p *pages) doAddPasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := typedPasskey{name: v.Get("name"), to: v.Get("to")}
	a, err := p.AddPasskeyFrom(w, r, who, AddPasskey{Flow: secretOf(v, "flow"), Credential: []byte(v.Get("credential")), Name: in.name})
	switch {
	case errors.Is(err, fault.Unauthenticated):
		return err
	case err != nil:
		return p.refused(w, r, err, func(status int, f error) error {
			in.wrong = f
			return p.showPasskeys(w, r, who, status, in)
		})
	case len(a.Codes) > 0:
		return p.showCodes(w, r, who, a.Codes, in.to, "The passkey is set up.")
	}
	web.Tell(w, web.Notice{Says: "The passkey “" + a.Name + "” is set up. We have sent you a letter about it."})
	return web.Redirect(w, r, withTo(atPasskeys, in.to))
}

// passkeyPage is one passkey: its name, and how to be rid of it.
type passkeyPage struct {
	Passkey
	Rename web.Form
	Remove web.Form
}

func (p *pages) onePasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showPasskey(w, r, who, http.StatusOK, "", nil)
}

func (p *pages) showPasskey(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, name string, f error) error {
	list, err := p.PasskeysOf(r.Context(), who)
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.ID != r.PathValue("id") {
			continue
		}
		if name == "" {
			name = k.Name
		}
		d := passkeyPage{Passkey: k,
			Rename: web.Form{Action: atPasskeys + "/" + k.ID, Act: "Rename it", Quiet: true,
				Fields: fielded(f, web.Field{Name: "name", Label: "Name", Value: name, Complete: "off", Required: true, Max: maxPasskeyName})},
			Remove: web.Form{Action: atPasskeys + "/" + k.ID + "/remove", Act: "Remove it",
				Loses: "This passkey stops working here at once. Remove it on your device as well, so that it is not offered any more."}}
		return p.set.Render(w, r, status, "passkey", web.View{Title: k.Name, Frame: web.Document, Up: &web.Link{Text: "Your passkeys", Href: atPasskeys}, Fault: f, Data: d})
	}
	return noPasskey()
}

func (p *pages) doRenamePasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := p.RenamePasskey(r.Context(), who, r.PathValue("id"), v.Get("name")); err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showPasskey(w, r, who, status, v.Get("name"), f) })
	}
	web.Tell(w, web.Notice{Says: "The passkey has its new name."})
	return web.Redirect(w, r, atPasskeys)
}

func (p *pages) doRemovePasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if _, err := web.ReadForm(r); err != nil {
		return err
	}
	if err := p.RemoveFactor(r.Context(), who, r.PathValue("id"), askingFrom(r)); err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showPasskey(w, r, who, status, "", f) })
	}
	web.Tell(w, web.Notice{Says: "The passkey is removed. We have sent you a letter about it."})
	return web.Redirect(w, r, atPasskeys)
}
