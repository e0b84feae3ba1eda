package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The states of scheduled maintenance.
const (
	Scheduled  = "scheduled"
	InProgress = "in_progress"
	Verifying  = "verifying" // its time is over, and the gate is still closed
	Completed  = "completed"
)

// longest is how long it may take.
const longest = 7 * 24 * time.Hour

// Window is scheduled maintenance.
type Window struct {
	ID      string
	Title   string
	Body    string
	Touched []string // component ids
	Starts  time.Time
	Ends    time.Time
	State   string
	Made    time.Time
	Changed time.Time
}

// Schedule announces maintenance. It begins and ends by the clock.
func (s *Service) Schedule(ctx context.Context, who actor.Actor, w Window) (Window, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/windows"); err != nil {
		return Window{}, err
	}
	if err := s.checkWindow(ctx, &w); err != nil {
		return Window{}, err
	}
	w.ID, w.State = newID(), Scheduled
	told, err := s.tellOf(ctx, w, "Maintenance is announced")
	if err != nil {
		return Window{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := alone(ctx, tx, w); err != nil {
			return nil, err
		}
		w.Made, w.Changed = tx.Now(), tx.Now()
		_, err := tx.Exec(ctx, insertWindow, w.ID, w.Title, w.Body, strings.Join(w.Touched, " "), us(w.Starts), us(w.Ends), w.State, us(tx.Now()))
		return WindowSet{Window: w.ID, State: w.State, Starts: w.Starts, Ends: w.Ends}, errors.Join(err, touch(ctx, tx), s.Queue(ctx, tx, told))
	})
	if err != nil {
		return Window{}, fmt.Errorf("schedule maintenance: %w", err)
	}
	return w, s.Refresh(ctx)
}

// alone refuses maintenance at the time of another one that touches the same component.
func alone(ctx context.Context, tx *ledger.Tx, w Window) error {
	others, err := windows(ctx, tx, openWindows)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID != w.ID && o.Starts.Before(w.Ends) && w.Starts.Before(o.Ends) && slices.ContainsFunc(o.Touched, func(c string) bool { return slices.Contains(w.Touched, c) }) {
			return fault.New(fault.Conflict, "window_overlap", fault.Public{Problem: "“" + o.Title + "” touches the same component at that time.", Next: "Choose another time, or complete the other one first."})
		}
	}
	return nil
}

func (s *Service) checkWindow(ctx context.Context, w *Window) error {
	w.Title, w.Body = strings.TrimSpace(w.Title), strings.TrimSpace(w.Body)
	bad := func(name, says string) error {
		return fault.New(fault.Invalid, "window_"+name, fault.Public{Problem: says, Fields: []fault.Field{{Name: name, Code: "window_" + name, Problem: says}}})
	}
	now := s.Now()
	switch {
	case utf8.RuneCountInString(w.Title) < 3 || utf8.RuneCountInString(w.Title) > maxTitle || strings.ContainsFunc(w.Title+w.Body, odd) || strings.ContainsAny(w.Title, "\r\n"):
		return bad("title", "The title is one line of 3 to 120 characters.")
	case len(w.Body) > maxBody || !utf8.ValidString(w.Title+w.Body):
		return bad("body", "The text has at most 4,000 characters.")
	case w.Starts.Before(now) || w.Starts.After(now.AddDate(1, 0, 0)) || !w.Ends.After(w.Starts) || w.Ends.Sub(w.Starts) > longest:
		return bad("starts", "Maintenance begins within the next year, and lasts at most seven days.")
	}
	for _, id := range w.Touched {
		if _, err := s.component(ctx, id); err != nil {
			return err
		}
	}
	leaks, err := s.leaks(ctx, w.Title+"\n"+w.Body)
	if err == nil && len(leaks) > 0 {
		err = bad("body", leaks[0].Says()+" It must not be public.")
	}
	return err
}

// End completes maintenance before its time, or takes it back before it began.
func (s *Service) End(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/windows"); err != nil {
		return err
	}
	if err := s.turn(ctx, who, id, []string{Scheduled, InProgress, Verifying}, Completed); err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// turn moves maintenance from one of the states to another, with its components.
func (s *Service) turn(ctx context.Context, who actor.Actor, id string, from []string, to string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ws, err := windows(ctx, tx, oneWindow, id)
		if err == nil && (len(ws) == 0 || !slices.Contains(from, ws[0].State)) {
			err = fault.Newf(fault.Conflict, "window_over", "This maintenance is not open.")
		}
		if err != nil {
			return nil, err
		}
		w := ws[0]
		if n, err := tx.Exec(ctx, setWindow, id, w.State, to, us(tx.Now())); err != nil || n != 1 {
			return nil, errors.Join(err, fault.Newf(fault.Conflict, "window_over", "Somebody was first."))
		}
		for _, c := range w.Touched {
			var now string
			if err := ledger.One(ctx, tx, stateOf, []any{&now}, c); errors.Is(err, fault.NotFound) {
				continue // retired meanwhile
			} else if err != nil {
				return nil, err
			}
			switch {
			case to == InProgress && now == Operational:
				err = setState(ctx, tx, c, UnderWork)
			case to == Completed && now == UnderWork:
				err = setState(ctx, tx, c, Operational)
			}
			if err != nil {
				return nil, err
			}
		}
		return WindowSet{Window: id, State: to, Starts: w.Starts, Ends: w.Ends}, touch(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("maintenance %s: %w", to, err)
	}
	return nil
}

// closed reports whether the gate lets nobody in.
func (s *Service) closed() bool { return s.Closed != nil && s.Closed() }

// turnDue begins and ends maintenance by the clock. While the gate is closed it does not end.
func (s *Service) turnDue(ctx context.Context) error {
	ws, err := windows(ctx, s.DB, openWindows)
	if err != nil {
		return err
	}
	now, who := s.Now(), actor.System("incident-status")
	for _, w := range ws {
		switch {
		case w.State == Scheduled && !now.Before(w.Starts):
			err = s.turn(ctx, who, w.ID, []string{Scheduled}, InProgress)
		case w.State == InProgress && !now.Before(w.Ends) && s.closed():
			err = s.turn(ctx, who, w.ID, []string{InProgress}, Verifying)
		case w.State == Verifying && !s.closed():
			err = s.turn(ctx, who, w.ID, []string{Verifying}, Completed)
		case w.State == InProgress && !now.Before(w.Ends):
			err = s.turn(ctx, who, w.ID, []string{InProgress}, Completed)
		}
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// Windows lists maintenance that is open, the nearest first.
func (s *Service) Windows(ctx context.Context) ([]Window, error) {
	return windows(ctx, s.DB, openWindows)
}

func windows(ctx context.Context, r ledger.Reader, query string, args ...any) ([]Window, error) {
	var out []Window
	err := r.Each(ctx, query, func(scan ledger.Scan) error {
		var w Window
		var touched string
		var starts, ends, made, changed int64
		err := scan(&w.ID, &w.Title, &w.Body, &touched, &starts, &ends, &w.State, &made, &changed)
		w.Touched, w.Starts, w.Ends, w.Made, w.Changed = strings.Fields(touched), at(starts), at(ends), at(made), at(changed)
		out = append(out, w)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read maintenance: %w", err)
	}
	return out, nil
}

const (
	windowColumns = `SELECT id, title, body, touched, starts, ends, state, made, changed FROM incident_status_window`
	openWindows   = windowColumns + ` WHERE state <> 'completed' ORDER BY starts, id LIMIT 100`
	lastWindows   = windowColumns + ` ORDER BY starts DESC, id LIMIT 50`
	oneWindow     = windowColumns + ` WHERE id = $1`
	insertWindow  = `INSERT INTO incident_status_window (id, title, body, touched, starts, ends, state, made, changed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)`
	setWindow     = `UPDATE incident_status_window SET state = $3, changed = $4 WHERE id = $1 AND state = $2`
)
