package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// SignUp is a stranger's wish for an account.
type SignUp struct {
	Email    string
	Password secret.Text
	Name     string // may be empty
	Network  string // the caller's bucket
	Agent    string // the browser's own words
	Terms    int    // version that was shown and is accepted by signing up; 0 = the one in force
}

// attemptJob decides which letter answers a sign-up, outside the request.
const attemptJob = "identity.attempt"

// attempt is what is sealed of a sign-up.
type attempt struct {
	Email   string `json:"email"`
	Name    string `json:"name"`
	Network string `json:"network"`
	Agent   string `json:"agent"`
	Terms   int    `json:"terms,omitempty"` // version that was accepted
}

// SignUp takes in a sign-up and returns the flow token for the browser's cookie. The
// answer, and the work, are the same whether or not the address is known. Errors:
// fault.Invalid (email_invalid, domain_closed, password_…), fault.Limited.
func (s *Service) SignUp(ctx context.Context, who actor.Actor, in SignUp) (secret.Text, error) {
	addr, name, good, err := s.signUpForm(ctx, who, in)
	if err != nil {
		return secret.Text{}, err
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return secret.Text{}, err
	}
	b, err := s.bucket(ctx, signUps, who.ID)
	if err != nil {
		return secret.Text{}, err
	}
	if t, err := s.take(ctx, b); err != nil {
		return secret.Text{}, err
	} else if t != nil {
		return secret.Text{}, s.refuse(ctx, who, SignInsThrottled{Door: string(doorSignUp), Bucket: t.limit, Network: who.ID}, t.fault())
	}
	id := s.DB.ID()
	h, err := s.hash(ctx, who, false, good, "identity_attempt.phc", id) // the same work for a taken address
	if err != nil {
		return secret.Text{}, errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	plain, err := json.Marshal(attempt{addr.Text, name, in.Network, cut(in.Agent, 200), s.signedUpTo(in.Terms)})
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode sign-up: %w", err)
	}
	about, err := s.seal(ctx, keyring.Strangers(s.Now()), "identity_attempt.about", id, plain)
	if err != nil {
		return secret.Text{}, err
	}
	job, err := s.Jobs.Prepare(ctx, attemptJob, []byte(id))
	if err != nil {
		return secret.Text{}, fmt.Errorf("prepare decision: %w", err)
	}
	flow, ttl := secret.RandomText(32), s.Rules.Get().ConfirmTTL
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, insertAttempt, id, idx, about, h.box, h.scheme, int64(h.min), h.list, sum(flow), us(tx.Now()), us(tx.Now().Add(ttl))); err != nil {
			return nil, err
		}
		if err := s.Jobs.Enqueue(ctx, tx, job); err != nil {
			return nil, err
		}
		return SignUpRequested{Attempt: id, Scheme: h.scheme, Address: idx, Network: in.Network}, nil
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("record sign-up: %w", err)
	}
	return flow, nil
}

// signUpForm checks all fields, so that all that is wrong is told at once, before any look-up.
func (s *Service) signUpForm(ctx context.Context, who actor.Actor, in SignUp) (Address, string, accepted, error) {
	var fields []fault.Field
	addr, err := ParseAddress(in.Email)
	if err != nil {
		_, pub := fault.PublicOf(err)
		fields = append(fields, pub.Fields...)
	} else if f, ok := s.closed(addr); ok {
		fields = append(fields, f)
	}
	name, ok := cleanName(in.Name)
	if !ok {
		fields = append(fields, fault.Field{Name: "name", Code: "name_invalid", Problem: "The name is longer than 100 characters or holds a control character."})
	}
	good, more := s.judge(candidate{door: doorSignUp, field: "password", text: in.Password, about: []string{name, addr.Text}, factor: s.Rules.Get().alwaysOf(Customer, []string{RoleAdmin})})
	if fields = append(fields, more...); len(fields) > 0 {
		return Address{}, "", accepted{}, s.refusePassword(ctx, who, doorSignUp, fields)
	}
	return addr, name, good, nil
}

// closed says whether the policy keeps this address from signing up.
func (s *Service) closed(a Address) (fault.Field, bool) {
	r := s.Rules.Get()
	switch {
	case r.Open == "on", r.Open == "domains" && slices.ContainsFunc(r.Domains, func(d string) bool { return sameDomain(d, a.Domain()) }): // clause: auth.signup-email
		return fault.Field{}, false
	case r.Open == "domains":
		return fault.Field{Name: "email", Code: "domain_closed", Problem: "Sign-up is open to addresses of certain domains only, and this is not one."}, true
	}
	return fault.Field{Name: "email", Code: "domain_closed", Problem: "Sign-up is closed. Ask for an invitation."}, true
}

func sameDomain(rule, domain string) bool { d, err := domainOf(rule); return err == nil && d == domain }

// cleanName trims and checks a person's name.
func cleanName(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 1000 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", false
	}
	s = norm.NFC.String(s)
	return s, utf8.RuneCountInString(s) <= 100
}

// decideAttempt sends the letter that answers a sign-up: a link for a new address,
// a word for one that has an account. It bears a second run.
func (s *Service) decideAttempt(ctx context.Context, payload secret.Bytes) error {
	id := string(payload.Reveal())
	row, about, err := s.readAttempt(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return nil // confirmed, declined or expired meanwhile
	}
	if err != nil {
		return err
	}
	to, taken, err := s.ownerOf(ctx, row.idx)
	if err != nil {
		return err
	}
	b, err := s.bucket(ctx, signUpMail, row.idx)
	if err != nil {
		return err
	}
	if t, err := s.take(ctx, b); err != nil {
		return err
	} else if t != nil {
		return s.system(ctx, SignUpDecided{Attempt: id, Outcome: "silent"})
	}
	asked := s.asked(about.Network, about.Agent)
	l, outcome := s.link(ConfirmLink, "", id), "confirm"
	letter := s.confirmLetter(l, asked)
	if taken {
		outcome, letter = "taken", s.takenLetter(asked) // to the stored address: a folded spelling may be somebody else's
	} else {
		to = about.Email
	}
	job, err := s.letter(ctx, to, letter)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, actor.System("identity-sign-up"), func(tx *ledger.Tx) (ledger.Event, error) {
		if taken {
			if _, err := tx.Exec(ctx, deleteAttempt, id); err != nil {
				return nil, err
			}
		} else {
			if _, err := tx.Exec(ctx, endLinksOfAttempt, id, us(tx.Now()), "superseded"); err != nil {
				return nil, err
			}
			if err := l.insert(ctx, tx); err != nil {
				return nil, err
			}
		}
		return SignUpDecided{Attempt: id, Outcome: outcome}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return fmt.Errorf("answer sign-up: %w", err)
	}
	return nil
}

// system records something Writ did by itself.
func (s *Service) system(ctx context.Context, ev ledger.Event) error {
	_, err := s.DB.Change(ctx, actor.System("identity"), func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	return err
}

// attemptRow is a sign-up as stored.
type attemptRow struct {
	id, idx, scheme, list, flow string
	box                         []byte
	min                         int
	created, expires            time.Time
}

func (s *Service) readAttempt(ctx context.Context, id string) (attemptRow, attempt, error) {
	r := attemptRow{id: id}
	var about []byte
	var created, expires int64
	err := ledger.One(ctx, s.DB, readAttempt, []any{&r.idx, &about, &r.box, &r.scheme, &r.min, &r.list, &r.flow, &created, &expires}, id)
	if err != nil {
		return r, attempt{}, err
	}
	r.created, r.expires = at(created), at(expires)
	b, err := s.open(ctx, "identity_attempt.about", id, about)
	if err != nil {
		return r, attempt{}, err
	}
	var a attempt
	if err := json.Unmarshal(b.Reveal(), &a); err != nil {
		return r, attempt{}, fmt.Errorf("decode sign-up: %w", err)
	}
	return r, a, nil
}

// Confirm is the use of a confirmation link.
type Confirm struct {
	Token    secret.Text
	Password secret.Text // asked for unless Flow is the sign-up's own
	Flow     secret.Text // of the flow cookie
}

// ConfirmLink tells a page about a confirmation link, without using it. A link that
// does not work is fault.Gone, link_dead.
func (s *Service) ConfirmLink(ctx context.Context, who actor.Actor, token, flow secret.Text) (LinkInfo, error) {
	l, err := s.alive(ctx, token, ConfirmLink)
	if err != nil {
		return LinkInfo{}, s.deadOf(ctx, who, err)
	}
	row, about, err := s.readAttempt(ctx, l.attempt)
	if err != nil {
		return LinkInfo{}, s.deadOf(ctx, who, &deadLink{kind: ConfirmLink, cause: "unknown", ttl: s.Rules.Get().ConfirmTTL})
	}
	return LinkInfo{Kind: ConfirmLink, Issued: l.issued, Expires: l.expires, Name: about.Name, Email: about.Email, Flow: row.began(flow)}, nil
}

// began reports whether the flow cookie is that of the browser that signed up.
func (r attemptRow) began(flow secret.Text) bool {
	return flow.Len() == tokenLength && secret.NewText(sum(flow)).Equal(secret.NewText(r.flow))
}

// deadOf records a dead link and returns link_dead; other errors pass.
func (s *Service) deadOf(ctx context.Context, who actor.Actor, err error) error {
	d, ok := errors.AsType[*deadLink](err)
	if !ok {
		return err
	}
	return s.refuse(ctx, who, ResetRefused{Kind: string(d.kind), Cause: d.cause}, linkDead(d.ttl))
}

// Confirm makes the person that a sign-up asked for, with a team of their own. It does
// not sign in. In another browser than the one that signed up it needs the password
// chosen then, so that nobody can prepare an account for somebody else's address.
func (s *Service) Confirm(ctx context.Context, who actor.Actor, in Confirm) error {
	start := s.Now()
	l, err := s.alive(ctx, in.Token, ConfirmLink)
	if err != nil {
		return s.deadOf(ctx, who, err)
	}
	row, about, err := s.readAttempt(ctx, l.attempt)
	if errors.Is(err, fault.NotFound) {
		return s.deadOf(ctx, who, &deadLink{kind: ConfirmLink, cause: "cancelled", ttl: s.Rules.Get().ConfirmTTL})
	}
	if err != nil {
		return err
	}
	phc, err := s.open(ctx, "identity_attempt.phc", row.id, row.box)
	if err != nil {
		return err
	}
	if !row.began(in.Flow) { // clause: auth.signup-email
		if err := s.confirmPassword(ctx, who, row, secret.NewText(string(phc.Reveal())), in.Password, start); err != nil {
			return err
		}
	}
	if err := s.adopt(ctx, l, row, about, phc, who); err != nil {
		return s.deadOf(ctx, who, err)
	}
	return nil
}

// confirmPassword asks for the password chosen at sign-up.
func (s *Service) confirmPassword(ctx context.Context, who actor.Actor, row attemptRow, phc, typed secret.Text, start time.Time) error {
	if typed.IsZero() {
		return fault.New(fault.Invalid, "password_needed", fault.Public{
			Problem: "This is another browser than the one that signed up.", Expected: "The password chosen at sign-up.", Next: "Type the password you chose.",
			Fields: []fault.Field{{Name: "password", Code: "password_needed", Problem: "Type the password you chose when you signed up."}}})
	}
	b, err := s.bucket(ctx, perLink, row.id)
	if err != nil {
		return err
	}
	if t, err := s.take(ctx, b); err != nil {
		return err
	} else if t != nil {
		return s.refuse(ctx, who, SignInsThrottled{Door: "confirm", Bucket: t.limit, Network: networkOf(who)}, t.fault())
	}
	text, err := passhash.Normalize(typed.Reveal())
	bad := err != nil
	ok, err := s.verify(ctx, who.ID, false, phc, text)
	if err != nil {
		return errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	if bad || !ok {
		err := s.refuse(ctx, who, SignUpRefused{Cause: "password-wrong", Network: networkOf(who)}, fault.New(fault.Denied, "current_password_wrong", fault.Public{
			Problem: "This is not the password chosen at sign-up.", Next: "Type it again, or sign up once more.",
			Fields: []fault.Field{{Name: "password", Code: "current_password_wrong", Problem: "This is not the password chosen at sign-up."}}}))
		s.hold(ctx, start)
		return err
	}
	return nil
}

// adopt turns an attempt into a person; the other attempts for the address die.
func (s *Service) adopt(ctx context.Context, l link, row attemptRow, about attempt, phc secret.Bytes, who actor.Actor) error {
	addr, err := ParseAddress(about.Email)
	if err != nil {
		return err
	}
	p, err := s.sealPerson(ctx, newPerson{name: about.Name, addr: addr, idx: row.idx, kind: kindFor(addr), roles: []string{RoleAdmin}, how: "link", terms: agreed{about.Terms, termsSignUp}})
	if err != nil {
		return err
	}
	box, err := s.seal(ctx, keyring.Class(passwordClass), "identity_password.phc", p.id, phc.Reveal())
	if err != nil {
		return err
	}
	h := hashed{box: box, scheme: row.scheme, min: row.min, list: row.list}
	ttl := s.Rules.Get().ConfirmTTL
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := l.use(ctx, tx, ttl); err != nil {
			return nil, err
		}
		var known int64
		if err := ledger.One(ctx, tx, countAddress, []any{&known}, row.idx); err != nil {
			return nil, err
		}
		if known > 0 {
			return nil, &deadLink{kind: ConfirmLink, cause: "superseded", ttl: ttl}
		}
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		if err := h.store(ctx, tx, p.id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, endLinksOfAddress, row.idx, us(tx.Now()), "superseded"); err != nil {
			return nil, err
		}
		others, err := tx.Exec(ctx, deleteAttemptsOf, row.idx)
		if err != nil {
			return nil, err
		}
		return AddressConfirmed{Person: p.id, Team: p.team, Attempt: row.id, Age: tx.Now().Sub(row.created), Others: others - 1}, nil
	})
	if err != nil {
		return fmt.Errorf("confirm address: %w", err)
	}
	return nil
}

// kindFor is the kind of the team that a sign-up makes.
func kindFor(a Address) string {
	if a.Domain() == canary.Domain {
		return Canary
	}
	return Customer
}

// Decline is the "not me" of whoever got the letter of a sign-up they did not make.
func (s *Service) Decline(ctx context.Context, who actor.Actor, token secret.Text) error {
	l, err := s.alive(ctx, token, ConfirmLink)
	if err != nil {
		return s.deadOf(ctx, who, err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, endLinksOfAttempt, l.attempt, us(tx.Now()), "cancelled"); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, deleteAttempt, l.attempt); err != nil {
			return nil, err
		}
		return SignUpDeclined{Attempt: l.attempt}, nil
	})
	if err != nil {
		return fmt.Errorf("decline sign-up: %w", err)
	}
	return nil
}

const (
	insertAttempt = `INSERT INTO identity_attempt (id, idx, about, phc, scheme, passed, list, flow, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	readAttempt       = `SELECT idx, about, phc, scheme, passed, list, flow, created, expires FROM identity_attempt WHERE id = $1`
	deleteAttempt     = `DELETE FROM identity_attempt WHERE id = $1`
	deleteAttemptsOf  = `DELETE FROM identity_attempt WHERE idx = $1`
	endLinksOfAttempt = `UPDATE identity_link SET ended = $2, cause = $3 WHERE attempt = $1 AND ended IS NULL`
	endLinksOfAddress = `UPDATE identity_link SET ended = $2, cause = $3 WHERE ended IS NULL AND attempt IN (SELECT id FROM identity_attempt WHERE idx = $1)`
	countAddress      = `SELECT COUNT(*) FROM identity_address WHERE idx = $1`
)
