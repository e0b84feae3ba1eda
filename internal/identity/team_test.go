package identity_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// actorOf is the actor behind a fresh session of a person.
func (w *world) actorOf(email string) actor.Actor {
	w.t.Helper()
	as, err := w.svc.SignIn(w.t.Context(), stranger(rand.IntN(200)), identity.SignIn{Email: email, Password: secret.NewText(good)})
	if err != nil {
		w.t.Fatal(err)
	}
	who, err := w.svc.Lookup(w.t.Context(), as.Token)
	if err != nil {
		w.t.Fatal(err)
	}
	return who
}

// invite invites and returns the invitation and the token in its letter.
func (w *world) invite(who actor.Actor, to, role string) (identity.Invitation, string) {
	w.t.Helper()
	i, err := w.svc.Invite(w.t.Context(), who, identity.Invite{Email: to, Roles: []string{role}})
	if err != nil {
		w.t.Fatal(err)
	}
	return i, tokenOf(w.t, w.letterOf(to, "invitation").Text)
}

func (w *world) accept(who actor.Actor, token string) error {
	w.t.Helper()
	_, err := w.svc.Accept(w.t.Context(), who, identity.Accept{Token: secret.NewText(token), Name: "New", Password: secret.NewText(good), Network: who.ID})
	return err
}

func is(t testing.TB, what string, err error, kind fault.Kind, code string) {
	t.Helper()
	if got, _ := fault.PublicOf(err); fault.KindOf(err) != kind || got != code {
		t.Errorf("%s: %v, want %s %s", what, err, kind, code)
	}
}

// breaks: auth.admin-invite
func TestInvitation(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		_, ana := w.customer("ana")
		_, zoe := w.customer("zoe")
		admin, other, ben := w.actorOf(ana), w.actorOf(zoe), mailbox("ben")

		i, token := w.invite(admin, strings.ToUpper(ben[:1])+ben[1:], "member")
		if i.Team != admin.Team || !slices.Equal(i.Roles, []string{"member"}) || !i.Expires.Equal(i.Issued.Add(7*24*time.Hour)) {
			t.Errorf("%+v", i)
		}
		if _, err := w.svc.OpenInvitation(ctx, stranger(1), secret.NewText(token)); err != nil { // as a mail scanner does
			t.Error(err)
		}
		is(t, "another address", w.accept(other, token), fault.Denied, "invite_other_address")
		is(t, "the inviter", w.accept(admin, token), fault.Denied, "invite_other_address")
		if err := w.accept(stranger(2), token); err != nil {
			t.Fatal(err)
		}
		is(t, "a second time", w.accept(stranger(3), token), fault.Gone, "link_dead")
		is(t, "no token", w.accept(stranger(4), "x"), fault.NotFound, "no_invitation")
		member := w.actorOf(ben)
		if member.Team != admin.Team || !slices.Equal(member.Roles, []string{"member"}) {
			t.Errorf("%+v", member)
		}
		_, err := w.svc.Invite(ctx, member, identity.Invite{Email: mailbox("cid"), Roles: []string{"member"}})
		is(t, "a member invites", err, fault.Denied, "denied")
		_, err = w.svc.Invite(ctx, admin, identity.Invite{Email: mailbox("cid"), Team: other.Team, Roles: []string{"member"}})
		is(t, "into another's team", err, fault.Denied, "denied")
		_, err = w.svc.Invite(ctx, admin, identity.Invite{Email: mailbox("cid"), Team: "staff", Roles: []string{"owner"}})
		is(t, "into the staff", err, fault.Denied, "denied")
		_, err = w.svc.Invite(ctx, admin, identity.Invite{Email: mailbox("cid"), Roles: []string{"owner"}})
		is(t, "with a role of staff", err, fault.Invalid, "role_unknown")
		_, err = w.svc.Invite(ctx, admin, identity.Invite{Email: "cid@", Roles: []string{"captain"}})
		if _, pub := fault.PublicOf(err); len(pub.Fields) != 2 {
			t.Errorf("not all that is wrong is told: %v", err)
		}
		_, err = w.svc.Invite(ctx, admin, identity.Invite{Email: ben, Roles: []string{"admin"}})
		is(t, "a member", err, fault.Conflict, "already_member")
		if m := w.letterOf(ana, "member-joined"); !strings.Contains(m.Text, "Ben@") && !strings.Contains(m.Text, ben) {
			t.Errorf("the inviter reads %q", m.Text)
		}
		for _, name := range []string{"identity.invited", "identity.invitation-sent", "identity.invitation-accepted", "identity.invitation-refused"} {
			if len(kit.Recorded(name)) == 0 {
				t.Errorf("no entry %s", name)
			}
		}
	}, jobs.Schema(), identity.Schema())
}

// breaks: auth.admin-invite
func TestInvitationEnds(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	_, ana := w.customer("ana")
	admin := w.actorOf(ana)

	t.Run("to the second", func(t *testing.T) {
		_, token := w.invite(admin, mailbox("a"), "member")
		w.kit.Clock.Advance(7*24*time.Hour - time.Microsecond)
		_, late := w.invite(w.actorOf(ana), mailbox("b"), "member")
		if err := w.accept(stranger(1), token); err != nil {
			t.Errorf("a moment before its end: %v", err)
		}
		w.kit.Clock.Advance(7 * 24 * time.Hour)
		is(t, "at its end", w.accept(stranger(2), late), fault.Gone, "link_dead")
		admin = w.actorOf(ana)
		if is, err := w.svc.Invitations(ctx, admin, "", ""); err != nil || len(is) != 1 || !is[0].Expired {
			t.Errorf("%+v %v", is, err)
		}
	})
	t.Run("with a tighter rule", func(t *testing.T) {
		_, token := w.invite(admin, mailbox("c"), "member")
		w.set(clause.Values{"auth.admin-invite/ttl": time.Hour})
		w.kit.Clock.Advance(time.Hour)
		is(t, "beyond the new time", w.accept(stranger(3), token), fault.Gone, "link_dead")
		w.set(nil)
	})
	t.Run("resent", func(t *testing.T) {
		i, first := w.invite(admin, mailbox("d"), "member")
		if _, err := w.svc.Resend(ctx, admin, i.ID); err != nil {
			t.Fatal(err)
		}
		is(t, "the former link, before the letter is written", w.accept(stranger(4), first), fault.NotFound, "no_invitation")
		second := tokenOf(t, w.letterOf(mailbox("d"), "invitation").Text)
		is(t, "the former link", w.accept(stranger(4), first), fault.NotFound, "no_invitation")
		if err := w.accept(stranger(4), second); err != nil {
			t.Error(err)
		}
		_, err := w.svc.Resend(ctx, admin, i.ID)
		is(t, "one that was accepted", err, fault.NotFound, "no_invitation")
	})
	t.Run("revoked", func(t *testing.T) {
		i, token := w.invite(admin, mailbox("e"), "member")
		if err := w.svc.Revoke(ctx, admin, i.ID); err != nil {
			t.Fatal(err)
		}
		is(t, "revoked", w.accept(stranger(5), token), fault.Gone, "link_dead")
		is(t, "twice", w.svc.Revoke(ctx, admin, i.ID), fault.NotFound, "no_invitation")
	})
	t.Run("replaced by a new one", func(t *testing.T) {
		_, first := w.invite(admin, mailbox("f"), "admin")
		_, second := w.invite(admin, mailbox("f"), "member")
		is(t, "the former", w.accept(stranger(6), first), fault.Gone, "link_dead")
		if err := w.accept(stranger(6), second); err != nil {
			t.Error(err)
		}
	})
	t.Run("with its inviter's right", func(t *testing.T) {
		_, token := w.invite(admin, mailbox("g"), "admin")
		if err := w.accept(stranger(7), token); err != nil {
			t.Fatal(err)
		}
		gil := w.actorOf(mailbox("g"))
		_, byGil := w.invite(gil, mailbox("h"), "admin")
		if _, err := w.svc.SetRoles(ctx, admin, admin.Team, gil.ID, []string{"member"}); err != nil {
			t.Fatal(err)
		}
		is(t, "of somebody who is no admin any more", w.accept(stranger(8), byGil), fault.Gone, "link_dead")
		_, token = w.invite(admin, mailbox("i"), "member")
		if err := w.svc.Disable(ctx, operator, admin.ID); err != nil {
			t.Fatal(err)
		}
		is(t, "of somebody who was disabled", w.accept(stranger(9), token), fault.Gone, "link_dead")
	})
}

// An invitation that lands on an address ends what a stranger prepared for it.
//
// breaks: auth.admin-invite
func TestInvitationEndsSignUps(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	victim := mailbox("vera")
	signUp := func() string {
		if _, err := w.svc.SignUp(t.Context(), stranger(1), identity.SignUp{Email: victim, Password: secret.NewText("the attackers phrase 77")}); err != nil {
			t.Fatal(err)
		}
		return tokenOf(t, w.letterOf(victim, "confirm").Text)
	}
	before := signUp()
	_, token := w.invite(w.actorOf(ana), victim, "member")
	between := signUp()
	is(t, "a sign-up from before", w.svc.Confirm(t.Context(), stranger(2), identity.Confirm{Token: secret.NewText(before), Password: secret.NewText("the attackers phrase 77")}), fault.Gone, "link_dead")
	if err := w.accept(stranger(3), token); err != nil {
		t.Fatal(err)
	}
	is(t, "a sign-up from meanwhile", w.svc.Confirm(t.Context(), stranger(2), identity.Confirm{Token: secret.NewText(between), Password: secret.NewText("the attackers phrase 77")}), fault.Gone, "link_dead")
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_attempt`); n != "0" {
		t.Errorf("%s attempts are left", n)
	}
	w.actorOf(victim) // with the password of whoever has the mailbox
}

// Known, unknown and disabled addresses are invited alike; the letter is one.
func TestInvitationsAreAlike(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	_, known := w.customer("kaya")
	gone, off := w.customer("olli")
	if err := w.svc.Disable(t.Context(), operator, gone); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn(ana, good)
	var answers, letters []string
	for _, to := range []string{known, mailbox("nils"), off} {
		a := b.ask("POST", "invitations", map[string]any{"email": to, "role": "member"})
		if a.Status != 201 {
			t.Fatal(a.Status, a.Body)
		}
		m := w.letterOf(to, "invitation")
		id := b.api(200, "GET", "invitations", nil)["invitations"].([]any)[0].(map[string]any)["id"].(string)
		answers = append(answers, strings.NewReplacer(to, "*", id, "*").Replace(a.Body))
		letters = append(letters, strings.NewReplacer(to, "*", tokenOf(t, m.Text), "*").Replace(m.Text))
	}
	if answers[0] != answers[1] || answers[1] != answers[2] || letters[0] != letters[1] || letters[1] != letters[2] {
		t.Errorf("the answers tell accounts apart:\n%q\n%q", answers, letters)
	}
}

func TestInvitationThrottle(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	_, zoe := w.customer("zoe")
	admin, other := w.actorOf(ana), w.actorOf(zoe)
	send := func(who actor.Actor, i int) error {
		_, err := w.svc.Invite(t.Context(), who, identity.Invite{Email: mailbox(fmt.Sprint("m", i)), Roles: []string{"member"}})
		return err
	}
	for i := range 50 {
		if err := send(admin, i); err != nil {
			t.Fatal(i, err)
		}
	}
	is(t, "the 51st of the day", send(admin, 50), fault.Limited, "too_many")
	if err := send(other, 51); err != nil {
		t.Errorf("another team: %v", err)
	}
	w.kit.Clock.Advance(24 * time.Hour)
	if err := send(w.actorOf(ana), 52); err != nil {
		t.Errorf("the next day: %v", err)
	}
	w.drain()
	_, token := w.invite(w.actorOf(ana), mailbox("last"), "member")
	for i := range 6 { // from one network
		want, code := fault.Denied, "invite_other_address"
		if i == 5 {
			want, code = fault.Limited, "too_many"
		}
		_, err := w.svc.Accept(t.Context(), other, identity.Accept{Token: secret.NewText(token), Network: "192.0.2.0/24"})
		is(t, fmt.Sprint("try ", i), err, want, code)
	}
}

// breaks: auth.admin-invite
func TestInvitationHasOneWinner(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, ana := w.customer("ana")
		_, known := w.customer("kaya")
		admin := w.actorOf(ana)
		_, fresh := w.invite(admin, mailbox("new"), "member")
		_, old := w.invite(admin, known, "member")
		kaya := w.actorOf(known)
		for _, c := range []struct {
			name, token string
			who         func(i int) actor.Actor
		}{
			{"a new account", fresh, stranger},
			{"an account that is there", old, func(int) actor.Actor { return kaya }},
		} {
			var won atomic.Int64
			var wg sync.WaitGroup
			for i := range 32 {
				wg.Go(func() {
					_, err := w.svc.Accept(t.Context(), c.who(i), identity.Accept{Token: secret.NewText(c.token), Password: secret.NewText(good), Network: fmt.Sprint(i)})
					switch {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, fault.Gone) && !errors.Is(err, fault.Unauthenticated) && !errors.Is(err, fault.Unavailable): // the account is there by now, or the gate was full
						t.Errorf("%s: %v", c.name, err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("%s: %d winners of 32", c.name, won.Load())
			}
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_member WHERE team = $1`, admin.Team); n != "3" {
			t.Errorf("%s members, want 3", n)
		}
	}, jobs.Schema(), identity.Schema())
}

// Whatever is done to invitations in whatever order: a link works once at most, only the
// newest, only in its time and not after it was revoked; the team keeps an admin.
//
// breaks: auth.admin-invite
func TestRandomInvitations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	w := open(t)
	w.set(clause.Values{"auth.admin-invite/per_team_per_day": int64(500)})
	ctx := t.Context()
	_, ana := w.customer("ana")
	admin := w.actorOf(ana)
	type open struct {
		id, to, token string
		until         time.Time
		dead          bool
	}
	var all []*open
	former := map[string]bool{}
	for step := range 150 {
		switch rng.IntN(6) {
		case 0, 1:
			to := mailbox(fmt.Sprint("r", step))
			i, token := w.invite(admin, to, []string{"member", "admin"}[rng.IntN(2)])
			all = append(all, &open{id: i.ID, to: to, token: token, until: i.Expires})
		case 2:
			w.kit.Clock.Advance(time.Duration(rng.IntN(60)) * time.Hour)
			admin = w.actorOf(ana)
		case 3:
			if len(all) == 0 {
				continue
			}
			o := all[rng.IntN(len(all))]
			i, err := w.svc.Resend(ctx, admin, o.id)
			if o.dead {
				is(t, "resend of a dead one", err, fault.NotFound, "no_invitation")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			former[o.token] = true
			o.token, o.until = tokenOf(t, w.letterOf(o.to, "invitation").Text), i.Expires
			w.kit.Clock.Advance(15 * time.Minute) // five letters an hour to an address
		case 4:
			if len(all) == 0 {
				continue
			}
			o := all[rng.IntN(len(all))]
			if err := w.svc.Revoke(ctx, admin, o.id); (err == nil) == o.dead {
				t.Fatalf("revoke: %v, dead %v", err, o.dead)
			}
			o.dead = true
		case 5:
			if len(all) == 0 {
				continue
			}
			o := all[rng.IntN(len(all))]
			err := w.accept(stranger(step), o.token)
			works := !o.dead && w.kit.Clock.Now().Before(o.until)
			if (err == nil) != works {
				t.Fatalf("step %d: accept: %v, want it to work: %v", step, err, works)
			}
			o.dead = o.dead || works
		}
		for token := range former {
			if err := w.accept(stranger(step), token); err == nil {
				t.Fatalf("step %d: a former link works", step)
			}
		}
	}
	w.wants("identity.invited-addresses", clause.Pass)
}

// Removing, leaving and changing roles: sessions end at once, an admin stays.
//
// breaks: access.roles
func TestMembers(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	_, ana := w.customer("ana")
	benID, ben := w.customer("ben")
	admin := w.actorOf(ana)
	b := w.browser()
	b.signIn(ben, good)
	own := b.api(200, "GET", "session", nil)["team"].(map[string]any)["id"].(string)
	_, token := w.invite(admin, ben, "member")
	if got := b.api(200, "POST", "invitations/"+token+"/accept", map[string]any{})["next"]; got != "done" {
		t.Errorf("next %v", got)
	}
	here := func(status int, b browser) string {
		m := b.api(status, "GET", "session", nil)
		if status != 200 {
			return ""
		}
		return m["team"].(map[string]any)["id"].(string)
	}
	if here(200, b) != admin.Team {
		t.Error("the session does not act in the team it joined")
	}
	teams := b.api(200, "GET", "session/teams", nil)["teams"].([]any)
	if len(teams) != 2 {
		t.Fatalf("%v", teams)
	}
	b.api(200, "POST", "session/team", map[string]any{"team": own})
	if here(200, b) != own {
		t.Error("the switch did nothing")
	}
	b.api(404, "POST", "session/team", map[string]any{"team": "staff"})
	second := w.browser()
	second.signIn(ben, good)
	second.api(200, "POST", "session/team", map[string]any{"team": admin.Team})
	second.api(403, "POST", "teams/"+admin.Team+"/rename", map[string]any{"name": "Mine"})
	second.api(403, "DELETE", "teams/"+admin.Team+"/members/"+admin.ID, nil)

	is(t, "the last admin goes", w.svc.LeaveTeam(ctx, w.actorOf(ana), admin.Team), fault.Conflict, "last_admin")
	admin = w.actorOf(ana)
	_, err := w.svc.SetRoles(ctx, admin, admin.Team, admin.ID, []string{"member"})
	is(t, "the last admin steps down", err, fault.Conflict, "last_admin")
	is(t, "the last admin is removed by the operator", w.svc.RemoveMember(ctx, operator, admin.Team, ana), fault.Conflict, "last_admin")
	is(t, "somebody elsewhere is removed", w.svc.RemoveMember(ctx, admin, admin.Team, "nobody"), fault.NotFound, "no_member")
	if err := w.svc.RemoveMember(ctx, admin, admin.Team, ben); err != nil {
		t.Fatal(err)
	}
	here(401, second) // acted in the team
	if here(200, b) != own {
		t.Error("a session in another team ended, too")
	}
	if m := w.letterOf(ben, "member-removed"); !strings.Contains(m.Text, "no longer in a team") {
		t.Errorf("%q", m.Text)
	}
	b.api(404, "POST", "session/team", map[string]any{"team": admin.Team})
	if err := w.svc.LeaveTeam(ctx, w.actorOf(ben), own); err == nil {
		t.Error("the only admin left")
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_session WHERE person = $1 AND team = $2 AND ended IS NULL`, benID, admin.Team); n != "0" {
		t.Errorf("%s sessions in the team are left", n)
	}
}

// Who is removed from the only team cannot sign in, and comes back by an invitation alone.
func TestTheOnlyTeam(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	admin, ben := w.actorOf(ana), mailbox("ben")
	_, token := w.invite(admin, ben, "member")
	if err := w.accept(stranger(1), token); err != nil {
		t.Fatal(err)
	}
	is(t, "leaves the only team", w.svc.LeaveTeam(t.Context(), w.actorOf(ben), admin.Team), fault.Conflict, "last_team")
	if err := w.svc.RemoveMember(t.Context(), admin, admin.Team, ben); err != nil {
		t.Fatal(err)
	}
	_, err := w.svc.SignIn(t.Context(), stranger(2), identity.SignIn{Email: ben, Password: secret.NewText(good)})
	is(t, "signs in without a team", err, fault.Unauthenticated, "sign_in_refused")
	_, token = w.invite(admin, ben, "member")
	if err := w.accept(stranger(3), token); err != nil {
		t.Fatal(err)
	}
	if w.actorOf(ben).Team != admin.Team {
		t.Error("the way back leads elsewhere")
	}
}

// The admin role is handed over: tokens with the former roles die.
func TestTransferAdmin(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	_, ben := w.customer("ben")
	a, b := w.browser(), w.browser()
	a.signIn(ana, good)
	b.signIn(ben, good)
	team := a.api(200, "GET", "session", nil)["team"].(map[string]any)["id"].(string)
	a.api(201, "POST", "invitations", map[string]any{"email": ben, "team": team, "role": "member"})
	b.api(200, "POST", "invitations/"+tokenOf(t, w.letterOf(ben, "invitation").Text)+"/accept", map[string]any{})
	benID := b.api(200, "GET", "session", nil)["person"].(map[string]any)["id"].(string)
	b.api(403, "POST", "teams/"+team+"/transfer", map[string]any{"to": benID})
	a.api(404, "POST", "teams/"+team+"/transfer", map[string]any{"to": "nobody"})
	a.api(204, "POST", "teams/"+team+"/transfer", map[string]any{"to": benID})
	b.api(401, "GET", "session", nil)
	roles := func(x browser) string {
		return fmt.Sprint(x.api(200, "GET", "session", nil)["team"].(map[string]any)["roles"])
	}
	if got := roles(a); got != "[member]" {
		t.Errorf("whoever handed over has %s", got)
	}
	a.api(403, "POST", "invitations", map[string]any{"email": mailbox("x"), "role": "member"})
	b.signIn(ben, good)
	b.api(200, "POST", "session/team", map[string]any{"team": team})
	if got := roles(b); got != "[admin]" {
		t.Errorf("the new admin has %s", got)
	}
	if _, err := w.svc.TransferAdmin(t.Context(), operator, identity.Transfer{Team: team, To: ana}); err != nil {
		t.Errorf("the operator, from the only admin: %v", err)
	}
}

// A switch gives another token and the former dies, also when it is used at that moment.
//
// breaks: auth.best-practice
func TestSwitchRotates(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		_, ana := w.customer("ana")
		_, ben := w.customer("ben")
		admin := w.actorOf(ana)
		_, token := w.invite(admin, ben, "member")
		as, err := w.svc.SignIn(ctx, stranger(1), identity.SignIn{Email: ben, Password: secret.NewText(good)})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.accept(as.Who, token); err != nil {
			t.Fatal(err)
		}
		kit.Clock.Advance(time.Hour)
		x, err := w.svc.SwitchTeam(ctx, as.Who, admin.Team)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Lookup(ctx, as.Token); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the former token: %v", err)
		}
		who, s, err := w.svc.Session(ctx, x.Token)
		if err != nil || who.Team != admin.Team || !s.Ends.Equal(as.Ends) || !x.Ends.Equal(as.Ends) {
			t.Errorf("%+v %+v %v", who, s, err)
		}
		c, err := w.svc.ChangePassword(ctx, who, identity.Change{Current: secret.NewText(good), New: secret.NewText(nextPassword)})
		if err != nil {
			t.Fatal(err)
		}
		if who, err = w.svc.Lookup(ctx, c.Token); err != nil || who.Team != admin.Team {
			t.Errorf("a change of the password led to %+v, %v", who, err)
		}
		if err := w.svc.EndSession(ctx, who, who.ID, who.Session); err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.SwitchTeam(ctx, who, admin.Team); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a session that has ended: %v", err)
		}
	}, jobs.Schema(), identity.Schema())
}

// Staff are a team: owners manage it, two who can sign in stay, one factor does not lead in.
func TestStaffTeam(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	if _, err := w.svc.EnsureOwner(ctx, operator, identity.AddStaff{Email: mailbox("rosa"), Name: "Rosa"}); err != nil { // never uses her link
		t.Fatal(err)
	}
	join := func(name, role string) (string, actor.Actor) {
		if _, err := w.svc.Invite(ctx, operator, identity.Invite{Email: mailbox(name), Team: "staff", Roles: []string{role}}); err != nil {
			t.Fatal(err)
		}
		if err := w.accept(stranger(len(name)), tokenOf(t, w.letterOf(mailbox(name), "invitation").Text)); err != nil {
			t.Fatal(err)
		}
		b := w.browser()
		if in := b.signIn(mailbox(name), good); in["next"] != "enrol" {
			t.Fatalf("a member of staff without a factor: %v", in)
		}
		b.enrol()
		who, err := w.svc.Lookup(ctx, b.cookie(t, "__Host-writ"))
		if err != nil {
			t.Fatal(err)
		}
		return mailbox(name), who
	}
	olga, owner := join("olga", "owner")
	pia, _ := join("pia", "owner")
	dev, engineer := join("dev", "engineer")
	if owner.Team != "staff" || owner.TeamKind != identity.Staff || !owner.Has("owner") {
		t.Fatalf("%+v", owner)
	}
	if p, err := w.svc.Show(ctx, operator, olga); err != nil || p.Handle != "olga" {
		t.Errorf("%+v %v", p, err)
	}
	_, err := w.svc.Invite(ctx, engineer, identity.Invite{Email: mailbox("x"), Roles: []string{"engineer"}})
	is(t, "an engineer invites", err, fault.Denied, "denied")
	_, err = w.svc.SetRoles(ctx, engineer, "staff", engineer.ID, []string{"owner"})
	is(t, "an engineer makes himself owner", err, fault.Denied, "denied")
	ms, err := w.svc.Members(ctx, engineer, "staff", "")
	if err != nil || len(ms) != 4 || slices.ContainsFunc(ms, func(m identity.Member) bool { return (m.Email != "") != (m.Person == engineer.ID) }) {
		t.Errorf("%+v %v", ms, err)
	}
	for what, act := range map[string]func() error{
		"removes one of two owners": func() error { return w.svc.RemoveMember(ctx, owner, "staff", pia) },
		"demotes one of two owners": func() error {
			_, err := w.svc.SetRoles(ctx, owner, "staff", pia, []string{"auditor"})
			return err
		},
		"leaves":                   func() error { return w.svc.LeaveTeam(ctx, owner, "staff") },
		"the operator demotes one": func() error { _, err := w.svc.SetRoles(ctx, operator, "staff", pia, []string{"auditor"}); return err },
		"hands over as an own admin": func() error {
			_, err := w.svc.TransferAdmin(ctx, owner, identity.Transfer{Team: "staff", To: dev})
			return err
		},
	} {
		err := act()
		if k := fault.KindOf(err); k != fault.Conflict && k != fault.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.svc.SetRoles(ctx, owner, "staff", dev, []string{"owner", "engineer"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.SetRoles(ctx, owner, "staff", pia, []string{"auditor"}); err != nil {
		t.Errorf("with a third owner: %v", err)
	}

	// A person of a customer's team joins the staff, and comes there only by a new sign-in.
	_, cleo := w.customer("cleo")
	b := w.browser()
	b.signIn(cleo, good)
	if _, err := w.svc.Invite(ctx, owner, identity.Invite{Email: cleo, Roles: []string{"support"}}); err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, w.letterOf(cleo, "invitation").Text)
	b.api(200, "POST", "invitations/"+token+"/accept", map[string]any{})
	if team := b.api(200, "GET", "session", nil)["team"].(map[string]any)["id"]; team == "staff" {
		t.Error("one factor led into the staff")
	}
	own := b.api(200, "GET", "session", nil)["team"].(map[string]any)["id"]
	b.api(403, "POST", "session/team", map[string]any{"team": "staff"})
	if in := b.signIn(cleo, good); in["next"] != "enrol" {
		t.Errorf("a sign-in with one factor does not ask for the second: %v", in)
	}
	b.enrol()
	for _, to := range []any{"staff", own, "staff"} { // with two, to and fro
		if team := b.api(200, "POST", "session/team", map[string]any{"team": to})["team"].(map[string]any)["id"]; team != to {
			t.Errorf("acts in %v, not in %v", team, to)
		}
	}
}

// A person in several teams is one person everywhere: one row in lists, one account.
func TestOnePersonInSeveralTeams(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	id, ben := w.customer("ben")
	for _, n := range []string{"ana", "zoe", "kim"} {
		_, a := w.customer(n)
		_, token := w.invite(w.actorOf(a), ben, "admin")
		if err := w.accept(w.actorOf(ben), token); err != nil {
			t.Fatal(err)
		}
	}
	ps, err := w.svc.List(ctx, operator, "")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, p := range ps {
		seen[p.ID]++
	}
	if slices.Max(slices.Collect(maps.Values(seen))) != 1 { // canaries' mailboxes make canary teams, so lists may be empty
		t.Errorf("%v", seen)
	}
	ms, err := w.svc.Memberships(ctx, operator, id)
	if err != nil || len(ms) != 4 {
		t.Fatalf("%+v %v", ms, err)
	}
	if p, err := w.svc.Show(ctx, operator, ben); err != nil || p.Team != ms[0].Team || p.Sessions != 3 {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := w.svc.Memberships(ctx, w.actorOf(mailbox("ana")), id); !errors.Is(err, fault.Denied) {
		t.Errorf("another sees the teams of a person: %v", err)
	}
}

// Erasing a person takes invitations to their address along.
func TestEraseTakesInvitations(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	ben, email := w.customer("ben")
	_, _ = w.invite(w.actorOf(ana), email, "member")
	p, err := w.svc.Show(t.Context(), operator, ben)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Erase(t.Context(), operator, ben, p.Handle); err != nil {
		t.Fatal(err)
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_invitation`); n != "0" {
		t.Errorf("%s invitations are left", n)
	}
}

// What is past its time goes: an address a month after the invitation expired, the row after a year.
func TestOldInvitations(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	_, _ = w.invite(w.actorOf(ana), mailbox("ben"), "member")
	left := func() string {
		return w.one(`SELECT COUNT(*) || ' rows, ' || COUNT(about) || ' addresses' FROM identity_invitation`)
	}
	for _, c := range []struct {
		days int
		want string
	}{{36, "1 rows, 1 addresses"}, {2, "1 rows, 0 addresses"}, {326, "1 rows, 0 addresses"}, {2, "0 rows, 0 addresses"}} {
		w.kit.Clock.Advance(time.Duration(c.days) * 24 * time.Hour)
		w.housekeeping()
		if got := left(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
