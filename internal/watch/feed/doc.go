// Package feed carries the journal's entries, and what is measured, to the company's other
// systems: the machine's settings (export:) name where.
//
//	journal ─► follower of each receiver ─► export (words) ─► syslog over TLS ─► its cursor
//	           (entries after its first start,                OTLP over HTTP
//	            without those of canaries)                    OCSF, lines in a folder
//	measurements ─► each minute ─► OTLP over HTTP
//
// The queue is the journal itself: a receiver that is away costs no memory (256 entries at a
// time), and nothing is dropped for it; it falls behind, which is an alarm (export-behind).
// What a receiver refuses for good (OTLP says so) is dropped, which is an entry and an alarm
// (export-dropped).
//
// Promises: nothing is lost over a restart, and nothing sent twice over an orderly one. After a
// kill the last batch may go out again over the network, under the same numbers; in a folder it
// does not, because what was not written down is cut off first. Syslog counts as taken when the
// receiver has answered the end of the stream (RFC 5425, 4.4): it has read it all.
//
// Refuses: syslog without TLS; an address of ours, by the guard of notify (the address that was
// checked is the one dialled); redirects.
//
// Threats: a receiver that hangs (ten seconds); one that answers endlessly (64 KiB); a token in
// a log (secret.Text, and errors hold no address).
//
// Table watch_export: one row a receiver, nothing personal; export with watch.read, erased with
// the database. For: engineer. Read feed.go, then syslog.go, otlp.go, file.go, http.go.
package feed
