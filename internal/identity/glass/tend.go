package glass

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Tend ends sessions, hand-overs and gatherings whose time is over, and marks sets whose
// holders left. Two nodes may do it at once: each end has one winner.
func (s *Service) Tend(ctx context.Context) error {
	return errors.Join(s.endOver(ctx), s.wearOut(ctx))
}

func (s *Service) endOver(ctx context.Context) error {
	open, err := s.uses(ctx, `u.ended IS NULL ORDER BY u.asked LIMIT 200`)
	if err != nil {
		return err
	}
	now, who := s.Now(), actor.System("identity-glass")
	for _, u := range open {
		cause := ""
		switch {
		case !u.Entered.IsZero():
			if !u.Lives(now) {
				cause = "over"
			}
		case now.Before(u.Until):
		case !u.Granted.IsZero():
			cause = "not-entered"
		default:
			cause = "dropped"
		}
		if cause == "" {
			continue
		}
		if err := s.end(ctx, who, u, cause); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// wearOut marks live sets with a holder who was disabled, removed or lost every role of staff.
func (s *Service) wearOut(ctx context.Context) error {
	type held struct{ set, team, holder string }
	var all []held
	err := s.DB.Each(ctx, holdersOfLive, func(scan ledger.Scan) error {
		var h held
		err := scan(&h.set, &h.team, &h.holder)
		all = append(all, h)
		return err
	})
	if err != nil {
		return fmt.Errorf("read holders: %w", err)
	}
	marked := map[string]bool{}
	for _, h := range all {
		stands, err := s.stands(ctx, h.holder)
		if err != nil {
			return err
		}
		if stands || marked[h.set] {
			continue
		}
		marked[h.set] = true
		letters, err := s.ownerLetters(ctx, h.team, s.wornLetter())
		if err != nil {
			return err
		}
		_, err = s.DB.Change(ctx, actor.System("identity-glass"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, wearSet, h.set, "holder-left")
			if err == nil && n != 1 {
				err = errStale // another node was first
			}
			if err != nil {
				return nil, err
			}
			return SetWorn{Set: h.set, Cause: "holder-left", Holder: h.holder}, s.enqueue(ctx, tx, letters)
		})
		if err != nil && !errors.Is(err, errStale) {
			return fmt.Errorf("mark a set: %w", err)
		}
	}
	return nil
}

const holdersOfLive = `SELECT s.id, s.team, h.holder FROM identity_glass_share h JOIN identity_glass_set s ON s.id = h.set_id
	WHERE s.state = 'live' AND s.renew = '' ORDER BY s.id, h.place`
