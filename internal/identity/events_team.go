package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Invited is an invitation to a team. Its letter is written by a job.
type Invited struct {
	Invitation string    `class:"public"`
	Team       string    `class:"public"`
	Roles      []string  `class:"public"`
	Until      time.Time `class:"public"`
	Again      bool      `class:"public"`   // sent once more: the former link is dead
	Address    string    `class:"personal"` // index, not the address
}

// About implements ledger.Event.
func (e Invited) About() ledger.About {
	return ledger.About{Name: "identity.invited", Clause: "auth.admin-invite", Object: "invitation/" + e.Invitation, Subject: keyring.Class(indexClass)}
}

// InvitationSent says what came of an invitation's letter.
type InvitationSent struct {
	Invitation string `class:"public"`
	Outcome    string `class:"personal"` // sent, silent: too many letters to the address; ended
}

// About implements ledger.Event.
func (e InvitationSent) About() ledger.About {
	return ledger.About{Name: "identity.invitation-sent", Clause: "auth.admin-invite", Object: "invitation/" + e.Invitation, Subject: keyring.Class(indexClass)}
}

// InvitationAccepted made a person a member of a team.
type InvitationAccepted struct {
	Invitation string        `class:"public"`
	Team       string        `class:"public"`
	Person     string        `class:"public"`
	Roles      []string      `class:"public"`
	New        bool          `class:"public"` // the account was made with it
	Age        time.Duration `class:"public"`
	Attempts   int64         `class:"public"` // sign-ups for the address that died
}

// About implements ledger.Event.
func (e InvitationAccepted) About() ledger.About {
	return ledger.About{Name: "identity.invitation-accepted", Clause: "auth.admin-invite", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// InvitationRefused is an invitation that did not work for whoever tried.
type InvitationRefused struct {
	Invitation string `class:"public"`
	Cause      string `class:"public"` // accepted, revoked, superseded, inviter-left, expired, other-address, not-signed-in
	Network    string `class:"personal"`
}

// About implements ledger.Event.
func (e InvitationRefused) About() ledger.About {
	return ledger.About{Name: "identity.invitation-refused", Clause: "auth.admin-invite", Object: "invitation/" + e.Invitation}
}

// InvitationRevoked is an invitation that a team took back.
type InvitationRevoked struct {
	Invitation string `class:"public"`
	Team       string `class:"public"`
}

// About implements ledger.Event.
func (e InvitationRevoked) About() ledger.About {
	return ledger.About{Name: "identity.invitation-revoked", Clause: "auth.admin-invite", Object: "invitation/" + e.Invitation}
}

// RolesChanged is a member with other roles in a team.
type RolesChanged struct {
	Team     string   `class:"public"`
	Person   string   `class:"public"`
	From     []string `class:"public"`
	To       []string `class:"public"`
	Sessions int64    `class:"public"` // that ended
}

// About implements ledger.Event.
func (e RolesChanged) About() ledger.About {
	return ledger.About{Name: "identity.roles-changed", Clause: "access.roles", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// MemberRemoved is a person who is no longer in a team.
type MemberRemoved struct {
	Team        string   `class:"public"`
	Person      string   `class:"public"`
	Roles       []string `class:"public"`
	Left        bool     `class:"public"` // by themselves
	Sessions    int64    `class:"public"` // in the team, that ended
	Tokens      int64    `class:"public"` // personal ones for the team, that ended
	Invitations int64    `class:"public"` // of theirs to the team, that ended
}

// About implements ledger.Event.
func (e MemberRemoved) About() ledger.About {
	return ledger.About{Name: "identity.member-removed", Clause: "access.roles", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// TeamRenamed is another name for a team; the name itself is sealed in the team's row.
type TeamRenamed struct {
	Team string `class:"public"`
}

// About implements ledger.Event.
func (e TeamRenamed) About() ledger.About {
	return ledger.About{Name: "identity.team-renamed", Object: "team/" + e.Team}
}

// TeamDemandSet is what a team demands of its own people from now on.
type TeamDemandSet struct {
	Team     string `class:"public"`
	From     string `class:"public"` // none, two-factor, phishing-resistant
	To       string `class:"public"`
	Members  int64  `class:"public"` // who may sign in
	Lacking  int64  `class:"public"` // of them: those who must set something up first
	Sessions int64  `class:"public"` // that were below it and ended
}

// About implements ledger.Event.
func (e TeamDemandSet) About() ledger.About {
	return ledger.About{Name: "identity.team-demand-set", Clause: "access.mfa-by-technology", Object: "team/" + e.Team}
}

// TeamSwitched is a session that acts in another team from now on, with another token.
type TeamSwitched struct {
	Person  string `class:"public"`
	Session string `class:"public"`
	From    string `class:"public"`
	To      string `class:"public"`
}

// About implements ledger.Event.
func (e TeamSwitched) About() ledger.About {
	return ledger.About{Name: "identity.team-switched", Clause: "auth.best-practice", Object: "session/" + e.Session, Subject: keyring.Person(e.Person)}
}

// TeamActRefused is an act on a team, its members or invitations that was refused.
type TeamActRefused struct {
	Act   string `class:"public"`
	Team  string `class:"public"` // as the caller named it; may be empty
	Cause string `class:"public"`
}

// About implements ledger.Event.
func (e TeamActRefused) About() ledger.About {
	return ledger.About{Name: "identity.team-act-refused", Clause: "access.roles", Object: "act/" + e.Act}
}
