package policy

import (
	"time"

	"writ/internal/ledger"
)

// The entries of this module. Names of people stand in them by handle: who signs for a
// company signs in public. Free words are reasons, which are always personal.

// BootstrapAdopted is the first revision, in force before anybody signed it.
type BootstrapAdopted struct {
	Version    string `class:"public"`
	BodySHA256 string `class:"public"`
	Hash       string `class:"public"`
}

// About implements ledger.Event.
func (e BootstrapAdopted) About() ledger.About {
	return ledger.About{Name: "policy.bootstrap-adopted", Clause: "gov.revision-history", Object: "revision/" + e.Version}
}

// ProposalMade is a revision that waits for signatures.
type ProposalMade struct {
	Version    string    `class:"public"`
	BodySHA256 string    `class:"public"`
	Hash       string    `class:"public"`
	Parent     string    `class:"public"`
	Author     string    `class:"public"`
	ProposedBy string    `class:"public"` // the author, or who acted in the author's name
	Summary    string    `class:"public"`
	Effective  time.Time `class:"public"`
	Needs      int       `class:"public"`
	Changes    string    `class:"public"` // "3 tighter, 1 looser"
}

// About implements ledger.Event.
func (e ProposalMade) About() ledger.About {
	return ledger.About{Name: "policy.proposed", Clause: "gov.revision-history", Object: "revision/" + e.Version}
}

// RevisionApproved is one signature over a revision.
type RevisionApproved struct {
	Version     string `class:"public"`
	BodySHA256  string `class:"public"`
	Signer      string `class:"public"`
	Kind        string `class:"public"`
	Fingerprint string `class:"public"`
	Signature   string `class:"public"`
}

// About implements ledger.Event.
func (e RevisionApproved) About() ledger.About {
	return ledger.About{Name: "policy.approved", Clause: "gov.signed-dated", Object: "revision/" + e.Version}
}

// RevisionAdopted is a revision that has all its signatures.
type RevisionAdopted struct {
	Version    string    `class:"public"`
	BodySHA256 string    `class:"public"`
	Hash       string    `class:"public"`
	HoldsFrom  time.Time `class:"public"`
	Changes    string    `class:"public"`
}

// About implements ledger.Event.
func (e RevisionAdopted) About() ledger.About {
	return ledger.About{Name: "policy.adopted", Clause: "gov.owners", Object: "revision/" + e.Version}
}

// ProposalClosed is the end of a proposal without adoption.
type ProposalClosed struct {
	Version    string `class:"public"`
	BodySHA256 string `class:"public"`
	state      State
	why        string
}

// About implements ledger.Event.
func (e ProposalClosed) About() ledger.About {
	return ledger.About{Name: "policy." + string(e.state), Clause: "gov.revision-history", Object: "revision/" + e.Version, Reason: e.why}
}

// Refused is an act on the policy that was refused, with the clause that refused it.
type Refused struct {
	Act    string `class:"public"`
	Code   string `class:"public"`
	On     string `class:"public"`
	clause string
}

// About implements ledger.Event.
func (e Refused) About() ledger.About {
	return ledger.About{Name: "policy.act-refused", Clause: e.clause}
}

// KeyRegistered is a public key that signs for a person from now on.
type KeyRegistered struct {
	Handle      string `class:"public"`
	Fingerprint string `class:"public"`
	PublicKey   string `class:"public"`
}

// About implements ledger.Event.
func (e KeyRegistered) About() ledger.About {
	return ledger.About{Name: "policy.key-registered", Clause: "gov.signed-dated"}
}

// KeyRevoked is a public key that signs no more.
type KeyRevoked struct {
	Handle      string `class:"public"`
	Fingerprint string `class:"public"`
}

// About implements ledger.Event.
func (e KeyRevoked) About() ledger.About {
	return ledger.About{Name: "policy.key-revoked", Clause: "gov.signed-dated"}
}

// ExceptionRequested is a deviation that somebody asks for.
type ExceptionRequested struct {
	Param       string    `class:"public"` // clause/param
	Value       string    `class:"public"`
	Requester   string    `class:"public"`
	RequestedBy string    `class:"public"` // the requester, or who asked in their name
	Until       time.Time `class:"public"`
	id          string
	why         string
}

// About implements ledger.Event.
func (e ExceptionRequested) About() ledger.About {
	return ledger.About{Name: "exception.requested", Clause: "gov.exceptions", Object: "exception/" + e.id, Reason: e.why}
}

// ExceptionConfirmed is the signature of the one in whose name the operator asked.
type ExceptionConfirmed struct {
	Param       string `class:"public"`
	Value       string `class:"public"`
	Requester   string `class:"public"`
	Fingerprint string `class:"public"`
	Signature   string `class:"public"`
	id          string
}

// About implements ledger.Event.
func (e ExceptionConfirmed) About() ledger.About {
	return ledger.About{Name: "exception.confirmed", Clause: "gov.exceptions", Object: "exception/" + e.id}
}

// ExceptionApproved is a deviation that holds until its end.
type ExceptionApproved struct {
	Param       string    `class:"public"`
	Value       string    `class:"public"`
	Requester   string    `class:"public"`
	Approver    string    `class:"public"`
	Until       time.Time `class:"public"`
	Fingerprint string    `class:"public"`
	Signature   string    `class:"public"`
	id          string
}

// About implements ledger.Event.
func (e ExceptionApproved) About() ledger.About {
	return ledger.About{Name: "exception.approved", Clause: "gov.exceptions", Object: "exception/" + e.id}
}

// ExceptionEnded is a deviation that was taken back before its end.
type ExceptionEnded struct {
	Param string `class:"public"`
	id    string
	state string
	why   string
}

// About implements ledger.Event.
func (e ExceptionEnded) About() ledger.About {
	return ledger.About{Name: "exception." + e.state, Clause: "gov.exceptions", Object: "exception/" + e.id, Reason: e.why}
}

// RecordSigned is a statement about a clause.
type RecordSigned struct {
	Clause      string    `class:"public"`
	Form        string    `class:"public"`
	Statement   string    `class:"public"`
	Observed    time.Time `class:"public"`
	ValidUntil  time.Time `class:"public"`
	Signer      string    `class:"public"`
	Fingerprint string    `class:"public"`
	Signature   string    `class:"public"`
	id          string
}

// About implements ledger.Event.
func (e RecordSigned) About() ledger.About {
	return ledger.About{Name: "record.signed", Clause: e.Clause, Object: "record/" + e.id}
}
