// Package leak finds credentials in places where they should not be: repositories with
// their history, env files, folders of configuration, trees and archives of images.
//
//	place ─► folder ──► file ───────────┐
//	         .git ────► every object ───┼─► text ─► rules (a key word, a pattern, entropy)  ─┐
//	         tar, gz ─► entry, layer ───┘       └─► marks of its words ─► Known ─► a name ───┴─► Hit ─► ignore file
//
// A Hit says where, by which rule, and of the secret its first four characters and its
// length at most. The secret itself is never printed, kept or sent.
//
// Rules are written in the format of gitleaks (docs/adr/0015), so that a company's own or a
// larger set of that project's can be used; the shipped ones are rules.toml.
//
// Values that are kept elsewhere are found by a mark: a keyed MAC of each word, which
// whoever keeps the values compares. Neither side tells the other a value.
//
// Promises: vault.secret-home (what stands in a file, image or repository is seen).
//
// Refuses: a rule whose pattern is no RE2; an exception without a reason or an end; to
// follow a symbolic link, or a repository's word for where its objects are, out of the place.
//
// Threats: an archive that grows without end (bounds on depth, on entries and on bytes); a
// pack that is not one (every length is checked, chains of deltas are bounded, and end); a
// file that is a pipe or a device (regular ones are read, no others); a pattern
// that never ends (RE2 is linear); the report itself becoming a leak (masks; the id of a
// hit holds 16 bits of the secret's hash, which tells nothing).
//
// BUG(closed): objects of a repository over 32 MiB, archives deeper than five, and zip, xz,
// zstd and bzip2 are not opened: they are named as unread, and keep a place from being clean.
// BUG(words): a value that is a plain word, or shorter than eight characters, is found by
// rules only: as a mark it would be found everywhere.
//
// For: engineers, programs. Read scan.go, rule.go, text.go, known.go; then place.go, open.go,
// git.go, pack.go; then ignore.go, sarif.go.
package leak
