package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/legacy"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// SignIn is an attempt to sign in.
type SignIn struct {
	Email    string
	Password secret.Text
	Device   secret.Text // of the device cookie; may be empty
	Session  secret.Text // of the session cookie; that session ends
	Network  string
	Agent    string
}

// SignedInAs is a new session.
type SignedInAs struct {
	Token  secret.Text // for the session cookie
	Device secret.Text // for the device cookie; empty when the browser has a good one
	Who    actor.Actor
	Ends   time.Time
}

// signInRefused is the one answer to every refused sign-in.
func signInRefused() *fault.Error { // clause: auth.best-practice
	return fault.New(fault.Unauthenticated, "sign_in_refused", fault.Public{
		Problem:  "The address or the password is not right.",
		Expected: "The address and password of a confirmed account.",
		Next:     "Check both and try again, or ask for a link to set a new password.",
	})
}

// tried is one attempt on its way.
type tried struct {
	idx    string
	known  bool // the browser signed in as this person before
	shared bool // the browser signed in as somebody else before
	device string
	acc    account
	found  bool
	pw     stored
	all    []bucket
	clear  []bucket // cleared by a success
	less   []bucket // taken back by a success
}

// SignIn begins a session for the right password of an active person with a confirmed
// address. Every other answer is the same sign_in_refused at the same time, or
// too_many (fault.Limited) beyond the throttle.
func (s *Service) SignIn(ctx context.Context, who actor.Actor, in SignIn) (SignedInAs, error) {
	start := s.Now()
	t, err := s.prepareSignIn(ctx, who, in)
	if err != nil {
		return SignedInAs{}, err
	}
	if full, err := s.take(ctx, t.all...); err != nil {
		return SignedInAs{}, err
	} else if full != nil {
		return SignedInAs{}, s.refuse(ctx, who, SignInsThrottled{Door: "sign-in", Bucket: full.limit, Network: in.Network}, full.fault())
	}
	s.watchSpray(ctx, who, t)
	cause, err := s.prove(ctx, who, &t, in.Password)
	if err != nil {
		return SignedInAs{}, errors.Join(err, s.forgive(ctx, nil, t.all))
	}
	if cause == "" {
		as, err := s.enter(ctx, who, t, in)
		if !errors.Is(err, errStale) {
			return as, err
		}
		cause = "changed"
	}
	err = s.refuse(ctx, who, SignInRefused{Cause: cause, Address: t.idx, Network: in.Network}, signInRefused())
	s.hold(ctx, start)
	return SignedInAs{}, err
}

// prepareSignIn finds account, device and counters. An address that is none gets the
// same treatment under its text.
func (s *Service) prepareSignIn(ctx context.Context, who actor.Actor, in SignIn) (tried, error) {
	addr, err := ParseAddress(in.Email)
	if err != nil {
		addr = Address{Text: "nobody@invalid", Key: "malformed " + cut(in.Email, 256)}
	}
	var t tried
	if t.idx, err = s.index(ctx, addr); err != nil {
		return t, err
	}
	t.acc, err = s.accountByIndex(ctx, t.idx)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return t, err
	}
	t.found = err == nil
	if t.found && in.Device.Len() == tokenLength {
		err := ledger.One(ctx, s.DB, findDevice, []any{&t.device}, sum(in.Device), t.acc.id)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return t, fmt.Errorf("find device: %w", err)
		}
		t.known = err == nil
		var n int64
		if err := ledger.One(ctx, s.DB, countDevice, []any{&n}, sum(in.Device)); err != nil {
			return t, fmt.Errorf("find device: %w", err)
		}
		t.shared = n > 0 && !t.known
	}
	if t.known { // clause: auth.best-practice
		b, err := s.bucket(ctx, perDevice, t.idx, t.device)
		t.all, t.clear = []bucket{b}, []bucket{b}
		return t, err
	}
	pn, err1 := s.bucket(ctx, perNetwork, t.idx, who.ID)
	pp, err2 := s.bucket(ctx, perPerson, t.idx)
	on, err3 := s.bucket(ctx, overNetwork, who.ID)
	t.all, t.clear, t.less = []bucket{pn, pp, on}, []bucket{pn}, []bucket{pp, on}
	return t, errors.Join(err1, err2, err3)
}

func (s *Service) watchSpray(ctx context.Context, who actor.Actor, t tried) {
	if t.known {
		return
	}
	if n, tell := s.quick.sprayed(who.ID, t.idx, s.Now()); tell {
		if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
			return SprayingSeen{Addresses: n, Network: networkOf(who)}, nil
		}); err != nil {
			s.Log.Error("record spraying", "err", err)
		}
	}
}

// prove verifies the password and says why not; "" is yes. Whatever the account is, one
// hash is computed.
func (s *Service) prove(ctx context.Context, who actor.Actor, t *tried, typed secret.Text) (string, error) {
	cause, phc := "", s.dummyHash()
	switch {
	case !t.found:
		cause = "unknown"
	case t.acc.state != stateActive:
		cause = "not-active"
	case !t.acc.confirmed: // clause: auth.signup-email
		cause = "unconfirmed"
	default:
		pw, err := s.password(ctx, t.acc.id)
		switch {
		case errors.Is(err, fault.NotFound):
			cause = "no-password"
		case err != nil:
			return "", fmt.Errorf("read password: %w", err)
		default:
			t.pw, phc, cause = pw, pw.phc, s.over(pw)
		}
	}
	text, err := passhash.Normalize(typed.Reveal())
	if err != nil && cause == "" {
		cause = "wrong"
	}
	if err != nil {
		text = secret.NewText("not a password")
	}
	if err != nil {
		typed = text
	}
	ok, err := s.verifyTyped(ctx, who.ID, t.known, phc, typed, text) // clause: auth.compare
	if err != nil {
		return "", err
	}
	if cause == "" && !ok {
		cause = "wrong"
	}
	return cause, nil
}

// enter commits the session, then puts it into memory.
func (s *Service) enter(ctx context.Context, who actor.Actor, t tried, in SignIn) (SignedInAs, error) {
	var out SignedInAs
	b := begin{id: s.DB.ID(), person: t.acc.id, token: secret.RandomText(32), device: t.device, amr: "pwd"}
	newDevice := !t.known
	device := in.Device
	if newDevice {
		b.device = s.DB.ID()
		if !t.shared {
			device = secret.RandomText(32)
			out.Device = device
		}
	}
	var err error
	if b.place, err = s.sealPlace(ctx, t.acc.id, b.id, in.Network, in.Agent); err != nil {
		return out, err
	}
	fresh, err := s.rehash(ctx, who, t, in.Password)
	if err != nil {
		return out, err
	}
	var notice []jobs.Job
	if fresh.box != nil && fresh.min == 0 {
		if notice, err = s.weakNotice(ctx, t.acc.email); err != nil {
			return out, err
		}
	}
	former := s.table.find(in.Session)
	var l *live
	var ended []string
	_, err = s.DB.Change(ctx, person(t.acc.id, who), func(tx *ledger.Tx) (ledger.Event, error) {
		ended = nil
		if err := lockPerson(ctx, tx, t.acc.id); err != nil {
			return nil, err
		}
		if err := lockPassword(ctx, tx, t.acc.id, t.pw.box); err != nil {
			return nil, err
		}
		if newDevice {
			if _, err := tx.Exec(ctx, insertDevice, sum(device), t.acc.id, b.device, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		if l, err = insertSession(ctx, tx, b); err != nil {
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
		if _, err := tx.Exec(ctx, endResetsOf, t.acc.id, us(tx.Now()), "cancelled"); err != nil {
			return nil, err
		}
		ev := SignedIn{Person: t.acc.id, Session: b.id, Method: "password", ACR: 1, AMR: []string{"pwd"}, NewDevice: newDevice, Network: in.Network, Agent: cut(in.Agent, 200)}
		if fresh.box != nil {
			ev.Rehashed = fresh.scheme
			if err := fresh.store(ctx, tx, t.acc.id); err != nil {
				return nil, err
			}
			for _, j := range notice {
				if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
					return nil, err
				}
			}
		}
		return ev, nil
	})
	if err != nil {
		return SignedInAs{}, fmt.Errorf("begin session: %w", err)
	}
	if err := s.forgive(ctx, t.clear, t.less); err != nil {
		s.Log.Error("forgive attempts after a sign-in", "err", err) // the session stands
	}
	s.table.drop(s.Now(), ended...)
	s.table.put(l)
	out.Token = b.token
	out.Ends = l.started.Add(s.Rules.Get().absolute(l.staff))
	out.Who = actor.Actor{Kind: actor.Person, ID: l.person, Team: l.team, Roles: l.roles, Session: l.id, ACR: l.acr, FactorAt: l.factorAt, Via: who.Via}
	return out, nil
}

// rehash renews a hash that is behind the policy, now that the password is known.
func (s *Service) rehash(ctx context.Context, who actor.Actor, t tried, typed secret.Text) (hashed, error) {
	if !passhash.NeedsRehash(t.pw.phc, s.params()) { // clause: auth.hash
		return hashed{}, nil
	}
	text, err := passhash.Normalize(typed.Reveal())
	if err != nil {
		return hashed{}, err
	}
	if legacy.Is(t.pw.phc) { // clause: auth.hash
		return s.hash(ctx, who, t.known, s.acceptedOf(t, text), "identity_password.phc", t.acc.id)
	}
	var min int
	var list string
	if err := ledger.One(ctx, s.DB, passedOf, []any{&min, &list}, t.acc.id); err != nil {
		return hashed{}, fmt.Errorf("read password: %w", err)
	}
	return s.hash(ctx, who, t.known, accepted{text: text, min: min, list: list}, "identity_password.phc", t.acc.id)
}

// lockPerson makes sure, inside a change, that the person is active, and keeps it so
// until the commit.
func lockPerson(ctx context.Context, tx *ledger.Tx, person string) error {
	n, err := tx.Exec(ctx, holdPerson, person)
	if err == nil && n != 1 {
		err = errStale
	}
	return err
}

const (
	findDevice   = `SELECT id FROM identity_device WHERE token = $1 AND person = $2`
	countDevice  = `SELECT COUNT(*) FROM identity_device WHERE token = $1`
	insertDevice = `INSERT INTO identity_device (token, person, id, created, seen) VALUES ($1, $2, $3, $4, $4)`
	endResetsOf  = `UPDATE identity_link SET ended = $2, cause = $3 WHERE person = $1 AND kind = 'reset' AND ended IS NULL`
	holdPerson   = `UPDATE identity_person SET state = state WHERE id = $1 AND state = 'active'`
	passedOf     = `SELECT passed, list FROM identity_password WHERE person = $1`
)
