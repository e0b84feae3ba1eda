// Package export writes what happened, and what is measured, in the words of other systems.
// It only writes: nothing here reads a clock, a file, a table or the network (package feed
// carries it there).
//
//	journal.Entry ─► Syslog (RFC 5424), framed (RFC 5425)
//	              ─► Logs (OTLP, JSON)
//	              ─► Event (OCSF): alarm 2004, sign-in 3002, account 3001, data read 6005,
//	                 incident 2005, clause 2003, leak guard 2006
//	Family        ─► Text (Prometheus), Metrics (OTLP, JSON)
//	rows          ─► CSV
//
// Promises: nothing leaves that is not public in the journal already. Commitments, and what
// Open showed, are left out; persons stand under the journal's pseudonyms. A measurement has
// no label that names a person, an address or a team.
//
// Refuses: to let a value become structure. Brackets and quotes of syslog, quotes and line
// breaks of Prometheus and formulas of spreadsheets are escaped; control characters are
// replaced; a syslog message ends at 8 KiB and says that it was cut.
//
// Access records have an OCSF form of their own (gateway/trail, class 4002).
//
// For: engineer, auditor. Read metric.go, entry.go, syslog.go, otlp.go, ocsf.go, csv.go.
package export
