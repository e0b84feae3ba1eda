package status

import (
	"net/http"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// Routes are the public page, its feeds and API, and subscribing. They answer in every mode
// of the gate.
func (s *Service) Routes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/status", Who: web.Anyone, Handle: s.serve("")},
		{Pattern: "GET /-/status/incidents/{id}", Who: web.Anyone, Handle: s.serveBelow},
		{Pattern: "GET /-/status/status.css", Who: web.Anyone, Handle: s.serve("status.css")},
		{Pattern: "GET /-/status/icon.svg", Who: web.Anyone, Handle: s.serve("icon.svg")},
		{Pattern: "GET /-/status/history.atom", Who: web.Anyone, Handle: s.serve("history.atom")},
		{Pattern: "GET /-/status/history.rss", Who: web.Anyone, Handle: s.serve("history.rss")},
		{Pattern: "GET /-/status/feed.json", Who: web.Anyone, Handle: s.serve("feed.json")},
		{Pattern: "GET /-/status/maintenance.ics", Who: web.Anyone, Handle: s.serve("maintenance.ics")},
		{Pattern: "GET /-/status/api/v2/{name...}", Who: web.Anyone, Handle: s.serveBelow},
		{Pattern: "POST /-/status/subscribe", Who: web.Anyone, Handle: s.postSubscribe},
		{Pattern: "GET /-/status/subscribe", Who: web.Anyone, Handle: s.getSubscribe},
		{Pattern: "GET /-/status/confirm/{token}", Who: web.Anyone, Handle: s.getConfirm},
		{Pattern: "POST /-/status/confirm/{token}", Who: web.Anyone, Handle: s.postConfirm},
		{Pattern: "GET /-/status/unsubscribe/{token}", Who: web.Anyone, Handle: s.getUnsubscribe},
		{Pattern: "POST /-/status/unsubscribe/{token}", Who: web.Anyone, Handle: s.postUnsubscribe, Foreign: true}, // a mail program posts it (RFC 8058)
	}
}

// serve answers with what was made beforehand.
func (s *Service) serve(name string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error { return s.answer(w, r, name) }
}

func (s *Service) serveBelow(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.answer(w, r, strings.TrimPrefix(r.URL.Path, At+"/"))
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, name string) error {
	x := s.shown.Load()
	if x == nil {
		return fault.New(fault.Unavailable, "status_not_made", fault.Public{Problem: "The status page is being made.", Next: "Try again in a few seconds."})
	}
	f, ok := x.files[name]
	if !ok {
		return fault.New(fault.NotFound, "not_found", fault.Public{Problem: "The status page has nothing of this name.", Next: "Look at " + At + "."})
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=5")
	h.Set("ETag", f.etag)
	if f.open {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, err := w.Write(f.body)
	return err
}

// formPage is a page with one question.
type formPage struct {
	Form *web.Form
	Back web.Link
}

var home = web.Link{Text: "The status page", Href: At}

func (s *Service) ask(w http.ResponseWriter, r *http.Request, status int, title, lead string, form *web.Form) error {
	return s.forms.Render(w, r, status, "ask", web.View{Title: title, Lead: lead, Frame: web.Plain, Data: formPage{form, home}})
}

func subscribeForm(typed string, f error) *web.Form {
	return &web.Form{Action: At + "/subscribe", Act: "Send me updates", Fault: f, Fields: []web.Field{{Name: "email", Label: "E-mail address", Type: "email", Value: typed, Required: true, Complete: "email", Max: 254, Hint: "We send a letter first that asks whether it was you."}}}
}

func (s *Service) getSubscribe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.ask(w, r, http.StatusOK, "Be told of incidents", "", subscribeForm("", nil))
}

func (s *Service) postSubscribe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	stranger := web.StrangerOf(r)
	if err := s.Subscribe(r.Context(), stranger, f.Get("email"), stranger.ID); err != nil {
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Limited {
			return s.ask(w, r, k.Status(), "Be told of incidents", "", subscribeForm(f.Get("email"), err))
		}
		return err
	}
	return s.ask(w, r, http.StatusOK, "Look into your mail", "If this address is not told of incidents already, a letter is on its way that asks whether it was you. Its link works for 24 hours.", nil)
}

// getConfirm asks first, because a link that is only opened has no effect.
func (s *Service) getConfirm(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.ask(w, r, http.StatusOK, "Be told of incidents", "Updates of the status page will be sent to the address that had this link.", &web.Form{Action: r.URL.Path, Act: "Yes, send them"})
}

func (s *Service) postConfirm(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if err := s.Confirm(r.Context(), web.StrangerOf(r), secret.NewText(r.PathValue("token"))); err != nil {
		return err
	}
	return s.ask(w, r, http.StatusOK, "You will be told", "Each letter has a link that ends them.", nil)
}

func (s *Service) getUnsubscribe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.ask(w, r, http.StatusOK, "End these letters", "No more updates are sent to your address, and it is erased here.", &web.Form{Action: r.URL.Path, Act: "End them"})
}

func (s *Service) postUnsubscribe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if err := s.Unsubscribe(r.Context(), web.StrangerOf(r), secret.NewText(r.PathValue("token"))); err != nil {
		return err
	}
	return s.ask(w, r, http.StatusOK, "No more letters", "Your address is erased here.", nil)
}
