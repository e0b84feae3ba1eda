package identity_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/secret"
)

// in signs a reader in.
func (r *reader) in(to string) *reader {
	r.s.t.Helper()
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good).want(r.s.t, 200, "Your account")
	return r
}

// invitation is the path of the link in the newest letter of an invitation.
func (s *site) invitation(to string) string {
	s.t.Helper()
	return "/-/invite/" + tokenOf(s.t, s.letterOf(to, "invitation").Text)
}

// TestTeamPages is the life of a team without JavaScript: named, joined by a new and by a
// known person, changed, handed over, left.
func TestTeamPages(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	_, known := s.customer("cleo")
	ben := mailbox("ben")
	ana := s.reader().in(to)
	ana.open("/-/account/profile").want(t, 200, `<a href="/-/team">Your own</a>`)
	ana.open("/-/team").want(t, 200, "Your team", "No invitation waits", to)
	ana.press("Rename", "name", "Harbour <b>Pilots</b>").want(t, 200, "The team has its new name.", "Harbour <b>Pilots</b>")
	if strings.Contains(ana.now.body, "<b>") {
		t.Error("a team's name is taken for markup")
	}
	ana.press("Rename", "name", strings.Repeat("x", 61)).want(t, 422, "1 to 60 characters")
	ana.open("/-/team")
	ana.press("Send invitation", "email", "ben@", "role", "captain").want(t, 422, "2 fields need another look.")
	ana.open("/-/team")
	ana.press("Send invitation", "email", ben, "role", "member").want(t, 200, "Invitation sent to "+ben)

	link := s.invitation(ben)
	box := s.reader()
	page := box.open(link).want(t, 200, "Join Harbour <b>Pilots</b>", to, "Your role there will be member", ben)
	if page.path != "/-/invite" || strings.Contains(page.body, link) {
		t.Error("the token stays in the address or the page")
	}
	box.press("Make the account and join", "password", "short", "name", "Ben Ito").want(t, 422, "it needs at least", `value="Ben Ito"`)
	box.press("Make the account and join", "password", good, "name", "Ben Ito").want(t, 200, "You are in the team.", "Sign in")
	if m := s.letterOf(to, "member-joined"); !strings.Contains(m.Text, ben) {
		t.Errorf("the inviter is told %q", m.Text)
	}
	box.open(link).want(t, http.StatusGone, "does not work, or no longer")
	box.in(ben)
	box.open("/-/team").want(t, 200, "Ben Ito", "ANA", "you")
	if strings.Contains(box.now.body, to) || strings.Contains(box.now.body, "Invite somebody") {
		t.Error("a member sees addresses or what only admins do")
	}

	// A known person signs in first; whoever is somebody else is sent away.
	ana.open("/-/team")
	ana.press("Send invitation", "email", known, "role", "member").want(t, 200, known)
	link = s.invitation(known)
	box.open(link).want(t, 200, "for another address", ben)
	if strings.Contains(box.now.body, known) {
		t.Error("the invited address is told to somebody else")
	}
	cleo := s.reader()
	cleo.open(link).want(t, 200, "There is an account for", known)
	p := cleo.press("Sign in to accept")
	p.want(t, 200, `name="to" value="/-/invite"`)
	cleo.press("Sign in", "email", known, "password", good).want(t, 200, "You join as", known)
	cleo.press("Join the team").want(t, 200, "You are in the team.", "you act in it now", "Your own")
	cleo.press("Switch to your own team").want(t, 200, "You act in your own team now.")
	cleo.press("Switch to Harbour <b>Pilots</b>").want(t, 200)

	// The admin changes, hands over and removes.
	ana.open("/-/team")
	ana.open(hrefOf(t, ana.now, "Ben Ito")).want(t, 200, ben, "Remove Ben Ito")
	ana.press("Remove Ben Ito", "confirm", "ben").want(t, 422, "Type the address below the field.")
	ana.press("Change the role", "role", "admin").want(t, 200, "The role is changed.")
	box.open("/-/account").want(t, 200, "Sign in") // the session with the former role is over
	box.in(ben)
	box.open("/-/team").want(t, 200, "Invite somebody", to)
	ana.open(hrefOf(t, ana.now, "Ben Ito"))
	ana.press("Hand over the admin role").want(t, 200, "You are a member now.")
	ana.open("/-/team").want(t, 200, "Ben Ito")
	if strings.Contains(ana.now.body, "Invite somebody") {
		t.Error("whoever handed over is admin still")
	}
	box.in(ben)
	box.open("/-/team")
	box.open(hrefOf(t, box.now, "CLEO"))
	box.press("Remove CLEO", "confirm", strings.ToUpper(known)).want(t, 200, "Removed")
	cleo.open("/-/account").want(t, 200, "Sign in")
	if m := s.letterOf(known, "member-removed"); !strings.Contains(m.Text, "no longer in") {
		t.Errorf("the removed is told %q", m.Text)
	}
	box.open("/-/team")
	box.open(hrefOf(t, box.now, "Ben Ito"))
	box.press("Change the role", "role", "member").want(t, 409, "last admin")
}

// An invitation is sent again and taken back on the page.
func TestInvitationPages(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	ben := mailbox("ben")
	ana := s.reader().in(to)
	ana.open("/-/team")
	ana.press("Send invitation", "email", ben, "role", "member")
	first := s.invitation(ben)
	ana.press("Send again to "+ben).want(t, 200, "sent once more")
	second := s.invitation(ben)
	s.reader().open(first).want(t, http.StatusGone)
	s.reader().open(second).want(t, 200, "Join a team")
	ana.press("Revoke the invitation of "+ben).want(t, 200, "its link is dead", "No invitation waits")
	s.reader().open(second).want(t, http.StatusGone)

	s.set(clause.Values{"auth.admin-invite/per_team_per_day": int64(3)})
	ana.press("Send invitation", "email", ben, "role", "member").want(t, 200)
	ana.press("Send invitation", "email", mailbox("dan"), "role", "member").want(t, 429, "This team has sent its 3 invitations of the day.", "Try again in 24 h")
}

// hrefOf is where the link with a text leads.
func hrefOf(t testing.TB, p *sheet, text string) string {
	t.Helper()
	i := strings.Index(p.body, ">"+text+"</a>")
	if i < 0 {
		t.Fatalf("%s has no link %q\n%s", p.path, text, p.body)
	}
	head := p.body[:i]
	j := strings.LastIndex(head, `href="`)
	return strings.TrimSuffix(head[j+len(`href="`):], `"`)
}

// teamStates adds the pages of teams to states.
func (s *site) teamStates(keep func(string, int, *sheet)) {
	t := s.t
	s.set(nil)
	c, err := s.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("mara"), Name: "Mara Lindqvist", Password: secret.NewText(good), TeamName: "Harbour Pilots"})
	if err != nil {
		t.Fatal(err)
	}
	s.kit.Clock.Advance(time.Minute) // members are listed as they came
	if _, err := s.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("a.rather.long.address.of.somebody"), Name: "Konstantin Papadimitriou-Oyelaran", Password: secret.NewText(good), Team: c.Team, Role: "member"}); err != nil {
		t.Fatal(err)
	}
	s.customer("cleo")
	mara := s.reader().in(mailbox("mara"))
	for _, to := range []string{"ben", "cleo"} {
		mara.open("/-/team")
		mara.press("Send invitation", "email", mailbox(to), "role", "member")
	}
	s.drain() // a letter that is being written would be written again when its time is over
	s.kit.Clock.Advance(3 * time.Hour)
	keep("team", 200, mara.open("/-/team"))
	keep("team-refused", 422, mara.press("Send invitation", "email", "ben@", "role", "captain"))
	mara.open("/-/team")
	keep("team-member", 200, mara.open(hrefOf(t, mara.now, "Konstantin Papadimitriou-Oyelaran")))
	keep("team-member-refused", 422, mara.press("Remove Konstantin Papadimitriou-Oyelaran", "confirm", "no"))
	link := s.invitation(mailbox("ben"))
	keep("invite-new", 200, s.reader().open(link))
	keep("invite-other", 200, mara.open(link))
	link = s.invitation(mailbox("cleo"))
	cleo := s.reader()
	keep("invite-known", 200, cleo.open(link))
	cleo.in(mailbox("cleo"))
	keep("invite-join", 200, cleo.open(link))
	keep("account-teams", 200, cleo.press("Join the team"))
	keep("team-as-member", 200, cleo.open("/-/team"))
}
