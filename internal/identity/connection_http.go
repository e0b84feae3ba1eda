package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// provisioningRoutes manage the connections of directories: acts of people, which no
// token reaches.
func (s *Service) provisioningRoutes() []web.Route {
	const v1 = "/-/api/v1/provisioning"
	return []web.Route{
		{Pattern: "GET " + v1, Who: web.SignedIn, Handle: s.getConnections, Doc: web.Doc{Summary: "The connections of my team's directory, or of all teams", Out: connectionsOut{}}},
		{Pattern: "POST " + v1, Who: web.SignedIn, Handle: s.postConnection, Doc: web.Doc{Summary: "Connect a directory (SCIM); its token is shown this once", In: connectionIn{}, Out: connectedOut{}, Status: 201,
			Errors: []string{"name_invalid", "role_unknown", "domains_denied", "domains_invalid", "groups_invalid", "life_invalid", "no_team", "connection_exists"}}},
		{Pattern: "POST " + v1 + "/{id}/token", Who: web.SignedIn, Handle: s.postConnectionToken, Doc: web.Doc{Summary: "Another token for a connection; the others work on until they are revoked", In: lifeIn{}, Out: issuedOut{}, Status: 201,
			Errors: []string{"no_connection", "life_invalid", "too_many_tokens"}}},
		{Pattern: "DELETE " + v1 + "/{id}", Who: web.SignedIn, Handle: s.deleteConnection, Doc: web.Doc{Summary: "End a connection and its tokens at once; the people stay", Errors: []string{"no_connection"}}},
	}
}

type (
	connectionIn struct {
		Team     string          `json:"team,omitzero"` // empty = mine; staff for the operator
		Name     string          `json:"name"`
		Roles    []string        `json:"roles,omitzero"`    // all that it may give
		Standard string          `json:"standard,omitzero"` // of who is in no mapped group; none = no role
		Domains  []string        `json:"domains,omitzero"`
		Groups   []groupRoleWire `json:"groups,omitzero"`
		Days     int             `json:"days,omitzero"` // 0 = the longest the policy allows
	}
	groupRoleWire struct {
		Group string `json:"group"`
		Role  string `json:"role"`
	}
	lifeIn struct {
		Days int `json:"days,omitzero"`
	}
	connectionWire struct {
		ID       string          `json:"id"`
		Team     string          `json:"team"`
		Name     string          `json:"name"`
		Service  string          `json:"service"`
		Address  string          `json:"address"` // to give to the directory
		Roles    []string        `json:"roles"`
		Standard string          `json:"standard,omitempty"`
		Domains  []string        `json:"domains"`
		Groups   []groupRoleWire `json:"groups"`
		Made     time.Time       `json:"made"`
		Maker    string          `json:"maker"`
		Tokens   []tokenWire     `json:"tokens"`
	}
	connectionsOut struct {
		Connections []connectionWire `json:"connections"`
	}
	connectedOut struct {
		Token string         `json:"token"` // shown this once
		About connectionWire `json:"about"`
	}
)

// ProvisionBase is where a directory's requests go.
const ProvisionBase = "/-/scim/v2"

func (s *Service) wireConnection(c Connection) connectionWire {
	w := connectionWire{ID: c.ID, Team: c.Team, Name: c.Name, Service: c.Service, Address: s.Origin + ProvisionBase, Roles: c.Roles, Standard: c.Standard,
		Domains: c.Domains, Groups: []groupRoleWire{}, Made: c.Made, Maker: c.Maker, Tokens: wireTokens(c.Tokens).Tokens}
	if w.Domains == nil {
		w.Domains = []string{}
	}
	if w.Roles == nil {
		w.Roles = []string{}
	}
	for _, g := range c.Groups {
		w.Groups = append(w.Groups, groupRoleWire(g))
	}
	return w
}

// daysOf is a life in days; what is beyond every policy comes out as such.
func daysOf(n int) time.Duration {
	if n < 0 || n > 366 {
		n = 367
	}
	return time.Duration(n) * 24 * time.Hour
}

func (s *Service) getConnections(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	cs, err := s.Connections(r.Context(), who)
	if err != nil {
		return err
	}
	out := connectionsOut{Connections: []connectionWire{}}
	for _, c := range cs {
		out.Connections = append(out.Connections, s.wireConnection(c))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postConnection(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[connectionIn](r)
	if err != nil {
		return err
	}
	wish := NewConnection{Team: in.Team, Name: in.Name, Roles: in.Roles, Standard: in.Standard, Domains: in.Domains, Life: daysOf(in.Days)}
	for _, g := range in.Groups {
		wish.Groups = append(wish.Groups, GroupRole(g))
	}
	c, t, err := s.Connect(r.Context(), who, wish)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, connectedOut{t.Text.Reveal(), s.wireConnection(c)})
}

func (s *Service) postConnectionToken(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[lifeIn](r)
	if err != nil {
		return err
	}
	t, err := s.RenewConnection(r.Context(), who, r.PathValue("id"), daysOf(in.Days))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, issuedOut{t.Text.Reveal(), wireToken(t.Token)})
}

func (s *Service) deleteConnection(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id := r.PathValue("id")
	if len(id) > 64 {
		return fault.Newf(fault.NotFound, "no_connection", "There is no such connection, or it has ended.")
	}
	if err := s.Disconnect(r.Context(), who, id); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
