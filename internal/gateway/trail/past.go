package trail

import (
	"context"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

// Since gives all records from a time on, the oldest first, to ask a rule about them, in lists of
// some thousands at most that are good until fn returns. That somebody looked, and for what, is recorded.
func (t *Trail) Since(ctx context.Context, who actor.Actor, why string, from time.Time, fn func([]Found) error) error {
	q := Query{From: from, Until: t.Now()}
	if _, err := t.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return Searched{Of: why, From: q.From, Until: q.Until}, nil
	}); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	return t.walk(ctx, q, false, fn)
}

// ByStaff gives the records of staff from a time on, as Since does. That somebody looked, and for
// what, is recorded.
func (t *Trail) ByStaff(ctx context.Context, who actor.Actor, why string, from time.Time, fn func([]Found) error) error { // clause: use.need-to-see
	q := Query{From: from, Until: t.Now(), Staff: true}
	if _, err := t.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return Searched{Of: why, From: q.From, Until: q.Until}, nil
	}); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	return t.walk(ctx, q, false, fn)
}

// Show is a record as it would be found.
func (t *Trail) Show(r *Record) Found {
	l := t.line(r)
	return l.found("")
}
