package identity

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// tokenRoutes make, list and end tokens and services: acts of people, which no token
// reaches, but for the one that tells a program who it is.
func (s *Service) tokenRoutes() []web.Route {
	const v1 = "/-/api/v1/"
	own := func(pattern string, h web.Handler, d web.Doc) web.Route {
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h, Doc: d}
	}
	self := own("GET "+v1+"token", s.getToken, web.Doc{Summary: "What the token of this request is and may do", Tag: "tokens", Out: selfOut{}, Errors: []string{"token_refused", "too_many"}})
	self.Tokens = true
	return []web.Route{
		self,
		own("GET "+v1+"tokens", s.getTokens, web.Doc{Summary: "My live tokens, newest first; with of=all everybody's, with of=PERSON theirs", Query: []string{"of"}, Out: tokensOut{}}),
		own("POST "+v1+"tokens", s.postToken, web.Doc{Summary: "Make a token, for me or for a service; its text is shown this once", In: tokenIn{}, Out: issuedOut{}, Status: 201,
			Errors: []string{"name_invalid", "scopes_invalid", "life_invalid", "networks_invalid", "person_needed", "no_service", "too_many_tokens"}}),
		own("DELETE "+v1+"tokens/{id}", s.deleteToken, web.Doc{Summary: "End a token at once", Errors: []string{"no_token"}}),
		own("GET "+v1+"services", s.getServices, web.Doc{Summary: "The services of my team", Tag: "tokens", Out: servicesOut{}}),
		own("POST "+v1+"services", s.postService, web.Doc{Summary: "Make an account for a program in my team", Tag: "tokens", In: serviceIn{}, Out: serviceWire{}, Status: 201,
			Errors: []string{"name_invalid", "role_unknown", "owner_invalid", "no_team", "service_exists"}}),
		own("GET "+v1+"services/{ref}/tokens", s.getServiceTokens, web.Doc{Summary: "The live tokens of a service", Tag: "tokens", Out: tokensOut{}, Errors: []string{"no_service"}}),
		own("DELETE "+v1+"services/{ref}", s.deleteService, web.Doc{Summary: "End a service and its tokens at once", Tag: "tokens", Errors: []string{"no_service"}}),
	}
}

type (
	tokenIn struct {
		Name     string   `json:"name"`
		Scopes   []string `json:"scopes"`
		Days     int      `json:"days,omitzero"` // 0 = the policy's default
		Networks []string `json:"networks,omitzero"`
		Service  string   `json:"service,omitzero"` // id or name; empty = for me
	}
	tokenWire struct {
		ID        string    `json:"id"`
		Kind      string    `json:"kind"`
		Name      string    `json:"name"`
		Person    string    `json:"person,omitempty"`
		Service   string    `json:"service,omitempty"`
		Program   string    `json:"service_name,omitempty"`
		Team      string    `json:"team"`
		Scopes    []string  `json:"scopes"`
		Networks  []string  `json:"networks"`
		Issuer    string    `json:"issuer"`
		Issued    time.Time `json:"issued"`
		Ends      time.Time `json:"ends"`
		Seen      time.Time `json:"seen,omitzero"` // to the hour
		Suspended bool      `json:"suspended"`
	}
	issuedOut struct {
		Token string    `json:"token"` // shown this once
		About tokenWire `json:"about"`
	}
	tokensOut struct {
		Tokens []tokenWire `json:"tokens"`
	}
	selfOut struct {
		Token  string   `json:"token"` // its id
		Kind   string   `json:"kind"`  // person, machine
		ID     string   `json:"id"`
		Team   string   `json:"team"`
		Roles  []string `json:"roles"`
		Scopes []string `json:"scopes"`
	}
	serviceIn struct {
		Name  string   `json:"name"`
		Roles []string `json:"roles"`
		Owner string   `json:"owner"` // me, team
	}
	serviceWire struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Team    string    `json:"team"`
		Owner   string    `json:"owner,omitempty"` // person; empty = the team
		Roles   []string  `json:"roles"`
		Created time.Time `json:"created"`
		Tokens  int64     `json:"tokens"`
	}
	servicesOut struct {
		Services []serviceWire `json:"services"`
	}
)

func wireToken(t Token) tokenWire {
	w := tokenWire{t.ID, string(t.Kind), t.Name, t.Person, t.Service, t.ServiceName, t.Team, t.Scopes, t.Networks, t.Issuer, t.Issued, t.Expires, t.Seen, t.Suspended}
	if w.Networks == nil {
		w.Networks = []string{}
	}
	return w
}

func wireTokens(ts []Token) tokensOut {
	out := tokensOut{Tokens: []tokenWire{}}
	for _, t := range ts {
		out.Tokens = append(out.Tokens, wireToken(t))
	}
	return out
}

func wireService(v ProgramAccount) serviceWire {
	return serviceWire{v.ID, v.Name, v.Team, v.Owner, v.Roles, v.Created, v.Tokens}
}

func (s *Service) getToken(w http.ResponseWriter, _ *http.Request, who actor.Actor) error {
	if !who.ByToken() {
		return fault.Newf(fault.NotFound, "no_token", "This request brought no token.")
	}
	return web.WriteJSON(w, http.StatusOK, selfOut{who.Token, string(who.Kind), who.ID, who.Team, who.Roles, who.Scopes})
}

func (s *Service) getTokens(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	of := r.URL.Query().Get("of")
	if of == "" && who.Kind == actor.Operator { // who has none
		of = "all"
	}
	ts, err := s.tokensFor(r, who, of)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireTokens(ts))
}

func (s *Service) tokensFor(r *http.Request, who actor.Actor, of string) ([]Token, error) {
	switch of {
	case "":
		return s.Tokens(r.Context(), who, who.ID)
	case "all":
		return s.AllTokens(r.Context(), who)
	}
	if err := s.Access.Allow(r.Context(), who, access.TokensRead, ""); err != nil {
		return nil, err
	}
	acc, err := s.find(r.Context(), of)
	if err != nil {
		return nil, err
	}
	return s.Tokens(r.Context(), who, acc.id)
}

func (s *Service) postToken(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[tokenIn](r)
	if err != nil {
		return err
	}
	if in.Days < 0 || in.Days > 366 {
		in.Days = 367 // refused with the others, and no overflow
	}
	t, err := s.IssueToken(r.Context(), who, NewToken{Name: in.Name, Scopes: in.Scopes, Life: time.Duration(in.Days) * 24 * time.Hour, Networks: in.Networks,
		Service: in.Service, Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, issuedOut{t.Text.Reveal(), wireToken(t.Token)})
}

func (s *Service) deleteToken(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RevokeToken(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) getServices(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	vs, err := s.Services(r.Context(), who)
	if err != nil {
		return err
	}
	out := servicesOut{Services: []serviceWire{}}
	for _, v := range vs {
		out.Services = append(out.Services, wireService(v))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postService(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[serviceIn](r)
	if err != nil {
		return err
	}
	v, err := s.MakeService(r.Context(), who, NewProgram{Name: in.Name, Roles: in.Roles, Mine: MineOrTeam(in.Owner)})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireService(v))
}

func (s *Service) getServiceTokens(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ts, err := s.ServiceTokens(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireTokens(ts))
}

func (s *Service) deleteService(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndService(r.Context(), who, r.PathValue("ref")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
