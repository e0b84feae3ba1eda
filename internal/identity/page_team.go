package identity

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

const atTeam = "/-/team"

// teamPages are a team's own pages and the switch between one's teams.
func (p *pages) teamPages() []web.Route {
	own := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.SignedIn, Handle: h}
	}
	back := func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error { return web.Redirect(w, r, atTeam) }
	return []web.Route{
		own("GET /-/team", p.team),
		own("GET /-/team/invite", back),
		own("POST /-/team/invite", p.doInviteTo),
		own("GET /-/team/invitations", back),
		own("POST /-/team/invitations", p.doInvitations),
		own("GET /-/team/name", back),
		own("POST /-/team/name", p.doRename),
		own("GET /-/team/require", p.lookAtDemand),
		own("POST /-/team/require", p.doRequire),
		own("GET /-/team/leave", back),
		own("POST /-/team/leave", p.doLeaveTeam),
		own("GET /-/team/members/{person}", p.member),
		own("POST /-/team/members/{person}/role", p.doRole),
		own("POST /-/team/members/{person}/transfer", p.doTransfer),
		own("POST /-/team/members/{person}/remove", p.doRemove),
		own("GET /-/account/team", to(atProfile+"#teams")),
		own("POST /-/account/team", p.doSwitch),
	}
}

// The parts of the team's pages that hold a form.
const (
	partInvite = "invite"
	partName   = "name"
	partRole   = "role"
	partRemove = "remove"
	partHand   = "hand"
	partGo     = "go"
	partDemand = "demand"
)

// teamPage is what a person sees of the team they act in.
type teamPage struct {
	Team    Team
	Members []memberRow
	More    string // address of the next page of members
	Manage  bool
	Invites []inviteRow
	Older   string // address of the next page of invitations
	Invite  web.Form
	Name    web.Form
	Leave   *web.Form

	Asks   string // of whoever is in it; "" for nothing
	Demand web.Form
}

type memberRow struct {
	Member
	You  bool
	Href string // to change it; empty for whoever may not
}

// Who is what the row says of somebody without a name.
func (m memberRow) Who() string {
	for _, s := range []string{m.Name, m.Email} {
		if s != "" {
			return s
		}
	}
	return "No name given"
}

type inviteRow struct{ Invitation }

// teamTry is a form of a team's page that is shown once more, with what was typed.
type teamTry struct {
	part  string
	typed url.Values
	fault error
}

func (t teamTry) of(part string) error {
	if part == t.part {
		return t.fault
	}
	return nil
}

// ownTeam refuses whoever acts in no team of their own; staff have theirs in the console.
func ownTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) (ok bool, err error) {
	switch {
	case who.Kind != actor.Person:
		return false, fault.New(fault.Denied, "no_account", fault.Public{Problem: "This page is for people.", Next: "Sign in with an address and a password."})
	case who.TeamKind == Staff:
		return false, web.Redirect(w, r, "/-/console/teams/"+staffTeam)
	}
	return true, nil
}

func (p *pages) team(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showTeam(w, r, who, http.StatusOK, teamTry{})
}

func (p *pages) showTeam(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, again teamTry) error {
	if ok, err := ownTeam(w, r, who); !ok {
		return err
	}
	d := teamPage{Manage: p.Manages(who, who.Team)}
	var err error
	if d.Team, err = p.Team(r.Context(), who, who.Team); err != nil {
		return err
	}
	d.Asks = demandSays[d.Team.Demand]
	ms, err := p.Members(r.Context(), who, who.Team, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	for _, m := range ms {
		row := memberRow{Member: m, You: m.Person == who.ID}
		if d.Manage {
			row.Href = atTeam + "/members/" + url.PathEscape(m.Person)
		}
		d.Members = append(d.Members, row)
	}
	if len(ms) == membersPage {
		d.More = atTeam + "?" + url.Values{"after": {ms[membersPage-1].Person}}.Encode()
	}
	if d.Manage {
		if err := p.teamForms(r, who, &d, again); err != nil {
			return err
		}
	}
	mine, err := p.Memberships(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	if len(mine) > 1 {
		d.Leave = &web.Form{Action: atTeam + "/leave#leave", Act: "Leave the team", Part: partGo, Fault: again.of(partGo),
			Loses: "You see nothing of this team any more, and your sessions in it end now. Only an invitation brings you back."}
	}
	v := web.View{Title: "Your team", Frame: web.Document, Up: &web.Link{Text: "Your account", Href: "/-/account"}, Data: d}
	if d.Team.Name != "" {
		v.Title = d.Team.Name
	}
	return p.set.Render(w, r, status, "team", v)
}

// teamForms are for whoever manages the team.
func (p *pages) teamForms(r *http.Request, who actor.Actor, d *teamPage, again teamTry) error {
	is, err := p.Invitations(r.Context(), who, who.Team, r.URL.Query().Get("older"))
	if err != nil {
		return err
	}
	for _, i := range is {
		d.Invites = append(d.Invites, inviteRow{i})
	}
	if len(is) == invitationsPage {
		d.Older = atTeam + "?" + url.Values{"older": {is[invitationsPage-1].ID}}.Encode() + "#invitations"
	}
	email, name, role := "", d.Team.Name, RoleMember
	switch again.part {
	case partInvite:
		email, role = again.typed.Get("email"), again.typed.Get("role")
	case partName:
		name = again.typed.Get("name")
	}
	d.Invite = web.Form{Action: atTeam + "/invite#invite", Act: "Send invitation", Part: partInvite, Fault: again.of(partInvite), Fields: []web.Field{
		{Name: "email", Label: "E-mail address", Type: "email", Value: email, Complete: "off", Required: true, Max: maxAddress,
			Hint: "The invitation works once, for " + spell(p.Rules.Get().InviteTTL) + ", and for this address alone."},
		roleField(role)}}
	d.Demand = p.demandForm(d.Team.Demand, again)
	d.Name = web.Form{Action: atTeam + "/name#name", Act: "Rename", Quiet: true, Part: partName, Fault: again.of(partName), Fields: []web.Field{
		{Name: "name", Label: "Name of the team", Value: name, Complete: "organization", Required: true, Max: maxTeamName}}}
	return nil
}

// roleField chooses a role in a customer's team.
func roleField(now string) web.Field {
	says := map[string]string{RoleAdmin: "Invites people, removes them and changes roles.", RoleMember: "Uses the service."}
	f := web.Field{Name: "role", Label: "Role", Type: "radio", Required: true}
	for _, role := range []string{RoleMember, RoleAdmin} {
		f.Options = append(f.Options, web.Option{Value: role, Text: capital(role), Hint: says[role], Chosen: role == now})
	}
	return f
}

// teamRefused shows a form of the page once more with what was wrong.
func (p *pages) teamRefused(w http.ResponseWriter, r *http.Request, who actor.Actor, again teamTry, err error) error {
	if errors.Is(err, fault.Unauthenticated) || again.part != partGo && !p.Manages(who, who.Team) { // there is no form to show it at
		return err
	}
	return p.refused(w, r, err, func(status int, f error) error {
		again.fault = f
		return p.showTeam(w, r, who, status, again)
	})
}

func (p *pages) toTeam(w http.ResponseWriter, r *http.Request, part, says string) error {
	web.Tell(w, web.Notice{Says: says})
	return web.Redirect(w, r, atTeam+part)
}

func (p *pages) doInviteTo(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	i, err := p.Invite(r.Context(), who, Invite{Email: v.Get("email"), Team: who.Team, Roles: roleWords(v.Get("role"))})
	if err != nil {
		return p.teamRefused(w, r, who, teamTry{part: partInvite, typed: v}, err)
	}
	return p.toTeam(w, r, "#invitations", "Invitation sent to "+i.Email+".")
}

// doInvitations sends an invitation once more or takes it back.
func (p *pages) doInvitations(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	says := "The invitation is revoked: its link is dead."
	if v.Get("act") == "resend" {
		_, err = p.Resend(r.Context(), who, v.Get("invitation"))
		says = "The invitation was sent once more: the former link is dead."
	} else {
		err = p.Revoke(r.Context(), who, v.Get("invitation"))
	}
	if errors.Is(err, fault.NotFound) {
		says, err = "That invitation was answered or revoked already.", nil
	}
	if err != nil {
		return p.teamRefused(w, r, who, teamTry{part: partInvite}, err)
	}
	return p.toTeam(w, r, "#invitations", says)
}

func (p *pages) doRename(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := p.RenameTeam(r.Context(), who, who.Team, v.Get("name")); err != nil {
		return p.teamRefused(w, r, who, teamTry{part: partName, typed: v}, err)
	}
	return p.toTeam(w, r, "", "The team has its new name.")
}

func (p *pages) doLeaveTeam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := p.LeaveTeam(r.Context(), who, who.Team); err != nil {
		return p.teamRefused(w, r, who, teamTry{part: partGo}, err)
	}
	web.ClearCookie(w, SessionCookie)
	web.Tell(w, web.Notice{Says: "You have left the team. Sign in to go on in another one."})
	return web.Redirect(w, r, "/-/sign-in?to=/-/account")
}

func (p *pages) doSwitch(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := p.SwitchFrom(w, r, who, v.Get("team")); err != nil {
		return err
	}
	name := p.TeamName(r.Context(), v.Get("team"))
	if name == "" {
		name = "your own team"
	}
	web.Tell(w, web.Notice{Says: "You act in " + name + " now."})
	return web.Redirect(w, r, atProfile+"#teams")
}

// memberPage is one member, for whoever manages the team.
type memberPage struct {
	Member memberRow
	Role   web.Form
	Hand   *web.Form // the admin role
	Remove web.Form
}

func (p *pages) member(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.showMember(w, r, who, http.StatusOK, teamTry{})
}

func (p *pages) showMember(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, again teamTry) error {
	if ok, err := ownTeam(w, r, who); !ok {
		return err
	}
	if err := p.manageable(r.Context(), who, who.Team); err != nil {
		return err
	}
	m, err := p.Member(r.Context(), who, who.Team, r.PathValue("person"))
	if err != nil {
		return err
	}
	row := memberRow{Member: m, You: m.Person == who.ID}
	at := atTeam + "/members/" + url.PathEscape(m.Person)
	now := rolesText(m.Roles)
	if again.part == partRole {
		now = again.typed.Get("role")
	}
	d := memberPage{Member: row}
	d.Role = web.Form{Action: at + "/role#role", Act: "Change the role", Part: partRole, Fault: again.of(partRole), Fields: []web.Field{roleField(now)}}
	d.Remove = web.Form{Action: at + "/remove#remove", Act: "Remove " + row.Who(), Part: partRemove, Fault: again.of(partRemove),
		Loses:  "Their sessions in this team end now, and they see nothing of it any more. Their account stays.",
		Fields: []web.Field{{Name: "confirm", Label: "Type their address", Hint: m.Email, Required: true, Complete: "off"}}}
	if row.You {
		d.Remove.Act, d.Remove.Loses = "Remove yourself", "Your sessions in this team end now, and only an invitation brings you back."
	} else if m.State == stateActive {
		d.Hand = &web.Form{Action: at + "/transfer#hand", Act: "Hand over the admin role", Quiet: true, Part: partHand, Fault: again.of(partHand),
			Loses: row.Who() + " becomes admin and you become a member: you cannot take it back yourself."}
	}
	return p.set.Render(w, r, status, "member", web.View{Title: row.Who(), Frame: web.Document, Up: &web.Link{Text: "Your team", Href: atTeam}, Data: d})
}

// memberForm reads a form about a member, does the act, and says what happened.
func (p *pages) memberForm(w http.ResponseWriter, r *http.Request, who actor.Actor, part, says string, act func(v url.Values) error) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if ok, err := ownTeam(w, r, who); !ok {
		return err
	}
	err = act(v)
	if errors.Is(err, fault.Unauthenticated) || errors.Is(err, fault.NotFound) {
		return err
	}
	if err != nil {
		return p.refused(w, r, err, func(status int, f error) error {
			return p.showMember(w, r, who, status, teamTry{part, v, f})
		})
	}
	return p.toTeam(w, r, "", says)
}

func (p *pages) doRole(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.memberForm(w, r, who, partRole, "The role is changed. Sessions with the former role have ended.", func(v url.Values) error {
		return p.SetRolesFrom(w, r, who, who.Team, r.PathValue("person"), roleWords(v.Get("role")))
	})
}

func (p *pages) doTransfer(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.memberForm(w, r, who, partHand, "The admin role is handed over. You are a member now.", func(url.Values) error {
		token, err := p.TransferAdmin(r.Context(), who, Transfer{Team: who.Team, To: r.PathValue("person")})
		if err != nil {
			return err
		}
		return p.keepSession(w, r, token)
	})
}

func (p *pages) doRemove(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return p.memberForm(w, r, who, partRemove, "Removed: their sessions in the team have ended.", func(v url.Values) error {
		m, err := p.Member(r.Context(), who, who.Team, r.PathValue("person"))
		if err != nil {
			return err
		}
		if m.Email == "" || !strings.EqualFold(strings.TrimSpace(v.Get("confirm")), m.Email) {
			return fault.New(fault.Invalid, "confirm_wrong", fault.Public{Problem: "Nothing was done: the address is not this person's.",
				Fields: []fault.Field{{Name: "confirm", Code: "confirm_wrong", Problem: "Type the address below the field."}}})
		}
		return p.RemoveMember(r.Context(), who, who.Team, m.Person)
	})
}
