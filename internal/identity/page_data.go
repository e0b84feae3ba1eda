package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// dataPage is what is held about a person, who looked, and how it ends.
type dataPage struct {
	Me      Person
	Staff   bool
	Looks   []Look
	Proof   bool // receipts of looks can be had
	Terms   Terms
	Letters []string
	LeftOut []LeftOut
	Leave   secretForm
	Ends    time.Time // of the account; zero when nobody asked
}

func (p *pages) data(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showData(w, r, who, http.StatusOK, nil)
}

func (p *pages) showData(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, f error) error {
	me, err := p.accountOf(r, who)
	if err != nil {
		return err
	}
	d := dataPage{Me: me, Staff: me.Kind == Staff, Proof: p.Proof != nil, Letters: noticesSent(), LeftOut: LeftOutOfCopy(),
		Leave: secretForm{Email: me.Email, Form: web.Form{Action: "/-/account/leave#leave", Act: "End my account", Quiet: true, Part: partLeave, Fault: f, Fields: []web.Field{presentPassword()}}}}
	if d.Terms, err = p.Service.Terms(r.Context(), who); err != nil {
		return err
	}
	if d.Looks, err = p.LookedAt(r.Context(), who); err != nil {
		return err
	}
	if d.Ends, _, err = p.Leaving(r.Context(), who); err != nil {
		return err
	}
	return p.set.Render(w, r, status, "data", ownView("My data", atData, d))
}

// noticesSent are the letters about an account that go out unasked.
func noticesSent() []string {
	return []string{
		"when a browser we have not seen signs in",
		"when your password is changed",
		"when a new password is set through a link",
		"when your address is changed",
		"when a second factor is added or removed",
		"when a recovery code is used",
		"when a token is made for you",
		"when our staff look as you",
		"when our operator makes a copy of your data",
		"when somebody tries to sign up with your address",
	}
}

// doExport answers with a file.
func (p *pages) doExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := p.OwnData(r.Context(), who)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode own data: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="my-data-`+d.Made.UTC().Format("2006-01-02")+`.json"`)
	_, err = w.Write(b)
	return err //nolint:wrapcheck // the reader went away
}

// doReceipt answers with the proof of a look.
func (p *pages) doReceipt(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return p.writeReceipt(w, r, who, v.Get("look"))
}

func (p *pages) doLeave(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	due, err := p.Leave(r.Context(), who, secretOf(v, "current"))
	if err != nil {
		return p.ownRefused(w, r, err, func(status int, f error) error { return p.showData(w, r, who, status, f) })
	}
	web.Tell(w, web.Notice{Says: "Your account ends on " + stamp(due) + ". Until then you can keep it."})
	return web.Redirect(w, r, atData+"#leave")
}

func (p *pages) doStay(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	err := p.Stay(r.Context(), who)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.Tell(w, web.Notice{Says: "Your account stays."})
	return web.Redirect(w, r, atData+"#leave")
}

// profilePage is who one is here.
type profilePage struct {
	Me      Person
	Team    string // name of the team; empty = their own
	Teams   []Membership
	Here    string // the id of the team one acts in
	Name    web.Form
	Address secretForm
	Waiting *AddressChange // of the address
}

// profileTry is a form of the profile that is shown once more, with what was typed.
type profileTry struct {
	part, typed string
	fault       error
}

func (t profileTry) of(part string) error {
	if t.part == part {
		return t.fault
	}
	return nil
}

func (p *pages) profile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showProfile(w, r, who, http.StatusOK, profileTry{})
}

func (p *pages) showProfile(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, again profileTry) error {
	me, err := p.accountOf(r, who)
	if err != nil {
		return err
	}
	d := profilePage{Me: me, Team: p.TeamName(r.Context(), who.Team), Here: who.Team}
	if d.Teams, err = p.Memberships(r.Context(), who, who.ID); err != nil {
		return err
	}
	name, email := me.Name, ""
	switch again.part {
	case partOwnName:
		name = again.typed
	case partAddress:
		email = again.typed
	}
	d.Name = web.Form{Action: "/-/account/name#name", Act: "Keep this name", Quiet: true, Part: partOwnName, Fault: again.of(partOwnName), Fields: []web.Field{
		{Name: "name", Label: "Name", Value: name, Complete: "name", Max: 100, Hint: "As your team and our staff see it. You may leave it empty."}}}
	d.Address = secretForm{Email: me.Email, Form: web.Form{Action: "/-/account/address#address", Act: "Send the letters", Quiet: true, Part: partAddress, Fault: again.of(partAddress), Fields: []web.Field{
		{Name: "email", Label: "New e-mail address", Type: "email", Value: email, Complete: "email", Required: true, Max: maxAddress}, presentPassword()}}}
	c, ok, err := p.WaitingAddress(r.Context(), who)
	if err != nil {
		return err
	}
	if ok {
		d.Waiting = &c
	}
	return p.set.Render(w, r, status, "profile", ownView("Profile", atProfile, d))
}

func (p *pages) doName(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := p.SetName(r.Context(), who, v.Get("name")); err != nil {
		return p.ownRefused(w, r, err, func(status int, f error) error {
			return p.showProfile(w, r, who, status, profileTry{partOwnName, v.Get("name"), f})
		})
	}
	web.Tell(w, web.Notice{Says: "Your name is kept."})
	return web.Redirect(w, r, atProfile)
}

func (p *pages) doAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	c, err := p.AskAddress(r.Context(), who, NewAddress{Email: v.Get("email"), Current: secretOf(v, "current"), Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if err != nil {
		return p.ownRefused(w, r, err, func(status int, f error) error {
			return p.showProfile(w, r, who, status, profileTry{partAddress, v.Get("email"), f})
		})
	}
	web.Tell(w, web.Notice{Says: fmt.Sprintf("We have sent a letter to both addresses. Yours becomes %s when both have agreed.", c.Email)})
	return web.Redirect(w, r, atProfile+"#address")
}

func (p *pages) doCancelAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	err := p.CancelAddress(r.Context(), who)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.Tell(w, web.Notice{Says: "Your address stays as it is."})
	return web.Redirect(w, r, atProfile+"#address")
}

// The forms of the account that can be shown once more.
const (
	partAddress = "address"
	partLeave   = "leave"
	partOwnName = "own-name"
)
