package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// resetWait is how long a customer's request waits for the person's word before it is
// carried out without a second admin.
const resetWait = 72 * time.Hour

// FactorReset is a request to take a person's factors away, because all are lost.
type FactorReset struct {
	ID      string
	Person  string
	AskedBy string // person id, or operator/UID
	Asked   time.Time
	Waits   time.Time // when it is carried out without a second person; zero = never
}

// resetter names who acts on a reset; two names must differ for it to be done.
func resetter(who actor.Actor) string {
	if who.Kind == actor.Person {
		return who.ID
	}
	return who.String()
}

// mayReset allows those who manage people, and the admins of a customer's own team for
// people of that team.
func (s *Service) mayReset(ctx context.Context, who actor.Actor, ref string) (account, error) {
	acc, err := s.find(ctx, ref)
	if err == nil && acc.kind != Staff && who.Kind == actor.Person && !who.ByToken() && who.Has(RoleAdmin) {
		n, cerr := s.count(ctx, inTeam, acc.id, who.Team)
		if cerr != nil {
			return account{}, cerr
		}
		if n > 0 {
			return acc, s.fresh(ctx, who)
		}
	}
	if aerr := s.Access.Allow(ctx, who, access.PeopleManage, "person/"+acc.id); aerr != nil {
		return account{}, aerr
	}
	if err == nil && acc.state != stateActive {
		err = fault.Newf(fault.Conflict, "not_active", "This person cannot sign in: the account is %s.", acc.state)
	}
	return acc, err
}

// AskFactorReset begins a reset. The person is told at once, and whoever asks cannot be
// the one who agrees. Nobody asks for themselves.
func (s *Service) AskFactorReset(ctx context.Context, who actor.Actor, ref, reason string) (FactorReset, error) {
	acc, err := s.mayReset(ctx, who, ref)
	if err != nil {
		return FactorReset{}, err
	}
	reason, ok := cleanName(reason)
	if !ok || len(reason) < 10 {
		return FactorReset{}, fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "The reason is missing, too short or too long.", Expected: "10 to 100 characters: how you know that it is the person who asks.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "Say how you know that it is the person who asks, in 10 to 100 characters."}}})
	}
	if who.Kind == actor.Person && who.ID == acc.id {
		return FactorReset{}, notByOneself()
	}
	fr := FactorReset{ID: s.DB.ID(), Person: acc.id, AskedBy: resetter(who), Asked: s.Now()}
	box, err := s.seal(ctx, keyring.Person(acc.id), "identity_factor_reset.reason", fr.ID, []byte(reason))
	if err != nil {
		return FactorReset{}, err
	}
	if acc.kind != Staff {
		fr.Waits = fr.Asked.Add(resetWait)
	}
	job, err := s.letter(ctx, acc.email, s.resetAskedLetter(fr.Waits))
	if err != nil {
		return FactorReset{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		n, err := needOf(ctx, tx, s.Rules.Get(), acc.id)
		if err != nil {
			return nil, err
		}
		if len(n.enrolled) == 0 {
			return nil, fault.Newf(fault.Conflict, "no_factor", "This person has no second factor that could be lost.")
		}
		if err := endFactorResets(ctx, tx, acc.id, "superseded"); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertReset, fr.ID, acc.id, fr.AskedBy, box, us(tx.Now())); err != nil {
			return nil, err
		}
		return FactorResetAsked{Person: acc.id, Reset: fr.ID, Why: reason}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return FactorReset{}, fmt.Errorf("ask for a reset of factors: %w", err)
	}
	return fr, nil
}

func notByOneself() error {
	return fault.New(fault.Denied, "denied", fault.Public{Problem: "This takes two people, and neither may be the one whose factors are lost.", Next: "Ask somebody else who may."})
}

// AgreeFactorReset is the word of a second person: the factors go, every session ends, and
// the person sets up a new factor at the next sign-in. A session that shares opened is the
// word of several already.
func (s *Service) AgreeFactorReset(ctx context.Context, who actor.Actor, ref string) error {
	acc, err := s.mayReset(ctx, who, ref)
	if err != nil {
		return err
	}
	fr, err := s.openReset(ctx, acc.id)
	if err != nil {
		return err
	}
	by := resetter(who)
	if by == fr.AskedBy && !byShares(who) || by == acc.id { // clause: access.mfa-by-technology
		return s.refuse(ctx, who, FactorRefused{Person: acc.id, Kind: "reset", Cause: "order"}, notByOneself())
	}
	return s.commitReset(ctx, who, acc, fr, by, "agreed")
}

// openReset is the request that waits for a person.
func (s *Service) openReset(ctx context.Context, person string) (FactorReset, error) {
	fr := FactorReset{Person: person}
	var asked int64
	err := ledger.One(ctx, s.DB, readReset, []any{&fr.ID, &fr.AskedBy, &asked}, person)
	if errors.Is(err, fault.NotFound) {
		return fr, fault.Newf(fault.NotFound, "no_reset", "Nobody has asked for a reset of this person's factors, or it is decided.")
	}
	fr.Asked = at(asked)
	return fr, err
}

func (s *Service) commitReset(ctx context.Context, who actor.Actor, acc account, fr FactorReset, by, how string) error {
	job, err := s.letter(ctx, acc.email, s.resetDoneLetter())
	if err != nil {
		return err
	}
	var ids []string
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ids = nil
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, doneReset, fr.ID, by, us(tx.Now()))
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, fault.Newf(fault.NotFound, "no_reset", "The request is decided already.")
		}
		ev := FactorsRemoved{Person: acc.id, Reset: fr.ID, By: how}
		if ev.Factors, err = tx.Exec(ctx, deleteFactors, acc.id); err != nil {
			return nil, err
		}
		keys, err := tx.Exec(ctx, deletePasskeys, acc.id)
		if err != nil {
			return nil, err
		}
		ev.Factors += keys
		for _, q := range []string{deleteRecovery, distrustAll} {
			if _, err := tx.Exec(ctx, q, acc.id); err != nil {
				return nil, err
			}
		}
		if ids, err = endSessionsIn(ctx, tx, acc.id, "", "factor-reset"); err != nil { // clause: auth.best-practice
			return nil, err
		}
		ev.Sessions = int64(len(ids))
		return ev, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return fmt.Errorf("reset factors: %w", err)
	}
	s.table.drop(s.Now(), ids...)
	return nil
}

// WithdrawFactorReset ends a request: by the person it is about, or by who may ask.
func (s *Service) WithdrawFactorReset(ctx context.Context, who actor.Actor, ref string) error {
	person := who.ID
	if who.Kind != actor.Person || ref != who.ID {
		acc, err := s.mayReset(ctx, who, ref)
		if err != nil {
			return err
		}
		person = acc.id
	}
	fr, err := s.openReset(ctx, person)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, endReset, person, us(tx.Now()), "withdrawn")
		return FactorResetEnded{Person: person, Reset: fr.ID, Cause: "withdrawn"}, err
	})
	if err != nil {
		return fmt.Errorf("withdraw a reset of factors: %w", err)
	}
	return nil
}

// endFactorResets ends what waits, inside a change: somebody who shows a factor has one.
func endFactorResets(ctx context.Context, tx *ledger.Tx, person, cause string) error {
	n, err := tx.Exec(ctx, endReset, person, us(tx.Now()), cause)
	if err == nil && n > 0 {
		tx.Also(FactorResetEnded{Person: person, Cause: cause})
	}
	return err
}

// waitedResets carries out requests of customers that nobody answered for three days.
func (s *Service) waitedResets(ctx context.Context) error {
	var due []FactorReset
	err := s.DB.Each(ctx, dueResets, func(scan scanner) error {
		var fr FactorReset
		if err := scan(&fr.ID, &fr.Person, &fr.AskedBy); err != nil {
			return err
		}
		due = append(due, fr)
		return nil
	}, us(s.Now().Add(-resetWait)))
	if err != nil {
		return fmt.Errorf("find resets that waited: %w", err)
	}
	for _, fr := range due {
		acc, err := s.account(ctx, fr.Person)
		if err == nil && acc.state == stateActive && acc.kind != Staff { // clause: access.mfa-by-technology
			err = s.commitReset(ctx, actor.System("identity-factor-reset"), acc, fr, "", "waited")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) resetAskedLetter(waits time.Time) typedLetter {
	when := "It is done when a second person agrees."
	if !waits.IsZero() {
		when = fmt.Sprintf("It is done when a second admin of your team agrees, or on %s.", stamp(waits))
	}
	return typedLetter{kind: "identity.factor-reset-asked", Letter: mail.Letter{
		Title: "Somebody asks to take your second factors away",
		Lines: []string{"Somebody who looks after your account says that you have lost every second factor, and asks to take them away. " + when,
			"If that is not so, sign in with your factor: that ends the request."},
		Link: &mail.Link{Text: "Sign in", URL: s.Origin + "/-/sign-in"},
		Foot: []string{"Asked for on " + stamp(s.Now()) + "."},
	}}
}

func (s *Service) resetDoneLetter() typedLetter {
	return typedLetter{kind: "identity.factor-reset", Letter: mail.Letter{
		Title: "Your second factors are gone",
		Lines: []string{"All second factors and recovery codes of your account were taken away, because they were said to be lost. All sessions have ended.",
			"Sign in with your password and set up a new factor. If you did not ask for this, set a new password first."},
		Link: s.anew(),
		Foot: []string{"Done on " + stamp(s.Now()) + "."},
	}}
}

const (
	inTeam         = `SELECT COUNT(*) FROM identity_member WHERE person = $1 AND team = $2`
	insertReset    = `INSERT INTO identity_factor_reset (id, person, asked_by, reason, asked, agreed_by, ended, cause) VALUES ($1, $2, $3, $4, $5, '', NULL, '')`
	readReset      = `SELECT id, asked_by, asked FROM identity_factor_reset WHERE person = $1 AND ended IS NULL ORDER BY asked DESC LIMIT 1`
	doneReset      = `UPDATE identity_factor_reset SET ended = $3, agreed_by = $2, cause = 'done' WHERE id = $1 AND ended IS NULL`
	endReset       = `UPDATE identity_factor_reset SET ended = $2, cause = $3 WHERE person = $1 AND ended IS NULL`
	deleteFactors  = `DELETE FROM identity_factor WHERE person = $1`
	deletePasskeys = `DELETE FROM identity_passkey WHERE person = $1`
	dueResets      = `SELECT r.id, r.person, r.asked_by FROM identity_factor_reset r WHERE r.ended IS NULL AND r.asked <= $1
		AND NOT EXISTS (SELECT 1 FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = r.person AND t.kind = 'staff') LIMIT 100`
)
