package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Disable is Offboard for whoever needs no receipt in hand; it is recorded all the same.
func (s *Service) Disable(ctx context.Context, who actor.Actor, ref string) error {
	_, err := s.Offboard(ctx, who, ref)
	return err
}

// Offboard ends everything of a person and keeps them from signing in, and says what
// ended. The last active owner stays (fault.Conflict, last_owner).
func (s *Service) Offboard(ctx context.Context, who actor.Actor, ref string) (Receipt, error) {
	o := offboarding{how: HowDisabled, begun: s.Now()}
	acc, err := s.managed(ctx, who, ref)
	if err != nil {
		return Receipt{}, err
	}
	o.person = acc.id
	var ids []string
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := s.notLastOwner(ctx, tx, acc); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, setState, acc.id, stateDisabled, us(tx.Now()), stateActive)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.Newf(fault.Conflict, "not_active", "This person is not active: the account is %s.", acc.state)
		}
		if err := o.begin(ctx, tx); err != nil {
			return nil, err
		}
		ev := PersonDisabled{Person: acc.id, Tokens: o.was["tokens"], Loans: o.was["lent-roles"], Consents: o.was["consents"], Families: o.was["applications"]}
		if ids, ev.Links, ev.Devices, err = endAll(ctx, tx, acc.id, "disabled"); err != nil {
			return nil, err
		}
		ev.Sessions = int64(len(ids))
		return ev, nil
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("disable person: %w", err)
	}
	s.table.drop(s.Now(), ids...)
	s.tokensOf(ctx, acc.id)
	return s.receipt(ctx, who, o), nil
}

// endAll ends sessions, links, invitations and devices of a person inside a change.
func endAll(ctx context.Context, tx *ledger.Tx, person, cause string) (ids []string, links, devices int64, err error) {
	if ids, err = endSessionsIn(ctx, tx, person, "", cause); err != nil {
		return nil, 0, 0, err
	}
	if links, err = endLinks(ctx, tx, person, "cancelled"); err != nil {
		return nil, 0, 0, err
	}
	if _, err := tx.Exec(ctx, endInvitesOf, person, us(tx.Now())); err != nil {
		return nil, 0, 0, err
	}
	if err := endGrantsOf(ctx, tx, person, cause); err != nil {
		return nil, 0, 0, err
	}
	if _, err = endTokensIn(ctx, tx, person, cause, false); err != nil {
		return nil, 0, 0, err
	}
	if _, err = tx.Exec(ctx, deleteConsentsOf, person); err != nil {
		return nil, 0, 0, err
	}
	devices, err = tx.Exec(ctx, deleteDevices, person)
	return ids, links, devices, err
}

// notLastOwner refuses an act after which fewer than two owners could sign in: one alone
// can lose a phone, and nobody could sign for the second. Somebody who never set a
// password could not sign in anyway; then one active owner must be left.
func (s *Service) notLastOwner(ctx context.Context, tx *ledger.Tx, acc account) error {
	if acc.kind != Staff || !slices.Contains(rolesOf(acc.roles), "owner") || acc.state != stateActive {
		return nil
	}
	if _, err := bump(ctx, tx); err != nil { // one such act at a time, or two owners could end each other
		return err
	}
	active, able := 0, 0
	err := tx.Each(ctx, otherOwners, func(scan scanner) error {
		var roles string
		var password bool
		if err := scan(&roles, &password); err != nil {
			return err
		}
		if slices.Contains(rolesOf(roles), "owner") {
			active++
			if password {
				able++
			}
		}
		return nil
	}, acc.id)
	if err != nil {
		return err
	}
	var mine int64
	if err := ledger.One(ctx, tx, hasPassword, []any{&mine}, acc.id); err != nil {
		return err
	}
	if active == 0 || mine > 0 && able < 2 {
		return fault.New(fault.Conflict, "last_owner", fault.Public{Problem: "Fewer than two owners could sign in after this.",
			Expected: "Two other owners who are active and have set a password.", Next: "Add another owner first, and let them sign in."})
	}
	return nil
}

// Certificate says what an erasure did. It names nobody: person is a random id,
// pseudonym what the store of keys keeps.
type Certificate struct {
	Person    string    `json:"person"`
	Pseudonym string    `json:"pseudonym"`
	Keys      []string  `json:"keys"`
	Destroyed time.Time `json:"destroyed"`
	Method    string    `json:"method"`
	Store     string    `json:"store"`
	Entry     string    `json:"entry"` // of the journal
}

// Erase ends everything of a person, deletes their rows and destroys their key, so that
// nothing sealed under it can be read again, here or in a backup. confirm is the
// person's handle. It cannot be undone; a certificate is recorded and returned.
func (s *Service) Erase(ctx context.Context, who actor.Actor, ref, confirm string) (Certificate, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleErase, ""); err != nil {
		return Certificate{}, err
	}
	acc, err := s.find(ctx, ref)
	if err != nil {
		return Certificate{}, err
	}
	if acc.state == stateErased {
		return Certificate{}, errErased
	}
	if who.Kind == actor.Person && who.ID == acc.id {
		return Certificate{}, fault.Newf(fault.Conflict, "erase_self", "Nobody can erase themselves: another owner or the operator must.")
	}
	if confirm != acc.handle {
		return Certificate{}, fault.New(fault.Invalid, "confirm_wrong", fault.Public{
			Problem: "The handle to confirm with is not this person's.", Expected: "The handle of the person who is to be erased.", Next: "Erasing cannot be undone: type the handle.",
			Fields: []fault.Field{{Name: "confirm", Code: "confirm_wrong", Problem: "This is not the person's handle."}}})
	}
	return s.erase(ctx, who, acc, nil)
}

// erase deletes the rows of a person, then destroys their key. The letter, if there is
// one, goes out with the first half: afterwards there is no address to send it to.
func (s *Service) erase(ctx context.Context, who actor.Actor, acc account, letter *jobs.Job) (Certificate, error) {
	c, err := s.eraseUnless(ctx, who, acc, letter, s.kept)
	if errors.Is(err, errKept) && who.Kind != actor.Writ {
		return c, s.refuse(ctx, who, EraseRefused{Person: acc.id, Cause: "held"}, err)
	}
	return c, err
}

// eraseUnless is erase with what may refuse it in the change that begins it.
func (s *Service) eraseUnless(ctx context.Context, who actor.Actor, acc account, letter *jobs.Job, kept keeper) (Certificate, error) {
	o := offboarding{person: acc.id, how: HowErased, begun: s.Now()}
	var ids []string
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := kept(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := s.notLastOwner(ctx, tx, acc); err != nil {
			return nil, err
		}
		if err := o.begin(ctx, tx); err != nil {
			return nil, err
		}
		ev := ErasureBegun{Person: acc.id}
		var err error
		if ids, ev.Links, ev.Devices, err = endAll(ctx, tx, acc.id, "erased"); err != nil {
			return nil, err
		}
		ev.Sessions = int64(len(ids))
		for _, q := range slices.Concat(uprootFactors, []string{
			deletePasswordOf, deleteInvitesTo, deleteAddressOf, blankSessions,
			deleteAddressChangesOf, deleteLeaving,
			blankTokens, deleteLegacy,
			blankLooks,
			deleteUsesOf, blankGrants, blankReviews,
			deleteConsentsOf, deleteUpstreamOf,
			dropProvisioned, dropGroupPerson,
			deleteTermsOf,
		}) {
			if _, err := tx.Exec(ctx, q, acc.id); err != nil {
				return nil, err
			}
		}
		if letter != nil {
			if err := s.Mail.Enqueue(ctx, tx, *letter); err != nil {
				return nil, err
			}
		}
		n, err := tx.Exec(ctx, blankPerson, acc.id, stateErasing, us(tx.Now()))
		if err == nil && n == 0 { // somebody else began it meanwhile
			err = errErased
		}
		return ev, err
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("begin erasure: %w", err)
	}
	s.table.drop(s.Now(), ids...)
	s.tokensOf(ctx, acc.id)
	s.step("begun")
	s.receipt(ctx, who, o) // while there is a key: the entry outlives it
	s.step("told")
	return s.destroy(ctx, who, acc.id)
}

// errErased refuses the erasure of somebody who is erased, or about to be.
var errErased = fault.New(fault.Conflict, "erased", fault.Public{Problem: "This person was erased already."})

// step lets a test end the process between the steps of an erasure.
func (s *Service) step(name string) {
	if s.Seam != nil && s.Seam.Step != nil {
		s.Seam.Step(name)
	}
}

// destroy is the second half of an erasure; it may run again.
func (s *Service) destroy(ctx context.Context, who actor.Actor, id string) (Certificate, error) {
	d, err := s.Ring.Erase(ctx, keyring.Person(id)) // clause: data.crypto-erase
	if err != nil {
		return Certificate{}, fmt.Errorf("destroy key of person: %w", err)
	}
	s.step("destroyed")
	c := Certificate{Person: id, Pseudonym: d.Pseudonym, Keys: d.KeyIDs, Destroyed: d.At, Method: d.Method, Store: d.Store}
	rc, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, setState, id, stateErased, us(tx.Now()), stateErasing)
		if err == nil && n == 0 { // whoever finished it first recorded it
			err = errErased
		}
		if err != nil {
			return nil, err
		}
		return PersonErased{Person: id, Pseudonym: d.Pseudonym, Keys: d.KeyIDs, Destroyed: d.At, Method: d.Method, Store: d.Store}, nil
	})
	if errors.Is(err, errErased) {
		return c, nil
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("record erasure: %w", err)
	}
	c.Entry = rc.ID
	s.step("recorded")
	return c, nil
}

// finishErasures completes what a process began that died, here or on another node.
func (s *Service) finishErasures(ctx context.Context) error {
	var ids []string
	err := s.DB.Each(ctx, erasing, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return err
	}
	who := actor.System("identity-erasure")
	for _, id := range ids {
		// The receipt comes before the end of the key. That there is a key still may mean
		// that there is none: a second one says the same, that nothing is left.
		if _, err := s.Ring.Key(ctx, keyring.Person(id)); err == nil {
			s.receipt(ctx, who, offboarding{person: id, how: HowErased, begun: s.Now()})
		}
		if _, err := s.destroy(ctx, who, id); err != nil {
			return err
		}
	}
	return nil
}

// expire removes rows whose time is over.
func (s *Service) expire(ctx context.Context) error {
	now := s.Now()
	day := 24 * time.Hour
	var errs []error
	for _, e := range []struct {
		query string
		until time.Time
	}{
		{endOldLinks, now},
		{oldAttempts, now.Add(-day)},
		{oldFlows, now.Add(-day)},
		{oldQuestions, now.Add(-clockSlack)},
		{oldBegun, now.Add(-time.Hour)},
		{oldLinks, now.Add(-30 * day)},
		{endOldAddressChanges, now},
		{oldAddressChanges, now.Add(-30 * day)},
		{oldSessions, now.Add(-90 * day)},
		{oldDevices, now.Add(-400 * day)},
		{oldBuckets, now.Add(-day)},
		{oldUses, now.Add(-400 * day)},
		{blankInvites, now.Add(-30 * day)},
		{oldInvites, now.Add(-365 * day)},
	} {
		errs = append(errs, s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, e.query, us(e.until))
			return err
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what is past its time: %w", err)
	}
	return nil
}

const (
	setState    = `UPDATE identity_person SET state = $2, ended = $3 WHERE id = $1 AND state = $4`
	blankPerson = `UPDATE identity_person SET state = $2, ended = $3, name = NULL, handle = id WHERE id = $1 AND state NOT IN ('erasing', 'erased')`
	hasPassword = `SELECT (SELECT COUNT(*) FROM identity_password WHERE person = $1) + (SELECT COUNT(*) FROM identity_passkey WHERE person = $1)`
	otherOwners = `SELECT m.roles, w.person IS NOT NULL OR EXISTS (SELECT 1 FROM identity_passkey k WHERE k.person = m.person) FROM identity_member m LEFT JOIN identity_password w ON w.person = m.person JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE t.kind = 'staff' AND p.state = 'active' AND p.id <> $1`
	deletePasswordOf       = `DELETE FROM identity_password WHERE person = $1`
	deleteAddressOf        = `DELETE FROM identity_address WHERE person = $1`
	blankSessions          = `UPDATE identity_session SET place = NULL WHERE person = $1`
	blankTokens            = `UPDATE identity_token SET name = NULL WHERE person = $1`
	erasing                = `SELECT id FROM identity_person WHERE state = 'erasing'`
	endOldLinks            = `UPDATE identity_link SET ended = $1, cause = 'expired' WHERE ended IS NULL AND expires <= $1`
	oldAttempts            = `DELETE FROM identity_attempt WHERE expires < $1`
	deleteAddressChangesOf = `DELETE FROM identity_address_change WHERE person = $1`
	endOldAddressChanges   = `UPDATE identity_address_change SET ended = $1, cause = 'expired' WHERE ended IS NULL AND expires <= $1`
	oldAddressChanges      = `DELETE FROM identity_address_change WHERE ended < $1`
	oldLinks               = `DELETE FROM identity_link WHERE ended < $1`
	oldSessions            = `DELETE FROM identity_session WHERE ended < $1`
	oldDevices             = `DELETE FROM identity_device WHERE seen < $1`
)
