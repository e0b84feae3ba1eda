// Package kdbx opens a database of KeePass (KDBX 3.1, 4.0 and 4.1) with its password and key
// file, and gives what an export of KeePass as XML holds: groups, entries, their texts and
// files. Nothing of it is kept.
//
//	file ─► header, limits ─► key ─► marks of header and blocks ─► cipher, gzip ─► XML, its protected texts opened
//
// The command line does it on the machine of who brings the file, so the server never sees the
// password; the console's page has the server do it, within narrower limits.
//
// Promises: vault.company-creds (what a company has elsewhere comes over whole, or is told).
//
// Refuses: a file over 64 MiB; a derivation that asks for more memory or work than it is given,
// before it begins; a file that is cut off or was altered, before a byte of it is read as
// content (KDBX 3.1 has no mark over its blocks: there it is a hash inside the cipher); content
// that unpacks to more than 64 MiB; Twofish, and databases that ask for a device.
//
// Threats: a file that somebody else made (limits before work, fuzz targets, XML without
// entities of its own); a guess at the password (it costs what the database's owner chose).
//
// For: owners, staff. Read kdbx.go, header.go, key.go, body.go, content.go.
package kdbx
