package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// A change of address needs the present password and the yes of both mailboxes: a thief
// of a session or a password cannot carry the account away, nor can a person tie an
// account to somebody else's mailbox.
//
//	ask ─► password ─► row ─► letter to the old address ─► yes ┐
//	                       └─► letter to the new address ─► yes ┴─► address, letters to both

// The links of the two mailboxes.
const (
	OldAddressLink LinkKind = "address-old"
	NewAddressLink LinkKind = "address-new"
)

// doorAddress and doorLeave are where the present password is asked for beside its change.
const (
	doorAddress door = "address"
	doorLeave   door = "leave"
)

var addressChanges = limit{name: "address-change", max: 5, window: time.Hour}

// NewAddress is the wish for another address.
type NewAddress struct {
	Email   string
	Current secret.Text // the present password
	Network string
	Agent   string
}

// AddressChange is one that waits.
type AddressChange struct {
	ID      string
	Email   string // the new address
	OldOK   time.Time
	NewOK   time.Time
	Expires time.Time
}

// AskAddress begins a change of the address of the person who is signed in and replaces
// one that waits. It answers alike whether the new address is known here or not.
// fault.Invalid (email_invalid, email_same, domain_closed), fault.Denied
// (current_password_wrong), fault.Limited.
func (s *Service) AskAddress(ctx context.Context, who actor.Actor, in NewAddress) (AddressChange, error) {
	if who.Kind != actor.Person || who.Session == "" {
		return AddressChange{}, errEnded()
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return AddressChange{}, err
	}
	addr, err := s.addressForm(acc, in.Email)
	if err != nil {
		return AddressChange{}, err
	}
	if _, err := s.askCurrent(ctx, who, doorAddress, in.Current); err != nil {
		return AddressChange{}, err
	}
	b, err := s.bucket(ctx, addressChanges, who.ID)
	if err != nil {
		return AddressChange{}, err
	}
	if t, err := s.take(ctx, b); err != nil {
		return AddressChange{}, err
	} else if t != nil {
		return AddressChange{}, s.refuse(ctx, who, SignInsThrottled{Door: string(doorAddress), Bucket: t.limit}, t.fault())
	}
	return s.beginAddress(ctx, who, acc, addr, s.asked(in.Network, in.Agent))
}

func (s *Service) addressForm(acc account, email string) (Address, error) {
	field := func(code, problem string) error {
		return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Next: "Correct this and try again.", Fields: []fault.Field{{Name: "email", Code: code, Problem: problem}}})
	}
	addr, err := ParseAddress(email)
	if err != nil {
		return addr, err
	}
	if old, err := ParseAddress(acc.email); err == nil && old.Text == addr.Text {
		return addr, field("email_same", "This is your address already.")
	}
	if f, ok := s.closed(addr); ok && acc.kind != Staff && s.Rules.Get().Open == "domains" { // clause: auth.signup-email
		return addr, field(f.Code, f.Problem)
	}
	return addr, nil
}

func (s *Service) beginAddress(ctx context.Context, who actor.Actor, acc account, addr Address, asked string) (AddressChange, error) {
	idx, err := s.index(ctx, addr)
	if err != nil {
		return AddressChange{}, err
	}
	holder, err := s.accountByIndex(ctx, idx)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return AddressChange{}, err
	}
	taken := err == nil && holder.id != acc.id // one's own address in another spelling is free
	id := s.DB.ID()
	box, err := s.seal(ctx, keyring.Person(acc.id), "identity_address.address", idx, []byte(addr.Text))
	if err != nil {
		return AddressChange{}, err
	}
	older, newer := s.link(OldAddressLink, acc.id, id), s.link(NewAddressLink, acc.id, id)
	toOld, err1 := s.letter(ctx, acc.email, s.oldAddressLetter(older, addr.Text, asked))
	toNew, err2 := s.letter(ctx, addr.Text, s.newAddressLetter(newer, asked))
	if taken {
		toNew, err2 = s.letter(ctx, holder.email, s.addressTakenLetter(asked))
	}
	if err := errors.Join(err1, err2); err != nil {
		return AddressChange{}, err
	}
	var until time.Time
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := endAddressChanges(ctx, tx, acc.id, "superseded"); err != nil {
			return nil, err
		}
		until = tx.Now().Add(older.ttl)
		if _, err := tx.Exec(ctx, insertAddressChange, id, acc.id, idx, box, us(tx.Now()), us(until)); err != nil {
			return nil, err
		}
		links := []newLink{older, newer}
		if taken {
			links = links[:1] // nobody can agree for a mailbox that has an account
		}
		for _, l := range links {
			if err := l.insert(ctx, tx); err != nil {
				return nil, err
			}
		}
		for _, j := range []jobs.Job{toOld, toNew} {
			if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
				return nil, err
			}
		}
		return AddressChangeAsked{Person: acc.id, Change: id, Until: until, Address: idx}, nil
	})
	if err != nil {
		return AddressChange{}, fmt.Errorf("ask for another address: %w", err)
	}
	return AddressChange{ID: id, Email: addr.Text, Expires: until}, nil
}

// endAddressChanges ends what waits, with its links, inside a change.
func endAddressChanges(ctx context.Context, tx *ledger.Tx, person, cause string) error {
	for _, q := range []string{endAddressLinks, endAddressChangesOf} {
		if _, err := tx.Exec(ctx, q, person, us(tx.Now()), cause); err != nil {
			return err
		}
	}
	return nil
}

// WaitingAddress is the change of address that waits for its mailboxes; ok is false when
// there is none.
func (s *Service) WaitingAddress(ctx context.Context, who actor.Actor) (c AddressChange, ok bool, err error) {
	if who.Kind != actor.Person {
		return c, false, errEnded()
	}
	r, err := s.addressChange(ctx, s.DB, waitingAddress, who.ID)
	if errors.Is(err, fault.NotFound) || err == nil && !s.Now().Before(r.expires) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	c = AddressChange{ID: r.id, OldOK: r.oldOK, NewOK: r.newOK, Expires: r.expires}
	c.Email, err = s.text(ctx, "identity_address.address", r.idx, r.box)
	return c, err == nil, err
}

// CancelAddress ends the change that waits. fault.NotFound when none does.
func (s *Service) CancelAddress(ctx context.Context, who actor.Actor) error {
	c, ok, err := s.WaitingAddress(ctx, who)
	if err != nil {
		return err
	}
	if !ok {
		return fault.Newf(fault.NotFound, "no_change", "No change of address is waiting.")
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return AddressChangeEnded{Person: who.ID, Change: c.ID, Cause: "cancelled"}, endAddressChanges(ctx, tx, who.ID, "cancelled")
	})
	if err != nil {
		return fmt.Errorf("cancel change of address: %w", err)
	}
	return nil
}

// addressRow is a change as stored.
type addressRow struct {
	id, person, idx string
	box             []byte
	oldOK, newOK    time.Time
	expires         time.Time
	ended           bool
}

func (s *Service) addressChange(ctx context.Context, from ledger.Reader, query, arg string) (addressRow, error) {
	var r addressRow
	var oldOK, newOK, ended *int64
	var expires int64
	if err := ledger.One(ctx, from, query, []any{&r.id, &r.person, &r.idx, &r.box, &oldOK, &newOK, &expires, &ended}, arg); err != nil {
		return r, err
	}
	r.expires, r.ended = at(expires), ended != nil
	if oldOK != nil {
		r.oldOK = at(*oldOK)
	}
	if newOK != nil {
		r.newOK = at(*newOK)
	}
	return r, nil
}

// mailbox finds the link of either mailbox.
func (s *Service) mailbox(ctx context.Context, token secret.Text) (link, error) {
	l, err := s.alive(ctx, token, OldAddressLink)
	if d, ok := errors.AsType[*deadLink](err); ok && d.cause == "unknown" {
		return s.alive(ctx, token, NewAddressLink)
	}
	return l, err
}

// AddressLink tells a page about the link of a mailbox, without using it: LinkInfo.Email
// is the new address. A link that does not work is fault.Gone, link_dead.
func (s *Service) AddressLink(ctx context.Context, who actor.Actor, token secret.Text) (LinkInfo, error) {
	l, err := s.mailbox(ctx, token)
	if err != nil {
		return LinkInfo{}, s.deadOf(ctx, who, err)
	}
	r, err := s.addressChange(ctx, s.DB, addressChangeBy, l.attempt)
	if err != nil || r.ended {
		return LinkInfo{}, s.deadOf(ctx, who, &deadLink{kind: l.kind, cause: "cancelled", ttl: s.Rules.Get().ConfirmTTL})
	}
	email, err := s.text(ctx, "identity_address.address", r.idx, r.box)
	return LinkInfo{Kind: l.kind, Issued: l.issued, Expires: l.expires, Email: email}, err
}

// AgreeAddress is the yes of a mailbox. done is true when it was the second one and the
// address is changed. Every token that does not work is fault.Gone, link_dead.
func (s *Service) AgreeAddress(ctx context.Context, who actor.Actor, token secret.Text) (done bool, err error) {
	l, err := s.mailbox(ctx, token)
	if err != nil {
		return false, s.deadOf(ctx, who, err)
	}
	for range 2 { // the other mailbox may say yes at the same moment
		done, err = s.agree(ctx, who, l)
		if !errors.Is(err, errStale) {
			break
		}
	}
	if errors.Is(err, errStale) || errors.Is(err, fault.Conflict) {
		err = &deadLink{kind: l.kind, cause: "cancelled", ttl: s.Rules.Get().ConfirmTTL}
	}
	if err != nil {
		return false, s.deadOf(ctx, who, err)
	}
	return done, nil
}

// agree is one try; errStale when the row moved between look and change.
func (s *Service) agree(ctx context.Context, who actor.Actor, l link) (done bool, err error) {
	r, err := s.addressChange(ctx, s.DB, addressChangeBy, l.attempt)
	if err != nil || r.ended {
		return false, errors.Join(err, errStale)
	}
	acc, err := s.account(ctx, l.person)
	if err != nil {
		return false, err
	}
	fresh, err := s.text(ctx, "identity_address.address", r.idx, r.box)
	if err != nil {
		return false, err
	}
	column, mailbox, last := setOldOK, "old", !r.newOK.IsZero()
	if l.kind == NewAddressLink {
		column, mailbox, last = setNewOK, "new", !r.oldOK.IsZero()
	}
	toOld, err1 := s.letter(ctx, acc.email, s.addressChangedLetter(fresh))
	toNew, err2 := s.letter(ctx, fresh, s.addressChangedLetter(fresh))
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	ttl := s.Rules.Get().ConfirmTTL
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := l.use(ctx, tx, ttl); err != nil {
			return nil, err
		}
		if n, err := tx.Exec(ctx, column, r.id, us(tx.Now())); err != nil || n != 1 {
			return nil, errors.Join(err, errStale)
		}
		now, err := s.addressChange(ctx, tx, addressChangeBy, r.id)
		if err != nil {
			return nil, err
		}
		if both := !now.oldOK.IsZero() && !now.newOK.IsZero(); both != last {
			return nil, errStale
		}
		if !last {
			return AddressAgreed{Person: acc.id, Change: r.id, Mailbox: mailbox}, nil
		}
		tx.Also(AddressAgreed{Person: acc.id, Change: r.id, Mailbox: mailbox})
		for _, j := range []jobs.Job{toOld, toNew} {
			if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
				return nil, err
			}
		}
		return moveAddress(ctx, tx, r)
	})
	if err != nil {
		return false, fmt.Errorf("agree to an address: %w", err)
	}
	return last, nil
}

// moveAddress puts the new address in force inside a change; one that somebody took
// meanwhile is fault.Conflict.
func moveAddress(ctx context.Context, tx *ledger.Tx, r addressRow) (ledger.Event, error) {
	if _, err := tx.Exec(ctx, deleteAddressOf, r.person); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, insertAddress, r.idx, r.person, r.box, us(tx.Now()), "link"); err != nil { // clause: auth.unique-login
		return nil, err
	}
	if _, err := tx.Exec(ctx, endAddressChangesOf, r.person, us(tx.Now()), "done"); err != nil {
		return nil, err
	}
	links, err := endLinks(ctx, tx, r.person, "cancelled") // they went to the old mailbox
	return AddressChanged{Person: r.person, Change: r.id, Links: links}, err
}

func (s *Service) oldAddressLetter(l newLink, fresh, asked string) typedLetter {
	return typedLetter{kind: "identity.address-old", Letter: mail.Letter{
		Title: "Shall your address be changed?",
		Lines: []string{fmt.Sprintf("Somebody who knows your password asked to change the address of your account to %s.", fresh),
			fmt.Sprintf("It is changed when both mailboxes agree. The link works once, for %s, until %s.", spell(l.ttl), stamp(s.Now().Add(l.ttl)))},
		Link: &mail.Link{Text: "Look at the change and agree", URL: s.Origin + l.path()},
		Foot: []string{asked, "If it was not you, do not agree, and set a new password at once: " + s.Origin + "/-/forgot"},
	}}
}

func (s *Service) newAddressLetter(l newLink, asked string) typedLetter {
	return typedLetter{kind: "identity.address-new", Letter: mail.Letter{
		Title: "Confirm your new address",
		Lines: []string{"Somebody, probably you, wants to use this address for their account here.",
			fmt.Sprintf("It is changed when both mailboxes agree. The link works once, for %s, until %s.", spell(l.ttl), stamp(s.Now().Add(l.ttl)))},
		Link: &mail.Link{Text: "Confirm this address", URL: s.Origin + l.path()},
		Foot: []string{asked, "If it was not you, do nothing: no account is tied to this address."},
	}}
}

func (s *Service) addressTakenLetter(asked string) typedLetter {
	return typedLetter{kind: "identity.address-taken", Letter: mail.Letter{
		Title: "This address has an account already",
		Lines: []string{"Somebody, probably you, asked to use this address for another account here. There is an account for it already, and nothing was changed.",
			"To use the address elsewhere, change it in that account first."},
		Link: &mail.Link{Text: "Sign in", URL: s.Origin + "/-/sign-in"},
		Foot: []string{asked, "If it was not you, do nothing: your account is as it was."},
	}}
}

func (s *Service) addressChangedLetter(fresh string) typedLetter {
	return typedLetter{kind: "identity.address-changed", Letter: mail.Letter{
		Title: "The address of your account was changed",
		Lines: []string{fmt.Sprintf("Since %s it is %s. Sign in with it; letters go there.", stamp(s.Now()), fresh)},
		Foot:  []string{"Both mailboxes agreed. If you know nothing of this, answer this letter or write to the company's security contact."},
	}}
}

const (
	addressColumns      = `SELECT id, person, idx, address, old_ok, new_ok, expires, ended FROM identity_address_change`
	addressChangeBy     = addressColumns + ` WHERE id = $1`
	waitingAddress      = addressColumns + ` WHERE person = $1 AND ended IS NULL`
	insertAddressChange = `INSERT INTO identity_address_change (id, person, idx, address, created, expires, cause) VALUES ($1, $2, $3, $4, $5, $6, '')`
	endAddressChangesOf = `UPDATE identity_address_change SET ended = $2, cause = $3 WHERE person = $1 AND ended IS NULL`
	endAddressLinks     = `UPDATE identity_link SET ended = $2, cause = $3 WHERE person = $1 AND kind IN ('address-old', 'address-new') AND ended IS NULL`
	setOldOK            = `UPDATE identity_address_change SET old_ok = $2 WHERE id = $1 AND ended IS NULL AND old_ok IS NULL AND expires > $2`
	setNewOK            = `UPDATE identity_address_change SET new_ok = $2 WHERE id = $1 AND ended IS NULL AND new_ok IS NULL AND expires > $2`
)
