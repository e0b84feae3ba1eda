package oidc

import (
	"net/http"

	"writ/internal/actor"
	"writ/internal/web"

	"github.com/go-jose/go-jose/v4"
)

// discovery says what this provider does, and nothing that it does not: a test tries
// every word of it, and tries what is not in it.
type discovery struct {
	Issuer         string   `json:"issuer"`
	Authorize      string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	UserInfo       string   `json:"userinfo_endpoint"`
	JWKS           string   `json:"jwks_uri"`
	Introspect     string   `json:"introspection_endpoint"`
	Revoke         string   `json:"revocation_endpoint"`
	EndSession     string   `json:"end_session_endpoint"`
	PAR            string   `json:"pushed_authorization_request_endpoint"`
	Scopes         []string `json:"scopes_supported"`
	ResponseTypes  []string `json:"response_types_supported"`
	ResponseModes  []string `json:"response_modes_supported"`
	Grants         []string `json:"grant_types_supported"`
	ACR            []string `json:"acr_values_supported"`
	Subjects       []string `json:"subject_types_supported"`
	Signing        []string `json:"id_token_signing_alg_values_supported"`
	Authentication []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectAuth []string `json:"introspection_endpoint_auth_methods_supported"`
	RevokeAuth     []string `json:"revocation_endpoint_auth_methods_supported"`
	Challenges     []string `json:"code_challenge_methods_supported"`
	Claims         []string `json:"claims_supported"`
	Prompts        []string `json:"prompt_values_supported"`
	ISS            bool     `json:"authorization_response_iss_parameter_supported"`
	RequestURI     bool     `json:"request_uri_parameter_supported"`
	Request        bool     `json:"request_parameter_supported"`
	ClaimsParam    bool     `json:"claims_parameter_supported"`
	RequirePAR     bool     `json:"require_pushed_authorization_requests"`
	Back           bool     `json:"backchannel_logout_supported"`
	BackSession    bool     `json:"backchannel_logout_session_supported"`
	Front          bool     `json:"frontchannel_logout_supported"`
	FrontSession   bool     `json:"frontchannel_logout_session_supported"`
}

func (s *Service) discovery() discovery {
	at := func(name string) string { return s.Origin + "/-/oidc/" + name }
	return discovery{
		Issuer: s.Origin, Authorize: at("authorize"), Token: at("token"), UserInfo: at("userinfo"), JWKS: at("jwks"), Introspect: at("introspect"),
		Revoke: at("revoke"), EndSession: at("logout"), PAR: at("par"),
		Scopes: scopesKnown(), ResponseTypes: []string{"code"}, ResponseModes: []string{"query"}, Grants: []string{"authorization_code", "refresh_token"},
		ACR: []string{"1", "2", "3"}, Subjects: []string{"public"}, Signing: []string{"RS256", "ES256"},
		Authentication: []string{"client_secret_basic", "none"}, IntrospectAuth: []string{"client_secret_basic"}, RevokeAuth: []string{"client_secret_basic", "none"},
		Challenges: []string{"S256"}, Prompts: []string{"none", "login", "consent", "select_account"},
		Claims: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "name", "preferred_username", "email", "email_verified", "team", "roles"},
		ISS:    true, Back: true, BackSession: true, Front: true, FrontSession: true,
	}
}

func (s *Service) getDiscovery(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
	return web.WriteJSON(w, http.StatusOK, s.discovery())
}

// getJWKS serves the public halves of the keys.
func (s *Service) getJWKS(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	all, err := s.published(r.Context())
	if err == nil && len(all) == 0 { // nobody registered a client yet
		if err = s.RenewKeys(r.Context()); err == nil {
			all, err = s.published(r.Context())
		}
	}
	if err != nil {
		return err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range all {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.signer.Public(), KeyID: k.kid, Algorithm: string(k.alg), Use: "sig"})
	}
	return web.WriteJSON(w, http.StatusOK, set)
}
