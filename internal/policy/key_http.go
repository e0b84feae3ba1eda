package policy

import (
	"net/http"

	"writ/internal/actor"
	"writ/internal/web"
)

func (s *Service) getKeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	v := keysView{Keys: append([]Key{}, s.Keys()...)}
	if line := r.FormValue("key"); line != "" {
		text, err := s.KeyText(r.Context(), who, line)
		if err != nil {
			return err
		}
		v.Text = text
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

func (s *Service) postKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[keyIn](r)
	if err != nil {
		return err
	}
	k, err := s.RegisterKey(r.Context(), who, in.Key, []byte(in.Signature))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, k)
}

func (s *Service) deleteKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RevokeKey(r.Context(), who, r.PathValue("fingerprint")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
