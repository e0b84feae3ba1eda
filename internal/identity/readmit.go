package identity

import (
	"context"
	"fmt"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Readmit lets somebody sign in again who was disabled, once two people want it: asked is the id of
// the first, who agrees. The former password does not count any more; a link to set a new one goes to
// their address. What ended stays ended. Errors: fault.Denied (no_person, same_person),
// fault.Conflict (not_disabled).
func (s *Service) Readmit(ctx context.Context, who actor.Actor, ref, asked string) error { // clause: inc.breach-research
	acc, err := s.managed(ctx, who, ref)
	if err != nil {
		return err
	}
	if who.Kind != actor.Person || who.ByToken() || asked == "" {
		return fault.New(fault.Denied, "no_person", fault.Public{Problem: "Two people let somebody in again, each of them signed in.", Next: "Sign in: --as ADDRESS"})
	}
	if asked == who.ID {
		return fault.New(fault.Denied, "same_person", fault.Public{Problem: "Whoever asks to let somebody in again does not agree to it.", Expected: "Another person who may manage people."})
	}
	if _, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, revivePerson, acc.id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.Newf(fault.Conflict, "not_disabled", "This person is not disabled: the account is %s.", acc.state)
		}
		_, err = tx.Exec(ctx, deletePasswordOf, acc.id) // whoever stole it does not come back with it
		return PersonReadmitted{Person: acc.id, By: []string{asked, who.ID}}, err
	}); err != nil {
		return fmt.Errorf("let person in again: %w", err)
	}
	return s.sendReset(ctx, who, acc, "", "let in again")
}

// PersonReadmitted is somebody who was disabled and may sign in again, with a new password.
type PersonReadmitted struct {
	Person string   `class:"public"`
	By     []string `class:"public"` // ids of the two who want it
}

// About implements ledger.Event.
func (e PersonReadmitted) About() ledger.About {
	return ledger.About{Name: "identity.person-readmitted", Clause: "people.offboarding", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}
