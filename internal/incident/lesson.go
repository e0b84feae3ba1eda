package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Detectors are the rules that must see the next one like it.
type Detectors interface {
	// Keep keeps what an incident rests on, so that later changes of rules are held against it; again
	// takes nothing away. fault.Gone: it was erased.
	Keep(ctx context.Context, l Lesson) (events int64, hash string, err error)
	// Fires asks a rule about the events of an incident. fault.NotFound: there is no such rule.
	Fires(ctx context.Context, rule string, l Lesson) (Fired, error)
}

// Lesson is what is known of an incident by which its events are found.
type Lesson struct {
	ID, Ref string
	Alarms  []string // ids
	// Reads gives the accesses that its breach came of; nil = it is none.
	Reads func(ctx context.Context, fn func(*breach.Record) error) error
}

// Fired is what came of a rule on the events of an incident.
type Fired struct {
	Hits int64
	Hash string // of the text of the rule
	Says string // which rule, and on which events
}

const (
	firesGuard  = "rule-fires"
	lessonsEach = 10 * time.Second
)

// lesson is what an incident's events are found by.
func (s *Service) lesson(ctx context.Context, c Case) (Lesson, error) {
	l := Lesson{ID: c.ID, Ref: c.Ref()}
	told, err := s.told(ctx, c.ID)
	if err != nil {
		return l, err
	}
	for _, t := range told {
		if id, is := strings.CutPrefix(t.ID, "alarm/"); is {
			l.Alarms = append(l.Alarms, id)
		}
	}
	reads := s.world(c).Reads
	if c.States[engine.B] == "" || reads == nil {
		return l, nil
	}
	x, err := s.scope(ctx, c, 0)
	if errors.Is(err, fault.NotFound) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	l.Reads = func(ctx context.Context, fn func(*breach.Record) error) error {
		_, err := reads.Walk(ctx, x.Selector, x.Coverage.Size, x.Selector.Only(fn))
		return err
	}
	return l, nil
}

// firesOn asks a rule about the events of a breach; what came of it answers the guard.
func (s *Service) firesOn(ctx context.Context, c Case, rule string) (proof, error) { // clause: inc.breach-research
	d := s.world(c).Detectors
	if d == nil {
		return proof{}, fault.Newf(fault.Unavailable, "no_detectors", "There are no rules that could be asked.")
	}
	l, err := s.lesson(ctx, c)
	if err != nil {
		return proof{}, err
	}
	f, err := d.Fires(ctx, rule, l)
	if errors.Is(err, fault.NotFound) {
		return proof{}, badPaper(paperResearch, "rule", "There is no such rule of your own. Write one that fires on what happened: writ watch rule add FILE")
	}
	if err != nil {
		return proof{}, err
	}
	if f.Hits == 0 {
		return proof{}, badPaper(paperResearch, "rule", "This rule fires on none of the events of "+c.Ref()+", so it would not see the next one. Write it so that it does: writ watch rule add FILE")
	}
	return proof{Guard: firesGuard, Good: true, Hash: f.Hash, Says: f.Says}, nil
}

// KeepLessons hands over what closed incidents rest on. It is done again after a crash until it is
// written down.
func (s *Service) KeepLessons(ctx context.Context) error { // clause: mon.alarms
	cs, err := s.cases(ctx, s.DB, unkept)
	if err != nil {
		return err
	}
	for _, c := range cs {
		var events int64
		var hash string
		if d := s.world(c).Detectors; d != nil {
			l, err := s.lesson(ctx, c)
			if err == nil {
				events, hash, err = d.Keep(ctx, l)
			}
			if err != nil && !errors.Is(err, fault.Gone) {
				return fmt.Errorf("keep what %s rests on: %w", c.Ref(), err)
			}
		}
		_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, insertLesson, c.ID, c.Round, us(tx.Now()), events, hash)
			if err == nil && n == 0 {
				err = fault.Newf(fault.Conflict, "lesson_kept", "Another node was first.")
			}
			return LessonHanded{Incident: c.ID, Round: c.Round, Events: events, Hash: hash}, err
		})
		if err != nil && fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	return nil
}

const (
	unkept       = caseColumns + ` WHERE l = 'L6' AND NOT drill AND NOT EXISTS (SELECT 1 FROM incident_lesson x WHERE x.case_id = incident_case.id AND x.round = incident_case.round) ORDER BY declared, id LIMIT 20`
	insertLesson = `INSERT INTO incident_lesson (case_id, round, at, events, hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (case_id, round) DO NOTHING`
)
