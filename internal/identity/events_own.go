package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// SignInDisowned is the word of a mailbox that a sign-in was not its owner's: everything
// ended, and the password is locked until a reset.
type SignInDisowned struct {
	Person   string `class:"public"`
	Link     string `class:"public"`
	Sessions int64  `class:"public"`
	Links    int64  `class:"public"`
	Devices  int64  `class:"public"`
	Factors  int64  `class:"public"` // set up since the sign-in
}

// About implements ledger.Event.
func (e SignInDisowned) About() ledger.About {
	return ledger.About{Name: "identity.sign-in-disowned", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// AddressChangeAsked is a wish for another address. Both mailboxes must say yes.
type AddressChangeAsked struct {
	Person  string    `class:"public"`
	Change  string    `class:"public"`
	Until   time.Time `class:"public"`
	Address string    `class:"personal"` // index of the new one, not the address
}

// About implements ledger.Event.
func (e AddressChangeAsked) About() ledger.About {
	return ledger.About{Name: "identity.address-change-asked", Clause: "auth.unique-login", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// AddressAgreed is the yes of one of the two mailboxes.
type AddressAgreed struct {
	Person  string `class:"public"`
	Change  string `class:"public"`
	Mailbox string `class:"public"` // old, new
}

// About implements ledger.Event.
func (e AddressAgreed) About() ledger.About {
	return ledger.About{Name: "identity.address-agreed", Clause: "auth.unique-login", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// AddressChanged is the new address in force.
type AddressChanged struct {
	Person string `class:"public"`
	Change string `class:"public"`
	Links  int64  `class:"public"` // one-time links that ended
}

// About implements ledger.Event.
func (e AddressChanged) About() ledger.About {
	return ledger.About{Name: "identity.address-changed", Clause: "auth.unique-login", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// AddressChangeEnded is a wish that came to nothing.
type AddressChangeEnded struct {
	Person string `class:"public"`
	Change string `class:"public"`
	Cause  string `class:"public"`
}

// About implements ledger.Event.
func (e AddressChangeEnded) About() ledger.About {
	return ledger.About{Name: "identity.address-change-ended", Clause: "auth.unique-login", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// PersonExported is a copy of everything about a person, made by or for them.
type PersonExported struct {
	Person  string `class:"public"`
	Entries int64  `class:"public"`
	reason  string // of whoever is not the person
}

// About implements ledger.Event.
func (e PersonExported) About() ledger.About {
	return ledger.About{Name: "identity.person-exported", Clause: "data.crypto-erase", Object: "person/" + e.Person, Subject: keyring.Person(e.Person), Reason: e.reason}
}

// LeaveAsked is the wish of a person for the end of their account.
type LeaveAsked struct {
	Person string    `class:"public"`
	Due    time.Time `class:"public"`
}

// About implements ledger.Event.
func (e LeaveAsked) About() ledger.About {
	return ledger.About{Name: "identity.leave-asked", Clause: "data.crypto-erase", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// AccountKept is a change of mind before the account ended.
type AccountKept struct {
	Person string `class:"public"`
}

// About implements ledger.Event.
func (e AccountKept) About() ledger.About {
	return ledger.About{Name: "identity.account-kept", Clause: "data.crypto-erase", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// LeaveRefused is a wish for the end of an account that cannot be met now.
type LeaveRefused struct {
	Person string `class:"public"`
	Cause  string `class:"public"`
}

// About implements ledger.Event.
func (e LeaveRefused) About() ledger.About {
	return ledger.About{Name: "identity.leave-refused", Clause: "data.crypto-erase", Object: "person/" + e.Person}
}

// NameChanged is another name of a person, by themselves.
type NameChanged struct {
	Person string `class:"public"`
	Empty  bool   `class:"public"`
}

// About implements ledger.Event.
func (e NameChanged) About() ledger.About {
	return ledger.About{Name: "identity.name-changed", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}
