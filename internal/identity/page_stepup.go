package identity

import (
	"net/http"
	"slices"

	"writ/internal/actor"
	"writ/internal/web"
)

const atStepUp = "/-/step-up"

// stepUp asks somebody who is signed in to show a factor anew, or the password where
// there is none.
func (p *pages) stepUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showStepUp(w, r, who, http.StatusOK, r.URL.Query().Get("with"), r.URL.Query().Get("to"), nil)
}

func (p *pages) doStepUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	sh := Shown{Kind: v.Get("kind"), Code: secretOf(v, "code"), Question: secretOf(v, "flow"), Credential: []byte(v.Get("credential"))}
	if _, err := p.stepUpFrom(w, r, who, sh); err != nil {
		return p.refused(w, r, err, func(status int, f error) error {
			return p.showStepUp(w, r, who, status, sh.Kind, v.Get("to"), f)
		})
	}
	return web.Redirect(w, r, web.ReturnPath(v.Get("to")))
}

func (p *pages) showStepUp(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, with, to string, f error) error {
	kinds, err := p.kindsToShow(r.Context(), who.ID)
	if err != nil {
		return err
	}
	step := p.stepUpForms(kinds, with, to, f)
	return p.plain(w, r, status, "factor", web.View{Title: "Is it you?", Lead: "What you want to do asks for a fresh proof. Then you come back to where you were.",
		Fault: step.Fault, Data: step, Scripts: []string{passkeyScript}})
}

// stepUpForms offers what this person can show: a passkey first, then a code, and the
// password where there is no factor.
func (p *pages) stepUpForms(kinds []string, with, to string, f error) factorStep {
	kind := ShowPassword
	switch {
	case with == FactorRecovery && slices.Contains(kinds, FactorRecovery):
		kind = FactorRecovery
	case len(kinds) > 0:
		kind = FactorTOTP
	}
	form := web.Form{Action: atStepUp, Act: "Go on", Fault: f, Hidden: append(toHidden(to), web.Pair{Name: "kind", Value: kind}), Fields: []web.Field{codeField(kind)}}
	form.Fields[0].Focus = f == nil
	step := factorStep{Form: &form}
	switch kind {
	case FactorRecovery:
		form.Other = &web.Link{Text: "Go on another way", Href: withTo(atStepUp, to)}
		return step
	case ShowPassword:
		form.Other = &web.Link{Text: "Not now", Href: "/"}
		return step
	}
	form.Other = &web.Link{Text: "Use a recovery code", Href: withTo(atStepUp, to) + sepOf(to) + "with=" + FactorRecovery}
	if slices.Contains(kinds, FactorPasskey) && p.Passkeys() {
		return step.first(kinds, passkeyForm{Options: "/-/api/v1/step-up/passkey", Action: atStepUp, Hidden: append(toHidden(to), web.Pair{Name: "kind", Value: FactorPasskey})})
	}
	return step
}

// codeField is the field for what is shown, by its kind.
func codeField(kind string) web.Field {
	switch kind {
	case FactorRecovery:
		return web.Field{Name: "code", Label: "Recovery code", Hint: "One of the ten that you kept. Each works once.", Complete: "off", Required: true, Max: maxRecovery}
	case ShowPassword:
		return web.Field{Name: "code", Label: "Password", Type: "password", Complete: "current-password", Required: true}
	}
	return web.Field{Name: "code", Label: "Code from your app", Hint: "Six digits. A new one comes every 30 seconds.", Complete: "one-time-code", Mode: "numeric", Required: true, Max: maxRecovery}
}
