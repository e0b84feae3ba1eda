package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// RoleGranted is a role lent for a need, from now on until its end.
type RoleGranted struct {
	Grant   string    `class:"public"`
	Person  string    `class:"public"`
	Role    string    `class:"public"`
	Need    string    `class:"public"`
	Until   time.Time `class:"public"`
	Grantor string    `class:"public"` // kind/id; the entry's actor is the second person where one was needed
	Reason  string    `class:"public"`
}

// About implements ledger.Event.
func (e RoleGranted) About() ledger.About {
	return ledger.About{Name: "identity.role-granted", Clause: "access.need-ends", Object: "grant/" + e.Grant, Subject: keyring.Person(e.Person)}
}

// Elevated is a role lent for the moment, for hours.
type Elevated struct {
	Grant   string    `class:"public"`
	Person  string    `class:"public"`
	Role    string    `class:"public"`
	Until   time.Time `class:"public"`
	Grantor string    `class:"public"`
	Reason  string    `class:"public"`
}

// About implements ledger.Event.
func (e Elevated) About() ledger.About {
	return ledger.About{Name: "identity.elevated", Clause: "access.least-privilege", Object: "grant/" + e.Grant, Subject: keyring.Person(e.Person)}
}

// RoleAsked is a loan that others must agree to before it counts.
type RoleAsked struct {
	Grant  string    `class:"public"`
	Person string    `class:"public"`
	Role   string    `class:"public"`
	Need   string    `class:"public"`
	Until  time.Time `class:"public"`
	Reason string    `class:"public"`
}

// About implements ledger.Event.
func (e RoleAsked) About() ledger.About {
	return ledger.About{Name: "identity.role-asked", Clause: "access.least-privilege", Object: "grant/" + e.Grant, Subject: keyring.Person(e.Person)}
}

// RoleSeconded is the first of two people's yes to a role that its holder asked for.
type RoleSeconded struct {
	Grant  string `class:"public"`
	Person string `class:"public"`
	Role   string `class:"public"`
}

// About implements ledger.Event.
func (e RoleSeconded) About() ledger.About {
	return ledger.About{Name: "identity.role-seconded", Clause: "access.least-privilege", Object: "grant/" + e.Grant, Subject: keyring.Person(e.Person)}
}

// RoleEnded ended a lent role, or took a standing one away (then Grant is empty).
type RoleEnded struct {
	Grant  string `class:"public"`
	Person string `class:"public"`
	Role   string `class:"public"`
	Cause  string `class:"public"`
}

// About implements ledger.Event.
func (e RoleEnded) About() ledger.About {
	return ledger.About{Name: "identity.role-ended", Clause: "access.need-ends", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// LoanTold is a letter about a lent role: to its holder, and of one that two people lent
// to the owners.
type LoanTold struct {
	Grant   string `class:"public"`
	Person  string `class:"public"`
	What    string `class:"public"` // began, ended
	Letters int64  `class:"public"`
}

// About implements ledger.Event.
func (e LoanTold) About() ledger.About {
	return ledger.About{Name: "identity.loan-told", Clause: "access.least-privilege", Object: "grant/" + e.Grant, Subject: keyring.Person(e.Person)}
}

// NeedEnded says that a ticket, project or role is over, with how many loans.
type NeedEnded struct {
	Need   string `class:"public"`
	Grants int64  `class:"public"`
}

// About implements ledger.Event.
func (e NeedEnded) About() ledger.About {
	return ledger.About{Name: "identity.need-ended", Clause: "access.need-ends", Object: "need/" + e.Need}
}

// RightRefused is an act on rights that was refused for who did it.
type RightRefused struct {
	Cause string `class:"public"`
	On    string `class:"public"`
}

// About implements ledger.Event.
func (e RightRefused) About() ledger.About {
	return ledger.About{Name: "identity.right-refused", Clause: "access.review", Object: e.On}
}

// ReviewOpened began a review.
type ReviewOpened struct {
	Review string    `class:"public"`
	Kind   string    `class:"public"` // all, unused
	Items  int64     `class:"public"`
	Due    time.Time `class:"public"`
}

// About implements ledger.Event.
func (e ReviewOpened) About() ledger.About {
	return ledger.About{Name: "identity.review-opened", Clause: "access.review", Object: "review/" + e.Review}
}

// ReviewDecided is what somebody other than its holder decided on a right.
type ReviewDecided struct {
	Review   string `class:"public"`
	Person   string `class:"public"`
	Role     string `class:"public"`
	Decision string `class:"public"`
	Outcome  string `class:"public"`
	Reason   string `class:"public"`
}

// About implements ledger.Event.
func (e ReviewDecided) About() ledger.About {
	return ledger.About{Name: "identity.review-decided", Clause: "access.review", Object: "review/" + e.Review, Subject: keyring.Person(e.Person)}
}

// ReviewClosed ended a review; what nobody decided on got the answer of the policy.
type ReviewClosed struct {
	Review    string `class:"public"`
	Kept      int64  `class:"public"`
	Revoked   int64  `class:"public"`
	Gone      int64  `class:"public"` // held no more when its turn came
	LastOwner int64  `class:"public"` // kept because nobody else could sign
	Undecided int64  `class:"public"` // of all, answered by the policy
}

// About implements ledger.Event.
func (e ReviewClosed) About() ledger.About {
	return ledger.About{Name: "identity.review-closed", Clause: "access.review", Object: "review/" + e.Review}
}
