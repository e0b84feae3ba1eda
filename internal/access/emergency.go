package access

import "slices"

// inEmergency is what a session that shares opened may do, where the owner's row has it:
// look at how things stand, and help people back in. What signs or lasts beyond the session
// (roles, tokens, clients, directories, another set of shares), erases, exports, or shows
// customers' data is not here. An action that a later build adds is not, until somebody
// puts it here.
var inEmergency = []Action{
	PolicyRead, CheckRun, JournalRead, PeopleRead, PeopleManage, SessionsEnd, RightsRead, GateRead, GateMaintain, MailRead, TokensRead, TokensManage,
}

// InEmergency lists those actions, sorted.
func InEmergency() []Action {
	as := slices.Clone(inEmergency)
	slices.Sort(as)
	return as
}

func emergencyMay(action Action) bool { // clause: access.least-privilege
	return slices.Contains(inEmergency, action)
}
