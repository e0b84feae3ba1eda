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
	"writ/internal/incident/wording"
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

	Closes    bool      // the gate, from when it begins until it is completed
	Confirmed time.Time // a person said that it may begin; zero = nobody yet
	Began     time.Time // zero = it has not
}

// Waits reports whether it is due and has not begun, because nobody said that it may.
func (w Window) Waits(now time.Time) bool { return w.State == Scheduled && !now.Before(w.Starts) }

// Gone reports whether it is over without having taken place.
func (w Window) Gone() bool { return w.State == Completed && w.Began.IsZero() }

// Schedule announces maintenance. It begins and ends by the clock; where the machine's settings ask
// for a word before it begins, it waits for Begin. Only who may close the gate may plan for it to close.
func (s *Service) Schedule(ctx context.Context, who actor.Actor, w Window) (Window, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/windows"); err != nil {
		return Window{}, err
	}
	if w.Closes {
		if err := s.mayClose(ctx, who); err != nil {
			return Window{}, err
		}
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
		_, err := tx.Exec(ctx, insertWindow, w.ID, w.Title, w.Body, strings.Join(w.Touched, " "), us(w.Starts), us(w.Ends), w.State, us(tx.Now()), w.closes())
		return WindowSet{Window: w.ID, State: w.State, Starts: w.Starts, Ends: w.Ends, Closes: w.Closes}, errors.Join(err, touch(ctx, tx), s.Queue(ctx, tx, told))
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
	var parts []string
	for _, id := range w.Touched {
		c, err := s.component(ctx, id)
		if err != nil {
			return err
		}
		parts = append(parts, c.Name)
	}
	if len(wording.Open(w.Body)) > 0 { // it is filled by what is announced
		text, err := wording.Parse(w.Body)
		if err != nil {
			return err //nolint:wrapcheck // it says all
		}
		w.Body, _ = text.Fill(wording.Values{Parts: parts, Starts: w.Starts})
	}
	if open := wording.Open(w.Title + "\n" + w.Body); len(open) > 0 {
		return bad("body", "A place of the text is not filled. Maintenance knows its parts and when it starts; its end may move, and stands beside the text.")
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
	w, err := s.window(ctx, id)
	if err == nil && w.Closes {
		err = s.mayClose(ctx, who)
	}
	if err == nil && w.Closes { // first: a gate that stays closed after its maintenance is opened by nobody
		err = s.Gate.Release(ctx, who, hold(w.ID))
	}
	if err == nil {
		err = s.turn(ctx, who, id, []string{Scheduled, InProgress, Verifying}, Completed)
	}
	return errors.Join(err, s.Refresh(ctx))
}

// confirmBefore is how long before it begins maintenance can be confirmed.
const confirmBefore = time.Hour

// Begin says that maintenance may begin, from an hour before it does. Where it is due already it
// begins now.
func (s *Service) Begin(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/windows"); err != nil {
		return err
	}
	w, err := s.window(ctx, id)
	if err == nil && w.Closes {
		err = s.mayClose(ctx, who)
	}
	if err == nil && s.Now().Before(w.Starts.Add(-confirmBefore)) {
		err = fault.New(fault.Conflict, "window_early", fault.Public{Problem: "It is too early to say whether this maintenance may begin.", Expected: "At " + stamp(w.Starts.Add(-confirmBefore)) + " or later, when you see that all is ready.", Next: "Come back then."})
	}
	if err != nil {
		return err
	}
	if _, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, confirmWindow, id, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.New(fault.Conflict, "window_confirmed", fault.Public{Problem: "This maintenance does not wait for a word.", Next: "Look at the list: writ status show"})
		}
		return WindowConfirmed{Window: id}, errors.Join(err, touch(ctx, tx))
	}); err != nil {
		return fmt.Errorf("confirm maintenance: %w", err)
	}
	return errors.Join(s.turnDue(ctx), s.Refresh(ctx))
}

// mayClose refuses whoever may not close the gate, and where there is none.
func (s *Service) mayClose(ctx context.Context, who actor.Actor) error {
	if s.Gate == nil {
		return fault.New(fault.Invalid, "window_closes", fault.Public{Problem: "There is no gate here that maintenance could close.", Fields: []fault.Field{{Name: "closes", Code: "window_closes", Problem: "There is no gate here."}}})
	}
	return s.Access.Allow(ctx, who, access.GateMaintain, "status/windows")
}

func (s *Service) window(ctx context.Context, id string) (Window, error) {
	ws, err := windows(ctx, s.DB, oneWindow, id)
	if err == nil && len(ws) == 0 {
		err = fault.New(fault.NotFound, "window_unknown", fault.Public{Problem: "There is no such maintenance.", Next: "Look at the list: writ status show"})
	}
	if err != nil {
		return Window{}, err
	}
	return ws[0], nil
}

func hold(id string) string { return "window/" + id }

func (w Window) closes() int64 {
	if w.Closes {
		return 1
	}
	return 0
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
		began := some(w.Began)
		if to == InProgress && began == nil {
			began = some(tx.Now())
		}
		if n, err := tx.Exec(ctx, setWindow, id, w.State, to, us(tx.Now()), began); err != nil || n != 1 {
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
		return WindowSet{Window: id, State: to, Starts: w.Starts, Ends: w.Ends, Closes: w.Closes}, touch(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("maintenance %s: %w", to, err)
	}
	return nil
}

// closed reports whether the gate lets nobody in.
func (s *Service) closed() bool { return s.Closed != nil && s.Closed() }

// turnDue begins and ends maintenance by the clock. What closes the gate opens it again at its
// end; while the gate is closed by something else, maintenance does not end. What nobody said may
// begin is over, without having taken place, at its end.
func (s *Service) turnDue(ctx context.Context) error {
	ws, err := windows(ctx, s.DB, openWindows)
	if err != nil {
		return err
	}
	now, who := s.Now(), actor.System("incident-status")
	var errs []error
	for _, w := range ws {
		over := !now.Before(w.Ends)
		if w.Closes && w.State != Scheduled { // before its states: what is over must not look as if the gate were closed by another
			if over {
				err = s.Gate.Release(ctx, who, hold(w.ID))
			} else {
				err = s.Gate.HoldClosed(ctx, who, hold(w.ID), w.Ends)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
		}
		switch {
		case w.State == Scheduled && over && s.waits(w):
			err = s.turn(ctx, who, w.ID, []string{Scheduled}, Completed)
		case w.State == Scheduled && !now.Before(w.Starts) && !s.waits(w):
			if err = s.turn(ctx, who, w.ID, []string{Scheduled}, InProgress); err == nil && w.Closes && !over {
				err = s.Gate.HoldClosed(ctx, who, hold(w.ID), w.Ends)
			}
		case w.State == InProgress && over && s.closed():
			err = s.turn(ctx, who, w.ID, []string{InProgress}, Verifying)
		case w.State == Verifying && !s.closed():
			err = s.turn(ctx, who, w.ID, []string{Verifying}, Completed)
		case w.State == InProgress && over:
			err = s.turn(ctx, who, w.ID, []string{InProgress}, Completed)
		}
		if err != nil && !errors.Is(err, fault.Conflict) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.unhold(ctx, who))...)
}

// unhold opens the gate where maintenance that is over still holds it: somebody completed it while
// this node, or another, was about to close the gate.
func (s *Service) unhold(ctx context.Context, who actor.Actor) error { // clause: inc.loss-maintenance
	if s.Gate == nil {
		return nil
	}
	held, err := s.Gate.Held(ctx)
	for _, name := range held {
		id, ours := strings.CutPrefix(name, hold(""))
		if !ours {
			continue
		}
		w, err2 := s.window(ctx, id)
		if fault.KindOf(err2) == fault.NotFound || err2 == nil && w.State == Completed {
			err2 = s.Gate.Release(ctx, who, name)
		}
		err = errors.Join(err, err2)
	}
	return err
}

// waits reports whether a person must say that it may begin, and nobody did.
func (s *Service) waits(w Window) bool { return s.Asks && w.Confirmed.IsZero() }

// Unbegun is maintenance that is due, and waits for a person's word.
func (s *Service) Unbegun(ctx context.Context) ([]Window, error) {
	ws, err := windows(ctx, s.DB, openWindows)
	return slices.DeleteFunc(ws, func(w Window) bool { return !w.Waits(s.Now()) || !s.waits(w) }), err
}

// Worked names the maintenance under way that touches a part of the service which stands on
// something, as alarms name it; "" = none. It is as of the page that this node shows.
func (s *Service) Worked(on string) string {
	x := s.shown.Load()
	if x == nil || on == "" {
		return ""
	}
	for _, w := range x.world.Windows {
		if w.State != InProgress && w.State != Verifying {
			continue
		}
		for _, c := range x.world.Components {
			if slices.Contains(w.Touched, c.ID) && slices.Contains(c.Covers, on) {
				return hold(w.ID)
			}
		}
	}
	return ""
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
		var closes int64
		var confirmed, began *int64
		err := scan(&w.ID, &w.Title, &w.Body, &touched, &starts, &ends, &w.State, &made, &changed, &closes, &confirmed, &began)
		w.Closes, w.Confirmed, w.Began = closes == 1, when(confirmed), when(began)
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
	windowColumns = `SELECT id, title, body, touched, starts, ends, state, made, changed, closes, confirmed, began FROM incident_status_window`
	openWindows   = windowColumns + ` WHERE state <> 'completed' ORDER BY starts, id LIMIT 100`
	lastWindows   = windowColumns + ` ORDER BY starts DESC, id LIMIT 50`
	oneWindow     = windowColumns + ` WHERE id = $1`
	insertWindow  = `INSERT INTO incident_status_window (id, title, body, touched, starts, ends, state, made, changed, closes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)`
	setWindow     = `UPDATE incident_status_window SET state = $3, changed = $4, began = $5 WHERE id = $1 AND state = $2`
	confirmWindow = `UPDATE incident_status_window SET confirmed = $2 WHERE id = $1 AND state = 'scheduled' AND confirmed IS NULL`
)
