package identity

import (
	"errors"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// teamRoutes are teams, members and invitations. The service asks access for each act.
func (s *Service) teamRoutes() []web.Route {
	rs := []web.Route{
		{Pattern: "POST /-/api/v1/session/team", Handle: s.postSessionTeam, Doc: web.Doc{Summary: "Act in another of my teams; sets a new session cookie", In: teamIn{}, Out: switchedOut{}, Errors: []string{"no_team", "step_up_required"}}},
		{Pattern: "GET /-/api/v1/session/teams", Handle: s.getSessionTeams, Doc: web.Doc{Summary: "The teams I am in", Out: membershipsOut{}}},
		{Pattern: "GET /-/api/v1/invitations", Handle: s.getInvitations, Doc: web.Doc{Summary: "Invitations that wait, newest first, 200 a page; of my team unless another is named", Query: []string{"team", "after"}, Out: invitationsOut{}}},
		{Pattern: "POST /-/api/v1/invitations", Handle: s.postInvitation, Doc: web.Doc{Summary: "Invite an address to a team; answered alike for every address", In: inviteIn{}, Out: invitationWire{}, Status: 201,
			Errors: []string{"email_invalid", "role_unknown", "role_above", "already_member", "too_many"}}},
		{Pattern: "DELETE /-/api/v1/invitations/{id}", Handle: s.deleteInvitation, Doc: web.Doc{Summary: "Revoke an invitation", Errors: []string{"no_invitation"}}},
		{Pattern: "POST /-/api/v1/invitations/{id}/resend", Handle: s.postResend, Doc: web.Doc{Summary: "Send an invitation once more; the former link is dead", Out: invitationWire{}, Errors: []string{"no_invitation", "too_many"}}},
		{Pattern: "GET /-/api/v1/teams/{team}", Handle: s.getTeam, Doc: web.Doc{Summary: "One team", Out: teamOut{}, Errors: []string{"no_team"}}},
		{Pattern: "POST /-/api/v1/teams/{team}/rename", Handle: s.postRename, Doc: web.Doc{Summary: "Rename a team", In: renameIn{}, Errors: []string{"team_name_invalid", "no_team"}}},
		{Pattern: "POST /-/api/v1/teams/{team}/require", Handle: s.postRequire, Doc: web.Doc{Summary: "Set what a team demands of its people at a sign-in; with look, only say who lacks it", In: requireIn{}, Out: requireOut{},
			Errors: []string{"demand_unknown", "no_team", "step_up_required", "own_factor_first", "last_owner"}}},
		{Pattern: "GET /-/api/v1/teams/{team}/members", Handle: s.getMembers, Doc: web.Doc{Summary: "Members of a team, who came first first, 200 a page", Query: []string{"after"}, Out: membersOut{}}},
		{Pattern: "POST /-/api/v1/teams/{team}/members/{person}", Handle: s.postMember, Doc: web.Doc{Summary: "Give a member another role; ends their sessions in the team", In: roleIn{}, Errors: []string{"no_member", "role_unknown", "role_above", "last_admin", "last_owner"}}},
		{Pattern: "DELETE /-/api/v1/teams/{team}/members/{person}", Handle: s.deleteMember, Doc: web.Doc{Summary: "Remove a member; ends their sessions in the team", Errors: []string{"no_member", "last_admin", "last_owner", "last_team"}}},
		{Pattern: "POST /-/api/v1/teams/{team}/leave", Handle: s.postLeaveTeam, Doc: web.Doc{Summary: "Leave a team I am in", Errors: []string{"no_team", "last_admin", "last_owner", "last_team"}}},
		{Pattern: "POST /-/api/v1/teams/{team}/transfer", Handle: s.postTransfer, Doc: web.Doc{Summary: "Hand the admin role to another member", In: transferIn{}, Errors: []string{"no_member", "not_admin", "from_needed", "same_member", "team_of_staff"}}},
	}
	for i := range rs {
		rs[i].Who = web.SignedIn
	}
	return append(rs, web.Route{Pattern: "GET /-/api/v1/teams", Who: web.Staff, Handle: s.getTeams, Doc: web.Doc{Summary: "All teams, oldest first, 200 a page", Query: []string{"after"}, Out: teamsOut{}}})
}

type (
	teamIn struct {
		Team string `json:"team"`
	}
	switchedOut struct {
		Team teamWire  `json:"team"`
		Ends time.Time `json:"ends"`
	}
	membershipWire struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Kind    string    `json:"kind"`
		Roles   []string  `json:"roles"`
		Since   time.Time `json:"since"`
		Current bool      `json:"current"`
	}
	membershipsOut struct {
		Teams []membershipWire `json:"teams"`
	}
	inviteIn struct {
		Email string `json:"email"`
		Team  string `json:"team"` // empty: the team the session acts in
		Role  string `json:"role"`
	}
	invitationWire struct {
		ID      string    `json:"id"`
		Team    string    `json:"team"`
		Email   string    `json:"email"`
		Role    string    `json:"role"`
		Inviter string    `json:"inviter"` // a person's id, or operator
		Issued  time.Time `json:"issued"`
		Expires time.Time `json:"expires"`
		Expired bool      `json:"expired"`
	}
	invitationsOut struct {
		Invitations []invitationWire `json:"invitations"`
		After       string           `json:"after,omitempty"` // ask again with this for the next page
	}
	teamOut struct {
		ID          string    `json:"id"`
		Name        string    `json:"name"`
		Kind        string    `json:"kind"`
		Created     time.Time `json:"created"`
		Members     int64     `json:"members"`
		Invitations int64     `json:"invitations"`
		Demand      string    `json:"demand"` // none, two-factor, phishing-resistant
	}
	requireIn struct {
		Demand string `json:"demand"`         // none, two-factor, phishing-resistant
		Look   bool   `json:"look,omitempty"` // say what it would come to, and save nothing
	}
	requireOut struct {
		Demand  string    `json:"demand"`
		Before  string    `json:"before"`
		Saved   bool      `json:"saved"`
		Members int64     `json:"members"`
		Lacking int64     `json:"lacking"`        // members who must set something up first
		Grace   time.Time `json:"grace,omitzero"` // until when those may do without
		Ended   int64     `json:"ended"`          // sessions that were below it
	}
	teamsOut struct {
		Teams []teamOut `json:"teams"`
		After string    `json:"after,omitempty"`
	}
	renameIn struct {
		Name string `json:"name"`
	}
	memberWire struct {
		Person string    `json:"person"`
		Handle string    `json:"handle"`
		Name   string    `json:"name"`
		Email  string    `json:"email,omitempty"` // for whoever manages the team
		State  string    `json:"state"`
		Roles  []string  `json:"roles"`
		Since  time.Time `json:"since"`
	}
	membersOut struct {
		Members []memberWire `json:"members"`
		After   string       `json:"after,omitempty"`
	}
	roleIn struct {
		Role string `json:"role"` // staff may have several, with spaces between
	}
	transferIn struct {
		To   string `json:"to"`
		From string `json:"from"` // empty: I, else the only admin
	}
)

// postAccept uses an invitation, or the link that an operator handed over.
func (s *Service) postAccept(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[acceptIn](r)
	if err != nil {
		return err
	}
	out, err := s.AcceptFrom(w, r, who, Accept{Token: secret.NewText(r.PathValue("token")), Name: in.Name, Password: in.Password})
	if errors.Is(err, errNoInvitation) {
		return s.setFrom(w, r, OwnerLink, in.Password)
	}
	if err != nil {
		return err
	}
	next := "done"
	if out.New || who.Kind != actor.Person {
		next = "sign-in"
	}
	return web.WriteJSON(w, http.StatusOK, nextOut{next})
}

// AcceptFrom uses an invitation for whoever sends the request. A session that was there
// acts in the new team from now on, where it may; pages use it too.
func (s *Service) AcceptFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, in Accept) (Accepted, error) {
	in.Network = web.StrangerOf(r).ID
	if who.Kind != actor.Person {
		who = web.StrangerOf(r)
	}
	out, err := s.Accept(r.Context(), who, in)
	if err != nil || who.Kind != actor.Person {
		return out, err
	}
	if err := s.SwitchFrom(w, r, who, out.Team); err != nil && !errors.Is(err, fault.Denied) {
		return out, err
	}
	return out, nil
}

// SwitchFrom turns the session of the request to another team and sets its new cookie;
// pages use it too.
func (s *Service) SwitchFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, team string) error {
	x, err := s.SwitchTeam(r.Context(), who, team)
	if err != nil {
		return err
	}
	web.SetCookie(w, SessionCookie, x.Token, x.Ends.Sub(s.Now()))
	return nil
}

// keepSession sets the cookie of a session that goes on under another token.
func (s *Service) keepSession(w http.ResponseWriter, r *http.Request, token secret.Text) error {
	if token.IsZero() {
		return nil
	}
	_, x, err := s.Session(r.Context(), token)
	if err != nil {
		return err
	}
	web.SetCookie(w, SessionCookie, token, x.Ends.Sub(s.Now()))
	return nil
}

func (s *Service) postSessionTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[teamIn](r)
	if err != nil {
		return err
	}
	x, err := s.SwitchTeam(r.Context(), who, in.Team)
	if err != nil {
		return err
	}
	now, err := s.Lookup(r.Context(), x.Token)
	if err != nil {
		return err
	}
	web.SetCookie(w, SessionCookie, x.Token, x.Ends.Sub(s.Now()))
	return web.WriteJSON(w, http.StatusOK, switchedOut{teamWire{now.Team, s.TeamName(r.Context(), now.Team), now.Roles}, x.Ends})
}

func (s *Service) getSessionTeams(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ms, err := s.Memberships(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	out := membershipsOut{Teams: []membershipWire{}}
	for _, m := range ms {
		out.Teams = append(out.Teams, membershipWire{m.Team, m.Name, m.Kind, m.Roles, m.Since, m.Team == who.Team})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func wireInvitation(i Invitation) invitationWire {
	return invitationWire{i.ID, i.Team, i.Email, rolesText(i.Roles), i.Inviter, i.Issued, i.Expires, i.Expired}
}

func (s *Service) getInvitations(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	is, err := s.Invitations(r.Context(), who, q.Get("team"), q.Get("after"))
	if err != nil {
		return err
	}
	out := invitationsOut{Invitations: []invitationWire{}}
	for _, i := range is {
		out.Invitations = append(out.Invitations, wireInvitation(i))
	}
	if len(is) == invitationsPage {
		out.After = is[invitationsPage-1].ID
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postInvitation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[inviteIn](r)
	if err != nil {
		return err
	}
	i, err := s.Invite(r.Context(), who, Invite{Email: in.Email, Team: in.Team, Roles: roleWords(in.Role)})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireInvitation(i))
}

func (s *Service) deleteInvitation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Revoke(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postResend(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	i, err := s.Resend(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireInvitation(i))
}

func wireTeam(t Team) teamOut {
	return teamOut(t)
}

func (s *Service) getTeams(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ts, err := s.Teams(r.Context(), who, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	out := teamsOut{Teams: []teamOut{}}
	for _, t := range ts {
		out.Teams = append(out.Teams, wireTeam(t))
	}
	if len(ts) == teamsPage {
		out.After = ts[teamsPage-1].ID
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t, err := s.Team(r.Context(), who, r.PathValue("team"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireTeam(t))
}

func (s *Service) postRename(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[renameIn](r)
	if err != nil {
		return err
	}
	if err := s.RenameTeam(r.Context(), who, r.PathValue("team"), in.Name); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postRequire(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[requireIn](r)
	if err != nil {
		return err
	}
	act := s.Require
	if in.Look {
		act = s.LookAtDemand
	}
	d, err := act(r.Context(), who, r.PathValue("team"), in.Demand)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, requireOut{d.Demand, d.Before, !in.Look, d.Members, d.Lacking, d.Grace, d.Ended})
}

func (s *Service) getMembers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ms, err := s.Members(r.Context(), who, r.PathValue("team"), r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	out := membersOut{Members: []memberWire{}}
	for _, m := range ms {
		out.Members = append(out.Members, memberWire(m))
	}
	if len(ms) == membersPage {
		out.After = ms[membersPage-1].Person
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postMember(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[roleIn](r)
	if err != nil {
		return err
	}
	if err := s.SetRolesFrom(w, r, who, r.PathValue("team"), r.PathValue("person"), roleWords(in.Role)); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

// SetRolesFrom is SetRoles for whoever sends the request: where it is their own role, the
// session goes on under the new cookie. Pages use it too.
func (s *Service) SetRolesFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, team, person string, roles []string) error {
	token, err := s.SetRoles(r.Context(), who, team, person, roles)
	if err != nil {
		return err
	}
	return s.keepSession(w, r, token)
}

func (s *Service) deleteMember(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RemoveMember(r.Context(), who, r.PathValue("team"), r.PathValue("person")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postLeaveTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.LeaveTeam(r.Context(), who, r.PathValue("team")); err != nil {
		return err
	}
	if who.Team == r.PathValue("team") {
		web.ClearCookie(w, SessionCookie)
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postTransfer(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[transferIn](r)
	if err != nil {
		return err
	}
	token, err := s.TransferAdmin(r.Context(), who, Transfer{Team: r.PathValue("team"), From: in.From, To: in.To})
	if err == nil {
		err = s.keepSession(w, r, token)
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
