package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

// resetRoutes are the way out for somebody who lost every factor. Team admins reach them
// too, for people of their team.
func (s *Service) resetRoutes() []web.Route {
	rs := []web.Route{
		{Pattern: "POST /-/api/v1/people/{ref}/factor-reset", Handle: s.postFactorReset, Doc: web.Doc{Summary: "Ask to take a person's lost factors away; another person must agree", Tag: "people",
			In: factorResetIn{}, Out: factorResetOut{}, Status: http.StatusCreated, Errors: []string{"no_person", "reason_missing", "no_factor", "denied", "step_up_required"}}},
		{Pattern: "POST /-/api/v1/people/{ref}/factor-reset/agree", Handle: s.postFactorAgree, Doc: web.Doc{Summary: "Agree, as the second person: the factors go and every session ends", Tag: "people",
			Errors: []string{"no_person", "no_reset", "denied", "step_up_required"}}},
		{Pattern: "DELETE /-/api/v1/people/{ref}/factor-reset", Handle: s.deleteFactorReset, Doc: web.Doc{Summary: "Withdraw the request", Tag: "people", Errors: []string{"no_person", "no_reset", "denied"}}},
		{Pattern: "GET /-/api/v1/factor-resets", Handle: s.getFactorResets, Doc: web.Doc{Summary: "Requests to take lost factors away: those that wait first, then the newest", Tag: "people", Out: resetsOut{}, Errors: []string{"denied"}}},
	}
	for i := range rs {
		rs[i].Who = web.SignedIn
	}
	return rs
}

type (
	factorResetIn struct {
		Reason string `json:"reason"` // how it is known that the person asks
	}
	factorResetOut struct {
		ID    string    `json:"id"`
		Waits time.Time `json:"waits,omitzero"` // when it is done without a second person; of customers only
	}
)

func (s *Service) postFactorReset(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[factorResetIn](r)
	if err != nil {
		return err
	}
	fr, err := s.AskFactorReset(r.Context(), who, r.PathValue("ref"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, factorResetOut{fr.ID, fr.Waits})
}

func (s *Service) postFactorAgree(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.AgreeFactorReset(r.Context(), who, r.PathValue("ref")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) deleteFactorReset(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.WithdrawFactorReset(r.Context(), who, r.PathValue("ref")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
