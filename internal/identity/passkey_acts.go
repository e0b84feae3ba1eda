package identity

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/passkey"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// FactorPasskey is a key that a device keeps and gives to nobody.
const FactorPasskey = "passkey"

// PasskeysOf lists the passkeys of whoever acts, oldest first.
func (s *Service) PasskeysOf(ctx context.Context, who actor.Actor) ([]Passkey, error) {
	id, err := self(who)
	if err != nil {
		return nil, err
	}
	rows, err := s.passkeysOf(ctx, id)
	out := make([]Passkey, len(rows))
	for i, r := range rows {
		out[i] = r.Passkey
	}
	return out, err
}

// AskToAdd asks the browser of whoever acts to make a passkey.
func (s *Service) AskToAdd(ctx context.Context, who actor.Actor) (Asked, error) {
	id, err := s.mayAdd(ctx, who)
	if err != nil {
		return Asked{}, err
	}
	party, err := s.party()
	if err != nil {
		return Asked{}, err
	}
	acc, err := s.account(ctx, id)
	if err != nil {
		return Asked{}, err
	}
	rows, err := s.passkeysOf(ctx, id)
	if err != nil {
		return Asked{}, err
	}
	o := passkey.Owner{Handle: passkey.NewHandle(), Name: acc.email, Has: records(rows)}
	if len(rows) > 0 {
		o.Handle = rows[0].record.Handle
	}
	c, options, err := party.Create(s.Company(), o)
	if err != nil {
		return Asked{}, err
	}
	return s.pose(ctx, question{Use: toEnrol, Person: id, Session: who.Session}, c, options)
}

// AddPasskey is the answer to AskToAdd.
type AddPasskey struct {
	Flow       secret.Text
	Credential []byte
	Name       string
	Network    string
	Agent      string
}

// AddedPasskey is a passkey that works from now on, and the session's new token.
type AddedPasskey struct {
	Confirmed
	ID   string
	Name string
}

// AddPasskey makes a passkey work. The session gets a new token and counts as signed in
// with it; with the first factor come recovery codes. What the device sent wrong
// is passkey_refused, recorded.
func (s *Service) AddPasskey(ctx context.Context, who actor.Actor, in AddPasskey) (AddedPasskey, error) {
	id, err := s.mayAdd(ctx, who)
	if err != nil {
		return AddedPasskey{}, err
	}
	name, err := s.passkeyName(in.Name)
	if err != nil {
		return AddedPasskey{}, err
	}
	q, record, err := s.made(ctx, who, in)
	if err != nil {
		return AddedPasskey{}, s.refusedPasskey(ctx, who, id, in.Network, err)
	}
	n, err := s.sealNewPasskey(ctx, id, name, record)
	if err != nil {
		return AddedPasskey{}, err
	}
	c, err := s.addFactor(ctx, who, added{person: id, id: n.id, kind: FactorPasskey, acr: passkeyACR, amr: passkeyAMR(record), network: in.Network, agent: in.Agent,
		write: func(ctx context.Context, tx *ledger.Tx) error {
			if err := q.spend(ctx, tx); err != nil {
				return err
			}
			return n.insert(ctx, tx)
		}})
	if err != nil {
		return AddedPasskey{}, s.refusedPasskey(ctx, who, id, in.Network, err)
	}
	return AddedPasskey{Confirmed: c, ID: n.id, Name: name}, nil
}

// made judges a new passkey.
func (s *Service) made(ctx context.Context, who actor.Actor, in AddPasskey) (question, passkey.Record, error) {
	party, err := s.party()
	if err != nil {
		return question{}, passkey.Record{}, err
	}
	q, err := s.posed(ctx, in.Flow, toEnrol)
	if err != nil {
		return question{}, passkey.Record{}, err
	}
	if q.Person != who.ID || !q.mine(who) {
		return question{}, passkey.Record{}, errQuestion()
	}
	record, err := party.Created(q.asked, in.Credential)
	return q, record, err
}

// refusedPasskey records a passkey that was not taken; an error that is no refusal stays.
func (s *Service) refusedPasskey(ctx context.Context, who actor.Actor, person, network string, err error) error {
	cause := string(passkey.CauseOf(err))
	if errors.Is(err, errSpent) {
		err = errQuestion()
	}
	code, _ := fault.PublicOf(err)
	if cause == "" && (code == "flow_order" || code == "passkey_taken") {
		cause = "order"
		if code == "passkey_taken" {
			cause = "taken"
		}
	}
	if cause == "" {
		return err
	}
	return s.refuse(ctx, who, FactorRefused{Person: person, Kind: FactorPasskey, Cause: cause, Network: network}, err)
}

// RenamePasskey gives one of one's own passkeys another name.
func (s *Service) RenamePasskey(ctx context.Context, who actor.Actor, id, typed string) error {
	me, err := self(who)
	if err != nil {
		return err
	}
	name, err := s.passkeyName(typed)
	if err != nil {
		return err
	}
	if _, err := s.passkey(ctx, me, id); err != nil {
		return err
	}
	box, err := s.sealPasskeyName(ctx, me, id, name)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, renamePasskey, id, me, box)
		if err == nil && n != 1 {
			err = noPasskey()
		}
		return PasskeyRenamed{Person: me, Factor: id}, err
	})
	if err != nil {
		return fmt.Errorf("rename passkey: %w", err)
	}
	return nil
}

// AskPasskey asks for a passkey: without a flow for any of this site, with that of a
// sign-in whose password was right for one of that person's.
func (s *Service) AskPasskey(ctx context.Context, who actor.Actor, token, bind secret.Text) (Asked, error) {
	if token.IsZero() {
		return s.askAnyone(ctx)
	}
	f, err := s.findFlow(ctx, who, token, bind)
	if err != nil {
		return Asked{}, err
	}
	return s.askPerson(ctx, question{Use: toShow, Person: f.person, Flow: token.Reveal()})
}

// kindsOfFlow are the factors that can end the sign-in this browser began; nil where it
// began none.
func (s *Service) kindsOfFlow(ctx context.Context, token, bind secret.Text) []string {
	f, err := s.lookFlow(ctx, token, bind)
	if err != nil {
		return nil
	}
	kinds, err := s.kindsToShow(ctx, f.person)
	if err != nil {
		return nil
	}
	if f.kind == flowSignIn {
		kinds = enough(kinds, f.need)
	}
	return kinds
}

// AskToStepUp asks whoever acts for one of their passkeys.
func (s *Service) AskToStepUp(ctx context.Context, who actor.Actor) (Asked, error) {
	id, err := self(who)
	if err != nil {
		return Asked{}, err
	}
	return s.askPerson(ctx, question{Use: toShow, Person: id, Session: who.Session})
}

// provePasskey judges a passkey shown as a second factor. The cause says why not.
func (s *Service) provePasskey(ctx context.Context, who actor.Actor, person string, in Shown) (proof, string, error) {
	k, err := s.answered(ctx, who, in.Question, toShow, in.Credential)
	if cause := passkey.CauseOf(err); cause != "" {
		return proof{}, string(cause), nil
	}
	if code, _ := fault.PublicOf(err); err != nil && code != "flow_order" {
		return proof{}, "", err
	}
	if err != nil || k.q.Person != person || !k.q.mine(who) {
		return proof{}, "order", nil
	}
	return proof{kind: FactorPasskey, acr: passkeyACR, amr: passkeyAMR(k.record), spend: k.store}, "", nil
}

// passkeyNotShown is the one answer to a passkey that is not right as a second factor.
func passkeyNotShown() *fault.Error {
	return fault.New(fault.Unauthenticated, "factor_refused", fault.Public{
		Problem:  "The passkey is not right.",
		Expected: "One of your passkeys, used at this site, with your fingerprint, your face or a PIN.",
		Next:     "Try again, or use another factor."})
}

// PasskeySignIn is an answer to a question that named nobody.
type PasskeySignIn struct {
	Flow       secret.Text
	Credential []byte
	Device     secret.Text // of the device cookie; may be empty
	Session    secret.Text // of the session cookie; that session ends
	Network    string
	Agent      string
}

// passkeySignInRefused is the one answer to a passkey that lets nobody in.
func passkeySignInRefused() *fault.Error {
	return fault.New(fault.Unauthenticated, "sign_in_refused", fault.Public{
		Problem:  "This passkey does not open an account here.",
		Expected: "A passkey of a confirmed account, used at this site.",
		Next:     "Choose another passkey, or sign in with your password."})
}

// SignInByPasskey begins a session for a passkey of an active person with a confirmed
// address, whatever the counters of their password say. Every other answer is the same
// sign_in_refused, or too_many (fault.Limited) beyond what one network may try.
func (s *Service) SignInByPasskey(ctx context.Context, who actor.Actor, in PasskeySignIn) (SignedInAs, error) {
	b, err := s.bucket(ctx, passkeysOf, who.ID)
	if err != nil {
		return SignedInAs{}, err
	}
	if full, err := s.take(ctx, b); err != nil { // clause: auth.best-practice
		return SignedInAs{}, err
	} else if full != nil {
		return SignedInAs{}, s.refuse(ctx, who, SignInsThrottled{Door: "sign-in", Bucket: full.limit, Network: in.Network}, full.fault())
	}
	k, acc, cause, err := s.opens(ctx, who, in)
	if err != nil {
		return SignedInAs{}, errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	var as SignedInAs
	if cause == "" {
		k.less = []bucket{b}
		as, err = s.enterByPasskey(ctx, who, acc, k, in)
		switch {
		case errors.Is(err, errSpent), errors.Is(err, errStale):
			cause = "used"
		case err != nil:
			return SignedInAs{}, err
		}
	}
	if cause != "" {
		return SignedInAs{}, s.refuse(ctx, who, SignInRefused{Cause: "passkey-" + cause, Network: in.Network}, passkeySignInRefused())
	}
	return as, nil
}

// opens judges the passkey and the account behind it.
func (s *Service) opens(ctx context.Context, who actor.Actor, in PasskeySignIn) (k passkeyProof, acc account, cause string, err error) {
	k, err = s.answered(ctx, who, in.Flow, toSignIn, in.Credential)
	if cause := passkey.CauseOf(err); cause != "" {
		return k, acc, string(cause), nil
	}
	if code, _ := fault.PublicOf(err); err != nil && code == "flow_order" {
		return k, acc, "order", nil
	}
	if err != nil {
		return k, acc, "", err
	}
	acc, err = s.account(ctx, k.row.person)
	switch {
	case err != nil:
		return k, acc, "", err
	case acc.state != stateActive:
		return k, acc, "not-active", nil
	case !acc.confirmed: // clause: auth.signup-email
		return k, acc, "unconfirmed", nil
	}
	return k, acc, "", nil
}

func (s *Service) enterByPasskey(ctx context.Context, who actor.Actor, acc account, k passkeyProof, in PasskeySignIn) (SignedInAs, error) {
	br, err := s.browserOf(ctx, in.Device, acc.id)
	if err != nil {
		return SignedInAs{}, err
	}
	e, err := s.entry(ctx, acc, br, SignIn{Device: in.Device, Session: in.Session, Network: in.Network, Agent: in.Agent})
	if err != nil {
		return SignedInAs{}, err
	}
	rules := s.Rules.Get()
	_, err = s.DB.Change(ctx, person(acc.id, who), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := k.store(ctx, tx); err != nil {
			return nil, err
		}
		ev, err := e.write(ctx, s, tx, rules, shown{acr: passkeyACR, amr: passkeyAMR(k.record), method: "passkey"})
		if err != nil {
			return nil, err
		}
		return ev, forgiveIn(ctx, tx, nil, k.less)
	})
	if err != nil {
		return SignedInAs{}, fmt.Errorf("begin session: %w", err)
	}
	return s.entered(e, who), nil
}
