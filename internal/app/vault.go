package app

import (
	"context"
	"errors"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
)

// keyOwners gives the vault who stands behind an access key, with their rights of now.
type keyOwners struct{ s *identity.Service }

// OwnerOf implements vault.Owners.
func (k keyOwners) OwnerOf(ctx context.Context, ref string) (actor.Actor, error) {
	kind, id, _ := strings.Cut(ref, "/")
	switch actor.Kind(kind) {
	case actor.Operator:
		return actor.Actor{Kind: actor.Operator, ID: id}, nil
	case actor.Person:
		p, err := k.s.ActivePerson(ctx, id)
		if errors.Is(err, fault.NotFound) {
			return actor.Actor{}, fault.Newf(fault.Denied, "owner_gone", "The owner of the access key is not active.")
		}
		if err != nil {
			return actor.Actor{}, err
		}
		return actor.Actor{Kind: actor.Person, ID: p.ID, Team: p.Team, TeamKind: p.Kind, Roles: p.Roles}, nil
	}
	return actor.Actor{}, fault.Newf(fault.Denied, "owner_kind", "An access key stands on a person or on the server's own account, not on %s.", ref)
}
