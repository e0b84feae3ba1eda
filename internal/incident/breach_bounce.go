package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/notify"
)

// Returned implements notify.Keeper for letters about a breach: one that came back counts as
// refused, so that its person is told in another way; one that lies in the box says so.
func (s *Service) Returned(ctx context.Context, who actor.Actor, r notify.Report) (bool, error) { // clause: inc.breach-notify
	var o outgoing
	var state string
	err := ledger.One(ctx, s.DB, returnedLetter, []any{&o.caseID, &o.version, &state, &o.tries, &o.box}, r.Letter)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a letter: %w", err)
	}
	row, err := s.rowOf(ctx, r.Letter, o.box)
	if errors.Is(err, fault.Gone) || err == nil && !strings.EqualFold(row.Email, r.Address) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	to, code := letterRefused, r.Status
	switch r.Action {
	case "failed":
	case "delivered":
		to, code = letterTaken, letterLies+" "+r.Status
	default:
		return true, nil
	}
	answer, err := s.seal(ctx, o.caseID, "incident_letter.answer", r.Letter, strings.ToValidUTF8(r.Text[:min(len(r.Text), 500)], ""))
	if err != nil {
		return false, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, returnLetter, r.Letter, to, us(tx.Now()), code, answer)
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "settled", errors.New("it has this end already, or was told otherwise"))
		}
		return LetterFollowed{Incident: o.caseID, Letter: r.Letter, Version: o.version, State: to, Code: code, Tries: o.tries}, err
	})
	if errors.Is(err, fault.Conflict) {
		return true, nil
	}
	return err == nil, err
}

const (
	returnedLetter = `SELECT case_id, version, state, tries, box FROM incident_letter WHERE id = $1`
	returnLetter   = `UPDATE incident_letter SET state = $2, next = $3, at = $3, code = $4, answer = $5 WHERE id = $1 AND state IN ('accepted', 'unknown') AND (state <> $2 OR code <> $4)`
)
