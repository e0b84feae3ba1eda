package status

import (
	"net/http"
	"net/url"
	"slices"
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
		{Pattern: "GET /-/status/subscribe/webhook", Who: web.Anyone, Handle: s.getHook},
		{Pattern: "POST /-/status/subscribe/webhook", Who: web.Anyone, Handle: s.postHook},
		{Pattern: "GET /-/status/manage/{token}", Who: web.Anyone, Handle: s.getManage},
		{Pattern: "POST /-/status/manage/{token}", Who: web.Anyone, Handle: s.postManage},
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
	return f.answer(w, r)
}

// answer writes it, where the reader does not have it already.
func (f file) answer(w http.ResponseWriter, r *http.Request) error {
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

// Ask answers with a page that has one question, in the frame of those that subscribe.
func (s *Service) Ask(w http.ResponseWriter, r *http.Request, status int, title, lead string, form *web.Form) error {
	return s.ask(w, r, status, title, lead, form)
}

// partFields ask which parts of the service somebody is told of, where there are several.
func (s *Service) partFields(r *http.Request, chosen []string) ([]web.Field, error) {
	cs, err := s.Components(r.Context())
	if err != nil || len(cs) < 2 {
		return nil, err
	}
	var out []web.Field
	for _, c := range cs {
		name := c.Name
		if c.Group != "" {
			name = c.Group + ": " + c.Name
		}
		out = append(out, web.Field{Name: "part-" + c.ID, Label: name, Type: "checkbox", Options: []web.Option{{Chosen: len(chosen) == 0 || slices.Contains(chosen, c.ID)}}})
	}
	return out, nil
}

// chosen are the parts of a form.
func chosen(f url.Values) (out []string) {
	for name := range f {
		if id, ok := strings.CutPrefix(name, "part-"); ok {
			out = append(out, id)
		}
	}
	return out
}

const onlyParts = "You are told of incidents and maintenance of the parts that you choose, and of what touches no part in particular. None chosen means all of them."

func (s *Service) subscribing(w http.ResponseWriter, r *http.Request, status int, f url.Values, fault error, form *web.Form, field web.Field) error {
	parts, err := s.partFields(r, chosen(f))
	if err != nil {
		return err
	}
	lead := ""
	if len(parts) > 0 {
		lead = onlyParts
	}
	field.Value = f.Get(field.Name)
	form.Fault, form.Fields = fault, append([]web.Field{field}, parts...)
	return s.ask(w, r, status, "Be told of incidents", lead, form)
}

func (s *Service) askAddress(w http.ResponseWriter, r *http.Request, status int, f url.Values, fault error) error {
	return s.subscribing(w, r, status, f, fault, &web.Form{Action: At + "/subscribe", Act: "Send me updates", Other: &web.Link{Text: "A program is to be told: use a webhook", Href: At + "/subscribe/webhook"}},
		web.Field{Name: "email", Label: "E-mail address", Type: "email", Required: true, Complete: "email", Max: 254, Hint: "We send a letter first that asks whether it was you."})
}

func (s *Service) askHook(w http.ResponseWriter, r *http.Request, status int, f url.Values, fault error) error {
	return s.subscribing(w, r, status, f, fault, &web.Form{Action: At + "/subscribe/webhook", Act: "Send updates there"},
		web.Field{Name: "url", Label: "Address of the webhook", Type: "url", Required: true, Max: 2000, Hint: "https://… We send a challenge first, with the secret that signs our messages (Standard Webhooks); it must answer with that challenge."})
}

func (s *Service) getSubscribe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.askAddress(w, r, http.StatusOK, nil, nil)
}

func (s *Service) getHook(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.askHook(w, r, http.StatusOK, nil, nil)
}

func (s *Service) postSubscribe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	stranger := web.StrangerOf(r)
	if err := s.Subscribe(r.Context(), stranger, f.Get("email"), chosen(f), stranger.ID); err != nil {
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Limited {
			return s.askAddress(w, r, k.Status(), f, err)
		}
		return err
	}
	return s.ask(w, r, http.StatusOK, "Look into your mail", "If this address is not told of incidents already, a letter is on its way that asks whether it was you. Its link works for 24 hours.", nil)
}

func (s *Service) postHook(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	stranger := web.StrangerOf(r)
	if err := s.SubscribeHook(r.Context(), stranger, f.Get("url"), chosen(f), stranger.ID); err != nil {
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Limited {
			return s.askHook(w, r, k.Status(), f, err)
		}
		return err
	}
	return s.ask(w, r, http.StatusOK, "A challenge is on its way", "If this address is not told of incidents already, it gets a challenge within a minute. It is told once it has answered with it.", nil)
}

func (s *Service) getManage(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	now, err := s.Chosen(r.Context(), secret.NewText(r.PathValue("token")))
	if err != nil {
		return err
	}
	fields, err := s.partFields(r, now)
	if err != nil {
		return err
	}
	form := &web.Form{Action: r.URL.Path, Act: "Tell me of these", Fields: fields, Other: &web.Link{Text: "End these messages", Href: strings.Replace(r.URL.Path, "/manage/", "/unsubscribe/", 1)}}
	return s.ask(w, r, http.StatusOK, "What you are told of", onlyParts, form)
}

func (s *Service) postManage(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := s.Choose(r.Context(), web.StrangerOf(r), secret.NewText(r.PathValue("token")), chosen(f)); err != nil {
		return err
	}
	return s.ask(w, r, http.StatusOK, "It is noted", "From now on you are told of the parts that you chose.", nil)
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
