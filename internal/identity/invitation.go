package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Invitation is an invitation to a team that waits for its answer.
type Invitation struct {
	ID      string
	Team    string
	Email   string
	Roles   []string
	Inviter string // a person, or the operator
	Issued  time.Time
	Expires time.Time
	Expired bool // it can be sent again
}

// Invite is somebody's wish to have a person in a team.
type Invite struct {
	Email string
	Team  string // empty = the team the actor acts in
	Roles []string
}

// invitationJob writes the letter of an invitation, outside the request.
const invitationJob = "identity.invitation"

// Invite invites an address to a team. Whether the address has an account changes neither
// the answer nor the work: a job writes the letter, to the stored address where there is
// one. An invitation of the address that is open ends. Errors: email_invalid, role_unknown,
// role_above, already_member, fault.Limited beyond the team's number of letters a day.
func (s *Service) Invite(ctx context.Context, who actor.Actor, in Invite) (Invitation, error) {
	const act = "invite"
	if in.Team == "" {
		in.Team = who.Team
	}
	if err := s.manageable(ctx, who, in.Team); err != nil { // clause: auth.admin-invite
		return Invitation{}, err
	}
	addr, idx, err := s.inviteForm(ctx, who, in)
	if err != nil {
		return Invitation{}, s.notOnTeam(ctx, who, act, in.Team, err)
	}
	inv := Invitation{ID: s.DB.ID(), Team: in.Team, Email: addr.Text, Roles: rolesOf(rolesText(in.Roles)), Inviter: inviterOf(who)}
	l, about, err := s.newInvitation(ctx, inv.ID, addr.Text)
	if err != nil {
		return Invitation{}, err
	}
	job, err := s.Jobs.Prepare(ctx, invitationJob, []byte(inv.ID))
	if err != nil {
		return Invitation{}, fmt.Errorf("prepare letter: %w", err)
	}
	if err := s.takeLetter(ctx, in.Team); err != nil {
		return Invitation{}, s.notOnTeam(ctx, who, act, in.Team, err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := s.stillMay(ctx, tx, who, inv.Team, idx); err != nil {
			return nil, err
		}
		now := us(tx.Now())
		if _, err := tx.Exec(ctx, supersede, inv.Team, idx, now); err != nil {
			return nil, err
		}
		if _, err := endAttempts(ctx, tx, idx); err != nil { // clause: auth.admin-invite
			return nil, err
		}
		inv.Issued, inv.Expires = tx.Now(), tx.Now().Add(l.ttl)
		if _, err := tx.Exec(ctx, insertInvitation, inv.ID, inv.Team, idx, about, rolesText(inv.Roles), inv.Inviter, sum(l.token), int64(l.bits), now, us(inv.Expires)); err != nil {
			return nil, err
		}
		return Invited{Invitation: inv.ID, Team: inv.Team, Roles: inv.Roles, Until: inv.Expires, Address: idx}, s.Jobs.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return Invitation{}, s.notOnTeam(ctx, who, act, in.Team, err)
	}
	return inv, nil
}

// inviteForm checks what was typed. It looks nothing up but the team.
func (s *Service) inviteForm(ctx context.Context, who actor.Actor, in Invite) (Address, string, error) {
	kind, err := s.kindOf(ctx, in.Team)
	if err != nil {
		return Address{}, "", err
	}
	addr, aerr := ParseAddress(in.Email)
	rerr := goodRoles(who, kind, in.Roles)
	if aerr != nil && errors.Is(rerr, fault.Invalid) { // both fields are told at once
		_, a := fault.PublicOf(aerr)
		_, r := fault.PublicOf(rerr)
		a.Fields = append(a.Fields, r.Fields...)
		return addr, "", fault.New(fault.Invalid, "email_invalid", a)
	}
	if err := errors.Join(aerr, rerr); err != nil {
		return addr, "", err
	}
	idx, err := s.index(ctx, addr)
	return addr, idx, err
}

func inviterOf(who actor.Actor) string {
	if who.Kind == actor.Person {
		return who.ID
	}
	return string(actor.Operator)
}

// newInvitation makes the life of an invitation and seals its address. The token of the
// link that is mailed is made with the letter; until then nothing opens the invitation.
func (s *Service) newInvitation(ctx context.Context, id, email string) (newLink, []byte, error) {
	r := s.Rules.Get()
	bits := max(r.ResetBits, 256)
	l := newLink{id: id, kind: InviteLink, token: secret.RandomText(bits / 8), bits: bits, ttl: r.ttl(InviteLink)}
	about, err := s.seal(ctx, keyring.Strangers(s.Now().Add(l.ttl)), "identity_invitation.about", id, []byte(email))
	return l, about, err
}

// takeLetter counts a letter of the team (fault.Limited, too_many).
func (s *Service) takeLetter(ctx context.Context, team string) error {
	per := limit{name: "invite-team", max: int64(s.Rules.Get().InvitesPerDay), window: 24 * time.Hour} // clause: auth.admin-invite
	b, err := s.bucket(ctx, per, team)
	if err != nil {
		return err
	}
	t, err := s.take(ctx, b)
	if err != nil || t == nil {
		return err
	}
	f := fault.New(fault.Limited, "too_many", fault.Public{Problem: fmt.Sprintf("This team has sent its %d invitations of the day.", per.max),
		Expected: "A pause before the next one.", Next: "Try again tomorrow."})
	f.RetryAfter = max(t.wait, time.Second)
	return f
}

// stillMay holds inside the change what was asked before it: the inviter manages the team
// still, and the address belongs to nobody who is in it.
func (s *Service) stillMay(ctx context.Context, tx *ledger.Tx, who actor.Actor, team, idx string) error {
	if _, err := lockTeam(ctx, tx, team); err != nil {
		return err
	}
	if who.Kind == actor.Person && who.Team == team {
		if _, roles, err := seatOf(ctx, tx, team, who.ID); err != nil || rank(roles...) < standing(who) {
			return errors.Join(errEnded(), err)
		}
	}
	var n int64
	if err := ledger.One(ctx, tx, countMember, []any{&n}, team, idx); err != nil {
		return err
	}
	if n > 0 {
		return fault.New(fault.Conflict, "already_member", fault.Public{Problem: "Somebody with this address is in the team already.", Next: "Look at the list of members."})
	}
	return nil
}

// endAttempts ends sign-ups for an address that nobody has proven, and says how many: an
// invitation has landed on it, and a password that a stranger chose beforehand must not
// meet it there.
func endAttempts(ctx context.Context, tx *ledger.Tx, idx string) (int64, error) {
	if _, err := tx.Exec(ctx, endLinksOfAddress, idx, us(tx.Now()), "superseded"); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, deleteAttemptsOf, idx)
}

// sendInvitation makes the link and its letter. It bears a second run: the newer link
// replaces the former.
func (s *Service) sendInvitation(ctx context.Context, payload secret.Bytes) error {
	id := string(payload.Reveal())
	row, err := s.readInvitation(ctx, invitationBy+` WHERE i.id = $1`, id)
	if errors.Is(err, fault.NotFound) || err == nil && row.dead(s.Now(), s.Rules.Get().InviteTTL) != "" {
		return nil // revoked or over meanwhile
	}
	if err != nil {
		return err
	}
	to, _, err := s.ownerOf(ctx, row.idx)
	if err != nil {
		return err
	}
	if to == "" { // a folded spelling may be somebody else's, so a stored address goes first
		to = row.email
	}
	b, err := s.bucket(ctx, inviteMail, row.idx)
	if err != nil {
		return err
	}
	if t, err := s.take(ctx, b); err != nil {
		return err
	} else if t != nil {
		return s.system(ctx, InvitationSent{Invitation: id, Outcome: "silent"})
	}
	l := newLink{id: id, kind: InviteLink, token: secret.RandomText(row.bits / 8)}
	job, err := s.letter(ctx, to, s.invitationLetter(l, s.inviterName(ctx, row), row.expires))
	if err != nil {
		return err
	}
	token := sum(l.token)
	_, err = s.DB.Change(ctx, actor.System("identity-invitation"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, setInviteToken, id, token, us(tx.Now()))
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return InvitationSent{Invitation: id, Outcome: "ended"}, nil
		}
		return InvitationSent{Invitation: id, Outcome: "sent"}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return fmt.Errorf("send invitation: %w", err)
	}
	return nil
}

// inviterName is who invites, by a proven address: nobody's own words go to strangers in
// the company's name.
func (s *Service) inviterName(ctx context.Context, row invitation) string {
	if row.kind != Staff {
		if _, _, err := seatOf(ctx, s.DB, row.team, row.inviter); err == nil {
			if email := s.Email(ctx, row.inviter); email != "" {
				return email
			}
		}
	}
	return ""
}

// invitationsPage is how many invitations a page holds.
const invitationsPage = 200

// Invitations pages through a team's invitations that wait, the newest first; after is
// the last id of the page before. The team is the actor's own when it is empty.
func (s *Service) Invitations(ctx context.Context, who actor.Actor, team, after string) ([]Invitation, error) {
	if team == "" {
		team = who.Team
	}
	if err := s.manageable(ctx, who, team); err != nil {
		return nil, err
	}
	var rows []invitation
	var boxes [][]byte
	err := s.DB.Each(ctx, invitationBy+` WHERE i.team = $1 AND i.ended IS NULL AND ($2 = '' OR i.id < $2) ORDER BY i.id DESC LIMIT 200`, func(scan scanner) error {
		r, box, err := scanInvitation(scan)
		rows, boxes = append(rows, r), append(boxes, box)
		return err
	}, team, after)
	if err != nil {
		return nil, fmt.Errorf("read invitations: %w", err)
	}
	out := make([]Invitation, len(rows))
	for i, r := range rows {
		if r.email, err = s.text(ctx, "identity_invitation.about", r.id, boxes[i]); err != nil && !errors.Is(err, fault.Gone) {
			return nil, fmt.Errorf("open invitation %s: %w", r.id, err)
		}
		out[i] = r.shown(s.Now(), s.Rules.Get().InviteTTL)
	}
	return out, nil
}

// Resend sends an invitation once more. The former link is dead at once, and the time
// begins anew.
func (s *Service) Resend(ctx context.Context, who actor.Actor, id string) (Invitation, error) {
	const act = "resend-invitation"
	row, err := s.ownInvitation(ctx, who, act, id)
	if err != nil {
		return Invitation{}, err
	}
	kind, err := s.kindOf(ctx, row.team)
	if err == nil {
		err = goodRoles(who, kind, row.roles)
	}
	if err == nil {
		err = s.takeLetter(ctx, row.team)
	}
	if err != nil {
		return Invitation{}, s.notOnTeam(ctx, who, act, row.team, err)
	}
	l, about, err := s.newInvitation(ctx, id, row.email)
	if err != nil {
		return Invitation{}, err
	}
	job, err := s.Jobs.Prepare(ctx, invitationJob, []byte(id))
	if err != nil {
		return Invitation{}, fmt.Errorf("prepare letter: %w", err)
	}
	row.inviter = inviterOf(who)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := s.stillMay(ctx, tx, who, row.team, row.idx); err != nil {
			return nil, err
		}
		row.issued, row.expires = tx.Now(), tx.Now().Add(l.ttl)
		n, err := tx.Exec(ctx, renewInvitation, id, row.team, sum(l.token), int64(l.bits), about, us(row.issued), us(row.expires), row.inviter) // clause: auth.admin-invite
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, noInvitation()
		}
		return Invited{Invitation: id, Team: row.team, Roles: row.roles, Until: row.expires, Again: true, Address: row.idx}, s.Jobs.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return Invitation{}, s.notOnTeam(ctx, who, act, row.team, err)
	}
	return row.shown(s.Now(), s.Rules.Get().InviteTTL), nil
}

// Revoke takes an invitation back.
func (s *Service) Revoke(ctx context.Context, who actor.Actor, id string) error {
	const act = "revoke-invitation"
	row, err := s.ownInvitation(ctx, who, act, id)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, revokeInvitation, id, row.team, us(tx.Now())) // clause: auth.admin-invite
		if err == nil && n != 1 {
			err = noInvitation()
		}
		return InvitationRevoked{Invitation: id, Team: row.team}, err
	})
	if err != nil {
		return s.notOnTeam(ctx, who, act, row.team, err)
	}
	return nil
}

func noInvitation() error {
	return fault.New(fault.NotFound, "no_invitation", fault.Public{Problem: "There is no such invitation, or it was answered.", Next: "Look at the list of invitations."})
}

// ownInvitation finds an open invitation of the team the actor acts in, or with
// access.PeopleManage of any. Another team's is as unknown as one that never was.
func (s *Service) ownInvitation(ctx context.Context, who actor.Actor, act, id string) (invitation, error) {
	all := s.Access.May(who, access.PeopleManage)
	if !all {
		if err := s.manageable(ctx, who, who.Team); err != nil {
			return invitation{}, err
		}
	}
	row, err := s.readInvitation(ctx, invitationBy+` WHERE i.id = $1 AND i.ended IS NULL AND (i.team = $2 OR $3)`, id, who.Team, all) // clause: access.roles
	if errors.Is(err, fault.NotFound) {
		err = noInvitation()
	}
	if err != nil {
		return invitation{}, s.notOnTeam(ctx, who, act, who.Team, err)
	}
	return row, s.manageable(ctx, who, row.team)
}

// invitation is a row, with the kind of its team.
type invitation struct {
	id, team, kind, idx, email, inviter, cause string
	token                                      string // SHA-256 of the link that was opened, where one was
	roles                                      []string
	bits                                       int
	issued, expires                            time.Time
	ended                                      bool
}

// dead says why an invitation does not work at now; "" when it does. Its life is the
// smaller of the one it was given and the one the rules give now.
func (i invitation) dead(now time.Time, ttl time.Duration) string {
	return link{issued: i.issued, expires: i.expires, ended: i.ended, cause: i.cause}.dead(now, ttl) // clause: auth.admin-invite
}

func (i invitation) shown(now time.Time, ttl time.Duration) Invitation {
	return Invitation{ID: i.id, Team: i.team, Email: i.email, Roles: i.roles, Inviter: i.inviter, Issued: i.issued, Expires: i.expires, Expired: i.dead(now, ttl) != ""}
}

func scanInvitation(scan scanner) (invitation, []byte, error) {
	var i invitation
	var box []byte
	var roles string
	var issued, expires int64
	var ended *int64
	err := scan(&i.id, &i.team, &i.kind, &i.idx, &box, &roles, &i.inviter, &i.bits, &issued, &expires, &ended, &i.cause)
	i.roles, i.issued, i.expires, i.ended = rolesOf(roles), at(issued), at(expires), ended != nil
	return i, box, err
}

func (s *Service) readInvitation(ctx context.Context, query string, args ...any) (invitation, error) {
	var row invitation
	var box []byte
	found := false
	err := s.DB.Each(ctx, query, func(scan scanner) (err error) {
		found = true
		row, box, err = scanInvitation(scan)
		return err
	}, args...)
	if err == nil && !found {
		err = fault.NotFound
	}
	if err != nil {
		return invitation{}, fmt.Errorf("read invitation: %w", err)
	}
	if row.email, err = s.text(ctx, "identity_invitation.about", row.id, box); err != nil {
		return invitation{}, err
	}
	return row, nil
}

const (
	invitationBy = `SELECT i.id, i.team, t.kind, i.idx, i.about, i.roles, i.inviter, i.bits, i.issued, i.expires, i.ended, i.cause
		FROM identity_invitation i JOIN identity_team t ON t.id = i.team`
	insertInvitation = `INSERT INTO identity_invitation (id, team, idx, about, roles, inviter, token, bits, issued, expires, ended, cause, person, taken_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, '', '', '')`
	setInviteToken   = `UPDATE identity_invitation SET token = $2 WHERE id = $1 AND ended IS NULL AND expires > $3`
	renewInvitation  = `UPDATE identity_invitation SET token = $3, bits = $4, about = $5, issued = $6, expires = $7, inviter = $8 WHERE id = $1 AND team = $2 AND ended IS NULL`
	revokeInvitation = `UPDATE identity_invitation SET ended = $3, cause = 'revoked', about = NULL WHERE id = $1 AND team = $2 AND ended IS NULL`
	supersede        = `UPDATE identity_invitation SET ended = $3, cause = 'superseded', about = NULL WHERE team = $1 AND idx = $2 AND ended IS NULL`
	countMember      = `SELECT COUNT(*) FROM identity_member m JOIN identity_address a ON a.person = m.person WHERE m.team = $1 AND a.idx = $2`
	endInvitesOf     = `UPDATE identity_invitation SET ended = $2, cause = 'inviter-left', about = NULL WHERE inviter = $1 AND ended IS NULL`
	deleteInvitesTo  = `DELETE FROM identity_invitation WHERE idx IN (SELECT a.idx FROM identity_address a WHERE a.person = $1)`
	blankInvites     = `UPDATE identity_invitation SET ended = expires, cause = 'expired', about = NULL WHERE ended IS NULL AND expires < $1`
	oldInvites       = `DELETE FROM identity_invitation WHERE issued < $1`
)
