package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// SignUpRequested is a sign-up that was taken in; nothing exists yet.
type SignUpRequested struct {
	Attempt string `class:"public"`
	Scheme  string `class:"public"`
	Address string `class:"personal"` // index, not the address
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e SignUpRequested) About() ledger.About {
	return ledger.About{Name: "identity.sign-up-requested", Clause: "auth.signup-email", Object: "attempt/" + e.Attempt}
}

// SignUpDecided says which letter answered a sign-up.
type SignUpDecided struct {
	Attempt string `class:"public"`
	Outcome string `class:"personal"` // confirm, taken: whether an address is known is nobody's to read
}

// About implements ledger.Event.
func (e SignUpDecided) About() ledger.About {
	return ledger.About{Name: "identity.sign-up-decided", Clause: "auth.signup-email", Object: "attempt/" + e.Attempt}
}

// SignUpRefused is a sign-up, or a confirmation, that was not taken.
type SignUpRefused struct {
	Cause   string `class:"public"`
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e SignUpRefused) About() ledger.About {
	return ledger.About{Name: "identity.sign-up-refused", Clause: "auth.signup-email"}
}

// SignUpDeclined is a sign-up whose letter's reader said "not me".
type SignUpDeclined struct {
	Attempt string `class:"public"`
}

// About implements ledger.Event.
func (e SignUpDeclined) About() ledger.About {
	return ledger.About{Name: "identity.sign-up-declined", Clause: "auth.signup-email", Object: "attempt/" + e.Attempt}
}

// AddressConfirmed made a person out of an attempt.
type AddressConfirmed struct {
	Person  string        `class:"public"`
	Team    string        `class:"public"`
	Attempt string        `class:"public"`
	Age     time.Duration `class:"public"`
	Others  int64         `class:"public"` // other attempts for the address that died
}

// About implements ledger.Event.
func (e AddressConfirmed) About() ledger.About {
	return ledger.About{Name: "identity.address-confirmed", Clause: "auth.signup-email", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// PersonAdded is a person made by an operator or owner.
type PersonAdded struct {
	Person string   `class:"public"`
	Team   string   `class:"public"`
	Kind   string   `class:"public"`
	Roles  []string `class:"public"`
}

// About implements ledger.Event.
func (e PersonAdded) About() ledger.About {
	return ledger.About{Name: "identity.person-added", Clause: "auth.unique-login", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// LinkIssued is a one-time link that was made.
type LinkIssued struct {
	Link   string    `class:"public"`
	Kind   string    `class:"public"`
	Person string    `class:"public"`
	Until  time.Time `class:"public"`
	reason string    // of whoever started it for somebody else
}

// About implements ledger.Event.
func (e LinkIssued) About() ledger.About {
	return ledger.About{Name: "identity.link-issued", Clause: "auth.reset-link", Object: "link/" + e.Link, Subject: keyring.Person(e.Person), Reason: e.reason}
}

// SignedIn began a session.
type SignedIn struct {
	Person    string   `class:"public"`
	Session   string   `class:"public"`
	Method    string   `class:"public"`
	ACR       int      `class:"public"`
	AMR       []string `class:"public"`
	Level     string   `class:"public"` // full, or enrol
	NewDevice bool     `class:"public"`
	Rehashed  string   `class:"public"` // the scheme the hash was renewed to, if it was
	Network   string   `class:"personal"`
	Agent     string   `class:"personal"`
}

// About implements ledger.Event.
func (e SignedIn) About() ledger.About {
	return ledger.About{Name: "identity.signed-in", Clause: "auth.best-practice", Object: "session/" + e.Session, Subject: keyring.Person(e.Person)}
}

// SignInRefused is a refused sign-in. Whether the address is known shows nowhere.
type SignInRefused struct {
	Cause   string `class:"personal"`
	Address string `class:"personal"` // index, not the address
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e SignInRefused) About() ledger.About {
	return ledger.About{Name: "identity.sign-in-refused", Clause: "auth.best-practice"}
}

// SignInsThrottled is an attempt beyond the limit of its bucket.
type SignInsThrottled struct {
	Door    string `class:"public"`
	Bucket  string `class:"public"` // which limit
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e SignInsThrottled) About() ledger.About {
	return ledger.About{Name: "identity.sign-ins-throttled", Clause: "auth.best-practice"}
}

// SprayingSeen is one network trying many addresses.
type SprayingSeen struct {
	Addresses int64  `class:"public"`
	Network   string `class:"personal"`
}

// About implements ledger.Event.
func (e SprayingSeen) About() ledger.About {
	return ledger.About{Name: "identity.spraying-seen", Clause: "auth.best-practice"}
}

// RefusalsFolded counts refusals that were too many for an entry each.
type RefusalsFolded struct {
	Of      string    `class:"public"` // the event they would have been
	Count   int64     `class:"public"`
	Minute  time.Time `class:"public"`
	Network string    `class:"personal"`
}

// About implements ledger.Event.
func (e RefusalsFolded) About() ledger.About {
	return ledger.About{Name: "identity.refusals-folded", Clause: "auth.best-practice"}
}

// PasswordRefused is a new password that broke a rule.
type PasswordRefused struct {
	Door  string   `class:"public"`
	Codes []string `class:"public"`
}

// About implements ledger.Event.
func (e PasswordRefused) About() ledger.About {
	return ledger.About{Name: "identity.password-refused", Clause: "auth.min-length"}
}

// PasswordChanged is a password changed by its owner. PasswordSet in AddressConfirmed,
// ResetUsed and PasswordChanged is told by the same fields.
type PasswordChanged struct {
	Person   string `class:"public"`
	Scheme   string `class:"public"`
	List     string `class:"public"`
	Min      int    `class:"public"`
	Sessions int64  `class:"public"` // other sessions that ended
}

// About implements ledger.Event.
func (e PasswordChanged) About() ledger.About {
	return ledger.About{Name: "identity.password-changed", Clause: "auth.change-needs-current", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ChangeRefused is a change of a password, an address or an account without the right
// present password.
type ChangeRefused struct {
	Person string `class:"public"`
	Cause  string `class:"public"`
	Door   string `class:"public"` // what was to be changed
}

// About implements ledger.Event.
func (e ChangeRefused) About() ledger.About {
	return ledger.About{Name: "identity.change-refused", Clause: "auth.change-needs-current", Object: "person/" + e.Person}
}

// PasswordSet is a password set without a former one: by the demonstration or an import.
type PasswordSet struct {
	Person string `class:"public"`
	Scheme string `class:"public"`
	List   string `class:"public"`
	Min    int    `class:"public"`
}

// About implements ledger.Event.
func (e PasswordSet) About() ledger.About {
	return ledger.About{Name: "identity.password-set", Clause: "auth.hash", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ResetRequested is a request for a reset link, for a known or unknown address.
type ResetRequested struct {
	Silent  bool   `class:"public"` // beyond the limit: nothing was sent
	Address string `class:"personal"`
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e ResetRequested) About() ledger.About {
	return ledger.About{Name: "identity.reset-requested", Clause: "auth.reset-link"}
}

// ResetUnanswered is a request that led to no letter, because no active person has the address.
type ResetUnanswered struct {
	Address string `class:"personal"`
}

// About implements ledger.Event.
func (e ResetUnanswered) About() ledger.About {
	return ledger.About{Name: "identity.reset-decided", Clause: "auth.reset-link", Subject: keyring.Class(indexClass)}
}

// ResetUsed is a password set through a link.
type ResetUsed struct {
	Person   string        `class:"public"`
	Link     string        `class:"public"`
	Kind     string        `class:"public"`
	Age      time.Duration `class:"public"`
	Scheme   string        `class:"public"`
	List     string        `class:"public"`
	Min      int           `class:"public"`
	Sessions int64         `class:"public"`
	Links    int64         `class:"public"`
	Tokens   int64         `class:"public"`
}

// About implements ledger.Event.
func (e ResetUsed) About() ledger.About {
	return ledger.About{Name: "identity.reset-used", Clause: "auth.reset-sets-new", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ResetRefused is a link that does not work, or no longer.
type ResetRefused struct {
	Kind  string `class:"public"`
	Cause string `class:"public"` // unknown, used, superseded, cancelled, expired
}

// About implements ledger.Event.
func (e ResetRefused) About() ledger.About {
	return ledger.About{Name: "identity.reset-refused", Clause: "auth.reset-link-lifetime"}
}

// SessionEnded is a session that is over.
type SessionEnded struct {
	Person  string `class:"public"`
	Session string `class:"public"` // empty when Count is more than one
	Cause   string `class:"public"`
	Count   int64  `class:"public"`
}

// About implements ledger.Event.
func (e SessionEnded) About() ledger.About {
	a := ledger.About{Name: "identity.session-ended", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
	if e.Session != "" {
		a.Object = "session/" + e.Session
	}
	return a
}

// SessionRenewed is a session that got another token, for it gained a right.
type SessionRenewed struct {
	Person  string   `class:"public"`
	Session string   `class:"public"`
	Roles   []string `class:"public"` // lent ones that count under it
}

// About implements ledger.Event.
func (e SessionRenewed) About() ledger.About {
	return ledger.About{Name: "identity.session-renewed", Clause: "auth.best-practice", Object: "session/" + e.Session, Subject: keyring.Person(e.Person)}
}

// PersonDisabled is a person who can no longer sign in.
type PersonDisabled struct {
	Person   string `class:"public"`
	Sessions int64  `class:"public"`
	Links    int64  `class:"public"`
	Devices  int64  `class:"public"`
	Tokens   int64  `class:"public"`
	Loans    int64  `class:"public"`
	Consents int64  `class:"public"`
	Families int64  `class:"public"` // of tokens that applications had
}

// About implements ledger.Event.
func (e PersonDisabled) About() ledger.About {
	return ledger.About{Name: "identity.person-disabled", Clause: "people.offboarding", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// PersonOffboarded is the receipt of an offboarding: what ended, and what was seen of it
// afterwards.
type PersonOffboarded struct {
	Person string   `class:"public"`
	Team   string   `class:"public"` // empty = everything
	How    string   `class:"public"`
	Ended  []string `class:"public"` // KIND=COUNT
	Zero   []string `class:"public"` // KIND=MICROSECONDS until nothing of it was left
	Left   []string `class:"public"` // kinds of which something was left
}

// About implements ledger.Event.
func (e PersonOffboarded) About() ledger.About {
	return ledger.About{Name: "identity.person-offboarded", Clause: "access.need-ends", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ErasureBegun deletes a person's rows; their key is destroyed next.
type ErasureBegun struct {
	Person   string `class:"public"`
	Sessions int64  `class:"public"`
	Links    int64  `class:"public"`
	Devices  int64  `class:"public"`
}

// About implements ledger.Event.
func (e ErasureBegun) About() ledger.About {
	return ledger.About{Name: "identity.erasure-begun", Clause: "data.crypto-erase", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// PersonErased says that the person's key is gone, and with it all that was sealed under it.
type PersonErased struct {
	Person    string    `class:"public"`
	Pseudonym string    `class:"public"` // in the store of keys
	Keys      []string  `class:"public"`
	Destroyed time.Time `class:"public"`
	Method    string    `class:"public"`
	Store     string    `class:"public"`
}

// About implements ledger.Event. It names no subject: there is no key left to name one with.
func (e PersonErased) About() ledger.About {
	return ledger.About{Name: "identity.person-erased", Clause: "data.crypto-erase", Object: "person/" + e.Person}
}

// CanaryPlanted is a row that a control put there, and how old it was made.
type CanaryPlanted struct {
	Control  string        `class:"public"`
	What     string        `class:"public"`
	Person   string        `class:"public"`
	BackDate time.Duration `class:"public"`
}

// About implements ledger.Event.
func (e CanaryPlanted) About() ledger.About {
	return ledger.About{Name: "identity.canary-planted", Object: "person/" + e.Person}
}

// CanarySwept is the end of what a control planted.
type CanarySwept struct {
	Control string `class:"public"`
	People  int64  `class:"public"`
}

// About implements ledger.Event.
func (e CanarySwept) About() ledger.About { return ledger.About{Name: "identity.canary-swept"} }
