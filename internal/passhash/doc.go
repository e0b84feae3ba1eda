// Package passhash turns passwords into stored strings and checks them: the only
// place where a password meets a hash function.
//
//	raw ──Normalize──> text (NFC) ──Gate.Do──> Hash  ──> PHC string, sealed by identity
//	                        └──────Gate.Do──> Verify <── PHC string, opened by identity
//
// It owns the text rules of a password (code points, bytes, normal form), two
// schemes (argon2id, RFC 9106; PBKDF2-HMAC-SHA-256, RFC 8018, for the FIPS
// profile), the PHC string form, and the gate that keeps a flood of sign-ins from
// taking all memory and all processors.
//
// It promises, for the clauses auth.no-cleartext, auth.one-way, auth.hash,
// auth.salt and auth.compare: every hash has a fresh random salt; a stored string
// is read strictly, with caps on its cost, and only in the one form this package
// writes; digests are compared in constant time; a wrong password costs what a
// right one does, and so does a password for nobody (Dummy).
//
// It refuses: plain digests, unsalted forms, parameters above the caps, strings
// that do not encode back to the same bytes, passwords that are not valid UTF-8,
// and work beyond the gate's capacity.
//
// Threats: a stolen table (slow, memory-hard, salted); a planted row that asks for
// gigabytes (caps); a flood from one network or from unknown devices (Gate);
// the same password typed on two keyboards giving two byte strings (NFC).
// Not here: the pepper (identity seals the string), minimum length, the banned list.
//
// For: staff and customers, through identity. Read password.go, phc.go,
// passhash.go, gate.go.
package passhash
