package identity

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// A service without a live owner does nothing from the next reading of its rights on
// (liveToken.rights: at once on this node, at the next poll on others). Here it is said:
// the row knows since when, the journal and the people of its team learn of it.

// errTended says that another node was faster, or the owner came back.
var errTended = errors.New("the service is as it should be")

// tendServices suspends services that nobody stands behind, and lifts that where somebody
// does again.
func (s *Service) tendServices(ctx context.Context) error {
	type found struct {
		ProgramAccount
		alone bool
	}
	var out []found
	err := s.DB.Each(ctx, servicesToTend, func(scan scanner) error {
		var f found
		err := scan(&f.ID, &f.Team, &f.Name, &f.Owner, &f.alone)
		out = append(out, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("find services that nobody stands behind: %w", err)
	}
	for _, f := range out {
		if err := s.suspendService(ctx, f.ProgramAccount, f.alone); err != nil && !errors.Is(err, errTended) {
			return err
		}
	}
	return nil
}

func (s *Service) suspendService(ctx context.Context, v ProgramAccount, alone bool) error {
	var letters []jobs.Job
	if alone {
		v.Owner = "" // the team hears of it
		people, err := s.standBehind(ctx, v)
		if err != nil {
			return err
		}
		for _, id := range people {
			j, err := s.letter(ctx, s.Email(ctx, id), s.suspendedLetter(v.Name))
			if err != nil {
				return err
			}
			letters = append(letters, j)
		}
	}
	_, err := s.DB.Change(ctx, actor.System("identity-services"), func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		query, args := suspendOne, []any{v.ID, us(tx.Now())}
		if !alone {
			query, args = liftOne, args[:1]
		}
		n, err := tx.Exec(ctx, query, args...)
		if err == nil && n != 1 {
			err = errTended
		}
		if err == nil {
			_, err = tx.Exec(ctx, touchServiceTokens, v.ID, change) // every node reads their rights again
		}
		for _, j := range letters {
			if err == nil {
				err = s.Mail.Enqueue(ctx, tx, j)
			}
		}
		return ServiceSuspended{Service: v.ID, Team: v.Team, Lifted: !alone}, err
	})
	if err != nil {
		return fmt.Errorf("suspend a service: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.service == v.ID })
	return nil
}

func (s *Service) suspendedLetter(name string) typedLetter {
	return typedLetter{kind: "identity.service-suspended", Letter: mail.Letter{
		Title: "A program's account does nothing any more",
		Lines: []string{fmt.Sprintf("Nobody stands behind the service %s any more: its owner has left or may no longer do what it does. Its tokens are refused.", name),
			"If it is still needed, make a new service with an owner who is here. If not, end it."},
		Link: &mail.Link{Text: "See the services", URL: s.Origin + "/-/account#tokens"},
		Foot: []string{"Since " + stamp(s.Now()) + "."},
	}}
}

// probeServices looks for tokens of services that act though nobody stands behind them.
func (s *Service) probeServices(ctx context.Context) (clause.Result, error) {
	lonely := map[string]bool{}
	var all, silent int64
	err := s.DB.Each(ctx, servicesAlone, func(scan scanner) error {
		var id string
		var alone, known bool
		if err := scan(&id, &alone, &known); err != nil {
			return err
		}
		all++
		if alone {
			lonely[id] = true
			if !known {
				silent++
			}
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("look who stands behind services: %w", err)
	}
	var acting int64
	s.tokens.mu.RLock()
	for _, l := range s.tokens.byID {
		if lonely[l.service] && l.kind == ServiceToken && len(l.roles) > 0 {
			acting++
		}
	}
	s.tokens.mu.RUnlock()
	return judged(acting == 0, all, fmt.Sprintf("of %d services nobody stands behind %d; tokens of these that still act: %d; not yet said so: %d", all, len(lonely), acting, silent)), nil
}

// nobodyBehind is true of a service v whose owner is gone, or whose team is.
const nobodyBehind = `CASE WHEN v.owner = '' THEN NOT EXISTS (SELECT 1 FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = v.team AND p.state = 'active')
	ELSE NOT EXISTS (SELECT 1 FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = v.team AND m.person = v.owner AND m.roles <> '' AND p.state = 'active') END`

const (
	servicesToTend = `SELECT v.id, v.team, v.name, v.owner, v.suspended IS NULL FROM identity_service v
		WHERE v.ended IS NULL AND (v.suspended IS NULL) = (` + nobodyBehind + `) ORDER BY v.id LIMIT 200`
	servicesAlone      = `SELECT v.id, ` + nobodyBehind + `, v.suspended IS NOT NULL FROM identity_service v WHERE v.ended IS NULL`
	suspendOne         = `UPDATE identity_service SET suspended = $2 WHERE id = $1 AND suspended IS NULL AND ended IS NULL`
	liftOne            = `UPDATE identity_service SET suspended = NULL WHERE id = $1 AND suspended IS NOT NULL AND ended IS NULL`
	touchServiceTokens = `UPDATE identity_token SET change = $2 WHERE service = $1 AND ended IS NULL`
)
