package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// befores are how long before maintenance its subscribers are reminded, the longest first.
var befores = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour}

// Extend gives maintenance another end: the page shows it, and subscribers are told, at once. What
// closes the gate is extended before its end is reached or not at all: then the gate is let go.
func (s *Service) Extend(ctx context.Context, who actor.Actor, id string, ends time.Time) (Window, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/windows"); err != nil {
		return Window{}, err
	}
	w, err := s.window(ctx, id)
	if err == nil && w.Closes {
		err = s.mayClose(ctx, who)
	}
	if err == nil && w.Closes && !w.Began.IsZero() && !s.Now().Before(w.Ends) { // its hold is over, and no second one is taken
		err = fault.New(fault.Conflict, "window_opened", fault.Public{Problem: "The time of this maintenance is over, and it no longer keeps the gate closed: whatever closes the gate now is something else.", Expected: "A later end before the announced one is reached.", Next: "Complete it (writ status end " + id + "), and plan another one that closes the gate."})
	}
	if err != nil {
		return Window{}, err
	}
	if w.Ends = ends; !ends.After(s.Now()) || !ends.After(w.Starts) || ends.Sub(w.Starts) > longest {
		return Window{}, fault.New(fault.Invalid, "window_ends", fault.Public{Problem: "Maintenance ends after it began, not in the past, and lasts at most seven days.", Fields: []fault.Field{{Name: "ends", Code: "window_ends", Problem: "A time to come, at most seven days after it begins."}}})
	}
	told, err := s.tellOf(ctx, w, "Maintenance ends at another time")
	if err != nil {
		return Window{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := alone(ctx, tx, w); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, extend, id, us(ends), us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.Conflict, "window_over", "This maintenance is not open.")
		}
		if err == nil {
			err = ledger.One(ctx, tx, windowState, []any{&w.State}, id)
		}
		w.Changed = tx.Now()
		return WindowSet{Window: id, State: w.State, Starts: w.Starts, Ends: ends, Closes: w.Closes}, errors.Join(err, touch(ctx, tx), s.Queue(ctx, tx, told))
	})
	if err != nil {
		return Window{}, fmt.Errorf("extend maintenance: %w", err)
	}
	return w, errors.Join(s.turnDue(ctx), s.Refresh(ctx))
}

// remind tells subscribers of maintenance that is near. What was announced later than a time
// to remind at is not reminded of then.
func (s *Service) remind(ctx context.Context) error {
	ws, err := windows(ctx, s.DB, openWindows)
	if err != nil {
		return err
	}
	now := s.Now()
	for _, w := range ws {
		if w.State != Scheduled || w.Waits(now) {
			continue
		}
		i := slices.IndexFunc(befores, func(d time.Duration) bool { return now.Before(w.Starts.Add(-d)) })
		if i < 0 {
			i = len(befores)
		}
		if i == 0 || w.Made.After(w.Starts.Add(-befores[i-1])) {
			continue
		}
		if err := s.remindOf(ctx, w, befores[i-1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) remindOf(ctx context.Context, w Window, before time.Duration) error {
	row := []any{w.ID, before.Microseconds(), us(w.Starts)}
	if err := ledger.One(ctx, s.DB, reminded, []any{new(int64)}, row...); !errors.Is(err, fault.NotFound) {
		return err // was told, or cannot be read
	}
	told, err := s.tellOf(ctx, w, "Maintenance begins in "+web.Duration(before))
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, actor.System("incident-status"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertReminder, append(row, us(tx.Now()))...)
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "reminded", errors.New("another node was first"))
		}
		return WindowReminded{Window: w.ID, Before: before.String(), Letters: told.Letters()}, errors.Join(err, s.Queue(ctx, tx, told))
	})
	if fault.KindOf(err) == fault.Conflict {
		return nil
	}
	return err
}

// Nagged reports whether staff was told for the nth time, from 0, that maintenance waits for their word.
func (s *Service) Nagged(ctx context.Context, w Window, nth int64) (bool, error) {
	err := ledger.One(ctx, s.DB, reminded, []any{new(int64)}, w.ID, -nth-1, us(w.Starts))
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Nag writes down that they were, once, in the change that queues the letters.
func (s *Service) Nag(ctx context.Context, w Window, nth, letters int64, queue func(*ledger.Tx) error) error {
	_, err := s.DB.Change(ctx, actor.System("incident-status"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertReminder, w.ID, -nth-1, us(w.Starts), us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "reminded", errors.New("another node was first"))
		}
		return WindowAwaited{Window: w.ID, Letters: letters}, errors.Join(err, queue(tx))
	})
	if fault.KindOf(err) == fault.Conflict {
		return nil
	}
	return err
}

// WindowAwaited is maintenance that is due, of which staff was told that it waits for their word.
type WindowAwaited struct {
	Window  string `class:"public"`
	Letters int64  `class:"public"`
}

// About implements ledger.Event.
func (e WindowAwaited) About() ledger.About {
	return ledger.About{Name: "incident.window-awaited", Clause: "inc.public-notice", Object: "window/" + e.Window}
}

// Late is maintenance whose end has passed while the gate is still closed.
func (s *Service) Late(ctx context.Context) ([]Window, error) {
	ws, err := windows(ctx, s.DB, openWindows)
	return slices.DeleteFunc(ws, func(w Window) bool { return w.State != Verifying || s.Now().Sub(w.Ends) < grace }), err
}

// grace is how much longer than announced maintenance takes before that is an incident.
const grace = 5 * time.Minute

// WindowReminded is maintenance that subscribers were told of before it begins.
type WindowReminded struct {
	Window  string `class:"public"`
	Before  string `class:"public"`
	Letters int64  `class:"public"`
}

// About implements ledger.Event.
func (e WindowReminded) About() ledger.About {
	return ledger.About{Name: "incident.window-reminded", Clause: "inc.public-notice", Object: "window/" + e.Window}
}

const (
	extend         = `UPDATE incident_status_window SET ends = $2, changed = $3, state = CASE WHEN state = 'verifying' THEN 'in_progress' ELSE state END WHERE id = $1 AND state <> 'completed'`
	windowState    = `SELECT state FROM incident_status_window WHERE id = $1`
	reminded       = `SELECT at FROM incident_status_reminder WHERE window_id = $1 AND before = $2 AND starts = $3`
	insertReminder = `INSERT INTO incident_status_reminder (window_id, before, starts, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
)
