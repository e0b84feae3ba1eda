// Package trail owns the access records: one for each request that the gate answered, on
// whose behalf, at which route, with what result, and which records of the application its
// path named, or the application says it showed. Pages of this server have theirs too, by the pattern of their route: a path of
// ours may hold a one-time link.
//
//	request ─► Add (a copy, in memory) ─► each second: a sealed chunk, with fsync ─► segment
//	segment ─► full or old ─► closed, its SHA-256 is an entry ─► searched, exported ─► 90 days ─► gone
//
// Upholds, with the journal: inc.breach-scope (whose records were seen, by whom) and
// use.need-to-see (a look of staff is in each of its requests).
//
// Persons stand in it under the pseudonym that the journal has for them; who they are ends
// with their key. Addresses are cut to a network of 256 hosts (IPv4) or to /48; the whole
// ones are sealed under a key of their week, and that key is destroyed a week later.
//
// Refuses: to hold more in memory than its bound. What is dropped for that is counted, and
// the count is an entry: nothing is lost in silence.
//
// Threats: somebody who edits or cuts a file (each chunk is sealed for its place, and a
// closed segment's hash stands in the journal); a process that dies (a second of records at
// most is lost, the rest of the open segment is taken up at the next start, and the entry
// says so); a disk that hangs (bounded, counted); a curious reader (to search is recorded).
//
// BUG(nodes): a node searches and checks the segments in its own folder alone.
//
// Tables: gateway_segment is public; the files are in DIR/segments, exported with
// journal.export, erased by their age.
//
// For: auditor, engineer, owner. Read trail.go, then record.go, segment.go, decode.go, ahead.go, search.go, scan.go, export.go.
package trail
