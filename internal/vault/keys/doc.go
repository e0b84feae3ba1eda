// Package keys replaces the keys that data rests under, and ends them.
//
//	by the policy, at once, after exposure ─► Rotate ─► re-wrap in the background ─► retired ─► destroyed
//	ask (one) ─► agree (others, as many as the policy says) ─► hold? ─► intent ─► key destroyed
//	          ─► nothing opens any more ─► certificate, an entry of the journal ─► proof for anybody
//	each hour ─► a backup of the keys, under the key of its day ─► 29 days ─► that key destroyed
//	exposure ─► new data keys ─► every value sealed anew ─► 30 days ─► the former ones destroyed
//	hold: add (one) ─► end (two); under a hold nothing is destroyed, here, in identity, in
//	      the vault or in its items: nor do versions go, or what is over by the clock
//
// Promises: crypto.key-rotation (the newest key is younger than the policy's time, nothing
// stays under a retired one), data.crypto-erase (what is retired is made unreadable by
// destroying its key, and a certificate records it).
//
// Refuses: a destruction that fewer people want than the policy asks for, or that the one
// who asked agrees to; one under a legal hold; the key of a class that the server itself
// works with, and of the company's own vault; to end a hold alone; to count who has left or
// lost the right since, or wanted it more than a week ago; to certify while a sampled value
// still opens.
//
// Threats: one person who destroys evidence (a quorum, holds); a process that dies in the
// middle (each step is durable and is gone on with at the next start); a backup of the
// database of keys that is put back (what was destroyed stands in the ledger too, and is
// destroyed again before anything opens); a certificate that somebody changed (its sum
// stands in the journal, and the proof is checked without this server).
//
// BUG(backups): copies of the database of keys that an operator makes beside this server's
// own hold destroyed keys, sealed, until they are deleted; certificates declare thirty days
// for them, and nothing here can look. Beside keys.url this server makes none unless
// keys.backups names a folder that all of its servers see. A restore of the ledger together
// with the keys, from before a destruction, knows nothing of it.
//
// BUG(exposure): an exposure renews the keys of teams' parameters, items and seeds. What other
// modules seal under classes and persons, and ciphertexts that programs hold of a key of the
// KMS, stays under the key it was written with; the key-encryption key above is replaced.
//
// Tables: ../schema/00020_keys.sql, 00080_reseal.sql.
//
// For: owners, operators, auditors; whoever holds a certificate. Read keys.go, rotate.go,
// target.go, hold.go, shred.go, carry.go, certificate.go, destroyed.go, backup.go, reseal.go, clauses.go.
package keys
