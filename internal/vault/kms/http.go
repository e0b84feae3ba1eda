package kms

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

// Routes are the doors of people; programs come by the wire of package aws.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/kms"
	on := func(pattern string, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h, Doc: d}
	}
	return []web.Route{
		on("GET "+v1, s.getKeys, web.Doc{Summary: "The keys that programs encrypt with", Out: keysOut{}}),
		on("POST "+v1, s.postKey, web.Doc{Summary: "Make a key for programs to encrypt with", In: keyIn{}, Out: keyWire{}, Status: 201, Errors: []string{"alias_invalid", "alias_taken", "kms_key_invalid"}}),
		on("POST "+v1+"/{id}/state", s.postState, web.Doc{Summary: "Let a key be used, or no more", In: stateIn{}, Errors: []string{"kms_key_unknown"}}),
		on("POST "+v1+"/{id}/alias", s.postAlias, web.Doc{Summary: "Point a name at a key", In: aliasIn{}, Errors: []string{"kms_key_unknown", "alias_invalid", "alias_reserved"}}),
		on("POST "+v1+"/{id}/rotate", s.postRotate, web.Doc{Summary: "Give a key another version for what is encrypted from now on", Errors: []string{"kms_key_unknown"}}),
	}
}

type (
	keyIn struct {
		Alias       string `json:"alias,omitzero"` // alias/NAME
		Path        string `json:"path,omitzero"`  // which access keys reach it; "" = /
		Description string `json:"description,omitzero"`
	}
	keyWire struct {
		ID          string    `json:"id"`
		Aliases     []string  `json:"aliases"`
		Path        string    `json:"path"`
		Description string    `json:"description,omitempty"`
		Enabled     bool      `json:"enabled"`
		Destroyed   bool      `json:"destroyed,omitempty"`
		Version     int64     `json:"version"`
		Made        time.Time `json:"made"`
		By          string    `json:"by"`
		Renewed     time.Time `json:"renewed"`
	}
	keysOut struct {
		Keys []keyWire `json:"keys"`
	}
	stateIn struct {
		Enabled bool `json:"enabled"`
	}
	aliasIn struct {
		Alias string `json:"alias"`
	}
)

func wireKey(k Key) keyWire {
	w := keyWire{k.ID, k.Aliases, k.Path, k.Description, k.Enabled, k.Destroyed, k.Version, k.Made, k.MadeBy, k.Renewed}
	if w.Aliases == nil {
		w.Aliases = []string{}
	}
	return w
}

func (s *Service) getKeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ks, err := s.List(r.Context(), who)
	if err != nil {
		return err
	}
	out := keysOut{Keys: []keyWire{}}
	for _, k := range ks {
		out.Keys = append(out.Keys, wireKey(k))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[keyIn](r)
	if err != nil {
		return err
	}
	k, err := s.Create(r.Context(), who, NewKey(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireKey(k))
}

func (s *Service) postState(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[stateIn](r)
	if err != nil {
		return err
	}
	to := Disabled
	if in.Enabled {
		to = Enabled
	}
	return done(w, s.Enable(r.Context(), who, r.PathValue("id"), to))
}

func (s *Service) postAlias(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[aliasIn](r)
	if err != nil {
		return err
	}
	return done(w, s.Name(r.Context(), who, r.PathValue("id"), in.Alias))
}

func (s *Service) postRotate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return done(w, s.Rotate(r.Context(), who, r.PathValue("id")))
}

func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
