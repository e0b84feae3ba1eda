package identity

import (
	"context"
	"strings"

	"writ/internal/ledger"
	"writ/internal/mail"
)

// WayLetter prepares the letter about another provider with which a person can sign in,
// added or removed, and gives what puts it into the change.
func (s *Service) WayLetter(ctx context.Context, person, way, did string) (func(context.Context, *ledger.Tx) error, error) {
	way = strings.Join(strings.Fields(way), " ")
	says := "You can now sign in to your account here with your account at " + way + "."
	if did == "removed" {
		says = "Your account at " + way + " no longer signs you in here."
	}
	job, err := s.letter(ctx, s.Email(ctx, person), typedLetter{kind: "identity.way-" + did, Letter: mail.Letter{
		Title: "A way to sign in was " + did,
		Lines: []string{says, "If it was not you, set a new password at once: that ends every session. Then look at your ways to sign in."},
		Link:  s.anew(),
		Foot:  []string{"On " + stamp(s.Now()) + "."},
	}})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *ledger.Tx) error { return s.Mail.Enqueue(ctx, tx, job) }, nil
}

// factorLetter tells that a second factor was added or removed.
func (s *Service) factorLetter(did, asked string) typedLetter {
	return typedLetter{kind: "identity.factor-" + did, Letter: mail.Letter{
		Title: "A second factor was " + did,
		Lines: []string{"A second factor for signing in to your account was " + did + ".",
			"If it was not you, set a new password at once: that ends every session. Then look at your factors."},
		Link: s.anew(),
		Foot: []string{asked},
	}}
}

// guessedLetter tells that somebody has the password and tries the second factor.
func (s *Service) guessedLetter(asked string) typedLetter {
	return typedLetter{kind: "identity.factor-guessed", Letter: mail.Letter{
		Title: "Somebody has your password",
		Lines: []string{"Your password was typed in, and then a wrong code three times. Nobody was let in.",
			"If it was not you, set a new password now: somebody knows the present one."},
		Link: s.anew(),
		Foot: []string{asked},
	}}
}

// recoveryLetter tells that a recovery code was used.
func (s *Service) recoveryLetter(asked string) typedLetter {
	return typedLetter{kind: "identity.recovery-used", Letter: mail.Letter{
		Title: "A recovery code was used",
		Lines: []string{"One of the recovery codes of your account was used in place of your second factor. It does not work again.",
			"If it was not you, set a new password at once: that ends every session. Then make new codes."},
		Link: s.anew(),
		Foot: []string{asked},
	}}
}

// newCodesLetter tells that there are new recovery codes.
func (s *Service) newCodesLetter(asked string) typedLetter {
	return typedLetter{kind: "identity.recovery-made", Letter: mail.Letter{
		Title: "You have new recovery codes",
		Lines: []string{"New recovery codes were made for your account. The former ones do not work any more.",
			"If it was not you, set a new password at once: that ends every session. Then make new codes."},
		Link: s.anew(),
		Foot: []string{asked},
	}}
}
