package identity

import (
	"context"
	"fmt"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
)

// passkeyControls are the proofs about passkeys.
func (s *Service) passkeyControls(door *canary.Door) []clause.Control {
	return []clause.Control{{ID: "identity.passkeys", Clause: "access.mfa-by-technology", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
		Says: "Makes a passkey and uses it from another site, without its user, twice and as a copy", Run: s.canary(door, "identity.passkeys", (*trial).passkeys)},
		{ID: "identity.own-passkeys", Clause: "auth.unique-credentials", Kind: clause.Probe, Every: 30 * time.Minute, FreshFor: 2 * time.Hour,
			Says: "Opens each passkey as its person's and looks for one that serves another", Run: s.probePasskeys}}
}

// probePasskeys opens every passkey under the key of the person whose row it is. One that
// was moved to somebody else does not open, or is not the credential its row names.
func (s *Service) probePasskeys(ctx context.Context) (clause.Result, error) {
	var people []string
	err := s.DB.Each(ctx, passkeyPeople, func(scan scanner) error {
		var person string
		if err := scan(&person); err != nil {
			return err
		}
		people = append(people, person)
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("find people with passkeys: %w", err)
	}
	var n, foreign int64
	owner := map[string]string{} // of a user handle
	for _, person := range people {
		all, err := s.count(ctx, countPasskeys, person)
		if err != nil {
			return clause.Result{}, err
		}
		n += all
		rows, err := s.readPasskeys(ctx, passkeyRows+` WHERE person = $1`, person)
		if err != nil {
			foreign += all
			continue
		}
		for _, r := range rows {
			handle := string(r.record.Handle)
			if was, seen := owner[handle]; seen && was != person || r.record.Sum() != r.sum {
				foreign++
			}
			owner[handle] = person
		}
	}
	return judged(foreign == 0, n, fmt.Sprintf("of %d passkeys %d are not bound to their person", n, foreign)), nil
}

const passkeyPeople = `SELECT DISTINCT person FROM identity_passkey`
