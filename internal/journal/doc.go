// Package journal owns the record that all evidence rests on: one numbered, signed,
// append-only log of every entry that the ledger wrote.
//
// A change inserts its entry in its own transaction (package ledger). Here one
// sequencer, elected by a lease and fenced by an epoch, gives each entry its number n
// and its number sn within its stream, extends a Merkle tree, and signs what the tree
// now is. All of that is one transaction:
//
//	ledger_pending ── claim ──▶ leaf {"at","body","n","sn","stream","v"} ──▶ journal_entry
//	                              │                      └─ values, salts ──▶ journal_payload
//	   head row locked,           └─ hashes ─▶ journal_hash ─▶ root ─▶ signed note ─▶ journal_head
//	   epoch, size, root compared
//
// A checkpoint is read from the committed head and from nowhere else, so none leaves
// the process that a crash could take back. The body of a leaf is the very bytes the
// change wrote; hashes are taken of stored bytes, never of a re-encoding.
//
// Promises: log.tamper-evident. An entry that is altered, dropped, put in another place
// or cut off at the end is found and named: by the check before the first signature, by
// Verify (nightly and on demand) and offline by package verify. data.crypto-erase: what
// a person's key sealed is gone with the key, and no leaf, root or proof changes.
//
// Refuses: to sign after a difference was found (Stopped says which); to number under
// an epoch that is over; to serve entries to anyone whom access does not allow; to hand
// out opened personal values before that is an entry itself.
//
// Threats: a kill at any moment, two sequencers, a paused one that wakes up late, a
// database restored from a backup, somebody with write access to the database. Not
// answered here: whoever can write to the database may remove an entry before it is
// numbered (50 ms); a holder of the signing key may sign another history, which only
// witnesses show, and this build has none (its control says so).
//
// Tables: see schema/. Nothing in them but journal_payload is personal; that is sealed
// under subject keys. Routes: http.go. For: owner, engineer, auditor; every module that
// follows what happened.
//
// Read journal.go, leaf.go, sequencer.go, check.go; then entry.go, proof.go, export.go.
package journal
