package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// maxGroupMembers is how many people a group may have.
const maxGroupMembers = 10_000

// GroupForm is what a directory says of a group.
type GroupForm struct {
	Name       string
	ExternalID string
	Members    []string // ids of people
}

// ProvisionedGroup is a group that a directory pushed.
type ProvisionedGroup struct {
	ID string
	GroupForm
	Role    string // what it means; empty = nothing
	Created time.Time
	Changed time.Time
	Version string
}

type groupAbout struct {
	Name       string `json:"n"`
	ExternalID string `json:"x,omitempty"`
}

// groupWish is a checked form.
type groupWish struct {
	form      GroupForm
	idx, ext  string
	role      string
	about     []byte
	id        string
	connected Connection
}

func errNoGroup() error { return fault.Newf(fault.NotFound, "no_group", "There is no such group.") }

func errGroupExists() error {
	return fault.New(fault.Conflict, "group_exists", fault.Public{Problem: "There is a group of this name already.", Next: "Look for it with a filter, and link it."})
}

// ProvisionedGroups lists the connection's groups, the oldest first.
func (s *Service) ProvisionedGroups(ctx context.Context, who actor.Actor, q ProvisionQuery) ([]ProvisionedGroup, int64, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return nil, 0, err
	}
	where, args := "", []any{c.ID}
	switch q.By {
	case "":
	case "id":
		where, args = ` AND g.id = $2`, append(args, q.Value)
	case "displayName":
		idx, err := s.mac(ctx, "scim-group", c.ID, foldName(q.Value))
		if err != nil {
			return nil, 0, err
		}
		where, args = ` AND g.idx = $2`, append(args, idx)
	case "externalId":
		ext, err := s.mac(ctx, "scim-external", c.ID, "group", q.Value)
		if err != nil {
			return nil, 0, err
		}
		where, args = ` AND g.ext = $2`, append(args, ext)
	default:
		return nil, 0, fmt.Errorf("look for groups by %q: not a way to look", q.By)
	}
	var total int64
	if err := ledger.One(ctx, s.DB, countGroups+where, []any{&total}, args...); err != nil {
		return nil, 0, fmt.Errorf("count groups: %w", err)
	}
	if q.Count <= 0 {
		return nil, total, nil
	}
	n := len(args)
	gs, err := s.groups(ctx, c, groupsBy+where+fmt.Sprintf(` ORDER BY g.created, g.id LIMIT $%d OFFSET $%d`, n+1, n+2), append(args, int64(min(q.Count, 200)), int64(max(q.Start, 0)))...)
	return gs, total, err
}

// ProvisionedGroup is one group of the connection.
func (s *Service) ProvisionedGroup(ctx context.Context, who actor.Actor, id string) (ProvisionedGroup, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return ProvisionedGroup{}, err
	}
	return s.group(ctx, c, id)
}

func (s *Service) group(ctx context.Context, c Connection, id string) (ProvisionedGroup, error) {
	gs, err := s.groups(ctx, c, groupsBy+` AND g.id = $2`, c.ID, id)
	if err == nil && len(gs) == 0 {
		err = errNoGroup()
	}
	if err != nil {
		return ProvisionedGroup{}, err
	}
	return gs[0], nil
}

func (s *Service) groups(ctx context.Context, c Connection, query string, args ...any) ([]ProvisionedGroup, error) {
	var out []ProvisionedGroup
	var boxes [][]byte
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var g ProvisionedGroup
		var box []byte
		var version, created, changed int64
		if err := scan(&g.ID, &box, &g.Role, &version, &created, &changed); err != nil {
			return err
		}
		g.Version, g.Created, g.Changed = fmt.Sprint(version), at(created), at(changed)
		out, boxes = append(out, g), append(boxes, box)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	for i := range out {
		g := &out[i]
		text, err := s.text(ctx, "identity_scim_group.about", c.ID+"/"+g.ID, boxes[i])
		if err != nil {
			return nil, err
		}
		var a groupAbout
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			return nil, fmt.Errorf("read a group: %w", err)
		}
		g.Name, g.ExternalID = a.Name, a.ExternalID
		if g.Members, err = strings1(ctx, s.DB, membersOfGroup, g.ID); err != nil {
			return nil, fmt.Errorf("read members of a group: %w", err)
		}
	}
	return out, nil
}

// strings1 reads one column of text.
func strings1(ctx context.Context, from ledger.Reader, query string, args ...any) (out []string, err error) {
	err = from.Each(ctx, query, func(scan ledger.Scan) error {
		var t string
		err := scan(&t)
		out = append(out, t)
		return err
	}, args...)
	return out, err
}

func (s *Service) groupWish(ctx context.Context, c Connection, id string, f GroupForm) (w groupWish, err error) {
	name, ok := cleanText(f.Name)
	ext, extOK := cleanText(f.ExternalID)
	slices.Sort(f.Members)
	f.Members = slices.Compact(f.Members)
	switch {
	case !ok || name == "" || !extOK:
		return w, fault.Newf(fault.Invalid, "group_invalid", "A group needs a displayName, and no text of it is longer than %d bytes.", maxAttribute)
	case len(f.Members) > maxGroupMembers:
		return w, fault.Newf(fault.Invalid, "group_too_large", "A group has up to %d members.", maxGroupMembers)
	}
	f.Name, f.ExternalID = name, ext
	w = groupWish{form: f, id: id, connected: c}
	if w.idx, err = s.mac(ctx, "scim-group", c.ID, foldName(f.Name)); err != nil {
		return w, err
	}
	if f.ExternalID != "" {
		if w.ext, err = s.mac(ctx, "scim-external", c.ID, "group", f.ExternalID); err != nil {
			return w, err
		}
	}
	for _, g := range c.Groups {
		if foldName(g.Group) == foldName(f.Name) && slices.Contains(c.Roles, g.Role) { // clause: access.roles
			w.role = g.Role
		}
	}
	j, err := json.Marshal(groupAbout{f.Name, f.ExternalID})
	if err != nil {
		return w, fmt.Errorf("write a group: %w", err)
	}
	w.about, err = s.seal(ctx, keyring.Class(teamClass), "identity_scim_group.about", c.ID+"/"+id, j)
	return w, err
}

// ProvisionGroup makes a group. Its members are people of the connection's team.
func (s *Service) ProvisionGroup(ctx context.Context, who actor.Actor, f GroupForm) (ProvisionedGroup, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return ProvisionedGroup{}, err
	}
	w, err := s.groupWish(ctx, c, randomID(), f)
	if err != nil {
		return ProvisionedGroup{}, err
	}
	return s.saveGroup(ctx, who, w, "made", func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, insertGroup, w.id, c.ID, w.idx, w.ext, w.about, w.role, us(tx.Now()))
		return err
	})
}

// ChangeProvisionedGroup makes a group as the form says; version as for ChangeProvisioned.
func (s *Service) ChangeProvisionedGroup(ctx context.Context, who actor.Actor, id, version string, f GroupForm) (ProvisionedGroup, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return ProvisionedGroup{}, err
	}
	before, err := s.group(ctx, c, id)
	if err != nil {
		return ProvisionedGroup{}, err
	}
	if before.Version != version {
		return ProvisionedGroup{}, errMoved()
	}
	w, err := s.groupWish(ctx, c, id, f)
	if err != nil {
		return ProvisionedGroup{}, err
	}
	old := slices.Sorted(slices.Values(before.Members))
	if before.Name == w.form.Name && before.ExternalID == w.form.ExternalID && slices.Equal(old, w.form.Members) {
		return before, nil
	}
	return s.saveGroup(ctx, who, w, "changed", func(tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, updateGroup, w.id, c.ID, w.idx, w.ext, w.about, w.role, us(tx.Now()), version)
		if err == nil && n != 1 {
			err = errMoved()
		}
		return err
	})
}

// EndProvisionedGroup ends a group; what its members had by it, they lose.
func (s *Service) EndProvisionedGroup(ctx context.Context, who actor.Actor, id, version string) error {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return err
	}
	before, err := s.group(ctx, c, id)
	if err != nil {
		return err
	}
	if before.Version != version {
		return errMoved()
	}
	_, err = s.saveGroup(ctx, who, groupWish{id: id, connected: c}, "ended", func(tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, endGroup, id, c.ID, us(tx.Now()), version)
		if err == nil && n != 1 {
			err = errMoved()
		}
		return err
	})
	return err
}

// saveGroup is the one change of a group: its row, who is in it, and the roles that follow.
func (s *Service) saveGroup(ctx context.Context, who actor.Actor, w groupWish, what string, write func(*ledger.Tx) error) (ProvisionedGroup, error) {
	c := w.connected
	var ended, touched []string
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ended, touched = nil, nil
		if _, err := bump(ctx, tx); err != nil {
			return nil, err
		}
		if err := write(tx); err != nil {
			return nil, err
		}
		old, err := strings1(ctx, tx, membersOfGroup, w.id)
		if err != nil {
			return nil, err
		}
		ev := GroupMapped{Group: w.id, Connection: c.ID, Team: c.Team, What: what, Role: w.role}
		if err := w.moveMembers(ctx, tx, old, &ev); err != nil {
			return nil, err
		}
		for _, person := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(old, w.form.Members)))) {
			out, moved, err := mapRoles(ctx, tx, c, person)
			if err != nil {
				return nil, err
			}
			if ended = append(ended, out...); moved {
				touched = append(touched, person)
			}
		}
		return ev, nil
	})
	if errors.Is(err, fault.Conflict) {
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Code != "scim_moved" && e.Code != "last_admin" {
			return ProvisionedGroup{}, errGroupExists()
		}
	}
	if err != nil {
		return ProvisionedGroup{}, fmt.Errorf("change a group: %w", err)
	}
	s.table.drop(s.Now(), ended...)
	if len(touched) > 0 {
		s.rolesChanged(ctx, touched)
	}
	if what == "ended" {
		return ProvisionedGroup{}, nil
	}
	return s.group(ctx, c, w.id)
}

// moveMembers makes the rows as the form says. Somebody the connection does not see is
// refused as if there were nobody.
func (w groupWish) moveMembers(ctx context.Context, tx *ledger.Tx, old []string, ev *GroupMapped) error {
	for _, person := range old {
		if slices.Contains(w.form.Members, person) {
			continue
		}
		ev.Left++
		if _, err := tx.Exec(ctx, deleteGroupMember, w.id, person); err != nil {
			return err
		}
	}
	for _, person := range w.form.Members {
		if slices.Contains(old, person) {
			continue
		}
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) `+provisionedFrom+provisionedSeen+` AND p.id = $3`, []any{&n}, w.connected.Team, w.connected.ID, person); err != nil {
			return err
		}
		if n == 0 { // clause: auth.best-practice
			return fault.New(fault.Invalid, "no_member", fault.Public{Problem: "A member of the group is no user here.", Expected: "Ids of users of this team.", Next: "Make the user first."})
		}
		ev.Joined++
		if _, err := tx.Exec(ctx, insertGroupMember, w.id, person); err != nil {
			return err
		}
	}
	return nil
}

// mappedRoles are what a person's groups mean.
func mappedRoles(ctx context.Context, tx *ledger.Tx, c Connection, person string) ([]string, error) {
	roles, err := strings1(ctx, tx, rolesOfGroups, person, c.ID)
	return slices.DeleteFunc(roles, func(r string) bool { return !slices.Contains(c.Roles, r) }), err // clause: access.roles
}

// rolesAfter are a person's roles: those beyond the connection stay, those within it are
// what the groups mean, else the standard one.
func rolesAfter(c Connection, before, mapped []string) []string {
	out := slices.DeleteFunc(slices.Clone(before), func(r string) bool { return slices.Contains(c.Roles, r) })
	out = append(out, mapped...)
	if len(out) == 0 && c.Standard != "" {
		out = []string{c.Standard}
	}
	return rolesOf(rolesText(out))
}

// mapRoles gives an active person of the team the roles that follow from their groups.
// Whoever gains one signs in again: a session never grows.
func mapRoles(ctx context.Context, tx *ledger.Tx, c Connection, person string) (ended []string, moved bool, err error) {
	var text string
	err = ledger.One(ctx, tx, activeRolesIn, []any{&text}, c.Team, person)
	if errors.Is(err, fault.NotFound) {
		return nil, false, nil // deprovisioned: the groups count when they come back
	}
	if err != nil {
		return nil, false, err
	}
	mapped, err := mappedRoles(ctx, tx, c, person)
	if err != nil {
		return nil, false, err
	}
	before := rolesOf(text)
	after := rolesAfter(c, before, mapped)
	if rolesText(before) == rolesText(after) {
		return nil, false, nil
	}
	if c.Kind != Staff && !slices.Contains(after, RoleAdmin) {
		if err := notLastAdmin(ctx, tx, c.Team, person, true); err != nil {
			return nil, false, err
		}
	}
	tx.Also(RolesMapped{Person: person, Connection: c.ID, Team: c.Team, Before: before, After: after})
	if ended, err = changeRoles(ctx, tx, member{person: person, team: c.Team}, after); err != nil {
		return nil, false, err
	}
	if slices.ContainsFunc(after, func(r string) bool { return !slices.Contains(before, r) }) {
		ended, err = dropTeamSessions(ctx, tx, c.Team, person, "roles-changed")
	}
	return ended, true, err
}

// rolesChanged makes memory follow, before the answer. What cannot be read is out.
func (s *Service) rolesChanged(ctx context.Context, people []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.follow(ctx); err != nil {
		s.Log.Error("sessions could not be read after a change of roles; they are refused", "err", err)
		var ids []string
		s.table.mu.RLock()
		for _, p := range people {
			for id := range s.table.byPerson[p] {
				ids = append(ids, id)
			}
		}
		s.table.mu.RUnlock()
		s.table.drop(s.Now(), ids...)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return slices.Contains(people, l.person) || slices.Contains(people, l.owner) })
}

const (
	groupsBy          = `SELECT g.id, g.about, g.role, g.version, g.created, g.changed FROM identity_scim_group g WHERE g.connection = $1 AND g.ended IS NULL`
	countGroups       = `SELECT COUNT(*) FROM identity_scim_group g WHERE g.connection = $1 AND g.ended IS NULL`
	membersOfGroup    = `SELECT person FROM identity_scim_member WHERE grp = $1 ORDER BY person`
	insertGroup       = `INSERT INTO identity_scim_group (id, connection, idx, ext, about, role, version, created, changed, ended) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7, NULL)`
	updateGroup       = `UPDATE identity_scim_group SET idx = $3, ext = $4, about = $5, role = $6, changed = $7, version = version + 1 WHERE id = $1 AND connection = $2 AND CAST(version AS TEXT) = $8 AND ended IS NULL`
	endGroup          = `UPDATE identity_scim_group SET ended = $3 WHERE id = $1 AND connection = $2 AND CAST(version AS TEXT) = $4 AND ended IS NULL`
	deleteGroupMember = `DELETE FROM identity_scim_member WHERE grp = $1 AND person = $2`
	insertGroupMember = `INSERT INTO identity_scim_member (grp, person) VALUES ($1, $2)`
	rolesOfGroups     = `SELECT DISTINCT g.role FROM identity_scim_member m JOIN identity_scim_group g ON g.id = m.grp WHERE m.person = $1 AND g.connection = $2 AND g.ended IS NULL AND g.role <> ''`
	activeRolesIn     = `SELECT m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = $1 AND m.person = $2 AND p.state = 'active'`
)
