package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/web"
)

const (
	atTeams    = "/-/console/teams"
	teamsAPage = 200 // identity's, of teams, members and invitations
)

// teamRoutes are all teams for staff: the customers' and their own.
func (c *Console) teamRoutes(staff func(pattern string, need access.Action, at string, h web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/teams", access.PeopleRead, atTeams, c.showTeams),
		staff("GET /-/console/teams/{team}", access.PeopleRead, atTeams, c.showTeam),
		staff("POST /-/console/teams/{team}/invite", access.PeopleManage, atTeams, c.inviteTo),
		staff("POST /-/console/teams/{team}/invitations", access.PeopleManage, atTeams, c.changeInvitation),
		staff("POST /-/console/teams/{team}/name", access.PeopleManage, atTeams, c.renameTeam),
		staff("GET /-/console/teams/{team}/demand", access.PeopleManage, atTeams, c.showDemand),
		staff("POST /-/console/teams/{team}/demand", access.PeopleManage, atTeams, c.saveDemand),
		staff("GET /-/console/teams/{team}/members/{person}", access.PeopleManage, atTeams, c.showMember),
		staff("POST /-/console/teams/{team}/members/{person}/role", access.PeopleManage, atTeams, c.changeRole),
		staff("POST /-/console/teams/{team}/members/{person}/remove", access.PeopleManage, atTeams, c.removeMember),
	}
}

func teamHref(id string) string { return atTeams + "/" + url.PathEscape(id) }

func teamCalled(t *identity.Team) string {
	if t.Name != "" {
		return t.Name
	}
	return "Unnamed team"
}

func (c *Console) showTeams(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v := r.URL.Query()
	q, kind := strings.ToLower(strings.TrimSpace(v.Get("q"))), v.Get("kind")
	teams, err := c.Identity.Teams(r.Context(), who, v.Get("after"))
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Teams, the oldest first", Columns: []web.Column{{Name: "Team"}, {Name: "Kind"}, {Name: "Members", Figure: true}, {Name: "Invitations", Figure: true}, {Name: "Since"}},
		Empty: web.Empty{Says: "No team matches.", Next: web.Link{Text: "Show all", Href: atTeams}},
		Filter: &web.Filter{Action: atTeams, Fields: []web.Field{{Name: "q", Label: "Name", Type: "search", Value: v.Get("q")},
			{Name: "kind", Label: "Kind", Type: "select", Options: []web.Option{{Text: "all"}, {Value: identity.Staff, Text: "staff", Chosen: kind == identity.Staff}, {Value: identity.Customer, Text: "customers", Chosen: kind == identity.Customer}}}}}}
	for i := range teams {
		m := &teams[i]
		if kind != "" && m.Kind != kind || q != "" && !strings.Contains(strings.ToLower(m.Name+" "+m.ID), q) {
			continue
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: teamCalled(m), Href: teamHref(m.ID), Sub: m.ID}, {Text: m.Kind}, {Text: web.Number(m.Members)}, {Text: web.Number(m.Invitations)}, {At: m.Created}}})
	}
	t.Count = web.Count(int64(len(t.Rows)), "team")
	if len(teams) == teamsAPage {
		u := url.Values{"after": {teams[len(teams)-1].ID}}
		for k, s := range map[string]string{"q": v.Get("q"), "kind": kind} {
			if s != "" {
				u.Set(k, s)
			}
		}
		t.Older = atTeams + "?" + u.Encode()
		t.Count += " of the 200 on this page"
	}
	return c.show(w, r, "teams", web.View{Title: "Teams", Data: t})
}

type inviteRow struct {
	identity.Invitation
	Roles string
}

type teamPage struct {
	Facts   []fact
	Members web.Table
	At      string
	Invites []inviteRow
	Invite  *web.Form
	Demand  *web.Form
	Name    *web.Form
}

// teamTries are refusals of the forms on the page, and what was typed.
type teamTries struct {
	invite, name, demand error
	typed                url.Values
}

func (c *Console) showTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.teamPage(w, r, who, teamTries{})
}

func (c *Console) teamPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t teamTries) error {
	ctx := r.Context()
	team, err := c.Identity.Team(ctx, who, r.PathValue("team"))
	if err != nil {
		return err
	}
	members, err := c.Identity.Members(ctx, who, team.ID, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	manage := c.Identity.Manages(who, team.ID)
	out := teamPage{At: teamHref(team.ID), Members: membersTable(&team, members, manage),
		Facts: []fact{{Name: "Kind", Text: team.Kind}, {Name: "Members", Text: web.Number(team.Members)}, {Name: "Since", Time: team.Created}, {Name: "Id", Text: team.ID, Code: true}}}
	if manage {
		invites, err := c.Identity.Invitations(ctx, who, team.ID, "")
		if err != nil {
			return err
		}
		for _, i := range invites {
			out.Invites = append(out.Invites, inviteRow{i, strings.Join(i.Roles, ", ")})
		}
		out.Invite = &web.Form{Action: out.At + "/invite#invite", Act: "Send invitation", Part: "invite", Fault: t.invite, Fields: []web.Field{
			{Name: "email", Label: "Address", Type: "email", Value: t.typed.Get("email"), Required: true, Complete: "off", Hint: "Works once, for this address alone."}, roleField(team.Kind, t.typed["role"])}}
		d, err := c.Identity.LookAtDemand(ctx, who, team.ID, identity.DemandNone)
		if err != nil {
			return err
		}
		now := d.Before
		if t.demand != nil {
			now = t.typed.Get("demand")
		}
		out.Demand = c.demandForm(out.At, now, t.demand)
		if team.Kind != identity.Staff {
			name := team.Name
			if t.name != nil {
				name = t.typed.Get("name")
			}
			out.Name = &web.Form{Action: out.At + "/name#name", Act: "Rename", Quiet: true, Part: "name", Fault: t.name, Fields: []web.Field{
				{Name: "name", Label: "Name of the team", Value: name, Required: true, Complete: "off", Max: 60}}}
		}
	}
	st := http.StatusOK
	for _, err := range []error{t.invite, t.name, t.demand} {
		if err != nil {
			st = status(err)
		}
	}
	return c.answer(w, r, st, "team", web.View{Title: teamCalled(&team), Up: &web.Link{Text: "Teams", Href: atTeams}, Data: out})
}

func membersTable(team *identity.Team, members []identity.Member, manage bool) web.Table {
	t := web.Table{Columns: []web.Column{{Name: "Member"}, {Name: "Roles"}, {Name: "State"}, {Name: "In it since"}},
		Empty: web.Empty{Says: "Nobody is in this team.", Next: web.Link{Text: "All teams", Href: atTeams}}}
	for _, m := range members {
		cell := web.Cell{Text: memberCalled(&m), Sub: m.Email, Href: personHref(m.Person)}
		if manage {
			cell.Href = teamHref(team.ID) + "/members/" + url.PathEscape(m.Person)
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{cell, {Text: strings.Join(m.Roles, ", ")}, {Text: m.State}, {At: m.Since}}})
	}
	if len(members) == teamsAPage {
		t.Older = teamHref(team.ID) + "?" + url.Values{"after": {members[len(members)-1].Person}}.Encode()
	}
	return t
}

func memberCalled(m *identity.Member) string {
	for _, s := range []string{m.Name, m.Email} {
		if s != "" {
			return s
		}
	}
	return m.Handle
}

// roleField chooses a role of the kind of team.
func roleField(kind string, now []string) web.Field {
	f := web.Field{Name: "role", Label: "Role", Type: "radio", Required: true}
	hints := map[string]string{"owner": "Signs the policy, manages people.", "engineer": "Runs the machine, proposes changes.", "support": "Helps customers.", "auditor": "Reads everything, changes nothing.",
		identity.RoleAdmin: "Invites people, removes them and changes roles.", identity.RoleMember: "Uses the service."}
	roles := []string{identity.RoleMember, identity.RoleAdmin}
	if kind == identity.Staff {
		roles = identity.StaffRoles()
	}
	for _, s := range roles {
		f.Options = append(f.Options, web.Option{Value: s, Text: strings.ToUpper(s[:1]) + s[1:], Hint: hints[s], Chosen: slices.Contains(now, s)})
	}
	return f
}

func (c *Console) inviteTo(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	i, err := c.Identity.Invite(r.Context(), who, identity.Invite{Email: f.Get("email"), Team: r.PathValue("team"), Roles: f["role"]})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.teamPage(w, r, who, teamTries{invite: err, typed: f})
	}
	return c.done(w, r, teamHref(i.Team)+"#invitations", "Invitation sent to "+i.Email+".")
}

// changeInvitation sends an invitation once more or takes it back.
func (c *Console) changeInvitation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	says := "The invitation is revoked: its link is dead."
	if f.Get("act") == "resend" {
		_, err = c.Identity.Resend(r.Context(), who, f.Get("invitation"))
		says = "The invitation was sent once more: the former link is dead."
	} else {
		err = c.Identity.Revoke(r.Context(), who, f.Get("invitation"))
	}
	if errors.Is(err, fault.NotFound) {
		says, err = "That invitation was answered or revoked already.", nil
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.teamPage(w, r, who, teamTries{invite: err})
	}
	return c.done(w, r, teamHref(r.PathValue("team"))+"#invitations", says)
}

func (c *Console) renameTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Identity.RenameTeam(r.Context(), who, r.PathValue("team"), f.Get("name")); err != nil {
		if !formed(err) {
			return err
		}
		return c.teamPage(w, r, who, teamTries{name: err, typed: f})
	}
	return c.done(w, r, teamHref(r.PathValue("team")), "The team has its new name.")
}

type memberPage struct {
	Facts  []fact
	Role   web.Form
	Remove web.Form
	Person string
}

// memberTries are refusals of the forms on the page.
type memberTries struct {
	role, remove error
	typed        url.Values
}

func (c *Console) showMember(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.memberPage(w, r, who, memberTries{})
}

func (c *Console) memberPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t memberTries) error {
	ctx := r.Context()
	team, err := c.Identity.Team(ctx, who, r.PathValue("team"))
	if err != nil {
		return err
	}
	m, err := c.Identity.Member(ctx, who, team.ID, r.PathValue("person"))
	if err != nil {
		return err
	}
	at, now := teamHref(team.ID)+"/members/"+url.PathEscape(m.Person), m.Roles
	if t.role != nil {
		now = t.typed["role"]
	}
	out := memberPage{Person: personHref(m.Person),
		Facts: []fact{{Name: "Team", Text: teamCalled(&team), Href: teamHref(team.ID)}, {Name: "Roles", Text: strings.Join(m.Roles, ", ")}, {Name: "State", Text: m.State}, {Name: "In it since", Time: m.Since}},
		Role:  web.Form{Action: at + "/role#role", Act: "Change the role", Part: "role", Fault: t.role, Fields: []web.Field{roleField(team.Kind, now)}},
		Remove: web.Form{Action: at + "/remove#remove", Act: "Remove " + memberCalled(&m), Part: "remove", Fault: t.remove, Loses: "Their sessions and tokens in this team end now. Their account stays, with its other teams.",
			Fields: []web.Field{{Name: "handle", Label: "Type their handle", Hint: m.Handle, Required: true, Complete: "off"}}}}
	st := http.StatusOK
	for _, err := range []error{t.role, t.remove} {
		if err != nil {
			st = status(err)
		}
	}
	return c.answer(w, r, st, "member", web.View{Title: memberCalled(&m), Lead: m.Email, Up: &web.Link{Text: teamCalled(&team), Href: teamHref(team.ID)}, Data: out})
}

func (c *Console) changeRole(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Identity.SetRolesFrom(w, r, who, r.PathValue("team"), r.PathValue("person"), f["role"]); err != nil {
		if !formed(err) {
			return err
		}
		return c.memberPage(w, r, who, memberTries{role: err, typed: f})
	}
	return c.done(w, r, teamHref(r.PathValue("team")), "The role is changed. Sessions with the former role have ended.")
}

func (c *Console) removeMember(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	m, err := c.Identity.Member(r.Context(), who, r.PathValue("team"), r.PathValue("person"))
	if err != nil {
		return err
	}
	if typed := strings.TrimPrefix(strings.TrimSpace(f.Get("handle")), "person/"); typed != m.Handle {
		err = fault.New(fault.Invalid, "confirm_wrong", fault.Public{Problem: "Nothing was done: the handle is not this person's.",
			Fields: []fault.Field{{Name: "handle", Code: "confirm_wrong", Problem: "Type exactly " + m.Handle + "."}}})
	} else {
		err = c.Identity.RemoveMember(r.Context(), who, r.PathValue("team"), m.Person)
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.memberPage(w, r, who, memberTries{remove: err})
	}
	return c.done(w, r, teamHref(r.PathValue("team")), "Removed: their sessions in the team have ended.")
}
