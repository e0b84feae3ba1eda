// Package bring reads what other keepers of passwords export: 1Password (1PUX, CSV),
// Bitwarden (JSON, CSV), KeePass (its database by package kdbx, XML) and the CSV of browsers.
// It stores nothing and knows nobody: bytes in, rows out.
//
//	bytes ─► kind (named, or seen from its beginning) ─► rows, each good or with its problem
//
// Promises: vault.company-creds (what a company has elsewhere comes over whole, or is told).
//
// Refuses: a file over 10 MiB; an archive that holds paths that lead out of it, too many
// files, or grows too large (a zip bomb); an export that is encrypted; more than 2,000 rows.
//
// Threats: a file that somebody else made (sizes are bounded before and while reading, each
// reader has a fuzz target, nothing of the archive touches the disk, XML has no entities of
// its own). What is refused is not repeated in the refusal.
//
// For: vault/item. Read bring.go, table.go, onepassword.go, bitwarden.go, keepass.go.
package bring
