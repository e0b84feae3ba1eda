// Package ledger owns the database of record: the one way to write to it, and the
// rule that a change without a record is impossible.
//
// Change runs a function inside a transaction and takes from it the Event that says
// what was done. Entry and effect are inserted together, or neither is. A nil event,
// an error, a panic, an ended goroutine, a failed statement, a full disk: all undo
// that change alone. Refuse records an act that was refused. Quiet is for the few
// housekeeping writes that nobody wants to read; they are a closed list.
//
//	caller ── closure ──▶ Tx ──▶ effect ┐
//	              │                     ├─ one commit ──▶ journal's sequencer (Sequence)
//	              └─ Event ──▶ entry ───┘
//	                 public values in clear · personal values as salted commitments,
//	                 the values and salts sealed under the subject's key
//
// The body of an entry is canonical JSON, kept byte for byte from here to its leaf.
// Members that would be empty are left out, but for the first six:
//
//	id happened(µs) actor kind act f · object clause rev subject reason team session via
//	f        {name: value} for public fields, {name: {"c": commitment}} for others
//	reason   {"c": commitment}
//	actor    "p:" and a pseudonym for persons, "s:" for strangers (see Pseudonym), else kind/id
//	subject  a pseudonym, but class/name and stranger/month in clear
//
// The payload is canonical JSON {"f": {name: {"s": salt, "v": value}}, "reason": {"s", "v"}},
// sealed for PayloadAAD. Salts and commitments are unpadded base64url; see Commit.
//
// Promises: log.tamper-evident and vault.access-logged (no effect without an entry),
// crypto.at-rest (SQLite pages under AES-256-XTS, payloads under subject keys),
// data.crypto-erase (nothing about a person is readable once their key is gone).
//
// Refuses: a change without an actor, without an event, or inside another change; an
// event with a field that has no class; a statement after one has failed; work that
// holds the single SQLite writer for over 50 ms; any change while more than 100,000
// entries or one older than 15 minutes wait for the journal. If the ledger cannot
// record, the act is refused (fault.Unavailable, fault.Limited or fault.Sealed).
//
// Threats: a crash or kill at any moment, a full or failing disk (what a failed commit
// left in the log is overwritten before its changes are called refused; where that is
// not possible the answer is outcome_unknown), a caller that goes
// away, a slow or wild closure, a stolen database file. Not answered here: whoever can
// write to the database may remove an entry before it is numbered; the journal's
// checkpoints bound that to about a second.
//
// Keys: the key of the actor is looked up before a change is queued. The key of the
// event's subject is known only when the closure has returned; if it is not known to
// lie in memory, the attempt is undone, the key is fetched outside the transaction,
// and the closure runs again. So no transaction ever waits for the key store. Sealing
// itself takes microseconds and happens after the closure, before the entry is inserted.
//
// A closure may therefore run more than once, on either engine: it has no outside
// effect, sets every variable it captures anew, and keeps what it learned only after
// Change has returned nil.
//
// For: every module. Tables: ledger_pending (entries until the journal has numbered
// them; erased with the subject's key, exported by the journal), ledger_migration
// (public, kept for ever). Read ledger.go, tx.go, event.go; then writer.go (SQLite) and
// postgres.go, which are the two engines.
package ledger
