package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/ledger"
)

// cannotKnow is the class of what nothing in the record speaks of, where the record is not whole.
const cannotKnow = "cannot-know"

// placedATime is how many letters are opened at a time for accounts.
const placedATime = 500

// shareClasses are the words of an account for what came to whom, the worst first.
func shareClasses() []string {
	return []string{breach.Obtained.String(), breach.Accessed.String(), breach.Possibly.String(), cannotKnow}
}

// shareClass is the word for a line of the set, or for what a letter says.
func shareClass(c breach.Class, hits int64) string {
	if c == breach.Possibly && hits == 0 {
		return cannotKnow
	}
	return c.String()
}

// place writes down which teams the letters and the versions of a breach are about: both lie sealed,
// and an account of a team is not to open those of all others. Until it is done no account tells of
// the breach.
func (s *Service) place(ctx context.Context) error { // clause: inc.breach-notify
	return errors.Join(s.placeLetters(ctx), s.placeScopes(ctx))
}

func (s *Service) placeLetters(ctx context.Context) error {
	type row struct {
		id, caseID string
		class      int64
		box        []byte
		teams      []string
	}
	var rows []row
	if err := s.DB.Each(ctx, unplacedLetters, func(scan ledger.Scan) error {
		var r row
		err := scan(&r.id, &r.caseID, &r.class, &r.box)
		rows = append(rows, r)
		return err
	}, placedATime); err != nil {
		return fmt.Errorf("read letters that are not placed: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	classes, data := make([]string, len(rows)), make([]string, len(rows))
	for i := range rows {
		x, err := s.rowOf(ctx, rows[i].id, rows[i].box)
		if err != nil && !errors.Is(err, fault.Gone) { // erased: it is nobody's any more
			return err
		}
		if rows[i].teams = x.Teams; len(x.Teams) == 0 {
			rows[i].teams = []string{""}
		}
		classes[i], data[i] = shareClass(breach.Class(rows[i].class), x.Hits), strings.Join(x.Data, " ")
	}
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		for i, r := range rows {
			for _, team := range r.teams {
				if _, err := tx.Exec(ctx, placeLetter, r.id, team, r.caseID, classes[i], data[i]); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, letterPlaced, r.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// ofTeam is what a version says of a team in one class.
type ofTeam struct {
	team, class    string
	records, whole int64
	data           []string
}

// sums adds up lines by team and class.
type sums map[[2]string]*ofTeam

func (t sums) add(l breach.Line) {
	kind, rest, _ := strings.Cut(l.Subject, "/")
	if l.Class < breach.Possibly || kind != "record" && kind != "team" {
		return
	}
	team, _, _ := strings.Cut(rest, "/")
	key := [2]string{team, shareClass(l.Class, l.Hits)}
	x := t[key]
	if x == nil {
		x = &ofTeam{team: team, class: key[1]}
		t[key] = x
	}
	if kind == "record" {
		x.records++
	} else {
		x.whole = 1
	}
	x.data = append(x.data, l.Data...)
	slices.Sort(x.data)
	x.data = slices.Compact(x.data)
}

// placeScopes places one version whose letters are made, the oldest first.
func (s *Service) placeScopes(ctx context.Context) error {
	var id, caseID string
	if err := ledger.One(ctx, s.DB, unplacedScope, []any{&id, &caseID}); errors.Is(err, fault.NotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read versions that are not placed: %w", err)
	}
	c, err := s.find(ctx, s.DB, caseID)
	if err != nil {
		return err
	}
	x, err := readScope(ctx, s.DB, scopeByID, id)
	if err != nil {
		return err
	}
	all := sums{}
	if err := s.lines(c, x)(ctx, func(l breach.Line) error { all.add(l); return nil }); errors.Is(err, fault.Gone) {
		all = sums{} // erased
	} else if err != nil {
		return err
	}
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		for _, o := range all {
			if _, err := tx.Exec(ctx, placeScope, id, o.team, o.class, caseID, o.records, o.whole, strings.Join(o.data, " ")); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, scopePlaced, id)
		return err
	})
}

const (
	unplacedLetters = `SELECT id, case_id, class, box FROM incident_letter WHERE NOT placed ORDER BY id LIMIT $1`
	placeLetter     = `INSERT INTO incident_letter_team (letter_id, team, case_id, class, data) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (letter_id, team) DO NOTHING`
	letterPlaced    = `UPDATE incident_letter SET placed = TRUE WHERE id = $1`
	unplacedScope   = `SELECT id, case_id FROM incident_scope WHERE filled AND NOT placed ORDER BY id LIMIT 1`
	scopeByID       = scopeColumns + ` WHERE id = $1`
	placeScope      = `INSERT INTO incident_scope_team (scope_id, team, class, case_id, records, whole, data) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (scope_id, team, class) DO NOTHING`
	scopePlaced     = `UPDATE incident_scope SET placed = TRUE WHERE id = $1`
)
