package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

const (
	slack    = 2 * time.Second  // by how much clocks of nodes may differ without a word
	lookEach = 10 * time.Second // how old the time that was written down may be
	sayEach  = time.Hour
)

// watchClock says when the clock went back while a deadline runs: what it promises comes that much
// later, as if somebody had paused it. The time is in the database, so that the next process and
// every other node see it too.
func (s *Service) watchClock(ctx context.Context) error { // clause: inc.process
	var running, seen, told int64
	if err := ledger.One(ctx, s.DB, runningClocks, []any{&running}); err != nil || running == 0 {
		return err
	}
	if err := ledger.One(ctx, s.DB, lastTime, []any{&seen, &told}); err != nil {
		return fmt.Errorf("read the latest time: %w", err)
	}
	now := s.Now()
	back := at(seen).Sub(now)
	switch {
	case back > slack && now.Sub(at(told)).Abs() >= sayEach:
		return s.wentBack(ctx, at(seen), now, running)
	case now.Sub(at(seen)) < lookEach:
		return nil
	}
	return s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, setTime, us(now))
		return err
	})
}

func (s *Service) wentBack(ctx context.Context, seen, now time.Time, running int64) error {
	if s.Jumped != nil {
		if err := s.Jumped(ctx, seen.Sub(now)); err != nil {
			return fmt.Errorf("say that the clock went back: %w", err)
		}
	}
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, tellTime, us(now), us(seen))
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "told", errors.New("another node was first"))
		}
		return ClockReversed{Seen: seen, Now: now, Deadlines: running}, err
	})
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// ClockReversed is that the clock of a node showed an earlier time than one at which deadlines
// were looked at before.
type ClockReversed struct {
	Seen      time.Time `class:"public"`
	Now       time.Time `class:"public"`
	Deadlines int64     `class:"public"` // that run
}

// About implements ledger.Event.
func (e ClockReversed) About() ledger.About {
	return ledger.About{Name: "incident.clock-reversed", Clause: "inc.process"}
}

const (
	runningClocks = `SELECT COUNT(*) FROM incident_clock WHERE ended IS NULL`
	lastTime      = `SELECT seen, told FROM incident_time WHERE one = 1`
	setTime       = `UPDATE incident_time SET seen = $1 WHERE one = 1 AND seen < $1`
	tellTime      = `UPDATE incident_time SET seen = $1, told = $1 WHERE one = 1 AND seen = $2`
)
