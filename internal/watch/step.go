package watch

import (
	"context"
	"time"

	"writ/internal/ledger"
	"writ/internal/notify"
)

const (
	aStep = 200 // alarms in one look
	tops  = 10  // of a group that a message names
	group = 5 * time.Minute
)

// Step does what is due about alarms: begin to fire, tell, tell more, end an
// acknowledgement, clear. The times stand in the table, so a restart loses none. A storm is
// gone through to its end, a few hundred at a time: none waits behind others for the next look.
func (s *Service) Step(ctx context.Context) error { // clause: mon.notify
	now := s.Now()
	for told, after := int64(-1), ""; ; {
		due, err := s.read(ctx, s.DB, dueAlarms, now.UnixMicro(), aStep, told, after)
		if err != nil {
			return err
		}
		if err := s.stepSome(ctx, now, due); err != nil || len(due) < aStep {
			return err
		}
		last := &due[len(due)-1]
		told, after = us(last.Told), last.ID
	}
}

func (s *Service) stepSome(ctx context.Context, now time.Time, due []Alarm) (err error) {
	routes := s.routes()
	tell := map[string][]*Alarm{}
	var order []string
	for i := range due {
		a := &due[i]
		switch {
		case a.Rule == beatRule.ID:
			err = s.arrive(ctx, a)
		case a.ends > 0 && a.ends <= now.UnixMicro() && a.State != Pending:
			err = s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) { return s.clearAlarm(ctx, tx, a) })
		case a.State == Pending:
			err = s.begin(ctx, a)
		case a.State == Acknowledged:
			err = s.unacknowledge(ctx, a)
		case a.State == Firing:
			k := a.Severity + "/" + a.Clause + "/" + a.Part + "/" + routeOf(routes, a).name
			if tell[k] == nil {
				order = append(order, k)
			}
			tell[k] = append(tell[k], a)
		}
		if err != nil {
			return err
		}
	}
	for _, k := range order {
		if err := s.tell(ctx, tell[k]); err != nil {
			return err
		}
	}
	if err := s.sumUp(ctx); err != nil {
		return err
	}
	return s.tendSilences(ctx)
}

// begin makes a pending alarm fire.
func (s *Service) begin(ctx context.Context, a *Alarm) error {
	r := s.ruleOf(a.Rule)
	if r == nil { // of another version
		return s.drop(ctx, a)
	}
	return s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) {
		due := tx.Now()
		if a.Severity != notify.Page {
			due = due.Add(gathers)
		}
		n, err := tx.Exec(ctx, `UPDATE watch_alarm SET state = 'firing', fired = $2, due = $3 WHERE id = $1 AND state = 'pending'`, a.ID, us(tx.Now()), us(due))
		if err != nil || n == 0 {
			return nil, err
		}
		return s.fired(ctx, tx, a.ID, r, a.ground, a.Test)
	})
}

func (s *Service) drop(ctx context.Context, a *Alarm) error {
	return s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) {
		_, err := tx.Exec(ctx, `UPDATE watch_alarm SET due = 0 WHERE id = $1`, a.ID)
		return nil, err
	})
}

// unacknowledge makes an alarm that still goes on fire again: somebody said they would look,
// and it is not over.
func (s *Service) unacknowledge(ctx context.Context, a *Alarm) error { // clause: mon.notify
	return s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_alarm SET state = 'firing', acked_by = '', acked_until = 0, due = $2, level = 1 WHERE id = $1 AND state = 'acknowledged' AND acked_until <= $2`, a.ID, us(tx.Now()))
		if err != nil || n == 0 {
			return nil, err
		}
		return []ledger.Event{AcknowledgementEnded{Alarm: a.ID, Rule: a.Rule}}, s.happened(ctx, tx, a.ID, "acknowledgement ended", "writ/watch")
	})
}

// Those that nobody was told of come first: what is told again does not keep them back.
const dueAlarms = `SELECT ` + alarmColumns + ` FROM watch_alarm WHERE state IN ('pending', 'firing', 'acknowledged') AND (due > 0 AND due <= $1 OR ends > 0 AND ends <= $1) AND (told > $3 OR told = $3 AND id > $4) ORDER BY told, id LIMIT $2`
