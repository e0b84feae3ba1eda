package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// supportRoutes is the API of looks and of the terms. A look reaches its own end alone.
func (s *Service) supportRoutes() []web.Route {
	return []web.Route{
		{Pattern: "POST /-/api/v1/support", Who: web.SignedIn, Handle: s.postLook, Doc: web.Doc{Summary: "Look as a customer for a while; sets the session cookie of the look, and the present session waits", In: lookIn{}, Out: lookWire{}, Status: 201,
			Errors: []string{"reason_needed", "ticket_needed", "for_invalid", "duration_text", "no_person", "support_refused", "support_open", "step_up_required"}}},
		{Pattern: "GET /-/api/v1/support", Who: web.SignedIn, Handle: s.getLooks, Doc: web.Doc{Summary: "Looks of all staff, newest first", Out: looksOut{}}},
		{Pattern: "POST /-/api/v1/support/{id}/agree", Who: web.SignedIn, Handle: s.postAgreeLook, Doc: web.Doc{Summary: "Agree that somebody else's look may change things", Out: lookWire{}, Errors: []string{"no_support", "support_self", "support_not_asked", "step_up_required"}}},
		{Pattern: "DELETE /-/api/v1/support/{id}", Who: web.SignedIn, Support: true, Handle: s.deleteLook, Doc: web.Doc{Summary: "End a look; who looked gets the former session back in a new cookie", Errors: []string{"no_support"}}},
		{Pattern: "GET /-/api/v1/account/looks", Who: web.SignedIn, Handle: s.getOwnLooks, Doc: web.Doc{Summary: "Who of the staff looked as me, when and why", Out: ownLooksOut{}}},
		{Pattern: "GET /-/api/v1/terms", Who: web.Agreeing, Handle: s.getTerms, Doc: web.Doc{Summary: "The terms in force, and which version I have accepted", Out: termsOut{}}},
		{Pattern: "POST /-/api/v1/terms", Who: web.Agreeing, Handle: s.postTerms, Doc: web.Doc{Summary: "Accept the terms in the version that was shown", In: termsIn{}, Out: termsOut{}, Errors: []string{"terms_version"}}},
	}
}

type (
	lookIn struct {
		Person string `json:"person"` // id, handle or address
		Team   string `json:"team,omitempty"`
		Reason string `json:"reason"`
		Ticket string `json:"ticket"`
		For    string `json:"for,omitempty"`   // how long at most, such as 15m; empty = as long as the policy allows
		Write  bool   `json:"write,omitempty"` // ask a second person for the right to change things
	}
	lookWire struct {
		ID       string     `json:"id"`
		Staff    string     `json:"staff"`
		By       string     `json:"by,omitempty"`
		Person   string     `json:"person"`
		Team     string     `json:"team"`
		Reason   string     `json:"reason,omitempty"`
		Ticket   string     `json:"ticket"`
		Began    time.Time  `json:"began,omitzero"`
		Until    time.Time  `json:"until"`
		Write    string     `json:"write"` // no, asked, agreed
		AgreedBy string     `json:"agreed_by,omitempty"`
		Ended    *time.Time `json:"ended,omitempty"`
		Cause    string     `json:"cause,omitempty"`
	}
	looksOut struct {
		Looks []lookWire `json:"looks"`
	}
	ownLooksOut struct {
		Looks []OwnLook `json:"looks"`
	}
	termsIn struct {
		Version int `json:"version"`
	}
	termsOut struct {
		Version    int        `json:"version"` // in force
		URL        string     `json:"url,omitempty"`
		Accepted   int        `json:"accepted"` // 0 = none yet
		AcceptedAt *time.Time `json:"accepted_at,omitempty"`
		Required   bool       `json:"required"` // must be accepted before anything else
	}
)

func wireLook(l Look) lookWire {
	w := lookWire{ID: l.ID, Staff: l.Staff, By: l.By, Person: l.Person, Team: l.Team, Reason: l.Reason, Ticket: l.Ticket, Began: l.Began, Until: l.Until,
		Write: "no", AgreedBy: l.AgreedBy, Ended: some(l.Ended), Cause: l.Cause}
	switch {
	case l.Writes():
		w.Write = "agreed"
	case l.Asked:
		w.Write = "asked"
	}
	return w
}

func (s *Service) postLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[lookIn](r)
	if err != nil {
		return err
	}
	var box time.Duration
	if in.For != "" {
		if box, err = LendFor(in.For); err != nil {
			return err
		}
	}
	l, err := s.BeginLookFrom(w, r, who, NewLook{Person: in.Person, Team: in.Team, Reason: in.Reason, Ticket: in.Ticket, For: box, Writes: in.Write})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireLook(l))
}

// BeginLookFrom begins a look for whoever sends the request and sets the cookie; pages
// use it too.
func (s *Service) BeginLookFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, in NewLook) (Look, error) {
	l, err := s.BeginLook(r.Context(), who, in)
	if err != nil {
		return Look{}, err
	}
	web.SetCookie(w, SessionCookie, l.Token, l.Until.Sub(s.Now()))
	return l.Look, nil
}

func (s *Service) getLooks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ls, err := s.Looks(r.Context(), who)
	if err != nil {
		return err
	}
	out := looksOut{Looks: []lookWire{}}
	for _, l := range ls {
		out.Looks = append(out.Looks, wireLook(l))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postAgreeLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	l, err := s.AgreeLook(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireLook(l))
}

func (s *Service) deleteLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndLookFrom(w, r, who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

// EndLookFrom ends a look; the browser that looked goes on with its former session.
func (s *Service) EndLookFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, id string) error {
	back, ends, err := s.EndLook(r.Context(), who, id)
	if err == nil && !back.Equal(secret.Text{}) {
		web.SetCookie(w, SessionCookie, back, ends.Sub(s.Now()))
	}
	return err
}

func (s *Service) getOwnLooks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ls, err := s.LookedAt(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireOwnLooks(ls))
}

func wireOwnLooks(ls []Look) ownLooksOut {
	out := ownLooksOut{Looks: []OwnLook{}}
	for _, l := range ls {
		out.Looks = append(out.Looks, ownLook(l))
	}
	return out
}

func (s *Service) getTerms(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t, err := s.Terms(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, termsOut{Version: t.Version, URL: t.URL, Accepted: t.Accepted, AcceptedAt: some(t.At), Required: t.Asked && t.Accepted < t.Version})
}

func (s *Service) postTerms(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[termsIn](r)
	if err != nil {
		return err
	}
	if err := s.AcceptTerms(r.Context(), who, in.Version); err != nil {
		return err
	}
	return s.getTerms(w, r, who)
}
