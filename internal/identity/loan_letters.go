package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"writ/internal/actor"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// What letters say of a loan. Its row knows which was said last, so that whatever ends a
// loan (clock, need, review, a person) need not think of the letter, and none is lost.
const (
	toldBegan = "began"
	toldEnded = "ended"
)

// errTold says that another node was faster.
var errTold = errors.New("the letter is on its way already")

// tellLoans sends the letters about loans that began or ended since the last look.
func (s *Service) tellLoans(ctx context.Context) error {
	for _, x := range []struct{ before, what, where string }{
		{"", toldBegan, ` AND g.told = ''`},
		{toldBegan, toldEnded, ` AND g.told = 'began' AND g.ended IS NOT NULL`},
	} {
		gs, err := s.readGrants(ctx, grantsBy+` WHERE t.kind = 'staff' AND g.began IS NOT NULL`+x.where+` ORDER BY g.asked, g.id LIMIT 200`)
		if err != nil {
			return err
		}
		for i := range gs {
			if err := s.tellLoan(ctx, &gs[i], x.before, x.what); err != nil && !errors.Is(err, errTold) {
				return err
			}
		}
	}
	return nil
}

func (s *Service) tellLoan(ctx context.Context, g *Grant, before, what string) error {
	letters, err := s.loanLetters(ctx, g, what)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, actor.System("identity-letters"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, tellGrant, g.ID, before, what)
		if err == nil && n != 1 {
			err = errTold
		}
		for _, j := range letters {
			if err == nil {
				err = s.Mail.Enqueue(ctx, tx, j)
			}
		}
		return LoanTold{Grant: g.ID, Person: g.Person, What: what, Letters: int64(len(letters))}, err
	})
	if err != nil {
		return fmt.Errorf("tell of a lent role: %w", err)
	}
	return nil
}

// loanLetters are the one to the holder, if they can still sign in, and those to the owners.
func (s *Service) loanLetters(ctx context.Context, g *Grant, what string) ([]jobs.Job, error) {
	holder, err := s.account(ctx, g.Person)
	if err != nil {
		return nil, err
	}
	var out []jobs.Job
	add := func(to string, l typedLetter) {
		if err == nil && to != "" {
			var j jobs.Job
			if j, err = s.letter(ctx, to, l); err == nil {
				out = append(out, j)
			}
		}
	}
	if holder.state == stateActive {
		if what == toldBegan {
			add(holder.email, s.lentLetter(ctx, g))
		} else {
			add(holder.email, s.loanEndedLetter(g))
		}
	}
	if what == toldBegan && g.Approver != "" {
		owners, oerr := strings1(ctx, s.DB, activeOwners)
		if oerr != nil {
			return nil, fmt.Errorf("find owners: %w", oerr)
		}
		for _, id := range owners {
			if id != g.Person {
				add(s.Email(ctx, id), s.twoLentLetter(ctx, g))
			}
		}
	}
	return out, err
}

// grantorName names who lent, for letters.
func (s *Service) grantorName(ctx context.Context, who string) string {
	kind, id, _ := strings.Cut(who, "/")
	if actor.Kind(kind) == actor.Person {
		return s.Name(ctx, id)
	}
	return "the operator"
}

func (s *Service) lentLetter(ctx context.Context, g *Grant) typedLetter {
	by := s.grantorName(ctx, g.Grantor)
	if g.Approver != "" {
		by += " and " + s.grantorName(ctx, g.Approver)
	}
	bound := ""
	if g.Need != "" {
		bound = ", or when " + g.Need + " is over"
	}
	return typedLetter{kind: "identity.role-lent", Letter: mail.Letter{
		Title: "You have another role for a while",
		Lines: []string{fmt.Sprintf("%s lent you the role %s until %s%s.", by, g.Role, stamp(g.Until), bound), "Why: " + g.Reason,
			"If you do not need it, give it back. If you did not expect it, tell another owner."},
		Link: &mail.Link{Text: "See what is lent", URL: s.Origin + "/-/console/rights#lent"},
		Foot: []string{"It counts from your next request on."},
	}}
}

func (s *Service) twoLentLetter(ctx context.Context, g *Grant) typedLetter {
	return typedLetter{kind: "identity.role-lent-by-two", Letter: mail.Letter{
		Title: "Two people lent a role that needs two",
		Lines: []string{fmt.Sprintf("%s and %s lent %s the role %s until %s.", s.grantorName(ctx, g.Grantor), s.grantorName(ctx, g.Approver), s.Name(ctx, g.Person), g.Role, stamp(g.Until)),
			"Why: " + g.Reason, "If this should not be, take the role back: any owner can."},
		Link: &mail.Link{Text: "See what is lent", URL: s.Origin + "/-/console/rights#lent"},
		Foot: []string{"You read this because you are an owner."},
	}}
}

// loanEnds are the words for what ended a loan.
var loanEnds = map[string]string{"time": "its time is over", "revoked": "it was taken back or given back", "need-ended": "what it was lent for is over", "review": "a review of rights took it back"}

func (s *Service) loanEndedLetter(g *Grant) typedLetter {
	why, ok := loanEnds[g.Cause]
	if !ok {
		why = "it was ended"
	}
	return typedLetter{kind: "identity.loan-ended", Letter: mail.Letter{
		Title: "A role that was lent to you has ended",
		Lines: []string{fmt.Sprintf("You no longer have the role %s: %s.", g.Role, why), "If your work still needs it, ask for it again."},
		Link:  &mail.Link{Text: "See what is lent", URL: s.Origin + "/-/console/rights#lent"},
		Foot:  []string{"Ended on " + stamp(g.Ended) + "."},
	}}
}

const (
	tellGrant    = `UPDATE identity_grant SET told = $3 WHERE id = $1 AND told = $2`
	activeOwners = `SELECT p.id FROM identity_member m JOIN identity_person p ON p.id = m.person
		WHERE m.team = 'staff' AND p.state = 'active' AND ' ' || m.roles || ' ' LIKE '% owner %' ORDER BY p.id`
)
