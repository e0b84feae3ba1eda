// Package place says in which country, and where on earth, a network is, as far as a table that
// the company brings along knows it.
//
//	prefix,country,latitude,longitude ─► Load ─► Table ─► Find(address) ─► the narrowest network that has it
//
// Owns: the reader of such tables. It brings no table along, and asks nobody.
//
// Refuses: a line that is no network with a country and a place on earth, a network twice, a table
// of more than a million networks or of more than 64 MiB; the error names the line.
//
// Threats: a table that is wrong (what rests on it is an alarm that a person judges, never a
// refusal); one that eats the memory (bounded).
//
// For: engineer, through watch. Read place.go.
package place
