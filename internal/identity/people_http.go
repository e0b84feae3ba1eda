package identity

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// peopleRoutes is what the CLI's user commands and the console's people pages ask. The
// service asks access for each.
func (s *Service) peopleRoutes() []web.Route {
	rs := []web.Route{
		{Pattern: "GET /-/api/v1/people", Handle: s.getPeople, Doc: web.Doc{Summary: "People, oldest first, 200 a page", Query: []string{"after"}, Out: peopleOut{}}},
		{Pattern: "POST /-/api/v1/people", Handle: s.postPeople, Doc: web.Doc{Summary: "Add a member of staff; answers with a one-time link", In: personIn{}, Out: addedOut{}, Status: 201,
			Errors: []string{"email_invalid", "handle_invalid", "role_unknown", "person_exists"}}},
		{Pattern: "GET /-/api/v1/people/{ref}", Handle: s.getPerson, Doc: web.Doc{Summary: "One person, by id, handle or address", Out: personWire{}, Errors: []string{"no_person"}}},
		{Pattern: "POST /-/api/v1/people/{ref}/link", Handle: s.postLink, Doc: web.Doc{Summary: "Renew a lost link: answers with it, or mails a reset to a person who has a password", Out: linkOut{}, Errors: []string{"no_person", "not_active"}}},
		{Pattern: "POST /-/api/v1/people/{ref}/disable", Handle: s.postDisable, Doc: web.Doc{Summary: "End everything of a person and keep them out; answers with the receipt", Out: Receipt{}, Errors: []string{"no_person", "not_active", "last_owner"}}},
		{Pattern: "GET /-/api/v1/people/{ref}/receipts", Handle: s.getReceipts, Doc: web.Doc{Summary: "What ended when a person left, the newest first", Out: receiptsOut{}, Errors: []string{"no_person"}}},
		{Pattern: "POST /-/api/v1/people/{ref}/erase", Handle: s.postErase, Doc: web.Doc{Summary: "Erase a person for good; confirm is their handle", In: eraseIn{}, Out: Certificate{}, Errors: []string{"no_person", "confirm_wrong", "last_owner", "erased"}}},
		{Pattern: "GET /-/api/v1/people/{ref}/sessions", Handle: s.getPersonSessions, Doc: web.Doc{Summary: "A person's live sessions", Out: sessionsOut{}}},
		{Pattern: "DELETE /-/api/v1/people/{ref}/sessions", Handle: s.deletePersonSessions, Doc: web.Doc{Summary: "End all sessions of a person", Out: endedOut{}}},
	}
	for i := range rs {
		rs[i].Who = web.Staff
		rs[i].Tokens = rs[i].Pattern == "GET /-/api/v1/people" || rs[i].Pattern == "GET /-/api/v1/people/{ref}"
	}
	return rs
}

type (
	personWire struct {
		ID        string    `json:"id"`
		Handle    string    `json:"handle"`
		Name      string    `json:"name"`
		Email     string    `json:"email"`
		State     string    `json:"state"`
		Kind      string    `json:"kind"`
		Team      string    `json:"team"`
		Roles     []string  `json:"roles"`
		Created   time.Time `json:"created"`
		Confirmed time.Time `json:"confirmed,omitzero"`
		Password  time.Time `json:"password_set,omitzero"`
		Sessions  int64     `json:"sessions"`
	}
	peopleOut struct {
		People []personWire `json:"people"`
		After  string       `json:"after,omitempty"` // ask again with this for the next page
	}
	personIn struct {
		Email  string   `json:"email"`
		Name   string   `json:"name"`
		Handle string   `json:"handle"`
		Roles  []string `json:"roles"`
	}
	addedOut struct {
		ID     string `json:"id"`
		Handle string `json:"handle"`
		URL    string `json:"url"`
	}
	linkOut struct {
		URL    string `json:"url,omitempty"`
		Mailed bool   `json:"mailed"`
	}
	eraseIn struct {
		Confirm string `json:"confirm"`
	}
)

func wirePerson(p Person) personWire {
	return personWire{p.ID, p.Handle, p.Name, p.Email, p.State, p.Kind, p.Team, p.Roles, p.Created, p.Confirmed, p.Password, p.Sessions}
}

// peoplePage is how many people a page holds.
const peoplePage = 200

func (s *Service) getPeople(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ps, err := s.List(r.Context(), who, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	out := peopleOut{People: []personWire{}}
	for _, p := range ps {
		out.People = append(out.People, wirePerson(p))
	}
	if len(ps) == peoplePage {
		out.After = ps[peoplePage-1].ID
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postPeople(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[personIn](r)
	if err != nil {
		return err
	}
	a, err := s.AddStaff(r.Context(), who, AddStaff(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, addedOut{ID: a.ID, Handle: a.Handle, URL: a.URL.Reveal()})
}

func (s *Service) getPerson(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.Show(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wirePerson(p))
}

func (s *Service) postLink(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	url, err := s.RenewLink(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, linkOut{URL: url.Reveal(), Mailed: url.IsZero()})
}

func (s *Service) postDisable(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rc, err := s.Offboard(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, rc)
}

func (s *Service) postErase(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[eraseIn](r)
	if err != nil {
		return err
	}
	c, err := s.Erase(r.Context(), who, r.PathValue("ref"), in.Confirm)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, c)
}

// ref resolves the person of the path for somebody who may do the act.
func (s *Service) ref(r *http.Request, who actor.Actor, a access.Action) (string, error) {
	if err := s.Access.Allow(r.Context(), who, a, ""); err != nil {
		return "", err
	}
	acc, err := s.find(r.Context(), r.PathValue("ref"))
	return acc.id, err
}

func (s *Service) getPersonSessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id, err := s.ref(r, who, access.PeopleRead)
	if err != nil {
		return err
	}
	xs, err := s.Sessions(r.Context(), who, id)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireSessions(xs, who))
}

func (s *Service) deletePersonSessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id, err := s.ref(r, who, access.SessionsEnd)
	if err != nil {
		return err
	}
	n, err := s.EndSessions(r.Context(), who, id)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, endedOut{n})
}
