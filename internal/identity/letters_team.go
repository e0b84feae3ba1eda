package identity

import (
	"fmt"
	"time"

	"writ/internal/mail"
)

// invitationLetter brings the link of an invitation. It tells who invites by a proven
// address: a team's name is its admin's own words, which do not go to strangers.
func (s *Service) invitationLetter(l newLink, inviter string, until time.Time) typedLetter {
	from := "You are invited to a team here."
	if inviter != "" {
		from = inviter + " invites you to join their team here."
	}
	return typedLetter{kind: "identity.invitation", Letter: mail.Letter{
		Title: "You are invited to a team",
		Lines: []string{from, "Open the link to accept. If you have no account yet, you choose a password there; if you have one, sign in with it first.",
			fmt.Sprintf("The link works once, until %s, and for this address alone.", stamp(until))},
		Link: &mail.Link{Text: "Look at the invitation", URL: s.Origin + l.path()},
		Foot: []string{"If you know nothing of this, do nothing: you are in no team unless you accept."},
	}}
}

// joinedLetter tells whoever invited that the invitation was accepted.
func (s *Service) joinedLetter(email, team string) typedLetter {
	return typedLetter{kind: "identity.member-joined", Letter: mail.Letter{
		Title: "Your invitation was accepted",
		Lines: []string{fmt.Sprintf("%s accepted your invitation and is now in %s.", email, team)},
		Link:  &mail.Link{Text: "Look at the team", URL: s.Origin + "/-/team"},
		Foot:  []string{"Accepted on " + stamp(s.Now()) + ".", "If you did not invite this address, remove the member and change your password."},
	}}
}

// removedLetter tells a person that they are no longer in a team.
func (s *Service) removedLetter(team string) typedLetter {
	return typedLetter{kind: "identity.member-removed", Letter: mail.Letter{
		Title: "You were removed from a team",
		Lines: []string{fmt.Sprintf("You are no longer in %s. Your sessions in it have ended.", team),
			"If you are in another team here, sign in as before. If this was your only team, you can sign in again once somebody invites you."},
		Link: &mail.Link{Text: "Sign in", URL: s.Origin + "/-/sign-in"},
		Foot: []string{"Removed on " + stamp(s.Now()) + ".", "If this surprises you, ask an admin of the team."},
	}}
}
