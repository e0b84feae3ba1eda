// Package console is the signed document, alive: the policy as its owners signed it,
// with a margin that says of each sentence whether it holds right now; the pages from
// which that margin is followed, mended and signed; and the trust page, which says the
// same to the public with less detail.
//
//	policy.Current ─┐
//	check.Report ───┼─► look (≤ 2 s old) ─► policy · findings · chrome · trust
//	OpenFindings ───┘
//	forms ─► the module's own operation, with who as an argument ─► Tell ─► redirect
//
// It owns no truth, no table and no event: every act is the operation of a module,
// which asks access itself and records. What it keeps in memory is the last report, the
// steps of the last proof of each clause, and its style sheet.
//
// Promises: gov.published (the trust page shows version and hash of the revision in
// force, and each clause as far as its visibility lets it). Every page works without
// JavaScript; every address asks access before it reads.
//
// Refuses: a form that a role may not send (the refusal is recorded), a one-time link
// in a notice or an address, a failure's detail on a public page.
//
// Threats: a console that says more than its reader may know (routes name the action
// they need, one test walks all of them); a public page that tells an attacker which
// control fails and how (the public mark is only "not proved since"); a signature over
// other bytes than were shown (the text to sign is downloaded as it is, and copying it
// through an editor that adds a line feed is not needed); compression that leaks what
// the reader may not see (only pages without secrets or reflected input are packed).
//
// For: owner, engineer, support, auditor; the trust page for customers.
// Read console.go (routes), look.go, policy.go, clause.go; then a file a page.
package console
