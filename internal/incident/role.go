package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Held is a role that somebody has.
type Held struct {
	Role  engine.Role
	By    string // person id, or kind/id
	Name  string
	Since time.Time
}

// TakeRole gives a role to somebody: to whoever asks, or by handing it to another member of
// staff. Whoever had it is relieved, and both stand in the record.
func (s *Service) TakeRole(ctx context.Context, who actor.Actor, ref string, role engine.Role, to string) (Case, error) {
	if !slices.Contains(engine.Roles(), role) {
		return Case{}, fault.New(fault.Invalid, "role_unknown", fault.Public{Problem: fmt.Sprintf("There is no role %q.", string(role)), Expected: "One of: " + roleList() + "."})
	}
	person := by(who)
	if to != "" {
		p, err := s.staff(ctx, to)
		if err != nil {
			return Case{}, err
		}
		person = p.ID
	}
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !c.Open() {
			return nil, kept(*c, engine.L, "role", nil)
		}
		return s.hold(ctx, tx, c, role, person)
	})
}

// hold writes who has a role from now on.
func (s *Service) hold(ctx context.Context, tx *ledger.Tx, c *Case, role engine.Role, person string) (ledger.Event, error) {
	var former string
	if err := ledger.One(ctx, tx, holderOf, []any{&former}, c.ID, string(role)); err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	if former == person {
		return nil, fault.Newf(fault.Conflict, "role_held", "They have that role already.")
	}
	if _, err := tx.Exec(ctx, endRole, c.ID, string(role), us(tx.Now())); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, insertRole, tx.ID(), c.ID, string(role), person, us(tx.Now())); err != nil {
		return nil, err
	}
	return RoleTaken{Incident: c.ID, Role: string(role), Person: person, Former: former}, nil
}

// holdIfFree gives a role to whoever acts where nobody has it.
func (s *Service) holdIfFree(ctx context.Context, tx *ledger.Tx, c *Case, role engine.Role, who actor.Actor) error {
	err := ledger.One(ctx, tx, holderOf, []any{new(string)}, c.ID, string(role))
	if err == nil {
		return nil
	}
	if !errors.Is(err, fault.NotFound) {
		return err
	}
	ev, err := s.hold(ctx, tx, c, role, by(who))
	if err == nil {
		tx.Also(ev)
	}
	return err
}

// staff is the member of staff that a reference means: an id, a handle or an address.
func (s *Service) staff(ctx context.Context, ref string) (Person, error) {
	all, err := s.People.Staff(ctx)
	if err != nil {
		return Person{}, err
	}
	for _, p := range all {
		if ref != "" && (ref == p.ID || ref == p.Handle || strings.EqualFold(ref, p.Email)) {
			return p, nil
		}
	}
	return Person{}, fault.New(fault.NotFound, "no_person", fault.Public{Problem: "There is no such member of staff.", Fields: []fault.Field{{Name: "to", Code: "no_person", Problem: "There is no such member of staff."}}})
}

func roleList() string {
	var out []string
	for _, r := range engine.Roles() {
		out = append(out, string(r))
	}
	return strings.Join(out, ", ")
}

func (s *Service) held(ctx context.Context, r ledger.Reader, id string) ([]Held, error) {
	var out []Held
	err := r.Each(ctx, rolesOf, func(scan ledger.Scan) error {
		var h Held
		var role string
		var since int64
		err := scan(&role, &h.By, &since)
		h.Role, h.Since = engine.Role(role), at(since)
		out = append(out, h)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	for i := range out {
		out[i].Name = s.name(ctx, out[i].By)
	}
	return out, nil
}

const (
	rolesOf    = `SELECT role, person, since FROM incident_role WHERE case_id = $1 AND until IS NULL ORDER BY since, role`
	holderOf   = `SELECT person FROM incident_role WHERE case_id = $1 AND role = $2 AND until IS NULL`
	endRole    = `UPDATE incident_role SET until = $3 WHERE case_id = $1 AND role = $2 AND until IS NULL`
	insertRole = `INSERT INTO incident_role (id, case_id, role, person, since, until) VALUES ($1, $2, $3, $4, $5, NULL)`
)
