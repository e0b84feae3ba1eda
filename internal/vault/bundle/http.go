package bundle

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

// Routes are the doors for making bundles, and for the machines that use them.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/bundles"
	on := func(pattern string, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Tokens: true, Limit: 512 << 10, Handle: h, Doc: d}
	}
	return []web.Route{
		on("GET "+v1, s.getBundles, web.Doc{Summary: "Bundles for machines that may be cut off", Out: bundlesOut{}}),
		on("POST "+v1, s.postBundle, web.Doc{Summary: "Seal values to the key of a machine", In: bundleIn{}, Out: madeOut{}, Status: http.StatusCreated, Errors: []string{"machine_key", "bundle_wish", "param_unknown"}}),
		on("GET "+v1+"/key", s.getKey, web.Doc{Summary: "The key that bundles are signed with", Out: keyOut{}}),
		on("POST "+v1+"/uses", s.postUses, web.Doc{Summary: "Report the uses of bundles, and learn which must not be opened any more", In: usesIn{}, Out: revokedOut{}, Errors: []string{"uses_many"}}),
		on("DELETE "+v1+"/{id}", s.deleteBundle, web.Doc{Summary: "Revoke a bundle", Errors: []string{"bundle_unknown"}}),
	}
}

type (
	bundleWire struct {
		ID      string    `json:"id"`
		Machine string    `json:"machine"`
		Names   []string  `json:"names"`
		By      string    `json:"by"`
		Made    time.Time `json:"made"`
		Ends    time.Time `json:"ends"`
		Revoked time.Time `json:"revoked,omitzero"`
		Used    int64     `json:"used"`
		Seen    time.Time `json:"seen,omitzero"`
	}
	bundlesOut struct {
		Bundles []bundleWire `json:"bundles"`
	}
	bundleIn struct {
		Names   []string `json:"names"`
		Machine string   `json:"machine"`
		Hours   int      `json:"hours,omitzero"` // 0 = a week
		Reason  string   `json:"reason,omitzero"`
	}
	madeOut struct {
		About  bundleWire `json:"about"`
		Bundle string     `json:"bundle"`
	}
	keyOut struct {
		Key string `json:"key"`
	}
	useWire struct {
		Bundle string    `json:"bundle"`
		At     time.Time `json:"at"`
		Path   string    `json:"path"`
		Count  int64     `json:"count"`
		Host   string    `json:"host,omitzero"`
	}
	usesIn struct {
		Uses []useWire `json:"uses"`
	}
	revokedOut struct {
		Revoked []string `json:"revoked"`
	}
)

func wireBundle(b Issued) bundleWire {
	return bundleWire{b.ID, b.Machine, b.Names, b.Issuer, b.Made, b.Ends, b.Revoked, b.Used, b.Seen}
}

func (s *Service) getBundles(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	bs, err := s.Bundles(r.Context(), who)
	if err != nil {
		return err
	}
	out := bundlesOut{Bundles: []bundleWire{}}
	for _, b := range bs {
		out.Bundles = append(out.Bundles, wireBundle(b))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postBundle(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[bundleIn](r)
	if err != nil {
		return err
	}
	if in.Hours == 0 {
		in.Hours = 7 * 24
	}
	text, b, err := s.Issue(r.Context(), who, Wish{Names: in.Names, Machine: in.Machine, Life: time.Duration(in.Hours) * time.Hour, Reason: in.Reason})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, madeOut{wireBundle(b), string(text)})
}

func (s *Service) getKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	k, err := s.Server(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, keyOut{k})
}

func (s *Service) postUses(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[usesIn](r)
	if err != nil {
		return err
	}
	var uses []Use
	for _, u := range in.Uses {
		uses = append(uses, Use(u))
	}
	revoked, err := s.Report(r.Context(), who, uses)
	if err != nil {
		return err
	}
	if revoked == nil {
		revoked = []string{}
	}
	return web.WriteJSON(w, http.StatusOK, revokedOut{revoked})
}

func (s *Service) deleteBundle(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Revoke(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
