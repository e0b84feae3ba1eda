package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

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
