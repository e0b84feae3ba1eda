// Package breach computes whose data an exposure concerns. It is pure: records go in, and a
// class for each of those concerned comes out, the same at every run.
//
//	Selector ─► records that match ─► subjects of each ─► the strongest class ─► lines in one order ─► hash
//	spans of the record ─► counted against what was read ─► holes: what nobody can know
//	the version before ─► nobody leaves it, no class in it becomes weaker
//
// A line is one subject: team/ID, person/PSEUDONYM, record/TEAM/NAME=VALUE, what an entry
// of the journal is about, or table/DATABASE/NAME, from an audit of a database. Whose a record is comes from
// the application, as a part of the input. obtained: an answer with a body left, or an export was taken.
// accessed: it was looked at. possibly: the answer was cut off, or the record of that time
// has a hole. cleared: the record is whole, and nothing in it speaks of the subject.
//
// Promises: inc.breach-scope. A hole never gives cleared; a record that was taken out of a
// segment, or out of a bundle, is seen; the same input gives the same hash, offline too.
//
// Refuses: a set without a time; a bundle whose parts do not give the hash that it names.
//
// Threats: somebody who thins out the record (spans are counted, and their hashes stand in
// the journal); ten million subjects (memory has a bound: the subjects are gone through in
// parts, in the order of a hash); a bundle made by somebody else (limits on all of it).
//
// For: the privacy officer, the authority that runs it again. Read class.go, selector.go,
// cover.go, audit.go, set.go, bundle.go.
package breach
