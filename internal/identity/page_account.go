package identity

import (
	"errors"
	"fmt"
	"net/http"

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
	return p.showAccount(w, r, who, http.StatusOK, nil)
}

func (p *pages) showAccount(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, f error) error {
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
	for _, x := range list {
		row := sessionRow{Session: x, Browser: capital(browser(x.Agent)), Here: x.ID == who.Session}
		if !row.Here {
			d.Others++
		}
		d.Sessions = append(d.Sessions, row)
	}
	d.Elsewhere = p.Ways != nil && len(p.Ways("/")) > 0
	d.Password = secretForm{Email: me.Email, Form: web.Form{Action: "/-/account/password#password", Act: "Change the password", Fault: f, Fields: []web.Field{
		{Name: "current", Label: "Present password", Type: "password", Complete: "current-password", Required: true},
		p.newPassword("new", "New password"),
	}}}
	v := web.View{Title: "Your account", Frame: web.Document, Data: d}
	return p.set.Render(w, r, status, "account", v)
}

// noticesSent are the letters about an account that go out unasked.
func noticesSent() []string {
	return []string{"when your password is changed", "when a new password is set through a link", "when somebody tries to sign up with your address"}
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
	if errors.Is(err, fault.Unauthenticated) {
		return err
	}
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error { return p.showAccount(w, r, who, status, f) })
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
