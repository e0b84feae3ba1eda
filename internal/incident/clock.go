package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// patience is how long after a missed deadline the commander, or everybody, is told too.
const patience = 10 * time.Minute

// Clock is a deadline of a region.
type Clock struct {
	ID     string
	Case   string
	Region engine.Region
	State  string
	Clause string
	Due    time.Time
	Missed time.Time
	told   int64
}

// within is the value of a deadline's parameter.
func (s *Service) within(param string) time.Duration {
	d, _ := s.Rules.Running()[param].(time.Duration)
	return d
}

// start begins the deadline of the state in which a region stands.
func (s *Service) start(ctx context.Context, tx *ledger.Tx, c Case, r engine.Region, within time.Duration, param string) error {
	return s.startAt(ctx, tx, c, r, tx.Now().Add(within), param)
}

func (s *Service) startAt(ctx context.Context, tx *ledger.Tx, c Case, r engine.Region, due time.Time, param string) error {
	_, err := tx.Exec(ctx, startClock, tx.ID(), c.ID, c.Round, string(r), c.States[r], param, us(tx.Now()), us(due))
	return err
}

// wind ends the deadline of the state that a region has left, and begins that of the new one.
func (s *Service) wind(ctx context.Context, tx *ledger.Tx, c Case, r engine.Region, st engine.Step, f *engine.Facts) error {
	if _, err := tx.Exec(ctx, stopClock, c.ID, string(r), us(tx.Now())); err != nil {
		return err
	}
	m, _ := engine.Of(r)
	late, ok := m.Late(st.To)
	switch {
	case !ok || r == engine.C && st.To != "C0" && st.To != "C1": // windPublic knows when the next update is due
		return nil
	case r == engine.F && !f.Expiry.IsZero():
		return s.startAt(ctx, tx, c, r, f.Expiry, late.Due)
	case r == engine.C && st.From == "C0" && st.To == "C1": // a draft is no notice: the time runs on
		return s.startAt(ctx, tx, c, r, c.Sorted.Add(s.within(late.Due)), late.Due)
	}
	if r == engine.B {
		if due, known, err := s.lawful(ctx, tx, c); known || err != nil {
			return errors.Join(err, s.startAt(ctx, tx, c, r, due, late.Due))
		}
	}
	return s.start(ctx, tx, c, r, s.within(late.Due), late.Due)
}

// windPublic begins the deadline of the next update, from what stands on the page now.
func (s *Service) windPublic(ctx context.Context, tx *ledger.Tx, c Case) error {
	newest, err := s.Page.Newest(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	if at := c.States[engine.C]; at != "C2" && at != "C3" {
		return nil
	}
	return s.startAt(ctx, tx, c, engine.C, s.nextDue(c, newest), "inc.updates/every")
}

// Tend looks at what is due: deadlines, updates, fixes, letters, and incidents that go on by
// themselves. Two nodes may do it at once: each row has one winner.
func (s *Service) Tend(ctx context.Context) error {
	return errors.Join(s.watchClock(ctx), s.lapse(ctx), s.miss(ctx), s.expire(ctx), s.unreviewed(ctx), s.follow(ctx), s.goOn(ctx), s.beginLoss(ctx), s.keep(ctx), s.tellWalls(ctx), s.judge(ctx), s.scoreDrills(ctx), s.gauge(ctx), s.overrun(ctx), s.unbegun(ctx))
}

// lapse makes communication overdue whose next update did not come in time.
func (s *Service) lapse(ctx context.Context) error { // clause: inc.updates
	late, err := s.cases(ctx, s.DB, dueUpdates, us(s.Now()))
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range late {
		_, err := s.change(ctx, actor.System("incident"), c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
			var due int64
			if err := ledger.One(ctx, tx, publicDue, []any{&due}, c.ID); err != nil && !errors.Is(err, fault.NotFound) {
				return nil, err
			}
			t, err := s.take(ctx, tx, actor.System("incident"), c, engine.C, "lapse", func(f *engine.Facts) { f.NextDue = at(due) })
			if errors.Is(err, fault.Conflict) { // another node, or a post, was first: nothing to record
				return nil, fault.Newf(fault.Conflict, "not_late", "The update came.")
			}
			if err != nil {
				return nil, err
			}
			// The deadline that was missed goes on: who is told stands in it.
			return t.event, s.again(ctx, tx, *c)
		})
		if err != nil && !errors.Is(err, fault.Conflict) {
			errs = append(errs, err)
		}
	}
	if len(late) > 0 {
		errs = append(errs, s.Page.Refresh(ctx))
	}
	return errors.Join(errs...)
}

// again keeps a deadline of communication that is over in sight, so that it is told of.
func (s *Service) again(ctx context.Context, tx *ledger.Tx, c Case) error {
	return s.startAt(ctx, tx, c, engine.C, tx.Now(), "inc.updates/every")
}

// miss tells of deadlines that are over: first those who are to keep them, later the commander.
func (s *Service) miss(ctx context.Context) error { // clause: inc.categorise
	var due []Clock
	err := s.DB.Each(ctx, dueClocks, func(scan ledger.Scan) error {
		var c Clock
		var region string
		var at2 int64
		var missed *int64
		err := scan(&c.ID, &c.Case, &region, &c.State, &c.Clause, &at2, &missed, &c.told)
		c.Region, c.Due, c.Missed = engine.Region(region), at(at2), when(missed)
		due = append(due, c)
		return err
	}, us(s.Now()), us(s.Now().Add(-patience)))
	if err != nil {
		return fmt.Errorf("read deadlines: %w", err)
	}
	var errs []error
	for _, k := range due {
		errs = append(errs, s.missed(ctx, k))
	}
	return errors.Join(errs...)
}

func (s *Service) missed(ctx context.Context, k Clock) error {
	c, err := s.find(ctx, s.DB, k.Case)
	if err != nil {
		return err
	}
	m, _ := engine.Of(k.Region)
	late, _ := m.Late(k.State)
	roles := []engine.Role{late.Role}
	if k.told > 0 {
		roles = append(roles, engine.Commander)
	}
	letters, err := s.letters(ctx, s.holders(ctx, c, roles), lateLetter(s, c, late, k))
	if err != nil {
		return err
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, missClock, k.ID, us(tx.Now()), k.told)
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "told", errors.New("another node was first"))
		}
		if err != nil {
			return nil, err
		}
		ev := DeadlineMissed{Incident: c.ID, Round: c.Round, Region: string(k.Region), State: k.State, Parameter: k.Clause, Due: k.Due, Told: k.told + 1, clause: clauseOf(k.Clause)}
		if c.Drill {
			return ev, nil
		}
		return ev, s.enqueue(ctx, tx, letters)
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

func clauseOf(param string) string {
	for i := range param {
		if param[i] == '/' {
			return param[:i]
		}
	}
	return param
}

// expire tells once of a temporary fix whose time is over.
func (s *Service) expire(ctx context.Context) error { // clause: inc.patch
	over, err := s.cases(ctx, s.DB, overFixes, us(s.Now()))
	if err != nil {
		return err
	}
	for _, c := range over {
		x, err := readFix(ctx, s.DB, c.ID)
		if err != nil {
			return err
		}
		letters, err := s.letters(ctx, s.holders(ctx, c, []engine.Role{engine.Technical}), expiredLetter(s, c, x))
		if err != nil {
			return err
		}
		_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, tellFix, c.ID, us(tx.Now()))
			if err == nil && n != 1 {
				err = fault.Wrap(fault.Conflict, "told", errors.New("another node was first"))
			}
			if err != nil {
				return nil, err
			}
			return FixExpired{Incident: c.ID, Expired: x.Expires}, s.enqueue(ctx, tx, letters)
		})
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// goOn takes what the lifecycle does by itself: the review begins when everybody was told.
func (s *Service) goOn(ctx context.Context) error {
	told, err := s.cases(ctx, s.DB, toldCases)
	if err != nil {
		return err
	}
	who := actor.System("incident")
	for _, c := range told {
		f, err := s.facts(ctx, s.DB, who, c)
		if err != nil {
			return err
		}
		m, _ := engine.Of(engine.L)
		if st, _ := m.Find("L4", "review"); len(engine.Unmet(engine.L, st, f)) > 0 {
			continue
		}
		if _, err := s.change(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
			return s.takeLife(ctx, tx, who, c, "review", "")
		}); err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

const (
	startClock = `INSERT INTO incident_clock (id, case_id, round, region, state, clause, started, due, ended, missed, told) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL, 0)`
	stopClock  = `UPDATE incident_clock SET ended = $3 WHERE case_id = $1 AND region = $2 AND ended IS NULL`
	stopClocks = `UPDATE incident_clock SET ended = $2 WHERE case_id = $1 AND ended IS NULL`
	dueClocks  = `SELECT id, case_id, region, state, clause, due, missed, told FROM incident_clock
		WHERE ended IS NULL AND (told = 0 AND due <= $1 OR told = 1 AND due <= $2) ORDER BY due LIMIT 100`
	missClock  = `UPDATE incident_clock SET missed = COALESCE(missed, $2), told = told + 1 WHERE id = $1 AND told = $3 AND ended IS NULL`
	openClocks = `SELECT id, case_id, region, state, clause, due, missed, told FROM incident_clock WHERE case_id = $1 AND ended IS NULL ORDER BY due`
	publicDue  = `SELECT due FROM incident_clock WHERE case_id = $1 AND region = 'C' AND ended IS NULL`
	dueUpdates = caseColumns + ` WHERE c IN ('C2', 'C3') AND EXISTS (SELECT 1 FROM incident_clock k WHERE k.case_id = incident_case.id AND k.region = 'C' AND k.ended IS NULL AND k.due <= $1) ORDER BY id LIMIT 50`
	overFixes  = caseColumns + ` WHERE EXISTS (SELECT 1 FROM incident_fix x WHERE x.case_id = incident_case.id AND x.expires <= $1 AND x.gone IS NULL AND x.told IS NULL) AND f IN ('F3', 'F4') ORDER BY id LIMIT 50`
	tellFix    = `UPDATE incident_fix SET told = $2 WHERE case_id = $1 AND told IS NULL AND gone IS NULL`
	toldCases  = caseColumns + ` WHERE l = 'L4' ORDER BY id LIMIT 50`
)
