// Package vault owns the secrets that a company's programs and people use: the parameter
// store, and the access keys that open it.
//
//	name, value ─► name and shape ─► right, path ─► sealed box ─► new version + entry
//	program ─► access key, signature ─► owner's rights now ─► name ─► entry ─► value
//	list, search, labels, tags: names in clear within encrypted pages, never values
//
// Promises: vault.encrypted-store (every value is sealed, whatever its type),
// vault.access-logged (no value leaves before its entry is committed), crypto.at-rest,
// vault.db-private (no address of a public or unencrypted database is taken as a value).
//
// Refuses: a name or a value of another shape than the clients of the wire know; a second
// write of the same version; a read outside the path of a key; a key that has ended, or
// whose owner is gone or has no right any more; a key made by a key; a plain value under a
// sensitive name; to go back to a time of which a version is not kept.
//
// Threats: a stolen database (values are sealed under the team's key, secrets of access
// keys under their class); a value moved to another row (a box opens in its place only);
// a key found in a repository (a shape that scanners know, a path, an end, reading only
// where that is enough); a reader whose read is not recorded (the entry comes first); a
// call sent twice (answered once more, not done); a name of another team (every
// statement carries the team).
//
// Order of truth: a value is read, its entry committed, then it is handed out. A crash in
// between leaves an entry of a read that nobody got, never the opposite.
//
// BUG(folding): refused calls beyond ten a minute from one network and of one kind are
// counted in memory and recorded as one entry when the minute is over; a crash loses the
// count of that minute.
//
// Tables: see schema; each says who may export and erase it.
//
// For: programs, engineers. Read vault.go, name.go, param.go, read.go, list.go, label.go,
// plant.go (what nobody should read), grant.go, seen.go (who knows what), lifecycle.go, tend.go, key.go, fold.go. Children: sigv4 (signatures),
// aws (the address of the wires), ssm (parameters), kms (keys that programs encrypt with),
// rotate (values that replace themselves).
package vault
