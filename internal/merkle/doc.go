// Package merkle owns the arithmetic of the journal's tree: hashes, the right edge
// to which leaves are added, signed checkpoints, tiles, proofs and the proof file.
// It is pure: no database, no network, no clock. The tree is that of RFC 6962
// (leaf 0x00, node 0x01, SHA-256), its stored form that of golang.org/x/mod/sumdb/tlog,
// its outward forms those of C2SP: tlog-checkpoint, tlog-tiles, tlog-proof, signed-note.
//
// Promises: log.tamper-evident. Whoever holds a checkpoint can tell a log that was
// cut, changed or forked; whoever holds a proof file needs nothing else to check it.
//
// Refuses: every outward form that it would not itself write, byte for byte; a
// checkpoint whose signature, origin or size does not hold; answers of a hash
// reader that are short; a proof with one bit changed.
//
// Threats: an operator who rewrites or drops entries; a server that shows two
// histories; a file that means two things to two verifiers. Not answered here: a
// key holder who signs two trees of one size. Witnesses tell those apart.
//
//	leaf ── LeafHash ──> Edge.Append ──> stored hashes ──> Edge.Root ──> Checkpoint ── Sign ──> note
//	                                          │                                                  │
//	                            tiles, InclusionProof, ConsistencyProof ──────────> Proof (.tlog-proof)
//
// Errors: fault.Malformed for bytes in a wrong form (checkpoint_malformed,
// proof_malformed, bundle_malformed), fault.Invalid for what is well formed and
// false (checkpoint_unsigned, proof_false), fault.NotFound for a tile path.
//
// For: journal, the witness, and the auditor's offline verifier. Read hash.go,
// edge.go, checkpoint.go, proof.go, file.go, tile.go.
package merkle
