package glass

import (
	"context"
	"errors"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/secret"
	"writ/internal/web"
)

// glassPage is the page on which shares are given.
type glassPage struct {
	Gathering *Gathering // what the code in the address has come to
	Form      web.Form
	Other     *web.Link
	In        bool // this browser is in such a session
}

func (s *Service) page(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	return s.showGlass(w, r, who, http.StatusOK, Give{Code: q.Get("code"), Drill: q.Get("drill") != ""}, nil)
}

// showGlass is the page, with what was refused. What is typed is never shown again.
func (s *Service) showGlass(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, in Give, f error) error {
	d := glassPage{In: who.Kind == actor.BreakGlass, Form: web.Form{Action: atGlass, Act: "Give my share", Fault: f}}
	v := web.View{Title: "Break the glass", Frame: web.Plain, Lead: "For the day no owner can come in: holders of shares open an owner's session together. All owners are told."}
	if in.Drill {
		v.Title, v.Lead = "Practise breaking the glass", "The same as in earnest, without the session: it shows that the shares are at hand and fit."
	}
	switch {
	case in.Code != "":
		g, err := s.Progress(r.Context(), in.Code)
		if err != nil && f == nil {
			return s.showGlass(w, r, who, fault.KindOf(err).Status(), Give{}, err)
		}
		if err == nil {
			d.Gathering = &g
			v.Lead = ""
			if g.Drill {
				v.Title = "Practise breaking the glass"
			}
		}
		d.Form.Fields = []web.Field{codeField(in.Code), shareField()}
		d.Other = &web.Link{Text: "Begin anew without a code", Href: atGlass}
	case in.Drill:
		d.Form.Act, d.Form.Hidden = "Begin the drill", []web.Pair{{Name: "drill", Value: "1"}}
		d.Form.Fields = []web.Field{shareField()}
		d.Other = &web.Link{Text: "Not a drill", Href: atGlass}
	default:
		d.Form.Fields = []web.Field{
			{Name: "reason", Label: "Why", Value: in.Reason, Max: 300, Complete: "off", Hint: "One line. All owners read it. Leave it empty if another holder gave you a code."},
			codeField(""), shareField()}
		d.Other = &web.Link{Text: "Practise instead", Href: atGlass + "?drill=1"}
	}
	v.Data = d
	return s.set.Render(w, r, status, "break-glass", v)
}

func codeField(code string) web.Field {
	return web.Field{Name: "code", Label: "Code", Value: code, Max: 20, Complete: "off", Hint: "From the holder who began. Empty if that is you."}
}

func shareField() web.Field {
	return web.Field{Name: "share", Label: "Your share", Type: "textarea", Rows: 3, Required: true, Complete: "off", Max: maxTyped, Hint: "The 16 groups of four characters on your paper."}
}

func (s *Service) doGive(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := Give{Share: secret.NewText(f.Get("share")), Code: plain(f.Get("code")), Reason: f.Get("reason"), Drill: f.Get("drill") != "", Network: web.StrangerOf(r).ID}
	g, err := s.Give(r.Context(), who, in)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.Denied && k != fault.Conflict && k != fault.Gone && k != fault.Limited {
			return err
		}
		return s.showGlass(w, r, who, fault.KindOf(err).Status(), in, err)
	}
	switch {
	case g.Done && g.Drill:
		web.Tell(w, web.Notice{Says: "The shares fit. The drill is recorded, and the owners are told."})
		return web.Redirect(w, r, atGlass+"?drill=1")
	case g.Done:
		return s.enter(w, r, who, g.Enter)
	}
	return web.Redirect(w, r, atGlass+"?code="+g.Code)
}

// enterPage asks before it enters, because a link must have no effect.
func (s *Service) enterPage(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.set.Render(w, r, http.StatusOK, "enter", web.View{Title: "Enter the break-glass session", Frame: web.Plain, Lead: "Enough holders have given their shares. The session opens in this browser, once.",
		Data: web.Form{Action: r.URL.Path, Act: "Enter"}})
}

func (s *Service) doEnter(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return s.enter(w, r, who, secret.NewText(r.PathValue("token")))
}

func (s *Service) enter(w http.ResponseWriter, r *http.Request, who actor.Actor, token secret.Text) error {
	e, err := s.Enter(r.Context(), who, token, web.StrangerOf(r).ID)
	if err != nil {
		return err
	}
	web.SetCookie(w, identity.SessionCookie, e.Token, e.Ends.Sub(s.Now()))
	web.Tell(w, web.Notice{Says: "The glass is broken. All owners are told, and everything you do is recorded as break-glass."})
	return web.Redirect(w, r, "/-/console/people")
}

func (s *Service) doEnd(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.End(r.Context(), who); err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.ClearCookie(w, identity.SessionCookie)
	web.Tell(w, web.Notice{Says: "The break-glass session is ended. All owners are told."})
	return web.Redirect(w, r, "/-/sign-in")
}

// sharePageData is the page of a holder's own share: waiting, or shown this once.
type sharePageData struct {
	Paper Paper
	Form  *web.Form
	Text  string
	Lines []string
}

func (s *Service) sharePage(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.Waiting(r.Context(), who)
	if err != nil {
		return err
	}
	return s.set.Render(w, r, http.StatusOK, "share", web.View{Title: "Your share of break-glass", Frame: web.Plain, Lead: "It is shown once, on the next page, and deleted here. Have a printer or your password manager at hand.",
		Data: sharePageData{Paper: p, Form: &web.Form{Action: atShare, Act: "Show my share, once", Other: &web.Link{Text: "Not now", Href: "/-/account"}}}})
}

func (s *Service) doPickUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.PickUp(r.Context(), who)
	if err != nil {
		return err
	}
	return s.set.Render(w, r, http.StatusOK, "share", web.View{Title: "Your share of break-glass", Frame: web.Plain, // never through a cookie or an address
		Data: sharePageData{Paper: p, Text: p.Text.Reveal()}})
}

// Banner is what stands above every page of a session that shares opened.
func (s *Service) Banner(ctx context.Context, who actor.Actor) (web.Banner, bool) {
	if who.Kind != actor.BreakGlass {
		return web.Banner{}, false
	}
	b := web.Banner{Says: "Break-glass session. Everything you do is recorded and told to all owners.", Act: "End it", Action: atGlass + "/end"}
	if found, err := s.uses(ctx, `u.id = $1`, who.ID); err == nil && len(found) == 1 {
		b.Ends = found[0].Ends
	}
	return b, true
}
