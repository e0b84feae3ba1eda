// Package access answers one question: may this actor do this to that? Every
// handler and command asks it before it acts; nothing else in the tree compares
// roles. The answer is no unless a rule says yes, and each no is recorded before
// it is given, so that an attempt leaves a trace even when nothing happened.
//
// The matrix is data: which roles may do an action. Staff roles (owner, engineer,
// support, auditor) count only in a team of kind staff, because only identity's
// sessions carry them. The operator (the server's own account, through the socket)
// may do what runs the machine but never approves, signs or reveals: DESIGN §10.
//
// Threats: a role name accepted from outside (roles come only from the session
// table); an action nobody listed (refused, and a test walks all of them).
//
// For: owner, engineer, support, auditor. Clause: access.roles.
package access

import (
	"context"
	"slices"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Action is something an actor may want to do, as module.verb.
type Action string

// The actions of this build.
const (
	PolicyRead       Action = "policy.read"
	PolicyPropose    Action = "policy.propose"
	PolicyApprove    Action = "policy.approve"  // also reject: an owner's signature
	PolicyWithdraw   Action = "policy.withdraw" // one's own proposal
	ExceptionRequest Action = "policy.request-exception"
	ExceptionApprove Action = "policy.approve-exception"
	ExceptionRevoke  Action = "policy.revoke-exception"
	RecordSign       Action = "policy.sign-record"
	KeyRegister      Action = "policy.register-key"
	CheckRun         Action = "policy.run-check"
	JournalRead      Action = "journal.read"
	JournalExport    Action = "journal.export"
	PeopleRead       Action = "identity.read-people"
	PeopleManage     Action = "identity.manage-people"
	PeopleErase      Action = "identity.erase-person"
	PeopleImport     Action = "identity.import-people"
	SessionsEnd      Action = "identity.end-sessions"
	GateRead         Action = "gateway.read"
	GateMaintain     Action = "gateway.maintenance"
	MailRead         Action = "mail.read-queue"
	TokensRead       Action = "identity.read-tokens"     // other people's, and services
	TokensManage     Action = "identity.manage-tokens"   // end other people's
	ServicesManage   Action = "identity.manage-services" // make service accounts of the staff team, and their tokens
)

// matrix names the roles that may do each action. "operator" stands for the socket.
var matrix = map[Action][]string{
	PolicyRead:       {"owner", "engineer", "support", "auditor", "operator"},
	PolicyPropose:    {"owner", "engineer", "operator"},
	PolicyApprove:    {"owner"},
	PolicyWithdraw:   {"owner", "engineer", "operator"},
	ExceptionRequest: {"owner", "engineer", "operator"},
	ExceptionApprove: {"owner"},
	ExceptionRevoke:  {"owner", "engineer", "operator"},
	RecordSign:       {"owner", "engineer", "support"},
	KeyRegister:      {"owner", "engineer", "support"},
	CheckRun:         {"owner", "engineer", "auditor", "operator"},
	JournalRead:      {"owner", "engineer", "auditor", "operator"},
	JournalExport:    {"owner", "auditor", "operator"},
	PeopleRead:       {"owner", "engineer", "support", "auditor", "operator"},
	PeopleManage:     {"owner", "operator"},
	PeopleErase:      {"owner", "operator"},
	PeopleImport:     {"owner", "operator"},
	SessionsEnd:      {"owner", "engineer", "operator"},
	GateRead:         {"owner", "engineer", "auditor", "operator"},
	GateMaintain:     {"owner", "engineer", "operator"},
	MailRead:         {"owner", "engineer", "operator"},
	TokensRead:       {"owner", "engineer", "auditor", "operator"},
	TokensManage:     {"owner", "engineer", "operator"},
	ServicesManage:   {"owner", "engineer", "operator"},
}

// Actions lists every action, sorted.
func Actions() []Action {
	as := make([]Action, 0, len(matrix))
	for a := range matrix {
		as = append(as, a)
	}
	slices.Sort(as)
	return as
}

// May reports the matrix's answer without recording anything. Pages use it to
// leave out what the reader cannot do; it never replaces Allow.
func May(who actor.Actor, action Action) bool {
	if who.Kind == actor.Writ {
		return true
	}
	if who.ByToken() && !tokenMay(who, action) {
		return false
	}
	roles := matrix[action]
	if who.Kind == actor.Operator {
		return slices.Contains(roles, "operator")
	}
	if who.Kind != actor.Person && who.Kind != actor.Machine {
		return false
	}
	return slices.ContainsFunc(who.Roles, func(r string) bool { return r != "operator" && slices.Contains(roles, r) })
}

// Recorder is what access needs of the ledger.
type Recorder interface {
	Refuse(ctx context.Context, who actor.Actor, ev ledger.Event, reason error) error
}

// Access decides and records refusals.
type Access struct{ log Recorder }

// New makes an Access that records its refusals with r.
func New(r Recorder) *Access {
	if r == nil {
		panic("access: no recorder")
	}
	return &Access{log: r}
}

// Allow returns nil when who may do action to object ("kind/id", or "" for the
// whole), else fault.Denied, recorded. Not recordable is fault.Unavailable.
func (a *Access) Allow(ctx context.Context, who actor.Actor, action Action, object string) error {
	if May(who, action) { // clause: access.roles
		return nil
	}
	if !who.SignedIn() && who.Kind != actor.Operator {
		return fault.New(fault.Unauthenticated, "session_ended", fault.Public{Problem: "Nobody is signed in.", Next: "Sign in and try again."})
	}
	f := fault.New(fault.Denied, "denied", fault.Public{
		Problem:  "Your role does not allow this.",
		Expected: "Needed: " + string(action) + ".",
		Next:     "Ask an owner of the policy if you need it.",
	})
	return a.log.Refuse(ctx, who, Refused{Action: string(action), On: object}, f)
}

// Refused is the entry of a refused act.
type Refused struct {
	Action string `class:"public"`
	On     string `class:"public"`
}

// About implements ledger.Event.
func (e Refused) About() ledger.About {
	return ledger.About{Name: "access.refused", Clause: "access.roles", Object: "action/" + e.Action, Subject: keyring.Subject{}}
}
