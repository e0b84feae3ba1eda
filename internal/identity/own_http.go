package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// ownRoutes is the API of one's own account: address, copy, end, and the word that a
// sign-in was somebody else's.
func (s *Service) ownRoutes() []web.Route {
	own := func(pattern string, h web.Handler, d web.Doc) web.Route {
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h, Doc: d}
	}
	open := func(pattern string, h web.Handler, d web.Doc) web.Route {
		return web.Route{Pattern: pattern, Who: web.Anyone, Handle: h, Doc: d}
	}
	return []web.Route{
		own("POST /-/api/v1/account/address", s.postAddress, web.Doc{Summary: "Ask for another address; both mailboxes must agree", In: addressIn{}, Out: addressOut{}, Status: 202,
			Errors: []string{"email_invalid", "email_same", "domain_closed", "current_password_wrong", "too_many", "busy"}}),
		own("GET /-/api/v1/account/address", s.getAddress, web.Doc{Summary: "The change of my address that waits", Out: addressOut{}}),
		own("DELETE /-/api/v1/account/address", s.deleteAddress, web.Doc{Summary: "Cancel the change of my address", Errors: []string{"no_change"}}),
		open("POST /-/api/v1/account/address/agree", s.postAgree, web.Doc{Summary: "Agree to a change with the token of a mailbox's letter", In: linkIn{}, Out: agreedOut{}, Errors: []string{"link_dead"}}),
		open("POST /-/api/v1/account/not-me", s.postNotMe, web.Doc{Summary: "Say that a sign-in was somebody else's: everything ends, the password is locked", In: linkIn{}, Out: nextOut{}, Errors: []string{"link_dead"}}),
		own("POST /-/api/v1/account/name", s.postName, web.Doc{Summary: "Give myself another name", In: nameIn{}, Errors: []string{"name_invalid"}}),
		own("POST /-/api/v1/account/export", s.postExport, web.Doc{Summary: "A copy of everything held about me", Out: OwnData{}}),
		own("GET /-/api/v1/account/leave", s.getLeave, web.Doc{Summary: "When my account ends, if I asked for it", Out: leaveOut{}}),
		own("POST /-/api/v1/account/leave", s.postLeave, web.Doc{Summary: "End my account in 14 days", In: leaveIn{}, Out: leaveOut{}, Errors: []string{"current_password_wrong", "staff_leave", "last_admin", "leaving_already", "too_many", "busy"}}),
		own("DELETE /-/api/v1/account/leave", s.deleteLeave, web.Doc{Summary: "Keep my account after all", Errors: []string{"not_leaving"}}),
	}
}

type (
	addressIn struct {
		Email   string      `json:"email"`
		Current secret.Text `json:"current"`
	}
	addressOut struct {
		Waiting bool       `json:"waiting"`
		Email   string     `json:"email,omitempty"`
		Expires *time.Time `json:"expires,omitempty"`
		OldOK   *time.Time `json:"old_agreed,omitempty"`
		NewOK   *time.Time `json:"new_agreed,omitempty"`
	}
	linkIn struct {
		Token secret.Text `json:"token"`
	}
	agreedOut struct {
		Done bool `json:"done"` // false: the other mailbox must agree too
	}
	leaveIn struct {
		Current secret.Text `json:"current"`
	}
	leaveOut struct {
		Leaving bool       `json:"leaving"`
		Due     *time.Time `json:"due,omitempty"`
	}
)

func wireAddress(c AddressChange) addressOut {
	return addressOut{Waiting: true, Email: c.Email, Expires: &c.Expires, OldOK: some(c.OldOK), NewOK: some(c.NewOK)}
}

func (s *Service) postAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[addressIn](r)
	if err != nil {
		return err
	}
	c, err := s.AskAddress(r.Context(), who, NewAddress{Email: in.Email, Current: in.Current, Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusAccepted, wireAddress(c))
}

func (s *Service) getAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, ok, err := s.WaitingAddress(r.Context(), who)
	if err != nil {
		return err
	}
	if !ok {
		return web.WriteJSON(w, http.StatusOK, addressOut{})
	}
	return web.WriteJSON(w, http.StatusOK, wireAddress(c))
}

func (s *Service) deleteAddress(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.CancelAddress(r.Context(), who); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postAgree(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[linkIn](r)
	if err != nil {
		return err
	}
	done, err := s.AgreeAddress(r.Context(), web.StrangerOf(r), in.Token)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, agreedOut{done})
}

func (s *Service) postNotMe(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[linkIn](r)
	if err != nil {
		return err
	}
	if err := s.NotMe(r.Context(), web.StrangerOf(r), in.Token); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, nextOut{"recovery"})
}

func (s *Service) postExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := s.OwnData(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, d)
}

func (s *Service) getLeave(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	due, ok, err := s.Leaving(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, leaveOut{Leaving: ok, Due: some(due)})
}

func (s *Service) postLeave(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[leaveIn](r)
	if err != nil {
		return err
	}
	due, err := s.Leave(r.Context(), who, in.Current)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, leaveOut{Leaving: true, Due: &due})
}

func (s *Service) deleteLeave(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Stay(r.Context(), who); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
