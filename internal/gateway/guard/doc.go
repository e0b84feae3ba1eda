// Package guard finds the numbers of payment cards and US social security numbers in
// bytes that pass, and masks them. It is pure: bytes in, bytes out, and what was found.
//
//	bytes ─► characters (escapes read) ─► groups of digits ─► rules ─► masked | held back | stopped
//	          \u0034 %34 &#52; ４           one separator        card, number of social security
//	                                        between
//
// Chunks are arbitrary: what a number could still be part of is held until it is decided,
// never more than 40 characters. The result does not depend on where the chunks were cut.
//
// A mask keeps the length of the bytes: an escaped digit becomes an escaped asterisk. A bare
// number in JSON becomes nines and its last digits, which fail the check digit, so that the
// document still parses. An escape is undone once, as its reader would.
//
// What is a card is package pan's to say: issuer, length, check digit. Here are added the
// shapes in which people and programs write one (the first group of four digits or more, at
// most five groups, one space or hyphen between, or dots between all), because numbers of
// other kinds stand side by side in answers: no part of a decimal number, of hexadecimal
// text, of a UUID or of a longer run of digits.
//
// Promises: data.no-card, data.card-summary, data.no-ssn (the detector; what happens with
// what it finds is the gateway's to say).
//
// Refuses nothing by itself; it says Stopped, and gives nothing more away.
//
// Threats: a number cut over chunks, frames and events; the same number in another spelling;
// a document that becomes another by being masked; an answer that grows when it is unpacked
// (ratio); a name of a field that is itself a number, or a text that somebody wants to have
// in the record (names are letters, digits and -_. or they are left out).
//
// Uploads that are office files, ZIP archives or PDFs are held until they are whole and looked
// into (file.go): texts of documents across the runs that programs cut them into, cells, archives
// within archives; what the pages of a PDF show, by the maps of their fonts, its forms and notes.
// 16 MiB of a file, 64 MiB unpacked and 4,096 files within it are the bounds. A number in one
// cannot be masked: the file is stopped.
//
// BUG(closed): pictures, encrypted files, other archives, the older formats of office programs and
// text in UTF-16 are not looked into; an upload of such a type, or beyond the bounds, passes and
// is counted as not scanned. Pictures within a document are not counted. Files in answers are
// not looked into.
//
// For: the gateway. Read scan.go, then symbol.go, number.go, mask.go; then gzip.go, parts.go,
// frame.go and fields.go, which use it; file.go, zip.go, pdf.go and pdftext.go.
package guard
