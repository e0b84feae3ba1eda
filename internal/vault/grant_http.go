package vault

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

type (
	grantIn struct {
		Who    string `json:"who"` // person/ID
		Path   string `json:"path"`
		Rights string `json:"rights"` // reader, writer
		Reason string `json:"reason"`
		Days   int    `json:"days,omitzero"` // 0 = 30
	}
	grantWire struct {
		ID      string    `json:"id"`
		Who     string    `json:"who"`
		Path    string    `json:"path"`
		Rights  string    `json:"rights"`
		By      string    `json:"by"`
		Granted time.Time `json:"granted"`
		Until   time.Time `json:"until"`
	}
	grantsOut struct {
		Grants []grantWire `json:"grants"`
	}
)

func wireGrant(g Grant) grantWire {
	return grantWire{g.ID, g.Who, g.Path, g.Rights, g.Granter, g.Granted, g.Until}
}

func (s *Service) getGrants(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	gs, err := s.Grants(r.Context(), who)
	if err != nil {
		return err
	}
	out := grantsOut{Grants: []grantWire{}}
	for _, g := range gs {
		out.Grants = append(out.Grants, wireGrant(g))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postGrant(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[grantIn](r)
	if err != nil {
		return err
	}
	g, err := s.GrantPath(r.Context(), who, NewGrant{Who: in.Who, Path: in.Path, Rights: in.Rights, Reason: in.Reason, Life: time.Duration(in.Days) * 24 * time.Hour})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireGrant(g))
}

func (s *Service) deleteGrant(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndGrant(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
