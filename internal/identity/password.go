package identity

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/banned"
	"writ/internal/identity/legacy"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// door is where a new password comes in.
type door string

// The doors. All of them ask checkPassword.
const (
	doorSignUp door = "sign-up"
	doorInvite door = "invite"
	doorChange door = "change"
	doorReset  door = "reset"
	doorImport door = "import"
)

// candidate is a password that somebody wants to have.
type candidate struct {
	door    door
	field   string      // name of the form field, for the refusal
	text    secret.Text // as typed
	about   []string    // name, address
	factor  bool        // a second factor is demanded of this person at every sign-in
	current secret.Text // the present one in normal form, when the door has it
}

// accepted is a password that passed.
type accepted struct {
	text secret.Text // normal form
	min  int
	list string
}

// checkPassword holds a new password against every rule: text, length, banned list,
// same as the present one. All broken rules come back together (fault.Invalid), each
// with its code and what to do; the refusal is recorded.
func (s *Service) checkPassword(ctx context.Context, who actor.Actor, c candidate) (accepted, error) {
	ok, fields := s.judge(c)
	if len(fields) == 0 {
		return ok, nil
	}
	return accepted{}, s.refusePassword(ctx, who, c.door, fields)
}

// refusePassword records and returns one refusal for all broken rules of a form.
func (s *Service) refusePassword(ctx context.Context, who actor.Actor, d door, fields []fault.Field) error {
	codes := make([]string, 0, len(fields))
	words := make([]string, 0, len(fields))
	for _, f := range fields {
		codes, words = append(codes, f.Code), append(words, f.Problem)
	}
	return s.refuse(ctx, who, PasswordRefused{Door: string(d), Codes: codes}, fault.New(fault.Invalid, codes[0], fault.Public{
		Problem: strings.Join(words, " "), Next: "Correct this and try again.", Fields: fields}))
}

// judge is checkPassword without the record.
func (s *Service) judge(c candidate) (accepted, []fault.Field) {
	text, err := passhash.Normalize(c.text.Reveal())
	if err != nil {
		code, pub := fault.PublicOf(err)
		return accepted{}, []fault.Field{{Name: c.field, Code: code, Problem: strings.TrimSpace(pub.Problem + " " + pub.Expected)}}
	}
	rules, list := s.Rules.Get(), s.banned()
	var fields []fault.Field
	n, least := passhash.Length(text), rules.least(c.factor)
	if n < least { // clause: auth.min-length
		fields = append(fields, fault.Field{Name: c.field, Code: "password_too_short",
			Problem: fmt.Sprintf("The password has %d characters; it needs at least %d. A few words in a row are easy to remember.", n, least)})
	}
	if why, bad := list.Check(text, c.about...); bad { // clause: auth.banned
		fields = append(fields, fault.Field{Name: c.field, Code: why.Code,
			Problem: "This password is " + why.Kind + ". Choose one that nobody else would think of."})
	}
	if !c.current.IsZero() && c.current.Equal(text) {
		fields = append(fields, passwordSame(c.field))
	}
	if n >= rules.Min {
		least = rules.Min // the highest threshold it passed: with it the factor may go
	}
	return accepted{text: text, min: least, list: list.Hash()}, fields
}

func passwordSame(field string) fault.Field {
	return fault.Field{Name: field, Code: "password_same", Problem: "This is the password you have now. Choose another one."}
}

// wordCache keeps the list with the words of the present rules.
type wordCache struct {
	mu   sync.Mutex
	key  string
	list *banned.List
}

// banned is the list in force: dictionaries and file, the company's name, the host, the
// words of the policy.
func (s *Service) banned() *banned.List {
	words := s.bannedWords(s.Rules.Get())
	key := strings.Join(words, "\x00")
	s.words.mu.Lock()
	defer s.words.mu.Unlock()
	if s.words.list == nil || s.words.key != key {
		s.words.key, s.words.list = key, s.Banned.With(words)
	}
	return s.words.list
}

// bannedWords are those that rules add to the list.
func (s *Service) bannedWords(r *Rules) []string {
	words := append([]string{s.Company()}, r.Words...)
	if u, err := url.Parse(s.Origin); err == nil {
		words = append(words, u.Hostname())
	}
	return words
}

// hashed is a password ready to be stored.
type hashed struct {
	box    []byte
	scheme string
	min    int
	list   string
}

// hash makes what is stored of an accepted password. row is the person, or the attempt.
func (s *Service) hash(ctx context.Context, who actor.Actor, known bool, a accepted, column, row string) (hashed, error) {
	p := s.params()
	var phc secret.Text
	var err error
	if gerr := s.Gate.Do(ctx, who.ID, known, func() { phc, err = passhash.Hash(p, a.text) }); gerr != nil { // clause: auth.one-way
		return hashed{}, gerr
	}
	if err != nil {
		return hashed{}, err
	}
	box, err := s.seal(ctx, keyring.Class(passwordClass), column, row, []byte(phc.Reveal())) // clause: auth.no-cleartext
	return hashed{box, string(p.Scheme), a.min, a.list}, err
}

// verify compares a typed password with a stored string, inside the gate. An
// unreadable string counts as wrong, after the same work.
func (s *Service) verify(ctx context.Context, network string, known bool, phc, typed secret.Text) (bool, error) {
	var ok bool
	var err error
	if gerr := s.Gate.Do(ctx, network, known, func() { ok, err = verifyStored(phc, typed) }); gerr != nil { // clause: auth.compare
		return false, gerr
	}
	if err != nil {
		s.Log.Error("verify a stored password", "err", err)
	}
	return ok && err == nil, nil
}

// verifyStored compares with a hash of ours, or with one that was brought over.
func verifyStored(phc, typed secret.Text) (bool, error) {
	if legacy.Is(phc) {
		return legacy.Verify(phc, typed)
	}
	return passhash.Verify(phc, typed)
}

// stored is the password row of a person.
type stored struct {
	box    []byte
	phc    secret.Text
	scheme string
	passed int // the minimum length it satisfied; 0 = brought over, and it met none
	set    time.Time
	locked bool // its owner said that somebody else used it
}

// password reads a person's stored password; fault.NotFound when there is none.
func (s *Service) password(ctx context.Context, person string) (stored, error) {
	var p stored
	var set int64
	var locked *int64
	if err := ledger.One(ctx, s.DB, readPassword, []any{&p.box, &p.scheme, &locked, &p.passed, &set}, person); err != nil {
		return stored{}, err
	}
	p.set = at(set)
	b, err := s.open(ctx, "identity_password.phc", person, p.box)
	if err != nil {
		return stored{}, err
	}
	p.phc, p.locked = secret.NewText(string(b.Reveal())), locked != nil
	return p, nil
}

// store writes a person's password inside a change: one row a person, sealed for that
// person, so that it cannot serve another.
func (h hashed) store(ctx context.Context, tx *ledger.Tx, person string) error {
	_, err := tx.Exec(ctx, setPassword, person, h.box, h.scheme, int64(h.min), h.list, us(tx.Now())) // clause: auth.unique-credentials
	return err
}

// Change is a person's wish for another password.
type Change struct {
	Current secret.Text
	New     secret.Text
	Network string
	Agent   string
}

// Changed is what came of it: the cookie changes, because the old token dies.
type Changed struct {
	Token secret.Text
	Ended int64 // other sessions that ended
}

// ChangePassword sets another password for the person who is signed in. It needs the
// present one: fault.Denied, current_password_wrong, counted. Other sessions and all
// links end; the person is told by mail.
func (s *Service) ChangePassword(ctx context.Context, who actor.Actor, in Change) (Changed, error) {
	if who.Kind != actor.Person || who.Session == "" {
		return Changed{}, errEnded()
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return Changed{}, err
	}
	old, err := s.askCurrent(ctx, who, doorChange, in.Current)
	if err != nil {
		return Changed{}, err
	}
	now, _ := passhash.Normalize(in.Current.Reveal())
	factor, err := s.always(ctx, who.ID)
	if err != nil {
		return Changed{}, err
	}
	good, err := s.checkPassword(ctx, who, candidate{door: doorChange, field: "new", text: in.New, about: []string{acc.name, acc.email}, current: now, factor: factor})
	if err != nil {
		return Changed{}, err
	}
	h, err := s.hash(ctx, who, true, good, "identity_password.phc", who.ID)
	if err != nil {
		return Changed{}, err
	}
	return s.commitChange(ctx, who, in, acc, old, h)
}

// askCurrent demands the present password for an act on one's own account, and a fresh
// factor of whoever has one; a wrong one is
// fault.Denied, current_password_wrong, counted and recorded.
func (s *Service) askCurrent(ctx context.Context, who actor.Actor, d door, typed secret.Text) (stored, error) {
	start := s.Now()
	if n, err := needOf(ctx, s.DB, s.Rules.Get(), who.ID); err != nil {
		return stored{}, err
	} else if len(n.enrolled) > 0 {
		if err := s.fresh(ctx, who); err != nil { // clause: auth.best-practice
			return stored{}, err
		}
	}
	b, err := s.bucket(ctx, perSession, who.ID)
	if err != nil {
		return stored{}, err
	}
	if t, err := s.take(ctx, b); err != nil {
		return stored{}, err
	} else if t != nil {
		return stored{}, s.refuse(ctx, who, SignInsThrottled{Door: string(d), Bucket: t.limit}, t.fault())
	}
	old, ok, err := s.current(ctx, who, typed)
	if err != nil {
		return stored{}, errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	if !ok { // clause: auth.change-needs-current
		err := s.refuse(ctx, who, ChangeRefused{Person: who.ID, Cause: "current-wrong", Door: string(d)}, fault.New(fault.Denied, "current_password_wrong", fault.Public{
			Problem: "The present password is not right.", Next: "Type the password you use now, or sign out and ask for a reset link.",
			Fields: []fault.Field{{Name: "current", Code: "current_password_wrong", Problem: "This is not your present password."}}}))
		s.hold(ctx, start)
		return stored{}, err
	}
	return old, s.forgive(ctx, []bucket{b}, nil)
}

// current verifies the present password; a person without one is refused after the same work.
func (s *Service) current(ctx context.Context, who actor.Actor, typed secret.Text) (stored, bool, error) {
	old, err := s.password(ctx, who.ID)
	none := errors.Is(err, fault.NotFound) || err == nil && old.locked
	if err != nil && !none {
		return stored{}, false, fmt.Errorf("read password: %w", err)
	}
	if none {
		old.phc = s.dummyHash()
	}
	text, err := passhash.Normalize(typed.Reveal())
	bad := err != nil
	if bad {
		typed = text
	}
	ok, err := s.verifyTyped(ctx, who.ID, true, old.phc, typed, text)
	return old, ok && !none && !bad, err
}

// commitChange stores the new password, ends the other sessions, gives this one a new token.
func (s *Service) commitChange(ctx context.Context, who actor.Actor, in Change, acc account, old stored, h hashed) (Changed, error) {
	rules := s.Rules.Get()
	b := begin{id: s.DB.ID(), person: who.ID, team: who.Team, token: secret.RandomText(32)}
	var err error
	if b.place, err = s.sealPlace(ctx, who.ID, b.id, in.Network, in.Agent); err != nil {
		return Changed{}, err
	}
	job, err := s.letter(ctx, acc.email, s.changedLetter(s.asked(in.Network, in.Agent)))
	if err != nil {
		return Changed{}, err
	}
	var ids []string
	var l *live
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPassword(ctx, tx, who.ID, old.box); err != nil {
			return nil, err
		}
		var started, factorAt, low int64
		if err := ledger.One(ctx, tx, startOf, []any{&started, &b.device, &b.acr, &b.amr, &factorAt, &low}, who.Session, who.ID); err != nil {
			return nil, errEnded()
		}
		b.started, b.factorAt, b.trusted = at(started), at(factorAt), at(low)
		if err := h.store(ctx, tx, who.ID); err != nil {
			return nil, err
		}
		var err error
		if ids, err = endSessionsIn(ctx, tx, who.ID, "", "password-changed"); err != nil { // clause: auth.best-practice
			return nil, err
		}
		if _, err := endLinks(ctx, tx, who.ID, "cancelled"); err != nil {
			return nil, err
		}
		if l, err = openSession(ctx, tx, rules, b); err != nil {
			return nil, err
		}
		if err := s.Mail.Enqueue(ctx, tx, job); err != nil {
			return nil, err
		}
		return PasswordChanged{Person: who.ID, Scheme: h.scheme, List: h.list, Min: h.min, Sessions: int64(len(ids)) - 1}, nil
	})
	if err != nil {
		return Changed{}, fmt.Errorf("change password: %w", err)
	}
	s.table.drop(s.Now(), ids...)
	s.table.put(l)
	return Changed{Token: b.token, Ended: int64(len(ids)) - 1}, nil
}

// lockPassword makes sure, inside a change, that the password is the one that was
// verified, and keeps it so until the commit.
func lockPassword(ctx context.Context, tx *ledger.Tx, person string, box []byte) error {
	n, err := tx.Hold(ctx, holdPassword, person, box)
	if err == nil && n != 1 {
		err = errStale
	}
	return err
}

// errStale is a password or state that changed while it was being verified.
var errStale = fault.New(fault.Conflict, "changed_meanwhile", fault.Public{Problem: "The account changed at the same moment. Nothing was done.", Next: "Try again."})

const (
	readPassword = `SELECT phc, scheme, locked, passed, set_at FROM identity_password WHERE person = $1`
	holdPassword = `SELECT person FROM identity_password WHERE person = $1 AND phc = $2 AND locked IS NULL`
	setPassword  = `INSERT INTO identity_password (person, phc, scheme, passed, list, set_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (person) DO UPDATE SET phc = $2, scheme = $3, passed = $4, list = $5, set_at = $6, locked = NULL`
	startOf = `SELECT started, device, acr, amr, factor_at, low FROM identity_session WHERE id = $1 AND person = $2 AND ended IS NULL`
)
