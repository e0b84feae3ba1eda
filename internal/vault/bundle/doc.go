// Package bundle makes bundles of values for machines that may be cut off from the server,
// and keeps the record of them. Package parcel is their form.
//
//	names ─► read, recorded ─► sealed to a machine's key, signed ─► text, shown once
//	machine: server away ─► opened, use noted there ─► server back ─► uses reported, entries
//
// Promises: vault.secret-home, vault.access-logged (a use without the server is an entry as
// soon as there is one).
//
// Refuses: a bundle for longer than seven days, or of names that whoever asks may not read;
// a report of uses by another team.
//
// Threats: a machine that never reports (its bundle ends by itself; the list shows which was
// never seen used); a bundle that should not be used any more (a machine that reports is
// told what was revoked, and refuses it from then on; until then it opens, so rotate).
//
// Tables: vault_bundle. For: engineers, programs. Read bundle.go, http.go.
package bundle
