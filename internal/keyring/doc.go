// Package keyring owns every key that data rests under, and their destruction.
// It alone writes keys.db (or, beside PostgreSQL, the database at keys.url).
//
// Promises: crypto.at-rest (all data keys are AES-256, wrapped and versioned),
// crypto.key-rotation (Rotate, Rewrap, Renew, EraseVersion, AddRoot and KeepRoot, and the
// ages in Status) and data.crypto-erase (Erase, and the end of backups).
//
//	root.key ── derives ──► root ── seals ──► KEK (versioned) ── seals ──► data keys, one per subject and version
//	(32 bytes, 0400,                                          └─ seals ──► named secrets: page key, signing keys, index
//	 or given)
//
// A KEK has a box under every root key in use: one, or two while the root is replaced.
// The ring keeps the key derived from the root, not the root.
//
// A subject is whoever a key belongs to: a person, a class of data, a month of
// strangers. keys.db names no subject: rows carry the kind and a mark, which is an
// HMAC of the subject under a secret that is itself sealed under the KEK. Each
// sealed box is bound to its table, column, row and version.
//
// Refuses: a root.key that is missing, readable by others, malformed or not the one
// that keys.db was made with (fault.Sealed, naming the file); to overwrite either
// file; a key for a subject that was erased (fault.Gone, for ever).
//
// Erasure is intent → destroy → verify → done, each step durable. From the intent on
// nobody gets the key; a process that dies in between finishes the work at Open.
//
//	intent    tombstone (mark, kind, key ids) committed
//	destroy   sealed keys overwritten and deleted, caches emptied
//	verify    no piece of the sealed bytes in keys.db or a file beside it; no id opens
//	done      time of destruction committed; Destroyed returned, also when asked again
//
// keys.db lives apart from the ledger so that its backups can be short: in a backup
// of the ledger an erased key would live as long as that backup. Its own backups are
// one a day, each sealed under the key of its day, an epoch, which is destroyed 29 days
// later (Shelf). Restore makes keys.db from one; Replay destroys again what was
// destroyed since.
//
// Threats: a stolen ledger or backup of it (useless without keys.db); a stolen
// keys.db (useless without root.key); a writer to keys.db who swaps rows (boxes do
// not open elsewhere). Not answered: whoever reads root.key and keys.db together,
// or the memory of the process.
//
// BUG(erase): what the file system keeps of the deleted rollback journal, and copies of
// keys.db that somebody else makes, may still hold the sealed key until they are
// overwritten or expire; what it keeps of a deleted .epoch file, or an archive of those
// files, opens the backups of that day for as long. It takes root.key as well. On PostgreSQL dead row versions remain until
// VACUUM reuses their space, and WAL and its archive until they are recycled; the
// row is overwritten before it is deleted, but an older version of it stays behind.
// In all these cases replacing the KEK and root.key, and destroying the old ones,
// ends the last copy's worth. Boxes name their KEK, so such a replacement needs no
// change of format.
//
// BUG(nodes): with several nodes on one PostgreSQL a node may use a key that
// another node destroyed for up to one second.
//
// Export: nobody. Erase: Erase, by the module that owns the subject.
//
// For: ledger, vault and identity, which seal under these keys; the operator, who
// keeps root.key. Read keyring.go, subject.go, key.go,
// erase.go, then store.go; shelf.go and backup.go are the backups.
package keyring
