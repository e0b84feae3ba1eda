package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/passkey"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// passkeyClass seals questions to passkeys.
const passkeyClass = "identity.passkey"

// What a question to a passkey is for. An answer counts for nothing else.
const (
	toEnrol  = "enrol"
	toSignIn = "sign-in" // by whoever holds a passkey of this site
	toShow   = "show"    // as a second factor: after a password, or to step up
)

// question is a question to a passkey on its way. It travels sealed through the browser
// that was asked, so that a stranger who asks writes nothing here; what keeps it from
// being answered twice is its id, which is spent in the change that the answer allows.
type question struct {
	ID       string `json:"id"`
	Use      string `json:"use"`
	Person   string `json:"person,omitempty"`
	Session  string `json:"session,omitempty"` // whose question it is, to enrol and to step up
	Flow     string `json:"flow,omitempty"`    // token of the flow it continues
	Ceremony []byte `json:"ceremony"`

	asked passkey.Ceremony
}

// maxQuestion bounds what is decoded of a token from outside: twenty passkeys named.
const maxQuestion = 12 << 10

// Asked is a question for the browser: Options for navigator.credentials, Flow to send
// back with the answer.
type Asked struct {
	Flow    secret.Text
	Options json.RawMessage
}

// party is the site as authenticators know it; an error where there is none.
func (s *Service) party() (*passkey.Party, error) {
	p, err := passkey.NewOf(s.Origin, s.Now, s.Makers)
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return p, nil
}

// Passkeys reports whether this site can have passkeys: its address must be a name.
func (s *Service) Passkeys() bool {
	_, err := s.party()
	return err == nil
}

// pose seals a question for the browser.
func (s *Service) pose(ctx context.Context, q question, c passkey.Ceremony, options json.RawMessage) (Asked, error) {
	var err error
	if q.Ceremony, err = c.Bytes(); err != nil {
		return Asked{}, err
	}
	q.ID = randomID()
	plain, err := json.Marshal(q)
	if err != nil {
		return Asked{}, fmt.Errorf("write question: %w", err)
	}
	box, err := s.seal(ctx, keyring.Class(passkeyClass), "identity_passkey_spent.question", "", plain)
	if err != nil {
		return Asked{}, err
	}
	return Asked{Flow: secret.NewText(base64.RawURLEncoding.EncodeToString(box)), Options: options}, nil
}

// posed opens a question that comes back. One that was not made here, or was for
// something else, is flow_order.
func (s *Service) posed(ctx context.Context, token secret.Text, use string) (question, error) {
	if token.IsZero() || token.Len() > maxQuestion {
		return question{}, errQuestion()
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(token.Reveal())
	if err != nil {
		return question{}, errQuestion()
	}
	plain, err := s.open(ctx, "identity_passkey_spent.question", "", box)
	if errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable) {
		return question{}, err
	}
	var q question
	if err != nil || json.Unmarshal(plain.Reveal(), &q) != nil || q.Use != use {
		return question{}, errQuestion()
	}
	if q.asked, err = passkey.ReadCeremony(q.Ceremony); err != nil {
		return question{}, errQuestion()
	}
	return q, nil
}

// errQuestion is the answer to an answer without its question.
func errQuestion() *fault.Error {
	return fault.New(fault.Conflict, "flow_order", fault.Public{
		Problem: "This is not the answer to a question that waits for one.", Expected: "The answer to the question that was asked last, once, within five minutes.",
		Next: "Begin again."})
}

// spend uses a question up inside a change: one winner.
func (q question) spend(ctx context.Context, tx *ledger.Tx) error { // clause: auth.best-practice
	n, err := tx.Exec(ctx, spendQuestion, q.ID, us(q.asked.Until()))
	if err == nil && n != 1 {
		err = errSpent
	}
	return err
}

// mine reports whether the question was put to the session, or to the stranger, who answers.
func (q question) mine(who actor.Actor) bool { return q.Session == who.Session }

// askAnyone asks whoever is there for a passkey of this site. It names nobody.
func (s *Service) askAnyone(ctx context.Context) (Asked, error) {
	party, err := s.party()
	if err != nil {
		return Asked{}, err
	}
	c, options, err := party.Ask(nil) // clause: auth.best-practice
	if err != nil {
		return Asked{}, err
	}
	return s.pose(ctx, question{Use: toSignIn}, c, options)
}

// askPerson asks a person who has shown who they are for one of their passkeys.
func (s *Service) askPerson(ctx context.Context, q question) (Asked, error) {
	party, err := s.party()
	if err != nil {
		return Asked{}, err
	}
	rows, err := s.passkeysOf(ctx, q.Person)
	if err != nil {
		return Asked{}, err
	}
	if len(rows) == 0 {
		return Asked{}, noPasskey()
	}
	c, options, err := party.Ask(records(rows))
	if err != nil {
		return Asked{}, err
	}
	return s.pose(ctx, q, c, options)
}

// answered judges the answer to a question about passkeys that exist. A refusal is a
// passkey.Refusal or flow_order.
func (s *Service) answered(ctx context.Context, who actor.Actor, token secret.Text, use string, credential []byte) (passkeyProof, error) {
	party, err := s.party()
	if err != nil {
		return passkeyProof{}, err
	}
	q, err := s.posed(ctx, token, use)
	if err != nil {
		return passkeyProof{}, err
	}
	answer, err := passkey.Read(credential)
	if err != nil {
		return passkeyProof{}, err
	}
	row, err := s.passkeyBySum(ctx, answer.Sum())
	if errors.Is(err, fault.NotFound) || err == nil && q.Person != "" && row.person != q.Person {
		return passkeyProof{}, passkey.Unknown()
	}
	if err != nil {
		return passkeyProof{}, err
	}
	next, err := party.Proved(q.asked, answer, row.record) // clause: access.mfa-by-technology
	if passkey.CauseOf(err) == passkey.Cloned {
		return passkeyProof{}, errors.Join(err, s.tellOfClone(ctx, who, q, row))
	}
	if err != nil {
		return passkeyProof{}, err
	}
	p := passkeyProof{q: q, row: row, record: next}
	p.next, err = s.sealPasskey(ctx, row.person, row.ID, next)
	return p, err
}

// tellOfClone records that there seem to be two of a passkey, and tells its owner. The
// proof was signed by its key, so this is no stranger's noise.
func (s *Service) tellOfClone(ctx context.Context, who actor.Actor, q question, row passkeyRow) error {
	acc, err := s.account(ctx, row.person)
	if err != nil {
		return err
	}
	job, err := s.letter(ctx, acc.email, s.cloneLetter(row.Name))
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := q.spend(ctx, tx); err != nil {
			return nil, err
		}
		return PasskeyCloneSeen{Person: row.person, Factor: row.ID}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil && !errors.Is(err, errSpent) { // once for each question, however often it is sent
		return fmt.Errorf("record a clone: %w", err)
	}
	return nil
}

func (s *Service) cloneLetter(name string) typedLetter {
	return typedLetter{kind: "identity.passkey-cloned", Letter: mail.Letter{
		Title: "There may be a copy of your passkey",
		Lines: []string{"Your passkey “" + name + "” was used to sign in, but it counted less than it did before. That happens when somebody copied it, or the device was set back. It was refused.",
			"Sign in another way, remove this passkey and set up a new one."},
		Link: &mail.Link{Text: "Look at your passkeys", URL: s.Origin + atPasskeys},
		Foot: []string{"Nobody was let in by it."},
	}}
}

// passkeyProof is a passkey that answered rightly, and what must be stored of that.
type passkeyProof struct {
	q      question
	row    passkeyRow
	record passkey.Record // as it is now
	next   []byte         // the same, sealed
	less   []bucket       // counters that a success takes back
}

// store spends the question and writes the counter, inside the change that the proof
// allows. A passkey that was removed or used at the same moment does not count.
func (p passkeyProof) store(ctx context.Context, tx *ledger.Tx) error {
	if err := p.q.spend(ctx, tx); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, usePasskey, p.row.ID, p.row.box, p.next, us(tx.Now()))
	if err == nil && n != 1 {
		err = errSpent
	}
	return err
}

// passkeyACR is what a passkey with a verified user counts: two factors, and no way to
// give it away to another site.
const passkeyACR = 3

// passkeyAMR are its methods by RFC 8176: where the key is, and that the user was there.
func passkeyAMR(r passkey.Record) string {
	if r.BackupEligible() {
		return "mfa swk user"
	}
	return "hwk mfa user"
}

func noPasskey() error {
	return fault.New(fault.NotFound, "no_passkey", fault.Public{Problem: "There is no such passkey.", Next: "Use another factor."})
}

const (
	spendQuestion = `INSERT INTO identity_passkey_spent (id, until) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`
	oldQuestions  = `DELETE FROM identity_passkey_spent WHERE until < $1`
)
