package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

// browserRoutes is the API of the browsers that skip the second factor.
func (s *Service) browserRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/api/v1/browsers", Who: web.SignedIn, Handle: s.getBrowsers, Doc: web.Doc{Summary: "My browsers that skip the second factor", Out: browsersOut{}}},
		{Pattern: "DELETE /-/api/v1/browsers", Who: web.SignedIn, Handle: s.deleteBrowser, Doc: web.Doc{Summary: "Have all my browsers asked for the second factor again", Errors: []string{"no_browser"}}},
		{Pattern: "DELETE /-/api/v1/browsers/{id}", Who: web.SignedIn, Handle: s.deleteBrowser, Doc: web.Doc{Summary: "Have a browser asked for the second factor again", Errors: []string{"no_browser"}}},
		{Pattern: "GET /-/api/v1/people/{ref}/browsers", Who: web.Staff, Handle: s.getPersonBrowsers, Doc: web.Doc{Summary: "A person's browsers that skip the second factor", Out: browsersOut{}, Errors: []string{"no_person"}}},
		{Pattern: "POST /-/api/v1/people/{ref}/browsers/forget", Who: web.Staff, Handle: s.postForgetBrowsers, Doc: web.Doc{Summary: "Have one of a person's browsers, or without an id all, asked for the second factor again",
			In: forgetIn{}, Out: forgottenOut{}, Errors: []string{"no_person", "no_browser", "reason_missing"}}},
	}
}

type (
	browserWire struct {
		ID    string    `json:"id"`
		Name  string    `json:"name"`
		Since time.Time `json:"since"`
		Until time.Time `json:"until"`
		Seen  time.Time `json:"seen"`
	}
	browsersOut struct {
		Browsers []browserWire `json:"browsers"`
	}
	forgetIn struct {
		ID     string `json:"id,omitempty"` // empty: all
		Reason string `json:"reason"`       // the person reads it
	}
	forgottenOut struct {
		Forgotten int64 `json:"forgotten"`
	}
)

func wireBrowsers(bs []Remembered) browsersOut {
	out := browsersOut{Browsers: []browserWire{}}
	for _, b := range bs {
		out.Browsers = append(out.Browsers, browserWire(b))
	}
	return out
}

func (s *Service) getBrowsers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	bs, err := s.RememberedBrowsers(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireBrowsers(bs))
}

func (s *Service) deleteBrowser(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if _, err := s.ForgetBrowser(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) getPersonBrowsers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	bs, err := s.BrowsersOf(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireBrowsers(bs))
}

func (s *Service) postForgetBrowsers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[forgetIn](r)
	if err != nil {
		return err
	}
	n, err := s.ForgetBrowserOf(r.Context(), who, r.PathValue("ref"), in.ID, in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, forgottenOut{n})
}
