package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// provSave is a person as they are, and as a directory wants them.
type provSave struct {
	c      Connection
	before provRow
	wish   provWish
	begun  time.Time
	end    bool // the resource is deleted as well

	fields    []string // what changes
	about     []byte
	name      []byte // nil: stays
	address   *addressRow
	letters   []jobs.Job
	firstLink func(*ledger.Tx) error
	out       offboarding // where they go
}

func (p *provSave) off() bool { return p.before.Active && (p.end || !p.wish.form.Active) }
func (p *provSave) on() bool  { return !p.before.Active && !p.end && p.wish.form.Active }

// ChangeProvisioned makes a person of the connection's team as the form says, active or
// not included. version is the one the form was made from: if the person was changed
// meanwhile the answer is fault.Conflict, scim_moved, and nothing is changed.
func (s *Service) ChangeProvisioned(ctx context.Context, who actor.Actor, id, version string, f ProvisionForm, begun time.Time) (Provisioned, error) {
	c, before, err := s.provisionedAt(ctx, who, id, version)
	if err != nil {
		return Provisioned{}, err
	}
	w, err := s.provisionWish(ctx, c, f)
	if err != nil {
		return Provisioned{}, err
	}
	return s.saveProvisioned(ctx, who, provSave{c: c, before: before, wish: w, begun: begun})
}

// Deprovision ends everything of a person in the connection's team, as active=false does,
// and the resource with it.
func (s *Service) Deprovision(ctx context.Context, who actor.Actor, id, version string, begun time.Time) error {
	c, before, err := s.provisionedAt(ctx, who, id, version)
	if err != nil {
		return err
	}
	f := before.ProvisionForm
	f.Active = false
	w, err := s.provisionWish(ctx, c, f)
	if err != nil {
		return err
	}
	_, err = s.saveProvisioned(ctx, who, provSave{c: c, before: before, wish: w, begun: begun, end: true})
	return err
}

func (s *Service) provisionedAt(ctx context.Context, who actor.Actor, id, version string) (Connection, provRow, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return c, provRow{}, err
	}
	before, err := s.provisioned(ctx, c, id)
	if err == nil && before.Version != version {
		err = errMoved()
	}
	return c, before, err
}

// saveProvisioned is the one change in which all happens.
func (s *Service) saveProvisioned(ctx context.Context, who actor.Actor, p provSave) (Provisioned, error) {
	if err := s.prepareProvision(ctx, &p); err != nil {
		return Provisioned{}, err
	}
	if len(p.fields) == 0 {
		return p.before.Provisioned, nil
	}
	var ended []string
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ended = nil
		if err := p.hold(ctx, tx); err != nil {
			return nil, err
		}
		if err := p.store(ctx, s, tx); err != nil {
			return nil, err
		}
		var ev ledger.Event = ProvisionedChanged{Person: p.before.ID, Connection: p.c.ID, Fields: p.fields}
		var err error
		switch {
		case p.off():
			ev, ended, err = s.deprovisionIn(ctx, tx, &p)
		case p.on():
			ev, err = p.reviveIn(ctx, tx)
		}
		return ev, err
	})
	if errors.Is(err, fault.Conflict) {
		if e, ok := errors.AsType[*fault.Error](err); !ok || !slices.Contains([]string{"scim_moved", "last_owner", "last_admin"}, e.Code) {
			return Provisioned{}, errUserExists() // a name or address that somebody took meanwhile
		}
	}
	if err != nil {
		return Provisioned{}, fmt.Errorf("change a provisioned person: %w", err)
	}
	s.table.drop(s.Now(), ended...)
	s.rolesChanged(ctx, []string{p.before.ID})
	if p.off() {
		s.receipt(ctx, who, p.out)
	}
	if p.end {
		return Provisioned{}, nil
	}
	r, err := s.provisioned(ctx, p.c, p.before.ID)
	return r.Provisioned, err
}

// prepareProvision finds what changes, refuses what a connection may not, and does all
// that must not be done within the change.
func (s *Service) prepareProvision(ctx context.Context, p *provSave) (err error) {
	b, f := &p.before, p.wish.form
	note := func(name string, differs bool) {
		if differs {
			p.fields = append(p.fields, name)
		}
	}
	note("deleted", p.end)
	note("restored", b.ended && !p.end)
	note("active", p.off() || p.on())
	note("userName", b.UserName != f.UserName)
	note("externalId", b.ExternalID != f.ExternalID)
	named := b.Given != f.Given || b.Family != f.Family || b.Formatted != f.Formatted || b.Display != f.Display
	note("name", named)
	if p.on() && !b.off && b.state != stateActive { // whoever disabled them outside of the directory decides
		return fault.New(fault.Denied, "disabled_here", fault.Public{Problem: "This account was disabled here, not by the directory.",
			Next: "Ask the operator to enable it."})
	}
	if p.wish.idx != b.idx {
		if err := s.prepareAddress(ctx, p); err != nil {
			return err
		}
		note("address", true)
	}
	if len(p.fields) == 0 {
		return nil
	}
	if p.about, err = s.sealAbout(ctx, p.c, b.ID, f); err != nil {
		return err
	}
	if named && b.others == 0 && p.wish.name != "" {
		if p.name, err = s.seal(ctx, keyring.Person(b.ID), "identity_person.name", b.ID, []byte(p.wish.name)); err != nil {
			return err
		}
	}
	p.firstLink, err = s.firstLink(ctx, p.on() && !b.confirmed && p.address == nil, b.ID, p.wish.addr.Text)
	return err
}

// prepareAddress refuses another address but within the connection's domains, and never
// for somebody whom the connection could not have made, or who is in other teams too:
// whoever sets an address can take the account over.
func (s *Service) prepareAddress(ctx context.Context, p *provSave) error {
	beyond := slices.ContainsFunc(p.before.roles, func(r string) bool { return !slices.Contains(p.c.Roles, r) && r != p.c.Standard })
	if !p.wish.inDomain || p.before.others > 0 || beyond { // clause: auth.best-practice
		return fault.New(fault.Denied, "address_denied", fault.Public{Problem: "The directory may not change this person's address.",
			Expected: "An address in a domain of the connection, of somebody who is in this team alone and has no role beyond what the connection may give.",
			Next:     "The person changes it under their account."})
	}
	box, err := s.seal(ctx, keyring.Person(p.before.ID), "identity_address.address", p.wish.idx, []byte(p.wish.addr.Text))
	if err != nil {
		return err
	}
	p.address = &addressRow{id: "scim", person: p.before.ID, idx: p.wish.idx, box: box}
	for _, to := range []string{p.before.Email, p.wish.addr.Text} {
		j, err := s.letter(ctx, to, s.addressChangedLetter(p.wish.addr.Text))
		if err != nil {
			return err
		}
		p.letters = append(p.letters, j)
	}
	return nil
}

// hold makes everything in the change follow from the state that was read.
func (p *provSave) hold(ctx context.Context, tx *ledger.Tx) error {
	if _, err := bump(ctx, tx); err != nil { // one such act at a time, or two could end each other
		return err
	}
	n, err := tx.Hold(ctx, holdPersonAs, p.before.ID, p.before.state)
	if err != nil {
		return err
	}
	var roles string
	err = ledger.One(ctx, tx, standingIn, []any{&roles}, p.c.Team, p.before.ID)
	member := err == nil
	if errors.Is(err, fault.NotFound) {
		err = nil
	}
	if err == nil && (n != 1 || member != p.before.member || rolesText(rolesOf(roles)) != rolesText(p.before.roles)) {
		err = errMoved()
	}
	return err
}

// store writes what the directory said.
func (p *provSave) store(ctx context.Context, s *Service, tx *ledger.Tx) error {
	b := &p.before
	if !b.linked {
		if _, err := tx.Exec(ctx, insertProvisioned, p.c.ID, b.ID, p.wish.uname, p.wish.ext, p.about, us(tx.Now()), nil); err != nil {
			return err
		}
	} else if n, err := tx.Exec(ctx, updateProvisioned, p.c.ID, b.ID, p.wish.uname, p.wish.ext, p.about, us(tx.Now()), b.version); err != nil || n != 1 {
		if err == nil {
			err = errMoved()
		}
		return err
	}
	if p.end {
		for _, q := range []string{endProvisioned, leaveGroups} {
			args := []any{p.c.ID, b.ID}
			if q == endProvisioned {
				args = append(args, us(tx.Now()))
			}
			if _, err := tx.Exec(ctx, q, args...); err != nil {
				return err
			}
		}
	}
	if p.name != nil {
		if _, err := tx.Exec(ctx, setNameOf, b.ID, p.name); err != nil {
			return err
		}
	}
	if p.address != nil {
		ev, err := moveAddress(ctx, tx, *p.address)
		if err != nil {
			return err
		}
		tx.Also(ev)
	}
	for _, j := range p.letters {
		if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
			return err
		}
	}
	return p.firstLink(tx)
}

// deprovisionIn ends a person's place in the team. Who is in this team alone can no longer
// sign in at all; who is in others loses this one, and what they did in it.
func (s *Service) deprovisionIn(ctx context.Context, tx *ledger.Tx, p *provSave) (ledger.Event, []string, error) { // clause: auth.best-practice
	b, c := &p.before, p.c
	if err := s.notLastOwner(ctx, tx, account{id: b.ID, kind: c.Kind, roles: rolesText(b.roles), state: b.state}); err != nil {
		return nil, nil, err
	}
	if c.Kind != Staff {
		if err := notLastAdmin(ctx, tx, c.Team, b.ID, true); err != nil {
			return nil, nil, err
		}
	}
	ev := UserDeprovisioned{Person: b.ID, Connection: c.ID, Team: c.Team, How: "disabled", Memberships: 1, Took: max(tx.Now().Sub(p.begun), 0)}
	if _, err := tx.Exec(ctx, setProvisionedOff, c.ID, b.ID, us(tx.Now())); err != nil {
		return nil, nil, err
	}
	var others int64
	if err := ledger.One(ctx, tx, otherTeams, []any{&others}, b.ID, c.Team); err != nil {
		return nil, nil, err
	}
	p.out.person, p.out.how, p.out.begun = b.ID, HowDeprovisioned, p.begun
	if others > 0 {
		p.out.team = c.Team
	}
	if err := p.out.begin(ctx, tx); err != nil {
		return nil, nil, err
	}
	if others > 0 && c.Kind == Staff { // roles are lent among staff alone
		if err := endGrantsOf(ctx, tx, b.ID, causeDeprovisioned); err != nil {
			return nil, nil, err
		}
	}
	if others > 0 {
		ended, err := leaveTeam(ctx, tx, c.Team, b.ID, &ev)
		return ev, ended, err
	}
	n, err := tx.Exec(ctx, setState, b.ID, stateDisabled, us(tx.Now()), stateActive)
	if err == nil && n != 1 {
		err = errMoved()
	}
	if err != nil {
		return nil, nil, err
	}
	var ended []string
	if ended, ev.Links, ev.Devices, err = endAll(ctx, tx, b.ID, causeDeprovisioned); err != nil {
		return nil, nil, err
	}
	ev.Sessions, ev.Tokens = int64(len(ended)), p.out.was["tokens"]
	_, err = tx.Exec(ctx, setMemberRoles, c.Team, b.ID, "") // the row stays, so that they can come back; without a right
	return ev, ended, err
}

const causeDeprovisioned = "deprovisioned"

// leaveTeam takes one team from somebody who is in others: its sessions, its tokens, the
// membership. What they are elsewhere is not this directory's.
func leaveTeam(ctx context.Context, tx *ledger.Tx, team, person string, ev *UserDeprovisioned) ([]string, error) {
	ev.How = HowRemoved
	if _, err := tx.Exec(ctx, endInvitesBy, team, person, us(tx.Now())); err != nil { // clause: auth.admin-invite
		return nil, err
	}
	ended, err := dropTeamSessions(ctx, tx, team, person, causeDeprovisioned)
	if err != nil {
		return nil, err
	}
	ev.Sessions = int64(len(ended))
	change, err := bump(ctx, tx)
	if err != nil {
		return nil, err
	}
	if ev.Tokens, err = tx.Exec(ctx, endTeamTokensOf, person, us(tx.Now()), causeDeprovisioned, change, team); err != nil {
		return nil, err
	}
	if err := touchTokens(ctx, tx, person); err != nil { // services of the team that they own stop
		return nil, err
	}
	if ev.Memberships, err = tx.Exec(ctx, deleteMember, team, person); err != nil {
		return nil, err
	}
	return ended, nil
}

func dropTeamSessions(ctx context.Context, tx *ledger.Tx, team, person, cause string) (ids []string, err error) {
	change, err := bump(ctx, tx)
	if err != nil {
		return nil, err
	}
	err = tx.Each(ctx, endTeamSessions, func(scan scanner) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, person, team, us(tx.Now()), cause, change)
	return ids, err
}

// reviveIn gives a person back what their groups say, and nothing of what they were.
func (p *provSave) reviveIn(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
	b, c := &p.before, p.c
	mapped, err := mappedRoles(ctx, tx, c, b.ID)
	if err != nil {
		return nil, err
	}
	roles := rolesAfter(c, nil, mapped)
	if b.state != stateActive {
		n, err := tx.Exec(ctx, revivePerson, b.ID)
		if err != nil || n != 1 {
			return nil, errors.Join(err, errMoved())
		}
	}
	if b.member {
		_, err = tx.Exec(ctx, setMemberRoles, c.Team, b.ID, rolesText(roles))
	} else {
		_, err = tx.Exec(ctx, insertMember, c.Team, b.ID, rolesText(roles), us(tx.Now()))
	}
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, setProvisionedOn, c.ID, b.ID); err != nil {
		return nil, err
	}
	if err := touchTokens(ctx, tx, b.ID); err != nil {
		return nil, err
	}
	return UserProvisioned{Person: b.ID, Connection: c.ID, Team: c.Team, Roles: roles, How: "again"}, nil
}

const (
	holdPersonAs      = `SELECT id FROM identity_person WHERE id = $1 AND state = $2`
	standingIn        = `SELECT roles FROM identity_member WHERE team = $1 AND person = $2`
	updateProvisioned = `UPDATE identity_scim_user SET uname = $3, ext = $4, about = $5, changed = $6, version = version + 1, ended = NULL
		WHERE connection = $1 AND person = $2 AND version = $7`
	endProvisioned    = `UPDATE identity_scim_user SET ended = $3 WHERE connection = $1 AND person = $2`
	setProvisionedOff = `UPDATE identity_scim_user SET off = $3 WHERE connection = $1 AND person = $2`
	setProvisionedOn  = `UPDATE identity_scim_user SET off = NULL, ended = NULL WHERE connection = $1 AND person = $2`
	leaveGroups       = `DELETE FROM identity_scim_member WHERE person = $2 AND grp IN (SELECT id FROM identity_scim_group WHERE connection = $1)`
	setNameOf         = `UPDATE identity_person SET name = $2 WHERE id = $1`
	otherTeams        = `SELECT COUNT(*) FROM identity_member WHERE person = $1 AND team <> $2`
	revivePerson      = `UPDATE identity_person SET state = 'active', ended = NULL WHERE id = $1 AND state = 'disabled'`
	endTeamTokensOf   = `UPDATE identity_token SET ended = $2, cause = $3, change = $4 WHERE person = $1 AND team = $5 AND ended IS NULL`
)
