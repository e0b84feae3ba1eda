package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

// A session that gains a role gets another token before the role counts, so that whoever
// took the former one gained nothing (and whoever planted it neither):
//
//	lend ─► loan with the counter's value ─► next request: loan newer than the token ─► Renew
//	        new token in the answer, the loan counts in this request already
//	        the former token: dead, but for what this browser has under way
//
// A role that is lost needs no new token: it counts no more at once.

// underWay is how long the former token stands, for what it stood for before: the
// requests that a browser sent together with the one whose answer brings the new token.
const underWay = 15 * time.Second

// errRenewed says that another request of the session was faster.
var errRenewed = errors.New("the session has another token already")

// Renewed is a session under its new token.
type Renewed struct {
	Token secret.Text
	Ends  time.Time
}

// renew gives a session another token. Of requests at one moment one does it; errRenewed
// to the others.
func (s *Service) renew(ctx context.Context, who actor.Actor, token secret.Text) (Renewed, error) {
	fresh := secret.RandomText(32)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, renewSession, who.Session, who.ID, sum(token), sum(fresh), us(tx.Now().Add(underWay)), change)
		if err == nil && n != 1 {
			err = errRenewed
		}
		if err != nil {
			return nil, err
		}
		var lent []string
		err = tx.Each(ctx, lentBefore, func(scan scanner) error {
			var role string
			err := scan(&role)
			lent = append(lent, role)
			return err
		}, who.ID, who.Team, change, us(tx.Now()))
		return SessionRenewed{Person: who.ID, Session: who.Session, Roles: rolesOf(rolesText(lent))}, err
	})
	if err != nil && !errors.Is(err, errRenewed) {
		return Renewed{}, fmt.Errorf("renew session: %w", err)
	}
	if rerr := s.reread(ctx, who.ID); rerr != nil {
		return Renewed{}, rerr
	}
	if err != nil {
		return Renewed{}, err
	}
	l, _ := s.table.find(fresh)
	if l == nil { // ended meanwhile
		return Renewed{}, errEnded()
	}
	return Renewed{Token: fresh, Ends: l.ends(s.Rules.Get())}, nil
}

// RenewFrom gives the session of who another token, sets its cookie and says who acts
// with it. Where another request did so first, who goes on as what they were.
func (s *Service) RenewFrom(ctx context.Context, w http.ResponseWriter, who actor.Actor, token secret.Text) (actor.Actor, secret.Text, error) {
	x, err := s.renew(ctx, who, token)
	if errors.Is(err, errRenewed) {
		return who, token, nil
	}
	if err != nil {
		return who, token, err
	}
	web.SetCookie(w, SessionCookie, x.Token, x.Ends.Sub(s.Now())) // clause: auth.best-practice
	now, err := s.Lookup(ctx, x.Token)
	return now, x.Token, err
}

// Renew implements web.Renewer. A session that could not be renewed goes on as what it was.
func (s *Service) Renew(w http.ResponseWriter, r *http.Request) (actor.Actor, error) {
	token := web.Cookie(r, SessionCookie)
	if _, given := web.Bearer(r); given || token.IsZero() {
		return s.Identify(r)
	}
	who, x, err := s.Session(r.Context(), token)
	if err != nil || !x.Gained {
		return who, err
	}
	now, fresh, err := s.RenewFrom(r.Context(), w, who, token)
	if err != nil {
		if errors.Is(err, fault.Unauthenticated) {
			return actor.Actor{}, err
		}
		s.Log.Error("session could not be renewed", "err", err)
		return who, nil
	}
	web.ReplaceCookie(r, SessionCookie, fresh)
	return now, nil
}

const (
	renewSession = `UPDATE identity_session SET token = $4, former = token, former_turned = turned, former_ends = $5, turned = $6, change = $6
		WHERE id = $1 AND person = $2 AND token = $3 AND ended IS NULL`
	lentBefore = `SELECT role FROM identity_grant WHERE person = $1 AND team = $2 AND change <= $3 AND began IS NOT NULL AND ended IS NULL AND until > $4`
)
