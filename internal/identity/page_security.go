package identity

import (
	"errors"
	"fmt"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// securityPage is how one signs in.
type securityPage struct {
	Me       Person
	Password secretForm
	Factors  Factors
	Says     string // of the factors
	Passkeys string // where they are looked after; empty where there can be none
	Browsers []Remembered
	Remember string // for how long a browser may be remembered; empty: never
}

func (p *pages) security(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showSecurity(w, r, who, http.StatusOK, nil)
}

func (p *pages) showSecurity(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, f error) error {
	me, err := p.accountOf(r, who)
	if err != nil {
		return err
	}
	d := securityPage{Me: me, Password: secretForm{Email: me.Email, Form: web.Form{Action: "/-/account/password#password", Act: "Change the password", Fault: f, Fields: []web.Field{
		presentPassword(), p.newPassword("new", "New password")}}}}
	if d.Factors, err = p.MyFactors(r.Context(), who); err != nil {
		return err
	}
	d.Says = p.factorWords(d.Factors)
	if p.Passkeys() {
		d.Passkeys = atPasskeys
	}
	if d.Browsers, err = p.RememberedBrowsers(r.Context(), who); err != nil {
		return err
	}
	if age := p.Rules.Get().RememberDevice; age > 0 && me.Kind != Staff {
		d.Remember = web.Duration(age)
	}
	return p.set.Render(w, r, status, "security", ownView("Security", atSecurity, d))
}

func presentPassword() web.Field {
	return web.Field{Name: "current", Label: "Present password", Type: "password", Complete: "current-password", Required: true}
}

func (p *pages) doPassword(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	ended, err := p.ChangePasswordFrom(w, r, who, secretOf(v, "current"), secretOf(v, "new"))
	if err != nil {
		return p.ownRefused(w, r, err, func(status int, f error) error { return p.showSecurity(w, r, who, status, f) })
	}
	says := "Your password is changed."
	if ended > 0 {
		says += fmt.Sprintf(" %s ended.", otherSessionsHave(ended))
	}
	web.Tell(w, web.Notice{Says: says + " We have sent you a letter about it."})
	return web.Redirect(w, r, atSecurity)
}

// ownRefused renders a part once more with what was wrong beside its form; a session that
// is over leads to the sign-in.
func (p *pages) ownRefused(w http.ResponseWriter, r *http.Request, err error, render func(status int, f error) error) error {
	if errors.Is(err, fault.Unauthenticated) {
		return err
	}
	return p.refused(w, r, err, render)
}

// doForget has one remembered browser, or with browser=all each, asked for the second factor.
func (p *pages) doForget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	device := v.Get("browser")
	if device == "" {
		return fault.Newf(fault.Invalid, "no_browser", "Say which browser, or all.")
	}
	if device == "all" {
		device = ""
	}
	n, err := p.ForgetBrowser(r.Context(), who, device)
	says := isAre(n, "browser") + " forgotten: the second factor is asked for at the next sign-in."
	if errors.Is(err, fault.NotFound) { // forgotten meanwhile is forgotten
		says = "There was no such browser any more."
	} else if err != nil {
		return err
	}
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, atSecurity+"#browsers")
}

// sessionsPage is where one is signed in.
type sessionsPage struct {
	Sessions []sessionRow
	Others   int
	Idle     string // how long a session lasts unused
	Whole    string // and altogether
}

type sessionRow struct {
	Session
	Browser string
	Here    bool
}

func (p *pages) sessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	me, err := p.accountOf(r, who)
	if err != nil {
		return err
	}
	list, err := p.Sessions(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	rules, staff := p.Rules.Get(), me.Kind == Staff
	d := sessionsPage{Idle: web.Duration(rules.idle(staff)), Whole: web.Duration(rules.absolute(staff))}
	for _, x := range list {
		row := sessionRow{Session: x, Browser: DeviceName(x.Agent), Here: x.ID == who.Session}
		if !row.Here {
			d.Others++
		}
		d.Sessions = append(d.Sessions, row)
	}
	v := ownView("Sessions", atSessions, d)
	v.Lead = fmt.Sprintf("A session ends after %s without use, and after %s in any case.", d.Idle, d.Whole)
	return p.set.Render(w, r, http.StatusOK, "sessions", v)
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
	return web.Redirect(w, r, atSessions)
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

// others counts the other sessions that somebody who changes a factor may want to end.
// Whoever must set one up first sees none: that session reaches nothing else.
func (p *pages) others(r *http.Request, who actor.Actor) (int, error) {
	if who.Kind != actor.Person {
		return 0, nil
	}
	ids, err := p.otherSessions(r, who)
	return len(ids), err
}

// otherSessionsHave counts sessions at the head of a sentence.
func otherSessionsHave(n int64) string {
	if n == 1 {
		return "1 other session has"
	}
	return web.Number(n) + " other sessions have"
}
