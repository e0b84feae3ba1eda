// Package actor names who acts. Every operation on protected state takes an Actor
// right after its context; nothing below the web floor reads identity from a
// context or a header. Only the doors (web, socket, gateway, jobs) make Actors.
package actor

import (
	"slices"
	"time"
)

// Kind is what sort of actor.
type Kind string

// The kinds of actor.
const (
	Person     Kind = "person"      // a human who signed in; ID is the person id
	Stranger   Kind = "stranger"    // nobody known; ID is a network bucket such as 203.0.113.0/24
	Machine    Kind = "machine"     // a program with a token
	Operator   Kind = "operator"    // the server's own account on the machine, through the socket
	Writ       Kind = "writ"        // the server itself: jobs, schedules, start-up
	BreakGlass Kind = "break-glass" // an emergency session opened by shares
	Enrolling  Kind = "enrolling"   // a human who may only set up a second factor: ID is the person id, Roles are nil
	Agreeing   Kind = "agreeing"    // a customer who may only accept the terms: ID is the person id, Roles are nil
	Support    Kind = "support"     // a member of staff who looks as a customer: ID is who looks, For whom they look as
)

// Actor is who acts. The zero Actor may do nothing.
type Actor struct {
	Kind     Kind
	ID       string    // person id, machine id, network bucket, uid, or job name
	Team     string    // team the session acts in; empty for none
	TeamKind string    // of that team: staff, customer, canary
	Roles    []string  // roles in that team, e.g. owner engineer support auditor admin member
	Lent     []string  // those of Roles that a grant gives for a while
	Session  string    // session id (not the token); empty outside sessions
	ACR      int       // 0 none, 1 one factor, 2 two, 3 phishing-resistant
	FactorAt time.Time // last time a factor was shown
	Via      string    // the door: https socket job canary token

	Token  string   // id of the token that stands for the actor; empty where a person or the socket does
	Scopes []string // with Token: all that it may be used for, however much its owner may

	For   string // of Support: the customer; Team and Roles are theirs
	Needs int    // of Enrolling: the ACR that must be within reach before anything else

	Writes bool // of Support: a second person has agreed that it may change things
}

// System is Writ itself doing the named piece of housekeeping.
func System(name string) Actor { return Actor{Kind: Writ, ID: name, Via: "job"} }

// Has reports whether the actor has the role.
func (a Actor) Has(role string) bool { return slices.Contains(a.Roles, role) }

// SignedIn reports whether a person or machine is behind the actor. Somebody who must
// set up a factor or accept the terms first is not, nor is staff who looks as a customer:
// every check that was not written for them refuses.
func (a Actor) SignedIn() bool {
	return a.Kind == Person || a.Kind == Machine || a.Kind == BreakGlass
}

// ByToken reports whether a program acts with a token. It is no sign of a human at work:
// it never stands for a fresh factor and never reaches pages or acts on accounts.
func (a Actor) ByToken() bool { return a.Token != "" }

// IsZero reports whether nobody acts.
func (a Actor) IsZero() bool { return a.Kind == "" }

// String is for logs: kind/id.
func (a Actor) String() string { return string(a.Kind) + "/" + a.ID }
