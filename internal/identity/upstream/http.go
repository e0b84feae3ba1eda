package upstream

import (
	"net/http"
	"net/url"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/web"
)

const atLinks = "/-/account/sign-in"

// Routes are the ways to the providers and back, and the person's page of links. Without
// providers there are none.
func (s *Service) Routes() []web.Route {
	if len(s.all) == 0 {
		return nil
	}
	return []web.Route{
		{Pattern: "GET /-/upstream/{name}", Who: web.Anyone, Handle: s.getBegin},
		{Pattern: "GET /-/upstream/{name}/callback", Who: web.Anyone, Handle: s.getCallback},
		{Pattern: "GET /-/account/sign-in", Who: web.SignedIn, Handle: s.getLinks},
		{Pattern: "POST /-/account/sign-in", Who: web.SignedIn, Handle: s.postLinks},
	}
}

func (s *Service) provider(name string) (*provider, error) {
	if p := s.all[name]; p != nil {
		return p, nil
	}
	return nil, fault.Newf(fault.NotFound, "no_provider", "There is no such way to sign in.")
}

// getBegin leads to the provider. It changes nothing here but a cookie.
func (s *Service) getBegin(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.provider(r.PathValue("name"))
	if err != nil {
		return err
	}
	to, err := s.begin(r.Context(), w, who, p, r.URL.Query().Get("to"), "")
	if err != nil {
		return err
	}
	return s.away(w, r, to, false)
}

// getCallback takes the provider's answer.
func (s *Service) getCallback(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.provider(r.PathValue("name"))
	if err != nil {
		return err
	}
	pr, cause, err := s.answered(r.Context(), r, p)
	web.ClearCookie(w, flowCookie)
	if err != nil {
		return err
	}
	if cause != "" {
		return s.refused(r.Context(), web.StrangerOf(r), p.Name, cause)
	}
	return s.finish(w, r, who, p, pr)
}

type linksPage struct{ Rows []linkRow }

type linkRow struct {
	Name, Title string
	Since       time.Time
}

func (s *Service) getLinks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	have, err := s.linked(r.Context(), who.ID)
	if err != nil {
		return err
	}
	var d linksPage
	for _, c := range s.Providers {
		d.Rows = append(d.Rows, linkRow{Name: c.Name, Title: s.all[c.Name].Title, Since: have[c.Name]})
	}
	return s.set.Render(w, r, http.StatusOK, "links", web.View{Title: "Sign-in with other accounts", Lead: "An account elsewhere that you link can sign you in here.", Frame: web.Document,
		Tabs: identity.AccountTabs(identity.AtAccess), Data: d})
}

// postLinks begins a link, after a sign-in that is not old, or takes one back.
func (s *Service) postLinks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p, err := s.provider(v.Get("provider"))
	if err != nil {
		return err
	}
	if who.Kind != actor.Person || who.Session == "" {
		return fault.Newf(fault.Denied, "no_account", "Only people link accounts.")
	}
	if s.Now().Sub(who.FactorAt) > linkAge { // clause: auth.best-practice
		return web.Redirect(w, r, "/-/sign-in?"+url.Values{"again": {"1"}, "to": {atLinks}}.Encode())
	}
	if v.Get("act") == "unlink" {
		if err := s.Unlink(r.Context(), who, p.Name); err != nil {
			return err
		}
		web.Tell(w, web.Notice{Says: p.Title + " no longer signs you in."})
		return web.Redirect(w, r, atLinks)
	}
	to, err := s.begin(r.Context(), w, who, p, atLinks, who.Session)
	if err != nil {
		return err
	}
	return s.away(w, r, to, true)
}
