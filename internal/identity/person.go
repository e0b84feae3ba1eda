package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// The kinds of teams. Canary is read by lists, journal and watch alone.
const (
	Staff    = "staff"
	Customer = "customer"
	Canary   = "canary"
)

// The roles of a customer's team, and those of staff.
const (
	RoleAdmin  = "admin"
	RoleMember = "member"
)

// StaffRoles are the roles that a member of staff may have.
func StaffRoles() []string { return access.StaffRoles() }

// The states of a person.
const (
	stateActive   = "active"
	stateDisabled = "disabled"
	stateErasing  = "erasing"
	stateErased   = "erased"
)

// Person is one human as the console and the CLI show them.
type Person struct {
	ID        string
	Handle    string
	Name      string
	Email     string
	State     string // active, disabled, erased
	Kind      string // of the home team: staff, customer, canary
	Team      string // the home team, in which a sign-in begins; see Memberships
	Roles     []string
	Created   time.Time
	Confirmed time.Time
	Password  time.Time // when it was set; zero = none yet
	Scheme    string    // of the hash
	Sessions  int64     // live
}

// account is what this module's own acts need of a person.
type account struct {
	id, handle, state, name, email, kind, roles string
	confirmed                                   bool
}

func (s *Service) accountByIndex(ctx context.Context, idx string) (account, error) {
	return s.readAccount(ctx, accountBy+` WHERE a.idx = $1`, idx)
}

func (s *Service) account(ctx context.Context, id string) (account, error) {
	return s.readAccount(ctx, accountBy+` WHERE p.id = $1`, id)
}

func (s *Service) readAccount(ctx context.Context, query, arg string) (account, error) {
	var a account
	var name, address []byte
	var confirmed *int64
	var idx string
	if err := ledger.One(ctx, s.DB, query, []any{&a.id, &a.handle, &a.state, &name, &idx, &address, &confirmed, &a.kind, &a.roles}, arg); err != nil {
		return account{}, fmt.Errorf("read person: %w", err)
	}
	a.confirmed = confirmed != nil
	var err1, err2 error
	a.name, err1 = s.text(ctx, "identity_person.name", a.id, name)
	a.email, err2 = s.text(ctx, "identity_address.address", idx, address)
	return a, errors.Join(err1, err2)
}

// text opens a personal column; empty when the column is.
func (s *Service) text(ctx context.Context, column, row string, box []byte) (string, error) {
	if len(box) == 0 {
		return "", nil
	}
	b, err := s.open(ctx, column, row, box)
	if err != nil {
		return "", err
	}
	return string(b.Reveal()), nil
}

// ownerOf is the stored address behind an index.
func (s *Service) ownerOf(ctx context.Context, idx string) (email string, taken bool, err error) {
	a, err := s.accountByIndex(ctx, idx)
	if errors.Is(err, fault.NotFound) {
		return "", false, nil
	}
	return a.email, err == nil, err
}

// newPerson is somebody to be made; sealedPerson is ready to be inserted.
type newPerson struct {
	name   string
	addr   Address
	idx    string
	handle string // empty = random
	kind   string
	team   string // empty = the staff team, or a new one
	label  string // name of a new team
	roles  []string
	how    string // link, operator
	terms  agreed // of customers
	fixed  string // id of a row that a control plants; empty = random

	unproved bool // nobody has confirmed the address yet
}

type sealedPerson struct {
	newPerson
	id               string
	nameBox, addrBox []byte
	teamBox          []byte
	newTeam          bool
}

func (s *Service) sealPerson(ctx context.Context, n newPerson) (sealedPerson, error) {
	p := sealedPerson{newPerson: n, id: randomID()}
	if n.fixed != "" {
		p.id = n.fixed
	}
	if p.handle == "" {
		p.handle = "u" + randomID()[:12]
	}
	var err error
	if p.nameBox, err = s.seal(ctx, keyring.Person(p.id), "identity_person.name", p.id, []byte(p.name)); err != nil {
		return p, err
	}
	if p.addrBox, err = s.seal(ctx, keyring.Person(p.id), "identity_address.address", p.idx, []byte(p.addr.Text)); err != nil {
		return p, err
	}
	switch {
	case p.kind == Staff:
		p.team, p.newTeam = staffTeam, true // inserted where it is missing
		p.label = "Staff"
	case p.team == "":
		p.team, p.newTeam = randomID(), true
	}
	if p.newTeam && p.label != "" {
		p.teamBox, err = s.seal(ctx, keyring.Class(teamClass), "identity_team.name", p.team, []byte(p.label))
	}
	return p, err
}

// staffTeam is the id of the one team of kind staff.
const staffTeam = "staff"

func (p sealedPerson) insert(ctx context.Context, tx *ledger.Tx) error {
	now := us(tx.Now())
	if _, err := tx.Exec(ctx, insertPerson, p.id, p.handle, p.nameBox, now); err != nil {
		return err
	}
	confirmed := any(now)
	if p.unproved {
		confirmed = nil
	}
	if _, err := tx.Exec(ctx, insertAddress, p.idx, p.id, p.addrBox, confirmed, p.how); err != nil { // clause: auth.unique-login
		return err
	}
	if p.newTeam {
		if _, err := tx.Exec(ctx, insertTeam, p.team, p.kind, p.teamBox, now); err != nil {
			return err
		}
	}
	if err := p.accepts(ctx, tx); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, insertMember, p.team, p.id, rolesText(p.roles), now)
	return err
}

// List pages through people, oldest first, at most 200 at a time; after is the last id
// of the page before. Canaries are left out.
func (s *Service) List(ctx context.Context, who actor.Actor, after string) ([]Person, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return nil, err
	}
	return s.people(ctx, peopleBy+` WHERE t.kind <> 'canary' AND ($1 = '' OR (p.created, p.id) > (SELECT q.created, q.id FROM identity_person q WHERE q.id = $1)) ORDER BY p.created, p.id LIMIT 200`, after)
}

// Show is one person by id, handle or address.
func (s *Service) Show(ctx context.Context, who actor.Actor, ref string) (Person, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return Person{}, err
	}
	acc, err := s.find(ctx, ref)
	if err != nil {
		return Person{}, err
	}
	return s.one(ctx, acc.id)
}

// Me is the person who is signed in.
func (s *Service) Me(ctx context.Context, who actor.Actor) (Person, error) {
	if who.Kind != actor.Person {
		return Person{}, errEnded()
	}
	p, err := s.one(ctx, who.ID)
	if err == nil && who.Team != "" && p.Team != who.Team { // the session acts in another than the home team
		p.Team, p.Roles = who.Team, who.Roles
		p.Kind, err = s.kindOf(ctx, who.Team)
	}
	return p, err
}

func (s *Service) one(ctx context.Context, id string) (Person, error) {
	ps, err := s.people(ctx, peopleBy+` WHERE p.id = $1`, id)
	if err != nil {
		return Person{}, err
	}
	if len(ps) == 0 {
		return Person{}, noPerson()
	}
	return ps[0], nil
}

func noPerson() error {
	return fault.New(fault.NotFound, "no_person", fault.Public{Problem: "There is no such person.", Next: "Look at the list of people."})
}

// find resolves an id, a handle or an address.
func (s *Service) find(ctx context.Context, ref string) (account, error) {
	var a account
	var err error
	switch {
	case strings.Contains(ref, "@"):
		var addr Address
		if addr, err = ParseAddress(ref); err != nil {
			return a, err
		}
		var idx string
		if idx, err = s.index(ctx, addr); err != nil {
			return a, err
		}
		a, err = s.accountByIndex(ctx, idx)
	default:
		a, err = s.readAccount(ctx, accountBy+` WHERE p.handle = $1 OR p.id = $1 ORDER BY CASE WHEN p.id = $1 THEN 0 ELSE 1 END`, strings.TrimPrefix(ref, "person/"))
	}
	if errors.Is(err, fault.NotFound) {
		return a, noPerson()
	}
	return a, err
}

// managed is find for somebody who may manage people.
func (s *Service) managed(ctx context.Context, who actor.Actor, ref string) (account, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleManage, ""); err != nil {
		return account{}, err
	}
	return s.find(ctx, ref)
}

func (s *Service) people(ctx context.Context, query string, args ...any) ([]Person, error) {
	type row struct {
		p           Person
		idx         string
		name, email []byte
	}
	var rows []row
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var r row
		var roles string
		var created int64
		var confirmed, set *int64
		if err := scan(&r.p.ID, &r.p.Handle, &r.p.State, &r.name, &created, &r.idx, &r.email, &confirmed, &r.p.Team, &r.p.Kind, &roles, &set, &r.p.Scheme, &r.p.Sessions); err != nil {
			return err
		}
		r.p.Created, r.p.Roles = at(created), rolesOf(roles)
		if confirmed != nil {
			r.p.Confirmed = at(*confirmed)
		}
		if set != nil {
			r.p.Password = at(*set)
		}
		rows = append(rows, r)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	out := make([]Person, len(rows))
	for i, r := range rows {
		var err1, err2 error
		r.p.Name, err1 = s.text(ctx, "identity_person.name", r.p.ID, r.name)
		r.p.Email, err2 = s.text(ctx, "identity_address.address", r.idx, r.email)
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fault.Gone) {
			return nil, fmt.Errorf("open person %s: %w", r.p.ID, err)
		}
		out[i] = r.p
	}
	return out, nil
}

// PersonByHandle is for the policy: who is person/HANDLE, and may they sign in.
func (s *Service) PersonByHandle(ctx context.Context, handle string) (id string, active bool, err error) {
	var state string
	if err := ledger.One(ctx, s.DB, byHandle, []any{&id, &state}, handle); err != nil {
		if errors.Is(err, fault.NotFound) {
			return "", false, noPerson()
		}
		return "", false, fmt.Errorf("find person by handle: %w", err)
	}
	return id, state == stateActive, nil
}

// Handle is the handle of a person.
func (s *Service) Handle(ctx context.Context, id string) (string, error) {
	var h string
	if err := ledger.One(ctx, s.DB, handleOf, []any{&h}, id); err != nil {
		return "", fmt.Errorf("read handle: %w", err)
	}
	return h, nil
}

// Name is what to call a person: the name, else the handle, else the id.
func (s *Service) Name(ctx context.Context, id string) string {
	acc, err := s.account(ctx, id)
	if err == nil && acc.name != "" {
		return acc.name
	}
	if h, err := s.Handle(ctx, id); err == nil {
		return h
	}
	return id
}

// Email is the address of a person; empty when there is none to tell.
func (s *Service) Email(ctx context.Context, id string) string {
	acc, err := s.account(ctx, id)
	if err != nil {
		return ""
	}
	return acc.email
}

// TeamName is the name of a team; empty for a person's own.
func (s *Service) TeamName(ctx context.Context, id string) string {
	var box []byte
	if err := ledger.One(ctx, s.DB, teamNameOf, []any{&box}, id); err != nil {
		return ""
	}
	name, err := s.text(ctx, "identity_team.name", id, box)
	if err != nil {
		return ""
	}
	return name
}

const (
	accountBy = `SELECT p.id, p.handle, p.state, p.name, COALESCE(a.idx, ''), a.address, a.confirmed, COALESCE(t.kind, ''), COALESCE(m.roles, '') FROM identity_person p
		LEFT JOIN identity_address a ON a.person = p.id` + atHome
	peopleBy = `SELECT p.id, p.handle, p.state, p.name, p.created, COALESCE(a.idx, ''), a.address, a.confirmed, COALESCE(m.team, ''), COALESCE(t.kind, ''), COALESCE(m.roles, ''), w.set_at, COALESCE(w.scheme, ''),
		(SELECT COUNT(*) FROM identity_session s WHERE s.person = p.id AND s.ended IS NULL) FROM identity_person p
		LEFT JOIN identity_address a ON a.person = p.id LEFT JOIN identity_password w ON w.person = p.id` + atHome
	// atHome joins the one team in which a sign-in begins: the staff, else the first. It orders as homeOf.
	atHome = ` LEFT JOIN identity_member m ON m.person = p.id AND m.team = (SELECT h.team FROM identity_member h JOIN identity_team k ON k.id = h.team
		WHERE h.person = p.id ORDER BY CASE k.kind WHEN 'staff' THEN 0 ELSE 1 END, h.since, h.team LIMIT 1) LEFT JOIN identity_team t ON t.id = m.team`
	insertPerson  = `INSERT INTO identity_person (id, handle, name, state, created, ended) VALUES ($1, $2, $3, 'active', $4, NULL)`
	insertAddress = `INSERT INTO identity_address (idx, person, address, confirmed, how) VALUES ($1, $2, $3, $4, $5)`
	insertTeam    = `INSERT INTO identity_team (id, kind, name, created) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`
	insertMember  = `INSERT INTO identity_member (team, person, roles, since) VALUES ($1, $2, $3, $4)`
	byHandle      = `SELECT id, state FROM identity_person WHERE handle = $1`
	handleOf      = `SELECT handle FROM identity_person WHERE id = $1`
	teamNameOf    = `SELECT name FROM identity_team WHERE id = $1`
)
