package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
)

// Fix is how an incident is repaired: for now, and for good.
type Fix struct {
	Author   string // of the temporary one
	Name     string
	Hash     string
	What     string
	Approver string // who let it in; another person reviews it within a day
	Approved time.Time
	Second   string
	Seconded time.Time
	Deployed time.Time
	Expires  time.Time
	Owner    string // of the lasting one
	Due      time.Time
	Plan     string
	Test     string
	Gone     time.Time // since when the temporary one is gone

	ApproverName, SecondName, OwnerName string

	told      time.Time
	what, lay []byte
}

// NewFix is a step of the repair, by its event: propose (What), approve-fix, deploy (Ends),
// plan (What, Owner, Ends), replace (Test).
type NewFix struct {
	Event string
	What  string
	Owner string
	Ends  time.Time
	Test  string
}

// Mend takes a step of the repair. Errors: *Kept, fault.Invalid (what).
func (s *Service) Mend(ctx context.Context, who actor.Actor, ref string, in NewFix) (Case, error) { // clause: inc.patch
	in.What, in.Test = strings.TrimSpace(in.What), strings.TrimSpace(in.Test)
	if (in.Event == "propose" || in.Event == "plan") && (utf8.RuneCountInString(in.What) < 5 || len(in.What) > 4000 || !utf8.ValidString(in.What)) {
		return Case{}, fault.New(fault.Invalid, "fix_what", fault.Public{Problem: "Say what the fix is, in 5 to 4,000 characters.", Fields: []fault.Field{{Name: "what", Code: "fix_what", Problem: "Say what the fix is, in 5 to 4,000 characters."}}})
	}
	if len(in.Test) > 300 {
		return Case{}, fault.Newf(fault.Invalid, "fix_test", "The name of the test is too long.")
	}
	owner := in.Owner
	if owner != "" {
		p, err := s.staff(ctx, owner)
		if err != nil {
			return Case{}, err
		}
		owner = p.ID
	}
	if in.Event == "approve-fix" {
		if err := s.People.FreshNow(ctx, who); err != nil {
			return Case{}, err
		}
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	var ask []jobs.Job
	if in.Event == "approve-fix" {
		if ask, err = s.askSecond(ctx, c, who.ID); err != nil {
			return Case{}, err
		}
	}
	box, err := s.seal(ctx, c.ID, "incident_fix.box", c.ID+"/"+in.Event, in.What)
	if err != nil {
		return Case{}, err
	}
	former, err := s.formerFix(ctx, c, in.Event)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		t, err := s.take(ctx, tx, who, c, engine.F, in.Event, func(f *engine.Facts) {
			if c.States[engine.F] == "F5" {
				f.Expiry = time.Time{} // of the one before
			}
			switch in.Event {
			case "deploy":
				f.Expiry = in.Ends
			case "plan":
				f.LastingOwned = owner != "" && in.Ends.After(tx.Now())
			case "replace":
				f.Test = in.Test != ""
			}
		})
		if err != nil {
			return nil, err
		}
		if t.event.From == "F5" {
			if err := former.leave(ctx, tx, who, c); err != nil {
				return nil, err
			}
		}
		return t.event, errors.Join(s.writeFix(ctx, tx, who, c, in, owner, box, &t.event), s.enqueue(ctx, tx, ask))
	})
}

// formerFix is the repair of an earlier round, as a line of the timeline: another one takes its row.
type formerFix struct {
	note, hash string
	box        []byte
}

func (s *Service) formerFix(ctx context.Context, c Case, event string) (formerFix, error) {
	if c.States[engine.F] != "F5" || event != "propose" && event != "plan" {
		return formerFix{}, nil
	}
	x, err := s.fix(ctx, c.ID)
	if err != nil {
		return formerFix{}, err
	}
	text := "The repair of an earlier round. For good: " + x.Plan + "\nIts test: " + x.Test
	if x.What != "" {
		text += "\nUntil then: " + x.What
	}
	f := formerFix{note: s.DB.ID(), hash: digest(text)}
	f.box, err = s.seal(ctx, c.ID, "incident_note.box", f.note, text)
	return f, err
}

// leave writes the line and clears the row.
func (f formerFix) leave(ctx context.Context, tx *ledger.Tx, who actor.Actor, c *Case) error {
	if f.note == "" { // it was replaced since it was looked at
		return fault.New(fault.Conflict, "incident_changed", fault.Public{Problem: "Somebody has changed this incident since you looked.", Next: "Look again; what you wanted may be done."})
	}
	if _, err := tx.Exec(ctx, insertNote, f.note, c.ID, "", by(who), us(tx.Now()), f.hash, f.box); err != nil {
		return err
	}
	tx.Also(Noted{Incident: c.ID, Note: f.note, TextHash: f.hash})
	_, err := tx.Exec(ctx, dropFix, c.ID)
	return err
}

func (s *Service) writeFix(ctx context.Context, tx *ledger.Tx, who actor.Actor, c *Case, in NewFix, owner string, box []byte, ev *Moved) error {
	hash := digest(in.What)
	now := us(tx.Now())
	exec := func(query string, args ...any) error {
		_, err := tx.Exec(ctx, query, append([]any{c.ID}, args...)...)
		return err
	}
	switch in.Event {
	case "propose":
		return exec(proposeFix, by(who), hash, box)
	case "approve-fix":
		x, err := readFix(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		return errors.Join(exec(approveFix, who.ID, now), exec(insertApproval, tx.ID(), objectFix, x.Hash, who.ID, now))
	case "deploy":
		return exec(deployFix, now, us(in.Ends))
	case "plan":
		return exec(planFix, by(who), owner, us(in.Ends), box)
	case "replace":
		return exec(replaceFix, in.Test, now)
	}
	return nil
}

func readFix(ctx context.Context, r ledger.Reader, id string) (Fix, error) {
	var x Fix
	var approved, seconded, deployed, expires, due, gone, told *int64
	err := ledger.One(ctx, r, fixOf, []any{&x.Author, &x.Hash, &x.what, &deployed, &expires, &x.Owner, &due, &x.lay, &x.Test, &gone, &told, &x.Approver, &approved, &x.Second, &seconded}, id)
	x.Approved, x.Seconded = when(approved), when(seconded)
	x.Deployed, x.Expires, x.Due, x.Gone, x.told = when(deployed), when(expires), when(due), when(gone), when(told)
	return x, err
}

// fix is the repair of an incident with its words; the zero Fix when there is none.
func (s *Service) fix(ctx context.Context, id string) (Fix, error) {
	x, err := readFix(ctx, s.DB, id)
	if errors.Is(err, fault.NotFound) {
		return Fix{}, nil
	}
	if err != nil {
		return Fix{}, fmt.Errorf("read the fix: %w", err)
	}
	if x.What, err = s.open(ctx, "incident_fix.box", id+"/propose", x.what); err != nil {
		return Fix{}, err
	}
	if x.Plan, err = s.open(ctx, "incident_fix.box", id+"/plan", x.lay); err != nil {
		return Fix{}, err
	}
	x.Name, x.ApproverName, x.SecondName, x.OwnerName = s.name(ctx, x.Author), s.name(ctx, x.Approver), s.name(ctx, x.Second), s.name(ctx, x.Owner)
	return x, nil
}

const (
	fixOf      = `SELECT author, hash, box, deployed, expires, owner, due, plan, test, gone, told, approver, approved, second, seconded FROM incident_fix WHERE case_id = $1`
	proposeFix = `INSERT INTO incident_fix (case_id, author, hash, box, deployed, expires, owner, due, plan, test, gone, told)
		VALUES ($1, $2, $3, $4, NULL, NULL, '', NULL, NULL, '', NULL, NULL)
		ON CONFLICT (case_id) DO UPDATE SET author = excluded.author, hash = excluded.hash, box = excluded.box, deployed = NULL, expires = NULL, told = NULL, gone = NULL,
		approver = '', approved = NULL, second = '', seconded = NULL, overdue = NULL`
	deployFix = `UPDATE incident_fix SET deployed = $2, expires = $3, told = NULL WHERE case_id = $1`
	planFix   = `INSERT INTO incident_fix (case_id, author, hash, box, deployed, expires, owner, due, plan, test, gone, told)
		VALUES ($1, $2, '', NULL, NULL, NULL, $3, $4, $5, '', NULL, NULL)
		ON CONFLICT (case_id) DO UPDATE SET owner = excluded.owner, due = excluded.due, plan = excluded.plan`
	dropFix    = `DELETE FROM incident_fix WHERE case_id = $1`
	replaceFix = `UPDATE incident_fix SET test = $2, gone = $3 WHERE case_id = $1`
)
