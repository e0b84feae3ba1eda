package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// undoTime is how long somebody who asked for the end of their account may change their mind.
const undoTime = 14 * 24 * time.Hour

// Leave begins the end of one's own account: after 14 days it is erased for good. It
// needs the present password and says when. Staff leave through their owners
// (fault.Conflict, staff_leave); the only admin of a team with other members hands the
// team over first (fault.Conflict, last_admin).
func (s *Service) Leave(ctx context.Context, who actor.Actor, current secret.Text) (due time.Time, err error) {
	if who.Kind != actor.Person || who.Session == "" {
		return due, errEnded()
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return due, err
	}
	if acc.kind == Staff {
		return due, s.refuse(ctx, who, LeaveRefused{Person: who.ID, Cause: "staff"}, fault.New(fault.Conflict, "staff_leave", fault.Public{
			Problem: "An account of staff does not end from here.", Next: "Ask an owner: they end it when you leave."}))
	}
	if _, err := s.askCurrent(ctx, who, doorLeave, current); err != nil {
		return due, err
	}
	asked := s.Now()
	job, err := s.letter(ctx, acc.email, s.leaveLetter(asked.Add(undoTime)))
	if err != nil {
		return due, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := notLastAdminAnywhere(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := s.kept(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		due = tx.Now().Add(undoTime)
		if _, err := tx.Exec(ctx, insertLeaving, acc.id, us(tx.Now()), us(due)); err != nil {
			return nil, err
		}
		return LeaveAsked{Person: acc.id, Due: due}, s.Mail.Enqueue(ctx, tx, job)
	})
	switch {
	case errors.Is(err, errKept):
		return due, s.refuse(ctx, who, LeaveRefused{Person: who.ID, Cause: "held"}, err)
	case errors.Is(err, errLastAdmin):
		return due, s.refuse(ctx, who, LeaveRefused{Person: who.ID, Cause: "last-admin"}, errLastAdmin)
	case errors.Is(err, fault.Conflict) && !errors.Is(err, errStale):
		return due, fault.Newf(fault.Conflict, "leaving_already", "The end of this account has been asked for already.")
	case err != nil:
		return due, fmt.Errorf("ask for the end of an account: %w", err)
	}
	return due, nil
}

// notLastAdminAnywhere refuses the end of the only admin of a team with other members.
func notLastAdminAnywhere(ctx context.Context, tx *ledger.Tx, person string) error {
	teams, err := strings1(ctx, tx, customerTeamsOf, person)
	for _, team := range teams {
		if err == nil {
			err = notLastAdmin(ctx, tx, team, person, true)
		}
	}
	return err
}

// Leaving is when one's own account will end; ok is false when nobody asked.
func (s *Service) Leaving(ctx context.Context, who actor.Actor) (due time.Time, ok bool, err error) {
	if who.Kind != actor.Person {
		return due, false, errEnded()
	}
	return s.leaving(ctx, who.ID)
}

func (s *Service) leaving(ctx context.Context, person string) (due time.Time, ok bool, err error) {
	var n int64
	err = ledger.One(ctx, s.DB, leavingOf, []any{&n}, person)
	if errors.Is(err, fault.NotFound) {
		return due, false, nil
	}
	if err != nil {
		return due, false, fmt.Errorf("look for the end of an account: %w", err)
	}
	return at(n), true, nil
}

// Stay takes Leave back. fault.NotFound when nobody asked.
func (s *Service) Stay(ctx context.Context, who actor.Actor) error {
	if who.Kind != actor.Person {
		return errEnded()
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, deleteLeaving, who.ID)
		if err == nil && n == 0 {
			err = fault.Newf(fault.NotFound, "not_leaving", "The end of this account was not asked for.")
		}
		return AccountKept{Person: who.ID}, err
	})
	if err != nil {
		return fmt.Errorf("keep an account: %w", err)
	}
	return nil
}

// eraseLeavers erases the accounts whose time to change one's mind is over. One that
// cannot be erased now keeps the others from nothing.
func (s *Service) eraseLeavers(ctx context.Context) error {
	var ids []string
	err := s.DB.Each(ctx, leavers, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, us(s.Now()))
	if err != nil {
		return fmt.Errorf("find accounts that end: %w", err)
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, s.eraseLeaver(ctx, id))
	}
	return errors.Join(errs...)
}

func (s *Service) eraseLeaver(ctx context.Context, id string) error {
	acc, err := s.account(ctx, id)
	if err != nil {
		return err
	}
	job, err := s.letter(ctx, acc.email, s.goneLetter(id))
	if err != nil {
		return err
	}
	_, err = s.erase(ctx, actor.System("identity-leave"), acc, &job) // clause: data.crypto-erase
	if errors.Is(err, errKept) {
		return nil // it waits for the end of the hold
	}
	if err != nil {
		return fmt.Errorf("end account %s: %w", id, err)
	}
	return nil
}

func (s *Service) leaveLetter(due time.Time) typedLetter {
	return typedLetter{kind: "identity.leave-asked", Letter: mail.Letter{
		Title: "Your account will end",
		Lines: []string{fmt.Sprintf("You asked for the end of your account. On %s everything we hold about you is made unreadable for good, in backups too.", stamp(due)),
			"Until then you can sign in and keep the account."},
		Link: &mail.Link{Text: "Keep the account", URL: s.Origin + atData + "#leave"},
		Foot: []string{"If it was not you, keep the account and change your password."},
	}}
}

func (s *Service) goneLetter(person string) typedLetter {
	return typedLetter{kind: "identity.gone", Letter: mail.Letter{
		Title: "Your account has ended",
		Lines: []string{"As you asked, your account is erased: the key to everything we held about you is destroyed, and a certificate of it stands in our journal.",
			"The link shows the certificate, and checks it, without an account. Keep a copy. This is the last letter to this address."},
		Link: &mail.Link{Text: "See the certificate", URL: s.Origin + AtErased + "?person=" + person},
	}}
}

const (
	insertLeaving   = `INSERT INTO identity_leaving (person, asked, due) VALUES ($1, $2, $3)`
	leavingOf       = `SELECT due FROM identity_leaving WHERE person = $1`
	deleteLeaving   = `DELETE FROM identity_leaving WHERE person = $1`
	leavers         = `SELECT l.person FROM identity_leaving l JOIN identity_person p ON p.id = l.person WHERE l.due <= $1 AND p.state <> 'erased' ORDER BY l.due LIMIT 100`
	customerTeamsOf = `SELECT m.team FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = $1 AND t.kind <> 'staff' ORDER BY m.team`
)
