// Package verify answers an auditor's one question without a server, a database or a
// network: is what stands in this evidence bundle what the journal holds?
//
// It is pure and short on purpose, so that the auditor can read it: the standard
// library, golang.org/x/mod, and Writ's merkle and canon. Trust comes from the keys the
// auditor brings; a key that only the bundle names is shown as self-asserted.
//
//	zip is safe → sums → signature of the checkpoint → leaf hash → inclusion
//	  → former checkpoints are beginnings of it → opened fields match commitments
//	  → the export's own entry says the same as the bundle → numbers without a gap
//
// Promises: log.tamper-evident. A leaf that was altered, dropped, put in another's
// place or cut off at the end, and a total that was lowered to hide it, are named.
//
// Refuses (exit status 2): zip bombs (more than 2 GiB, or 200 times the archive),
// parts that overlap, names that leave the folder, names that stand twice, links.
//
// Threats: whoever hands over the bundle and wants a record to look different; a
// bundle that harms the verifier. Not answered: a key holder who shows two
// histories, unless a checkpoint of the other one is given as Since.
//
// For: the auditor. Read verify.go from the top, then population.go, leaf.go and zip.go.
package verify
