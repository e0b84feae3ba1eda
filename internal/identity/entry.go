package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

// Entry is a sign-in that was proved elsewhere: by an upstream provider.
type Entry struct {
	Person  string
	Method  string // for the journal: upstream
	ACR     int    // 1, or 2 where the provider's second factor is trusted
	AMR     []string
	Device  secret.Text // of the device cookie; may be empty
	Session secret.Text // of the session cookie; that session ends
	Network string
	Agent   string
}

// Enter begins a session for an active person with a confirmed address whose proof the
// caller has checked. Everybody else is refused as at the sign-in form.
func (s *Service) Enter(ctx context.Context, who actor.Actor, in Entry) (SignedInAs, error) {
	acc, err := s.account(ctx, in.Person)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return SignedInAs{}, err
	}
	if err != nil || acc.state != stateActive || !acc.confirmed { // clause: auth.signup-email
		return SignedInAs{}, s.refuse(ctx, who, SignInRefused{Cause: "not-active", Network: in.Network}, signInRefused())
	}
	var out SignedInAs
	b := begin{id: s.DB.ID(), person: acc.id, token: secret.RandomText(32), amr: rolesText(in.AMR)}
	fresh, deviceHash, err := s.deviceOf(ctx, in.Device, acc.id, &b)
	if err != nil {
		return out, err
	}
	out.Device = fresh
	if b.place, err = s.sealPlace(ctx, acc.id, b.id, in.Network, in.Agent); err != nil {
		return out, err
	}
	former := s.table.find(in.Session)
	acr := max(1, min(in.ACR, 2))
	var l *live
	var ended []string
	_, err = s.DB.Change(ctx, person(acc.id, who), func(tx *ledger.Tx) (ledger.Event, error) {
		ended = nil
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if deviceHash != "" {
			if _, err := tx.Exec(ctx, insertDevice, deviceHash, acc.id, b.device, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		if l, err = insertSession(ctx, tx, b); err != nil {
			return nil, err
		}
		l.acr = acr
		if _, err := tx.Exec(ctx, setACR, b.id, int64(acr)); err != nil {
			return nil, err
		}
		if former != nil { // clause: auth.best-practice
			n, err := tx.Exec(ctx, endOneSession, former.id, former.person, us(tx.Now()), "replaced", l.change)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				ended = append(ended, former.id)
				tx.Also(SessionEnded{Person: former.person, Session: former.id, Cause: "replaced", Count: 1})
			}
		}
		return SignedIn{Person: acc.id, Session: b.id, Method: in.Method, ACR: acr, AMR: in.AMR, NewDevice: deviceHash != "", Network: in.Network, Agent: cut(in.Agent, 200)}, nil
	})
	if errors.Is(err, errStale) {
		return SignedInAs{}, s.refuse(ctx, who, SignInRefused{Cause: "changed", Network: in.Network}, signInRefused())
	}
	if err != nil {
		return SignedInAs{}, fmt.Errorf("begin session: %w", err)
	}
	s.table.drop(s.Now(), ended...)
	s.table.put(l)
	out.Token, out.Ends = b.token, l.started.Add(s.Rules.Get().absolute(l.staff))
	out.Who = actor.Actor{Kind: actor.Person, ID: l.person, Team: l.team, Roles: l.roles, Session: l.id, ACR: l.acr, FactorAt: l.factorAt, Via: who.Via}
	return out, nil
}

// deviceOf finds the browser among those known for the person, or makes a cookie for it.
func (s *Service) deviceOf(ctx context.Context, given secret.Text, person string, b *begin) (fresh secret.Text, hash string, err error) {
	if given.Len() == tokenLength {
		err := ledger.One(ctx, s.DB, findDevice, []any{&b.device}, sum(given), person)
		if err == nil || !errors.Is(err, fault.NotFound) {
			return fresh, "", err
		}
	}
	b.device, fresh = s.DB.ID(), secret.RandomText(32)
	return fresh, sum(fresh), nil
}

// EnterFrom is Enter for whoever sends the request; it sets the cookies.
func (s *Service) EnterFrom(w http.ResponseWriter, r *http.Request, in Entry) error {
	who := web.StrangerOf(r)
	in.Device, in.Session, in.Network, in.Agent = web.Cookie(r, DeviceCookie), web.Cookie(r, SessionCookie), who.ID, r.UserAgent()
	as, err := s.Enter(r.Context(), who, in)
	if err != nil {
		return err
	}
	web.SetCookie(w, SessionCookie, as.Token, as.Ends.Sub(s.Now()))
	if !as.Device.IsZero() {
		web.SetCookie(w, DeviceCookie, as.Device, deviceLife)
	}
	return nil
}

// PersonByAddress is an active person with this confirmed address; everybody else is
// fault.NotFound.
func (s *Service) PersonByAddress(ctx context.Context, email string) (Person, error) {
	addr, err := ParseAddress(email)
	if err != nil {
		return Person{}, noPerson()
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return Person{}, err
	}
	acc, err := s.accountByIndex(ctx, idx)
	if errors.Is(err, fault.NotFound) || err == nil && (!acc.confirmed || acc.state != stateActive) {
		return Person{}, noPerson()
	}
	if err != nil {
		return Person{}, err
	}
	return s.ActivePerson(ctx, acc.id)
}

const (
	setACR           = `UPDATE identity_session SET acr = $2 WHERE id = $1`
	deleteUpstreamOf = `DELETE FROM identity_upstream_link WHERE person = $1`
)
