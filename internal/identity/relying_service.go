package identity

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// ActiveService is a program's account with the roles it has at this moment, for what else
// it may hold than tokens of ours: none once its owner, or everybody of its team, is gone.
// An account that may do nothing is fault.NotFound.
func (s *Service) ActiveService(ctx context.Context, id string) (ProgramAccount, string, error) { // clause: auth.best-practice
	v := ProgramAccount{ID: id}
	l := liveToken{kind: ServiceToken}
	var mayBe, state, roles, kind string
	var members int64
	err := ledger.One(ctx, s.DB, selectActiveService, []any{&v.Team, &v.Name, &v.Owner, &mayBe, &state, &roles, &members, &kind}, id)
	if errors.Is(err, fault.NotFound) {
		return ProgramAccount{}, "", noService()
	}
	if err != nil {
		return ProgramAccount{}, "", fmt.Errorf("read service: %w", err)
	}
	l.owner = v.Owner
	if v.Roles = l.rights(state, rolesOf(roles), rolesOf(mayBe), members); len(v.Roles) == 0 {
		return ProgramAccount{}, "", noService()
	}
	return v, kind, nil
}

func noService() *fault.Error {
	return fault.Newf(fault.NotFound, "no_service", "There is no such service.")
}

const selectActiveService = `SELECT v.team, v.name, v.owner, v.roles, COALESCE(p.state, ''), COALESCE(m.roles, ''),
	(SELECT COUNT(*) FROM identity_member o JOIN identity_person q ON q.id = o.person WHERE o.team = v.team AND q.state = 'active' AND v.owner = ''), t.kind
	FROM identity_service v JOIN identity_team t ON t.id = v.team LEFT JOIN identity_person p ON p.id = v.owner
	LEFT JOIN identity_member m ON m.team = v.team AND m.person = p.id WHERE v.id = $1 AND v.ended IS NULL`
