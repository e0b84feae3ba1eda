package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Hold keeps something from being destroyed.
type Hold struct {
	ID, Target string
	Reason     string
	Made       time.Time
	MadeBy     string
	Ask        time.Time // when its end was asked for; zero = it was not
	AskBy      string
	Ended      time.Time
	EndedBy    string
}

// Hold adds a legal hold on a target, or on everything.
func (s *Service) Hold(ctx context.Context, who actor.Actor, typed, reason string) (Hold, error) {
	if err := s.Access.Allow(ctx, who, access.HoldAdd, ""); err != nil {
		return Hold{}, err
	}
	if err := checkReason(reason); err != nil {
		return Hold{}, err
	}
	t := target{name: everything}
	if typed != everything {
		var err error
		if t, err = s.find(ctx, who, typed); err != nil && !errors.Is(err, fault.Conflict) { // whoever may not be erased may be held
			return Hold{}, err
		}
	}
	h := Hold{ID: s.DB.ID(), Target: t.name, Reason: reason, MadeBy: who.String()}
	box, err := s.seal(ctx, "vault_hold", h.ID, reason)
	if err != nil {
		return Hold{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, takeTurn); err != nil {
			return nil, err
		}
		h.Made = tx.Now()
		_, err := tx.Exec(ctx, insertHold, h.ID, h.Target, box, us(tx.Now()), h.MadeBy)
		return HoldAdded{Hold: h.ID, Target: h.Target, Why: reason}, err
	})
	if err != nil {
		return Hold{}, fmt.Errorf("add a hold: %w", err)
	}
	return h, nil
}

// EndHold ends a hold when a second person wants it: the first time it is asked for. An ask
// lapses after a week, and when who asked may ask no longer. It reports whether the hold has
// ended.
func (s *Service) EndHold(ctx context.Context, who actor.Actor, id string) (bool, error) { // clause: data.crypto-erase
	if err := s.Access.Allow(ctx, who, access.HoldEnd, "hold/"+short(id)); err != nil {
		return false, err
	}
	if err := s.human(ctx, who, ShredRefused{Kind: "hold", Cause: "person_needed"}); err != nil {
		return false, err
	}
	gone, err := s.askerGone(ctx, id)
	if err != nil {
		return false, err
	}
	var ended bool
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, takeTurn); err != nil {
			return nil, err
		}
		var first string
		var asked, over *int64
		if err := ledger.One(ctx, tx, `SELECT ask_by, ask, ended FROM vault_hold WHERE id = $1`, []any{&first, &asked, &over}, id); err != nil {
			if errors.Is(err, fault.NotFound) {
				err = fault.Newf(fault.NotFound, "no_hold", "There is no such hold.")
			}
			return nil, err
		}
		switch {
		case over != nil:
			return nil, fault.Newf(fault.Conflict, "hold_ended", "This hold has ended already.")
		case first == "" || first == gone || tx.Now().Sub(when(asked)) >= askLife:
			ended = false
			_, err := tx.Exec(ctx, `UPDATE vault_hold SET ask = $2, ask_by = $3 WHERE id = $1`, id, us(tx.Now()), who.String())
			return HoldEndAsked{Hold: id}, err
		case first == who.String():
			return nil, errAlone
		}
		ended = true
		_, err := tx.Exec(ctx, `UPDATE vault_hold SET ended = $2, ended_by = $3 WHERE id = $1`, id, us(tx.Now()), who.String())
		return HoldEnded{Hold: id, Asked: first}, err
	})
	if errors.Is(err, errAlone) {
		return false, s.DB.Refuse(ctx, who, ShredRefused{Kind: "hold", Cause: "hold_alone"}, errAlone)
	}
	if err != nil {
		return false, fmt.Errorf("end a hold: %w", err)
	}
	return ended, nil
}

// askerGone is who asked for the end of a hold where they may no longer; "" otherwise.
func (s *Service) askerGone(ctx context.Context, id string) (string, error) {
	var by string
	if err := ledger.One(ctx, s.DB, `SELECT ask_by FROM vault_hold WHERE id = $1`, []any{&by}, id); errors.Is(err, fault.NotFound) || err == nil && by == "" {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("read who asked for an end: %w", err)
	}
	may, err := s.Acting(ctx, strings.TrimPrefix(by, "person/"), access.HoldEnd)
	if err != nil {
		return "", fmt.Errorf("ask for the rights of who asked for an end: %w", err)
	}
	if may {
		return "", nil
	}
	return by, nil
}

var errAlone = fault.New(fault.Conflict, "hold_alone", fault.Public{Problem: "You asked for the end of this hold yourself.", Expected: "Two people end a hold.", Next: "Ask another owner to end it."})

// Holds lists all, the newest first; those that have ended at the end.
func (s *Service) Holds(ctx context.Context, who actor.Actor) ([]Hold, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRead, ""); err != nil {
		return nil, err
	}
	var out []Hold
	var boxes [][]byte
	err := s.DB.Each(ctx, listHolds, func(scan ledger.Scan) error {
		var h Hold
		var box []byte
		var made int64
		var ask, ended *int64
		err := scan(&h.ID, &h.Target, &box, &made, &h.MadeBy, &ask, &h.AskBy, &ended, &h.EndedBy)
		h.Made, h.Ask, h.Ended = at(made), when(ask), when(ended)
		if ended == nil && s.Now().Sub(h.Ask) >= askLife { // lapsed
			h.Ask, h.AskBy = time.Time{}, ""
		}
		out, boxes = append(out, h), append(boxes, box)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	for i := range out {
		if out[i].Reason, err = s.unseal(ctx, "vault_hold", out[i].ID, boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Held refuses the end of a person who is under a hold (fault.Conflict, held). Identity
// asks it inside the change that begins an erasure.
func (s *Service) Held(ctx context.Context, tx *ledger.Tx, person string) error { // clause: data.crypto-erase
	return held(ctx, tx, "person/"+person)
}

// HeldTeam refuses the end of what a team keeps in the vault, of its items and of one version
// of either. It is asked inside the change that deletes, which has locked its row before.
func (s *Service) HeldTeam(ctx context.Context, tx *ledger.Tx, team string) error { // clause: data.crypto-erase
	return held(ctx, tx, "team/"+team)
}

// held takes the turn, so that no hold is added between the question and the act.
func held(ctx context.Context, tx *ledger.Tx, name string) error {
	if _, err := tx.Exec(ctx, takeTurn); err != nil {
		return err
	}
	var n int64
	if err := ledger.One(ctx, tx, countHolds, []any{&n}, name, everything); err != nil {
		return err
	}
	if n > 0 {
		return errHeld
	}
	return nil
}

var errHeld = fault.New(fault.Conflict, "held", fault.Public{Problem: "A legal hold keeps this: nothing of it may be destroyed.", Expected: "No hold on it, nor on everything.",
	Next: "Two people end a hold: writ vault hold end ID. Then ask again."})

// short keeps what somebody typed for an id out of long records.
func short(id string) string { return id[:min(len(id), 64)] }

const (
	takeTurn   = `UPDATE vault_end_turn SET turn = turn + 1 WHERE id = 1`
	insertHold = `INSERT INTO vault_hold (id, target, reason, made, made_by, ask, ask_by, ended, ended_by) VALUES ($1, $2, $3, $4, $5, NULL, '', NULL, '')`
	listHolds  = `SELECT id, target, reason, made, made_by, ask, ask_by, ended, ended_by FROM vault_hold ORDER BY ended IS NOT NULL, id DESC LIMIT 500`
	countHolds = `SELECT COUNT(*) FROM vault_hold WHERE ended IS NULL AND (target = $1 OR target = $2)`
)
