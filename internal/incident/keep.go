package incident

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Charts are what was measured. Without them no incident keeps any.
type Charts interface {
	// Copy is what was measured in a time, as JSON: a copy that outlives the series.
	Copy(ctx context.Context, from, until time.Time) ([]byte, error)
}

// around is how much of the charts is kept before and after the signal; earlier is how far back at
// most, where it began long before.
const (
	around  = 30 * time.Minute
	earlier = 2 * time.Hour
)

// holdBackups is the name of what is done beside the acts of an incident, where it is refused.
const holdBackups = "hold-backups"

// keep saves what may be needed, from the first signal on and until the incident is resolved: a
// named point of the database, its backups, and the charts around it. It is looked for each
// second, until it is done.
func (s *Service) keep(ctx context.Context) error { // clause: inc.process
	return errors.Join(s.markPoints(ctx), s.releasePoints(ctx), s.keepCharts(ctx))
}

func (s *Service) markPoints(ctx context.Context) error { // clause: inc.loss-restore
	rec := s.Real.Recovery
	if rec == nil {
		return nil
	}
	fresh, err := s.fenced(ctx, unmarked)
	if err != nil {
		return err
	}
	for _, c := range fresh {
		name := c.Ref() + "-" + strconv.FormatInt(c.Round, 10)
		if err := s.superseded(ctx, c, holdBackups, rec.Hold(ctx, true, c.epoch)); err != nil {
			return fmt.Errorf("hold backups for %s: %w", c.Ref(), err)
		}
		position, err := rec.Mark(ctx, name)
		if err != nil {
			return fmt.Errorf("mark a point for %s: %w", c.Ref(), err)
		}
		s.point("before")
		_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, insertKeep, c.ID, c.Round, name, position, us(tx.Now()))
			if err == nil && n != 1 {
				err = fault.Wrap(fault.Conflict, "marked", errors.New("another node was first"))
			}
			return PointMarked{Incident: c.ID, Round: c.Round, Point: name, Position: position}, err
		})
		s.point("after")
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// releasePoints lets backups expire again once no incident needs them. What is lost may be
// restored until its own end.
func (s *Service) releasePoints(ctx context.Context) error {
	rec := s.Real.Recovery
	if rec == nil {
		return nil
	}
	over, err := s.fenced(ctx, overKept)
	if err != nil || len(over) == 0 {
		return err
	}
	needed, err := s.needed(ctx, s.DB, "")
	if err != nil {
		return err
	}
	if !needed {
		if err := s.superseded(ctx, over[0], liftHold, rec.Hold(ctx, false, over[0].epoch)); err != nil { // whoever declared one meanwhile holds by a newer number
			return fmt.Errorf("let backups expire: %w", err)
		}
	}
	for _, c := range over {
		_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, releaseKeep, c.ID, us(tx.Now()))
			if err == nil && n == 0 {
				err = fault.Wrap(fault.Conflict, "released", errors.New("another node was first"))
			}
			return PointReleased{Incident: c.ID, Expire: !needed}, err
		})
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// needed reports whether another incident than this one needs the backups as they are.
func (s *Service) needed(ctx context.Context, r ledger.Reader, but string) (bool, error) {
	var n int64
	err := ledger.One(ctx, r, countNeeding, []any{&n}, but)
	return n > 0, err
}

func (s *Service) keepCharts(ctx context.Context) error {
	if s.Charts == nil {
		return nil
	}
	due, err := s.cases(ctx, s.DB, uncharted, us(s.Now().Add(-around)))
	if err != nil {
		return err
	}
	for _, c := range due {
		from := c.OnsetFrom.Add(-around)
		if first := c.Declared.Add(-earlier); from.Before(first) {
			from = first
		}
		b, err := s.Charts.Copy(ctx, from, c.Declared.Add(around))
		if err != nil {
			return fmt.Errorf("keep the charts of %s: %w", c.Ref(), err)
		}
		f, err := s.fileOf(ctx, c, "dashboards.json", b)
		if err != nil {
			return err
		}
		_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, insertChart, c.ID, f.id, us(tx.Now()))
			if err == nil && n != 1 {
				err = fault.Wrap(fault.Conflict, "charted", errors.New("another node was first"))
			}
			if err != nil {
				return nil, err
			}
			return f.write(ctx, tx, actor.System("incident"), c) // there is room for what the server keeps
		})
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// PointMarked is a named point of the application's database, made when an incident began; from
// then on its backups do not expire.
type PointMarked struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Point    string `class:"public"`
	Position string `class:"public"`
}

// About implements ledger.Event.
func (e PointMarked) About() ledger.About {
	return ledger.About{Name: "incident.point-marked", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// PointReleased is an incident that needs the backups no more.
type PointReleased struct {
	Incident string `class:"public"`
	Expire   bool   `class:"public"` // they expire again: no other incident needs them
}

// About implements ledger.Event.
func (e PointReleased) About() ledger.About {
	return ledger.About{Name: "incident.point-released", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

const (
	needs       = `(l IN ('L0', 'L1', 'L2', 'L3') AND r <> 'R12' OR r NOT IN ('', 'R12') AND l NOT IN ('L6', 'LX'))`
	unmarked    = caseColumns + ` WHERE NOT drill AND ` + needs + ` AND NOT EXISTS (SELECT 1 FROM incident_keep k WHERE k.case_id = incident_case.id AND k.round = incident_case.round) ORDER BY id LIMIT 50`
	overKept    = caseColumns + ` WHERE NOT ` + needs + ` AND EXISTS (SELECT 1 FROM incident_keep k WHERE k.case_id = incident_case.id AND k.released IS NULL) ORDER BY id LIMIT 50`
	insertKeep  = `INSERT INTO incident_keep (case_id, round, name, position, at, released) VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT (case_id, round) DO NOTHING`
	releaseKeep = `UPDATE incident_keep SET released = $2 WHERE case_id = $1 AND released IS NULL`
	// A drill has backups of its own.
	countNeeding = `SELECT COUNT(*) FROM incident_case WHERE NOT drill AND id <> $1 AND ` + needs
	uncharted    = caseColumns + ` WHERE NOT drill AND declared <= $1 AND NOT EXISTS (SELECT 1 FROM incident_chart k WHERE k.case_id = incident_case.id) ORDER BY id LIMIT 20`
	insertChart  = `INSERT INTO incident_chart (case_id, file, at) VALUES ($1, $2, $3) ON CONFLICT (case_id) DO NOTHING`
)
