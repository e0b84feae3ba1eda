package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// TermsAccepted is a customer's yes to a version of the terms.
type TermsAccepted struct {
	Person  string `class:"public"`
	Version int    `class:"public"`
	How     string `class:"public"`
}

// About implements ledger.Event.
func (e TermsAccepted) About() ledger.About {
	return ledger.About{Name: "identity.terms-accepted", Clause: "use.terms", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// TermsRefused is an acceptance of a version that is not in force, or a token used by
// somebody who accepted none that is.
type TermsRefused struct {
	Person  string `class:"public"`
	Version int    `class:"public"`
	InForce int    `class:"public"`
}

// About implements ledger.Event.
func (e TermsRefused) About() ledger.About {
	return ledger.About{Name: "identity.terms-refused", Clause: "use.terms", Object: "person/" + e.Person}
}

// Impersonated began a look: a member of staff sees what a customer sees.
type Impersonated struct {
	Support string    `class:"public"`
	Staff   string    `class:"public"`
	Person  string    `class:"public"`
	Team    string    `class:"public"`
	Ticket  string    `class:"public"`
	Until   time.Time `class:"public"`
	Writes  bool      `class:"public"` // whether changing things was asked for
	Asks    string    `class:"public"` // what the policy says of a reason: required, optional
	reason  string
}

// About implements ledger.Event.
func (e Impersonated) About() ledger.About {
	return ledger.About{Name: "identity.impersonated", Clause: "use.need-to-see", Object: "support/" + e.Support, Subject: keyring.Person(e.Person), Reason: e.reason}
}

// SupportAgreed is a second person's yes: the look may change things.
type SupportAgreed struct {
	Support string `class:"public"`
	Staff   string `class:"public"` // who looks
	By      string `class:"public"`
	Person  string `class:"public"`
}

// About implements ledger.Event.
func (e SupportAgreed) About() ledger.About {
	return ledger.About{Name: "identity.support-agreed", Clause: "use.need-to-see", Object: "support/" + e.Support, Subject: keyring.Person(e.Person)}
}

// SupportEnded is the end of a look.
type SupportEnded struct {
	Support string `class:"public"`
	Person  string `class:"public"`
	Cause   string `class:"public"`
}

// About implements ledger.Event.
func (e SupportEnded) About() ledger.About {
	return ledger.About{Name: "identity.support-ended", Clause: "use.need-to-see", Object: "support/" + e.Support, Subject: keyring.Person(e.Person)}
}

// SupportRefused is a look, or an agreement to one, that was not allowed.
type SupportRefused struct {
	Cause  string `class:"public"` // reason, ticket, staff, team, state, factor, self, …
	Person string `class:"public"` // the customer; empty when none was found
}

// About implements ledger.Event.
func (e SupportRefused) About() ledger.About {
	return ledger.About{Name: "identity.support-refused", Clause: "use.need-to-see"}
}
