package status

import (
	"context"
	"errors"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/notify"
)

// letterOf begins the id of each letter to a subscriber, before the subscriber.
const letterOf = "status."

// Returned implements notify.Keeper for letters to subscribers: whose address letters do not
// reach is told nothing until they confirm again.
func (s *Service) Returned(ctx context.Context, who actor.Actor, r notify.Report) (bool, error) {
	rest, mine := strings.CutPrefix(r.Letter, letterOf)
	id, _, _ := strings.Cut(rest, ".")
	if !mine {
		return false, nil
	}
	var box []byte
	var times int64
	if err := ledger.One(ctx, s.DB, letterTo, []any{&box, &times}, id, byMail); err != nil {
		if errors.Is(err, fault.NotFound) { // unsubscribed
			err = nil
		}
		return false, err
	}
	to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, id), box)
	if errors.Is(err, fault.Gone) || err == nil && !strings.EqualFold(string(to.Reveal()), r.Address) {
		return false, nil
	}
	if err != nil || !r.Gone {
		return err == nil, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, suspend+" AND suspended IS NULL", id, us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Wrap(fault.Conflict, "suspended", errors.New("it was suspended before"))
		}
		return SubscriptionSuspended{Subscriber: id, Refused: times + 1, Code: r.Status}, err
	})
	if errors.Is(err, fault.Conflict) {
		err = nil
	}
	return err == nil, err
}

const letterTo = `SELECT box, refused FROM incident_status_subscriber WHERE id = $1 AND kind = $2 AND confirmed IS NOT NULL`
