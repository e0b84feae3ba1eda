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
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// ProvisionScope is the one scope with which a directory may make and end the people of
// a team. No token has it but those that a connection makes.
const ProvisionScope = "scim:provision"

// provisioner is the role of a connection's service: no table gives it anything.
const provisioner = "provisioner"

// NoRole is written where somebody in no mapped group shall have none.
const NoRole = "none"

// The bounds of a connection.
const (
	maxDomains    = 20
	maxGroupRoles = 100
)

// GroupRole says which role a group of the directory means.
type GroupRole struct{ Group, Role string }

// Connection is a team's own directory, which makes and ends the team's people.
type Connection struct {
	ID       string
	Team     string
	Kind     string // of the team
	Name     string
	Service  string // whose tokens the directory uses
	Roles    []string
	Standard string // of somebody in no mapped group; empty = none
	Domains  []string
	Groups   []GroupRole
	Made     time.Time
	Maker    string
	Tokens   []Token // live
}

// NewConnection is the wish for a connection.
type NewConnection struct {
	Team     string // empty = the team of whoever asks; staff for the operator
	Name     string
	Roles    []string      // all that it may give; none = member, or nothing for staff
	Standard string        // empty = member, or none for staff
	Domains  []string      // for holders of access.ProvisioningManage alone: whoever sets one speaks for every mailbox in it
	Groups   []GroupRole   // by name, whatever its case
	Life     time.Duration // of the token; 0 = the policy's longest
}

// connects is the right to manage the connections of a team: its admin's, or by the
// policy's word anybody's. everywhere is true for the latter.
func (s *Service) connects(ctx context.Context, who actor.Actor, team string) (everywhere bool, err error) {
	if s.Access.May(who, access.ProvisioningManage) {
		return true, s.Access.Allow(ctx, who, access.ProvisioningManage, "team/"+team)
	}
	if s.mayManage(who, team) {
		return false, nil
	}
	return false, s.Access.Allow(ctx, who, access.ProvisioningManage, "team/"+team)
}

// Connect makes a connection and its first token, whose text is in the answer this once.
// A team has one connection at most (fault.Conflict, connection_exists).
func (s *Service) Connect(ctx context.Context, who actor.Actor, in NewConnection) (Connection, IssuedToken, error) {
	if in.Team == "" {
		in.Team = teamOf(who)
	}
	all, err := s.connects(ctx, who, cut(in.Team, 64))
	if err != nil {
		return Connection{}, IssuedToken{}, err
	}
	c := Connection{ID: s.DB.ID(), Team: in.Team, Name: in.Name, Service: randomID(), Maker: who.String()}
	if err := ledger.One(ctx, s.DB, kindOfTeam, []any{&c.Kind}, in.Team); errors.Is(err, fault.NotFound) {
		return c, IssuedToken{}, fault.Newf(fault.NotFound, "no_team", "There is no such team.")
	} else if err != nil {
		return c, IssuedToken{}, fmt.Errorf("read team: %w", err)
	}
	if err := c.fill(in, all); err != nil {
		return c, IssuedToken{}, err
	}
	rows, err := s.groupRoles(ctx, c)
	if err != nil {
		return c, IssuedToken{}, err
	}
	t, add, err := s.connectionToken(ctx, who, c, in.Life)
	if err != nil {
		return c, IssuedToken{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		c.Made = tx.Now()
		if _, err := tx.Exec(ctx, insertService, c.Service, c.Team, c.Name, "", provisioner, us(tx.Now())); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertConnection, c.ID, c.Team, c.Name, c.Service, rolesText(c.Roles), c.Standard, c.Maker, us(tx.Now())); err != nil {
			return nil, err
		}
		for _, d := range c.Domains {
			if _, err := tx.Exec(ctx, insertDomain, d, c.ID); err != nil {
				return nil, err
			}
		}
		for _, r := range rows {
			if _, err := tx.Exec(ctx, insertGroupRole, c.ID, r.idx, r.name, r.role); err != nil {
				return nil, err
			}
		}
		if err := add(tx); err != nil {
			return nil, err
		}
		tx.Also(ServiceMade{Service: c.Service, Team: c.Team, Roles: []string{provisioner}})
		return ScimConnected{Connection: c.ID, Team: c.Team, Service: c.Service, Roles: c.Roles, Standard: c.Standard, Domains: c.Domains,
			Groups: int64(len(rows)), Until: t.Expires}, nil
	})
	if errors.Is(err, fault.Conflict) {
		return c, IssuedToken{}, s.refuse(ctx, who, ProvisionRefused{Act: "connect", Cause: "connection_exists"}, fault.New(fault.Conflict, "connection_exists", fault.Public{
			Problem:  "The team has a connection or a service of that name already, or one of the domains belongs to another connection.",
			Expected: "One connection for a team, one connection for a domain.", Next: "End the old connection first, or choose another name."}))
	}
	if err != nil {
		return c, IssuedToken{}, fmt.Errorf("connect a directory: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.id == t.ID })
	c.Tokens = []Token{t.Token}
	return c, *t, nil
}

// connectionToken prepares a token of a connection, and what puts it into the change.
func (s *Service) connectionToken(ctx context.Context, who actor.Actor, c Connection, life time.Duration) (*IssuedToken, func(*ledger.Tx) error, error) {
	longest := s.Rules.Get().TokenMax
	if life == 0 {
		life = longest
	}
	if life < time.Hour || life > longest { // clause: auth.best-practice
		return nil, nil, fault.Newf(fault.Invalid, "life_invalid", "A token lives between one hour and %s.", spell(longest))
	}
	t := &IssuedToken{Token: Token{ID: s.DB.ID(), Kind: ServiceToken, Name: c.Name, Service: c.Service, ServiceName: c.Name, Team: c.Team,
		Scopes: []string{ProvisionScope}, Issuer: who.String()}, Text: newToken(ServiceToken)}
	name, err := s.seal(ctx, keyring.Class(teamClass), "identity_token.name", t.ID, []byte(t.Name))
	if err != nil {
		return nil, nil, err
	}
	to, err := s.standBehind(ctx, ProgramAccount{Team: c.Team})
	if err != nil {
		return nil, nil, err
	}
	letters, err := s.tokenLetters(ctx, to, t.Token, "Made on "+stamp(s.Now())+".")
	if err != nil {
		return nil, nil, err
	}
	return t, func(tx *ledger.Tx) error {
		t.Issued, t.Expires = tx.Now(), tx.Now().Add(life)
		change, err := bump(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertToken, t.ID, sum(t.Text), string(t.Kind), "", t.Service, t.Team, name, ProvisionScope, "", t.Issuer, // clause: auth.no-cleartext
			us(t.Issued), us(t.Expires), change); err != nil {
			return err
		}
		for _, j := range letters {
			if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
				return err
			}
		}
		tx.Also(TokenIssued{Token: t.ID, Kind: string(t.Kind), Service: t.Service, Scopes: t.Scopes, Until: t.Expires})
		return nil
	}, nil
}

// RenewConnection makes another token for a connection; the others work on until they are
// revoked, so that the directory can be given the new one first.
func (s *Service) RenewConnection(ctx context.Context, who actor.Actor, id string, life time.Duration) (IssuedToken, error) {
	c, err := s.managedConnection(ctx, who, id)
	if err != nil {
		return IssuedToken{}, err
	}
	if len(c.Tokens) >= maxTokens {
		return IssuedToken{}, fault.Newf(fault.Conflict, "too_many_tokens", "There are %d live tokens already; end some of them first.", len(c.Tokens))
	}
	t, add, err := s.connectionToken(ctx, who, c, life)
	if err != nil {
		return IssuedToken{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := add(tx); err != nil {
			return nil, err
		}
		return ScimConnected{Connection: c.ID, Team: c.Team, Service: c.Service, Roles: c.Roles, Standard: c.Standard, Domains: c.Domains,
			Groups: int64(len(c.Groups)), Until: t.Expires}, nil
	})
	if err != nil {
		return IssuedToken{}, fmt.Errorf("renew the token of a connection: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.id == t.ID })
	return *t, nil
}

// Disconnect ends a connection and its tokens at once. The people it made stay as they are.
func (s *Service) Disconnect(ctx context.Context, who actor.Actor, id string) error {
	c, err := s.managedConnection(ctx, who, id)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endConnection, c.ID, us(tx.Now()))
		if err == nil && n == 0 {
			err = noConnection()
		}
		if err != nil {
			return nil, err
		}
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		tokens, err := tx.Exec(ctx, endTokensOfService, c.Service, us(tx.Now()), change)
		if err != nil {
			return nil, err
		}
		for _, q := range []string{dropDomains, dropGroupRoles} {
			if _, err := tx.Exec(ctx, q, c.ID); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, endService, c.Service, us(tx.Now())); err != nil {
			return nil, err
		}
		tx.Also(ServiceEnded{Service: c.Service, Tokens: tokens})
		return ScimDisconnected{Connection: c.ID, Team: c.Team, Tokens: tokens}, nil
	})
	if err != nil {
		return fmt.Errorf("disconnect a directory: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.service == c.Service })
	return nil
}

// Connections lists live connections: those of one's own team, or with
// access.ProvisioningManage all.
func (s *Service) Connections(ctx context.Context, who actor.Actor) ([]Connection, error) {
	team := teamOf(who)
	all, err := s.connects(ctx, who, team)
	if err != nil {
		return nil, err
	}
	if all {
		return s.connections(ctx, connectionsBy+` ORDER BY c.made, c.id LIMIT 200`)
	}
	return s.connections(ctx, connectionsBy+` AND c.team = $1 ORDER BY c.made, c.id LIMIT 200`, team)
}

func noConnection() error {
	return fault.Newf(fault.NotFound, "no_connection", "There is no such connection, or it has ended.")
}

// managedConnection finds a connection for somebody who may manage it. To an admin of
// another team there is none.
func (s *Service) managedConnection(ctx context.Context, who actor.Actor, id string) (Connection, error) {
	team := teamOf(who)
	all, err := s.connects(ctx, who, team)
	if err != nil {
		return Connection{}, err
	}
	cs, err := s.connections(ctx, connectionsBy+` AND (c.id = $1 OR c.name = $1 AND c.team = $2) ORDER BY c.made`, id, team)
	if err != nil {
		return Connection{}, err
	}
	for _, c := range cs {
		if all || c.Team == team {
			return c, nil
		}
	}
	return Connection{}, noConnection()
}

func (s *Service) connections(ctx context.Context, query string, args ...any) ([]Connection, error) {
	var out []Connection
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var c Connection
		var roles string
		var made int64
		if err := scan(&c.ID, &c.Team, &c.Kind, &c.Name, &c.Service, &roles, &c.Standard, &c.Maker, &made); err != nil {
			return err
		}
		c.Roles, c.Made = rolesOf(roles), at(made)
		out = append(out, c)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	for i := range out {
		if err := s.detail(ctx, &out[i]); err != nil {
			return nil, err
		}
		if out[i].Tokens, err = s.listTokens(ctx, tokensBy+` AND k.service = $2 ORDER BY k.issued DESC, k.id DESC LIMIT 100`, out[i].Service); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// detail reads domains and mapped groups.
func (s *Service) detail(ctx context.Context, c *Connection) error {
	err := s.DB.Each(ctx, domainsOf, func(scan scanner) error {
		var d string
		err := scan(&d)
		c.Domains = append(c.Domains, d)
		return err
	}, c.ID)
	if err != nil {
		return fmt.Errorf("read domains of a connection: %w", err)
	}
	var rows []groupRow
	err = s.DB.Each(ctx, groupRolesOf, func(scan scanner) error {
		var r groupRow
		err := scan(&r.idx, &r.name, &r.role)
		rows = append(rows, r)
		return err
	}, c.ID)
	if err != nil {
		return fmt.Errorf("read groups of a connection: %w", err)
	}
	for _, r := range rows {
		name, err := s.text(ctx, "identity_scim_role.name", c.ID+"/"+r.idx, r.name)
		if err != nil {
			return err
		}
		c.Groups = append(c.Groups, GroupRole{name, r.role})
	}
	slices.SortFunc(c.Groups, func(a, b GroupRole) int { return strings.Compare(a.Group, b.Group) })
	return nil
}

const (
	insertConnection = `INSERT INTO identity_scim (id, team, name, service, roles, standard, maker, made, ended) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)`
	insertDomain     = `INSERT INTO identity_scim_domain (domain, connection) VALUES ($1, $2)`
	insertGroupRole  = `INSERT INTO identity_scim_role (connection, idx, name, role) VALUES ($1, $2, $3, $4)`
	endConnection    = `UPDATE identity_scim SET ended = $2 WHERE id = $1 AND ended IS NULL`
	dropDomains      = `DELETE FROM identity_scim_domain WHERE connection = $1`
	dropGroupRoles   = `DELETE FROM identity_scim_role WHERE connection = $1`
	domainsOf        = `SELECT domain FROM identity_scim_domain WHERE connection = $1 ORDER BY domain`
	groupRolesOf     = `SELECT idx, name, role FROM identity_scim_role WHERE connection = $1`
	connectionsBy    = `SELECT c.id, c.team, t.kind, c.name, c.service, c.roles, c.standard, c.maker, c.made
		FROM identity_scim c JOIN identity_team t ON t.id = c.team WHERE c.ended IS NULL`
)
