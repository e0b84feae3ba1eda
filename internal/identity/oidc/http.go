package oidc

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

// Routes are the endpoints of the provider, the person's page, and the staff's API.
func (s *Service) Routes() []web.Route {
	return append([]web.Route{
		{Pattern: "GET /.well-known/openid-configuration", Who: web.Anyone, Handle: s.getDiscovery},
		{Pattern: "GET /-/oidc/jwks", Who: web.Anyone, Handle: s.getJWKS},
		{Pattern: "GET /-/oidc/authorize", Who: web.Anyone, Handle: s.getAuthorize},
		{Pattern: "POST /-/oidc/authorize", Who: web.Anyone, Handle: s.postAuthorize, Foreign: true},
		{Pattern: "POST /-/oidc/consent", Who: web.SignedIn, Handle: s.postConsent},
		{Pattern: "POST /-/oidc/par", Who: web.Anyone, Handle: s.postPar},
		{Pattern: "POST /-/oidc/token", Who: web.Anyone, Handle: s.postToken},
		{Pattern: "GET /-/oidc/userinfo", Who: web.Anyone, Bearer: true, Handle: s.userinfo},
		{Pattern: "POST /-/oidc/userinfo", Who: web.Anyone, Bearer: true, Handle: s.userinfo},
		{Pattern: "POST /-/oidc/introspect", Who: web.Anyone, Handle: s.postIntrospect},
		{Pattern: "POST /-/oidc/revoke", Who: web.Anyone, Handle: s.postRevoke},
		{Pattern: "GET /-/oidc/logout", Who: web.Anyone, Handle: s.getLogout},
		{Pattern: "POST /-/oidc/logout", Who: web.Anyone, Handle: s.postLogout, Foreign: true},
		{Pattern: "GET /-/account/applications", Who: web.SignedIn, Handle: s.getApps},
		{Pattern: "POST /-/account/applications", Who: web.SignedIn, Handle: s.postApps},
	}, s.api()...)
}

func (s *Service) api() []web.Route {
	const v1 = " /-/api/v1/"
	staff := []web.Route{
		{Pattern: "GET" + v1 + "clients", Handle: s.getClients, Doc: web.Doc{Summary: "Applications that sign people in here", Out: clientsOut{}}},
		{Pattern: "POST" + v1 + "clients", Handle: s.postClient, Doc: web.Doc{Summary: "Register an application; answers with its secret, once", In: clientIn{}, Out: registeredOut{}, Status: 201,
			Errors: []string{"name_invalid", "redirect_invalid", "kind_unknown", "trust_unknown", "audience_unknown", "scopes_unknown", "alg_unknown", "acr_unknown", "logout_invalid"}}},
		{Pattern: "GET" + v1 + "clients/{id}", Handle: s.getClient, Doc: web.Doc{Summary: "One application", Out: clientWire{}, Errors: []string{"no_client"}}},
		{Pattern: "DELETE" + v1 + "clients/{id}", Handle: s.deleteClient, Doc: web.Doc{Summary: "Remove an application and end all its tokens", Errors: []string{"no_client"}}},
		{Pattern: "POST" + v1 + "clients/{id}/secrets", Handle: s.postSecret, Doc: web.Doc{Summary: "Make a new secret beside the present one; answers with it, once", Out: secretOut{}, Status: 201, Errors: []string{"no_client", "no_secret"}}},
		{Pattern: "DELETE" + v1 + "clients/{id}/secrets/{secret}", Handle: s.deleteSecret, Doc: web.Doc{Summary: "End one secret", Errors: []string{"no_client", "last_secret"}}},
	}
	for i := range staff {
		staff[i].Who = web.Staff
	}
	return append(staff,
		web.Route{Pattern: "GET" + v1 + "consents", Who: web.SignedIn, Handle: s.getConsents, Doc: web.Doc{Summary: "Applications that I allowed something or am signed in to", Out: consentsOut{}}},
		web.Route{Pattern: "DELETE" + v1 + "consents/{client}", Who: web.SignedIn, Handle: s.deleteConsent, Doc: web.Doc{Summary: "Take back what I allowed an application", Errors: []string{"no_consent"}}})
}

type (
	clientIn struct {
		Name       string   `json:"name"`
		Kind       string   `json:"kind"`
		Trust      string   `json:"trust"`
		Audience   string   `json:"audience"`
		Redirects  []string `json:"redirects"`
		After      []string `json:"after_logout"`
		Back       string   `json:"backchannel_logout"`
		Front      string   `json:"frontchannel_logout"`
		Scopes     []string `json:"scopes"`
		Alg        string   `json:"alg"`
		RequirePAR *bool    `json:"require_par"`
		ACR        int      `json:"acr"`
		Resource   bool     `json:"resource"`
	}
	clientWire struct {
		ID         string    `json:"id"`
		Name       string    `json:"name"`
		Kind       string    `json:"kind"`
		Trust      string    `json:"trust"`
		Audience   string    `json:"audience"`
		Redirects  []string  `json:"redirects"`
		After      []string  `json:"after_logout"`
		Back       string    `json:"backchannel_logout,omitempty"`
		Front      string    `json:"frontchannel_logout,omitempty"`
		Scopes     []string  `json:"scopes"`
		Alg        string    `json:"alg"`
		RequirePAR bool      `json:"require_par"`
		ACR        int       `json:"acr"`
		Resource   bool      `json:"resource"`
		Created    time.Time `json:"created"`
		Secrets    []Secret  `json:"secrets"`
	}
	clientsOut struct {
		Clients []clientWire `json:"clients"`
	}
	registeredOut struct {
		Client clientWire `json:"client"`
		Secret string     `json:"secret,omitempty"`
		Issuer string     `json:"issuer"`
	}
	secretOut struct {
		Secret string `json:"secret"`
	}
	consentsOut struct {
		Consents []Grant `json:"consents"`
	}
)

func wireClient(c Client) clientWire {
	w := clientWire(c)
	if w.After == nil {
		w.After = []string{}
	}
	if w.Secrets == nil {
		w.Secrets = []Secret{}
	}
	return w
}

func (s *Service) getClients(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	cs, err := s.Clients(r.Context(), who)
	if err != nil {
		return err
	}
	out := clientsOut{Clients: []clientWire{}}
	for _, c := range cs {
		out.Clients = append(out.Clients, wireClient(c))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[clientIn](r)
	if err != nil {
		return err
	}
	made, err := s.Register(r.Context(), who, NewClient(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, registeredOut{Client: wireClient(made.Client), Secret: made.Secret.Reveal(), Issuer: s.Origin})
}

func (s *Service) getClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.ClientByID(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireClient(c))
}

func (s *Service) deleteClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Remove(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	fresh, err := s.Rotate(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, secretOut{fresh.Reveal()})
}

func (s *Service) deleteSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RemoveSecret(r.Context(), who, r.PathValue("id"), r.PathValue("secret")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) getConsents(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	gs, err := s.Grants(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, consentsOut{gs})
}

func (s *Service) deleteConsent(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Withdraw(r.Context(), who, r.PathValue("client")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
