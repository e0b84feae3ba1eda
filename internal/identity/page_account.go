package identity

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// accountPage is what a person sees of their own account.
type accountPage struct {
	Me       Person
	Team     string // name of the team; "" = their own
	Password secretForm
	Sessions []sessionRow
	Others   int
	Idle     string // how long a session lasts unused
	Whole    string // and altogether
	Letters  []string
	Address  secretForm
	Waiting  *AddressChange // of the address
	Leave    secretForm
	Ends     time.Time // of the account; zero when nobody asked
	Staff    bool
	Factors  string // how many, in a sentence

	Elsewhere bool // other providers may sign people in
}

type sessionRow struct {
	Session
	Browser string
	Here    bool
}

// toAccount leads from the address of a form's answer back to the page.
func toAccount(part string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
		return web.Redirect(w, r, "/-/account"+part)
	}
}

func (p *pages) account(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showAccount(w, r, who, http.StatusOK, refusedForm{})
}

func (p *pages) showAccount(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, again refusedForm) error {
	if who.Kind != actor.Person {
		return fault.New(fault.Denied, "no_account", fault.Public{Problem: "This page is for people.", Next: "Sign in with an address and a password."})
	}
	me, err := p.Me(r.Context(), who)
	if err != nil {
		return err
	}
	list, err := p.Sessions(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	rules := p.Rules.Get()
	staff := me.Kind == Staff
	d := accountPage{Me: me, Team: p.TeamName(r.Context(), who.Team),
		Idle: web.Duration(rules.idle(staff)), Whole: web.Duration(rules.absolute(staff)), Letters: noticesSent()}
	if d.Factors, err = p.factorWords(r, who); err != nil {
		return err
	}
	for _, x := range list {
		row := sessionRow{Session: x, Browser: capital(browser(x.Agent)), Here: x.ID == who.Session}
		if !row.Here {
			d.Others++
		}
		d.Sessions = append(d.Sessions, row)
	}
	d.Elsewhere = p.Ways != nil && len(p.Ways("/")) > 0
	if err := p.accountForms(r, who, &d, again); err != nil {
		return err
	}
	v := web.View{Title: "Your account", Frame: web.Document, Data: d}
	return p.set.Render(w, r, status, "account", v)
}

// accountForms makes the forms of the page; what was refused stands beside its own.
func (p *pages) accountForms(r *http.Request, who actor.Actor, d *accountPage, again refusedForm) error {
	of := func(part string) error {
		if part == again.part {
			return again.fault
		}
		return nil
	}
	present := web.Field{Name: "current", Label: "Present password", Type: "password", Complete: "current-password", Required: true}
	d.Password = secretForm{Email: d.Me.Email, Form: web.Form{Action: "/-/account/password#password", Act: "Change the password", Fault: of(partPassword),
		Fields: []web.Field{present, p.newPassword("new", "New password")}}}
	d.Address = secretForm{Email: d.Me.Email, Form: web.Form{Action: "/-/account/address#address", Act: "Send the letters", Quiet: true, Part: partAddress, Fault: of(partAddress), Fields: []web.Field{
		{Name: "email", Label: "New e-mail address", Type: "email", Value: again.email, Complete: "email", Required: true, Max: maxAddress}, present}}}
	d.Leave = secretForm{Email: d.Me.Email, Form: web.Form{Action: "/-/account/leave#leave", Act: "End my account", Quiet: true, Part: partLeave, Fault: of(partLeave), Fields: []web.Field{present}}}
	c, ok, err := p.WaitingAddress(r.Context(), who)
	if err != nil {
		return err
	}
	if ok {
		d.Waiting = &c
	}
	d.Staff = d.Me.Kind == Staff
	d.Ends, _, err = p.Leaving(r.Context(), who)
	return err
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
		"when somebody tries to sign up with your address",
	}
}

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

func (p *pages) doPassword(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	ended, err := p.ChangePasswordFrom(w, r, who, secretOf(v, "current"), secretOf(v, "new"))
	if err != nil {
		return p.accountRefused(w, r, who, refusedForm{part: partPassword}, err)
	}
	says := "Your password is changed."
	if ended > 0 {
		says += fmt.Sprintf(" %s ended.", otherSessionsHave(ended))
	}
	web.Tell(w, web.Notice{Says: says + " We have sent you a letter about it."})
	return web.Redirect(w, r, "/-/account")
}

// doSessions ends one session, or with session=others all but this one.
func (p *pages) doSessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	end := []string{v.Get("session")}
	if end[0] == "others" {
		if end, err = p.otherSessions(r, who); err != nil {
			return err
		}
	}
	var n int64
	for _, id := range end {
		err := p.EndSession(r.Context(), who, who.ID, id)
		if err != nil && !errors.Is(err, fault.NotFound) { // one that has ended meanwhile is ended
			return err
		}
		if err == nil {
			n++
		}
	}
	says := otherSessionsHave(n) + " ended."
	if n == 0 {
		says = "There was no such session any more."
	}
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, "/-/account#sessions")
}

func (p *pages) otherSessions(r *http.Request, who actor.Actor) ([]string, error) {
	list, err := p.Sessions(r.Context(), who, who.ID)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, x := range list {
		if x.ID != who.Session {
			ids = append(ids, x.ID)
		}
	}
	return ids, nil
}

// otherSessionsHave counts sessions at the head of a sentence.
func otherSessionsHave(n int64) string {
	if n == 1 {
		return "1 other session has"
	}
	return web.Number(n) + " other sessions have"
}
