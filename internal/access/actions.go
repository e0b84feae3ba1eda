package access

import (
	"maps"
	"slices"
	"strings"
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
	PeopleExport     Action = "identity.export-person" // a copy of everything about somebody, for them
	PeopleImport     Action = "identity.import-people" // bring people over with another system's hashes
	SessionsEnd      Action = "identity.end-sessions"
	RightsRead       Action = "identity.read-rights"   // who holds which role, since when, and what was used of it
	RoleGrant        Action = "identity.grant-role"    // lend a role for a while, and take it back
	RoleAsk          Action = "identity.ask-role"      // ask for a role oneself; it counts when others agree
	ReviewOpen       Action = "identity.open-review"   // begin and close a review of rights
	ReviewDecide     Action = "identity.review-rights" // keep or revoke; never one's own
	GateRead         Action = "gateway.read"
	GateMaintain     Action = "gateway.maintenance"
	MailRead         Action = "mail.read-queue"
	TokensRead       Action = "identity.read-tokens"     // other people's, and services
	TokensManage     Action = "identity.manage-tokens"   // end other people's
	ServicesManage   Action = "identity.manage-services" // make service accounts of the staff team, and their tokens
	SupportLook      Action = "identity.support-look"    // look as a customer, with a reason and a ticket, for a while
	SupportAgree     Action = "identity.support-agree"   // agree that somebody else who looks may change things
	ClientsRead      Action = "identity.read-clients"    // applications that sign people in here
	ClientsManage    Action = "identity.manage-clients"
	TeamRead         Action = "team.read"   // the team one acts in; for others PeopleRead
	TeamManage       Action = "team.manage" // its members, invitations and name; for others PeopleManage

	VaultList  Action = "vault.list"  // names, history and tags, without values
	VaultRead  Action = "vault.read"  // values; each is recorded
	VaultWrite Action = "vault.write" // new versions, labels, tags, removal
	VaultKeys  Action = "vault.manage-keys"
	VaultAudit Action = "vault.audit" // who saw what

	KeysRead     Action = "vault.read-keys"      // how the keys stand that data rests under, holds, destructions
	KeysRotate   Action = "vault.rotate-keys"    // replace them now
	KeysShred    Action = "vault.ask-shred"      // ask for the destruction of a key
	KeysAgree    Action = "vault.agree-shred"    // agree to one that somebody else asked for, or refuse it
	HoldAdd      Action = "vault.add-hold"       // keep something from being destroyed
	HoldEnd      Action = "vault.end-hold"       // two people end a hold
	VaultHolders Action = "vault.manage-holders" // who opens the vault together: appoint, remove, new shares, drills
	VaultSeal    Action = "vault.seal"           // put the keys away; holders open it again
	VaultItems   Action = "vault.items"          // the company's credentials that are shared with one: see, make, change, share
	VaultReveal  Action = "vault.reveal"         // their secrets; each reveal is recorded
	VaultCare    Action = "vault.care"           // see every item without its secrets, and name an owner where there is none

	ProvisioningManage Action = "identity.manage-provisioning" // connect the directory of any team, and set its domains
	GlassPrepare       Action = "identity.prepare-break-glass" // hand out the shares that open an owner's session together, and end them

	IncidentRead Action = "incident.read" // incidents with their timelines
	IncidentAct  Action = "incident.act"  // declare them, take roles and steps in them, and keep the status page

	WatchRead   Action = "watch.read"
	WatchAct    Action = "watch.act"    // acknowledge, say what it was, silence, fire a test
	WatchManage Action = "watch.manage" // the ways by which people are told

	WatchMetrics Action = "watch.metrics" // scrape measurements, which name nobody
	WatchPush    Action = "watch.push"    // push samples of meters that are declared
)

// known are the actions of this build, and whether the operator may do each. Which role
// of people may do what is the policy's to say (access.roles/roles); the operator is no
// person and has no row there: whoever is the server's own account on the machine could
// read its memory and change its binary, so a signed line about it would promise what
// nothing holds. What the operator may do here is what runs the machine, and never an
// approval, a signature or a decision about somebody's rights (DESIGN §10).
var known = map[Action]bool{
	PolicyRead:       true,
	PolicyPropose:    true,
	PolicyApprove:    false,
	PolicyWithdraw:   true,
	ExceptionRequest: true,
	ExceptionApprove: false,
	ExceptionRevoke:  true,
	RecordSign:       false,
	KeyRegister:      false,
	CheckRun:         true,
	JournalRead:      true,
	JournalExport:    true,
	PeopleRead:       true,
	PeopleManage:     true,
	PeopleErase:      true,
	PeopleExport:     true,
	PeopleImport:     true,
	SessionsEnd:      true,
	RightsRead:       true,
	RoleGrant:        true,
	RoleAsk:          false,
	ReviewOpen:       true,
	ReviewDecide:     false,
	GateRead:         true,
	GateMaintain:     true,
	MailRead:         true,
	TokensRead:       true,
	TokensManage:     true,
	ServicesManage:   true,
	SupportLook:      false,
	SupportAgree:     false,
	ClientsRead:      true,
	ClientsManage:    true,
	TeamRead:         false, // it acts in no team
	TeamManage:       false,

	VaultList:  true,
	VaultRead:  true,
	VaultWrite: true,
	VaultKeys:  true,
	VaultAudit: true,

	KeysRead:     true,
	KeysRotate:   true,
	KeysShred:    true,
	KeysAgree:    false,
	HoldAdd:      true,
	HoldEnd:      false,
	VaultHolders: true,
	VaultSeal:    true,
	VaultItems:   true,
	VaultReveal:  false, // it never reads what people keep
	VaultCare:    true,

	ProvisioningManage: true,
	GlassPrepare:       true,

	IncidentRead: true,
	IncidentAct:  true,

	WatchRead:   true,
	WatchAct:    true,
	WatchManage: true,

	WatchMetrics: true,
	WatchPush:    true,
}

// personal are acts that bind others for longer than a loan lasts, or that must be a
// person's own: a lent role does not carry them, and a token never reaches them.
var personal = []Action{PolicyApprove, ExceptionApprove, RecordSign, KeyRegister, RoleGrant, ReviewDecide, SupportAgree, GlassPrepare, KeysAgree, HoldEnd, VaultHolders, VaultSeal}

// fresh are acts for which a person must have shown a factor shortly before: they bind
// others, or decide who comes in. A session left open on a desk does not do them.
var fresh = []Action{PolicyApprove, ExceptionApprove, KeyRegister, PeopleManage, PeopleErase, PeopleExport, PeopleImport, RoleGrant, ServicesManage, GlassPrepare, KeysAgree, HoldEnd, VaultHolders, VaultSeal}

// ofTeams begins the actions of a customer's own team: the only ones that the roles of
// customers can have.
const ofTeams = "team."

// The roles of staff and of customers' teams.
var (
	staffRoles    = []string{"owner", "engineer", "support", "auditor"}
	customerRoles = []string{"admin", "member"}
)

// StaffRoles are the roles that a member of staff may have.
func StaffRoles() []string { return slices.Clone(staffRoles) }

// Actions lists every action, sorted.
func Actions() []Action { return slices.Sorted(maps.Keys(known)) }

// OperatorMay reports whether an action is among those that run the machine.
func OperatorMay(a Action) bool { return known[a] }

func isKnown(a Action) bool { _, ok := known[a]; return ok }

func (a Action) ofTeam() bool { return strings.HasPrefix(string(a), ofTeams) }
