package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Accept is the use of an invitation.
type Accept struct {
	Token    secret.Text
	Name     string      // of a new account; may be empty
	Password secret.Text // of a new account
	Network  string
}

// Accepted is what came of it.
type Accepted struct {
	Team string
	New  bool // the account was made with it: sign in next
}

// InvitationNeeds says what whoever opened an invitation does next.
type InvitationNeeds string

// What an invitation may need.
const (
	NeedsAccount InvitationNeeds = "account"       // choose a name and a password
	NeedsSignIn  InvitationNeeds = "sign-in"       // there is an account: sign in first
	NeedsYes     InvitationNeeds = "yes"           // signed in under the address: join
	NeedsOther   InvitationNeeds = "other-address" // signed in under another one
)

// InvitationInfo is what a page may show to whoever holds the link of an invitation.
type InvitationInfo struct {
	Team    string // its name; may be empty
	Email   string // empty for somebody signed in under another address
	Inviter string // a proven address; may be empty
	Roles   []string
	Expires time.Time
	Needs   InvitationNeeds
}

// errNoInvitation is a token of some other kind.
var errNoInvitation = fault.New(fault.NotFound, "no_invitation", fault.Public{Problem: "This link is no invitation."})

// OpenInvitation tells a page about an invitation, without using it. A token of another
// kind is fault.NotFound; one that does not work is fault.Gone, link_dead.
func (s *Service) OpenInvitation(ctx context.Context, who actor.Actor, token secret.Text) (InvitationInfo, error) {
	row, err := s.invited(ctx, who, token)
	if err != nil {
		return InvitationInfo{}, err
	}
	info := InvitationInfo{Team: s.TeamName(ctx, row.team), Email: row.email, Inviter: s.inviterName(ctx, row), Roles: row.roles, Expires: row.expires}
	_, info.Needs, err = s.answerer(ctx, who, row)
	if info.Needs == NeedsOther {
		info.Email = ""
	}
	return info, err
}

// invited finds the invitation behind a token, if it works.
func (s *Service) invited(ctx context.Context, who actor.Actor, token secret.Text) (invitation, error) {
	if token.IsZero() || token.Len() > maxToken {
		return invitation{}, errNoInvitation
	}
	row, err := s.readInvitation(ctx, invitationBy+` WHERE i.token = $1`, sum(token))
	if errors.Is(err, fault.NotFound) {
		return invitation{}, errNoInvitation
	}
	if err != nil {
		return invitation{}, err
	}
	row.token = sum(token)
	if cause := row.dead(s.Now(), s.Rules.Get().InviteTTL); cause != "" {
		return invitation{}, s.inviteRefused(ctx, who, row, cause, linkDead(s.Rules.Get().InviteTTL))
	}
	return row, nil
}

func (s *Service) inviteRefused(ctx context.Context, who actor.Actor, row invitation, cause string, reason error) error {
	return s.refuse(ctx, who, InvitationRefused{Invitation: row.id, Cause: cause, Network: networkOf(who)}, reason)
}

// answerer says who would answer an invitation: the person it would make a member, and
// what is needed of them. Whoever lost their only team cannot sign in; the mailbox alone
// brings them back, and gives no session.
func (s *Service) answerer(ctx context.Context, who actor.Actor, row invitation) (account, InvitationNeeds, error) {
	acc, err := s.accountByIndex(ctx, row.idx)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return account{}, "", err
	}
	there := err == nil
	switch {
	case who.Kind == actor.Person && there && who.ID == acc.id: // clause: auth.admin-invite
		return acc, NeedsYes, nil
	case who.Kind == actor.Person:
		return account{}, NeedsOther, nil
	case !there:
		return account{}, NeedsAccount, nil
	case acc.state == stateActive && acc.confirmed && acc.roles == "":
		return acc, NeedsYes, nil
	}
	return acc, NeedsSignIn, nil
}

// Accept uses an invitation: one winner, for the invited address alone. Without an
// account it makes one, whose address the link has proven; with one it needs a session of
// that person. It signs nobody in. Errors: link_dead, sign_in_needed,
// invite_other_address, password_…, name_invalid, too_many; fault.NotFound for a token of another kind.
func (s *Service) Accept(ctx context.Context, who actor.Actor, in Accept) (Accepted, error) {
	b, err := s.bucket(ctx, accepts, in.Network)
	if err != nil {
		return Accepted{}, err
	}
	row, err := s.invited(ctx, who, in.Token)
	if errors.Is(err, fault.NotFound) {
		return Accepted{}, err
	}
	if t, terr := s.take(ctx, b); terr != nil {
		return Accepted{}, terr
	} else if t != nil {
		return Accepted{}, s.refuse(ctx, who, SignInsThrottled{Door: string(doorInvite), Bucket: t.limit, Network: networkOf(who)}, t.fault())
	}
	if err != nil {
		return Accepted{}, err
	}
	out, err := s.answer(ctx, who, row, in)
	if k := fault.KindOf(err); err == nil || k == fault.Invalid || k == fault.Unavailable { // a slip of the hand, or our own failure
		if ferr := s.forgive(ctx, nil, []bucket{b}); ferr != nil {
			s.Log.Error("forgive attempts at an invitation", "err", ferr)
		}
	}
	return out, err
}

func (s *Service) answer(ctx context.Context, who actor.Actor, row invitation, in Accept) (Accepted, error) {
	acc, needs, err := s.answerer(ctx, who, row)
	if err != nil {
		return Accepted{}, err
	}
	switch needs {
	case NeedsOther:
		return Accepted{}, s.inviteRefused(ctx, who, row, "other-address", fault.New(fault.Denied, "invite_other_address", fault.Public{
			Problem: "The invitation is for another address than the one you are signed in with.", Expected: "A session of the invited address, or none.",
			Next: "Sign out, open the link again, and sign in with the invited address."}))
	case NeedsSignIn:
		return Accepted{}, s.inviteRefused(ctx, who, row, "not-signed-in", fault.New(fault.Unauthenticated, "sign_in_needed", fault.Public{
			Problem: "There is an account for the invited address.", Expected: "A session of that account.", Next: "Sign in with it, then accept."}))
	case NeedsYes:
		return s.join(ctx, who, row, acc)
	}
	return s.found(ctx, who, row, in)
}

// join makes somebody who has an account a member.
func (s *Service) join(ctx context.Context, who actor.Actor, row invitation, acc account) (Accepted, error) {
	job, told, err := s.tellInviter(ctx, row)
	if err != nil {
		return Accepted{}, err
	}
	ttl := s.Rules.Get().InviteTTL
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		ev, err := row.take(ctx, tx, acc.id, ttl)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, joinTeam, row.team, acc.id, rolesText(row.roles), us(tx.Now())); err != nil {
			return nil, err
		}
		if told {
			err = s.Mail.Enqueue(ctx, tx, job)
		}
		return ev, err
	})
	if err != nil {
		return Accepted{}, s.notTaken(ctx, who, row, err)
	}
	return Accepted{Team: row.team}, nil
}

// found makes an account for the invited address, which the link has proven.
func (s *Service) found(ctx context.Context, who actor.Actor, row invitation, in Accept) (Accepted, error) {
	addr, err := ParseAddress(row.email)
	if err != nil {
		return Accepted{}, err
	}
	name, good, err := s.acceptForm(ctx, who, addr, in)
	if err != nil {
		return Accepted{}, err
	}
	n := newPerson{name: name, addr: addr, idx: row.idx, kind: row.kind, team: row.team, roles: row.roles, how: "link"}
	if row.kind == Staff { // the policy names staff by their handles
		if n.handle, err = s.freeHandle(ctx, addr); err != nil {
			return Accepted{}, err
		}
	}
	p, err := s.sealPerson(ctx, n)
	if err != nil {
		return Accepted{}, err
	}
	h, err := s.hash(ctx, who, false, good, "identity_password.phc", p.id)
	if err != nil {
		return Accepted{}, err
	}
	job, told, err := s.tellInviter(ctx, row)
	if err != nil {
		return Accepted{}, err
	}
	ttl := s.Rules.Get().InviteTTL
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		ev, err := row.take(ctx, tx, p.id, ttl)
		if err != nil {
			return nil, err
		}
		ev.New = true
		if err := h.store(ctx, tx, p.id); err != nil {
			return nil, err
		}
		tx.Also(PasswordSet{Person: p.id, Scheme: h.scheme, List: h.list, Min: h.min})
		if told {
			err = s.Mail.Enqueue(ctx, tx, job)
		}
		return ev, err
	})
	if err != nil {
		return Accepted{}, s.notTaken(ctx, who, row, err)
	}
	return Accepted{Team: row.team, New: true}, nil
}

// acceptForm checks name and password, so that all that is wrong is told at once.
func (s *Service) acceptForm(ctx context.Context, who actor.Actor, addr Address, in Accept) (string, accepted, error) {
	var fields []fault.Field
	name, ok := cleanName(in.Name)
	if !ok {
		fields = append(fields, fault.Field{Name: "name", Code: "name_invalid", Problem: "The name is longer than 100 characters or holds a control character."})
	}
	good, more := s.judge(candidate{door: doorInvite, field: "password", text: in.Password, about: []string{name, addr.Text}})
	if fields = append(fields, more...); len(fields) > 0 {
		return "", accepted{}, s.refusePassword(ctx, who, doorInvite, fields)
	}
	return name, good, nil
}

// take consumes the invitation inside a change, for a person whose address is the invited
// one: one winner, while it works. Sign-ups that wait for that address end.
func (i invitation) take(ctx context.Context, tx *ledger.Tx, person string, ttl time.Duration) (InvitationAccepted, error) {
	now := tx.Now()
	n, err := tx.Exec(ctx, takeInvitation, i.id, i.token, us(now), person, us(now.Add(-ttl))) // clause: auth.admin-invite
	if err != nil {
		return InvitationAccepted{}, err
	}
	if n != 1 {
		return InvitationAccepted{}, errTaken
	}
	ev := InvitationAccepted{Invitation: i.id, Team: i.team, Person: person, Roles: i.roles, Age: now.Sub(i.issued)}
	ev.Attempts, err = endAttempts(ctx, tx, i.idx)
	return ev, err
}

// errTaken is an invitation that ended while it was being accepted.
var errTaken = fault.New(fault.Gone, "link_dead", fault.Public{Problem: "The invitation has ended."})

// notTaken is the refusal of an invitation that did not work at the last moment.
func (s *Service) notTaken(ctx context.Context, who actor.Actor, row invitation, err error) error {
	switch {
	case errors.Is(err, fault.Gone), errors.Is(err, errStale):
		return s.inviteRefused(ctx, who, row, "accepted", linkDead(s.Rules.Get().InviteTTL))
	case errors.Is(err, fault.Conflict): // the account came to be at the same moment, by this link or by another way
		now, rerr := s.readInvitation(ctx, invitationBy+` WHERE i.id = $1`, row.id)
		if rerr == nil && now.ended {
			return s.inviteRefused(ctx, who, row, now.cause, linkDead(s.Rules.Get().InviteTTL))
		}
		return s.inviteRefused(ctx, who, row, "not-signed-in", fault.New(fault.Unauthenticated, "sign_in_needed", fault.Public{
			Problem: "There is an account for the invited address.", Expected: "A session of that account.", Next: "Sign in with it, then accept."}))
	}
	return fmt.Errorf("accept invitation: %w", err)
}

// tellInviter prepares the word to whoever invited, if they are in the team still.
func (s *Service) tellInviter(ctx context.Context, row invitation) (jobs.Job, bool, error) {
	if _, _, err := seatOf(ctx, s.DB, row.team, row.inviter); err != nil {
		if errors.Is(err, fault.NotFound) {
			return jobs.Job{}, false, nil
		}
		return jobs.Job{}, false, fmt.Errorf("read inviter: %w", err)
	}
	to := s.Email(ctx, row.inviter)
	if to == "" {
		return jobs.Job{}, false, nil
	}
	job, err := s.letter(ctx, to, s.joinedLetter(row.email, s.called(ctx, row.team)))
	return job, err == nil, err
}

const (
	// The address is compared where the row is taken, so that no path can hand an invitation
	// to another one; so is the token, which a link sent meanwhile has replaced.
	takeInvitation = `UPDATE identity_invitation SET ended = $3, cause = 'accepted', person = $4, about = NULL,
		taken_by = COALESCE((SELECT a.idx FROM identity_address a WHERE a.person = $4), '')
		WHERE id = $1 AND token = $2 AND ended IS NULL AND expires > $3 AND issued > $5
		AND idx = (SELECT a.idx FROM identity_address a WHERE a.person = $4 AND a.confirmed IS NOT NULL)`
	joinTeam = `INSERT INTO identity_member (team, person, roles, since) VALUES ($1, $2, $3, $4) ON CONFLICT (team, person) DO NOTHING`
)
