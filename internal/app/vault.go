package app

import (
	"context"
	"errors"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/vault/aws"
	"writ/internal/vault/kms"
	"writ/internal/vault/ssm"
)

// buildWire makes what clients of Amazon's services find at one address.
func (a *App) buildWire() (err error) {
	if a.ssm, err = ssm.New(ssm.Deps{Vault: a.vault, Now: a.now, Raw: a.raw}); err != nil {
		return err
	}
	if a.kms, err = kms.New(kms.Deps{DB: a.db, Keys: a.ring, Vault: a.vault, Now: a.now}); err != nil {
		return err
	}
	a.aws, err = aws.New(aws.Deps{Keys: a.vault, Now: a.now, Services: []aws.Service{a.ssm.Service(), a.kms.Service()}})
	return err
}

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
	case actor.Machine:
		v, kind, err := k.s.ActiveService(ctx, id)
		if errors.Is(err, fault.NotFound) {
			return actor.Actor{}, fault.Newf(fault.Denied, "owner_gone", "The service that the access key stands on is not active.")
		}
		if err != nil {
			return actor.Actor{}, err
		}
		return actor.Actor{Kind: actor.Machine, ID: v.ID, Team: v.Team, TeamKind: kind, Roles: v.Roles}, nil
	}
	return actor.Actor{}, fault.Newf(fault.Denied, "owner_kind", "An access key stands on a person, a service or the server's own account, not on %s.", ref)
}
