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
	"writ/internal/mail"
)

const aDay = 24 * time.Hour

// reportDaily tells the commander and the privacy officer once a day how the letters of a breach
// stand, until each has its end; that is reported too, and is the last report.
func (s *Service) reportDaily(ctx context.Context) error { // clause: inc.breach-notify
	open, err := s.cases(ctx, s.DB, withLetters)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range open {
		errs = append(errs, s.reportOf(ctx, c))
	}
	return errors.Join(errs...)
}

func (s *Service) reportOf(ctx context.Context, c Case) error {
	var n, t int64
	var last bool
	if err := ledger.One(ctx, s.DB, lastDay, []any{&n, &t, &last}, c.ID); err != nil {
		return fmt.Errorf("read reports of letters: %w", err)
	}
	f := engine.Facts{Now: s.Now(), Proved: map[string]bool{}}
	if err := s.letterFacts(ctx, s.DB, c, &f); err != nil {
		return err
	}
	final := f.Proved["letters-final"]
	if final && last || !final && s.Now().Sub(at(t)) < aDay { // after a long stop one report is enough
		return nil
	}
	counts, err := s.letterCounts(ctx, c.ID)
	if err != nil {
		return err
	}
	letters, err := s.letters(ctx, s.holders(ctx, c, []engine.Role{engine.Commander, engine.Privacy}), dailyLetter(s, c, counts, final))
	if err != nil {
		return err
	}
	ev := LettersReported{Incident: c.ID, Report: n + 1, Last: final}
	ev.Letters, ev.Ended, ev.Unreached, ev.Unknown = lettersSoFar(counts)
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		k, err := tx.Exec(ctx, insertDay, c.ID, ev.Report, us(tx.Now()), final)
		if err == nil && k != 1 {
			err = fault.Wrap(fault.Conflict, "reported", errors.New("another node was first"))
		}
		if err == nil {
			err = s.enqueue(ctx, tx, letters)
		}
		return ev, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// lettersSoFar is how many letters there are, how many have their end, how many of these reached nobody,
// and of how many nobody knows.
func lettersSoFar(counts map[string]int64) (all, ended, unreached, unknown int64) {
	for state, n := range counts {
		all += n
		switch state {
		case letterTaken, letterTold:
			ended += n
		case letterRefused, letterFailed, letterStopped, letterNoWay:
			unreached += n
		case letterUnknown:
			unknown += n
		}
	}
	return all, ended, unreached, unknown
}

func dailyLetter(s *Service, c Case, counts map[string]int64, final bool) letter {
	all, told, unreached, unknown := lettersSoFar(counts)
	share := int64(100)
	if all > 0 {
		share = 100 * told / all
	}
	lines := []string{fmt.Sprintf("Of %d letters to those concerned %d were accepted or told otherwise: %d %%.", all, told, share)}
	if unreached > 0 {
		lines = append(lines, fmt.Sprintf("%d reached nobody: another way is needed for them.", unreached))
	}
	if unknown > 0 {
		lines = append(lines, fmt.Sprintf("Of %d nobody knows whether they arrived: a person decides.", unknown))
	}
	if waiting := all - told - unreached - unknown; waiting > 0 {
		lines = append(lines, fmt.Sprintf("%d wait to be sent.", waiting))
	}
	if final {
		lines = append(lines, "Each has its end. This is the last report.")
	}
	return letter{kind: "incident.letters-daily", Letter: mail.Letter{Title: c.Ref() + ": how the letters stand", Lines: lines, Link: &mail.Link{Text: "Look at them", URL: s.at(c)}}}
}

// LettersReported is a day's report of letters about a breach.
type LettersReported struct {
	Incident  string `class:"public"`
	Report    int64  `class:"public"` // which of them, from 1
	Letters   int64  `class:"public"`
	Ended     int64  `class:"public"` // accepted, or told otherwise
	Unreached int64  `class:"public"`
	Unknown   int64  `class:"public"`
	Last      bool   `class:"public"`
}

// About implements ledger.Event.
func (e LettersReported) About() ledger.About {
	return ledger.About{Name: "incident.letters-reported", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

const (
	withLetters = caseColumns + ` WHERE b IN ('B5', 'B6', 'B7') AND l NOT IN ('L6', 'LX') AND EXISTS (SELECT 1 FROM incident_letter_day x WHERE x.case_id = incident_case.id) ORDER BY id LIMIT 50`
	lastDay     = `SELECT n, at, last FROM incident_letter_day WHERE case_id = $1 ORDER BY n DESC LIMIT 1`
	insertDay   = `INSERT INTO incident_letter_day (case_id, n, at, last) VALUES ($1, $2, $3, $4) ON CONFLICT (case_id, n) DO NOTHING`
)
