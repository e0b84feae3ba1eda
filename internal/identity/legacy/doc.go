// Package legacy reads password hashes that other systems made, so that people can be
// brought over without a new password, and says which of them are too weak to be brought.
//
//	row ─► Classify ─► bcrypt, argon2, scrypt, PBKDF2, crypt $5$ $6$ ─► Carry ─┐
//	          ├──────► salted SHA-256, by Template ─► raw digest ─► Wrap ──────┼─► sealed by identity ─► Verify at sign-in
//	          └──────► unsalted, MD5, SHA-1 ─► reset required                  ┘
//
// Promises, for auth.hash and auth.one-way: a salted SHA-256 digest is never stored as it
// is; Wrap makes argon2id (or what the policy says) of the raw digest, and only that. A
// template is believed once it has reproduced the hash of one known password.
//
// Refuses: hashes whose cost is beyond the caps, or below what protects anybody; forms that
// do not read back to the same bytes; passwords over 72 bytes for bcrypt, which would
// have been cut; templates that could mean two things.
//
// Threats: a planted row that asks for gigabytes (caps, read before any work); a template
// that looks right and opens accounts to nobody, or to anybody (the test pair).
//
// It does no I/O and keeps nothing. Hashing belongs inside identity's gate: Verify and
// Wrap cost what a sign-in costs. For: the operator who moves people here. Read format.go,
// template.go, stored.go.
package legacy
