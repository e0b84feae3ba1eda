package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// maxGroupName bounds the name of a group, in characters.
const maxGroupName = 256

// fill checks the wish and takes it over. anyTeam is the right to set domains.
func (c *Connection) fill(in NewConnection, anyTeam bool) error {
	var fields []fault.Field
	bad := func(name, code, format string, a ...any) {
		fields = append(fields, fault.Field{Name: name, Code: code, Problem: fmt.Sprintf(format, a...)})
	}
	if !goodSlug.MatchString(c.Name) {
		bad("name", "name_invalid", "A connection's name has 2 to 63 lower-case letters, digits and hyphens and begins with a letter.")
	}
	giveable := []string{RoleAdmin, RoleMember}
	c.Roles, c.Standard = rolesOf(rolesText(in.Roles)), in.Standard
	if c.Kind == Staff { // clause: access.roles
		giveable = slices.DeleteFunc(StaffRoles(), func(r string) bool { return r == "owner" }) // an owner signs; no directory makes one
	} else {
		if len(c.Roles) == 0 {
			c.Roles = []string{RoleMember}
		}
		if c.Standard == "" && slices.Contains(c.Roles, RoleMember) {
			c.Standard = RoleMember
		}
	}
	if c.Standard == NoRole {
		c.Standard = ""
	}
	if slices.ContainsFunc(c.Roles, func(r string) bool { return !slices.Contains(giveable, r) }) {
		bad("roles", "role_unknown", "A connection of this team may give some of: %s.", strings.Join(giveable, ", "))
	}
	if c.Standard != "" && !slices.Contains(c.Roles, c.Standard) {
		bad("standard", "role_unknown", "The standard role is one of those that the connection may give, or none.")
	}
	c.fillDomains(in.Domains, anyTeam, bad)
	c.fillGroups(in.Groups, bad)
	if len(fields) > 0 {
		return fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	return nil
}

func (c *Connection) fillDomains(domains []string, anyTeam bool, bad func(name, code, format string, a ...any)) {
	if len(domains) > 0 && !anyTeam {
		bad("domains", "domains_denied", "Domains of a connection are set by the operator, who knows that they are the team's: ask for it.")
		return
	}
	if len(domains) > maxDomains {
		bad("domains", "domains_invalid", "A connection has up to %d domains.", maxDomains)
		return
	}
	for _, d := range domains {
		clean, err := domainOf(strings.TrimSpace(d))
		if err != nil {
			bad("domains", "domains_invalid", "%q is no domain of addresses.", cut(d, 64))
			continue
		}
		c.Domains = append(c.Domains, clean)
	}
	slices.Sort(c.Domains)
	c.Domains = slices.Compact(c.Domains)
}

func (c *Connection) fillGroups(groups []GroupRole, bad func(name, code, format string, a ...any)) {
	if len(groups) > maxGroupRoles {
		bad("groups", "groups_invalid", "A connection maps up to %d groups.", maxGroupRoles)
		return
	}
	seen := map[string]bool{}
	for _, g := range groups {
		g.Group = strings.TrimSpace(g.Group)
		f := foldName(g.Group)
		switch {
		case g.Group == "" || utf8.RuneCountInString(g.Group) > maxGroupName || seen[f]:
			bad("groups", "groups_invalid", "Each group has a name of its own of 1 to %d characters.", maxGroupName)
		case !slices.Contains(c.Roles, g.Role): // clause: access.roles
			bad("groups", "role_unknown", "The group %q means a role that the connection may not give.", cut(g.Group, 64))
		}
		seen[f] = true
		c.Groups = append(c.Groups, g)
	}
}

// foldName makes names that differ in case alone equal (RFC 7643, caseExact false).
func foldName(s string) string { return cases.Fold().String(norm.NFC.String(strings.TrimSpace(s))) }

// groupRow is a mapped group as stored.
type groupRow struct {
	idx  string
	name []byte
	role string
}

// groupRoles seals the mapped groups of a new connection.
func (s *Service) groupRoles(ctx context.Context, c Connection) ([]groupRow, error) {
	rows := make([]groupRow, 0, len(c.Groups))
	for _, g := range c.Groups {
		idx, err := s.mac(ctx, "scim-group", c.ID, foldName(g.Group))
		if err != nil {
			return nil, err
		}
		box, err := s.seal(ctx, keyring.Class(teamClass), "identity_scim_role.name", c.ID+"/"+idx, []byte(g.Group))
		if err != nil {
			return nil, err
		}
		rows = append(rows, groupRow{idx, box, g.Role})
	}
	return rows, nil
}

// Provisioner is the connection in whose name a directory's request acts. Whoever brings
// no token of a live connection is fault.Denied, recorded.
func (s *Service) Provisioner(ctx context.Context, who actor.Actor) (Connection, error) {
	no := fault.New(fault.Denied, "not_a_connection", fault.Public{Problem: "This token is not one of a directory's connection.",
		Expected: "The token that was shown when the connection was made.", Next: "Make a connection, or use its token."})
	if who.Kind != actor.Machine || !who.ByToken() || !slices.Contains(who.Scopes, ProvisionScope) { // clause: auth.best-practice
		return Connection{}, s.refuse(ctx, who, ProvisionRefused{Act: "enter", Cause: "not-a-connection"}, no)
	}
	var c Connection
	var roles string
	var made int64
	err := ledger.One(ctx, s.DB, connectionsBy+` AND c.service = $1 AND c.team = $2`,
		[]any{&c.ID, &c.Team, &c.Kind, &c.Name, &c.Service, &roles, &c.Standard, &c.Maker, &made}, who.ID, who.Team)
	if fault.KindOf(err) == fault.NotFound {
		return Connection{}, s.refuse(ctx, who, ProvisionRefused{Act: "enter", Cause: "not-a-connection"}, no)
	}
	if err != nil {
		return Connection{}, fmt.Errorf("read connection: %w", err)
	}
	c.Roles, c.Made = rolesOf(roles), at(made)
	return c, s.detail(ctx, &c)
}

// RefuseProvision records a refusal of a directory's wish and returns it.
func (s *Service) RefuseProvision(ctx context.Context, who actor.Actor, connection, act string, reason error) error {
	code, _ := fault.PublicOf(reason)
	return s.refuse(ctx, who, ProvisionRefused{Connection: connection, Act: act, Cause: code}, reason)
}
