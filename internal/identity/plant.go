package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// planted is a person that a control put there for one run.
type planted struct {
	id, email, idx string
	password       secret.Text
}

// fixedCanary begins the ids of planted people. A control uses one id again and again,
// so that keys do not pile up in the store of keys.
const fixedCanary = "canary-"

// plant makes a person in a team of kind canary, with a fresh address and password, and
// what ends it again. Leftovers of a former run go first.
func (s *Service) plant(ctx context.Context, door *canary.Door, control string, roles ...string) (planted, func(), error) {
	if len(roles) == 0 {
		roles = []string{RoleMember}
	}
	id := fixedCanary + strings.TrimPrefix(control, "identity.")
	if err := s.uproot(ctx, control, id); err != nil {
		return planted{}, nil, err
	}
	addr, err := ParseAddress(door.Address())
	if err != nil {
		return planted{}, nil, err
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return planted{}, nil, err
	}
	p, err := s.sealPerson(ctx, newPerson{fixed: id, name: "Canary", addr: addr, idx: idx, kind: Canary, roles: roles, how: "operator", terms: agreed{s.Rules.Get().Terms, termsPlanted}})
	if err != nil {
		return planted{}, nil, err
	}
	who := actor.System("canary")
	pw := s.freshPassword()
	text, err := passhash.Normalize(pw.Reveal())
	if err != nil {
		return planted{}, nil, err
	}
	h, err := s.hash(ctx, who, true, accepted{text: text, min: s.Rules.Get().Min, list: s.banned().Hash()}, "identity_password.phc", id)
	if err != nil {
		return planted{}, nil, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		// A grace of the policy is over for them: what is tried is what comes after it.
		for _, acr := range []int64{2, 3} {
			if _, err := tx.Exec(ctx, beginGrace, id, acr, us(tx.Now()), us(tx.Now())); err != nil {
				return nil, err
			}
		}
		return CanaryPlanted{Control: control, What: "person", Person: id}, h.store(ctx, tx, id)
	})
	if err != nil {
		return planted{}, nil, fmt.Errorf("plant person: %w", err)
	}
	return planted{id, addr.Text, idx, pw}, func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := s.uproot(clean, control, id); err != nil {
			s.Log.Error("sweep what a control planted", "control", control, "err", err)
		}
	}, nil
}

// freshPassword is random text that every rule accepts.
func (s *Service) freshPassword() secret.Text {
	return secret.NewText(letters(max(s.Rules.Get().Min, 20)))
}

// letters is random text of n characters.
func letters(n int) string { return secret.RandomText(n).Reveal()[:n] }

// plantLink puts a working link for a planted person and returns its token.
func (s *Service) plantLink(ctx context.Context, control, person string, kind LinkKind) (string, error) {
	l := s.link(kind, person, "")
	_, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		return CanaryPlanted{Control: control, What: string(kind), Person: person}, l.insert(ctx, tx)
	})
	if err != nil {
		return "", fmt.Errorf("plant link: %w", err)
	}
	return l.token.Reveal(), nil
}

// backDate makes the newest reset link of a planted person older than it is.
func (s *Service) backDate(ctx context.Context, control, person string, by time.Duration) error {
	_, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, shiftLink, person, by.Microseconds())
		if err == nil && n != 1 {
			err = fmt.Errorf("%d links to back-date, want one", n)
		}
		return CanaryPlanted{Control: control, What: "reset link made older", Person: person, BackDate: by}, err
	})
	return err
}

// backDateInvitation makes an invitation of a planted team older than it is.
func (s *Service) backDateInvitation(ctx context.Context, control, id, person string, by time.Duration) error {
	_, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, shiftInvite, id, by.Microseconds())
		if err == nil && n != 1 {
			err = fmt.Errorf("%d invitations to back-date, want one", n)
		}
		return CanaryPlanted{Control: control, What: "invitation made older", Person: person, BackDate: by}, err
	})
	return err
}

// uproot removes a planted person with everything of theirs.
func (s *Service) uproot(ctx context.Context, control string, ids ...string) error {
	var live []rooted
	for _, id := range ids {
		var team string
		err := ledger.One(ctx, s.DB, canaryTeam, []any{&team}, id)
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("find planted person: %w", err)
		}
		live = append(live, rooted{id, team})
	}
	if len(live) == 0 {
		return nil
	}
	var sessions []string
	_, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		sessions = nil
		for _, l := range live {
			more, err := endSessionsIn(ctx, tx, l.person, "", "canary-swept")
			if err != nil {
				return nil, err
			}
			sessions = append(sessions, more...)
			for _, q := range uprootPerson {
				if _, err := tx.Exec(ctx, q, l.person); err != nil {
					return nil, err
				}
			}
			for _, q := range append(slices.Clone(uprootDirectory), uprootInvites, uprootTeam) { // whoever goes last takes the team along
				if _, err := tx.Exec(ctx, q, l.team); err != nil {
					return nil, err
				}
			}
		}
		return CanarySwept{Control: control, People: int64(len(live))}, nil
	})
	if err != nil {
		return fmt.Errorf("sweep planted people: %w", err)
	}
	s.table.drop(s.Now(), sessions...)
	s.tokens.dropOf(s.Now(), func(t *liveToken) bool {
		return slices.ContainsFunc(live, func(l rooted) bool { return t.person == l.person || t.service != "" && t.team == l.team })
	})
	for _, l := range live {
		if strings.HasPrefix(l.person, fixedCanary) {
			continue
		}
		if _, err := s.Ring.Erase(ctx, keyring.Person(l.person)); err != nil && !errors.Is(err, fault.NotFound) {
			return fmt.Errorf("destroy key of planted person: %w", err)
		}
	}
	return nil
}

type rooted struct{ person, team string }

// uprootSignUps removes people and attempts that a control made through the door.
func (s *Service) uprootSignUps(ctx context.Context, control string, emails ...string) error {
	for _, e := range emails {
		addr, err := ParseAddress(e)
		if err != nil {
			return err
		}
		idx, err := s.index(ctx, addr)
		if err != nil {
			return err
		}
		if _, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
			if _, err := tx.Exec(ctx, endLinksOfAddress, idx, us(tx.Now()), "cancelled"); err != nil {
				return nil, err
			}
			_, err := tx.Exec(ctx, deleteAttemptsOf, idx)
			return CanarySwept{Control: control}, err
		}); err != nil {
			return fmt.Errorf("sweep sign-ups: %w", err)
		}
		acc, err := s.accountByIndex(ctx, idx)
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.uproot(ctx, control, acc.id); err != nil {
			return err
		}
	}
	return nil
}

// sweepOld removes planted people whose control never came back for them.
func (s *Service) sweepOld(ctx context.Context) error {
	var ids []string
	err := s.DB.Each(ctx, oldCanaries, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, us(s.Now().Add(-time.Hour)))
	if err != nil {
		return fmt.Errorf("find leftovers of controls: %w", err)
	}
	return s.uproot(ctx, "identity.sweep", ids...)
}

const (
	canaryTeam    = `SELECT m.team FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = $1 AND t.kind = 'canary'`
	shiftLink     = `UPDATE identity_link SET issued = issued - $2, expires = expires - $2 WHERE person = $1 AND kind = 'reset' AND ended IS NULL`
	uprootTeam    = `DELETE FROM identity_team WHERE id = $1 AND kind = 'canary' AND NOT EXISTS (SELECT 1 FROM identity_member m WHERE m.team = $1)`
	uprootInvites = `DELETE FROM identity_invitation WHERE team = $1 AND NOT EXISTS (SELECT 1 FROM identity_member m WHERE m.team = $1)`
	shiftInvite   = `UPDATE identity_invitation SET issued = issued - $2, expires = expires - $2 WHERE id = $1 AND ended IS NULL`

	oldCanaries = `SELECT m.person FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE t.kind = 'canary' AND p.created < $1 LIMIT 100`
)

// uprootDirectory removes the directory of a team that a control planted, with its last person.
var uprootDirectory = []string{
	`DELETE FROM identity_scim_user WHERE connection IN (SELECT id FROM identity_scim WHERE team = $1)` + nobodyLeft,
	`DELETE FROM identity_scim WHERE team = $1` + nobodyLeft,
	`DELETE FROM identity_token WHERE team = $1 AND kind = 'service'` + nobodyLeft,
	`DELETE FROM identity_service WHERE team = $1` + nobodyLeft,
}

const nobodyLeft = ` AND NOT EXISTS (SELECT 1 FROM identity_member m WHERE m.team = $1)`

// uprootFactors removes everything of a person beside the password.
var uprootFactors = []string{
	`DELETE FROM identity_factor WHERE person = $1`,
	`DELETE FROM identity_passkey WHERE person = $1`,
	`DELETE FROM identity_recovery WHERE person = $1`,
	`DELETE FROM identity_flow WHERE person = $1`,
	`DELETE FROM identity_grace WHERE person = $1`,
	`DELETE FROM identity_factor_reset WHERE person = $1`,
	deleteTermsOf,
}

var uprootPerson = append(slices.Concat(uprootFactors, uprootSupport),
	`DELETE FROM identity_session WHERE person = $1`,
	`DELETE FROM identity_scim_user WHERE person = $1`,
	`DELETE FROM identity_scim_member WHERE person = $1`,
	`DELETE FROM identity_oidc_login WHERE person = $1`,
	`DELETE FROM identity_oidc_consent WHERE person = $1`,
	`DELETE FROM identity_upstream_link WHERE person = $1`,
	`DELETE FROM identity_grant WHERE person = $1`,
	`DELETE FROM identity_use WHERE person = $1`,
	`DELETE FROM identity_device WHERE person = $1`,
	`DELETE FROM identity_link WHERE person = $1`,
	`DELETE FROM identity_password WHERE person = $1`,
	`DELETE FROM identity_token WHERE person = $1`,
	`DELETE FROM identity_legacy WHERE person = $1`,
	`DELETE FROM identity_address WHERE person = $1`,
	`DELETE FROM identity_member WHERE person = $1`,
	`DELETE FROM identity_person WHERE id = $1`,
)
