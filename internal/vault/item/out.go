package item

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// How long somebody may have an item for themselves.
const (
	shortestOut = 5 * time.Minute
	longestOut  = 24 * time.Hour
)

// Out is who has an item for themselves.
type Out struct {
	Person       string
	Since, Until time.Time
}

// free refuses an item that somebody else has at the moment.
func (r row) free(who actor.Actor, now time.Time) error {
	if r.Out == nil || !now.Before(r.Out.Until) || who.Kind == actor.Person && r.Out.Person == who.ID {
		return nil
	}
	return fault.New(fault.Conflict, "item_out", fault.Public{Problem: "Somebody else has checked the item out, until " + stamp(r.Out.Until) + ".", Next: "Ask them, or an owner, to check it in."})
}

// CheckOut gives an item to one person alone, for a while and a reason. Afterwards it is due
// for replacement.
func (s *Service) CheckOut(ctx context.Context, who actor.Actor, id, reason string, span time.Duration) (Item, error) { // clause: vault.company-creds
	it, err := s.guard(ctx, who, access.VaultReveal, id, Viewer)
	if err != nil {
		return Item{}, err
	}
	if span < shortestOut || span > longestOut {
		return Item{}, invalid("for", "checkout_time", "An item is checked out for 5 minutes to 24 hours.")
	}
	why, err := reasonOf(reason, true)
	if err != nil {
		return Item{}, err
	}
	k, err := s.Keys.Ensure(ctx, keyring.Person(who.ID))
	if err != nil {
		return Item{}, fmt.Errorf("seal a reason: %w", err)
	}
	box := k.Seal(pad([]byte(why)), place("vault_item_out.reason", it.team, id, 1))
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		now, err := s.still(ctx, tx, who, it, Viewer)
		if err != nil {
			return nil, err
		}
		if now.Out != nil {
			return nil, fault.New(fault.Conflict, "item_out", fault.Public{Problem: "The item is checked out already.", Next: "Check it in first."})
		}
		until := tx.Now().Add(span)
		_, err = tx.Exec(ctx, insertOut, id, who.ID, box, us(tx.Now()), us(until))
		return ItemCheckedOut{Item: id, Until: until, why: why}, err
	})
	if err != nil {
		return Item{}, fmt.Errorf("check out: %w", err)
	}
	return s.Show(ctx, who, id)
}

// CheckIn gives it back: by who has it, or by an owner.
func (s *Service) CheckIn(ctx context.Context, who actor.Actor, id string) error {
	it, err := s.guard(ctx, who, access.VaultItems, id, Viewer)
	if err != nil {
		return err
	}
	if it.Out == nil {
		return notOut()
	}
	if it.Out.Person != who.ID {
		if err := s.enough(ctx, who, it, Owner); err != nil {
			return err
		}
	}
	return s.backAgain(ctx, who, id, it.Out.Person, "asked")
}

func notOut() error {
	return fault.New(fault.Conflict, "item_in", fault.Public{Problem: "Nobody has checked the item out."})
}

// backAgain ends a check-out. Two may do it at once: one wins.
func (s *Service) backAgain(ctx context.Context, who actor.Actor, id, holder, cause string) error {
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, deleteOut, id, holder)
		if err == nil && n != 1 {
			err = notOut()
		}
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, dueNow, id, us(tx.Now()))
		return ItemCheckedIn{Item: id, Cause: cause}, err
	})
	if err != nil {
		return fmt.Errorf("check in: %w", err)
	}
	return nil
}

func outOf(ctx context.Context, r ledger.Reader, id string) (*Out, error) {
	var o Out
	err := ledger.One(ctx, r, `SELECT person, since, until FROM vault_item_out WHERE item = $1`, []any{&o.Person, micros{&o.Since}, micros{&o.Until}}, id)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read who has an item: %w", err)
	}
	return &o, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

const (
	insertOut = `INSERT INTO vault_item_out (item, person, reason, since, until) VALUES ($1, $2, $3, $4, $5)`
	deleteOut = `DELETE FROM vault_item_out WHERE item = $1 AND person = $2`
	dueNow    = `UPDATE vault_item SET due = $2 WHERE id = $1 AND (due IS NULL OR due > $2)`
)
