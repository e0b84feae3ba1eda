// Package kms is the vault's door for programs that encrypt with AWS KMS: keys that never
// leave, under names, for small data and for the keys of larger ones.
//
//	writ vault kms create ─► a row, a subject of the keyring (kms/ID) ─► alias/… names it
//	signed call (aws) ─► key by id, ARN or alias ─► right, path ─► is it enabled ─► box ─► entry ─► answer
//
//	ciphertext = 0x01 ‖ id of the key (16 bytes) ‖ sealed box (envelope)
//	its place  = team, key, SHA-256 of the context's pairs, sorted
//
// Promises: vault.access-logged (each call is an entry before its answer leaves),
// crypto.at-rest.
//
// Refuses: a ciphertext that was changed, that another key or team made, or whose context
// is another one; a key that is disabled or destroyed; data or a context that is too long;
// to make, name or disable keys over this wire: a person does that.
//
// Threats: a sealed value of the vault's own that is brought here to be opened (the place
// of a box is part of it, and those of this package begin with its table); a caller who
// wants a key of Writ's own data (only subjects of the kind kms are asked for, by the id of
// a row); a name outside the path of an access key (the answer is the same whatever is there).
//
// A key is reached as a parameter is: by an access key whose path holds the key's path.
// Opening needs vault.read, making ciphertexts vault.write, so a key that only reads
// decrypts and no more; the list needs vault.list, making keys vault.manage-keys.
//
// For: programs, engineers. Read kms.go, cipher.go, wire.go, http.go.
package kms
