package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/web"
)

// leaving is a request of a client to sign the person out (RP-Initiated Logout 1.0).
type leaving struct {
	Client  string `json:"c,omitempty"`
	To      string `json:"t,omitempty"` // registered for the client, or empty
	Session string `json:"x,omitempty"`
	Begun   int64  `json:"b"`
}

const leavingColumn = "identity_oidc_request.leaving"

func (s *Service) getLogout(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q, bad := single(r.URL.RawQuery)
	if bad != nil {
		return s.page(r.Context(), who, "", bad)
	}
	return s.logout(w, r, who, q, false)
}

// postLogout takes the same request as a form, also of another site; and our own
// confirmation, which alone carries sure.
func (s *Service) postLogout(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	q, bad := once(v)
	if bad != nil {
		return s.page(r.Context(), who, "", bad)
	}
	if q["sure"] != "" {
		return s.confirmed(w, r, who, q["sure"])
	}
	return s.logout(w, r, who, q, true)
}

// logout ends the session at once when the client shows an id token of this very
// session; in every other case the person is asked.
func (s *Service) logout(w http.ResponseWriter, r *http.Request, who actor.Actor, q map[string]string, posted bool) error {
	ctx := r.Context()
	hint, owner, hinted := s.readHint(ctx, q["id_token_hint"])
	id := q["client_id"]
	if hinted && id == "" {
		id = owner
	}
	l := leaving{Begun: us(s.Now()), Session: who.Session}
	if id != "" && (!hinted || id == owner) {
		c, err := s.client(ctx, id)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		if to := q["post_logout_redirect_uri"]; err == nil && matches(c.After, to) { // clause: auth.best-practice
			l.Client, l.To = c.ID, withState(to, q["state"])
		}
	}
	if q["post_logout_redirect_uri"] != "" && l.To == "" {
		bad := refuse("invalid_request", "post_logout_redirect_uri is not registered for this application.").because("unknown-redirect")
		return s.page(ctx, who, "", bad)
	}
	_, signedIn, err := s.signedIn(ctx, who)
	if err != nil {
		return err
	}
	switch {
	case !signedIn && l.To != "" && hinted:
		return s.leave(w, r, l.To, posted)
	case !signedIn:
		return s.signedOut(w, r, nil, "")
	case hinted && id == owner && s.sidFits(ctx, who, owner, hint):
		return s.end(w, r, who, l, posted)
	}
	return s.askLeave(w, r, l)
}

func withState(to, state string) string {
	if to == "" || state == "" || len(state) > maxState {
		return to
	}
	return answerTo(to, url.Values{"state": {state}})
}

// sidFits reports whether an id token belongs to the very session that is signed in.
func (s *Service) sidFits(ctx context.Context, who actor.Actor, client string, h hinted) bool {
	var sid string
	err := ledger.One(ctx, s.DB, sidOf, []any{&sid}, who.Session, client)
	return err == nil && h.SID != "" && sid == h.SID && h.Subject == who.ID
}

type askLeavePage struct{ Form web.Form }

// askLeave asks before it ends anything, because anybody can make a link.
func (s *Service) askLeave(w http.ResponseWriter, r *http.Request, l leaving) error {
	box, err := s.seal(r.Context(), leavingColumn, "", l)
	if err != nil {
		return err
	}
	lead := "This ends the session in this browser, and those of the applications that you opened from here."
	return s.set.Render(w, r, http.StatusOK, "ask-leave", web.View{Title: "Sign out", Lead: lead, Frame: web.Plain, Data: askLeavePage{web.Form{
		Action: "/-/oidc/logout", Act: "Sign out", Hidden: []web.Pair{{Name: "sure", Value: base64.RawURLEncoding.EncodeToString(box)}},
		Other: &web.Link{Text: "Stay signed in", Href: "/"}}}})
}

// confirmed is the answer of askLeave's page, for the session that was asked.
func (s *Service) confirmed(w http.ResponseWriter, r *http.Request, who actor.Actor, sure string) error {
	stale := refuse("invalid_request", "The question has expired.").because("stale-flow")
	var l leaving
	box, err := base64.RawURLEncoding.DecodeString(sure)
	if err == nil {
		err = s.unseal(r.Context(), leavingColumn, "", box, &l)
	}
	if errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable) {
		return err
	}
	if err != nil || s.Now().Sub(at(l.Begun)) > flowLife || l.Session != who.Session {
		return s.page(r.Context(), who, "", stale)
	}
	return s.end(w, r, who, l, true)
}

// end ends the session, tells the clients, and leads on.
func (s *Service) end(w http.ResponseWriter, r *http.Request, who actor.Actor, l leaving, form bool) error {
	ctx := r.Context()
	frames, err := s.frames(ctx, who.Session)
	if err != nil {
		return err
	}
	if err := s.People.SignOut(ctx, who); err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.ClearCookie(w, identity.SessionCookie)
	if err := s.TellEnded(ctx); err != nil {
		s.Log.Error("tell clients of a sign-out", "err", err) // the poll does it again
	}
	if l.To != "" && len(frames) == 0 {
		return s.leave(w, r, l.To, form)
	}
	return s.signedOut(w, r, frames, l.To)
}

// signedOut is the page at the end; it loads the clients' front-channel addresses.
func (s *Service) signedOut(w http.ResponseWriter, r *http.Request, frames []string, to string) error {
	if len(frames) > 0 {
		var from []string
		for _, f := range frames {
			if u, err := url.Parse(f); err == nil {
				from = append(from, u.Scheme+"://"+u.Host)
			}
		}
		slices.Sort(from)
		w.Header().Set("Content-Security-Policy", strings.TrimSuffix(w.Header().Get("Content-Security-Policy"), ";")+"; frame-src "+joined(slices.Compact(from)))
	}
	return s.set.Render(w, r, http.StatusOK, "signed-out", web.View{Title: "You are signed out", Frame: web.Plain, Data: leavePage{To: to, Frames: frames}})
}

// frames are the addresses of front-channel logout of the clients of a session.
func (s *Service) frames(ctx context.Context, session string) ([]string, error) {
	var out []string
	err := s.DB.Each(ctx, frontsOf, func(scan ledger.Scan) error {
		var front, sid string
		if err := scan(&front, &sid); err != nil {
			return err
		}
		out = append(out, answerTo(front, url.Values{"iss": {s.Origin}, "sid": {sid}}))
		return nil
	}, session)
	return out, err
}

const frontsOf = `SELECT c.front, l.sid FROM identity_oidc_login l JOIN identity_oidc_client c ON c.id = l.client
	WHERE l.session = $1 AND l.told IS NULL AND c.front <> '' AND c.ended IS NULL ORDER BY c.id`
