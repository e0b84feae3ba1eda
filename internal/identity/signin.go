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

// SignedInAs is what a step of a sign-in led to: a session, or the next step.
type SignedInAs struct {
	Next    string      // done, factor, enrol
	Token   secret.Text // for the session cookie; empty before a second factor
	Device  secret.Text // for the device cookie; empty when the browser has a good one
	Who     actor.Actor
	Ends    time.Time
	Flow    secret.Text // names the sign-in that waits for a factor
	Bind    secret.Text // for the flow cookie: the flow is this browser's alone
	Factors []string    // kinds that this person can show
}

// What comes after a step of a sign-in.
const (
	NextDone   = "done"
	NextSignIn = "sign-in" // a new password is set: sign in with it
	NextFactor = "factor"  // show a second factor
	NextEnrol  = "enrol"   // set up a second factor; the session reaches nothing else
)

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
	browserOf
	idx   string
	acc   account
	found bool
	pw    stored
	all   []bucket
	clear []bucket // cleared by a success
	less  []bucket // taken back by a success
}

// browserOf is what a device cookie says of a browser and a person.
type browserOf struct {
	known  bool // the browser signed in as this person before
	shared bool // the browser signed in as somebody else before
	device string
	trust  time.Time // until when it skips the second factor
}

func (s *Service) browserOf(ctx context.Context, token secret.Text, person string) (browserOf, error) {
	var b browserOf
	if token.Len() != tokenLength {
		return b, nil
	}
	var since *int64
	err := ledger.One(ctx, s.DB, findDevice, []any{&b.device, &since}, sum(token), person)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return b, fmt.Errorf("find device: %w", err)
	}
	b.known = err == nil
	if since != nil && !tooEarly(s.Now(), at(*since)) {
		b.trust = at(*since).Add(s.Rules.Get().RememberDevice)
	}
	var n int64
	if err := ledger.One(ctx, s.DB, countDevice, []any{&n}, sum(token)); err != nil {
		return b, fmt.Errorf("find device: %w", err)
	}
	b.shared = n > 0 && !b.known
	return b, nil
}

// SignIn begins a session for the right password of an active person with a confirmed
// address, or says which step comes next. Every other answer is the same sign_in_refused at the same time, or
// too_many (fault.Limited) beyond the throttle.
func (s *Service) SignIn(ctx context.Context, who actor.Actor, in SignIn) (SignedInAs, error) {
	start := s.Now()
	t, err := s.prepareSignIn(ctx, who, in)
	if err != nil {
		return SignedInAs{}, err
	}
	s.watchSpray(ctx, who, t)
	if full, err := s.take(ctx, t.all...); err != nil {
		return SignedInAs{}, err
	} else if full != nil {
		return SignedInAs{}, s.refuse(ctx, who, SignInsThrottled{Door: "sign-in", Bucket: full.limit, Network: in.Network}, full.fault())
	}
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
	if t.found {
		if t.browserOf, err = s.browserOf(ctx, in.Device, t.acc.id); err != nil {
			return t, err
		}
	}
	if t.known { // clause: auth.best-practice
		b, err := s.bucket(ctx, perDevice, t.idx, t.device)
		t.all, t.clear = []bucket{b}, []bucket{b}
		return t, err
	}
	pn, err1 := s.bucket(ctx, perNetwork, t.idx, who.ID)
	pp, err2 := s.bucket(ctx, perPerson, t.idx)
	on, err3 := s.bucket(ctx, overNetwork, who.ID)
	an, err4 := s.addresses(ctx, pn, who.ID)
	t.all, t.clear, t.less = []bucket{pn, pp, on, an}, []bucket{pn}, []bucket{pp, on, an}
	return t, errors.Join(err1, err2, err3, err4)
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
	case t.acc.roles == "": // clause: access.need-ends (every role was taken away)
		cause = "no-role"
	case !t.acc.confirmed: // clause: auth.signup-email
		cause = "unconfirmed"
	case t.acc.roles == "": // removed from the only team
		cause = "no-team"
	default:
		pw, err := s.password(ctx, t.acc.id)
		switch {
		case errors.Is(err, fault.NotFound):
			cause = "no-password"
		case err != nil:
			return "", fmt.Errorf("read password: %w", err)
		case pw.locked: // clause: auth.best-practice
			cause = "locked"
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

// enter is what follows a right password: a session, or a flow that waits for the
// second factor. Which of them is decided inside the change, by the rows as they are then.
func (s *Service) enter(ctx context.Context, who actor.Actor, t tried, in SignIn) (SignedInAs, error) {
	e, err := s.entry(ctx, t.acc, t.browserOf, in)
	if err != nil {
		return SignedInAs{}, err
	}
	fresh, err := s.rehash(ctx, who, t, in.Password)
	if err != nil {
		return SignedInAs{}, err
	}
	var notice []jobs.Job
	if fresh.box != nil && fresh.min == 0 {
		if notice, err = s.weakNotice(ctx, t.acc.email); err != nil {
			return SignedInAs{}, err
		}
	}
	b := s.beginning(e, shown{acr: 1, amr: "pwd", method: "password", trusted: t.trust})
	if fresh.box != nil {
		b.rehashed = fresh.scheme
	}
	_, err = s.DB.Change(ctx, person(t.acc.id, who), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, t.acc.id); err != nil {
			return nil, err
		}
		if err := lockPassword(ctx, tx, t.acc.id, t.pw.box); err != nil {
			return nil, err
		}
		if fresh.box != nil {
			if err := fresh.store(ctx, tx, t.acc.id); err != nil {
				return nil, err
			}
			for _, j := range notice {
				if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
					return nil, err
				}
			}
		}
		ev, err := b.write(ctx, s, tx)
		if err != nil {
			return nil, err
		}
		return ev, forgiveIn(ctx, tx, t.clear, t.less)
	})
	if err != nil {
		return SignedInAs{}, fmt.Errorf("begin session: %w", err)
	}
	return s.led(ctx, who, b)
}

// beginning is what a first proof leads to: a session, or a flow that waits for a second
// factor. Which of them is decided inside the change, by the rows as they are then.
type beginning struct {
	e        *entry
	sh       shown
	f        flow
	rules    *Rules
	rehashed string // the scheme that the password's hash was renewed to
	waits    bool
}

func (s *Service) beginning(e *entry, sh shown) *beginning {
	return &beginning{e: e, sh: sh, f: newFlow(flowSignIn, e.b.person, sh.amr), rules: s.Rules.Get()}
}

func (b *beginning) write(ctx context.Context, s *Service, tx *ledger.Tx) (ledger.Event, error) {
	n, err := needOf(ctx, tx, b.rules, b.e.b.person)
	if err != nil {
		return nil, err
	}
	if b.waits = n.acr > b.sh.acr && len(n.enrolled) > 0 && !n.skips(b.sh.trusted, tx.Now()); b.waits { // clause: access.mfa-by-technology
		b.f.need = n.acr
		return FactorAsked{Person: b.e.b.person, Need: n.acr, By: n.by, Network: b.e.network}, b.f.insert(ctx, tx, n.acr)
	}
	b.e.b.need = &n
	ev, err := b.e.write(ctx, s, tx, b.rules, b.sh)
	if err != nil {
		return nil, err
	}
	ev.Rehashed = b.rehashed
	return ev, nil
}

// led tells what a beginning came to, once it is committed.
func (s *Service) led(ctx context.Context, who actor.Actor, b *beginning) (SignedInAs, error) {
	if !b.waits {
		return s.entered(b.e, who), nil
	}
	kinds, err := s.kindsToShow(ctx, b.e.b.person)
	return SignedInAs{Next: NextFactor, Flow: b.f.token, Bind: b.f.bind, Factors: enough(kinds, b.f.need)}, err
}

// entry is a session that is about to begin in a browser.
type entry struct {
	b       begin
	known   bool
	device  secret.Text // that the row of a new device gets
	give    secret.Text // for the cookie; empty when the browser has a good one
	former  *live
	told    *warning // about a new browser; nil when there is nothing to tell
	network string
	agent   string

	l     *live    // written
	ended []string // by it
}

// shown is what proves a sign-in.
type shown struct {
	acr     int
	amr     string
	method  string
	trusted time.Time
}

func (s *Service) entry(ctx context.Context, acc account, br browserOf, in SignIn) (*entry, error) {
	e := &entry{b: begin{id: s.DB.ID(), person: acc.id, token: secret.RandomText(32), device: br.device}, known: br.known, network: in.Network, agent: in.Agent}
	if !br.known {
		e.b.device, e.device = s.DB.ID(), in.Device
		if !br.shared {
			e.device = secret.RandomText(32)
			e.give = e.device
		}
	}
	var err error
	if e.former, _, err = s.lookFor(ctx, in.Session); err != nil {
		return nil, err
	}
	if e.b.place, err = s.sealPlace(ctx, acc.id, e.b.id, in.Network, in.Agent); err != nil {
		return nil, err
	}
	if !br.known {
		e.told, err = s.warn(ctx, acc, in.Network, in.Agent)
	}
	return e, err
}

// write inserts the session inside a change, with the browser where it is new, and ends
// what it replaces.
func (e *entry) write(ctx context.Context, s *Service, tx *ledger.Tx, rules *Rules, sh shown) (SignedIn, error) {
	e.ended, e.b.acr, e.b.amr, e.b.trusted = nil, sh.acr, sh.amr, sh.trusted
	ev := SignedIn{Person: e.b.person, Session: e.b.id, Method: sh.method, ACR: sh.acr, AMR: rolesOf(sh.amr), NewDevice: !e.known, Network: e.network, Agent: cut(e.agent, 200)}
	if !e.known {
		if _, err := tx.Exec(ctx, insertDevice, sum(e.device), e.b.person, e.b.device, us(tx.Now())); err != nil {
			return ev, err
		}
	}
	var err error
	if e.l, err = openSession(ctx, tx, rules, e.b); err != nil {
		return ev, err
	}
	ev.Level = e.l.level
	if e.former != nil { // clause: auth.best-practice
		n, err := tx.Exec(ctx, endOneSession, e.former.id, e.former.person, us(tx.Now()), "replaced", e.l.change)
		if err != nil {
			return ev, err
		}
		if n > 0 {
			e.ended = append(e.ended, e.former.id)
			tx.Also(SessionEnded{Person: e.former.person, Session: e.former.id, Cause: "replaced", Count: 1})
		}
	}
	if _, err := tx.Exec(ctx, endResetsOf, e.b.person, us(tx.Now()), "cancelled"); err != nil {
		return ev, err
	}
	return ev, e.told.send(ctx, s, tx)
}

// entered takes the session that was committed into memory.
func (s *Service) entered(e *entry, who actor.Actor) SignedInAs {
	s.table.drop(s.Now(), e.ended...)
	s.table.put(e.l)
	out := SignedInAs{Next: NextDone, Token: e.b.token, Device: e.give, Who: s.actorOf(e.l, who.Via), Ends: e.l.ends(s.Rules.Get())}
	if e.l.level != levelFull {
		out.Next = NextEnrol
	}
	return out
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
	n, err := tx.Hold(ctx, holdPerson, person)
	if err == nil && n != 1 {
		err = errStale
	}
	return err
}

const (
	findDevice   = `SELECT id, trusted FROM identity_device WHERE token = $1 AND person = $2`
	countDevice  = `SELECT COUNT(*) FROM identity_device WHERE token = $1`
	insertDevice = `INSERT INTO identity_device (token, person, id, created, seen) VALUES ($1, $2, $3, $4, $4)`
	endResetsOf  = `UPDATE identity_link SET ended = $2, cause = $3 WHERE person = $1 AND kind = 'reset' AND ended IS NULL`
	holdPerson   = `SELECT id FROM identity_person WHERE id = $1 AND state = 'active'`
	passedOf     = `SELECT passed, list FROM identity_password WHERE person = $1`
)
