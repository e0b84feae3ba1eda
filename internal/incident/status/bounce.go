package status

import (
	"context"
	"errors"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/notify"
)

// letterOf begins the id of each letter to a subscriber, before the subscriber.
const letterOf = "status."

// forgetBounces is after how long without one letters that came back count no more.
const forgetBounces = 30 * 24 * time.Hour

// Returned implements notify.Keeper for letters to subscribers: whose address five letters did
// not reach is told nothing until they confirm again.
func (s *Service) Returned(ctx context.Context, who actor.Actor, r notify.Report) (bool, error) {
	rest, mine := strings.CutPrefix(r.Letter, letterOf)
	id, _, _ := strings.Cut(rest, ".")
	if !mine {
		return false, nil
	}
	var box []byte
	var times, last int64
	var of string
	if err := ledger.One(ctx, s.DB, letterTo, []any{&box, &times, &last, &of}, id, byMail); err != nil {
		if errors.Is(err, fault.NotFound) { // unsubscribed
			err = nil
		}
		return false, err
	}
	to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, id), box)
	if errors.Is(err, fault.Gone) || err == nil && !strings.EqualFold(string(to.Reveal()), r.Address) {
		return false, nil
	}
	if err != nil || !r.Gone || of == r.Letter {
		return err == nil, err
	}
	if last < us(s.Now().Add(-forgetBounces)) {
		times = 0
	}
	if times+1 < mostRefused {
		return true, s.quietly(ctx, countBounce, id, times+1, us(s.Now()), r.Letter)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, suspendBounced, id, times+1, us(tx.Now()), r.Letter)
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

const (
	countBounce    = `UPDATE incident_status_subscriber SET bounced = $2, bounced_at = $3, bounced_of = $4 WHERE id = $1`
	suspendBounced = `UPDATE incident_status_subscriber SET bounced = $2, bounced_at = $3, bounced_of = $4, suspended = $3 WHERE id = $1 AND suspended IS NULL`
	letterTo       = `SELECT box, bounced, bounced_at, bounced_of FROM incident_status_subscriber WHERE id = $1 AND kind = $2 AND confirmed IS NOT NULL`
)
