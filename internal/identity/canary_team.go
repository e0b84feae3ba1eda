package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
)

// invitation is auth.admin-invite: for one address and team, once, in its time, by an admin.
func (t *trial) invitation() string {
	admin, other := t.member(t.control, RoleAdmin), t.member(t.control+"-other", RoleAdmin)
	if t.err != nil {
		return ""
	}
	ttl := t.s.Rules.Get().InviteTTL
	at := t.visitor()
	t.works("sign in as an admin", t.signIn(at, admin.email, admin.password.Reveal()), http.StatusOK)

	first := t.invite(at, "invite an address")
	elsewhere := t.visitor()
	t.works("sign in as an admin of another team", t.signIn(elsewhere, other.email, other.password.Reveal()), http.StatusOK)
	t.refused("accept it under another address", t.accept(elsewhere, first.token, ""), http.StatusForbidden, "invite_other_address")
	pw := t.s.freshPassword().Reveal()
	t.works("accept it as the one invited", t.accept(t.visitor(), first.token, pw), http.StatusOK)
	t.refused("accept it again", t.accept(t.visitor(), first.token, t.s.freshPassword().Reveal()), http.StatusGone, "link_dead")
	joined := t.visitor()
	t.works("sign in with the new account", t.signIn(joined, first.email, pw), http.StatusOK)
	t.inTeam(joined, at, RoleMember)
	t.refused("invite somebody as a member, who is no admin", t.ask(joined, "POST", "invitations", map[string]string{"email": t.door.Address(), "role": RoleMember}), http.StatusForbidden, "denied")
	t.refused("invite somebody to another's team", t.ask(at, "POST", "invitations", map[string]string{"email": t.door.Address(), "team": t.teamOf(elsewhere), "role": RoleMember}), http.StatusForbidden, "denied")

	late := t.invite(at, "invite another address")
	t.ageInvite(late.id, admin, ttl+time.Second)
	t.refused("accept "+spell(ttl)+" and one second after it was sent", t.accept(t.visitor(), late.token, t.s.freshPassword().Reveal()), http.StatusGone, "link_dead")
	t.works("send it once more", t.ask(at, "POST", "invitations/"+late.id+"/resend", nil), http.StatusOK)
	fresh := t.letter(late.email, "identity.invitation")
	t.refused("accept with the former link", t.accept(t.visitor(), late.token, t.s.freshPassword().Reveal()), http.StatusGone, "link_dead")
	t.ageInvite(late.id, admin, ttl-time.Minute)
	t.works("accept with the new one a minute before its end", t.accept(t.visitor(), fresh, t.s.freshPassword().Reveal()), http.StatusOK)
	return "an invitation worked once, for its address, within " + spell(ttl) + ", with its newest link alone"
}

// invitedBy is what a canary knows of an invitation.
type invitedBy struct{ id, email, token string }

func (t *trial) invite(v *canary.Visitor, act string) invitedBy {
	in := invitedBy{email: t.door.Address()}
	t.sweeps(in.email)
	a := t.ask(v, "POST", "invitations", map[string]string{"email": in.email, "team": "", "role": RoleMember})
	t.works(act, a, http.StatusCreated)
	if t.err != nil || a.Status != http.StatusCreated {
		return in
	}
	var made struct {
		ID string `json:"id"`
	}
	if t.err = json.Unmarshal([]byte(a.Body), &made); t.err != nil {
		return in
	}
	in.id, in.token = made.ID, t.letter(in.email, "identity.invitation")
	return in
}

func (t *trial) accept(v *canary.Visitor, token, password string) canary.Answer {
	return t.ask(v, "POST", "invitations/"+token+"/accept", map[string]string{"name": "Canary", "password": password})
}

func (t *trial) ageInvite(id string, by planted, age time.Duration) {
	if t.err == nil {
		t.err = t.s.backDateInvitation(t.ctx, t.control, id, by.id, age)
	}
}

// teamOf asks in which team a session acts.
func (t *trial) teamOf(v *canary.Visitor) string {
	id, _ := t.seat(v)
	return id
}

func (t *trial) seat(v *canary.Visitor) (team string, roles []string) {
	a := t.ask(v, "GET", "session", nil)
	var who struct {
		Team struct {
			ID    string   `json:"id"`
			Roles []string `json:"roles"`
		} `json:"team"`
	}
	if t.err == nil && a.Status == http.StatusOK {
		t.err = json.Unmarshal([]byte(a.Body), &who)
	}
	return who.Team.ID, who.Team.Roles
}

// inTeam wants two sessions to act in one team, the first with a role.
func (t *trial) inTeam(v, inviter *canary.Visitor, role string) {
	want := t.teamOf(inviter)
	team, roles := t.seat(v)
	ok := want != "" && team == want && slices.Equal(roles, []string{role})
	t.step("see where it leads", "the inviter's team, as "+role, map[bool]string{true: "the inviter's team, as " + role, false: "another team or role"}[ok], ok, false)
}

// probeInvitations looks at every invitation that was accepted.
func (s *Service) probeInvitations(ctx context.Context) (clause.Result, error) {
	var n, other, late, above int64
	err := s.DB.Each(ctx, acceptedInvites, func(scan scanner) error {
		var idx, by, kind, roles string
		var expires, ended int64
		if err := scan(&idx, &by, &kind, &roles, &expires, &ended); err != nil {
			return err
		}
		n++
		if idx != by {
			other++
		}
		if ended >= expires {
			late++
		}
		if slices.ContainsFunc(rolesOf(roles), func(r string) bool { return !slices.Contains(rolesIn(kind), r) }) {
			above++
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read invitations: %w", err)
	}
	return judged(other+late+above == 0, n, fmt.Sprintf("of %d invitations that were accepted %d were by another address, %d after their end, %d for a role that the team does not know", n, other, late, above)), nil
}

const acceptedInvites = `SELECT i.idx, i.taken_by, t.kind, i.roles, i.expires, i.ended FROM identity_invitation i JOIN identity_team t ON t.id = i.team WHERE i.cause = 'accepted'`
