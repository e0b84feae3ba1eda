package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// secondReview is how long after one person has let a temporary fix go in another one reviews it:
// it goes past everything that a change goes through on a quiet day.
const secondReview = 24 * time.Hour

// SecondDue is when the second review must be there; zero where none is owed.
func (x Fix) SecondDue() time.Time {
	if x.Approved.IsZero() || x.Second != "" || !x.Gone.IsZero() {
		return time.Time{}
	}
	return x.Approved.Add(secondReview)
}

// reviewFix is the yes of a second person to the temporary fix as it stands.
func (s *Service) reviewFix(ctx context.Context, tx *ledger.Tx, who actor.Actor, c *Case, hash string) (ledger.Event, error) { // clause: inc.patch
	x, err := readFix(ctx, tx, c.ID)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	switch {
	case x.Approved.IsZero() || !slices.Contains(held, c.States[engine.F]):
		return nil, kept(*c, engine.F, "review-fix", []engine.Lack{{Guard: "fix-approved", Words: "No temporary fix was approved by a first person.", Who: "anybody else than its author"}})
	case who.ID == x.Author || who.ID == x.Approver:
		return nil, kept(*c, engine.F, "review-fix", []engine.Lack{{Guard: "other-person", Words: "Its author and whoever approved it first are not the second.", Who: "anybody else who may act in incidents"}})
	case x.Second != "":
		return nil, fault.Newf(fault.Conflict, "approved", "A second person has reviewed it already.")
	case !strings.HasPrefix(x.Hash, hash):
		return nil, fault.New(fault.Conflict, "approval_void", fault.Public{Problem: "The fix has changed since you read it.", Expected: "The one with the hash " + x.Hash[:12] + ".", Next: "Read it again."})
	}
	if _, err := tx.Exec(ctx, secondFix, c.ID, who.ID, us(tx.Now())); err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, insertApproval, c.ID, tx.ID(), objectFix, x.Hash, who.ID, us(tx.Now()))
	return Approved{Incident: c.ID, Round: c.Round, Object: objectFix, Hash: x.Hash, Person: who.ID}, err
}

// held are the states in which a temporary fix may be in place.
var held = []string{"F2", "F3", "F4"}

// askSecond are letters to everybody who may be the second.
func (s *Service) askSecond(ctx context.Context, c Case, first string) ([]jobs.Job, error) {
	x, err := readFix(ctx, s.DB, c.ID)
	if errors.Is(err, fault.NotFound) || c.Drill {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := s.may(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p Person) bool { return p.ID == first || p.ID == x.Author })
	if len(all) == 0 {
		return nil, nil
	}
	return s.letters(ctx, all, secondLetter(s, c, "A temporary fix was let in by one person. A second one reviews it by "+stamp(s.Now().Add(secondReview))+"."))
}

// unreviewed tells once of a temporary fix that nobody has reviewed as the second in time.
func (s *Service) unreviewed(ctx context.Context) error { // clause: inc.patch
	late, err := s.cases(ctx, s.DB, lateReviews, us(s.Now().Add(-secondReview)))
	if err != nil {
		return err
	}
	for _, c := range late {
		x, err := readFix(ctx, s.DB, c.ID)
		if err != nil {
			return err
		}
		letters, err := s.letters(ctx, nil, secondLetter(s, c, "A temporary fix was let in by one person, and no second one has reviewed it by "+stamp(x.SecondDue())+"."))
		if err != nil {
			return err
		}
		_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, tellReview, c.ID, us(tx.Now()))
			if err == nil && n != 1 {
				err = fault.Wrap(fault.Conflict, "told", errors.New("another node was first"))
			}
			if err == nil && !c.Drill {
				err = s.enqueue(ctx, tx, letters)
			}
			return FixUnreviewed{Incident: c.ID, Round: c.Round, Due: x.SecondDue()}, err
		})
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

func secondLetter(s *Service, c Case, says string) letter {
	return letter{kind: "incident.fix-review", Letter: mail.Letter{Title: "A temporary fix waits for a second review: " + c.Ref(), Lines: []string{c.Title, says}, Link: &mail.Link{Text: "Read it, and review it", URL: s.at(c)},
		Foot: []string{"Its author and whoever let it in are not the second."}}}
}

// unreviewedFixes says which temporary fixes are late with their second review.
func (s *Service) unreviewedFixes(ctx context.Context) (bad []string, err error) {
	err = s.DB.Each(ctx, overdueReviews, func(scan ledger.Scan) error {
		var number, approved int64
		err := scan(&number, &approved)
		bad = append(bad, fmt.Sprintf("the temporary fix of I-%d waits for its second review since %s", number, stamp(at(approved).Add(secondReview))))
		return err
	}, us(s.Now().Add(-secondReview)))
	return bad, err
}

// fixOut is the repair on the wire.
type fixOut struct {
	What      string     `json:"what,omitempty"`
	Hash      string     `json:"hash,omitempty"`
	Author    string     `json:"author,omitempty"`
	Approved  string     `json:"approved_by,omitempty"`
	Second    string     `json:"second_review_by,omitempty"`
	SecondDue *time.Time `json:"second_review_due,omitempty"`
	Deployed  *time.Time `json:"deployed,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"`
	Gone      *time.Time `json:"gone,omitempty"`
	Plan      string     `json:"plan,omitempty"`
	Owner     string     `json:"owner,omitempty"`
	Due       *time.Time `json:"due,omitempty"`
	Test      string     `json:"test,omitempty"`
}

// wireFix is nil where there is none.
func wireFix(x Fix) *fixOut {
	if x.What == "" && x.Plan == "" {
		return nil
	}
	return &fixOut{x.What, x.Hash, x.Name, x.ApproverName, x.SecondName, known(x.SecondDue()), known(x.Deployed), known(x.Expires), known(x.Gone), x.Plan, x.OwnerName, known(x.Due), x.Test}
}

// Says is the repair in sentences, for whoever reviews it; "" where there is none.
func (x Fix) Says(stamp func(time.Time) string) string {
	var out []string
	say := func(ok bool, format string, a ...any) {
		if ok {
			out = append(out, fmt.Sprintf(format, a...))
		}
	}
	say(x.What != "", "For now: %s (by %s).", strings.TrimRight(x.What, "."), x.Name)
	say(x.ApproverName != "", "Let in by %s.", x.ApproverName)
	say(x.SecondName != "", "Reviewed by %s.", x.SecondName)
	say(!x.SecondDue().IsZero(), "A second person reviews it by %s.", stamp(x.SecondDue()))
	say(!x.Expires.IsZero() && x.Gone.IsZero(), "It ends on %s.", stamp(x.Expires))
	say(x.Plan != "", "For good: %s (%s, by %s).", strings.TrimRight(x.Plan, "."), x.OwnerName, stamp(x.Due))
	return strings.Join(out, " ")
}

// FixUnreviewed is a temporary fix that no second person has reviewed in time.
type FixUnreviewed struct {
	Incident string    `class:"public"`
	Round    int64     `class:"public"`
	Due      time.Time `class:"public"`
}

// About implements ledger.Event.
func (e FixUnreviewed) About() ledger.About {
	return ledger.About{Name: "incident.fix-unreviewed", Clause: "inc.patch", Object: thing(e.Incident)}
}

const (
	approveFix     = `UPDATE incident_fix SET approver = $2, approved = $3 WHERE case_id = $1`
	secondFix      = `UPDATE incident_fix SET second = $2, seconded = $3 WHERE case_id = $1 AND second = ''`
	unseconded     = `x.approved <= $1 AND x.second = '' AND x.gone IS NULL`
	lateReviews    = caseColumns + ` WHERE f IN ('F2', 'F3', 'F4') AND EXISTS (SELECT 1 FROM incident_fix x WHERE x.case_id = incident_case.id AND x.overdue IS NULL AND ` + unseconded + `) ORDER BY id LIMIT 50`
	tellReview     = `UPDATE incident_fix SET overdue = $2 WHERE case_id = $1 AND overdue IS NULL AND second = '' AND gone IS NULL`
	overdueReviews = `SELECT c.number, x.approved FROM incident_fix x JOIN incident_case c ON c.id = x.case_id WHERE NOT c.drill AND c.f IN ('F2', 'F3', 'F4') AND ` + unseconded + ` ORDER BY x.approved LIMIT 100`
)
