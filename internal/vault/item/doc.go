// Package item is the company's vault: the credentials of business tools that people
// share, each with an owner, a record of every use and a date for replacement.
//
//	form, import ─► kinds, limits, no card ─► sealed head, sealed fields ─► new version + entry
//	reveal ─► right, share, reason ─► field opened ─► entry committed ─► the one value
//	one-time code ─► the same, and the code of this half minute; the seed stays here
//	check-out ─► nobody else until it is back ─► due for replacement
//	link ─► a page with a button ─► opened once, opener noted ─► dead
//
// Promises: vault.company-creds (owner, record, date), vault.access-logged (an entry before
// each value), people.no-sole-holder (a critical item keeps its holders), data.no-card.
//
// Refuses: a value to whom it is not shared with, in the words of an item that is not
// there; a value of a critical or sensitive item without a reason; the seed of one-time
// codes to anybody, by any way; the last owner's removal; the last but one holder's of a
// critical item; the number of a payment card in any field or text file.
//
// Threats: a stolen database (all but ids, dates and marks is sealed; lengths are padded);
// equal passwords show as equal within a team, by design (blind index, 128 bits); a colleague
// who looks around (each reveal has a name, and a reason where it matters); a mail scanner
// that opens links (only the button opens); whoever runs the server (the operator has no
// right to reveal, and no way by the commands).
//
// Order of truth: a value is opened, its entry committed under a look at the holders inside
// that change, then it leaves. An item that was changed or taken away meanwhile gives nothing.
//
// Letters: who made a link and who owns its item are told of its opening and of the first try
// after it; who owns what somebody had or saw is told when they leave. They name no item.
//
// Tables: vault_item*; the schema says who may export and erase each.
//
// For: staff, owners. Read item.go, content.go, write.go, read.go, share.go, reveal.go,
// out.go, link.go, letters.go, left.go; then generate.go, report.go, import.go, import_files.go (formats: package bring), tend.go;
// http.go is the table of addresses, clauses.go the proofs. The console shows it.
package item
