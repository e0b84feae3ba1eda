// Package scan keeps the record of where credentials were looked for, and of what was found
// where it should not be. Package leak does the looking.
//
//	writ.yaml: vault.scan ─► job, twice a day ─► leak.Scan ─┐
//	writ vault scan ─► leak.Scan on that machine ─► report ─┴─► entry, place, hits ─► finding
//	                     └─► marks ◄─► values of the vault, compared here
//
// Promises: vault.secret-home.
//
// Values are parameters and the secret fields of the company's credentials, these by the ids of
// item and field alone: a title is its holders' business. Somebody else's machine is compared
// with what is shared with who compares, and asks no reason to be read; a declared place, which
// the server searches itself, with all.
//
// Refuses: a report about this server's own places from outside; an exception without a
// reason or an end within a year; more questions about marks than the bound; to compare,
// for who may not read the values, and with items that they may not reveal; to close a hit, for who may not write them: their report
// adds to what is open.
//
// Threats: a scan that says too much (masks only, and a check of what others report); the
// comparison as a way to guess values (the right to read them, a key for each scan, a bound
// an hour, words that are worth it only; an entry before the key leaves, and one that says
// how many were asked); a report that closes what it never looked for (values without a
// comparison, files that could not be read); a scan that did not read
// everything (what could not be read is counted, and keeps the clause from passing); a scan
// that finds nothing because it is broken (a canary plants what it must find).
//
// A hit is open until a later scan of its place does not see it any more, or somebody says
// that it is mended (the next scan that sees it opens it again), or excepts it until a day.
//
// BUG(nodes): marks are compared by the node that began the comparison; behind a balancer
// without affinity a scan from another machine must be started again.
//
// Tables: vault_scan, vault_scan_hit. For: engineers, programs, auditors. Read scan.go,
// mark.go, place.go, hit.go, clauses.go, http.go.
package scan
