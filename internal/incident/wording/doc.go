// Package wording is the texts that public notices begin with: one for each kind of incident and each
// word of the status page, with places that are filled from the incident.
//
//	text ─► Parse (each place: a name of the closed set, with its kind) ─► Fill (what is known) ─► a draft
//	            └─ another name, another kind, a brace alone ─► refused, with its position     └─ not known: left as it is
//	a text that is to be posted ─► Open ─► a place that nobody filled ─► refused
//
// Promises: inc.public-notice, with incident and status.
//
// Refuses: a place that is not of the closed set, or is written with another kind than it has.
//
// Threats: a notice at three in the morning that tells of another incident, in local time, or with a hole
// where the time should be (times are UTC; a place that is not filled keeps the text from being posted).
//
// For: communications. Read wording.go; then shipped.go.
package wording
