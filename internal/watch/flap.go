package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"writ/internal/ledger"
	"writ/internal/notify"
)

const (
	mostFlaps = 5 // in an hour
	sumsUp    = time.Hour
)

// Flapping reports whether it comes and goes so often that it is summed up by the hour.
func (a *Alarm) Flapping() bool { return a.flapping > 0 }

// reopen is an alarm that cleared a moment ago and fires again. More than five times in an hour,
// and it is told once that it flaps, and then by the hour how often.
func (s *Service) reopen(ctx context.Context, tx *ledger.Tx, a *Alarm) (ledger.Event, error) {
	now := tx.Now()
	from, hour, flapping := a.flapFrom, a.flapHour+1, a.flapping
	if flapping == 0 && now.Sub(at(from)) > time.Hour {
		from, hour = us(now), 1
	}
	due := us(now)
	switch {
	case flapping > 0:
		due = 0
	case hour > mostFlaps:
		due, flapping = 0, us(now)
	}
	_, err := tx.Exec(ctx, `UPDATE watch_alarm SET state = 'firing', flaps = flaps + 1, cleared = 0, due = $2, level = 0, flap_from = $3, flap_hour = $4, flapping = $5 WHERE id = $1`, a.ID, due, from, hour, flapping)
	if err != nil {
		return nil, err
	}
	return AlarmReopened{Alarm: a.ID, Rule: a.Rule, Flaps: a.Flaps + 1}, s.happened(ctx, tx, a.ID, "fired again", "writ/watch")
}

// sumUp tells what flaps, by the hour, until an hour goes by in which it did not.
func (s *Service) sumUp(ctx context.Context) error { // clause: mon.notify
	as, err := s.read(ctx, s.DB, flappingAlarms, us(s.Now()), aStep)
	if err != nil {
		return err
	}
	for i := range as {
		a := &as[i]
		if a.flapHour == 0 || a.State == Acknowledged {
			err = s.calm(ctx, a)
		} else {
			err = s.tellFlapping(ctx, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// calm ends the flapping of an alarm; one that goes on is told like any other.
func (s *Service) calm(ctx context.Context, a *Alarm) error {
	return s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) {
		_, err := tx.Exec(ctx, `UPDATE watch_alarm SET flapping = 0, flap_hour = 0, flap_from = 0, due = CASE WHEN state = 'firing' THEN $2 ELSE due END WHERE id = $1 AND flapping = $3`, a.ID, us(tx.Now()), a.flapping)
		return nil, err
	})
}

func (s *Service) tellFlapping(ctx context.Context, a *Alarm) error {
	next := func(tx *ledger.Tx) (int64, error) {
		return tx.Exec(ctx, `UPDATE watch_alarm SET flapping = $2, flap_hour = 0, told = $3 WHERE id = $1 AND flapping = $4`, a.ID, us(tx.Now().Add(sumsUp)), us(tx.Now()), a.flapping)
	}
	told, err := s.heard(ctx, []*Alarm{a})
	if err != nil {
		return err
	}
	if len(told) == 0 { // nobody need hear of it; the hours are counted on
		return s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) { _, err := next(tx); return nil, err })
	}
	base := s.flapMessage(a)
	return s.deliver(ctx, told, 0, base, func(tx *ledger.Tx, d delivered) (ledger.Event, error) {
		n, err := next(tx)
		if err == nil && n == 0 { // another node told it
			err = errQuiet
		}
		if err != nil {
			return nil, err
		}
		return AlarmTold{Alarm: a.ID, Rule: a.Rule, Channels: d.names, People: int64(d.people)}, s.happened(ctx, tx, a.ID, fmt.Sprintf("told that it flaps, %d times", a.flapHour), "writ/watch")
	})
}

func (s *Service) flapMessage(a *Alarm) notify.Message {
	m := s.message([]*Alarm{a}, 0)
	h := sha256.Sum256(fmt.Appendf(nil, "%s/flaps/%d", a.ID, a.Flaps))
	m.Key = hex.EncodeToString(h[:16])
	m.Subject += fmt.Sprintf(", comes and goes: %d times", a.flapHour)
	m.Text = fmt.Sprintf("It came back %d times within an hour. From now on you hear once an hour how often, until it stays away or stays.\n\n", a.flapHour) + m.Text
	return m
}

const flappingAlarms = `SELECT ` + alarmColumns + ` FROM watch_alarm WHERE flapping > 0 AND flapping <= $1 AND state <> 'closed' ORDER BY id LIMIT $2`
