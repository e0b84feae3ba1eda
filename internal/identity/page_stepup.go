package identity

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"writ/internal/actor"
	"writ/internal/web"
)

const atStepUp = "/-/step-up"

// stepUp asks somebody who is signed in to show a factor anew, one that reaches the level
// that is asked, or the password where there is none and none is asked.
func (p *pages) stepUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	return p.showStepUp(w, r, who, http.StatusOK, wish{with: q.Get("with"), to: q.Get("to"), level: levelIn(q.Get("level"))})
}

// wish is what a step-up is for: where it leads, and what it must show.
type wish struct {
	with, to string
	level    int
	fault    error
}

// path is the page with the wish.
func (x wish) path() string { return web.StepUpPath(x.level, web.ReturnPath(x.to)) }

func (x wish) hidden(kind string) []web.Pair {
	out := append(toHidden(x.to), web.Pair{Name: "kind", Value: kind})
	if x.level > oneFactor {
		out = append(out, web.Pair{Name: "level", Value: strconv.Itoa(x.level)})
	}
	return out
}

// levelIn reads a level from an address or a form; anything unknown asks for no more than
// a fresh proof, and whoever wanted more asks again.
func levelIn(s string) int {
	switch s {
	case "2":
		return twoFactors
	case "3":
		return phishingResistant
	}
	return oneFactor
}

func (p *pages) doStepUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	sh := Shown{Kind: v.Get("kind"), Code: secretOf(v, "code"), Question: secretOf(v, "flow"), Credential: []byte(v.Get("credential"))}
	if _, err := p.stepUpFrom(w, r, who, sh); err != nil {
		return p.refused(w, r, err, func(status int, f error) error {
			return p.showStepUp(w, r, who, status, wish{with: sh.Kind, to: v.Get("to"), level: levelIn(v.Get("level")), fault: f})
		})
	}
	return web.Redirect(w, r, web.ReturnPath(v.Get("to")))
}

func (p *pages) showStepUp(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, x wish) error {
	kinds, err := p.kindsToShow(r.Context(), who.ID)
	if err != nil {
		return err
	}
	n, err := needOf(r.Context(), p.DB, p.Rules.Get(), who.ID)
	if err != nil {
		return err
	}
	if n.can() >= n.acr { // less than is asked of the person would be refused
		x.level = max(x.level, n.acr)
	}
	if reached(kinds) < x.level || x.level >= phishingResistant && !p.Passkeys() {
		return p.plain(w, r, status, "factor", web.View{Title: missing(x.level), Lead: "What you want to do asks for more than this account has set up.", Data: factorStep{
			Other: &web.Link{Text: "Set one up", Href: withTo(setUpAt(x.level), x.path())}}})
	}
	step := p.stepUpForms(enough(kinds, x.level), x)
	return p.plain(w, r, status, "factor", web.View{Title: "Is it you?", Lead: "What you want to do asks for a fresh proof. Then you come back to where you were.",
		Fault: step.Fault, Data: step, Scripts: []string{passkeyScript}})
}

// reached is the level that some kinds of factors reach.
func reached(kinds []string) int {
	n := need{enrolled: kinds}
	return n.can()
}

func missing(level int) string {
	if level >= phishingResistant {
		return "You need a passkey for this"
	}
	return "You need a second factor for this"
}

func setUpAt(level int) string {
	if level >= phishingResistant {
		return atPasskeys
	}
	return atFactors
}

// Raise is where somebody who acts shows what reaches a level, and comes back from; false
// when they have nothing that does.
func (s *Service) Raise(ctx context.Context, who actor.Actor, acr int, back string) (to string, ok bool) {
	if who.Kind != actor.Person || who.Session == "" || who.ByToken() || acr >= phishingResistant && !s.Passkeys() {
		return "", false
	}
	kinds, err := s.kindsToShow(ctx, who.ID)
	if err != nil {
		s.Log.Error("factors to raise a session with", "err", err)
		return "", false
	}
	return web.StepUpPath(acr, back), reached(kinds) >= acr
}

// stepUpForms offers what this person can show: a passkey first, then a code, and the
// password where there is no factor.
func (p *pages) stepUpForms(kinds []string, x wish) factorStep {
	kind := ShowPassword
	switch {
	case x.with == FactorRecovery && slices.Contains(kinds, FactorRecovery):
		kind = FactorRecovery
	case len(kinds) > 0:
		kind = FactorTOTP
	}
	form := web.Form{Action: atStepUp, Act: "Go on", Fault: x.fault, Hidden: x.hidden(kind), Fields: []web.Field{codeField(kind)}}
	form.Fields[0].Focus = x.fault == nil
	step := factorStep{Form: &form}
	switch kind {
	case FactorRecovery:
		form.Other = &web.Link{Text: "Go on another way", Href: x.path()}
		return step
	case ShowPassword:
		form.Other = &web.Link{Text: "Not now", Href: "/"}
		return step
	}
	form.Other = &web.Link{Text: "Not now", Href: "/"}
	if slices.Contains(kinds, FactorRecovery) {
		form.Other = &web.Link{Text: "Use a recovery code", Href: x.path() + "&with=" + FactorRecovery}
	}
	if slices.Contains(kinds, FactorPasskey) && p.Passkeys() {
		return step.first(kinds, passkeyForm{Options: "/-/api/v1/step-up/passkey", Action: atStepUp, Hidden: x.hidden(FactorPasskey)})
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
