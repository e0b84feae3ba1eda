package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Member is a person in a team.
type Member struct {
	Person string
	Handle string
	Name   string
	Email  string // only for whoever manages the team
	State  string // active, disabled
	Roles  []string
	Since  time.Time
}

// membersPage is how many members a page holds.
const membersPage = 200

// Members pages through a team's members, who came first first; after is the last
// person of the page before. Addresses are shown to whoever manages the team.
func (s *Service) Members(ctx context.Context, who actor.Actor, team, after string) ([]Member, error) {
	if err := s.readable(ctx, who, team); err != nil {
		return nil, err
	}
	return s.members(ctx, who, team, membersBy+` AND ($2 = '' OR (m.since, m.person) > (SELECT o.since, o.person FROM identity_member o WHERE o.team = $1 AND o.person = $2))
		ORDER BY m.since, m.person LIMIT 200`, team, after)
}

// Member is one member, by id; whoever manages the team may name a handle or an address.
func (s *Service) Member(ctx context.Context, who actor.Actor, team, ref string) (Member, error) {
	if err := s.readable(ctx, who, team); err != nil {
		return Member{}, err
	}
	var ms []Member
	id, err := s.memberRef(ctx, who, team, ref)
	if err == nil {
		ms, err = s.members(ctx, who, team, membersBy+` AND m.person = $2`, team, id)
	}
	if err == nil && len(ms) == 0 {
		err = noMember()
	}
	if err != nil {
		return Member{}, s.notOnTeam(ctx, who, "look-at-member", team, err)
	}
	return ms[0], nil
}

func (s *Service) members(ctx context.Context, who actor.Actor, team, query string, args ...any) ([]Member, error) {
	type row struct {
		m           Member
		idx         string
		name, email []byte
	}
	var rows []row
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var r row
		var roles string
		var since int64
		if err := scan(&r.m.Person, &r.m.Handle, &r.name, &r.m.State, &r.idx, &r.email, &roles, &since); err != nil {
			return err
		}
		r.m.Roles, r.m.Since = rolesOf(roles), at(since)
		rows = append(rows, r)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	out := make([]Member, len(rows))
	for i, r := range rows {
		var err1, err2 error
		r.m.Name, err1 = s.text(ctx, "identity_person.name", r.m.Person, r.name)
		if s.Manages(who, team) || who.ID == r.m.Person {
			r.m.Email, err2 = s.text(ctx, "identity_address.address", r.idx, r.email)
		}
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fault.Gone) {
			return nil, fmt.Errorf("open member %s: %w", r.m.Person, err)
		}
		out[i] = r.m
	}
	return out, nil
}

// memberRef finds a member of the team by id, handle or address. Who is somewhere else
// is as unknown as who is nowhere.
func (s *Service) memberRef(ctx context.Context, who actor.Actor, team, ref string) (string, error) {
	idx := ""
	if strings.Contains(ref, "@") && s.Manages(who, team) {
		addr, err := ParseAddress(ref)
		if err != nil {
			return "", err
		}
		if idx, err = s.index(ctx, addr); err != nil {
			return "", err
		}
	}
	var id string
	err := ledger.One(ctx, s.DB, findMember, []any{&id}, team, strings.TrimPrefix(ref, "person/"), idx)
	if errors.Is(err, fault.NotFound) {
		return "", noMember()
	}
	if err != nil {
		return "", fmt.Errorf("find member: %w", err)
	}
	return id, nil
}

func noMember() error {
	return fault.New(fault.NotFound, "no_member", fault.Public{Problem: "There is no such member in this team.", Next: "Look at the list of members."})
}

// notOnTeam records an act on a team that was refused, and returns the refusal. What is
// no refusal passes.
func (s *Service) notOnTeam(ctx context.Context, who actor.Actor, act, team string, err error) error {
	switch fault.KindOf(err) {
	case fault.Denied, fault.Conflict, fault.NotFound, fault.Invalid, fault.Limited:
		code, _ := fault.PublicOf(err)
		return s.refuse(ctx, who, TeamActRefused{Act: act, Team: named(team), Cause: code}, err)
	}
	return fmt.Errorf("%s: %w", act, err)
}

// SetRoles gives a member other roles. Their sessions in the team end, so that no token
// outlives a role; one's own session goes on under another token, which is returned.
// Errors: fault.Conflict last_admin and last_owner, role_unknown, role_above, no_member.
func (s *Service) SetRoles(ctx context.Context, who actor.Actor, team, ref string, roles []string) (secret.Text, error) {
	const act = "change-roles"
	if err := s.manageable(ctx, who, team); err != nil {
		return secret.Text{}, err
	}
	kind, err := s.kindOf(ctx, team)
	if err == nil {
		err = goodRoles(who, kind, roles)
	}
	if err != nil {
		return secret.Text{}, s.notOnTeam(ctx, who, act, team, err)
	}
	id, err := s.memberRef(ctx, who, team, ref)
	if err != nil {
		return secret.Text{}, s.notOnTeam(ctx, who, act, team, err)
	}
	_, have, err := seatOf(ctx, s.DB, team, id)
	if errors.Is(err, fault.NotFound) {
		err = noMember()
	}
	if err != nil {
		return secret.Text{}, s.notOnTeam(ctx, who, act, team, err)
	}
	if rolesText(have) == rolesText(roles) {
		return secret.Text{}, nil
	}
	t := newTurn(who)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		t.reset()
		return giveRoles(ctx, tx, t, team, id, roles)
	})
	if err != nil {
		return secret.Text{}, s.notOnTeam(ctx, who, act, team, err)
	}
	return s.turned(ctx, t)
}

// giveRoles is the heart of every change of roles, inside a change.
func giveRoles(ctx context.Context, tx *ledger.Tx, t *turn, team, person string, roles []string) (ledger.Event, error) {
	kind, err := lockTeam(ctx, tx, team)
	if err != nil {
		return nil, err
	}
	_, from, err := seatOf(ctx, tx, team, person)
	if errors.Is(err, fault.NotFound) {
		return nil, noMember()
	}
	if err != nil {
		return nil, err
	}
	if rank(roles...) < rank(from...) {
		if err := notLast(ctx, tx, team, kind, person); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, endInvitesBy, team, person, us(tx.Now())); err != nil { // clause: auth.admin-invite
			return nil, err
		}
	}
	if _, err := tx.Exec(ctx, setRoles, team, person, rolesText(roles)); err != nil {
		return nil, err
	}
	n, err := t.sessions(ctx, tx, team, person, "roles-changed")
	return RolesChanged{Team: team, Person: person, From: from, To: roles, Sessions: n}, err
}

// notLast refuses what would leave a customer's team without an admin who can act, or the
// staff with fewer than two owners who can sign in. The team is locked.
func notLast(ctx context.Context, tx *ledger.Tx, team, kind, person string) error {
	if kind != Staff {
		return notLastAdmin(ctx, tx, team, person, false)
	}
	if _, err := bump(ctx, tx); err != nil { // one such act at a time, as in notLastOwner
		return err
	}
	have, owners, _, err := topOf(ctx, tx, ableIn, team, person)
	if err != nil || !have || owners >= 2 {
		return err
	}
	return fault.New(fault.Conflict, "last_owner", fault.Public{Problem: "Fewer than two owners who can sign in would be left.",
		Expected: "At least two other owners who have set a password.", Next: "Add another owner first."})
}

// notLastAdmin refuses to take the last active admin from a customer's team. alone: it
// may go where nobody else is left who would need one. The team is locked, or the caller
// has bumped.
func notLastAdmin(ctx context.Context, tx *ledger.Tx, team, person string, alone bool) error {
	have, admins, others, err := topOf(ctx, tx, activeIn, team, person)
	if err != nil || !have || admins > 0 || alone && others == 0 {
		return err
	}
	return errLastAdmin
}

var errLastAdmin = fault.New(fault.Conflict, "last_admin", fault.Public{Problem: "This is the last admin of the team.",
	Expected: "At least one other active admin.", Next: "Make somebody else an admin first."})

// topOf says whether a person holds the highest role of a team, and counts the others of
// the query: those who hold it too, and all.
func topOf(ctx context.Context, tx *ledger.Tx, query, team, person string) (have bool, too, others int, err error) {
	err = tx.Each(ctx, query, func(scan scanner) error {
		var id, roles string
		if err := scan(&id, &roles); err != nil {
			return err
		}
		top := rank(rolesOf(roles)...) == 2
		switch {
		case id == person:
			have = top
		case top:
			too++
			fallthrough
		default:
			others++
		}
		return nil
	}, team)
	return have, too, others, err
}

// Transfer is the hand-over of a customer team's admin role.
type Transfer struct {
	Team string
	From string // a member; empty = the actor, else the only admin
	To   string // a member
}

// TransferAdmin makes one member the admin and another, who was it, a member. It returns
// the actor's new token when their own session changed.
func (s *Service) TransferAdmin(ctx context.Context, who actor.Actor, in Transfer) (secret.Text, error) {
	const act = "transfer-admin"
	if err := s.manageable(ctx, who, in.Team); err != nil {
		return secret.Text{}, err
	}
	from, to, err := s.transferForm(ctx, who, in)
	if err != nil {
		return secret.Text{}, s.notOnTeam(ctx, who, act, in.Team, err)
	}
	t := newTurn(who)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		t.reset()
		_, had, err := seatOf(ctx, tx, in.Team, from)
		if err == nil && !slices.Contains(had, RoleAdmin) || errors.Is(err, fault.NotFound) {
			return nil, fault.Newf(fault.Conflict, "not_admin", "Whoever hands over the role is no admin of this team.")
		}
		if err != nil {
			return nil, err
		}
		up, err := giveRoles(ctx, tx, t, in.Team, to, []string{RoleAdmin})
		if err != nil {
			return nil, err
		}
		down, err := giveRoles(ctx, tx, t, in.Team, from, []string{RoleMember})
		if err != nil {
			return nil, err
		}
		tx.Also(up)
		return down, nil
	})
	if err != nil {
		return secret.Text{}, s.notOnTeam(ctx, who, act, in.Team, err)
	}
	return s.turned(ctx, t)
}

func (s *Service) transferForm(ctx context.Context, who actor.Actor, in Transfer) (from, to string, err error) {
	kind, err := s.kindOf(ctx, in.Team)
	if err != nil {
		return "", "", err
	}
	if kind == Staff {
		return "", "", fault.Newf(fault.Invalid, "team_of_staff", "The staff have owners, who are added and removed one by one.")
	}
	if to, err = s.memberRef(ctx, who, in.Team, in.To); err != nil {
		return "", "", err
	}
	switch {
	case in.From != "":
		from, err = s.memberRef(ctx, who, in.Team, in.From)
	case who.Kind == actor.Person && who.Team == in.Team:
		from = who.ID
	default:
		from, err = s.onlyAdmin(ctx, in.Team)
	}
	if err == nil && from == to {
		err = fault.Newf(fault.Invalid, "same_member", "The role cannot be handed to whoever has it.")
	}
	return from, to, err
}

func (s *Service) onlyAdmin(ctx context.Context, team string) (string, error) {
	var admins []string
	err := s.DB.Each(ctx, activeIn, func(scan scanner) error {
		var id, roles string
		if err := scan(&id, &roles); err != nil {
			return err
		}
		if slices.Contains(rolesOf(roles), RoleAdmin) {
			admins = append(admins, id)
		}
		return nil
	}, team)
	if err != nil {
		return "", fmt.Errorf("read admins: %w", err)
	}
	if len(admins) != 1 {
		return "", fault.Newf(fault.Invalid, "from_needed", "This team has %d admins: say who hands over the role.", len(admins))
	}
	return admins[0], nil
}

// RemoveMember takes a person out of a team and ends their sessions in it at once. They
// are told by mail. Somebody who is in no team any more cannot sign in.
func (s *Service) RemoveMember(ctx context.Context, who actor.Actor, team, ref string) error {
	if err := s.manageable(ctx, who, team); err != nil {
		return err
	}
	id, err := s.memberRef(ctx, who, team, ref)
	if err != nil {
		return s.notOnTeam(ctx, who, "remove-member", team, err)
	}
	return s.remove(ctx, who, team, id, id == who.ID)
}

// LeaveTeam takes the actor out of one of their teams. The only team stays
// (fault.Conflict, last_team): nobody locks themselves out.
func (s *Service) LeaveTeam(ctx context.Context, who actor.Actor, team string) error {
	if who.Kind != actor.Person {
		return errEnded()
	}
	if _, _, err := seatOf(ctx, s.DB, team, who.ID); err != nil {
		if errors.Is(err, fault.NotFound) {
			err = noTeam()
		}
		return s.notOnTeam(ctx, who, "leave", team, err)
	}
	return s.remove(ctx, who, team, who.ID, true)
}

func (s *Service) remove(ctx context.Context, who actor.Actor, team, person string, left bool) error {
	act := map[bool]string{true: "leave", false: "remove-member"}[left]
	acc, err := s.account(ctx, person)
	if err != nil {
		return err
	}
	var job jobs.Job
	told := !left && acc.email != ""
	if told {
		if job, err = s.letter(ctx, acc.email, s.removedLetter(s.called(ctx, team))); err != nil {
			return err
		}
	}
	o := offboarding{person: person, team: team, how: HowRemoved, begun: s.Now()}
	t := newTurn(actor.Actor{}) // all sessions end, one's own too
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		t.reset()
		if err := o.begin(ctx, tx); err != nil {
			return nil, err
		}
		ev, err := takeOut(ctx, tx, t, team, person, left)
		if err == nil && told {
			err = s.Mail.Enqueue(ctx, tx, job)
		}
		return ev, err
	})
	if err != nil {
		return s.notOnTeam(ctx, who, act, team, err)
	}
	_, err = s.turned(ctx, t)
	s.receipt(ctx, who, o)
	return err
}

// takeOut is the heart of a removal, inside a change.
func takeOut(ctx context.Context, tx *ledger.Tx, t *turn, team, person string, left bool) (ledger.Event, error) {
	kind, err := lockTeam(ctx, tx, team)
	if err != nil {
		return nil, err
	}
	var roles string
	if err := ledger.One(ctx, tx, rolesIn1, []any{&roles}, team, person); err != nil {
		if errors.Is(err, fault.NotFound) {
			return nil, noMember()
		}
		return nil, err
	}
	if err := notLast(ctx, tx, team, kind, person); err != nil {
		return nil, err
	}
	ev := MemberRemoved{Team: team, Person: person, Roles: rolesOf(roles), Left: left}
	if ev.Invitations, err = tx.Exec(ctx, endInvitesBy, team, person, us(tx.Now())); err != nil { // clause: auth.admin-invite
		return nil, err
	}
	if _, err := tx.Exec(ctx, deleteMember, team, person); err != nil {
		return nil, err
	}
	if kind == Staff {
		if err := endGrantsOf(ctx, tx, person, "left-team"); err != nil {
			return nil, err
		}
	}
	if left {
		var rest int64
		if err := ledger.One(ctx, tx, countTeams, []any{&rest}, person); err != nil {
			return nil, err
		}
		if rest == 0 {
			return nil, fault.New(fault.Conflict, "last_team", fault.Public{Problem: "This is your only team: without one you could not sign in any more.",
				Next: "If you want no account here any more, end it on your account page."})
		}
	}
	if ev.Sessions, err = t.sessions(ctx, tx, team, person, "left-team"); err != nil {
		return nil, err
	}
	change, err := bump(ctx, tx)
	if err != nil {
		return nil, err
	}
	ev.Tokens, err = tx.Exec(ctx, endTeamTokens, person, team, us(tx.Now()), change)
	return ev, err
}

const (
	membersBy = `SELECT m.person, p.handle, p.name, p.state, COALESCE(a.idx, ''), a.address, m.roles, m.since FROM identity_member m
		JOIN identity_person p ON p.id = m.person LEFT JOIN identity_address a ON a.person = m.person WHERE m.team = $1 AND p.state IN ('active', 'disabled')`
	findMember = `SELECT m.person FROM identity_member m JOIN identity_person p ON p.id = m.person LEFT JOIN identity_address a ON a.person = m.person
		WHERE m.team = $1 AND (m.person = $2 OR p.handle = $2 OR (a.idx = $3 AND $3 <> '')) ORDER BY CASE WHEN m.person = $2 THEN 0 ELSE 1 END LIMIT 1`
	endTeamTokens = `UPDATE identity_token SET ended = $3, cause = 'left-team', change = $4 WHERE person = $1 AND team = $2 AND ended IS NULL`
	setRoles      = `UPDATE identity_member SET roles = $3 WHERE team = $1 AND person = $2`
	rolesIn1      = `SELECT roles FROM identity_member WHERE team = $1 AND person = $2`
	deleteMember  = `DELETE FROM identity_member WHERE team = $1 AND person = $2`
	countTeams    = `SELECT COUNT(*) FROM identity_member WHERE person = $1`
	activeIn      = `SELECT m.person, m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = $1 AND p.state = 'active'`
	ableIn        = `SELECT m.person, m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person JOIN identity_address a ON a.person = p.id
		JOIN identity_password w ON w.person = p.id WHERE m.team = $1 AND p.state = 'active' AND a.confirmed IS NOT NULL`
	endInvitesBy = `UPDATE identity_invitation SET ended = $3, cause = 'inviter-left', about = NULL WHERE team = $1 AND inviter = $2 AND ended IS NULL`
)
