package identity

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// The places of the account.
const (
	atAccount  = "/-/account"
	atSecurity = "/-/account/security"
	atSessions = "/-/account/sessions"
	atAccess   = "/-/account/access"
	atData     = "/-/account/data"
	atProfile  = "/-/account/profile"
	atTokens   = "/-/account/tokens" //nolint:gosec // an address
)

// AccountTabs are the parts of the account, with the one at the address marked. Pages of
// child modules that belong to a part show them too.
func AccountTabs(here string) []web.Link {
	tabs := []web.Link{{Text: "Overview", Href: atAccount}, {Text: "Security", Href: atSecurity}, {Text: "Sessions", Href: atSessions},
		{Text: "Access", Href: atAccess}, {Text: "My data", Href: atData}, {Text: "Profile", Href: atProfile}}
	for i := range tabs {
		tabs[i].Here = tabs[i].Href == here
	}
	return tabs
}

// AtAccess is the part of the account about who else acts for a person.
const AtAccess = atAccess

// accountPages are the parts. The addresses that letters have named since the first
// version lead to where the thing is now.
func (p *pages) accountPages() []web.Route {
	own := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h}
	}
	return []web.Route{
		own("GET /-/account", p.overview),
		own("GET /-/account/security", p.security),
		own("GET /-/account/sessions", p.sessions),
		own("GET /-/account/access", p.access),
		own("GET /-/account/data", p.data),
		own("GET /-/account/profile", p.profile),
		own("GET /-/account/password", to(atSecurity+"#password")),
		own("POST /-/account/password", p.doPassword),
		own("POST /-/account/sessions", p.doSessions),
		own("GET /-/account/browsers", to(atSecurity+"#browsers")),
		own("POST /-/account/browsers", p.doForget),
		own("GET /-/account/name", to(atProfile+"#name")),
		own("POST /-/account/name", p.doName),
		own("GET /-/account/looks", to(atData+"#looks")),
		own("POST /-/account/looks", p.doReceipt),
	}
}

// to leads from one address to another.
func to(where string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error { return web.Redirect(w, r, where) }
}

// ownView is the frame of a part.
func ownView(title, here string, data any) web.View {
	return web.View{Title: title, Frame: web.Document, Tabs: AccountTabs(here), Data: data}
}

// accountOf is the person whose account is shown.
func (p *pages) accountOf(r *http.Request, who actor.Actor) (Person, error) {
	if who.Kind != actor.Person {
		return Person{}, fault.New(fault.Denied, "no_account", fault.Public{Problem: "This page is for people.", Next: "Sign in with an address and a password."})
	}
	return p.Me(r.Context(), who)
}

// overviewPage says who one is, what needs attention, and how each part stands.
type overviewPage struct {
	Me     Person
	Wishes []attention
	Areas  []area
}

// attention is something that waits for the person.
type attention struct {
	State web.State
	Says  string
	Do    web.Link
}

// area is one part in a line. Anchors are the names under which older letters know it.
type area struct {
	web.Link
	Says    string
	Anchors []string
}

// ownFacts is all that the overview speaks of.
type ownFacts struct {
	me       Person
	factors  Factors
	browsers []Remembered
	sessions []Session
	tokens   []Token
	looks    []Look
	terms    Terms
	waiting  *AddressChange
	ends     time.Time
	beside   OwnData
}

func (p *pages) ownFacts(ctx context.Context, who actor.Actor, me Person) (f ownFacts, err error) {
	f.me = me
	var waits bool
	var c AddressChange
	for _, read := range []func() error{
		func() error { f.factors, err = p.MyFactors(ctx, who); return err },
		func() error { f.browsers, err = p.RememberedBrowsers(ctx, who); return err },
		func() error { f.sessions, err = p.Sessions(ctx, who, who.ID); return err },
		func() error { f.tokens, err = p.Tokens(ctx, who, who.ID); return err },
		func() error { f.looks, err = p.LookedAt(ctx, who); return err },
		func() error { f.terms, err = p.Service.Terms(ctx, who); return err },
		func() error { c, waits, err = p.WaitingAddress(ctx, who); return err },
		func() error { f.ends, _, err = p.Leaving(ctx, who); return err },
		func() error { f.beside, err = p.besideOf(ctx, who.ID); return err },
	} {
		if err := read(); err != nil {
			return f, err
		}
	}
	if waits {
		f.waiting = &c
	}
	return f, nil
}

// besideOf is what child modules hold about a person.
func (p *pages) besideOf(ctx context.Context, person string) (d OwnData, err error) {
	if p.Beside != nil {
		err = p.Beside(ctx, person, &d)
	}
	d.Applications = slices.DeleteFunc(d.Applications, func(a OwnApplication) bool { return !a.open(p.Now()) })
	return d, err
}

// open reports whether the application may see something now.
func (a OwnApplication) open(now time.Time) bool {
	return a.Given != nil || slices.ContainsFunc(a.SignIns, func(x OwnSignIn) bool { return x.Ends != nil && x.Ended == nil && now.Before(*x.Ends) })
}

func (p *pages) overview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	me, err := p.accountOf(r, who)
	if err != nil {
		return err
	}
	f, err := p.ownFacts(r.Context(), who, me)
	if err != nil {
		return err
	}
	d := overviewPage{Me: me, Wishes: p.wishes(f), Areas: p.areas(f)}
	if who.TeamKind != Staff || p.TeamName(r.Context(), who.Team) != "" {
		d.Areas = append(d.Areas, area{Link: web.Link{Text: "Team", Href: atTeam}, Says: p.teamWords(r.Context(), who), Anchors: []string{"teams"}})
	}
	if who.TeamKind == Customer && p.Manages(who, who.Team) {
		d.Areas = append(d.Areas, area{Link: web.Link{Text: "Incidents", Href: "/-/account/incidents"}, Says: "What each incident did to your team: time out, lost changes, exposed data, letters."})
	}
	d.Areas = append(d.Areas, area{Link: web.Link{Text: "Report a problem", Href: "/-/status/report"}, Says: "Something that does not work, or a weakness that you found."})
	v := ownView("Your account", atAccount, d)
	v.Lead = me.Email
	if me.Name != "" {
		v.Lead = me.Name + ", " + me.Email
	}
	return p.set.Render(w, r, http.StatusOK, "account", v)
}

// wishes is what waits for the person, the most pressing first.
func (p *pages) wishes(f ownFacts) []attention {
	var out []attention
	add := func(state web.State, text, href, format string, a ...any) {
		out = append(out, attention{state, fmt.Sprintf(format, a...), web.Link{Text: text, Href: href}})
	}
	rules, now := p.Rules.Get(), p.Now()
	for _, l := range f.looks {
		if l.Ended.IsZero() && now.Before(l.ends(rules)) {
			add(web.StaleNow, "See why", atData+"#looks", "%s of our staff sees what you see, until %s at the latest.", l.By, stamp(l.ends(rules)))
		}
	}
	if !f.ends.IsZero() {
		add(web.Broken, "Keep the account", atData+"#leave", "Your account ends on %s.", stamp(f.ends))
	}
	if f.terms.Asked && f.terms.Accepted < f.terms.Version {
		add(web.StaleNow, "Read and accept them", "/-/terms", "Version %d of the terms is in force, and you have not accepted it.", f.terms.Version)
	}
	switch {
	case len(f.factors.Factors) == 0 && !f.factors.Grace.IsZero():
		add(web.Broken, "Set one up", atFactors, "This account needs a second factor within %s, by %s. After that it does not open without one.", web.Duration(f.factors.Grace.Sub(now).Truncate(time.Minute)), stamp(f.factors.Grace))
	case len(f.factors.Factors) == 0:
		add(web.StaleNow, "Set one up", atFactors, "No second factor is set up. With one, a stolen password is not enough.")
	case f.factors.Recovery < 3:
		add(web.StaleNow, "Make new ones", atFactors+"#codes", "%s left for the day the factor is lost.", isAre(f.factors.Recovery, "recovery code"))
	}
	for _, x := range f.factors.Factors {
		if !x.Locked.IsZero() {
			add(web.Broken, "Look after it", atFactors, "“%s” is locked after too many wrong codes.", x.Name)
		}
	}
	if f.waiting != nil {
		add(web.StaleNow, "See what is missing", atProfile+"#address", "A change of your address to %s waits until %s.", f.waiting.Email, stamp(f.waiting.Expires))
	}
	return out
}

// isAre counts at the head of a sentence: "1 code is", "2 codes are", "No code is".
func isAre(n int64, noun string) string {
	switch n {
	case 0:
		return "No " + noun + " is"
	case 1:
		return "1 " + noun + " is"
	}
	return web.Count(n, noun) + " are"
}

// areas is a line for each part.
func (p *pages) areas(f ownFacts) []area {
	security := "No password is set."
	if !f.me.Password.IsZero() {
		security = "The password was set " + lower(web.Age(p.Now(), f.me.Password)) + "."
	}
	security += " " + factorsInWords(f.factors)
	if n := int64(len(f.browsers)); n > 0 {
		security += fmt.Sprintf(" %s remembered.", isAre(n, "browser"))
	}
	sessions := "You are signed in here only."
	if n := int64(len(f.sessions)); n > 1 {
		sessions = "You are signed in at " + web.Count(n, "place") + "."
	}
	var others []string
	for _, o := range []struct {
		n           int
		noun, where string
	}{{len(f.tokens), "token", ""}, {len(f.beside.Applications), "application", ""}, {len(f.beside.Elsewhere), "account", " elsewhere"}} {
		if o.n > 0 {
			others = append(others, web.Count(int64(o.n), o.noun)+o.where)
		}
	}
	access := "No program, application or account elsewhere acts for you."
	if len(others) > 0 {
		access = "Open to " + web.And(others) + "."
	}
	data := "Take a copy."
	if f.me.Kind != Staff {
		data = "Nobody of our staff has looked. " + data
		if n := int64(len(f.looks)); n > 0 {
			data = fmt.Sprintf("Our staff looked %s, the last time %s. Take a copy.", times(n), lower(web.Age(p.Now(), f.looks[0].Began)))
		}
	}
	return []area{
		{web.Link{Text: "Security", Href: atSecurity}, security, []string{"password", "factors"}},
		{web.Link{Text: "Sessions", Href: atSessions}, sessions, []string{"sessions"}},
		{web.Link{Text: "Access", Href: atAccess}, access, []string{"tokens", "applications"}},
		{web.Link{Text: "My data", Href: atData}, data, []string{"looks", "data", "leave", "letters"}},
		{web.Link{Text: "Profile", Href: atProfile}, "Your name, your address, your teams.", []string{"address"}},
	}
}

func factorsInWords(fs Factors) string {
	switch n := len(fs.Factors); n {
	case 0:
		return "No second factor is set up."
	case 1:
		return "One second factor is set up."
	default:
		return fmt.Sprintf("%d second factors are set up.", n)
	}
}

func times(n int64) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return web.Count(n, "time")
}

func (p *pages) teamWords(ctx context.Context, who actor.Actor) string {
	name := p.TeamName(ctx, who.Team)
	if name == "" {
		return "You are in a team of your own."
	}
	return fmt.Sprintf("You act in %s, as %s.", name, web.And(who.Roles))
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// accessPage is who else acts for the person: one line each, and the page behind it.
type accessPage struct{ Areas []area }

func (p *pages) access(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if _, err := p.accountOf(r, who); err != nil {
		return err
	}
	tokens, err := p.Tokens(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	beside, err := p.besideOf(r.Context(), who.ID)
	if err != nil {
		return err
	}
	named := func(none string, ns []string) string {
		if n := len(ns); n > 3 {
			ns = append(slices.Clone(ns[:3]), web.Number(int64(n-3))+" more")
		}
		if len(ns) == 0 {
			return none
		}
		return capital(web.And(ns)) + "."
	}
	var ts, as, es []string
	for _, t := range tokens {
		ts = append(ts, t.Name)
	}
	for _, a := range beside.Applications {
		as = append(as, a.Name)
	}
	for _, e := range beside.Elsewhere {
		es = append(es, e.Provider)
	}
	d := accessPage{[]area{
		{web.Link{Text: "Tokens for programs", Href: atTokens}, named("No program acts for you.", ts), []string{"tokens"}},
		{web.Link{Text: "Applications", Href: "/-/account/applications"}, named("You sign in to no other application through this account.", as), []string{"applications"}},
	}}
	if p.Ways != nil && len(p.Ways("/")) > 0 { // without providers there is no such page
		d.Areas = append(d.Areas, area{web.Link{Text: "Accounts elsewhere", Href: "/-/account/sign-in"}, named("No account elsewhere signs you in here.", es), []string{"elsewhere"}})
	}
	v := ownView("Access", atAccess, d)
	v.Lead = "Programs and applications that act for you, and accounts that sign you in. Each can be taken back at once."
	return p.set.Render(w, r, http.StatusOK, "access", v)
}
