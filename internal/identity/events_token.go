package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// TokenIssued is a token that was made and shown once.
type TokenIssued struct {
	Token    string    `class:"public"`
	Kind     string    `class:"public"` // personal, service
	Person   string    `class:"public"` // of a personal token
	Service  string    `class:"public"` // of a service's
	Scopes   []string  `class:"public"`
	Until    time.Time `class:"public"`
	Networks []string  `class:"personal"` // from which alone it works; none = from anywhere
}

// About implements ledger.Event.
func (e TokenIssued) About() ledger.About {
	return ledger.About{Name: "identity.token-issued", Clause: "auth.best-practice", Object: "token/" + e.Token, Subject: ofPerson(e.Person)}
}

// TokenRevoked is a token that was ended before its time.
type TokenRevoked struct {
	Token   string `class:"public"`
	Person  string `class:"public"`
	Service string `class:"public"`
	Cause   string `class:"public"`
}

// About implements ledger.Event.
func (e TokenRevoked) About() ledger.About {
	return ledger.About{Name: "identity.token-revoked", Clause: "auth.best-practice", Object: "token/" + e.Token, Subject: ofPerson(e.Person)}
}

// TokensEnded are all tokens of a person or a service, ended with them.
type TokensEnded struct {
	Person  string `class:"public"`
	Service string `class:"public"`
	Cause   string `class:"public"`
	Count   int64  `class:"public"`
}

// About implements ledger.Event.
func (e TokensEnded) About() ledger.About {
	a := ledger.About{Name: "identity.tokens-ended", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: ofPerson(e.Person)}
	if e.Person == "" {
		a.Object = "service/" + e.Service
	}
	return a
}

// TokenRefused is a token that was brought and is not good.
type TokenRefused struct {
	Cause   string `class:"public"` // malformed, unknown, expired, suspended, network
	Token   string `class:"public"` // empty when there is none
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e TokenRefused) About() ledger.About {
	a := ledger.About{Name: "identity.token-refused", Clause: "auth.best-practice"}
	if e.Token != "" {
		a.Object = "token/" + e.Token
	}
	return a
}

// ServiceMade is a new account for a program.
type ServiceMade struct {
	Service string   `class:"public"`
	Team    string   `class:"public"`
	Owner   string   `class:"public"` // person; empty = the team
	Roles   []string `class:"public"`
}

// About implements ledger.Event.
func (e ServiceMade) About() ledger.About {
	return ledger.About{Name: "identity.service-made", Clause: "auth.best-practice", Object: "service/" + e.Service}
}

// ServiceSuspended is an account of a program behind which nobody stands any more, or
// again: its tokens do nothing while it lasts.
type ServiceSuspended struct {
	Service string `class:"public"`
	Team    string `class:"public"`
	Lifted  bool   `class:"public"`
}

// About implements ledger.Event.
func (e ServiceSuspended) About() ledger.About {
	return ledger.About{Name: "identity.service-suspended", Clause: "auth.best-practice", Object: "service/" + e.Service}
}

// ServiceEnded is an account of a program that is over, with its tokens.
type ServiceEnded struct {
	Service string `class:"public"`
	Tokens  int64  `class:"public"`
}

// About implements ledger.Event.
func (e ServiceEnded) About() ledger.About {
	return ledger.About{Name: "identity.service-ended", Clause: "auth.best-practice", Object: "service/" + e.Service}
}

// ofPerson names no subject where there is no person.
func ofPerson(id string) keyring.Subject {
	if id == "" {
		return keyring.Subject{}
	}
	return keyring.Person(id)
}
