package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
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

// AddStaff is a person an operator or owner adds.
type AddStaff struct {
	Email  string
	Name   string
	Handle string // as in person/ana; empty = from the address
	Roles  []string
}

// Added is the person and the link through which they set their password.
type Added struct {
	ID     string
	Handle string
	URL    secret.Text // one-time link, for 7 days; empty when it was mailed or the person was there
	New    bool
}

var goodHandle = regexp.MustCompile(`^[a-z][a-z0-9-]{0,38}[a-z0-9]$|^[a-z]$`)

// AddStaff makes a member of staff, whose address counts as confirmed by whoever adds
// them. An address or handle that is taken is fault.Conflict.
func (s *Service) AddStaff(ctx context.Context, who actor.Actor, in AddStaff) (Added, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleManage, ""); err != nil {
		return Added{}, err
	}
	n, err := s.staffForm(ctx, in)
	if err != nil {
		return Added{}, err
	}
	p, err := s.sealPerson(ctx, n)
	if err != nil {
		return Added{}, err
	}
	l := s.link(OwnerLink, p.id, "")
	job, shown, err := s.handOver(ctx, who, n.addr.Text, l)
	if err != nil {
		return Added{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		if !shown {
			if err := s.Mail.Enqueue(ctx, tx, job); err != nil {
				return nil, err
			}
		}
		if err := l.insert(ctx, tx); err != nil {
			return nil, err
		}
		tx.Also(LinkIssued{Link: l.id, Kind: string(l.kind), Person: p.id, Until: tx.Now().Add(l.ttl)})
		return PersonAdded{Person: p.id, Team: p.team, Kind: p.kind, Roles: p.roles}, nil
	})
	if err != nil {
		return Added{}, taken(err)
	}
	out := Added{ID: p.id, Handle: p.handle, New: true}
	if shown {
		out.URL = secret.NewText(s.Origin + l.path())
	}
	return out, nil
}

// EnsureOwner is AddStaff with the role owner that leaves a person who is there as
// they are: init may run again.
func (s *Service) EnsureOwner(ctx context.Context, who actor.Actor, in AddStaff) (Added, error) {
	in.Roles = []string{"owner"}
	addr, err := ParseAddress(in.Email)
	if err != nil {
		return Added{}, err
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return Added{}, err
	}
	acc, err := s.accountByIndex(ctx, idx)
	if errors.Is(err, fault.NotFound) {
		return s.AddStaff(ctx, who, in)
	}
	if err != nil {
		return Added{}, err
	}
	if acc.kind != Staff || !slices.Contains(rolesOf(acc.roles), "owner") || acc.state != stateActive {
		return Added{}, fault.Newf(fault.Conflict, "not_an_owner", "The address belongs to somebody who is not an active owner.")
	}
	return Added{ID: acc.id, Handle: acc.handle}, nil
}

func (s *Service) staffForm(ctx context.Context, in AddStaff) (newPerson, error) {
	var fields []fault.Field
	addr, err := ParseAddress(in.Email)
	if err != nil {
		_, pub := fault.PublicOf(err)
		fields = append(fields, pub.Fields...)
	}
	name, ok := cleanName(in.Name)
	if !ok {
		fields = append(fields, fault.Field{Name: "name", Code: "name_invalid", Problem: "The name is longer than 100 characters or holds a control character."})
	}
	handle := in.Handle
	if handle == "" && err == nil {
		if handle, err = s.freeHandle(ctx, addr); err != nil {
			return newPerson{}, err
		}
	}
	if handle != "" && !goodHandle.MatchString(handle) {
		fields = append(fields, fault.Field{Name: "handle", Code: "handle_invalid", Problem: "A handle has 1 to 40 lower-case letters, digits and hyphens and begins with a letter."})
	}
	if signed := s.staffRolesNow(); len(in.Roles) == 0 || slices.ContainsFunc(in.Roles, func(r string) bool { return !slices.Contains(signed, r) }) { // clause: access.roles
		fields = append(fields, fault.Field{Name: "roles", Code: "role_unknown", Problem: "Roles of staff are " + strings.Join(signed, ", ") + "; at least one is needed."})
	}
	if len(fields) > 0 {
		return newPerson{}, fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	idx, err := s.index(ctx, addr)
	return newPerson{name: name, addr: addr, idx: idx, handle: handle, kind: Staff, roles: in.Roles, how: "operator"}, err
}

// freeHandle makes a handle of the part before the @, with a number where it is taken.
func (s *Service) freeHandle(ctx context.Context, a Address) (string, error) {
	base := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(a.Text[:strings.LastIndexByte(a.Text, '@')]), "-"), "-0123456789")
	if base == "" {
		base = "p"
	}
	base = strings.TrimRight(base[:min(len(base), 30)], "-")
	for i := 1; i < 1000; i++ {
		h := base
		if i > 1 {
			h = fmt.Sprintf("%s-%d", base, i)
		}
		if _, _, err := s.PersonByHandle(ctx, h); errors.Is(err, fault.NotFound) {
			return h, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fault.Newf(fault.Conflict, "handle_taken", "No handle is free for this address; choose one.")
}

func taken(err error) error {
	if errors.Is(err, fault.Conflict) {
		return &fault.Error{Kind: fault.Conflict, Code: "person_exists", Err: err, Public: fault.Public{
			Problem: "The address or the handle belongs to somebody already.", Next: "Look at the list of people."}}
	}
	return fmt.Errorf("add person: %w", err)
}

// NewCustomer is a customer's user that the demonstration or an import makes.
type NewCustomer struct {
	Email    string
	Name     string
	Password secret.Text
	Team     string // id of a team that is there; empty = a new one
	TeamName string // of a new team
	Role     string // admin or member; empty = admin
	AskTerms bool   // they are asked to accept the terms before anything else; false = whoever makes the account vouches that they did
}

// MadeCustomer is the person and their team.
type MadeCustomer struct{ ID, Handle, Team string }

// CreateCustomer makes a customer's user with a confirmed address and a password that
// passes the same check as everywhere.
func (s *Service) CreateCustomer(ctx context.Context, who actor.Actor, in NewCustomer) (MadeCustomer, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleManage, ""); err != nil {
		return MadeCustomer{}, err
	}
	addr, err := ParseAddress(in.Email)
	if err != nil {
		return MadeCustomer{}, err
	}
	name, ok := cleanName(in.Name)
	if !ok {
		return MadeCustomer{}, fault.Newf(fault.Invalid, "name_invalid", "The name is longer than 100 characters or holds a control character.")
	}
	role := in.Role
	if role == "" {
		role = RoleAdmin
	}
	if role != RoleAdmin && role != RoleMember {
		return MadeCustomer{}, fault.Newf(fault.Invalid, "role_unknown", "A customer's role is admin or member.")
	}
	if in.Team == staffTeam {
		return MadeCustomer{}, fault.Newf(fault.Invalid, "team_of_staff", "A customer's user cannot be in the team of staff.")
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return MadeCustomer{}, err
	}
	p, err := s.sealPerson(ctx, newPerson{name: name, addr: addr, idx: idx, kind: kindFor(addr), team: in.Team, label: in.TeamName, roles: []string{role}, how: "operator", terms: s.vouched(in)})
	if err != nil {
		return MadeCustomer{}, err
	}
	h, err := s.hashFor(ctx, who, p, in.Password)
	if err != nil {
		return MadeCustomer{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		if err := h.store(ctx, tx, p.id); err != nil {
			return nil, err
		}
		tx.Also(PasswordSet{Person: p.id, Scheme: h.scheme, List: h.list, Min: h.min})
		return PersonAdded{Person: p.id, Team: p.team, Kind: p.kind, Roles: p.roles}, nil
	})
	if err != nil {
		return MadeCustomer{}, taken(err)
	}
	return MadeCustomer{p.id, p.handle, p.team}, nil
}

// hashFor makes the stored form of a password that came with the person.
func (s *Service) hashFor(ctx context.Context, who actor.Actor, p sealedPerson, password secret.Text) (hashed, error) {
	good, err := s.checkPassword(ctx, who, candidate{door: doorImport, field: "password", text: password, about: []string{p.name, p.addr.Text}, factor: s.Rules.Get().alwaysOf(p.kind, p.roles)})
	if err != nil {
		return hashed{}, err
	}
	return s.hash(ctx, who, true, good, "identity_password.phc", p.id)
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
