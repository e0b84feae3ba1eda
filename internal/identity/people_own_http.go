package identity

import (
	"net/http"

	"writ/internal/actor"
	"writ/internal/web"
)

// careRoutes is what staff and the operator do for somebody who asks: their copy, who
// looked as them, a reset of the password.
func (s *Service) careRoutes() []web.Route {
	return []web.Route{
		{Pattern: "POST /-/api/v1/people/{ref}/export", Who: web.Staff, Handle: s.postPersonExport, Doc: web.Doc{Summary: "A copy of everything held about a person, for them; they are told by mail", In: reasonIn{}, Out: OwnData{},
			Errors: []string{"no_person", "reason_missing", "erased", "step_up_required"}}},
		{Pattern: "POST /-/api/v1/people/{ref}/reset", Who: web.Staff, Handle: s.postReset, Doc: web.Doc{Summary: "Mail a person the link with which they set a new password", In: reasonIn{}, Status: http.StatusNoContent,
			Errors: []string{"no_person", "reason_missing", "not_active", "no_password", "step_up_required"}}},
		{Pattern: "GET /-/api/v1/people/{ref}/looks", Who: web.Staff, Handle: s.getPersonLooks, Doc: web.Doc{Summary: "Who of the staff looked as a customer, when and why", Out: ownLooksOut{}, Errors: []string{"no_person"}}},
		{Pattern: "POST /-/api/v1/account/looks/{id}/receipt", Who: web.SignedIn, Handle: s.postReceipt, Doc: web.Doc{Summary: "The proof of a look as a zip that writ verify reads without this server", Errors: []string{"no_support", "no_entry_yet", "too_many"}}},
	}
}

// reasonIn is why an act on somebody's account is done; the person reads it.
type reasonIn struct {
	Reason string `json:"reason"`
}

func (s *Service) postPersonExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[reasonIn](r)
	if err != nil {
		return err
	}
	d, err := s.ExportPerson(r.Context(), who, r.PathValue("ref"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, d)
}

func (s *Service) postReset(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[reasonIn](r)
	if err != nil {
		return err
	}
	if err := s.StartReset(r.Context(), who, r.PathValue("ref"), in.Reason); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) getPersonLooks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ls, err := s.LooksOf(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireOwnLooks(ls))
}
