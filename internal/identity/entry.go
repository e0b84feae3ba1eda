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

// Entry is a sign-in that was proved elsewhere: by an upstream provider.
type Entry struct {
	Person  string
	Method  string // for the journal: upstream
	ACR     int    // 1, or 2 where the provider's second factor is trusted
	AMR     []string
	At      time.Time   // when they showed it, where the provider says so; zero = now
	Device  secret.Text // of the device cookie; may be empty
	Session secret.Text // of the session cookie; that session ends
	Network string
	Agent   string
}

// Enter is the sign-in of an active person with a confirmed address whose proof the
// caller has checked: a session, or the next step where the person must show a factor
// that the proof does not hold. Everybody else is refused as at the sign-in form.
func (s *Service) Enter(ctx context.Context, who actor.Actor, in Entry) (SignedInAs, error) {
	acc, err := s.account(ctx, in.Person)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return SignedInAs{}, err
	}
	if err != nil || acc.state != stateActive || !acc.confirmed { // clause: auth.signup-email
		return SignedInAs{}, s.refuse(ctx, who, SignInRefused{Cause: "not-active", Network: in.Network}, signInRefused())
	}
	br, err := s.browserOf(ctx, in.Device, acc.id)
	if err != nil {
		return SignedInAs{}, err
	}
	e, err := s.entry(ctx, acc, br, SignIn{Device: in.Device, Session: in.Session, Network: in.Network, Agent: in.Agent})
	if err != nil {
		return SignedInAs{}, err
	}
	if now := s.Now(); !in.At.IsZero() && in.At.Before(now) {
		e.b.factorAt = in.At // a provider that only remembers somebody has not asked them now
	}
	b := s.beginning(e, shown{acr: max(1, min(in.ACR, 2)), amr: rolesText(in.AMR), method: in.Method})
	_, err = s.DB.Change(ctx, person(acc.id, who), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		return b.write(ctx, s, tx)
	})
	if errors.Is(err, errStale) {
		return SignedInAs{}, s.refuse(ctx, who, SignInRefused{Cause: "changed", Network: in.Network}, signInRefused())
	}
	if err != nil {
		return SignedInAs{}, fmt.Errorf("begin session: %w", err)
	}
	return s.led(ctx, who, b)
}

// EnterFrom is Enter for whoever sends the request. It sets the cookies and leads on: to
// the path where somebody wanted to go, or to the next step.
func (s *Service) EnterFrom(w http.ResponseWriter, r *http.Request, in Entry, to string) error {
	who := web.StrangerOf(r)
	in.Device, in.Session, in.Network, in.Agent = web.Cookie(r, DeviceCookie), web.Cookie(r, SessionCookie), who.ID, r.UserAgent()
	as, err := s.Enter(r.Context(), who, in)
	if err != nil {
		return err
	}
	s.setCookies(w, as)
	return onward(w, r, as, to)
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

const deleteUpstreamOf = `DELETE FROM identity_upstream_link WHERE person = $1`
