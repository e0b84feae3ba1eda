package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Team is an organisation as its members and staff see it.
type Team struct {
	ID          string
	Name        string // empty: somebody's own
	Kind        string // staff, customer, canary
	Created     time.Time
	Members     int64  // who may sign in
	Invitations int64  // open
	Demand      string // of its people: none, two-factor, phishing-resistant
}

// Membership is a team that a person is in.
type Membership struct {
	Team  string
	Name  string
	Kind  string
	Roles []string
	Since time.Time
}

// rolesIn are the roles that a team of the kind knows, the greatest first.
func rolesIn(kind string) []string {
	if kind == Staff {
		return StaffRoles()
	}
	return []string{RoleAdmin, RoleMember}
}

// rank orders roles: whoever manages a team gives no role above their own.
func rank(roles ...string) int {
	if slices.Contains(roles, RoleAdmin) || slices.Contains(roles, "owner") {
		return 2
	}
	return min(len(roles), 1)
}

// standing is the rank with which somebody acts on a team. What is lent for a while does
// not count: who is given a role keeps it.
func standing(who actor.Actor) int {
	if who.Kind == actor.Operator || who.Kind == actor.Writ {
		return rank("owner")
	}
	return rank(slices.DeleteFunc(slices.Clone(who.Roles), func(r string) bool { return slices.Contains(who.Lent, r) })...)
}

// onTeam asks access for an act on the team the actor acts in, or for one on all teams.
// It answers alike for a team that is not there and for one that is somebody else's.
func (s *Service) onTeam(ctx context.Context, who actor.Actor, team string, own, all access.Action) error {
	if who.Kind == actor.Person && who.Team == team && team != "" { // clause: access.roles
		return s.Access.Allow(ctx, who, own, "team/"+team)
	}
	return s.Access.Allow(ctx, who, all, "")
}

func (s *Service) readable(ctx context.Context, who actor.Actor, team string) error {
	return s.onTeam(ctx, who, team, access.TeamRead, access.PeopleRead)
}

func (s *Service) manageable(ctx context.Context, who actor.Actor, team string) error {
	return s.onTeam(ctx, who, team, access.TeamManage, access.PeopleManage)
}

// Manages reports whether the actor may change the team. Pages ask it to leave out what
// the reader cannot do; it replaces no check.
func (s *Service) Manages(who actor.Actor, team string) bool {
	if who.Kind == actor.Person && who.Team == team {
		return s.Access.May(who, access.TeamManage)
	}
	return s.Access.May(who, access.PeopleManage)
}

// Team is one team: the one the actor acts in, or with access.PeopleRead any.
func (s *Service) Team(ctx context.Context, who actor.Actor, team string) (Team, error) {
	if err := s.readable(ctx, who, team); err != nil {
		return Team{}, err
	}
	ts, err := s.teams(ctx, teamsBy+` WHERE t.id = $2`, us(s.Now()), team)
	if err != nil {
		return Team{}, err
	}
	if len(ts) == 0 {
		return Team{}, noTeam()
	}
	return ts[0], nil
}

// teamsPage is how many teams a page holds.
const teamsPage = 200

// Teams pages through all teams for staff, oldest first; after is the last id of the
// page before. Canaries are left out.
func (s *Service) Teams(ctx context.Context, who actor.Actor, after string) ([]Team, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return nil, err
	}
	return s.teams(ctx, teamsBy+` WHERE t.kind <> 'canary' AND ($2 = '' OR (t.created, t.id) > (SELECT o.created, o.id FROM identity_team o WHERE o.id = $2))
		ORDER BY t.created, t.id LIMIT 200`, us(s.Now()), after)
}

func (s *Service) teams(ctx context.Context, query string, args ...any) ([]Team, error) {
	var out []Team
	var boxes [][]byte
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var t Team
		var box []byte
		var created, need int64
		if err := scan(&t.ID, &t.Kind, &box, &created, &t.Members, &t.Invitations, &need); err != nil {
			return err
		}
		t.Created, t.Demand = at(created), demandWord(int(need))
		out, boxes = append(out, t), append(boxes, box)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read teams: %w", err)
	}
	for i := range out {
		if out[i].Name, err = s.text(ctx, "identity_team.name", out[i].ID, boxes[i]); err != nil {
			return nil, fmt.Errorf("open name of team: %w", err)
		}
	}
	return out, nil
}

func noTeam() error {
	return fault.New(fault.NotFound, "no_team", fault.Public{Problem: "There is no such team.", Next: "Look at the list of teams."})
}

// Memberships lists the teams of a person, the home team first: one's own, or with
// access.PeopleRead anybody's.
func (s *Service) Memberships(ctx context.Context, who actor.Actor, person string) ([]Membership, error) {
	if err := s.own(ctx, who, person, access.PeopleRead); err != nil {
		return nil, err
	}
	var out []Membership
	var boxes [][]byte
	err := s.DB.Each(ctx, membershipsOf, func(scan scanner) error {
		var m Membership
		var box []byte
		var roles string
		var since int64
		if err := scan(&m.Team, &m.Kind, &box, &roles, &since); err != nil {
			return err
		}
		m.Roles, m.Since = rolesOf(roles), at(since)
		out, boxes = append(out, m), append(boxes, box)
		return nil
	}, person)
	if err != nil {
		return nil, fmt.Errorf("read teams of person: %w", err)
	}
	for i := range out {
		if out[i].Name, err = s.text(ctx, "identity_team.name", out[i].Team, boxes[i]); err != nil {
			return nil, fmt.Errorf("open name of team: %w", err)
		}
	}
	return out, nil
}

// RenameTeam gives a team another name of 1 to 60 characters.
func (s *Service) RenameTeam(ctx context.Context, who actor.Actor, team, name string) error {
	if err := s.manageable(ctx, who, team); err != nil {
		return err
	}
	name, err := teamName(name)
	if err != nil {
		return err
	}
	box, err := s.seal(ctx, keyring.Class(teamClass), "identity_team.name", team, []byte(name))
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, renameTeam, team, box)
		if err == nil && n == 0 {
			err = noTeam()
		}
		return TeamRenamed{Team: team}, err
	})
	if err != nil {
		return fmt.Errorf("rename team: %w", err)
	}
	return nil
}

// maxTeamName is in characters.
const maxTeamName = 60

// teamName trims and checks a team's name (fault.Invalid, team_name_invalid).
func teamName(s string) (string, error) {
	name, ok := cleanName(s)
	if ok && name != "" && utf8.RuneCountInString(name) <= maxTeamName {
		return name, nil
	}
	return "", fault.New(fault.Invalid, "team_name_invalid", fault.Public{
		Problem: "This cannot be a team's name.", Expected: "1 to 60 characters in one line.", Next: "Choose another name.",
		Fields: []fault.Field{{Name: "name", Code: "team_name_invalid", Problem: "A name has 1 to 60 characters in one line."}}})
}

// seatOf is what a person is in a team; fault.NotFound when they are not in it. A
// person who is not active is in none.
func seatOf(ctx context.Context, r ledger.Reader, team, person string) (kind string, roles []string, err error) {
	var text string
	if err := ledger.One(ctx, r, memberIn, []any{&kind, &text}, team, person); err != nil {
		return "", nil, err
	}
	return kind, rolesOf(text), nil
}

// lockTeam keeps a team's members as they are until the commit, and says of what kind it is.
func lockTeam(ctx context.Context, tx *ledger.Tx, team string) (kind string, err error) {
	n, err := tx.Hold(ctx, holdTeam, team)
	if err != nil {
		return "", err
	}
	if n != 1 {
		return "", noTeam()
	}
	return kind, ledger.One(ctx, tx, kindOfTeam, []any{&kind}, team)
}

// kindOf is the kind of a team; fault.NotFound, no_team.
func (s *Service) kindOf(ctx context.Context, team string) (string, error) {
	var kind string
	err := ledger.One(ctx, s.DB, kindOfTeam, []any{&kind}, team)
	if errors.Is(err, fault.NotFound) {
		return "", noTeam()
	}
	if err != nil {
		return "", fmt.Errorf("read team: %w", err)
	}
	return kind, nil
}

// goodRoles checks roles that somebody wants to give in a team of the kind: known ones,
// and none above the giver's own (fault.Invalid role_unknown, fault.Denied role_above).
func goodRoles(who actor.Actor, kind string, roles []string) error {
	known := rolesIn(kind)
	if len(roles) == 0 || slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(known, r) }) || kind != Staff && len(roles) > 1 {
		problem := "A role in this team is " + orList(known) + "."
		return fault.New(fault.Invalid, "role_unknown", fault.Public{Problem: problem, Next: "Choose one of them.",
			Fields: []fault.Field{{Name: "role", Code: "role_unknown", Problem: problem}}})
	}
	if rank(roles...) > standing(who) { // clause: auth.admin-invite
		return fault.New(fault.Denied, "role_above", fault.Public{Problem: "This role is above your own.", Expected: "A role up to your own.", Next: "Ask somebody who has the role."})
	}
	return nil
}

var idLike = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// named is what an event may repeat of a team as the caller named it.
func named(team string) string {
	if idLike.MatchString(team) {
		return team
	}
	return ""
}

// called is how letters name a team.
func (s *Service) called(ctx context.Context, team string) string {
	if n := s.TeamName(ctx, team); n != "" {
		return "“" + n + "”"
	}
	return "a team"
}

// roleWords are the roles of a wire or form value: words with a space or comma between.
func roleWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
}

const (
	teamsBy = `SELECT t.id, t.kind, t.name, t.created,
		(SELECT COUNT(*) FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = t.id AND p.state = 'active'),
		(SELECT COUNT(*) FROM identity_invitation i WHERE i.team = t.id AND i.ended IS NULL AND i.expires > $1), t.need FROM identity_team t`
	membershipsOf = `SELECT t.id, t.kind, t.name, m.roles, m.since FROM identity_member m JOIN identity_team t ON t.id = m.team
		WHERE m.person = $1 ORDER BY CASE t.kind WHEN 'staff' THEN 0 ELSE 1 END, m.since, t.id LIMIT 200`
	memberIn = `SELECT t.kind, m.roles FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE m.team = $1 AND m.person = $2 AND p.state = 'active'`
	renameTeam = `UPDATE identity_team SET name = $2 WHERE id = $1`
	holdTeam   = `SELECT id FROM identity_team WHERE id = $1`
	kindOfTeam = `SELECT kind FROM identity_team WHERE id = $1`
)
