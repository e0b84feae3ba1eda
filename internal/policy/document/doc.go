// Package document owns the policy as data: what a policy file may say, its typed
// tree, its canonical form and hash, the difference between two of them, and the
// sentence a customer reads. It is pure: no clock, no SQL, no files.
//
//	YAML ──Load──► Policy ──Canonical──► JSON (RFC 8785) ──BodyHash──► what owners sign
//	  ▲              │  ▲                  │
//	  └────Print─────┘  └──FromCanonical───┘
//	                 ├─ Values   ► clause.Slot (what the modules obey)
//	                 ├─ Sentence ► pages and text (what people read)
//	                 └─ Compare  ► tighter, looser, text … (what owners must sign)
//
// Promises: it is the ground of gov.policy-id, gov.revision-history,
// gov.signed-dated and gov.contact-change: one body has one hash, and everything
// that is shown or obeyed is in the body. Comments, order of keys, folding and
// quoting do not change the hash; any text or value does, and so does another
// spelling of a value (24h, 1d), which the difference then calls text.
//
// Refuses: what a reader could misread (invisible and bidirectional characters,
// text that is not NFC, numbers outside parameters), what a parser could read in
// two ways (anchors, tags, duplicate keys, bare 1.10), what the build does not know
// (modules, forms, roles, frameworks), values outside their range. All of it is
// reported in one run, up to 50 problems, each with line and column.
//
// Threats: a signer who sees other words than the machine obeys; two files that
// look alike with different hashes; a file made to exhaust the server; a loosening
// that passes for a change of words. A stored body is read without the vocabulary
// and without the rules of style, so that a newer binary reads every older revision.
//
// For the owner and the engineer who edit the policy, and the auditor who hashes it.
// Read model.go, value.go, load.go, read.go, canonical.go, compare.go.
package document
