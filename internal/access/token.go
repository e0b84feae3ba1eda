package access

import (
	"slices"

	"writ/internal/actor"
)

// byToken is all that a token can ever be given. What signs, approves, reveals, or
// touches somebody's account is not here: that needs a human at work.
var byToken = []Action{
	PolicyRead, PolicyPropose, PolicyWithdraw, ExceptionRequest, CheckRun, JournalRead, JournalExport,
	PeopleRead, GateRead, GateMaintain, MailRead, TokensRead, VaultList, VaultRead, VaultWrite, VaultAudit,
	WatchRead, WatchAct, WatchMetrics, WatchPush,
}

// ByToken lists the actions that may be scopes of a token, sorted.
func ByToken() []Action {
	as := slices.Clone(byToken)
	slices.Sort(as)
	return as
}

// tokenMay reports whether a token was given the action. What its owner may is asked
// besides, each time.
func tokenMay(who actor.Actor, action Action) bool { // clause: access.roles, auth.best-practice
	return slices.Contains(byToken, action) && slices.Contains(who.Scopes, string(action))
}
