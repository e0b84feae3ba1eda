package identity

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// tokensPage is what a person sees of the programs that act for them.
type tokensPage struct {
	Shown  *web.Code // the new token, this once
	Tokens []Token
	New    web.Form
	Most   string
}

// tokenPages are reached by people alone: no route of theirs takes tokens.
func (p *pages) tokenPages() []web.Route {
	own := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h}
	}
	return []web.Route{
		own("GET /-/account/tokens", p.tokens),
		own("POST /-/account/tokens", p.doIssue),
		own("POST /-/account/tokens/end", p.doRevoke),
	}
}

func (p *pages) tokens(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showTokens(w, r, who, http.StatusOK, nil, nil, nil)
}

func (p *pages) showTokens(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, typed url.Values, shown *web.Code, f error) error {
	if err := humanNeeded(who); err != nil {
		return err
	}
	list, err := p.Tokens(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	rules := p.Rules.Get()
	days := strconv.Itoa(int(rules.TokenDefault / (24 * time.Hour)))
	if typed.Has("days") {
		days = typed.Get("days")
	}
	d := tokensPage{Shown: shown, Tokens: list, Most: web.Duration(rules.TokenMax), New: web.Form{Action: "/-/account/tokens", Act: "Make the token", Fault: f, Fields: []web.Field{
		{Name: "name", Label: "Name", Value: typed.Get("name"), Hint: "So that you know it again, such as: laptop, nightly export.", Required: true, Max: 100, Complete: "off"},
		{Name: "scopes", Label: "Scopes", Value: typed.Get("scopes"), Hint: "What it may be used for, with spaces between, such as: orders:read orders:write.", Required: true, Complete: "off"},
		{Name: "days", Label: "Days until it ends", Value: days, Mode: "numeric", Required: true, Complete: "off"},
		{Name: "networks", Label: "Networks it works from", Value: typed.Get("networks"), Hint: "Addresses or prefixes such as 203.0.113.0/24. Empty: from anywhere.", Complete: "off"},
	}}}
	return p.set.Render(w, r, status, "tokens", ownView("Tokens for programs", atAccess, d))
}

func (p *pages) doIssue(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	days, err := strconv.Atoi(strings.TrimSpace(v.Get("days")))
	if err != nil || days < 1 || days > 366 {
		days = 367 // refused with the others
	}
	made, err := p.IssueToken(r.Context(), who, NewToken{Name: v.Get("name"), Scopes: strings.Fields(v.Get("scopes")), Life: time.Duration(days) * 24 * time.Hour,
		Networks: strings.Fields(strings.ReplaceAll(v.Get("networks"), ",", " ")), Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if errors.Is(err, fault.Unauthenticated) {
		return err
	}
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showTokens(w, r, who, status, v, nil, f) })
	}
	shown := &web.Code{Label: "This is the token. It is shown this once: keep it where secrets are kept.", Text: made.Text.Reveal()}
	return p.showTokens(w, r, who, http.StatusOK, url.Values{}, shown, nil)
}

func (p *pages) doRevoke(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	says := "The token is ended. Its next use is refused."
	if err := p.RevokeToken(r.Context(), who, v.Get("token")); errors.Is(err, fault.NotFound) { // ended meanwhile is ended
		says = "There was no such token any more."
	} else if err != nil {
		return err
	}
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, "/-/account/tokens")
}
