package identity

import (
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

const atDemand = atTeam + "/require"

// demandSays tells whoever is in a team what it asks of them.
var demandSays = map[string]string{
	DemandTwo:         "Everybody in this team signs in with a second factor.",
	PhishingResistant: "Everybody in this team signs in with a passkey.",
}

// demandForm chooses what the team demands. It leads to a page that says whom it meets.
func (p *pages) demandForm(now string, again teamTry) web.Form {
	if again.part == partDemand {
		now = again.typed.Get("demand")
	}
	f := web.Field{Name: "demand", Label: "At the sign-in", Type: "radio", Required: true, Options: []web.Option{
		{Value: DemandNone, Text: "Nothing more", Hint: "What the service itself asks, and what each member has set up."},
		{Value: DemandTwo, Text: "Two factors", Hint: "A password and a code, or a passkey."},
		{Value: PhishingResistant, Text: "A passkey", Hint: "Nobody can be led to give it away to a forged page."}}}
	if !p.Passkeys() {
		f.Options = f.Options[:2]
	}
	for i := range f.Options {
		f.Options[i].Chosen = f.Options[i].Value == now
	}
	return web.Form{Action: atDemand + "#demand", Act: "See whom it meets", Quiet: true, Part: partDemand, Fault: again.of(partDemand), Fields: []web.Field{f}}
}

// doRequire shows whom a demand meets, and saves it once that was seen.
func (p *pages) doRequire(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if v.Get("seen") == "" {
		if _, err := p.demandLevel(v.Get("demand")); err != nil {
			return p.teamRefused(w, r, who, teamTry{part: partDemand, typed: v}, err)
		}
		return web.Redirect(w, r, atDemand+"?demand="+v.Get("demand"))
	}
	d, err := p.Require(r.Context(), who, who.Team, v.Get("demand"))
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showDemand(w, r, who, status, v.Get("demand"), f) })
	}
	says := "The team asks for nothing more now."
	if d.Demand != DemandNone {
		says = demandSays[d.Demand] + " " + count(d.Lacking, "member who lacks it was told by mail.", "members who lack it were told by mail.")
	}
	return p.toTeam(w, r, "#demand", says)
}

// lookAtDemand says before anything is saved how many members lack what is demanded. A
// step-up leads back to it.
func (p *pages) lookAtDemand(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	word := r.URL.Query().Get("demand")
	level, err := p.demandLevel(word)
	if err != nil {
		return web.Redirect(w, r, atTeam+"#demand")
	}
	if ok, err := ownTeam(w, r, who); !ok {
		return err
	}
	if err := p.manageable(r.Context(), who, who.Team); err != nil {
		return err
	}
	if err := p.mayDemand(r.Context(), who, who.Team, level); err != nil { // asked here, so that nobody types twice
		return p.refused(w, r, err, func(status int, f error) error { return p.showDemand(w, r, who, status, word, f) })
	}
	return p.showDemand(w, r, who, http.StatusOK, word, nil)
}

func (p *pages) showDemand(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, word string, f error) error {
	d, err := p.LookAtDemand(r.Context(), who, who.Team, word)
	if err != nil {
		return err
	}
	form := web.Form{Action: atDemand, Act: "Ask it of the team", Fault: f, Hidden: []web.Pair{{Name: "demand", Value: word}, {Name: "seen", Value: "yes"}},
		Loses: DemandComes(d, p.Now()), Other: &web.Link{Text: "Leave it as it is", Href: atTeam + "#demand"}}
	title := "Ask for two factors"
	switch word {
	case PhishingResistant:
		title = "Ask for a passkey"
	case DemandNone:
		title, form.Act = "Ask for nothing more", "Ask for nothing more"
	}
	return p.plain(w, r, status, "require", web.View{Title: title, Data: form})
}

// DemandComes says what a demand comes to, for whoever is about to make it.
func DemandComes(d DemandSet, now time.Time) string {
	if d.Demand == DemandNone {
		return "Members sign in with what the service itself asks, and with what each of them has set up."
	}
	what := map[string]string{DemandTwo: "a second factor", PhishingResistant: "a passkey"}[d.Demand]
	if d.Lacking == 0 {
		return fmt.Sprintf("Each of the %d members has %s. Sessions that began with less end now.", d.Members, what)
	}
	says := fmt.Sprintf("%d of %d members %s %s yet. ", d.Lacking, d.Members, map[bool]string{true: "does not have", false: "do not have"}[d.Lacking == 1], what)
	if d.Grace.IsZero() {
		return says + "Their sessions end now, and at the next sign-in they set it up before anything else opens."
	}
	return says + fmt.Sprintf("They have %s to set it up, once; after that nothing else opens before they do.", web.Duration(d.Grace.Sub(now)))
}

// count is a number with its words.
func count(n int64, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
