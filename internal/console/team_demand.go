package console

import (
	"net/http"
	"net/url"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/web"
)

// demandForm chooses what a team asks of its people at the sign-in. It leads to a page that
// says whom it meets.
func (c *Console) demandForm(at, now string, fault error) *web.Form {
	f := web.Field{Name: "demand", Label: "At the sign-in", Type: "radio", Required: true, Options: []web.Option{
		{Value: identity.DemandNone, Text: "Nothing more", Hint: "What the policy asks, and what each member has set up."},
		{Value: identity.DemandTwo, Text: "Two factors", Hint: "A password and a code, or a passkey."}}}
	if c.Identity.Passkeys() {
		f.Options = append(f.Options, web.Option{Value: identity.PhishingResistant, Text: "A passkey", Hint: "Nobody can be led to give it away to a forged page."})
	}
	for i := range f.Options {
		f.Options[i].Chosen = f.Options[i].Value == now
	}
	return &web.Form{Action: at + "/demand#demand", Act: "See whom it meets", Quiet: true, Part: "demand", Fault: fault, Fields: []web.Field{f}}
}

// showDemand says before anything is saved how many members lack what is demanded.
func (c *Console) showDemand(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.demandPage(w, r, who, r.URL.Query().Get("demand"), nil)
}

func (c *Console) demandPage(w http.ResponseWriter, r *http.Request, who actor.Actor, word string, fault error) error {
	team, err := c.Identity.Team(r.Context(), who, r.PathValue("team"))
	if err != nil {
		return err
	}
	d, err := c.Identity.LookAtDemand(r.Context(), who, team.ID, word)
	if err != nil {
		return err
	}
	at, st := teamHref(team.ID), http.StatusOK
	if fault != nil {
		st = status(fault)
	}
	title := map[string]string{identity.DemandNone: "Ask for nothing more", identity.DemandTwo: "Ask for two factors", identity.PhishingResistant: "Ask for a passkey"}[d.Demand]
	form := web.Form{Action: at + "/demand", Act: title, Fault: fault, Hidden: []web.Pair{{Name: "demand", Value: d.Demand}, {Name: "seen", Value: "yes"}},
		Loses: identity.DemandComes(d, c.Identity.Now()), Other: &web.Link{Text: "Leave it as it is", Href: at + "#demand"}}
	return c.answer(w, r, st, "one", web.View{Title: title, Up: &web.Link{Text: teamCalled(&team), Href: at}, Data: form})
}

// saveDemand saves a demand once it was seen whom it meets.
func (c *Console) saveDemand(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	team, word := r.PathValue("team"), f.Get("demand")
	if f.Get("seen") == "" {
		if _, err := c.Identity.LookAtDemand(r.Context(), who, team, word); err != nil {
			if !formed(err) {
				return err
			}
			return c.teamPage(w, r, who, teamTries{demand: err, typed: f})
		}
		return web.Redirect(w, r, teamHref(team)+"/demand?"+url.Values{"demand": {word}}.Encode())
	}
	d, err := c.Identity.Require(r.Context(), who, team, word)
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.demandPage(w, r, who, word, err)
	}
	says := "The team asks for nothing more now."
	if d.Demand != identity.DemandNone {
		says = "The team asks for it now. " + web.Count(d.Ended, "session") + " below it ended; " + web.Count(d.Lacking, "member") + " without it were told by mail."
	}
	return c.done(w, r, teamHref(team)+"#demand", says)
}
