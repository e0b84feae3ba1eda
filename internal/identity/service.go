package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// ProgramAccount is an account of a program: a service. It cannot sign in; it has tokens.
type ProgramAccount struct {
	ID      string
	Team    string
	Name    string
	Owner   string // the person without whom it may not act; empty = the team
	Roles   []string
	Created time.Time
	Tokens  int64 // live
}

// NewProgram is the wish for a service.
type NewProgram struct {
	Name  string
	Roles []string
	Mine  MineOrTeam
}

// MineOrTeam says who owns a service.
type MineOrTeam string

// The owners of a service.
const (
	OwnedByMe   MineOrTeam = "me"   // it stops when I leave
	OwnedByTeam MineOrTeam = "team" // it stops when nobody is left in the team
)

// mayManage reports whether somebody may manage the services of a team without asking
// the policy: the admin of a customer's team, in that team.
func (s *Service) mayManage(who actor.Actor, team string) bool {
	return team != staffTeam && who.Team == team && who.Has(RoleAdmin) && humanNeeded(who) == nil
}

// manages is mayManage, or the policy's word for the staff team.
func (s *Service) manages(ctx context.Context, who actor.Actor, team, object string) error {
	if s.mayManage(who, team) {
		return nil
	}
	if team != staffTeam { // another team's: nobody's, whatever their role
		return s.refuse(ctx, who, TokenRefused{Cause: "other-team"}, fault.New(fault.Denied, "denied", fault.Public{
			Problem: "Services are managed by the admins of their team.", Next: "Ask one of them."}))
	}
	return s.Access.Allow(ctx, who, access.ServicesManage, object)
}

// teamOf is the team somebody manages services in: staff for the operator.
func teamOf(who actor.Actor) string {
	if who.Kind == actor.Operator || who.Team == "" {
		return staffTeam
	}
	return who.Team
}

// MakeService makes an account for a program in the team somebody acts in. Its roles are
// some of what the maker could give, and never owner: a program signs nothing.
func (s *Service) MakeService(ctx context.Context, who actor.Actor, in NewProgram) (ProgramAccount, error) {
	team := teamOf(who)
	if err := s.manages(ctx, who, team, "team/"+team); err != nil {
		return ProgramAccount{}, err
	}
	v := ProgramAccount{ID: randomID(), Team: team, Name: in.Name, Roles: rolesOf(rolesText(in.Roles))}
	if in.Mine == OwnedByMe {
		v.Owner = who.ID
	}
	if err := v.check(who, in.Mine); err != nil {
		return ProgramAccount{}, err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := ledger.One(ctx, tx, kindOfTeam, []any{new(string)}, v.Team); errors.Is(err, fault.NotFound) { // nobody of the staff has come yet
			return nil, fault.Newf(fault.NotFound, "no_team", "There is no such team yet: its first member makes it.")
		} else if err != nil {
			return nil, fmt.Errorf("read team: %w", err)
		}
		v.Created = tx.Now()
		_, err := tx.Exec(ctx, insertService, v.ID, v.Team, v.Name, v.Owner, rolesText(v.Roles), us(v.Created))
		return ServiceMade{Service: v.ID, Team: v.Team, Owner: v.Owner, Roles: v.Roles}, err
	})
	if errors.Is(err, fault.Conflict) {
		return ProgramAccount{}, fault.Newf(fault.Conflict, "service_exists", "The team has a service of that name.")
	}
	if err != nil {
		return ProgramAccount{}, fmt.Errorf("make service: %w", err)
	}
	return v, nil
}

func (v ProgramAccount) check(who actor.Actor, owned MineOrTeam) error {
	var fields []fault.Field
	if !goodSlug.MatchString(v.Name) {
		fields = append(fields, fault.Field{Name: "name", Code: "name_invalid", Problem: "A service's name has 2 to 63 lower-case letters, digits and hyphens and begins with a letter."})
	}
	staff := v.Team == staffTeam
	could := func(role string) bool {
		if staff {
			return role != "owner" && slices.Contains(StaffRoles(), role) && (who.Kind == actor.Operator || covers(who.Roles, role))
		}
		return (role == RoleAdmin || role == RoleMember) && covers(who.Roles, role)
	}
	if len(v.Roles) == 0 || slices.ContainsFunc(v.Roles, func(r string) bool { return !could(r) }) {
		fields = append(fields, fault.Field{Name: "roles", Code: "role_unknown", Problem: "A service has roles that you could give: at least one, and never owner."})
	}
	if owned != OwnedByMe && owned != OwnedByTeam || owned == OwnedByMe && humanNeeded(who) != nil {
		fields = append(fields, fault.Field{Name: "owner", Code: "owner_invalid", Problem: "A service is owned by me (a person) or by the team."})
	}
	if len(fields) > 0 {
		return fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	return nil
}

// Services lists the services of the team somebody acts in, by name; with
// access.TokensRead those of the staff team.
func (s *Service) Services(ctx context.Context, who actor.Actor) ([]ProgramAccount, error) {
	team := teamOf(who)
	if !s.mayManage(who, team) {
		if err := s.Access.Allow(ctx, who, access.TokensRead, "team/"+team); err != nil {
			return nil, err
		}
	}
	return s.services(ctx, servicesBy+` AND v.team = $2 ORDER BY v.name LIMIT 500`, team)
}

func (s *Service) services(ctx context.Context, query string, args ...any) ([]ProgramAccount, error) {
	var out []ProgramAccount
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var v ProgramAccount
		var roles string
		var created int64
		if err := scan(&v.ID, &v.Team, &v.Name, &v.Owner, &roles, &created, &v.Tokens); err != nil {
			return err
		}
		v.Roles, v.Created = rolesOf(roles), at(created)
		out = append(out, v)
		return nil
	}, append([]any{us(s.Now())}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	return out, nil
}

// managedService finds a service of one's team by id or name, for somebody who may
// manage it.
func (s *Service) managedService(ctx context.Context, who actor.Actor, ref string) (ProgramAccount, error) {
	team := teamOf(who)
	if err := s.manages(ctx, who, team, "service/"+cut(ref, 64)); err != nil {
		return ProgramAccount{}, err
	}
	vs, err := s.services(ctx, servicesBy+` AND v.team = $2 AND (v.id = $3 OR v.name = $3)`, team, ref)
	if err != nil {
		return ProgramAccount{}, err
	}
	if len(vs) == 0 {
		return ProgramAccount{}, fault.Newf(fault.NotFound, "no_service", "There is no such service in your team.")
	}
	return vs[0], nil
}

// ServiceTokens lists the live tokens of a service.
func (s *Service) ServiceTokens(ctx context.Context, who actor.Actor, ref string) ([]Token, error) {
	v, err := s.managedService(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	return s.listTokens(ctx, tokensBy+` AND k.service = $2 ORDER BY k.issued DESC, k.id DESC LIMIT 500`, v.ID)
}

// EndService ends a service and its tokens at once.
func (s *Service) EndService(ctx context.Context, who actor.Actor, ref string) error {
	v, err := s.managedService(ctx, who, ref)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, endTokensOfService, v.ID, us(tx.Now()), change)
		if err != nil {
			return nil, err
		}
		k, err := tx.Exec(ctx, endService, v.ID, us(tx.Now()))
		if err == nil && k == 0 {
			err = fault.Newf(fault.NotFound, "no_service", "There is no such service in your team.")
		}
		return ServiceEnded{Service: v.ID, Tokens: n}, err
	})
	if err != nil {
		return fmt.Errorf("end service: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.service == v.ID })
	return nil
}

// standBehind are the people who are told of a service's new token: its owner, else the
// admins or owners of its team.
func (s *Service) standBehind(ctx context.Context, v ProgramAccount) ([]string, error) {
	if v.Owner != "" {
		return []string{v.Owner}, nil
	}
	var out []string
	err := s.DB.Each(ctx, membersOf, func(scan scanner) error {
		var id, roles string
		if err := scan(&id, &roles); err != nil {
			return err
		}
		if have := rolesOf(roles); slices.Contains(have, RoleAdmin) || slices.Contains(have, "owner") {
			out = append(out, id)
		}
		return nil
	}, v.Team)
	if err != nil {
		return nil, fmt.Errorf("find who stands behind a service: %w", err)
	}
	return out, nil
}

// tokenLetters tell people of a new token.
func (s *Service) tokenLetters(ctx context.Context, people []string, t Token, asked string) ([]jobs.Job, error) {
	var out []jobs.Job
	whose := "your account"
	if t.ServiceName != "" {
		whose = "the service " + t.ServiceName
	}
	for _, id := range people {
		to := s.Email(ctx, id)
		if to == "" {
			continue
		}
		j, err := s.letter(ctx, to, typedLetter{kind: "identity.token-issued", Letter: mail.Letter{
			Title: "A token for a program was made",
			Lines: []string{fmt.Sprintf("A program can now act for %s with a token, until it ends or is revoked. It may do: %s.", whose, strings.Join(t.Scopes, ", ")),
				"If you know nothing of it, revoke it at once and set a new password."},
			Link: &mail.Link{Text: "See the tokens", URL: s.Origin + atTokens},
			Foot: []string{asked},
		}})
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

const (
	insertService = `INSERT INTO identity_service (id, team, name, owner, roles, created, ended) VALUES ($1, $2, $3, $4, $5, $6, NULL)`
	servicesBy    = `SELECT v.id, v.team, v.name, v.owner, v.roles, v.created,
		(SELECT COUNT(*) FROM identity_token k WHERE k.service = v.id AND k.ended IS NULL AND k.expires > $1) FROM identity_service v WHERE v.ended IS NULL`
	endService         = `UPDATE identity_service SET ended = $2 WHERE id = $1 AND ended IS NULL`
	endTokensOfService = `UPDATE identity_token SET ended = $2, cause = 'service-ended', change = $3 WHERE service = $1 AND ended IS NULL`
	membersOf          = `SELECT m.person, m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = $1 AND p.state = 'active' ORDER BY m.since LIMIT 50`
)
