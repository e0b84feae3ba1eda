// Package glass is the way in when no owner can come in: break-glass without a root
// password. Holders of shares open an owner's session together; none can alone.
//
//	owner ─► prepare ─► secret split ─► shares sealed, each under its holder's key
//	holder ─► step-up ─► share shown once, deleted here ─► enough picked up: the set is live
//	holder ─► reason, share ─► opening with a code ─► letters to the owners
//	others ─► code, share ─► … enough ─► entry, letters ─► hand-over ─► session of 30 minutes
//	session ─► people, sessions, the gate ─► ended by button or clock ─► letters
//	drill: the same without the session
//
// Promises: access.least-privilege (an owner's rights lent for half an hour, by several
// people, recorded before they count, practised twice a year).
//
// Refuses: a share that is none of the live set, of a holder who has left, or given
// twice; a text with a typing error, before anything is looked up; an opening without a
// reason; a session that goes on beyond its time. The session signs nothing, lends no
// role, makes no token, exports nothing, and does not reach the application or customers'
// data (access.InEmergency, gateway).
//
// Threats: one holder who acts alone (the others' shares are missing, and all owners get a
// letter when the first is given); a stolen table (hashes; the boxes are sealed, and gone
// once picked up); a stranger who guesses (256 bits) or floods (only wrong shares are
// counted, so a full counter keeps no holder out); holders who conspire (nothing prevents
// that; every step is in the journal and with the owners). Whoever has the machine and its
// root key needs none of this.
//
// A share waits in clear nowhere. While shares are gathered they lie sealed under a class
// key, for 15 minutes at most: several nodes may serve one opening.
//
// A new set replaces the old one when it goes live, in the same change, not when it is
// prepared: in between there would be none. Whoever cannot wait withdraws the old one.
//
// BUG(lost): a share is shown in one answer. If the answer is lost on its way the share is
// too; the others make up for it as long as enough were picked up.
//
// Tables: identity_glass_*; the schema says who may export and erase each.
//
// For: owners, holders. Read glass.go, paper.go, set.go, give.go, session.go; then tend.go,
// letters.go; http.go is the table of addresses, page.go the pages, clauses.go the proofs.
package glass
