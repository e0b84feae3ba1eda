package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// keeper refuses the end of a person, inside the change that would begin it.
type keeper func(ctx context.Context, tx *ledger.Tx, person string) error

// errKept marks the refusal of a keeper.
var errKept = errors.New("identity: a legal hold keeps this person")

// kept asks whether a legal hold keeps somebody.
func (s *Service) kept(ctx context.Context, tx *ledger.Tx, person string) error { // clause: data.crypto-erase
	if s.Holds == nil {
		return nil
	}
	err := s.Holds(ctx, tx, person)
	if errors.Is(err, fault.Conflict) {
		return fmt.Errorf("%w: %w", errKept, err)
	}
	return err
}

// EraseRefused is an erasure that was turned down.
type EraseRefused struct {
	Person string `class:"public"`
	Cause  string `class:"public"`
}

// About implements ledger.Event.
func (e EraseRefused) About() ledger.About {
	return ledger.About{Name: "identity.erase-refused", Clause: "data.crypto-erase", Object: "person/" + e.Person}
}

// Erasable finds the person whose end several people may want: fault.Conflict for who
// asks, for an owner, who gives the role away first, and for who was erased.
func (s *Service) Erasable(ctx context.Context, who actor.Actor, ref string) (string, error) {
	acc, err := s.find(ctx, ref)
	if err != nil {
		return "", err
	}
	switch {
	case acc.state == stateErased:
		err = fault.Newf(fault.Conflict, "erased", "This person was erased already.")
	case who.Kind == actor.Person && who.ID == acc.id:
		err = fault.Newf(fault.Conflict, "erase_self", "Nobody can erase themselves: somebody else must ask for it.")
	case acc.kind == Staff && slices.Contains(rolesOf(acc.roles), "owner"):
		err = fault.New(fault.Conflict, "erase_owner", fault.Public{Problem: "This person is an owner of the policy.", Next: "Take the role away first."})
	}
	return acc.id, err
}

// Shred deletes the rows of a person and destroys their key, for a quorum that has
// decided it. It may be asked again when it was done, or half done.
func (s *Service) Shred(ctx context.Context, who actor.Actor, id string) error { // clause: data.crypto-erase
	acc, err := s.account(ctx, id)
	if err != nil {
		return err
	}
	switch acc.state {
	case stateErased:
		return nil
	case stateErasing:
		_, err = s.destroy(ctx, who, id)
	default:
		_, err = s.eraseUnless(ctx, who, acc, nil, func(context.Context, *ledger.Tx, string) error { return nil })
	}
	return err
}

// TeamRef finds a team by its id.
func (s *Service) TeamRef(ctx context.Context, ref string) (string, error) {
	var id string
	err := ledger.One(ctx, s.DB, `SELECT id FROM identity_team WHERE id = $1`, []any{&id}, ref)
	if errors.Is(err, fault.NotFound) {
		return "", noTeam()
	}
	return id, err
}

// SealedName is the name of a person as it lies in its row, and where it opens; no box
// when there is none.
func (s *Service) SealedName(ctx context.Context, person string) (envelope.AAD, []byte, error) {
	var box []byte
	err := ledger.One(ctx, s.DB, `SELECT name FROM identity_person WHERE id = $1`, []any{&box}, person)
	if errors.Is(err, fault.NotFound) {
		err = nil
	}
	return place("identity_person.name", person), box, err
}
